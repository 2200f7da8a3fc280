"""The matrix unit in gates: GEMM, CONV, LDW, DW, GEMV (docs/reference/isa.md, timing.md).

In: instruction words and two read ports of the scratchpad. Out: accumulator rows, read by VX.

The parts, in the order an instruction passes them:
    decode    words -> one record of plain numbers; window registers and their products
    pixels    where the pixels of a register tile lie, tile after tile, without division
    walk      the nest of an instruction -> one record a step
    issue     a step's levels on both ports; start, state and end of instructions
    operands  what was read -> operands of the array; the weight register file
    element   one dot product of ku terms, its accumulator and its shadow
    array     mu x nu elements (for GEMV two rows at least)
    drain     shadows -> accumulator rows, and VX's read port
"""

from jiriki.rtl.matrix.unit import MatrixUnit

__all__ = ["MatrixUnit"]
