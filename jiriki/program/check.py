"""The static checker: refuses a bad Program before it runs.

In: a Program, the chip, an entry, the host's parameters by name. Out: nothing but a summary, or
CheckError for the first rule broken: the right chip; fields inside their bits; addresses inside the
memories; semaphores, registers, loops and slots that exist; one owner on each side of a semaphore,
tokens that balance and never pass the maximum; no deadlock; no race; no store over constants. A
program that passes gives the same result in every timing, which is why the functional simulator may
run it in any one order.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from jiriki.chip.config import ChipConfig
from jiriki.isa.assembly import format_instruction
from jiriki.isa.control import Addr, Loop, Parm, Setr
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Instruction
from jiriki.isa.matrix.effects import MatrixOp, result_rows
from jiriki.isa.operations import Operation, effects
from jiriki.isa.regions import Effects, Region, Space, overlap
from jiriki.isa.resolve import Work
from jiriki.isa.vector.effects import stream_regions
from jiriki.isa.vector.instructions import Chain, Ldt
from jiriki.isa.vector.operations import Stream, VrunOp
from jiriki.isa.words import DmaMode, DType, MicroOp, Reduce
from jiriki.program.errors import CheckError, ProgramError
from jiriki.program.host import Parameters, check_placement
from jiriki.program.order import Order
from jiriki.program.program import Program
from jiriki.program.races import RaceFinder
from jiriki.program.stream import work_of

_TABLED = frozenset(op for op in MicroOp if op.table is not None)


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """What was looked at."""

    steps: int  # instructions of the dynamic stream
    accesses: int  # regions read or written


def check(
    program: Program,
    chip: ChipConfig,
    parameters: Parameters | None = None,
    *,
    entry: str | None = None,
) -> CheckSummary:
    """Check a run of an entry. Raises CheckError in one line for the first rule broken."""
    try:
        check_placement(program, chip)
        program.entry(entry)
    except ProgramError as error:
        raise CheckError(str(error)) from None
    for index, instruction in enumerate(program.instructions):
        _check_fields(index, instruction, chip)
    try:
        stream = work_of(program, chip, parameters, entry=entry)
    except (IsaError, ProgramError) as error:
        raise CheckError(str(error)) from None
    accesses = _check_stream(stream, program, chip)
    return CheckSummary(len(stream), accesses)


def _check_stream(stream: list[Work], program: Program, chip: ChipConfig) -> int:
    """Check order, bounds and races over the dynamic stream; return the regions looked at."""
    known: dict[Operation, Effects] = {}
    limits = {
        Space.DRAM: program.dram_bytes, Space.SP: chip.scratchpad_bytes,
        Space.ACC: chip.acc_rows, Space.WEIGHTS: chip.weight_file_lines, Space.TABLE: 32,
    }  # fmt: skip
    finder, accesses, constants = RaceFinder(), 0, _constants(program)
    for placed in Order(stream, chip):
        op = placed.work.op
        if op is None:
            continue
        touched = known.get(op)
        if touched is None:
            touched = known[op] = effects(op, chip)
            _check_bounds(placed.work, touched, limits)
            _check_constants(placed.work, touched, constants)
            _check_itself(placed.work, op, touched, chip)
        accesses += len(touched.reads) + len(touched.writes)
        finder.look(placed, touched)
    return accesses


def _check_fields(index: int, instruction: Instruction, chip: ChipConfig) -> None:
    """Check values against their bits, and what the header names against the chip."""
    for name, spec in instruction.LAYOUT.items():
        if not spec.low <= instruction.values[name] <= spec.high:
            raise CheckError(
                f"{_name(index, instruction)}: {name} is outside {spec.low}..{spec.high}"
            )
    for sync in (instruction.wait, instruction.signal):
        if sync is not None and not (0 <= sync.semaphore < chip.semaphores and sync.count > 0):
            raise CheckError(
                f"{_name(index, instruction)}: semaphore {sync.semaphore} of {chip.semaphores} or "
                f"count {sync.count} does not exist; correct it"
            )
        if sync is not None and sync.count > chip.semaphore_max:
            raise CheckError(
                f"{_name(index, instruction)}: {sync.count} tokens exceed the chip's "
                f"{chip.semaphore_max}; split the wait"
            )
    for slot in _table_slots(instruction):
        if slot >= chip.table_slots:
            raise CheckError(
                f"{_name(index, instruction)}: table slot {slot} of {chip.table_slots} does not "
                "exist; use another"
            )
    registers = [instruction.areg] if instruction.areg is not None else []
    if isinstance(instruction, Setr | Addr | Parm | Loop):
        registers.append(instruction.values["reg"])
    for register in registers:
        if register >= chip.address_registers:
            raise CheckError(
                f"{_name(index, instruction)}: address register {register} of "
                f"{chip.address_registers} does not exist; use another"
            )


def _table_slots(instruction: Instruction) -> list[int]:
    """Return the table slots that an instruction names."""
    values = instruction.values
    if isinstance(instruction, Ldt):
        return [values["slot"]]
    if isinstance(instruction, Chain):
        return [values[f"src{i}"] for i in range(5) if values[f"op{i}"] in _TABLED]
    return []


def _check_bounds(work: Work, touched: Effects, limits: dict[Space, int]) -> None:
    gather = isinstance(work.op, DmaOp) and work.op.mode is DmaMode.GATHER
    for region in (*touched.reads, *touched.writes):
        if gather and region.space is Space.DRAM:
            continue  # where it reaches depends on values; the simulators check it as it runs
        if region.base < 0 or region.end > limits[region.space]:
            raise CheckError(
                f"{_name(work.index, work.instruction)}: {region.space.name} "
                f"{region.base}..{region.end - 1} lies outside 0..{limits[region.space] - 1}; "
                "correct the address or the sizes"
            )


def _constants(program: Program) -> list[Region]:
    """Return the program's own data as regions of DRAM, by address; they lie apart."""
    spans = sorted((s.address, len(s.data)) for s in program.segments if len(s.data))
    return [Region(Space.DRAM, address, size) for address, size in spans]


