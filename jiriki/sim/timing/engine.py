"""TimingEngine: a Program in, its cycles, counters and events out; no values needed.

In: a Program for the engine's chip. Out: a `Run` without outputs. The machine it models is
docs/reference/timing.md, rule for rule.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jiriki.chip.config import ChipConfig
from jiriki.isa.fields import Unit
from jiriki.isa.resolve import Work
from jiriki.program import Engine, Entry, Event, Placement, Program, Run, UnitCounters
from jiriki.program.host import Parameters
from jiriki.program.stream import collection_paused, work_of
from jiriki.sim.errors import SimError
from jiriki.sim.timing import layout as at
from jiriki.sim.timing.compiled import compiled
from jiriki.sim.timing.trace import Memory, build

STARVED = {"instruction": at.N_INSTRUCTION, "semaphore": at.N_SEMAPHORE, "data": at.N_DATA}
BLOCKED = {
    "bank": at.N_BANK, "drain": at.N_DRAIN, "dram": at.N_DRAM, "write": at.N_WRITE,
    "completion": at.N_COMPLETION, "chain": at.N_CHAIN,
}  # fmt: skip
REASONS = {"busy": at.N_BUSY} | STARVED | BLOCKED
IDLE = (at.N_INSTRUCTION, at.N_SEMAPHORE, at.N_COMPLETION)  # counted while no instruction works
TIMED = (Unit.LD, Unit.ST, Unit.MX, Unit.VX)


class TimingEngine(Engine):
    """Predicts cycles of one chip; deterministic.

    No time depends on a value, so that inputs may be left out and a time is computed once for an
    entry and its parameters. `events=True` asks for every instruction's life. A run raises
    ProgramError for what `program/host.py` refuses, SimError for a deadlock and for a semaphore
    that overflows.
    """

    name = "timing"

    def __init__(self, chip: ChipConfig) -> None:
        for holds, what in (
            (chip.columns <= 64, f"columns = {chip.columns} exceeds 64, the bits of a column set"),
            (chip.columns >= 8, f"columns = {chip.columns} is less than a parameter line of 8"),
            (chip.dram_burst_bytes >= 16, "dram_burst_bytes is less than one instruction of 16"),
        ):
            if not holds:
                raise SimError(
                    f"chip {chip.name}: {what}; the timing simulator cannot follow it, change the "
                    "chip's TOML"
                )
        super().__init__(chip)

    def place(self, program: Program) -> Placement:
        """Keep the program, and what its runs have given."""
        return _Times(program, self.chip)


class _Times(Placement):
    """The times of a program, by entry and parameters."""

    computes_values = False
    options = ("events",)

    def __init__(self, program: Program, chip: ChipConfig) -> None:
        super().__init__(program, chip)
        self.known: dict[tuple[object, ...], Run] = {}

    def start(self, entry: Entry, parameters: Parameters, *, events: bool = False) -> Run:
        """Return cycles, traffic and counters, from memory when they are known."""
        key = (entry.name, tuple(parameters.values()))
        if not events and key in self.known:
            return self.known[key]
        works = work_of(self.program, self.chip, parameters, entry=entry.name)
        memory = simulate_works(works, self.program.code(entry), self.chip, marks=events)
        run = _report(self.program, works, memory, self.chip, events)
        self.known[key] = replace(run, events=())
        return run


def simulate_works(
    works: Sequence[Work], code: range, chip: ChipConfig, marks: bool = False
) -> Memory:
    """Run resolved works to HALT and return the final memory. Raises SimError when stuck.

    `code`: the places of the instructions that the works come from.
    """
    placed = (
        [work._replace(index=work.index - code.start) for work in works] if code.start else works
    )
    with collection_paused():
        memory = build(placed, len(code), chip, marks)
    m = memory.m
    compiled()(m, memory.b)
    error = m[at.ERROR]
    if error == at.E_SEMAPHORE:
        work = works[(int(m[at.ERROR_ROW]) - memory.trace) // at.ROW]
        raise SimError(
            f"instruction {work.index}: its signal raises semaphore "
            f"{work.instruction.signal.semaphore if work.instruction.signal else '?'} beyond "
            f"{chip.semaphore_max}; wait for it sooner"
        )
    if error == at.E_DEADLOCK:
        raise SimError(_deadlock(works, memory))
    assert error == at.E_NONE, "the dynamic stream ends without HALT, which unroll refuses"
    return memory


def _deadlock(works: Sequence[Work], memory: Memory) -> str:
    """Say which instruction holds each queue."""
    m, held = memory.m, []
    for unit in TIMED:
        if m[at.QUEUE_COUNT + unit]:
            place = m[m[at.AREA_QUEUES] + unit * m[at.CHIP_QUEUE_DEPTH] + m[at.QUEUE_HEAD + unit]]
            work = works[(int(place) - memory.trace) // at.ROW]
            wait = work.instruction.wait
            what = f"semaphore {wait.semaphore} for {wait.count}" if wait else "its unit"
            held.append(f"{unit.name} at instruction {work.index} waits on {what}")
    at_control = int(m[at.SEQUENCER_AT])
    if at_control < len(works):
        held.append(f"sequencer at instruction {works[at_control].index}")
    return f"deadlock at cycle {m[at.CLOCK]}: {'; '.join(held)}; correct waits and signals"


def _report(
    program: Program,
    works: Sequence[Work],
    memory: Memory,
    chip: ChipConfig,
    events: bool,
) -> Run:
    m, beat = memory.m, chip.dram_bytes_per_cycle
    return Run(
        engine=TimingEngine.name,
        program_hash=program.content_hash(),
        cycles=int(m[at.CLOCK]),
        dram_read_bytes=beat * int(m[at.LOAD_BEATS] + m[at.FETCH_BEATS]),
        dram_write_bytes=beat * int(m[at.STORE_BEATS]),
        units={unit.name: counters_of(memory, unit) for unit in TIMED},
        events=_events(works, memory) if events else (),
        layer_cycles=_layers(program, works, memory),
    )


def counters_of(memory: Memory, unit: Unit) -> UnitCounters:
    """Return a unit's cycles by what it did."""
    place = at.COUNTS + unit * at.COUNTERS
    count = memory.m[place : place + at.COUNTERS].tolist()
    reasons = {name: count[i] for name, i in (STARVED | BLOCKED).items() if count[i]}
    return UnitCounters(
        busy=count[at.N_BUSY],
        starved=sum(count[i] for i in STARVED.values()),
        blocked=sum(count[i] for i in BLOCKED.values()),
        reasons=reasons,
    )


