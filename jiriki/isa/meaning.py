"""Meaning of every operation: the one table from kind of work to what it does to a `Machine`."""

from collections.abc import Callable
from typing import Any

from jiriki.isa.machine import Machine
from jiriki.isa.meaning_dma import execute_dma
from jiriki.isa.meaning_matrix import (
    execute_conv,
    execute_dw,
    execute_gemm,
    execute_gemv,
    execute_ldw,
)
from jiriki.isa.meaning_vector import execute_ldt, execute_vrun
from jiriki.isa.operations import (
    ConvOp,
    DmaOp,
    DwOp,
    GemmOp,
    GemvOp,
    LdtOp,
    LdwOp,
    Operation,
    VrunOp,
)

MEANINGS: dict[type, Callable[[Any, Machine], None]] = {
    DmaOp: execute_dma,
    GemmOp: execute_gemm,
    ConvOp: execute_conv,
    LdwOp: execute_ldw,
    DwOp: execute_dw,
    GemvOp: execute_gemv,
    VrunOp: execute_vrun,
    LdtOp: execute_ldt,
}


def execute(op: Operation, machine: Machine) -> None:
    """Do what `op` says. Raises IsaError for an address outside a memory or a table not loaded."""
    MEANINGS[type(op)](op, machine)
