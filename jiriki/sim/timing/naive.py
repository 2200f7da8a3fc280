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
from jiriki.isa.dma import DmaMode
from jiriki.isa.fields import Unit
from jiriki.isa.operations import DmaOp, GemvOp, LdtOp, LdwOp, VrunOp
from jiriki.isa.resolve import Work
from jiriki.isa.vector import TableKind
from jiriki.sim.timing.naive_work import (
    Beat,
    Cell,
    Level,
    Request,
    Step,
    bursts,
    chain,
    chunk,
    drop,
    levels,
    matrix_steps,
    sp_runs,
    vector_beats,
)

DISPATCH = 4  # cycles from sending to the first chance to start
UNITS = (Unit.LD, Unit.ST, Unit.MX, Unit.VX)


@dataclass(eq=False)
class Item:
    """One instruction of the trace and its life."""

    work: Work
    keep: int
    issue: int = -1
    start: int = -1
    own: int | None = None  # cycle its own work is done
    end: int = -1

    @property
    def tracked(self) -> bool:
        return self.work.op is not None or self.work.instruction.signal is not None


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
        self.ld = _Ld(self)
        self.st = _St(self)
        self.mx = _Mx(self)
        self.vx = _Vx(self)

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


class _Unit:
    """What all units share."""

    def __init__(self, tile: NaiveTile) -> None:
        self.tile, self.chip = tile, tile.chip
        self.busy_until = 0  # one-cycle instructions

    def begin(self, item: Item) -> None:
        raise NotImplementedError

    def free(self) -> bool:
        raise NotImplementedError


def _op(item: Item) -> DmaOp:
    assert isinstance(item.work.op, DmaOp), "LD and ST run only DMA operations"
    return item.work.op


