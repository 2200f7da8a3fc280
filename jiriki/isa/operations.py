"""Operations: every piece of work and its aspects, one row each.

In: a resolved operation. Out: what it does to a `Machine`, what it reads and writes, and how long
it occupies its unit, alone and with no column collision: a lower bound of what `sim.timing` counts
between an instruction's start and the start of the next (latencies of DRAM, MX and VX are not in
it; the rules are those of docs/reference/timing.md). The aspects themselves live in `dma/`,
`matrix/` and `vector/`; a row that lacks one does not load. What other rooms know of operations
(trace of the timing kernel, energy) stands in tables of the same keys: `by_operation`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from jiriki.chip.config import ChipConfig
from jiriki.isa.dma.cycles import dma_cycles
from jiriki.isa.dma.effects import dma_effects
from jiriki.isa.dma.instructions import Ld, St
from jiriki.isa.dma.meaning import execute_dma
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.fields import Instruction
from jiriki.isa.machine import Machine
from jiriki.isa.matrix.cycles import conv_cycles, dw_cycles, gemm_cycles, gemv_cycles, ldw_cycles
from jiriki.isa.matrix.effects import (
    conv_effects,
    dw_effects,
    gemm_effects,
    gemv_effects,
    ldw_effects,
)
from jiriki.isa.matrix.instructions import Conv, Dw, Gemm, Gemv, Ldw
from jiriki.isa.matrix.meaning import (
    execute_conv,
    execute_dw,
    execute_gemm,
    execute_gemv,
    execute_ldw,
)
from jiriki.isa.matrix.operations import ConvOp, DwOp, GemmOp, GemvOp, LdwOp
from jiriki.isa.regions import Effects
from jiriki.isa.vector.cycles import ldt_cycles, vrun_cycles
from jiriki.isa.vector.effects import ldt_effects, vrun_effects
from jiriki.isa.vector.instructions import Ldt, Vrun
from jiriki.isa.vector.meaning import execute_ldt, execute_vrun
from jiriki.isa.vector.operations import LdtOp, VrunOp

Operation = DmaOp | GemmOp | ConvOp | LdwOp | DwOp | GemvOp | VrunOp | LdtOp


_T = TypeVar("_T")


class Aspects(NamedTuple):
    """What is known of one kind of operation; each function takes that kind."""

    instructions: tuple[type[Instruction], ...]  # that resolve to it
    meaning: Callable[[Any, Machine], None]
    effects: Callable[[Any, ChipConfig], Effects]
    cycles: Callable[[Any, ChipConfig], int]  # its docstring is the rule in words: "Count ..."


ASPECTS: dict[type, Aspects] = {
    DmaOp: Aspects((Ld, St), execute_dma, dma_effects, dma_cycles),
    GemmOp: Aspects((Gemm,), execute_gemm, gemm_effects, gemm_cycles),
    ConvOp: Aspects((Conv,), execute_conv, conv_effects, conv_cycles),
    LdwOp: Aspects((Ldw,), execute_ldw, ldw_effects, ldw_cycles),
    DwOp: Aspects((Dw,), execute_dw, dw_effects, dw_cycles),
    GemvOp: Aspects((Gemv,), execute_gemv, gemv_effects, gemv_cycles),
    VrunOp: Aspects((Vrun,), execute_vrun, vrun_effects, vrun_cycles),
    LdtOp: Aspects((Ldt,), execute_ldt, ldt_effects, ldt_cycles),
}


def by_operation(rows: dict[type, _T]) -> dict[type, _T]:
    """Return a room's own table of operations, checked to have a row for each and no other."""
    wrong = rows.keys() ^ ASPECTS.keys()
    assert not wrong, f"{sorted(kind.__name__ for kind in wrong)}: a row is missing, or too many"
    return rows


def execute(op: Operation, machine: Machine) -> None:
    """Do what `op` says. Raises IsaError for an address outside a memory or a table not loaded."""
    ASPECTS[type(op)].meaning(op, machine)


def effects(op: Operation, chip: ChipConfig) -> Effects:
    """Return what `op` touches on `chip`."""
    return ASPECTS[type(op)].effects(op, chip)


def ideal_cycles(op: Operation, chip: ChipConfig) -> int:
    """Return the cycles the operation occupies its unit when nothing is in its way."""
    return ASPECTS[type(op)].cycles(op, chip)


def cycle_rule(kind: type[Instruction]) -> str:
    """Return the rule of an instruction's cycles in words; empty for one that does no work."""
    rules = (row.cycles for row in ASPECTS.values() if kind in row.instructions)
    return "".join((rule.__doc__ or "").removeprefix("Count ") for rule in rules)
