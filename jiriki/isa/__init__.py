"""Instruction set: one class an instruction; every other aspect follows from its fields.

In: chip sizes and numerics. Out: instructions, their encoding and text, the operations they
resolve to, what those read and write, and their exact meaning on a `Machine`.
"""

from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import OPCODES, Instruction, Sync, Unit
from jiriki.isa.matrix.operations import ConvOp, DwOp, GemmOp, GemvOp, LdwOp
from jiriki.isa.operations import Operation
from jiriki.isa.resolve import QueueState, Work, resolve
from jiriki.isa.sequence import Step, unroll_instructions
from jiriki.isa.vector.operations import LdtOp, Stream, VrunOp
from jiriki.isa.words import Window

__all__ = [
    "OPCODES",
    "ConvOp",
    "DmaOp",
    "DwOp",
    "GemmOp",
    "GemvOp",
    "Instruction",
    "IsaError",
    "LdtOp",
    "LdwOp",
    "Operation",
    "QueueState",
    "Step",
    "Stream",
    "Sync",
    "Unit",
    "VrunOp",
    "Window",
    "Work",
    "resolve",
    "unroll_instructions",
]
