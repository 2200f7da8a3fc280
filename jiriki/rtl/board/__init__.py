"""A tile on an FPGA board: a serial link to the host, the board's SDRAM as memory, the engine.

In: a chip's tile. Out: the design of the board (`core.py`), its bitstream (`bitstream.py`), the
host's side of the link and the engine `board` (`host.py`, `engine.py`), and all of it in
simulation (`simulate.py`).
"""
