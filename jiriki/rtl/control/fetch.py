"""Instruction fetch: the buffer of 64 words and what it asks the DRAM port for.

In: the word the sequencer stands at and, for the cycle after, the oldest word it must not lose.
Out: that word when it has arrived, and bursts to fetch. Follows "Fetch" of
docs/reference/timing.md. Indices count instructions from the program's first.

A word's slot is its index modulo 64. A burst claims its slots (tags) when it is granted; words that
arrive for a slot claimed again since are dropped.
"""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import fifo, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from jiriki.chip import ChipConfig
from jiriki.isa.encoding import WORD_BYTES
from jiriki.rtl.errors import RtlError
from jiriki.rtl.interfaces import fetch_signature
from jiriki.rtl.layouts import WORD_BITS

FETCH_WORDS = 64
INDEX_BITS = 28  # of 32-bit byte addresses, in instructions of 16 bytes
_BURSTS = 64  # bursts on their way


class Fetch(wiring.Component):
    """The instruction buffer; `here` and `word` are combinational from `at`."""

    def __init__(self, chip: ChipConfig) -> None:
        beat, burst = chip.dram_bytes_per_cycle, chip.dram_burst_bytes
        if burst < WORD_BYTES or burst > FETCH_WORDS * WORD_BYTES:
            raise RtlError(
                f"chip {chip.name}: dram_burst_bytes = {burst} is not 16 to 1024, whole "
                "instructions that fit the buffer; change the chip's TOML"
            )
        self.per = burst // WORD_BYTES  # words of a burst
        self.beat_words = max(1, beat // WORD_BYTES)  # words of a beat, or ...
        self.word_beats = max(1, WORD_BYTES // beat)  # ... beats of a word
        super().__init__({
            "port": Out(fetch_signature(chip)),
            "base": In(32),  # byte address of the program, a multiple of dram_burst_bytes
            "words": In(INDEX_BITS + 1),  # instructions of the program
            "on": In(1),
            "start": In(1),  # forget everything; the next cycle is the first
            "at": In(INDEX_BITS),
            "keep": In(INDEX_BITS),  # of the cycle after this
            "halts": In(1),  # nothing more is needed
            "here": Out(1),  # the word at `at` has arrived before this cycle
            "word": Out(WORD_BITS),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        slot_bits = ceil_log2(FETCH_WORDS)
        m.submodules.buffer = buffer = memory.Memory(shape=WORD_BITS, depth=FETCH_WORDS, init=[])
        read = buffer.read_port(domain="comb")
        tags = Array(Signal(INDEX_BITS, name=f"tag{i}") for i in range(FETCH_WORDS))
        claimed, present = Signal(FETCH_WORDS), Signal(FETCH_WORDS)
        next_ = Signal(INDEX_BITS)  # the word to fetch next
        slot, missing = self.at[:slot_bits], Signal()
        m.d.comb += [
            read.addr.eq(slot),
            self.word.eq(read.data),
            missing.eq(~(claimed.bit_select(slot, 1) & (tags[slot] == self.at))),
            self.here.eq(self.on & ~missing & present.bit_select(slot, 1)),
        ]
        first, block_end = Signal(INDEX_BITS), Signal(INDEX_BITS + 1)
        end, count = Signal(INDEX_BITS + 1), Signal(range(self.per + 1))
        block = ceil_log2(self.per)
        m.d.comb += [
            first.eq(Mux(missing, self.at, next_)),
            block_end.eq(((first >> block) + 1) << block),
            end.eq(Mux(block_end > self.words, self.words, block_end)),
            count.eq(end - first),
            self.port.valid.eq(
                self.on & ~self.halts & (first < self.words)
                & (block_end <= self.keep + FETCH_WORDS)
            ),
            self.port.address.eq(self.base + (first << 4)),
            self.port.bytes.eq(count << 4),
        ]  # fmt: skip
        self._arrive(m, first, count, buffer, tags, present)
        with m.If(self.port.grant):  # a claim outdoes the arrival of the slot's old word
            m.d.sync += next_.eq(end)
            self._claim(m, first, count, tags, claimed, present)
        with m.Elif(missing):
            m.d.sync += next_.eq(self.at)
        with m.If(self.start):
            m.d.sync += [next_.eq(0), claimed.eq(0), present.eq(0)]
        return m

    def _claim(
        self, m: Module, first: Signal, count: Signal, tags: Array, claimed: Signal, present: Signal
    ) -> None:
        """Give the slots of a burst their new words."""
        for i in range(FETCH_WORDS):
            offset = Signal(range(FETCH_WORDS), name=f"offset{i}")
            m.d.comb += offset.eq(i - first)
            with m.If(offset < count):
                m.d.sync += [tags[i].eq(first + offset), claimed[i].eq(1), present[i].eq(0)]

    def _arrive(
        self, m: Module, first: Signal, count: Signal, buffer: memory.Memory, tags: Array,
        present: Signal,
    ) -> None:  # fmt: skip
        """Put arriving words into their slots, if these still wait for them."""
        m.submodules.bursts = bursts = fifo.SyncFIFOBuffered(
            width=INDEX_BITS + len(count), depth=_BURSTS
        )
        burst_first, burst_count = bursts.r_data[:INDEX_BITS], bursts.r_data[INDEX_BITS:]
        done, part = Signal.like(count), Signal(range(self.word_beats))
        last_part = part == self.word_beats - 1
        finishes = Signal()
        m.d.comb += [
            bursts.w_data.eq(Cat(first, count)), bursts.w_en.eq(self.port.grant),
            finishes.eq(self.port.beat_valid & last_part & (done + self.beat_words >= burst_count)),
            bursts.r_en.eq(finishes),
        ]  # fmt: skip
        with m.If(self.port.beat_valid):
            m.d.sync += part.eq(Mux(last_part, 0, part + 1))
            with m.If(last_part):
                m.d.sync += done.eq(Mux(finishes, 0, done + self.beat_words))
        held = Signal(WORD_BITS)  # the earlier beats of a word
        whole = self.port.beat
        if self.word_beats > 1:
            whole = Cat(held, self.port.beat)[-WORD_BITS:]
            with m.If(self.port.beat_valid):
                m.d.sync += held.eq(whole)
        # A burst that begins inside a beat of several words carries its words in their places.
        skip = burst_first[: ceil_log2(self.beat_words)] if self.beat_words > 1 else Const(0, 1)
        for i in range(self.beat_words):
            index, valid = Signal(INDEX_BITS, name=f"index{i}"), Signal(name=f"valid{i}")
            aligned = burst_first + done - Mux(done == 0, 0, skip)
            place = i - Mux(done == 0, skip, 0) if self.beat_words > 1 else 0
            m.d.comb += [
                index.eq(aligned + place),
                valid.eq(
                    self.port.beat_valid & last_part & (index >= burst_first)
                    & (index < burst_first + burst_count)
                ),
            ]  # fmt: skip
            write = buffer.write_port()
            slot = index[: ceil_log2(FETCH_WORDS)]
            wanted = valid & (tags[slot] == index)
            m.d.comb += [
                write.addr.eq(slot), write.en.eq(wanted),
                write.data.eq(whole.word_select(i, WORD_BITS)),
            ]  # fmt: skip
            with m.If(wanted):
                m.d.sync += present.bit_select(slot, 1).eq(1)
