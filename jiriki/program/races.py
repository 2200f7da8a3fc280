"""Races: two units that touch the same bytes, at least one writing, with no order between them.

In: instructions in a possible order with their clocks (`order.py`) and their effects. Out: an
error that names both instructions and the bytes. Within a queue accesses are in order, except
that LD and VX start reading before the queue's earlier writes have landed: there a scratchpad
read of what the same queue wrote needs a semaphore (or FENCE) like any other.
"""

from bisect import bisect_right

import numpy as np

from jiriki.isa.assembly import format_instruction
from jiriki.isa.fields import Unit
from jiriki.isa.regions import Effects, Region, Space, overlap
from jiriki.program.errors import CheckError
from jiriki.program.order import UNITS, Placed

_PIPELINED = (UNITS.index(Unit.LD), UNITS.index(Unit.VX))
_SHARED = (Space.DRAM, Space.SP, Space.ACC)  # the other spaces belong to one queue


class _Log:
    """Accesses of one queue to one space, reads or writes, in queue order."""

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.entries: list[tuple[Region, Placed]] = []
        self.low = np.empty(256, np.int64)
        self.high = np.empty(256, np.int64)

    def add(self, region: Region, placed: Placed) -> None:
        count = len(self.sequences)
        if count == len(self.low):
            self.low = np.concatenate((self.low, np.empty_like(self.low)))
            self.high = np.concatenate((self.high, np.empty_like(self.high)))
        self.low[count], self.high[count] = region.base, region.end
        self.sequences.append(placed.sequence)
        self.entries.append((region, placed))

    def conflict(self, region: Region, complete: int) -> tuple[Region, Placed] | None:
        """Return an access after the first `complete` instructions that overlaps `region`."""
        count = len(self.sequences)
        if not count or self.sequences[-1] <= complete:
            return None
        first = bisect_right(self.sequences, complete)
        near = (self.low[first:count] < region.end) & (self.high[first:count] > region.base)
        for place in np.flatnonzero(near):
            entry = self.entries[first + int(place)]
            if overlap(entry[0], region):
                return entry
        return None


class RaceFinder:
    """Looks at instructions one by one, in the order they start."""

    def __init__(self) -> None:
        self.reads = [{space: _Log() for space in _SHARED} for _ in UNITS]
        self.writes = [{space: _Log() for space in _SHARED} for _ in UNITS]

    def look(self, placed: Placed, touched: Effects) -> None:
        """Compare with what may still be in flight. Raises CheckError for a race."""
        for region in touched.reads:
            if region.space in _SHARED:
                self._compare(placed, region, "reads", self.writes, "writes")
        for region in touched.writes:
            if region.space in _SHARED:
                self._compare(placed, region, "writes", self.writes, "writes")
                self._compare(placed, region, "writes", self.reads, "reads")
        for regions, logs in ((touched.reads, self.reads), (touched.writes, self.writes)):
            for region in regions:
                if region.space in _SHARED:
                    logs[placed.queue][region.space].add(region, placed)

    def _compare(
        self,
        placed: Placed,
        region: Region,
        verb: str,
        logs: list[dict[Space, _Log]],
        other_verb: str,
    ) -> None:
        for queue, log in enumerate(logs):
            if queue == placed.queue and not (
                verb == "reads" and region.space is Space.SP and queue in _PIPELINED
            ):
                continue
            conflict = log[region.space].conflict(region, placed.clock[queue])
            if conflict is not None:
                raise CheckError(_race(placed, region, verb, conflict, other_verb))


def _race(
    placed: Placed, region: Region, verb: str, conflict: tuple[Region, Placed], other_verb: str
) -> str:
    other, started = conflict
    low, high = max(region.base, other.base), min(region.end, other.end) - 1
    sides = sorted(((placed, verb), (started, other_verb)), key=lambda side: side[0].position)
    (first, first_verb), (second, second_verb) = sides
    return (
        f"race on {region.space.name} {low}..{high}: {_name(second)} {second_verb} it while "
        f"{_name(first)}, which {first_verb} it, may not have finished; signal a semaphore after "
        f"the {UNITS[first.queue].name} instruction and wait for it before the "
        f"{UNITS[second.queue].name} one"
    )


def _name(placed: Placed) -> str:
    return f"instruction {placed.work.index} ({format_instruction(placed.work.instruction)})"
