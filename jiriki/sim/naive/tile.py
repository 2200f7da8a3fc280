"""The same machine again, slowly: every cycle, every unit, plain Python.

In: resolved works and a chip. Out: cycles, each instruction's life, counters. It shares no code
with the kernel: words are enumerated from the operations one by one, requests are sets of
(bank, column), and MX is stepped like any other unit. Kept to prove the kernel (tests/sim).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from jiriki.chip.config import ChipConfig
from jiriki.isa.control import Fence, Halt, Loop
from jiriki.isa.fields import Unit
from jiriki.isa.resolve import Work
from jiriki.sim.naive.units import Item, Ld, Mx, St, Vx
from jiriki.sim.naive.work import Cell, Level

DISPATCH = 4  # cycles from sending to the first chance to start
UNITS = (Unit.LD, Unit.ST, Unit.MX, Unit.VX)


@dataclass
class Front:
    """The part of a unit that takes instructions: queue and completion queue."""

    queue: deque[Item] = field(default_factory=deque)
    running: deque[Item] = field(default_factory=deque)  # tracked, not completed
    last_end: int = -1


class NaiveTile:
    """One tile, stepped cycle by cycle."""

    def __init__(self, works: Sequence[Work], words: int, chip: ChipConfig) -> None:
        self.chip, self.words = chip, words
        self.items = [
            Item(work, keep) for work, keep in zip(works, self._keeps(works), strict=True)
        ]
        self.fronts = {unit: Front() for unit in UNITS}
        self.sem = [0] * 16
        self.t = 0
        self.next = 0  # item the sequencer is at
        self.fetched: dict[int, int] = {}  # instruction -> cycle of arrival
        self.fetch_next = 0
        self.counters = {unit: dict[str, int]() for unit in UNITS}
        self.beats = {"ld": 0, "st": 0, "fetch": 0}
        self.port_free = 0
        self.port_last = Unit.ST
        self.halted = False
        self.reads: set[Cell] = set()
        self.writes: set[Cell] = set()
        self.ld = Ld(self)
        self.st = St(self)
        self.mx = Mx(self)
        self.vx = Vx(self)

    def _keeps(self, works: Sequence[Work]) -> list[int]:
        per = self.chip.dram_burst_bytes // 16
        keeps, loops = [], list[tuple[int, int]]()
        for index, instruction, _ in works:
            loops = [loop for loop in loops if loop[0] <= index < loop[1]]
            held = [first for first, end in loops if (end + per - 1) // per * per - first <= 64]
            keeps.append(min(held, default=index))
            if isinstance(instruction, Loop):
                loops.append((index + 1, index + 1 + instruction.values["body"]))
        return keeps

    def run(self, limit: int = 1_000_000) -> int:
        """Step to HALT; return the cycles."""
        while not self.halted:
            self.step()
            assert self.t < limit, f"no HALT within {limit} cycles"
        return self.t

    def count(self, unit: Unit, reason: str) -> None:
        self.counters[unit][reason] = self.counters[unit].get(reason, 0) + 1

    def step(self) -> None:
        """One cycle: completions, sequencer, starts, port, reads, writes, counting."""
        for unit in UNITS:
            self._retire(self.fronts[unit])
        self._sequence()
        begun = {unit: self._start(unit) for unit in UNITS}
        self.ld.follow()
        self.st.follow()
        self._port()
        self.reads, self.writes = set(), set()
        asks_ld, asks_st = self.ld.asks_index(), self.st.asks_index()
        mx = self.mx.step()
        self.st.read()
        vx = self.vx.step()
        if asks_ld:
            self.ld.read_index()
        if asks_st:
            self.st.read_index()
        self.ld.write()
        self.vx.write()
        self.count(Unit.LD, self.ld.state(begun[Unit.LD]))
        self.count(Unit.ST, self.st.state(begun[Unit.ST]))
        self.count(Unit.MX, mx or self.idle_state(Unit.MX, begun[Unit.MX]))
        self.count(Unit.VX, vx or self.idle_state(Unit.VX, begun[Unit.VX]))
        self.t += 1

    def _retire(self, front: Front) -> None:
        while front.running:
            item = front.running[0]
            if item.own is None:
                return
            end = max(item.own, front.last_end + 1)
            if end >= self.t:
                return
            item.end = front.last_end = end
            signal = item.work.instruction.signal
            if signal is not None:
                self.sem[signal.semaphore] += signal.count
            front.running.popleft()

    def _idle(self) -> bool:
        return not any(front.queue or front.running for front in self.fronts.values())

    def _sequence(self) -> None:
        item = self.items[self.next]
        index, instruction, _ = item.work
        arrival = self.fetched.get(index)
        if arrival is None:
            self.fetch_next = index
            return
        if arrival >= self.t:
            return
        if instruction.unit is Unit.CTL:
            if isinstance(instruction, Halt | Fence) and not self._idle():
                return
            item.start = item.end = self.t
            self.halted = isinstance(instruction, Halt)
        else:
            front = self.fronts[instruction.unit]
            if len(front.queue) == self.chip.queue_depth:
                return
            front.queue.append(item)
        item.issue = self.t
        self.next += 1

    def _head(self, unit: Unit) -> Item | None:
        queue = self.fronts[unit].queue
        return queue[0] if queue and queue[0].issue + DISPATCH <= self.t else None

    def _full(self, unit: Unit, item: Item) -> bool:
        running = self.fronts[unit].running
        if unit is Unit.VX and item.work.op is not None:
            works = [other for other in running if other.work.op is not None]
            if len(works) == self.chip.vx_contexts:
                return True
        return item.tracked and len(running) == self.chip.queue_depth

    def _start(self, unit: Unit) -> bool:
        """Start the head if it may; say whether it was a one-cycle instruction."""
        machine = {Unit.LD: self.ld, Unit.ST: self.st, Unit.MX: self.mx, Unit.VX: self.vx}[unit]
        item = self._head(unit)
        if item is None or not machine.free() or self._full(unit, item):
            return False
        wait = item.work.instruction.wait
        if wait is not None:
            if self.sem[wait.semaphore] < wait.count:
                return False
            self.sem[wait.semaphore] -= wait.count
        self.fronts[unit].queue.popleft()
        item.start = item.end = self.t
        if item.tracked:
            self.fronts[unit].running.append(item)
        if item.work.op is None:
            item.own = self.t
            machine.busy_until = self.t + 1
            return True
        machine.begin(item)
        return False

    def idle_state(self, unit: Unit, began_one: bool) -> str:
        """Name the state of a front with no work in this cycle."""
        if began_one:
            return "busy"
        item = self._head(unit)
        if item is None:
            return "instruction"
        return "completion" if self._full(unit, item) else "semaphore"

    def _port(self) -> None:
        if self.port_free > self.t:
            return
        if self._fetch():
            return
        read, write = self.ld.burst(), self.st.burst()
        if read and (not write or self.port_last is Unit.ST):
            self.beats["ld"] += self.take_port(*read)
            self.ld.granted(*read)
            self.port_last = Unit.LD
        elif write:
            self.beats["st"] += self.take_port(*write)
            self.st.granted(*write)
            self.port_last = Unit.ST

    def take_port(self, address: int, n: int) -> int:
        """Occupy the port for the beats of n bytes."""
        bpc = self.chip.dram_bytes_per_cycle
        beats = (address + n - 1) // bpc - address // bpc + 1
        self.port_free = self.t + beats
        return beats

    def _fetch(self) -> bool:
        per = self.chip.dram_burst_bytes // 16
        first = self.fetch_next
        end = (first // per + 1) * per
        if self.next >= len(self.items) or first >= self.words:
            return False
        if end - self.items[self.next].keep > 64:
            return False
        end = min(end, self.words)
        bpc = self.chip.dram_bytes_per_cycle
        for pc in range(first, end):
            beat = (pc * 16 + 15) // bpc - first * 16 // bpc
            self.fetched = {k: v for k, v in self.fetched.items() if k % 64 != pc % 64}
            self.fetched[pc] = self.t + self.chip.dram_latency_cycles + beat
        self.beats["fetch"] += self.take_port(first * 16, (end - first) * 16)
        self.fetch_next = end
        return True

    def grant(self, level: Level, taken: set[Cell]) -> bool:
        """Take the memories of a level if all are free."""
        if level & taken:
            return False
        taken |= level
        return True
