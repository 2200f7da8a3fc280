"""Synchronisation: from areas touched to waits and signals on semaphores.

In: operations in issue order with the areas they read and write. Out: per operation, the earlier
operations (at most one a unit) it must wait for, after everything already implied is dropped.

Each ordered pair of units (producer, consumer) has a semaphore of its own. A consumer's waits on a
pair name producers in increasing order, so each needed producer signals one token and each wait
takes one: tokens are conserved by construction. A unit's queue is in order, so operations of one
unit need no token between them, except in VX, whose next run starts before the last is complete.
"""

from dataclasses import dataclass

from jiriki.emit.schedule import Schedule
from jiriki.isa.fields import Unit
from jiriki.tiling.tile_program import Area, Buffer

UNITS = (Unit.LD, Unit.ST, Unit.MX, Unit.VX)
Clock = dict[int, int]  # unit -> position up to which its operations are known complete


def semaphore_of(producer: int, consumer: int) -> int:
    """Return the semaphore of an ordered pair of units."""
    return (producer - 1) * len(UNITS) + consumer - 1


@dataclass(slots=True)
class Access:
    """One past use of an area."""

    area: Area
    position: int
    unit: int
    writes: bool


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one operation waits for and whom it signals: semaphore numbers."""

    waits: tuple[int, ...]
    signals: tuple[int, ...]


def synchronise(plan: Schedule) -> list[Tokens]:
    """Return the tokens of every operation in issue order."""
    history: dict[Buffer, list[Access]] = {}
    start_clock: list[Clock] = []
    last_of: dict[int, Clock] = {int(u): {} for u in UNITS}
    waits: list[list[int]] = []
    signals: list[list[int]] = [[] for _ in plan.order]
    for here, op in enumerate(plan.order):
        unit = int(plan.units[here])
        needs = dict(plan.reuse[here])
        for area, writing in _areas(op.reads, op.writes):
            _collect(history.setdefault(area.buffer, []), area, writing, needs)
        clock = dict(last_of[unit])
        mine: list[int] = []
        for producer, position in sorted(needs.items(), key=lambda item: -item[1]):
            if producer == unit and unit != int(Unit.VX):
                continue
            if clock.get(producer, -1) >= position:
                continue
            semaphore = semaphore_of(producer, unit)
            mine.append(semaphore)
            signals[position].append(semaphore)
            _merge(clock, start_clock[position])
            clock[producer] = max(clock.get(producer, -1), position)
        waits.append(mine)
        start_clock.append(clock)
        last_of[unit] = clock
        for area, writing in _areas(op.reads, op.writes):
            _record(history[area.buffer], area, here, unit, writing)
    return [Tokens(tuple(w), tuple(s)) for w, s in zip(waits, signals, strict=True)]


def _areas(reads: tuple[Area, ...], writes: tuple[Area, ...]) -> list[tuple[Area, bool]]:
    return [(a, False) for a in reads] + [(a, True) for a in writes]


def _collect(past: list[Access], area: Area, writing: bool, needs: Clock) -> None:
    for access in past:
        if (writing or access.writes) and access.area.meets(area):
            needs[access.unit] = max(needs.get(access.unit, -1), access.position)


def _record(past: list[Access], area: Area, here: int, unit: int, writing: bool) -> None:
    """Add an access; drop those of the same unit and kind that the new area covers."""
    past[:] = [
        a for a in past if not (a.unit == unit and a.writes == writing and _covers(area, a.area))
    ]
    past.append(Access(area, here, unit, writing))


def _covers(outer: Area, inner: Area) -> bool:
    return (
        outer.g0 <= inner.g0
        and outer.g1 >= inner.g1
        and outer.p0 <= inner.p0
        and outer.p1 >= inner.p1
    )


def _merge(clock: Clock, other: Clock) -> None:
    for unit, position in other.items():
        if position > clock.get(unit, -1):
            clock[unit] = position
