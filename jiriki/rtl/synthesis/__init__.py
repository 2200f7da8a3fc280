"""Synthesis: from the gates' components to cells, area and clock of real technologies.

The parts:
    units    what a tile is made of: each distinct component once, and how often it is there
    target   FPGA families and standard-cell libraries: what a user may ask for, and its files
    yosys    one component -> cells, area, memories (pyosys, in a process of its own)
    timing   netlists -> clock (OpenSTA), placed design -> clock (nextpnr for ECP5)
    tools    processes with a limit of time
    table    a chip and a target -> rows, kept in the cache by content

Everything is logic only and pre-layout: memories are listed apart, wires have no length.
"""
