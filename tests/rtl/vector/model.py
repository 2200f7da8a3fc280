"""VX's rules of time once more, cycle by cycle, as docs/reference/timing.md states them.

In: resolved instructions, when each was sent and may start, refusals. Out: starts, own ends, the
state of every cycle. Words and results are enumerated by `naive_work`; here is what happens when.
"""

from collections import deque
from dataclasses import dataclass, field

from jiriki.chip import ChipConfig
from jiriki.isa.resolve import Work
from jiriki.isa.vector.operations import LdtOp, VrunOp
from jiriki.isa.words import TableKind
from jiriki.rtl.interfaces import State
from jiriki.sim.naive.work import Beat, Level, chain, levels, vector_beats


@dataclass
class Times:
    """What is predicted, or seen."""

    start: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    state: list[int] = field(default_factory=list)


@dataclass
class _Result:
    ready: int
    levels: list[Level]
    last: bool
    written: bool  # else it only ends its instruction


class Model:
    """The unit, stepped by `run`."""

    def __init__(
        self, chip: ChipConfig, works: list[Work], sent: list[int], gate: list[int],
        refuse: list[int],
    ) -> None:  # fmt: skip
        self.chip, self.works, self.sent, self.gate, self.refuse = chip, works, sent, gate, refuse
        self.t, self.begun, self.free_at = 0, 0, 0
        self.times = Times()
        self.beats = deque[Beat]()
        self.left: list[list[Level]] | None = None
        self.complete, self.more = False, 0
        self.passes = (1, 0, 1)
        self.rounds = set[int]()
        self.reach = self.leave = -1
        self.results = deque[_Result]()
        self.unwritten = 0
        self.writes = True

    def run(self, cycles: int) -> Times:
        for self.t in range(cycles):
            self._start()
            self.times.state.append(self._step())
            self._write()
        return self.times

    def _start(self) -> None:
        n = self.begun
        if (
            n == len(self.works)
            or self.beats
            or self.t < max(self.free_at, self.sent[n] + 4, self.gate[n])
        ):
            return
        op = self.works[n].op
        if op is not None and self._tracked() == self.chip.vx_contexts:
            return
        self.begun += 1
        self.times.start.append(self.t)
        self.free_at = self.t + 1
        if isinstance(op, VrunOp):
            self.beats = deque(vector_beats(op, self.chip))
            self.passes, self.writes = chain(op, self.chip), op.out is not None
        elif isinstance(op, LdtOp):
            size = 256 if op.kind is TableKind.LUT8 else 4112
            line = 4 * self.chip.beat_pixels
            count = -(-size // (line * self.chip.ku))
            self.beats = deque(
                Beat([[op.base + i * line + j for j in range(line)]]) for i in range(count)
            )
            self.beats[-1].last = True
            self.passes, self.writes = (1, 0, 1), False

    def _tracked(self) -> int:
        begun = sum(work.op is not None for work in self.works[: self.begun])
        return begun - sum(end < self.t for end in self.times.done)

    def _step(self) -> int:
        if not self.beats:
            return State.IDLE
        beat = self.beats[0]
        if self.more:
            if self.more == 1 and beat.completes and self.passes[1] and self.t in self.rounds:
                return State.CHAIN
            self.more -= 1
            if not self.more:
                self._end(beat)
            return State.BUSY
        if not self.complete:
            if self.left is None:
                full = self.unwritten == self.chip.vx_latency_cycles + 4
                if beat.result is not None and full:
                    return State.WRITE
                self.left = [levels(words, self.chip) for words in beat.streams]
            if not self._fetch(self.left):
                return State.BANK
            self.left, self.complete = None, True
        if beat.sent and not self._send():
            return State.CHAIN
        self.complete, self.more = False, beat.more
        if not beat.more:
            self._end(beat)
        return State.BUSY

    def _fetch(self, left: list[list[Level]]) -> bool:
        taken = set()
        for i, stream in enumerate(left):
            if stream and not self.refuse[self.t] >> i & 1 and not stream[0] & taken:
                taken |= stream.pop(0)
        return not any(left)

    def _send(self) -> bool:
        pass_cycles, (before, _, rounds) = self.chip.vx_pass_cycles, self.passes
        late = (
            self.t + before * pass_cycles <= self.reach
            or self.t + rounds * pass_cycles <= self.leave
        )
        if self.t in self.rounds or late:
            return False
        self.rounds |= {self.t + j * pass_cycles for j in range(1, before)}
        return True

    def _end(self, beat: Beat) -> None:
        self.beats.popleft()
        pass_cycles, (before, after, rounds) = self.chip.vx_pass_cycles, self.passes
        if not beat.sent:
            return
        self.reach, self.leave = self.t + before * pass_cycles, self.t + rounds * pass_cycles
        if beat.completes and after:
            self.rounds |= {self.t + j * pass_cycles for j in range(1, before + after + 1)}
        ready = self.t + self.chip.vx_latency_cycles + (rounds - 1) * pass_cycles
        if beat.result is not None:
            self.results.append(_Result(ready, levels(beat.result, self.chip), beat.last, True))
            self.unwritten += 1
        elif beat.last:
            self.results.append(_Result(ready, [], True, False))
        if beat.last:
            self.free_at = self.t + 1

    def _write(self) -> None:
        """Write one level of the oldest result; what has none ends when its time is."""
        while self.results and self.results[0].ready <= self.t:
            oldest = self.results[0]
            if not oldest.written:
                self._done(oldest)
                continue
            if oldest.levels:
                if self.refuse[self.t] >> 3 & 1:
                    return
                oldest.levels.pop(0)
            if not oldest.levels:
                self._done(oldest)
            return

    def _done(self, result: _Result) -> None:
        self.results.popleft()
        self.unwritten -= result.written
        if result.last:
            done = self.times.done
            done.append(max(self.t, done[-1] + 1 if done else 0))
