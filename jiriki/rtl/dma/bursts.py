"""Bursts: the DRAM side of one instruction, cut at aligned blocks; LD's near and ST's far side.

In: a record. Out: requests at the DRAM port, one after the other, and for GATHER the reads of its
index list. Latency: a record loaded at the end of a cycle is requested in the next, if `active`.

GATHER: the index of a run is read in cycle x, arrives in x + 1, and the run's first burst can be
granted from x + 1 on. How long that burst is depends only on the low bits of index * stride, which
a small multiplier gives at once; the address itself is asked for in the cycle after the grant, so
that the 32-bit product has a cycle of its own, from registers.
"""

# pyright: reportAttributeAccessIssue=false

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from jiriki.chip import ChipConfig
from jiriki.rtl.dma.records import DRAM_BITS, INDEX_BYTES, Sizes, burst_members, dram_layout
from jiriki.rtl.dma.walk import Walk
from jiriki.rtl.interfaces import read_signature


class Bursts(wiring.Component):
    """See the module."""

    def __init__(self, chip: ChipConfig) -> None:
        self.chip, self.sizes = chip, Sizes(chip)
        sizes = self.sizes
        super().__init__(
            {
                "load": In(1),
                "record": In(dram_layout(sizes)),
                "active": In(1),  # the record may act in this cycle
                "room": In(1),  # the next burst may be requested (may depend on bytes)
                "request": Out(wiring.Signature(burst_members(sizes))),
                "bytes": Out(range(sizes.block + 1)),  # of the next burst
                "place": Out(sizes.beat_bits),  # of its first byte in its beat
                "ends": Out(1),  # it is granted and was the last
                "index": Out(read_signature(chip)),
                "asks": Out(1),  # an index is still to be read
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        sizes, request = self.sizes, self.request
        m.submodules.walk = walk = Walk(DRAM_BITS, DRAM_BITS)
        address, left, run = (Signal(DRAM_BITS, name=n) for n in ("address", "left", "run"))
        first, indexed = Signal(), Signal()  # at the first byte of a run; its index is read
        phase = Signal(sizes.block_bits)  # place of the next byte in its block
        to_edge, ends_run = Signal(range(sizes.block + 1)), Signal()
        m.d.comb += [
            walk.load.eq(self.load),
            walk.record.eq(self.record.walk),
            to_edge.eq(sizes.block - phase),
            self.bytes.eq(Mux(left < to_edge, left, to_edge)),
            self.place.eq(phase),
            request.beats.eq((self.place + self.bytes + sizes.beat - 1) >> sizes.beat_bits),
            ends_run.eq(request.grant & (left == self.bytes)),
            walk.step.eq(ends_run),
            self.ends.eq(ends_run & walk.last),
        ]
        self._gather(m, walk, address, first, indexed, ends_run, phase)
        with m.If(request.grant):
            m.d.sync += [
                address.eq(Mux(ends_run, walk.following, address + self.bytes)),
                left.eq(Mux(ends_run, run, left - self.bytes)),
                first.eq(ends_run),
            ]
        with m.If(self.load):
            m.d.sync += [
                address.eq(self.record.walk.address),
                left.eq(self.record.walk.run),
                run.eq(self.record.walk.run),
                first.eq(1),
            ]
        return m

    def _gather(
        self, m: Module, walk: Walk, address: Signal, first: Signal, indexed: Signal,
        ends_run: Signal, phase: Signal,
    ) -> None:  # fmt: skip
        """Build the reads of the index list and what they add to addresses."""
        gather, stride = Signal(), Signal(DRAM_BITS, name="gather_stride")
        base, at = Signal(self.sizes.sp_bits), Signal(self.sizes.sp_bits)
        next_at, read_next, arrives = Signal.like(at), Signal(), Signal()
        index = Signal(DRAM_BITS, name="index_value")
        m.d.comb += [
            next_at.eq(Mux(walk.inner_wraps, base, at + INDEX_BYTES)),
            read_next.eq(ends_run & ~walk.last),
            self.asks.eq(self.active & gather & first & ~indexed),
            self.request.valid.eq(self.active & self.room & (~gather | ~first | indexed)),
        ]
        value = self._read(m, self.asks | (gather & read_next), Mux(read_next, next_at, at))
        m.d.sync += arrives.eq(self.index.grant & self.index.valid.any())
        bits = self.sizes.block_bits
        now = Mux(arrives, value[:bits], index[:bits])
        m.d.comb += phase.eq(
            Mux(gather, Mux(first, address[:bits] + now * stride[:bits], 0), address[:bits])
        )
        sent, by, scaled = Signal(DRAM_BITS), Signal(DRAM_BITS), Signal()
        m.d.comb += self.request.address.eq(sent + Mux(scaled, index * by, 0))
        with m.If(arrives):
            m.d.sync += index.eq(value)
        with m.If(self.request.grant):
            m.d.sync += [sent.eq(address), by.eq(stride), scaled.eq(gather)]
        with m.If(ends_run):
            m.d.sync += [indexed.eq(0), at.eq(next_at)]
        with m.If(self.index.grant & self.index.valid.any()):
            m.d.sync += indexed.eq(1)
        with m.If(self.load):
            record = self.record
            m.d.sync += [
                gather.eq(record.gather),
                stride.eq(record.gather_stride),
                base.eq(record.index),
                at.eq(record.index),
                indexed.eq(0),
            ]

    def _read(self, m: Module, asked: Value, at: Value) -> Value:
        """Read the 4 bytes at `at`, words side by side; return what the last read brought."""
        ku, sizes = self.chip.ku, self.sizes
        asks, place = Signal(), Signal(sizes.sp_bits)
        m.d.comb += [asks.eq(asked), place.eq(at)]
        words = max(1, INDEX_BYTES // ku)  # at a multiple of as many
        group = place[exact_log2(words * ku) : sizes.ring_bits]
        for c in range(self.chip.columns):
            m.d.comb += [
                self.index.valid[c].eq(asks & (group == c // words)),
                self.index.lines[c].eq(place[sizes.ring_bits :]),
            ]
        brought = Signal(sizes.ring_bits - exact_log2(INDEX_BYTES))
        m.d.sync += brought.eq(place[exact_log2(INDEX_BYTES) :])
        flat = Cat(self.index.data[c] for c in range(self.chip.columns))
        value = Signal(8 * INDEX_BYTES)
        m.d.comb += value.eq(flat.word_select(brought, 8 * INDEX_BYTES))
        return value
