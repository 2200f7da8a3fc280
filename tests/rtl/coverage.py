"""Functional coverage: what the programs that ran have exercised, counted in named bins.

The bins come from the ISA's own tables, so that a new instruction, field, micro-op or type has its
bins at once. Five tables:
- instruction x mode x synchronisation x stall: every value of every field that chooses a way
  (enumerations, flags; of VRUN what its descriptors say), with wait, signal, both or none, started
  at its first chance or held. Control instructions: in the cycle after the one before, or later.
- fields: each value of small ones, and none, one, more, less than none of the others;
- chains: micro-op, before or after RED, by operand;
- DMA: mode by number of dimensions, and which way strides go;
- units: the reasons of the counters.
In: programs with their Runs (with events and counters). Out: counts, and the bins without a hit
that nothing in `IMPOSSIBLE` explains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import IntEnum

from jiriki.chip import ChipConfig
from jiriki.isa.dma.instructions import Ld, St
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.fields import OPCODES, Field, Instruction, Unit
from jiriki.isa.operations import Operation
from jiriki.isa.vector.instructions import Chain, Vrun
from jiriki.isa.vector.operations import Stream, VrunOp
from jiriki.isa.words import DmaMode, DType, Micro, MicroOp, Operand, RedOp, Reduce, Src
from jiriki.program import Event, Program, Run
from jiriki.program.stream import work_of
from jiriki.rtl.control.counters import REASONS
from jiriki.rtl.interfaces import DISPATCH_CYCLES

Bin = tuple[str, str, str]  # table, row, column
TABLES = ("instructions", "fields", "chains", "DMA", "units")
SYNCS = ("none", "wait", "signal", "both")
STALLS = ("at once", "held")
DONE = tuple(op for op in MicroOp if not op.is_mark)
STREAMS = ("in0", "in1", "in2", "out")


class Coverage:
    """Counts of bins over the programs added."""

    def __init__(self) -> None:
        self.hits: Counter[Bin] = Counter()
        self.programs = 0

    def add(self, program: Program, chip: ChipConfig, run: Run) -> None:
        """Count one run. `run` must have events and counters."""
        self.programs += 1
        works = work_of(program, chip, run.parameters)
        before = -1
        for work, event in zip(works, run.events, strict=True):
            self._instruction(work.instruction, work.op, _stall(work.instruction, event, before))
            before = event.issue
            for name, spec in work.instruction.LAYOUT.items():
                value = _class(spec, work.instruction.values[name])
                if value:
                    self.hits["fields", f"{_name(work.instruction)}.{name}", value] += 1
            if isinstance(work.op, VrunOp):
                self.hits.update(_chain_bins(work.op))
            if isinstance(work.op, DmaOp):
                self.hits.update(_dma_bins(work.op))
        for unit, counters in run.units.items():
            for reason, cycles in {"busy": counters.busy, **counters.reasons}.items():
                self.hits["units", unit, reason] += cycles

    def _instruction(self, instruction: Instruction, op: Operation | None, stall: str) -> None:
        wait, signal = instruction.wait is not None, instruction.signal is not None
        column = f"{SYNCS[wait + 2 * signal]}, {stall}"
        name = f"{_name(instruction)}.{instruction.unit.name}"
        for mode in _modes(instruction, op):
            self.hits["instructions", f"{name} {mode}".strip(), column] += 1

    def holes(self) -> list[Bin]:
        """Return the bins that nothing hit and that are possible."""
        return [each for each in bins() if not self.hits[each] and not impossible(each)]

    def table(self, table: str) -> dict[str, dict[str, int]]:
        """Return the counts of a table, row by row; bins that are impossible are left out."""
        rows: dict[str, dict[str, int]] = {}
        for each in bins():
            if each[0] == table and not impossible(each):
                rows.setdefault(each[1], {})[each[2]] = self.hits[each]
        return rows


# The bins of a run --------------------------------------------------------------------------


def _stall(instruction: Instruction, event: Event, before: int) -> str:
    """Say whether an instruction came to its turn at the first chance; see the module."""
    if instruction.unit is Unit.CTL:
        return STALLS[event.issue > before + 1]
    return STALLS[event.start > event.issue + DISPATCH_CYCLES]


def _modes(instruction: Instruction, op: Operation | None) -> Iterator[str]:
    """Yield each way that an instruction takes; one empty name when there is only one."""
    if isinstance(op, VrunOp):
        yield from _vrun_modes(op)
        return
    named = [
        f"{name}={_class(spec, instruction.values[name])}"
        for name, spec in _choices(type(instruction))
    ]
    yield from named or [""]


def _choices(kind: type[Instruction]) -> list[tuple[str, Field]]:
    """Return the fields of a kind that choose a way: enumerations and flags."""
    if kind is Chain:
        return []  # its micro-ops count when they run
    return [(n, spec) for n, spec in kind.LAYOUT.items() if spec.enum or spec.bits == 1]


def _vrun_modes(op: VrunOp) -> Iterator[str]:
    yield f"reduce={op.reduce.name}"
    if op.reduce is not Reduce.NONE:
        yield f"redop={op.redop.name}"
    for name in STREAMS:
        stream: Stream | None = getattr(op, name)
        yield f"{name}={stream.dtype.name if stream else 'none'}"
        if stream and stream.splat:
            yield f"{name}=splat"
    yield f"parameters={'none' if op.params is None else 'read'}"
    for micro in {micro.op for micro in (*op.before, *op.after)}:
        yield f"op={micro.name}"


def _chain_bins(op: VrunOp) -> Iterator[Bin]:
    for where, micros in (("before", op.before), ("after", op.after)):
        for micro in micros:
            yield "chains", f"{where} RED: {micro.op.name}", _operand(micro)


def _operand(micro: Micro) -> str:
    if micro.op.operand is Operand.NONE:
        return "-"
    return f"slot {micro.src}" if micro.op.names_slot else Src(micro.src).name


def _dma_bins(op: DmaOp) -> Iterator[Bin]:
    name = f"{'ST' if op.store else 'LD'} {op.mode.name}"
    yield "DMA", name, f"{len(op.dims)} dims"
    for side in ("dram", "sp"):
        for dim in op.dims:
            stride = getattr(dim, f"{side}_stride")
            way = "back" if stride < 0 else "dense" if stride == op.run else "apart"
            yield "DMA", name, f"{side} {way}"


# All bins -----------------------------------------------------------------------------------


def bins() -> Iterator[Bin]:
    """Yield every bin, possible or not, table by table."""
    for kind in OPCODES.values():
        yield from _instruction_bins(kind)
    for kind in OPCODES.values():
        for name, spec in kind.LAYOUT.items():
            for value in _classes(spec):
                yield "fields", f"{_name(kind)}.{name}", value
    yield from _all_chain_bins()
    for store in (Ld, St):
        for mode in DmaMode:
            for column in (*(f"{n} dims" for n in range(5)), *_WAYS):
                yield "DMA", f"{_name(store)} {mode.name}", column
    for unit in list(Unit)[1:]:
        for reason in REASONS:
            yield "units", unit.name, reason


_WAYS = tuple(f"{side} {way}" for side in ("dram", "sp") for way in ("dense", "apart", "back"))


def _instruction_bins(kind: type[Instruction]) -> Iterator[Bin]:
    modes = [f"{name}={value}" for name, spec in _choices(kind) for value in _classes(spec)]
    if kind is Vrun:
        modes = [*_all_vrun_modes()]
    for unit in kind.UNITS:
        for mode in modes or [""]:
            for sync in SYNCS if unit is not Unit.CTL else SYNCS[:1]:
                for stall in STALLS:
                    row = f"{_name(kind)}.{unit.name} {mode}".strip()
                    yield "instructions", row, f"{sync}, {stall}"


def _all_vrun_modes() -> Iterator[str]:
    yield from (f"reduce={r.name}" for r in Reduce)
    yield from (f"redop={r.name}" for r in RedOp)
    for name in STREAMS:
        for dtype in DType:
            if dtype is not DType.ACC or name == "in0":
                yield f"{name}={dtype.name}"
        yield f"{name}=none"
        if name != "out":
            yield f"{name}=splat"
    yield from ("parameters=none", "parameters=read")
    yield from (f"op={op.name}" for op in DONE)


def _all_chain_bins() -> Iterator[Bin]:
    for where in ("before", "after"):
        for op in DONE:
            columns = [s.name for s in Src]
            if op.operand is Operand.NONE:
                columns = ["-"]
            elif op.names_slot:
                columns = [f"slot {slot}" for slot in range(4)]
            for column in columns:
                yield "chains", f"{where} RED: {op.name}", column


def _classes(spec: Field) -> list[str]:
    """Return the classes of a field's values; none for addresses and whole words."""
    if spec.enum is not None:
        return [member.name for member in spec.enum]
    if spec.bits > 3 and ("address" in spec.doc or spec.bits == 32):
        return []
    if spec.bits <= 3:
        return [str(value) for value in range(spec.high + 1)]
    return ["none", "one", "more", *(["less"] if spec.signed else [])]


