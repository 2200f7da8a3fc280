"""The front of a unit: its queue, the permission to start, and the order of completions.

In: instructions from the sequencer. Out: the same words to the unit (which decodes them at once),
`go` for the oldest when its time, tokens and place are there, and the signal of each instruction
at its end. Follows "Units, queues and completion" of docs/reference/timing.md.

Three pointers walk the queue's memory: sent, handed to the unit, started. A second ring holds what
has started and not completed (work, and whatever signals); one completes a cycle, in order.
"""

from enum import IntEnum

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from jiriki.chip import ChipConfig
from jiriki.isa.encoding import HEADER
from jiriki.rtl.interfaces import DISPATCH_CYCLES, unit_signature
from jiriki.rtl.layouts import WORD_BITS, header


class Idle(IntEnum):
    """Why a unit without work has none."""

    INSTRUCTION = 0  # the queue is empty, or its head was sent just now
    COMPLETION = 1
    SEMAPHORE = 2
    STARTED = 3  # a one-cycle instruction starts in this cycle


class Front(wiring.Component):
    """Queue and completion ring of one unit; `works` bounds the work in flight (0: only the ring).

    send: accepted when ready; ready says that there was a place at the beginning of the cycle.
    """

    def __init__(self, chip: ChipConfig, works: int = 0) -> None:
        self.chip, self.works = chip, works
        self.depth = chip.queue_depth
        sem, wait, sig = (HEADER[n][1] for n in ("wait_sem", "wait_count", "sig_count"))
        super().__init__({
            "send": In(stream.Signature(WORD_BITS)),
            "unit": In(unit_signature()),
            "wait": Out(1),
            "wait_semaphore": Out(sem),
            "wait_tokens": Out(wait),
            "tokens": In(1),
            "want": Out(1),  # all but the tokens are there
            "signal": Out(1),
            "signal_semaphore": Out(sem),
            "signal_tokens": Out(sig),
            "idle": Out(1),  # nothing queued, nothing incomplete, at the beginning of the cycle
            "reason": Out(Idle),
            "completes": Out(1),  # an instruction that works or signals completes in this cycle
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        self._queue(m)
        place = self._ring(m)
        unit = self.unit
        m.d.comb += [
            self.want.eq(self.eligible & place & unit.want),
            unit.go.eq(self.want & self.tokens),
        ]
        with m.If(~self.eligible):
            m.d.comb += self.reason.eq(Idle.INSTRUCTION)
        with m.Elif(unit.go & ~unit.work):
            m.d.comb += self.reason.eq(Idle.STARTED)
        with m.Elif(~place):
            m.d.comb += self.reason.eq(Idle.COMPLETION)
        with m.Else():
            m.d.comb += self.reason.eq(Idle.SEMAPHORE)
        return m

    def _queue(self, m: Module) -> None:
        """Build the queue: words wait in a memory, their headers in registers."""
        depth, unit = self.depth, self.unit
        m.submodules.words = words = memory.Memory(shape=WORD_BITS, depth=depth, init=[])
        write, read = words.write_port(), words.read_port(domain="comb")
        sent, handed, started = (
            Signal(range(depth), name=n) for n in ("sent", "handed", "started")
        )
        count, waiting = Signal(range(depth + 1)), Signal(range(depth + 1))
        accepted, taken = Signal(), Signal()
        m.d.comb += [
            self.send.ready.eq(count != depth),
            accepted.eq(self.send.valid & self.send.ready),
            write.addr.eq(sent), write.data.eq(self.send.payload), write.en.eq(accepted),
            read.addr.eq(handed),
            unit.word.payload.eq(read.data), unit.word.valid.eq(waiting != 0),
            taken.eq(unit.word.valid & unit.word.ready),
        ]  # fmt: skip
        for pointer, step in ((sent, accepted), (handed, taken), (started, unit.go)):
            with m.If(step):
                m.d.sync += pointer.eq(Mux(pointer == depth - 1, 0, pointer + 1))
        m.d.sync += [
            count.eq(count + accepted - unit.go),
            waiting.eq(waiting + accepted - taken),
        ]
        heads = Array(Signal(32, name=f"head{i}") for i in range(depth))
        with m.If(accepted):
            m.d.sync += heads[sent].eq(self.send.payload[:32])
        self.head = header(heads[started])
        delay = Signal(DISPATCH_CYCLES - 1)
        old = Signal(range(depth + 1))  # instructions sent long enough ago
        m.d.sync += [
            delay.eq(Cat(accepted, delay[:-1])),
            old.eq(old + delay[-1] - unit.go),
        ]
        self.eligible = Signal()
        self.queue_empty = Signal()
        m.d.comb += [self.eligible.eq(old != 0), self.queue_empty.eq(count == 0)]
        m.d.comb += [
            self.wait.eq(self.head.wait_en & self.eligible),
            self.wait_semaphore.eq(self.head.wait_sem),
            self.wait_tokens.eq(self.head.wait_count),
        ]

    def _ring(self, m: Module) -> Signal:
        """Build the completion ring; return whether the head has a place in it."""
        depth, unit = self.depth, self.unit
        sem, sig = HEADER["sig_sem"][1], HEADER["sig_count"][1]
        entries = Array(Signal(2 + sem + sig, name=f"started{i}") for i in range(depth))
        first, last = Signal(range(depth)), Signal(range(depth))
        count = Signal(range(depth + 1))
        done = Signal(range(depth + 1))  # own ends of work not completed
        works = Signal(range(depth + 1))
        entry = Cat(unit.work, self.head.sig_en, self.head.sig_sem, self.head.sig_count)
        oldest = entries[first]
        place, tracked, through = Signal(), unit.work | self.head.sig_en, Signal()
        limited = Const(0) if not self.works else unit.work & (works == self.works)
        m.d.comb += [
            place.eq(~tracked | ((count != depth) & ~limited)),
            # a signal with nothing before it completes as it starts
            through.eq(unit.go & ~unit.work & self.head.sig_en & (count == 0)),
        ]
        leaves, pushes = Signal(), Signal()
        m.d.comb += [
            leaves.eq((count != 0) & (~oldest[0] | (done != 0) | unit.done)),
            pushes.eq(unit.go & tracked & ~through),
            self.signal.eq(through | (leaves & oldest[1])),
            self.signal_semaphore.eq(Mux(through, self.head.sig_sem, oldest[2 : 2 + sem])),
            self.signal_tokens.eq(Mux(through, self.head.sig_count, oldest[2 + sem :])),
            self.completes.eq(through | leaves),
            self.idle.eq(self.queue_empty & (count == 0)),
        ]
        with m.If(pushes):
            m.d.sync += [entries[last].eq(entry), last.eq(Mux(last == depth - 1, 0, last + 1))]
        with m.If(leaves):
            m.d.sync += first.eq(Mux(first == depth - 1, 0, first + 1))
        m.d.sync += [
            count.eq(count + pushes - leaves),
            done.eq(done + unit.done - (leaves & oldest[0])),
            works.eq(works + (unit.go & unit.work) - (leaves & oldest[0])),
        ]
        return place
