"""Chunks: the scratchpad side of one instruction, piece by piece; LD's far and ST's near side.

In: a record, and in each cycle whether the next chunk may be accessed and how long it may be. Out:
the columns and lines of one level of it, which bytes it touches, and when it is complete. Latency:
a record loaded at the end of a cycle is accessed in the next.

A chunk is the next bytes of a run, at most a beat; its words lie side by side and are one level,
since the columns hold a beat at any address (`Sizes` checks it). Bytes are counted around the
*ring*, one line of all columns: byte p of the ring belongs to column p / ku. SCATTER_BYTES takes 8
bytes a chunk, a stride apart, served level by level.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from types import SimpleNamespace

from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from jiriki.chip import ChipConfig
from jiriki.rtl.dma.lanes import lowest
from jiriki.rtl.dma.records import COUNT_BITS, DRAM_BITS, Sizes, sp_layout
from jiriki.rtl.dma.walk import Walk
from jiriki.rtl.interfaces import Level, line_bits


class Chunks(wiring.Component):
    """See the module. `store`: ST's, whose FILL is one run and touches no scratchpad."""

    def __init__(self, chip: ChipConfig, *, store: bool) -> None:
        self.chip, self.sizes, self.store = chip, Sizes(chip), store
        sizes = self.sizes
        super().__init__(
            {
                "load": In(1),
                "record": In(sp_layout(sizes)),
                "most": In(range(sizes.block + 1)),  # bytes that the next chunk may have
                "bytes": Out(range(sizes.beat + 1)),  # that it has
                "act": In(1),  # it may be accessed in this cycle
                "valid": Out(chip.columns),
                "lines": Out(data.ArrayLayout(line_bits(chip), chip.columns)),
                "grant": In(1),
                "moves": Out(1),  # it is complete with this cycle
                "ends": Out(1),  # ... and was the last
                "fill": Out(1),
                "fill_byte": Out(8),
                "scatter": Out(1),
                "start": Out(sizes.ring_bits),  # place of its first byte in the ring
                "enables": Out(sizes.ring),  # bytes of the ring it touches (not of SCATTER_BYTES)
                "served": Out(sizes.lanes),  # SCATTER_BYTES: its bytes served in this cycle
                "places": Out(data.ArrayLayout(sizes.ring_bits, sizes.lanes)),  # of its bytes
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        sizes, record = self.sizes, self.record
        m.submodules.walk = walk = Walk(sizes.sp_bits, DRAM_BITS)
        at = Signal(sizes.sp_bits)
        left, run = Signal(DRAM_BITS), Signal(DRAM_BITS)
        limit, remains = Signal(range(sizes.beat + 1)), Signal(DRAM_BITS)
        ends_run = Signal()
        m.d.comb += [
            walk.load.eq(self.load),
            walk.record.eq(record.walk),
            limit.eq(Mux(self.scatter, sizes.lanes, sizes.beat)),
            remains.eq(left),
            self.start.eq(at),
        ]
        shorter = Mux(left < limit, left, limit)
        m.d.comb += self.bytes.eq(Mux(self.most < shorter, self.most, shorter))
        if self.store:
            self._dense_fill(m, left, remains)
        m.d.comb += [
            ends_run.eq(self.moves & (remains == self.bytes)),
            walk.step.eq(ends_run),
            self.ends.eq(ends_run & walk.last),
        ]
        after = self._access(m, at)
        with m.If(self.moves):
            m.d.sync += [
                at.eq(Mux(ends_run, walk.following, after)),
                left.eq(Mux(ends_run, run, remains - self.bytes)),
            ]
        with m.If(self.load):
            m.d.sync += [
                at.eq(record.walk.address), left.eq(record.walk.run), run.eq(record.walk.run),
                self.fill.eq(record.fill), self.fill_byte.eq(record.fill_byte),
                self.scatter.eq(record.scatter),
            ]  # fmt: skip
        return m

    def _dense_fill(self, m: Module, left: Signal, remains: Signal) -> None:
        """Multiply the last factor of FILL's length in the record's first cycle."""
        fresh = Signal()
        times, first = Signal(COUNT_BITS), Signal(range(self.sizes.beat + 1))
        m.d.sync += fresh.eq(self.load & self.record.fill)
        with m.If(self.load):
            m.d.sync += [times.eq(self.record.times), first.eq(self.record.first)]
        with m.If(fresh):
            m.d.comb += [remains.eq(left * times), self.bytes.eq(first)]
            m.d.sync += left.eq(remains)  # unless the first chunk moves now

    def _access(self, m: Module, at: Signal) -> Signal:
        """Choose between words side by side and scattered ones; return the address after."""
        sizes, ku = self.sizes, self.chip.ku
        scattered = self._scatter(m, at)
        length, beside = Signal(range(sizes.beat + 1)), Signal(sizes.ring + sizes.beat)
        line, column = at >> sizes.ring_bits, self.start[exact_log2(ku) :]
        access = Signal()  # it needs the scratchpad
        m.d.comb += [
            length.eq(self.bytes),
            beside.eq(lowest(length, sizes.beat) << self.start),
            self.enables.eq(beside[: sizes.ring] | beside[sizes.ring :]),
            access.eq(self.act & ~self.fill if self.store else self.act),
        ]
        for c in range(self.chip.columns):
            touched = self.enables[c * ku : (c + 1) * ku].any()
            beyond = line + (Const(c) < column)  # the run goes on in the next line
            m.d.comb += [
                self.valid[c].eq(access & Mux(self.scatter, scattered.valid[c], touched)),
                self.lines[c].eq(Mux(self.scatter, scattered.lines[c], beyond)),
            ]
        last, after = ~self.scatter | scattered.last, Signal(sizes.sp_bits)
        m.d.comb += [
            self.moves.eq(self.act & (~access | (self.grant & last))),
            after.eq(Mux(self.scatter, scattered.after, at + self.bytes)),
        ]
        return after

    def _scatter(self, m: Module, at: Signal) -> SimpleNamespace:
        """Build SCATTER_BYTES: the level of its bytes' words, and where it goes on."""
        sizes, lanes = self.sizes, self.sizes.lanes
        m.submodules.level = level = Level(self.chip, lanes)
        stride = Signal(sizes.sp_bits)
        with m.If(self.load):
            m.d.sync += stride.eq(self.record.byte_stride)
        place = [Signal(sizes.sp_bits, name=f"byte{j}") for j in range(lanes + 1)]
        pending, midway, rest = Signal(lanes), Signal(), Signal(lanes)
        low = exact_log2(self.chip.ku)
        for j in range(lanes + 1):
            m.d.comb += place[j].eq(at + stride * j)
        for j in range(lanes):
            wanted = self.bytes > j
            if not self.store:  # with a stride of 0 the last byte written stays
                wanted &= (stride != 0) | (self.bytes == j + 1)
            m.d.comb += [
                pending[j].eq(Mux(midway, rest[j], wanted)),
                level.words[j].eq(place[j][low:]),
                self.places[j].eq(place[j]),
            ]
        left = pending & ~level.served
        m.d.comb += [level.pending.eq(pending), self.served.eq(level.served)]
        with m.If(self.act & self.grant & self.scatter):
            m.d.sync += [midway.eq(left.any()), rest.eq(left)]
        after = Signal(sizes.sp_bits, name="after_scatter")
        m.d.comb += after.eq(Array(place)[self.bytes])
        return SimpleNamespace(valid=level.valid, lines=level.lines, last=~left.any(), after=after)