def _check_constants(work: Work, touched: Effects, constants: list[Region]) -> None:
    """Refuse a store over constants, which all sessions of a program share."""
    if isinstance(work.op, DmaOp) and work.op.mode is DmaMode.GATHER:
        return  # where it reaches depends on values
    for region in touched.writes:
        if region.space is not Space.DRAM:
            continue
        first = max(0, bisect_right(constants, region.base, key=lambda each: each.base) - 1)
        behind = bisect_left(constants, region.end, key=lambda each: each.base)
        for constant in constants[first:behind]:
            if overlap(constant, region):
                raise CheckError(
                    f"{_name(work.index, work.instruction)}: writes over the constants at DRAM "
                    f"{constant.base}..{constant.end - 1}; write elsewhere, or make them a state"
                )


def _check_itself(work: Work, op: Operation, touched: Effects, chip: ChipConfig) -> None:
    """Refuse results that overlap each other or the operation's own inputs."""
    name = _name(work.index, work.instruction)
    if isinstance(op, MatrixOp):
        stride, groups, rows = result_rows(op, chip)
        if groups > 1 and stride < rows:
            raise CheckError(
                f"{name}: acc_stride {stride} is less than the {rows} rows of a channel group; "
                "enlarge it"
            )
    if not isinstance(op, VrunOp) or op.out is None:
        return
    if any(m.op is MicroOp.ROT for m in (*op.before, *op.after)) and chip.ku < 2:
        raise CheckError(f"{name}: ROT needs channel pairs in a word, but ku is 1; avoid it")
    for stream in (op.in0, op.in1, op.in2):
        if stream is None or stream.dtype is DType.ACC or _in_place(stream, op):
            continue
        taps = stream is op.in0 and op.taps > 1
        read = stream_regions(stream, op.p, op.groups, chip, taps=taps)
        if any(overlap(r, w) for r in read for w in touched.writes):
            raise CheckError(
                f"{name}: the output overlaps an input that is walked differently, so results "
                "depend on the pipeline; write elsewhere"
            )
    params = [r for r in touched.reads if op.params is not None and r.base == op.params * chip.ku]
    if any(overlap(r, w) for r in params for w in touched.writes):
        raise CheckError(f"{name}: the output overlaps its channel parameters; write elsewhere")


def _in_place(stream: Stream, op: VrunOp) -> bool:
    """Tell whether each element is written where it was read, so that order cannot show."""
    out = op.out
    assert out is not None, "called only with an output"
    same = (
        op.reduce is Reduce.NONE
        and stream.base == out.base
        and stream.dtype.bytes == out.dtype.bytes
    )
    walk = ("plane", "pitch", "h", "w", "ow", "sy", "sx", "py", "px")
    return same and all(getattr(stream.window, n) == getattr(out.window, n) for n in walk)


def _name(index: int, instruction: Instruction) -> str:
    return f"instruction {index} ({format_instruction(instruction)})"
