"""What a Program does, counted from its instructions: the events that cost energy.

In: a Program and its chip. Out: `Activity`, whole and by layer. Counts follow from the instructions
alone and so hold for every engine. Two are bounds: a step of the matrix unit is counted as if no
pixel lay in the padding, and words that two lanes share in one step of DW are counted once.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from jiriki.chip import ChipConfig
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.matrix.operations import ConvOp, DwOp, GemmOp, GemvOp, LdwOp
from jiriki.isa.operations import Operation, by_operation
from jiriki.isa.vector.operations import LdtOp, Stream, VrunOp
from jiriki.isa.words import DmaMode, DType, Energy, Micro
from jiriki.program import Program
from jiriki.program.stream import work_of


@dataclass(frozen=True, slots=True)
class Activity:
    """Counts of events; all of them add."""

    macs: int = 0  # of the model
    array_macs: int = 0  # multiplier operations of the array, edges of tiles among them
    sum_updates: int = 0  # int32 registers written in the array
    scratchpad_read: int = 0  # byte
    scratchpad_write: int = 0  # byte
    accumulator_read: int = 0  # byte
    accumulator_write: int = 0  # byte
    weight_file_read: int = 0  # byte
    vector_adds: int = 0  # lane operations that add, compare or convert
    vector_multiplies: int = 0
    vector_functions: int = 0  # EXP2, LOG2, RECIP, RSQRT, TBL, LUT
    vector_moves: int = 0
    table_read: int = 0  # byte
    dma_bytes: int = 0  # asked of the DRAM port
    instructions: int = 0

    def __add__(self, other: "Activity") -> "Activity":
        return Activity(*(getattr(self, n) + getattr(other, n) for n in _NAMES))

    def times(self, count: int) -> "Activity":
        """Return the counts of that many runs."""
        return Activity(*(getattr(self, name) * count for name in _NAMES))


_NAMES = tuple(field.name for field in fields(Activity))
_numbers: Callable[[Activity], tuple[int, ...]] = attrgetter(*_NAMES)


@dataclass(frozen=True, slots=True)
class ProgramActivity:
    """Counts of a whole program and of each layer, in the order of the program."""

    total: Activity
    layers: Mapping[str, Activity]


def activity(
    program: Program,
    chip: ChipConfig,
    parameters: Mapping[str, int] | None = None,
    entry: str | None = None,
) -> ProgramActivity:
    """Count what an entry does on `chip` with the host's parameters, by name as in a Run."""
    counted: Counter[tuple[str | None, Operation | None]] = Counter()
    for work in work_of(program, chip, parameters, entry=entry):
        note = work.instruction.note
        layer = program.notes[note].layer if note < len(program.notes) else None
        counted[layer, work.op] += 1
    rows: dict[str | None, list[tuple[int, ...]]] = {None: []}
    for note in program.notes:
        rows.setdefault(note.layer, []).append(_numbers(Activity(macs=note.macs)))
    seen: dict[Operation | None, tuple[int, ...]] = {}
    for (layer, op), times in counted.items():
        if op not in seen:
            seen[op] = _numbers(of_operation(op, chip))
        rows[layer].append(tuple(number * times for number in seen[op]))
    sums = {layer: _sum(counts) for layer, counts in rows.items()}
    total = _sum([_numbers(sum_) for sum_ in sums.values()])
    return ProgramActivity(total, {name: sum_ for name, sum_ in sums.items() if name is not None})


def _sum(rows: Sequence[tuple[int, ...]]) -> Activity:
    return Activity(*map(sum, zip(*rows, strict=True))) if rows else Activity()


def of_operation(op: Operation | None, chip: ChipConfig) -> Activity:
    """Count one operation; None is an instruction of control or a descriptor."""
    if op is None:
        return Activity(instructions=1)
    return _COUNTS[type(op)](op, chip)


def _dma(op: DmaOp, chip: ChipConfig) -> Activity:
    fills = op.mode is DmaMode.FILL
    return Activity(
        scratchpad_read=op.bytes if op.store and not fills else 0,
        scratchpad_write=0 if op.store else op.bytes,
        dma_bytes=op.bytes if op.store or not fills else 0,
        instructions=1,
    )


def _ldw(op: LdwOp, chip: ChipConfig) -> Activity:
    return Activity(scratchpad_read=op.lines * chip.nu * chip.ku, instructions=1)


