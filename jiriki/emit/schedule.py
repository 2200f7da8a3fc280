"""Order and addresses: when each load is issued and where each buffer lies.

In: the operations of a TileProgram. Out: `Schedule`: operations in issue order, an address for
every buffer, and for each operation the earlier operations it must wait for because of memory that
changes hands. Loads move forward as long as there is memory for them (prefetch, double buffering);
everything else keeps its order.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from jiriki.chip.config import ChipConfig
from jiriki.emit.errors import OutOfMemory
from jiriki.emit.memory import Memory, Users
from jiriki.isa.fields import Unit
from jiriki.tiling.tile_program import (
    Area,
    Buffer,
    ConvTile,
    DepthwiseTile,
    GemmTile,
    Move,
    Reserve,
    Space,
    TileOp,
    WeightFile,
)

LONG_LIFE = 10  # operations; buffers that live longer are packed tightly
MATRIX = (ConvTile, DepthwiseTile, GemmTile, WeightFile)


def unit_of(op: TileOp) -> Unit:
    """Return the unit that runs an operation."""
    if isinstance(op, Move):
        return Unit.LD if op.load else Unit.ST
    return Unit.MX if isinstance(op, MATRIX) else Unit.VX


@dataclass
class Schedule:
    """Operations in issue order with addresses and reuse dependencies."""

    order: list[TileOp] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    reuse: list[Users] = field(default_factory=list)  # per position: waits due to memory reuse
    address: dict[Buffer, int] = field(default_factory=dict)


def buffers_of(op: TileOp) -> list[Buffer]:
    """Return every scratchpad and accumulator buffer an operation touches, once."""
    areas = op.reads + op.writes
    return list(dict.fromkeys(a.buffer for a in areas if a.buffer.space is not Space.DRAM))


def schedule(ops: tuple[TileOp, ...], chip: ChipConfig, lookahead: int) -> Schedule:
    """Order the operations; `lookahead` bounds how many operations early a load may be issued.

    Raises OutOfMemory when the buffers of one operation cannot live together.
    """
    not_before: dict[int, int] = {}
    facts = _Facts(ops)
    while True:
        attempt = _Scheduler(facts, chip, lookahead, not_before)
        position = attempt.run()
        if position is None:
            return attempt.result
        held = attempt.hold_back(position)
        if not held:
            raise OutOfMemory(attempt.describe(position))
        not_before |= held


class _Facts:
    """What every attempt needs to know of the operations."""

    def __init__(self, ops: tuple[TileOp, ...]) -> None:
        self.ops = ops
        self.buffers = [buffers_of(op) for op in ops]
        self.last_use = {b: i for i, buffers in enumerate(self.buffers) for b in buffers}
        self.uses = Counter(b for buffers in self.buffers for b in buffers)
        self.stores_before = _stores_before(ops)
        self.loads = [i for i, op in enumerate(ops) if isinstance(op, Move) and op.load]
        seen: set[Buffer] = set()
        self.fresh: list[tuple[int, Buffer]] = []  # first uses of scratchpad buffers by non-loads
        for i, op in enumerate(ops):
            for b in self.buffers[i]:
                if b not in seen and b.space is Space.SCRATCHPAD:
                    seen.add(b)
                    if not (isinstance(op, Move) and op.load):
                        self.fresh.append((i, b))
        self.fresh_at = [i for i, _ in self.fresh]


def _stores_before(ops: tuple[TileOp, ...]) -> dict[int, int]:
    """For each load, the last earlier operation that writes what it reads in DRAM."""
    writers: dict[Buffer, list[tuple[int, Area]]] = {}
    last: dict[int, int] = {}
    for i, op in enumerate(ops):
        if isinstance(op, Move) and op.load:
            earlier = [
                j
                for area in op.reads
                for j, written in writers.get(area.buffer, ())
                if area.meets(written)
            ]
            last[i] = max(earlier, default=-1)
        for area in op.writes:
            if area.buffer.space is Space.DRAM:
                writers.setdefault(area.buffer, []).append((i, area))
    return last


class _Scheduler:
    """One attempt; `run` returns None, or the operation whose buffers found no place."""

    def __init__(
        self, facts: _Facts, chip: ChipConfig, lookahead: int, not_before: dict[int, int]
    ) -> None:
        self.ops = facts.ops
        self.buffers, self.last_use, self.loads = facts.buffers, facts.last_use, facts.loads
        self.fresh, self.fresh_at = facts.fresh, facts.fresh_at
        self.stores_before = facts.stores_before
        self.uses = Counter(facts.uses)
        self.lookahead = lookahead
        self.not_before = not_before
        self.result = Schedule()
        self.memory = {
            Space.SCRATCHPAD: Memory(chip.scratchpad_bytes, chip.columns * chip.ku),
            Space.ACC: Memory(chip.acc_rows, 4),
        }
        self.users: dict[Buffer, Users] = {}
        self.past: dict[Buffer, Users] = {}  # who used the memory of a living buffer before it
        self.next_load = 0
        self.emitted_to = 0  # non-load operations before this index are emitted
        self.hoisted: list[int] = []  # loads issued early and still alive, oldest first

    def run(self) -> int | None:
        for i, op in enumerate(self.ops):
            if isinstance(op, Move) and op.load:
                if self._is_next_load(i) and not self._issue_load(i):
                    return i
                continue
            self._prefetch(i)
            if not self._issue(i):
                return i
            self.emitted_to = i + 1
        return None

    def describe(self, position: int) -> str:
        need = sum(b.size for b in self.buffers[position] if b.space is Space.SCRATCHPAD)
        living = sum(s.end - s.start for s in self.memory[Space.SCRATCHPAD].spans if s.buffer)
        return (
            f"operation {position} of {len(self.ops)} needs {need} scratchpad bytes beside "
            f"{living} in use; plan with fewer resident tensors"
        )

    def hold_back(self, i: int) -> dict[int, int]:
        """Return loads issued early that take memory from operation i, and when to issue them."""
        alive = [j for j in self.hoisted if self._alive(j) and self.not_before.get(j, -1) < j]
        later = [j for j in alive if j > i]
        return {j: min(i + 1, j) for j in later or alive}

    def _alive(self, load: int) -> bool:
        return any(self.uses[b] > 0 for b in self.buffers[load])

    def _is_next_load(self, i: int) -> bool:
        return self.next_load < len(self.loads) and self.loads[self.next_load] == i

    def _prefetch(self, i: int) -> None:
        """Issue loads that come after operation i while memory lasts."""
        while self.next_load < len(self.loads):
            j = self.loads[self.next_load]
            if j > i + self.lookahead or self.stores_before[j] >= self.emitted_to:
                return
            if i < self.not_before.get(j, -1) or not self._room_for(j, i):
                return
            if not self._issue_load(j):
                return
            if j > i:
                self.hoisted.append(j)

    def _room_for(self, j: int, i: int) -> bool:
        """Keep enough memory for what the operations up to the load must still allocate."""
        free = self.memory[Space.SCRATCHPAD].largest_free()
        size = sum(b.size for b in self.buffers[j])
        if size > free:
            return False
        first, last = bisect_left(self.fresh_at, i), bisect_left(self.fresh_at, j)
        need, passing = 0, 0
        for at, buffer in self.fresh[first:last]:
            if buffer in self.result.address:
                continue
            if self.last_use[buffer] >= j or at - i < 6:
                need += buffer.size
            else:
                passing = max(passing, buffer.size)
            if size + need + passing > free:
                return False
        return True

    def _issue_load(self, j: int) -> bool:
        if not self._issue(j):
            return False
        self.next_load += 1
        return True

    def _issue(self, i: int) -> bool:
        op = self.ops[i]
        waits: Users = {}
        for buffer in self.buffers[i]:
            if buffer in self.result.address:
                continue
            placed = self.memory[buffer.space].allocate(
                buffer, len(self.result.order), self.last_use[buffer] - i > LONG_LIFE
            )
            if placed is None:
                return False
            self.result.address[buffer], past = placed
            self.users[buffer] = {}
            self.past[buffer] = past
        if isinstance(op, Reserve):
            for buffer in self.buffers[i]:
                self.uses[buffer] -= 1
            return True
        for buffer in self.buffers[i]:
            for unit, position in self.past[buffer].items():
                waits[unit] = max(waits.get(unit, -1), position)
        here = len(self.result.order)
        unit = unit_of(op)
        self.result.order.append(op)
        self.result.units.append(unit)
        self.result.reuse.append(waits)
        for buffer in self.buffers[i]:
            self.users[buffer][int(unit)] = here
            self.uses[buffer] -= 1
            if self.uses[buffer] == 0:
                self.memory[buffer.space].release(buffer, self.users[buffer], here)
        return True