def _events(works: Sequence[Work], memory: Memory) -> tuple[Event, ...]:
    lives = memory.records[:, [at.R_ISSUE, at.R_START, at.R_END]].tolist()
    spent = spent_cycles(works, memory)
    return tuple(
        Event(work.index, work.instruction.unit.name, issue, start, end, spent[i])
        for i, (work, (issue, start, end)) in enumerate(zip(works, lives, strict=True))
    )


def spent_cycles(works: Sequence[Work], memory: Memory) -> list[dict[str, int]]:
    """Return, for each instruction, its unit's cycles by what the unit did (`Event.spent`)."""
    spent: list[dict[str, int]] = [{} for _ in works]
    units = np.array([work.instruction.unit for work in works])
    for unit in TIMED:
        own = np.flatnonzero(units == unit)
        place = at.COUNTS + unit * at.COUNTERS
        counts = np.vstack((memory.marks[own], memory.m[place : place + at.COUNTERS]))
        later = np.diff(counts, axis=0)  # from each start to the next, then to the end
        before = np.vstack((counts[:1], later))[:-1]
        own_cycles = later.copy()
        own_cycles[:, IDLE] = before[:, IDLE]
        for i, row in zip(own.tolist(), own_cycles.tolist(), strict=True):
            spent[i] = {name: row[k] for name, k in REASONS.items() if row[k]}
    return spent


def _layers(program: Program, works: Sequence[Work], memory: Memory) -> dict[str, int]:
    """Return, a layer, the cycles from the start of its first MX or VX work to its last end."""
    records = memory.records
    layers: dict[str, tuple[int, int]] = {}
    matters = np.flatnonzero(records[:, at.R_KIND] >= at.DENSE)
    lives = records[matters][:, [at.R_START, at.R_END]].tolist()
    for i, (start, end) in zip(matters.tolist(), lives, strict=True):
        note = works[i].instruction.note
        if note < len(program.notes):
            low, high = layers.get(program.notes[note].layer, (start, end))
            layers[program.notes[note].layer] = (min(low, start), max(high, end))
    return {name: high - low + 1 for name, (low, high) in layers.items()}