def _class(spec: Field, value: int) -> str:
    if spec.enum is not None:
        return _member(spec.enum, value)
    if spec.bits > 3 and ("address" in spec.doc or spec.bits == 32):
        return ""
    if spec.bits <= 3:
        return str(value)
    return "less" if value < 0 else ("none", "one", "more")[min(value, 2)]


def _member(enum: type[IntEnum], value: int) -> str:
    return enum(value).name


def _name(kind: Instruction | type[Instruction]) -> str:
    return (kind if isinstance(kind, type) else type(kind)).__name__.upper()


# What cannot be -----------------------------------------------------------------------------


def impossible(each: Bin) -> str:
    """Return why a bin cannot be hit; nothing for one that can."""
    table, row, column = each
    return _IMPOSSIBLE[table](row, column) if table in _IMPOSSIBLE else ""


def _no_instruction(row: str, column: str) -> str:
    if row.startswith("WAIT.") and column.startswith(("none", "signal")):
        return "a WAIT waits"
    if row.startswith("SIG.") and column.startswith(("none", "wait")):
        return "a SIG signals"
    return ""


def _no_field(row: str, column: str) -> str:
    if column == "none" and row.split(".")[1] in _AT_LEAST_ONE and row != "LOOP.count":
        return "refused: at least 1"
    return _REFUSED.get((row, column), "")


