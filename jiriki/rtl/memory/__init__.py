"""Memories and ports: the scratchpad's banks, the AXI port to DRAM."""
