"""The front of a unit: first in, first out; never more than there is room for; ends in order.

The book is a second front, written as lists that shift: what was sent and not started, what was
started and not completed. One word, any that the solver chooses, is followed to the unit.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest
from amaranth.asserts import AnyConst
from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal, Value

from jiriki.chip import load_chip
from jiriki.rtl.control import front
from jiriki.rtl.interfaces import DISPATCH_CYCLES
from jiriki.rtl.layouts import header
from tests.rtl.formal.prove import first_of, free, inside, mutated, prove

DEPTH = 3  # no power of two: pointers wrap by comparing
CHIP = replace(load_chip("nano"), name="three", queue_depth=DEPTH)
WORKS = 2
COUNT_BITS = 6
QUICK, LONG = 8, 11  # cycles looked at


class Shifting:
    """A list of at most DEPTH values: the oldest first."""

    def __init__(self, m: Module, name: str, bits: int) -> None:
        self.m, self.items = m, [Signal(bits, name=f"{name}{i}") for i in range(DEPTH)]
        self.fill = Signal(range(DEPTH + 2), name=f"{name}_fill")
        self.oldest = self.items[0]

    def step(self, push: Value, value: Value, pop: Value) -> None:
        """Take the oldest away, put one at the end, each if asked."""
        shifted = [Mux(pop, b, a) for a, b in zip(self.items, [*self.items[1:], 0], strict=True)]
        place = self.fill - pop
        for i, item in enumerate(self.items):
            self.m.d.sync += item.eq(Mux(push & (place == i), value, shifted[i]))
        self.m.d.sync += self.fill.eq(place + push)


class Book(Elaboratable):
    """The front and its book, side by side."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut = self.module.Front(CHIP, WORKS)
        m.submodules.dut, _ = inside(dut)
        free(m, dut)
        unit, sends = dut.unit, dut.send.valid & dut.send.ready
        queue = Shifting(m, "queued", 32)
        queue.step(sends, dut.send.payload[:32], unit.go)
        head = header(queue.oldest)
        sent, handed = (Signal(COUNT_BITS, name=n) for n in ("sent", "handed"))
        hands = unit.word.valid & unit.word.ready
        m.d.sync += [sent.eq(sent + sends), handed.eq(handed + hands)]
        started = (sent - queue.fill)[:COUNT_BITS]
        m.d.comb += [
            Assume(~unit.want | (started < handed)),  # a unit wants to start what it was given
            Assert(queue.fill <= DEPTH), Assert(handed <= sent),
            Assert(dut.send.ready == (queue.fill != DEPTH)),
            Assert(unit.word.valid == (sent != handed)),
        ]  # fmt: skip
        eligible = self._eligible(m, sent) > started
        fill, place = self._ring(m, dut, head)
        m.d.comb += [
            Assert(dut.want == (eligible & place & unit.want)),
            Assert(unit.go == (dut.want & dut.tokens)),
            Assert(dut.wait == (eligible & head.wait_en)),
            Assert(dut.idle == ((queue.fill == 0) & (fill == 0))),
        ]
        with m.If(dut.wait):
            m.d.comb += [
                Assert(dut.wait_semaphore == head.wait_sem),
                Assert(dut.wait_tokens == head.wait_count),
            ]
        return m

    def _eligible(self, m: Module, sent: Signal) -> Signal:
        """Return how many words were sent DISPATCH_CYCLES ago or before."""
        for i in range(DISPATCH_CYCLES - 1):
            later = Signal(COUNT_BITS, name=f"sent{i}")
            m.d.sync += later.eq(sent)
            sent = later
        return sent

    def _ring(self, m: Module, dut: front.Front, head: object) -> tuple[Signal, Value]:
        """Follow what is started until it completes; return how much, and whether more may."""
        unit = dut.unit
        entry = Cat(unit.work, head.sig_en, head.sig_sem, head.sig_count)
        ring = Shifting(m, "started", len(entry))
        works, ends = Signal(3), Signal(3)  # works not completed; own ends among them
        tracked = unit.work | head.sig_en
        pushes = unit.go & tracked
        empty = ring.fill == 0
        first = Signal(len(entry))
        m.d.comb += first.eq(Mux(empty, entry, ring.oldest))
        due = Mux(empty, pushes & ~unit.work, ~ring.oldest[0] | (ends + unit.done != 0))
        m.d.comb += [
            Assume(ends + unit.done <= works),  # a unit ends what it started before
            Assert(dut.completes == due), Assert(dut.signal == (due & first[1])),
            Assert(ring.fill <= DEPTH), Assert(works <= WORKS),
        ]  # fmt: skip
        with m.If(dut.signal):
            fields = Cat(dut.signal_semaphore, dut.signal_tokens)
            m.d.comb += Assert(fields == first[2:])
        ring.step(pushes, entry, dut.completes)
        ended = dut.completes & first[0]
        m.d.sync += [
            works.eq(works + (unit.go & unit.work) - ended), ends.eq(ends + unit.done - ended)
        ]  # fmt: skip
        room = (ring.fill != DEPTH) & ~(unit.work & (works == WORKS))
        return ring.fill, ~tracked | room