def _ldt(op: LdtOp, chip: ChipConfig) -> Activity:
    return Activity(scratchpad_read=op.kind.image_bytes, instructions=1)


@dataclass(frozen=True, slots=True)
class _Step:
    """What one step of the array does."""

    macs: int
    sums: int  # int32 registers written
    read: int  # bytes of the scratchpad
    file_read: int = 0  # bytes of the register file


def _dense(op: GemmOp | ConvOp, chip: ChipConfig) -> Activity:
    pixels, tiles = op.written(chip.mu)
    tiles *= pixels // chip.mu
    step = _Step(chip.macs_per_cycle, chip.mu * chip.nu, chip.mu * chip.ku + _line(op, chip))
    return _array(op, step, tiles * op.steps, tiles * chip.mu * chip.nu)


def _dw(op: DwOp, chip: ChipConfig) -> Activity:
    mu, ku = chip.mu, chip.ku
    pixels, tiles = op.written(mu)
    tiles *= pixels // mu
    words = mu + min(op.window.kw, ku) - 1
    step = _Step(2 * mu * ku**2, 2 * mu * ku, 2 * words * ku, 2 * ku**2)
    pairs = -(-chip.nu // ku // 2)
    return _array(op, step, tiles * op.steps(ku) * pairs, tiles * mu * chip.nu)


def _gemv(op: GemvOp, chip: ChipConfig) -> Activity:
    step = _Step(2 * chip.nu * chip.ku, 2 * chip.nu, 2 * _line(op, chip), chip.ku)
    return _array(op, step, -(-op.n_tiles // 2) * op.steps, op.n_tiles * chip.nu)


def _line(op: GemmOp | ConvOp | GemvOp, chip: ChipConfig) -> int:
    """Return the bytes of a line of weights."""
    return chip.nu * chip.ku // (2 if op.w4 else 1)


def _array(op: GemmOp | ConvOp | DwOp | GemvOp, step: _Step, steps: int, outputs: int) -> Activity:
    return Activity(
        array_macs=steps * step.macs,
        sum_updates=steps * step.sums,
        scratchpad_read=steps * step.read,
        weight_file_read=steps * step.file_read,
        accumulator_read=4 * outputs if op.accumulate else 0,
        accumulator_write=4 * outputs,
        instructions=1,
    )


def _vrun(op: VrunOp, chip: ChipConfig) -> Activity:
    lanes = op.groups * op.p * chip.ku  # elements that a stream walks
    pixels, groups = op.result
    results = pixels * groups * chip.ku
    streams = [(op.in0, lanes * op.taps), (op.in1, lanes), (op.in2, lanes)]
    scratchpad = sum(_bytes(stream, n, DType.ACC) for stream, n in streams)
    accumulators = 0
    if op.in0 is not None and op.in0.dtype is DType.ACC:
        accumulators = 4 * lanes
    parameters = 8 * chip.ku * op.groups if op.params is not None else 0
    chain = _chain(op.before, lanes * op.taps) + _chain(op.after, results)
    reduced = Activity(vector_adds=lanes * op.taps if op.reduce else 0)
    return (
        chain
        + reduced
        + Activity(
            scratchpad_read=scratchpad + parameters,
            scratchpad_write=_bytes(op.out, results, None),
            accumulator_read=accumulators,
            instructions=1,
        )
    )


def _bytes(stream: Stream | None, elements: int, other: DType | None) -> int:
    """Return the bytes of a stream, none if it is of type `other`, which lies elsewhere."""
    if stream is None or stream.dtype is other:
        return 0
    return elements * stream.dtype.bytes


def _chain(micros: Sequence[Micro], elements: int) -> Activity:
    kinds = Counter(micro.op.energy for micro in micros)
    tables = [micro.op.table for micro in micros]
    return Activity(
        vector_adds=kinds[Energy.ADD] * elements,
        vector_multiplies=kinds[Energy.MULTIPLY] * elements,
        vector_functions=kinds[Energy.FUNCTION] * elements,
        vector_moves=kinds[Energy.MOVE] * elements,
        table_read=sum(kind.entry_bytes for kind in tables if kind is not None) * elements,
    )


_COUNTS: dict[type, Callable[[Any, ChipConfig], Activity]] = by_operation(
    {
        DmaOp: _dma,
        GemmOp: _dense,
        ConvOp: _dense,
        DwOp: _dw,
        GemvOp: _gemv,
        LdwOp: _ldw,
        VrunOp: _vrun,
        LdtOp: _ldt,
    }
)
