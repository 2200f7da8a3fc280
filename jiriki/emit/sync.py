"""Synchronisation: from areas touched to waits and signals on semaphores.

In: operations in issue order with the areas they read and write. Out: per operation, the earlier
operations (at most one a unit) it must wait for, after everything already implied is dropped.

Each ordered pair of units (producer, consumer) has a semaphore of its own. A consumer's waits on a
pair name producers in increasing order, so each needed producer signals one token and each wait
takes one: tokens are conserved by construction. A unit's queue is in order, so operations of one
unit need no token between them, except in VX, whose next run starts before the last is complete.

A chip with fewer semaphores than pairs gives them to the pairs that need most tokens; whoever needs
another pair is preceded by a FENCE, after which everything sent before is complete. A FENCE also
stands where a semaphore could otherwise pass the chip's maximum.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from dataclasses import dataclass

from jiriki.chip.config import ChipConfig
from jiriki.emit.schedule import Schedule
from jiriki.isa.fields import Unit
from jiriki.tiling.tile_program import Area, Buffer

UNITS = (Unit.LD, Unit.ST, Unit.MX, Unit.VX)
Clock = dict[int, int]  # unit -> position up to which its operations are known complete


Pair = tuple[int, int]  # producer, consumer
PAIRS = len(UNITS) * len(UNITS)


def semaphore_of(producer: int, consumer: int) -> int:
    """Return the semaphore of an ordered pair of units where each has one of its own."""
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
    """What one operation waits for and whom it signals: semaphores; `fence`: a FENCE before it."""

    waits: tuple[int, ...]
    signals: tuple[int, ...]
    fence: bool = False


@dataclass(frozen=True, slots=True)
class _Token:
    """One token: the operation that gives it, the one that takes it."""

    pair: Pair
    giver: int
    taker: int


@dataclass(slots=True)
class _Attempt:
    """Tokens in the order they are taken; what each operation knows complete; where FENCEs are."""

    tokens: list[_Token]
    clocks: list[Clock]
    fences: set[int]


def synchronise(plan: Schedule, chip: ChipConfig) -> list[Tokens]:
    """Return the tokens of every operation in issue order."""
    numbers = {(p, c): semaphore_of(p, c) for p in map(int, UNITS) for c in map(int, UNITS)}
    attempt = _attempt(plan, numbers, set())
    if chip.semaphores < PAIRS:
        uses = Counter(token.pair for token in attempt.tokens)
        pairs = [pair for pair, _ in uses.most_common(chip.semaphores)]
        numbers = {pair: number for number, pair in enumerate(pairs)}
        attempt = _attempt(plan, numbers, set())
    while added := _overflows(plan, attempt, chip):
        attempt = _attempt(plan, numbers, attempt.fences | added)
    waits: list[list[int]] = [[] for _ in plan.order]
    signals: list[list[int]] = [[] for _ in plan.order]
    for token in attempt.tokens:
        waits[token.taker].append(numbers[token.pair])
        signals[token.giver].append(numbers[token.pair])
    rows = zip(waits, signals, strict=True)
    return [Tokens(tuple(w), tuple(s), i in attempt.fences) for i, (w, s) in enumerate(rows)]


def _attempt(plan: Schedule, numbers: dict[Pair, int], wanted: set[int]) -> _Attempt:
    """Derive tokens with FENCEs at least where wanted, and wherever a pair has no semaphore."""
    history: dict[Buffer, list[Access]] = {}
    last_of: dict[int, Clock] = {int(u): {} for u in UNITS}
    sent: Clock = {}
    result = _Attempt([], [], set(wanted))
    for here, op in enumerate(plan.order):
        unit = int(plan.units[here])
        needs = dict(plan.reuse[here])
        areas = _areas(op.reads, op.writes)
        for area, writing in areas:
            _collect(history.setdefault(area.buffer, []), area, writing, needs)
        clock = dict(last_of[unit])
        if here in wanted or _lacks(needs, clock, unit, numbers):
            result.fences.add(here)
            last_of = {u: last | sent for u, last in last_of.items()}
            clock |= sent
        for producer, position in sorted(needs.items(), key=lambda item: -item[1]):
            if _is_known(producer, position, clock, unit):
                continue
            result.tokens.append(_Token((producer, unit), position, here))
            _merge(clock, result.clocks[position])
            clock[producer] = max(clock.get(producer, -1), position)
        result.clocks.append(clock)
        last_of[unit] = clock
        sent[unit] = here
        for area, writing in areas:
            _record(history[area.buffer], area, here, unit, writing)
    return result


def _is_known(producer: int, position: int, clock: Clock, unit: int) -> bool:
    """Return whether an operation of `unit` need not wait for the producer's at `position`."""
    own_queue = producer == unit and unit != int(Unit.VX)
    return own_queue or clock.get(producer, -1) >= position


def _lacks(needs: Clock, clock: Clock, unit: int, numbers: dict[Pair, int]) -> bool:
    """Return whether something to wait for has no semaphore."""
    return any(
        (producer, unit) not in numbers and not _is_known(producer, position, clock, unit)
        for producer, position in needs.items()
    )


def _overflows(plan: Schedule, attempt: _Attempt, chip: ChipConfig) -> set[int]:
    """Return where further FENCEs must stand so that no semaphore can pass the chip's maximum.

    A token counts from when it is given until its taker is known to have begun: complete by the
    giver's clock, or so long ago that the taker's queue can no longer hold it. With too many taken
    before, a FENCE before the giver settles them; those taken later need one before their taker.
    """
    by_pair: dict[Pair, list[_Token]] = {}
    for token in attempt.tokens:
        by_pair.setdefault(token.pair, []).append(token)
    added: set[int] = set()
    for (_, consumer), tokens in by_pair.items():
        if len(tokens) > chip.semaphore_max:
            places = [i for i, unit in enumerate(plan.units) if int(unit) == consumer]
            added |= _overflows_of(tokens, consumer, places, attempt, chip)
    return added


def _overflows_of(
    tokens: list[_Token], consumer: int, places: list[int], attempt: _Attempt, chip: ChipConfig
) -> set[int]:
    """Find the new FENCEs for one semaphore; `places`: of its taker's operations."""
    added: set[int] = set()
    fences = sorted(attempt.fences)
    open_tokens: deque[_Token] = deque()
    giver, taker = -1, -1  # the last new FENCE before a giver, before a taker
    for token in tokens:
        here = token.giver
        if here < taker <= token.taker:
            continue  # the FENCE before the taker makes it needless
        older = bisect_left(places, here) - chip.queue_depth
        at = bisect_right(fences, here)
        known = max(
            attempt.clocks[here].get(consumer, -1),
            places[older - 1] if older > 0 else -1,
            max(giver, fences[at - 1] if at else -1) - 1,
        )
        open_tokens.append(token)
        while open_tokens and open_tokens[0].taker <= known:
            open_tokens.popleft()
        if len(open_tokens) <= chip.semaphore_max:
            continue
        later = [t for t in open_tokens if t.taker > here]
        if len(later) > chip.semaphore_max:
            taker = later[0].taker
            added.add(taker)
            open_tokens.clear()
        else:
            giver = here
            added.add(giver)
            open_tokens = deque(later)
    return added


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
