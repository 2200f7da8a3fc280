"""Cutting a Graph to fit one chip: tiles, buffers, moves, fusion, schedule; no opcodes."""