_AT_LEAST_ONE = (
    "count", "run", "m", "p", "n_tiles", "groups", "tiles", "steps", "lines", "ow", "kh", "kw",
    "body",
)  # fmt: skip
_REFUSED = {
    **{
        (f"{kind}.idx", str(i)): "no such register"
        for kind in ("WINA", "WINB")
        for i in range(4, 8)
    },
    **{("STRM.idx", str(i)): "no such stream" for i in range(5, 8)},
    **{(f"{kind}.ndims", str(i)): "four registers" for kind in ("LD", "ST") for i in range(5, 8)},
}


def _no_dma(row: str, column: str) -> str:
    if row.endswith("SCATTER_BYTES") and column == "4 dims":
        return "the fourth register is the distance of bytes"
    if row.endswith("GATHER") and column == "0 dims":
        return "refused: the first dimension is the list"
    return ""


def _no_reason(row: str, column: str) -> str:
    own = {"LD": ("dram", "data"), "ST": ("dram",), "MX": ("drain",), "VX": ("write", "chain")}
    common = ("busy", "instruction", "semaphore", "bank", "completion")
    if row == "MX" and column == "completion":
        return "its results are too near: fewer than queue_depth are under way"
    if row in ("LD", "ST") and column == "completion":
        return "while places are taken it is busy, or waits for data or the port, which come first"
    return "" if column in (*common, *own[row]) else "no such state of the unit"


_IMPOSSIBLE = {
    "instructions": _no_instruction, "fields": _no_field, "DMA": _no_dma, "units": _no_reason,
}  # fmt: skip
