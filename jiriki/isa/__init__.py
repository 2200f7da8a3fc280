"""Instruction set: one class an instruction; every other aspect follows from its fields.

In: chip sizes and numerics. Out: instructions, their encoding and text, the operations they
resolve to, what those read and write, and their exact meaning on a `Machine`.
"""

from jiriki.isa.errors import IsaError
from jiriki.isa.fields import OPCODES, Instruction, Sync, Unit
from jiriki.isa.operations import (
    ConvOp,
    DmaOp,
    DwOp,
    GemmOp,
    GemvOp,
    LdtOp,
    LdwOp,
    Operation,
    Stream,
    VrunOp,
    Window,
)
from jiriki.isa.resolve import QueueState, Work, resolve
from jiriki.isa.sequence import Step, unroll_instructions

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
