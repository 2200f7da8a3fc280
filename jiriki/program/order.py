"""Order: which instructions are known to be complete when another starts.

Concept. The sequencer sends instructions in order to four in-order queues; inside a queue
completion is in order; semaphores carry the rest. When each semaphore has one signalling and one
waiting queue (roles may change after a FENCE that leaves it empty), the wait that takes the n-th
token starts after the signal that gave it completed, whatever the timing. So each queue keeps a
clock: how many instructions of every queue are complete before its next one starts.

In: a resolved stream and the chip. Out: instructions in one possible order, each with its clock;
an error for a deadlock, a semaphore that ends above zero, may pass its maximum or has two owners.
With one owner on each side the outcome does not depend on timing, so one order decides for all.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jiriki.chip.config import ChipConfig
from jiriki.isa.assembly import format_instruction
from jiriki.isa.control import Fence, Halt
from jiriki.isa.fields import Unit
from jiriki.isa.resolve import Work
from jiriki.program.errors import CheckError

UNITS = (Unit.LD, Unit.ST, Unit.MX, Unit.VX)


class Placed(NamedTuple):
    """An instruction about to start: `clock[q]` instructions of queue q are complete by then."""

    work: Work
    position: int  # in the stream
    queue: int  # place of its unit in UNITS
    sequence: int  # 1 for the first instruction of its queue
    clock: tuple[int, ...]


class _Sent(NamedTuple):
    work: Work
    position: int
    sequence: int
    before: tuple[int, ...]  # instructions each queue has been sent, this one included


class _Signal(NamedTuple):
    total: int  # tokens given up to here
    clock: tuple[int, ...]


class _Semaphore:
    """Tokens of one semaphore, who gives and takes them, and the history that orders them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.reset()

    def reset(self) -> None:
        self.value = self.raised = self.taken = 0
        self.giver: int | None = None
        self.taker: int | None = None
        self.signals: deque[_Signal] = deque()
        self.taken_at: list[int] = []  # sequence of each wait
        self.taken_total: list[int] = []  # tokens taken up to and with it