class _Ld(_Unit):
    def __init__(self, tile: NaiveTile) -> None:
        super().__init__(tile)
        self.requests: deque[Request] = deque()
        self.item: Item | None = None
        self.freed = 0
        self.pending: deque[Item] = deque()
        self.writer: Item | None = None
        self.runs: deque[list[int]] = deque()
        self.flight: deque[list[int]] = deque()  # arrival of each byte not written yet
        self.levels: list[Level] = []
        self.part: list[int] = []
        self.acted = False

    def free(self) -> bool:
        return self.item is None and self.tile.t >= max(self.busy_until, self.freed)

    def begin(self, item: Item) -> None:
        self.pending.append(item)
        if _op(item).mode is DmaMode.FILL:
            self.freed = self.tile.t + 1
            return
        self.item, self.requests = item, bursts(_op(item), self.chip)

    def follow(self) -> None:
        if self.writer is None and self.pending:
            self.writer = self.pending.popleft()
            self.runs = sp_runs(_op(self.writer))

    def asks_index(self) -> bool:
        return bool(self.requests) and self.requests[0].gathered

    def read_index(self) -> None:
        if _read_index(self.tile, self.requests[0]):
            self.acted = True

    def burst(self) -> tuple[int, int] | None:
        room = len(self.flight) < self.chip.dram_bursts_in_flight
        if not self.requests or self.requests[0].gathered or not room:
            return None
        return self.requests[0].address, self.requests[0].bytes

    def granted(self, address: int, n: int) -> None:
        self.requests.popleft()
        self.acted = True
        bpc, first = self.chip.dram_bytes_per_cycle, self.tile.t + self.chip.dram_latency_cycles
        base = address // bpc
        self.flight.append([first + (address + j) // bpc - base for j in range(n)])
        if not self.requests:
            self.item, self.freed = None, self.tile.t + 1

    def write(self) -> None:
        if self.writer is None:
            return
        fill = _op(self.writer).mode is DmaMode.FILL
        if not self.levels:
            part = chunk(self.runs, _op(self.writer), self.chip)
            if not fill:
                if not self.flight:
                    return
                part = part[: len(self.flight[0])]
                if self.flight[0][len(part) - 1] >= self.tile.t:
                    return
            self.part = part
            self.levels = levels([byte // self.chip.ku for byte in part], self.chip)
        self.tile.writes |= self.levels.pop(0)
        self.acted = True
        if self.levels:
            return
        n = len(self.part)
        drop(self.runs, n)
        if not fill:
            del self.flight[0][:n]
            if not self.flight[0]:
                self.flight.popleft()
        if not self.runs:
            self.writer.own, self.writer = self.tile.t, None

    def state(self, began_one: bool) -> str:
        acted, self.acted = self.acted or began_one, False
        if acted:
            return "busy"
        if self.asks_index():
            return "bank"
        if self.burst():
            return "dram"
        if self.writer is not None:
            return "data"
        return self.tile.idle_state(Unit.LD, False)


class _St(_Unit):
    def __init__(self, tile: NaiveTile) -> None:
        super().__init__(tile)
        self.item: Item | None = None
        self.freed = 0
        self.runs: deque[list[int]] = deque()
        self.levels: list[Level] = []
        self.held = 0  # bytes read and not granted
        self.held_before = 0  # the same at the start of the cycle
        self.leaving: list[tuple[int, int]] = []  # free cycle, bytes
        self.pending: deque[Item] = deque()
        self.sender: Item | None = None
        self.requests: deque[Request] = deque()
        self.acted = self.refused = False

    def free(self) -> bool:
        return self.item is None and self.tile.t >= max(self.busy_until, self.freed)

    def begin(self, item: Item) -> None:
        self.item, self.runs = item, sp_runs(_op(item))
        self.pending.append(item)

    def follow(self) -> None:
        if self.sender is None and self.pending:
            self.sender = self.pending.popleft()
            self.requests = bursts(_op(self.sender), self.chip)

    def asks_index(self) -> bool:
        return bool(self.requests) and self.requests[0].gathered

    def read_index(self) -> None:
        if _read_index(self.tile, self.requests[0]):
            self.acted = True

    def burst(self) -> tuple[int, int] | None:
        if not self.requests or self.requests[0].gathered or self.held < self.requests[0].bytes:
            return None
        return self.requests[0].address, self.requests[0].bytes

    def granted(self, address: int, n: int) -> None:
        self.requests.popleft()
        self.held -= n
        self.leaving.append((self.tile.port_free, n))
        if not self.requests and self.sender is not None:
            self.sender.own, self.sender = self.tile.port_free - 1, None

    def read(self) -> None:
        self.refused = False
        if self.item is None:
            return
        part, t = chunk(self.runs, _op(self.item), self.chip), self.tile.t
        self.leaving = [(cycle, n) for cycle, n in self.leaving if cycle > t]
        used = self.held + sum(n for _, n in self.leaving)
        if used + len(part) > 4 * self.chip.dram_burst_bytes:
            return
        if _op(self.item).mode is not DmaMode.FILL:
            if not self.levels:
                self.levels = levels([byte // self.chip.ku for byte in part], self.chip)
            if not self.tile.grant(self.levels[0], self.tile.reads):
                self.refused = True
                return
            self.levels.pop(0)
        self.acted = True
        if self.levels:
            return
        drop(self.runs, len(part))
        self.held += len(part)
        if not self.runs:
            self.item, self.freed = None, t + 1

    def state(self, began_one: bool) -> str:
        sending = any(cycle > self.tile.t for cycle, _ in self.leaving)
        acted, self.acted = self.acted or began_one or sending, False
        if acted:
            return "busy"
        if self.refused or self.asks_index():
            return "bank"
        if self.item is not None or self.sender is not None:
            return "dram"
        return self.tile.idle_state(Unit.ST, False)


def _read_index(tile: NaiveTile, request: Request) -> bool:
    ku = tile.chip.ku
    words = [(request.index + j) // ku for j in range(4)]
    if not tile.grant(levels(words, tile.chip)[0], tile.reads):
        return False
    request.gathered = False
    return True


class _Mx(_Unit):
    def __init__(self, tile: NaiveTile) -> None:
        super().__init__(tile)
        self.item: Item | None = None
        self.drained = 0  # first cycle in which a last step may begin
        self.steps: list[Step] = []
        self.a: list[Level] = []
        self.b: list[Level] = []
        self.fetching = False
        self.freed = 0

    def free(self) -> bool:
        return self.item is None and self.tile.t >= max(self.busy_until, self.freed)

    def begin(self, item: Item) -> None:
        assert item.work.op is not None, "a one-cycle instruction is no work"
        self.item = item
        self.steps = list(matrix_steps(item.work.op, self.chip))[::-1]

    def step(self) -> str | None:
        if self.item is None:
            return None
        a, b, last = self.steps[-1]
        if not self.fetching:
            if last and self.tile.t < self.drained:
                return "drain"
            self.a, self.b = levels(a, self.chip), levels(b, self.chip)
            self.fetching = True
        if self.a:
            self.tile.reads |= self.a.pop(0)
        if self.b and self.tile.grant(self.b[0], self.tile.reads):
            self.b.pop(0)
        if self.a or self.b:
            return "bank"
        self.fetching = False
        self.steps.pop()
        if last:
            self.drained = self.tile.t + self._drain()
        if not self.steps:
            drain = 0 if isinstance(self.item.work.op, LdwOp) else self._drain()
            self.item.own = self.tile.t + drain + self.chip.mx_latency_cycles
            self.item, self.freed = None, self.tile.t + 1
        return "busy"

    def _drain(self) -> int:
        chip = self.chip
        if self.item is not None and isinstance(self.item.work.op, GemvOp):
            return 2 * chip.nu // chip.ku
        return chip.drain_cycles


class _Vx(_Unit):
    def __init__(self, tile: NaiveTile) -> None:
        super().__init__(tile)
        self.item: Item | None = None
        self.freed = 0
        self.beats: deque[Beat] = deque()
        self.streams: list[list[Level]] | None = None
        self.fetched = False  # and not sent
        self.more = 0  # cycles of the beat to come
        self.passes = (1, 0, 1)  # before, after, rounds
        self.rounds: set[int] = set()  # cycles in which something goes round
        self.reach = self.leave = 0
        self.out: deque[tuple[int, list[Level], Item | None]] = deque()
        self.writing: list[Level] | None = None

    def free(self) -> bool:
        return self.item is None and self.tile.t >= max(self.busy_until, self.freed)

    def begin(self, item: Item) -> None:
        self.item, op = item, item.work.op
        if isinstance(op, LdtOp):
            size = 256 if op.kind is TableKind.LUT8 else 16 * 257
            line = 4 * self.chip.beat_pixels
            lines = -(-size // (line * self.chip.ku))
            words = [[op.base + i * line + j for j in range(line)] for i in range(lines)]
            self.beats = deque(Beat([w]) for w in words)
            self.beats[-1].last = True
            self.passes = (1, 0, 1)
        else:
            assert isinstance(op, VrunOp), f"{type(op).__name__} is no VX operation"
            self.beats = deque(vector_beats(op, self.chip))
            self.passes = chain(op, self.chip)

    def step(self) -> str | None:
        if self.item is None:
            return None
        beat, t = self.beats[0], self.tile.t
        if self.more:
            if self.more == 1 and beat.completes and self.passes[1] and t in self.rounds:
                return "chain"
            self.more -= 1
            if not self.more:
                self._end(beat)
            return "busy"
        if not self.fetched:
            if self.streams is None:
                if beat.result is not None and len(self.out) == self.chip.vx_latency_cycles + 4:
                    return "write"
                self.streams = [levels(words, self.chip) for words in beat.streams]
            for stream in self.streams:
                if stream and self.tile.grant(stream[0], self.tile.reads):
                    stream.pop(0)
            if any(self.streams):
                return "bank"
            self.streams, self.fetched = None, True
        if beat.sent and not self._send():
            return "chain"
        self.fetched, self.more = False, beat.more
        if not beat.more:
            self._end(beat)
        return "busy"

    def _send(self) -> bool:
        """Send a beat into the chain if it may go."""
        t, one = self.tile.t, self.chip.vx_pass_cycles
        before, _, rounds = self.passes
        if t in self.rounds or t + before * one <= self.reach or t + rounds * one <= self.leave:
            return False
        self.rounds |= {t + j * one for j in range(1, before)}
        return True

    def _end(self, beat: Beat) -> None:
        self.beats.popleft()
        t, one = self.tile.t, self.chip.vx_pass_cycles
        before, after, rounds = self.passes
        ready = t + self.chip.vx_latency_cycles + (rounds - 1) * one
        assert self.item is not None, "a beat belongs to an instruction"
        if beat.sent:
            self.reach, self.leave = t + before * one, t + rounds * one
        if beat.completes and after:
            self.rounds |= {t + j * one for j in range(1, before + after + 1)}
        if beat.result is not None:
            last = self.item if beat.last else None
            self.out.append((ready, levels(beat.result, self.chip), last))
        elif beat.last:
            self.item.own = ready
        if beat.last:
            self.item, self.freed = None, t + 1

    def write(self) -> None:
        if not self.out or self.out[0][0] > self.tile.t:
            return
        _, left, item = self.out[0]
        if left:
            if not self.tile.grant(left[0], self.tile.writes):
                return
            left.pop(0)
        if left:
            return
        self.out.popleft()
        if item is not None:
            item.own = self.tile.t
