"""The chip in gates: every unit of one tile in Amaranth, built from `ChipConfig` and the ISA.

In: a chip. Out: Verilog, and an engine that runs a Program on it in simulation. The rules of time
are docs/reference/timing.md, those of values `numerics/` and `isa/`.
"""