class Order:
    """Runs the queues without time; iterate it to get the instructions as they start."""

    def __init__(self, stream: Sequence[Work], chip: ChipConfig) -> None:
        self.stream, self.chip = stream, chip
        self.next = 0
        self.queues: list[deque[_Sent]] = [deque() for _ in UNITS]
        self.sent = [0] * len(UNITS)
        self.clocks: list[list[int]] = [[0] * len(UNITS) for _ in UNITS]
        self.semaphores = [_Semaphore(i) for i in range(chip.semaphores)]

    def __iter__(self) -> Iterator[Placed]:
        while True:
            moved = self._send()
            for queue in range(len(UNITS)):
                for placed in self._start(queue):
                    moved = True
                    yield placed
            if not moved:
                break
        if self.next < len(self.stream) or any(self.queues):
            raise CheckError(self._deadlock())
        self._check_empty()

    def _send(self) -> bool:
        """Send as many instructions as fit; return whether any moved."""
        start = self.next
        while self.next < len(self.stream):
            work = self.stream[self.next]
            unit = work.instruction.unit
            if unit is Unit.CTL:
                if isinstance(work.instruction, Fence | Halt):
                    if any(self.queues):
                        break
                    self._fence()
            else:
                queue = unit - Unit.LD
                if len(self.queues[queue]) >= self.chip.queue_depth:
                    break
                self.sent[queue] += 1
                sent = _Sent(work, self.next, self.sent[queue], tuple(self.sent))
                self.queues[queue].append(sent)
            self.next += 1
        return self.next > start

    def _fence(self) -> None:
        """Everything sent is complete for everyone; empty semaphores forget their owners."""
        for clock in self.clocks:
            clock[:] = self.sent
        for semaphore in self.semaphores:
            if semaphore.value == 0:
                semaphore.reset()

    def _start(self, queue: int) -> Iterator[Placed]:
        """Start instructions of a queue until one has to wait."""
        pending, clock = self.queues[queue], self.clocks[queue]
        while pending:
            work, position, sequence, sent = pending[0]
            if not self._take(work, queue, sequence):
                return
            pending.popleft()
            yield Placed(work, position, queue, sequence, tuple(clock))
            if work.instruction.signal is not None:
                self._give(work, queue, sequence, sent)

    def _take(self, work: Work, queue: int, sequence: int) -> bool:
        """Take the tokens of the wait, if there is one; False when they are not there yet."""
        wait = work.instruction.wait
        if wait is None:
            return True
        semaphore = self.semaphores[wait.semaphore]
        if semaphore.value < wait.count:
            return False
        if semaphore.taker not in (None, queue):
            raise CheckError(_two_owners(work, semaphore, "waited for", semaphore.taker, queue))
        semaphore.taker = queue
        semaphore.value -= wait.count
        semaphore.taken += wait.count
        semaphore.taken_at.append(sequence)
        semaphore.taken_total.append(semaphore.taken)
        clock = self.clocks[queue]
        while semaphore.signals and semaphore.signals[0].total < semaphore.taken:
            semaphore.signals.popleft()
        for i, known in enumerate(semaphore.signals[0].clock):
            clock[i] = max(clock[i], known)
        return True

    def _give(self, work: Work, queue: int, sequence: int, sent: tuple[int, ...]) -> None:
        signal = work.instruction.signal
        assert signal is not None, "called only for instructions that signal"
        semaphore = self.semaphores[signal.semaphore]
        if semaphore.giver not in (None, queue):
            raise CheckError(_two_owners(work, semaphore, "raised", semaphore.giver, queue))
        semaphore.giver = queue
        semaphore.value += signal.count
        semaphore.raised += signal.count
        clock = list(self.clocks[queue])
        clock[queue] = sequence
        semaphore.signals.append(_Signal(semaphore.raised, tuple(clock)))
        self._check_maximum(work, semaphore, clock, sent)

    def _check_maximum(
        self, work: Work, semaphore: _Semaphore, clock: list[int], sent: tuple[int, ...]
    ) -> None:
        """Refuse a signal that could pass the maximum in some timing.

        Waits known to have taken their tokens: those complete by the clock, and those that must
        have left the taker's queue for this instruction to have been sent.
        """
        if semaphore.raised <= self.chip.semaphore_max:
            return
        taken = 0
        if semaphore.taker is not None:
            begun = max(clock[semaphore.taker], sent[semaphore.taker] - self.chip.queue_depth)
            place = bisect_right(semaphore.taken_at, begun)
            taken = semaphore.taken_total[place - 1] if place else 0
        if semaphore.raised - taken > self.chip.semaphore_max:
            raise CheckError(
                f"{_name(work)}: semaphore {semaphore.number} may hold {semaphore.raised - taken} "
                f"tokens, above the chip's {self.chip.semaphore_max}; make its giver wait"
            )

    def _deadlock(self) -> str:
        """Describe a state in which nothing can move."""
        heads = []
        for unit, queue in zip(UNITS, self.queues, strict=True):
            if queue:
                wait = queue[0].work.instruction.wait
                assert wait is not None, "a head that does not wait would have started"
                held = self.semaphores[wait.semaphore].value
                heads.append(
                    f"{unit.name} at {_name(queue[0].work)} waits for {wait.count} on semaphore "
                    f"{wait.semaphore} (holds {held})"
                )
            else:
                heads.append(f"{unit.name} empty")
        if self.next < len(self.stream):
            heads.append(f"sequencer at {_name(self.stream[self.next])}")
        tokens = ", ".join(f"{s.number}: {s.value}" for s in self.semaphores if s.value)
        return (
            f"deadlock: {'; '.join(heads)}; semaphores above zero: {tokens or 'none'}; add the "
            "missing signal or move it earlier"
        )

    def _check_empty(self) -> None:
        for semaphore in self.semaphores:
            if semaphore.value:
                raise CheckError(
                    f"semaphore {semaphore.number} ends with {semaphore.value} tokens: "
                    f"{semaphore.raised} given, {semaphore.taken} taken since the last FENCE that "
                    "found it empty; take as many as are given"
                )


def _name(work: Work) -> str:
    return f"instruction {work.index} ({format_instruction(work.instruction)})"


def _two_owners(
    work: Work, semaphore: _Semaphore, what: str, first: int | None, second: int
) -> str:
    assert first is not None, "called only when there is a first owner"
    return (
        f"{_name(work)}: semaphore {semaphore.number} is {what} by {UNITS[first].name} and "
        f"{UNITS[second].name}, so tokens do not say whose work is done; use one semaphore each"
    )
