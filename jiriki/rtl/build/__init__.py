"""From Amaranth to Verilog and to a simulation library: text, cache, Verilator, C++."""