class Word(Elaboratable):
    """A bit of one word, any that the solver chooses: it comes out in its turn, as it went in."""

    BIT = 100  # any other is kept the same way

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut = self.module.Front(CHIP)
        m.submodules.dut, _ = inside(dut)
        free(m, dut)
        sent, handed, chosen = (Signal(COUNT_BITS, name=n) for n in ("sent", "handed", "chosen"))
        sends, hands = (s.valid & s.ready for s in (dut.send, dut.unit.word))
        started = Signal(COUNT_BITS)
        m.d.comb += [
            chosen.eq(AnyConst(COUNT_BITS)),
            Assume(~dut.unit.want | (started < handed)),
            Assert(handed <= sent),
        ]
        m.d.sync += [
            sent.eq(sent + sends), handed.eq(handed + hands), started.eq(started + dut.unit.go)
        ]  # fmt: skip
        bit = Signal()
        with m.If(sends & (sent == chosen)):
            m.d.sync += bit.eq(dut.send.payload[self.BIT])
        with m.If(hands & (handed == chosen)):
            m.d.comb += Assert(dut.unit.word.payload[self.BIT] == bit)
        return m


@pytest.mark.parametrize("cycles", [QUICK, pytest.param(LONG, marks=pytest.mark.full)])
def test_front_keeps_its_book(cycles: int) -> None:
    verdict = prove(Book(front), cycles, flatten=True)
    assert verdict.holds, verdict.answer


@pytest.mark.parametrize("cycles", [QUICK, pytest.param(LONG, marks=pytest.mark.full)])
def test_words_come_out_as_they_went_in(cycles: int) -> None:
    verdict = prove(Word(front), cycles, flatten=True)
    assert verdict.holds, verdict.answer


@pytest.mark.full
def test_a_word_out_of_its_turn_is_found() -> None:
    fault = ("((sent, accepted), (handed, taken)", "((sent, accepted), (handed, unit.go)")
    assert not prove(Word(mutated(front, *fault)), QUICK, flatten=True).holds


MUTATIONS = {
    "the queue takes one too many": ("self.send.ready.eq(count != depth)", "self.send.ready.eq(1)"),
    "a word can start a cycle early": (
        "Signal(DISPATCH_CYCLES - 1)", "Signal(DISPATCH_CYCLES - 2)",
    ),
    "pointers wrap one late": (
        "pointer.eq(Mux(pointer == depth - 1, 0, pointer + 1))", "pointer.eq(pointer + 1)",
    ),
    "a signal passes work before it": ("& self.head.sig_en & (count == 0)", "& self.head.sig_en"),
    "an end between two is lost": (
        "done.eq(done + unit.done - (leaves & oldest[0]))", "done.eq(unit.done)",
    ),
    "one context too many": ("works == self.works", "works == self.works + 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", first_of(MUTATIONS))
def test_a_planted_fault_is_found(name: str) -> None:
    assert not prove(Book(mutated(front, *MUTATIONS[name])), LONG, flatten=True).holds
