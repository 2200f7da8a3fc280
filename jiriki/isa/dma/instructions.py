"""LD and ST: the two in-order DMA units between DRAM and scratchpad.

Both move *runs* of contiguous bytes over up to four strided dimensions. The strides live in
queue-local dimension registers set by DIM, so that a plain block needs one instruction. LD may
start fetching for the next instruction while data of the last is still on its way; instructions
complete in order.

Meaning of LD (ST swaps source and target), for i3 < count3, i2, i1, i0 (i0 innermost), using the
first `ndims` dimension registers:
    sp[sp + sum(i_d * sp_stride_d) + j] = dram[dram + sum(i_d * dram_stride_d) + j],  j < run
A later run overwrites an earlier one. Index lists are read as int32, so entries may be negative.
"""

from jiriki.isa.fields import Field, Instruction, Unit
from jiriki.isa.words import DmaMode


class Dim(Instruction):
    """Set dimension register `dim` of this queue: count, and byte strides on both sides."""

    OPCODE, UNITS = 9, (Unit.LD, Unit.ST)
    dim = Field(2, "dimension, 0 innermost")
    count = Field(16, "iterations, at least 1")
    dram_stride = Field(33, "bytes between iterations in DRAM", signed=True)
    sp_stride = Field(25, "bytes between iterations in the scratchpad", signed=True)


class Gidx(Instruction):
    """Set the scratchpad byte address of the int32 index list that GATHER runs use."""

    OPCODE, UNITS = 10, (Unit.LD, Unit.ST)
    base = Field(24, "byte address, a multiple of 4")


class Ld(Instruction):
    """Move from DRAM to the scratchpad (FILL: set scratchpad bytes)."""

    OPCODE, UNITS, RELOCATES = 11, (Unit.LD,), "dram"
    dram = Field(32, "byte address in DRAM")
    sp = Field(24, "byte address in the scratchpad")
    run = Field(16, "contiguous bytes of a run")
    ndims = Field(3, "dimension registers in use, 0 to 4 (SCATTER_BYTES: 0 to 3)")
    mode = Field(3, "what to do", enum=DmaMode)
    fill = Field(8, "the byte of FILL")


class St(Instruction):
    """Move from the scratchpad to DRAM (FILL: set DRAM bytes; SCATTER_BYTES gathers bytes)."""

    OPCODE, UNITS, RELOCATES = 12, (Unit.ST,), "dram"
    dram = Field(32, "byte address in DRAM")
    sp = Field(24, "byte address in the scratchpad")
    run = Field(16, "contiguous bytes of a run")
    ndims = Field(3, "dimension registers in use, 0 to 4 (SCATTER_BYTES: 0 to 3)")
    mode = Field(3, "what to do", enum=DmaMode)
    fill = Field(8, "the byte of FILL")
