"""Instruction fetch: the word it gives is always the word asked for, whatever is asked and when.

Memory holds at every index the index itself, and in each run another run number. It answers bursts
in order, after any time. The sequencer's side asks for anything: any index in any cycle. A run
begins when no burst is on its way: HALT is the last word of a program, so that all had arrived.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest
from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cat, Elaboratable, Module, Mux, Signal

from jiriki.chip import load_chip
from jiriki.rtl.control import fetch
from tests.rtl.formal.prove import first_of, free, inside, mutated, prove

CHIP = replace(load_chip("nano"), name="short-bursts", dram_burst_bytes=32)
IN_FLIGHT = 3
LATENCY = 3  # the least there is: the port alone takes longer
INDEX_BITS = 8  # of the indices asked for
CYCLES, LONG = 8, 11


def small(module: ModuleType) -> ModuleType:
    """Return fetch with a buffer of four words instead of 64."""
    return mutated(module, "FETCH_WORDS = 64", "FETCH_WORDS = 4")


class Asked(Elaboratable):
    """Fetch between a memory and a sequencer that do what the solver likes."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut = self.module.Fetch(CHIP)
        m.submodules.dut, _ = inside(dut)
        port = dut.port
        free(m, dut, dut.words, port.grant, port.beat_valid, port.beat, dut.base)
        words, run = Signal.like(dut.words), Signal(2)
        m.d.comb += [words.eq(AnyConst(len(words))), dut.words.eq(words)]
        m.d.sync += run.eq(run + dut.start)
        m.d.comb += [
            Assume(dut.words < 1 << INDEX_BITS), Assume(dut.at < 1 << INDEX_BITS),
            Assume(dut.keep < 1 << INDEX_BITS),
        ]  # fmt: skip
        self._memory(m, dut, run)
        with m.If(dut.here):
            m.d.comb += Assert(dut.word[: INDEX_BITS + 2] == Cat(dut.at[:INDEX_BITS], run))
        with m.If(port.valid):
            m.d.comb += [
                Assert(port.address[4:] + (port.bytes >> 4) <= words),
                Assert(port.bytes != 0),
                Assert((port.address & 31) + port.bytes <= 32),  # within an aligned block
            ]
        return m

    def _memory(self, m: Module, dut: fetch.Fetch, run: Signal) -> None:
        """Answer at most IN_FLIGHT bursts, oldest first, a beat in any cycle from LATENCY on."""
        port = dut.port
        firsts = [Signal(INDEX_BITS + 2, name=f"first{i}") for i in range(IN_FLIGHT)]
        counts = [Signal(2, name=f"count{i}") for i in range(IN_FLIGHT)]
        ages = [Signal(range(LATENCY + 1), name=f"age{i}") for i in range(IN_FLIGHT)]
        fill, answers, last = Signal(range(IN_FLIGHT + 1)), Signal(), Signal()
        m.d.comb += [
            port.grant.eq(port.valid & AnySeq(1) & (fill != IN_FLIGHT)),
            answers.eq(AnySeq(1) & (fill != 0) & (ages[0] == LATENCY - 1)),
            last.eq(answers & (counts[0] == 1)),
            port.beat_valid.eq(answers),
            port.beat.eq(firsts[0]),
        ]
        first = Cat(port.address[4 : 4 + INDEX_BITS], run)
        place = fill - last
        for i in range(IN_FLIGHT):
            ahead = i + 1 < IN_FLIGHT
            kept_first = Mux(last, firsts[i + 1] if ahead else 0, firsts[i] + (answers & (i == 0)))
            kept_count = Mux(last, counts[i + 1] if ahead else 0, counts[i] - (answers & (i == 0)))
            old = Mux(last, ages[i + 1] if ahead else 0, ages[i])
            new = port.grant & (place == i)
            m.d.sync += [
                ages[i].eq(Mux(new, 0, Mux(old == LATENCY - 1, old, old + 1))),
                firsts[i].eq(Mux(new, first, kept_first)),
                counts[i].eq(Mux(new, port.bytes >> 4, kept_count)),
            ]
        m.d.sync += fill.eq(place + port.grant)
        m.d.comb += Assume(~dut.start | ((fill == 0) & ~port.grant))


@pytest.mark.parametrize("cycles", [CYCLES, pytest.param(LONG, marks=pytest.mark.full)])
def test_the_word_given_is_the_word_asked_for(cycles: int) -> None:
    verdict = prove(Asked(small(fetch)), cycles, flatten=True)
    assert verdict.holds, verdict.answer


ARRIVES = "        self._arrive(m, first, count, buffer, tags, present)\n"
MUTATIONS = {
    "another word of the same slot is taken for it": (
        "missing.eq(~(claimed.bit_select(slot, 1) & (tags[slot] == self.at)))",
        "missing.eq(~claimed.bit_select(slot, 1))",
    ),
    "a slot claimed anew keeps its word": (
        "claimed[i].eq(1), present[i].eq(0)",
        "claimed[i].eq(1)",
    ),
    "words for a slot claimed anew are kept": ("valid & (tags[slot] == index)", "valid"),
    "a burst passes the end of the program": ("block_end > self.words", "block_end < 0"),
    "an arrival outdoes the claim of its slot": (
        f"{ARRIVES}        with m.If(self.port.grant)",
        "        with m.If(self.port.grant)",
        "next_.eq(self.at)\n",
        f"next_.eq(self.at)\n{ARRIVES}",
    ),
}


@pytest.mark.parametrize("name", first_of(MUTATIONS))
def test_a_planted_fault_is_found(name: str) -> None:
    faulty = mutated(fetch, *MUTATIONS[name], "FETCH_WORDS = 64", "FETCH_WORDS = 4")
    assert not prove(Asked(faulty), LONG, flatten=True).holds
