"""The units of the naive stepper: LD, ST, MX and VX, each stepped through its own cycles.

In: the tile they sit in (its clock, this cycle's reads and writes) and instructions. Out: requests,
grants taken, the cycle each instruction's own work ends, the state of each cycle.
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from jiriki.chip.config import ChipConfig
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.fields import Unit
from jiriki.isa.matrix.operations import GemvOp, LdwOp
from jiriki.isa.resolve import Work
from jiriki.isa.vector.operations import LdtOp, VrunOp
from jiriki.isa.words import DmaMode, TableKind
from jiriki.sim.naive.work import (
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


class Tile(Protocol):
    """What a unit sees of its tile."""

    chip: ChipConfig
    t: int
    port_free: int
    reads: set[Cell]
    writes: set[Cell]

    def grant(self, level: Level, taken: set[Cell]) -> bool: ...

    def idle_state(self, unit: Unit, began_one: bool) -> str: ...


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


class _Unit:
    """What all units share."""

    def __init__(self, tile: Tile) -> None:
        self.tile, self.chip = tile, tile.chip
        self.busy_until = 0  # one-cycle instructions

    def begin(self, item: Item) -> None:
        raise NotImplementedError

    def free(self) -> bool:
        raise NotImplementedError


def _op(item: Item) -> DmaOp:
    assert isinstance(item.work.op, DmaOp), "LD and ST run only DMA operations"
    return item.work.op


class Ld(_Unit):
    def __init__(self, tile: Tile) -> None:
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
            self.writer.own, self.writer = max(self.tile.t, self.writer.start + 1), None

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


class St(_Unit):
    def __init__(self, tile: Tile) -> None:
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


def _read_index(tile: Tile, request: Request) -> bool:
    ku = tile.chip.ku
    words = [(request.index + j) // ku for j in range(4)]
    if not tile.grant(levels(words, tile.chip)[0], tile.reads):
        return False
    request.gathered = False
    return True


class Mx(_Unit):
    def __init__(self, tile: Tile) -> None:
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


class Vx(_Unit):
    def __init__(self, tile: Tile) -> None:
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
        t, pass_cycles = self.tile.t, self.chip.vx_pass_cycles
        before, _, rounds = self.passes
        if (
            t in self.rounds
            or t + before * pass_cycles <= self.reach
            or t + rounds * pass_cycles <= self.leave
        ):
            return False
        self.rounds |= {t + j * pass_cycles for j in range(1, before)}
        return True

    def _end(self, beat: Beat) -> None:
        self.beats.popleft()
        t, pass_cycles = self.tile.t, self.chip.vx_pass_cycles
        before, after, rounds = self.passes
        ready = t + self.chip.vx_latency_cycles + (rounds - 1) * pass_cycles
        assert self.item is not None, "a beat belongs to an instruction"
        if beat.sent:
            self.reach, self.leave = t + before * pass_cycles, t + rounds * pass_cycles
        if beat.completes and after:
            self.rounds |= {t + j * pass_cycles for j in range(1, before + after + 1)}
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
