"""LD in gates: requests bursts from DRAM and, behind it in order, writes their bytes.

In: instruction words, beats from the DRAM port. Out: requests to the port, reads of GATHER's index,
writes of the scratchpad. Follows "LD" of docs/reference/timing.md. Latency: a word taken in cycle
*t* can start in *t* + 3; its first request (index read; FILL: write) is made in that very cycle. A
chunk is written at the earliest in the cycle after its last beat arrived.

The write side is armed together with the request side, ahead of the start, and held until then:
`open` counts instructions started and not yet written. Beats wait in two memories, even and odd
ones, so that the two beats a chunk may touch are read at once.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import Out
from amaranth.utils import exact_log2

from jiriki.chip import ChipConfig
from jiriki.rtl.dma.backlog import Backlog
from jiriki.rtl.dma.bursts import Bursts
from jiriki.rtl.dma.chunks import Chunks
from jiriki.rtl.dma.decode import Decode
from jiriki.rtl.dma.lanes import across_rows, turned
from jiriki.rtl.dma.records import Sizes, load_port_signature, sp_layout
from jiriki.rtl.interfaces import State, read_signature, unit_signature, write_signature


class LoadUnit(wiring.Component):
    """See the module."""

    def __init__(self, chip: ChipConfig) -> None:
        self.chip, self.sizes = chip, Sizes(chip)
        super().__init__(
            {
                "unit": Out(unit_signature()),
                "w": Out(write_signature(chip)),
                "index": Out(read_signature(chip)),
                "port": Out(load_port_signature(chip)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        m.submodules.decode = decode = Decode(self.chip, store=False)
        m.submodules.bursts = bursts = Bursts(self.chip)
        m.submodules.chunks = chunks = Chunks(self.chip, store=False)
        unit, record = self.unit, decode.out.payload
        armed, work, started, fill = Signal(), Signal(), Signal(), Signal()
        loads, frees, starts = Signal(), Signal(), Signal()
        wiring.connect(m, wiring.flipped(unit.word), decode.word)
        wiring.connect(m, wiring.flipped(self.index), bursts.index)
        m.d.comb += [
            unit.want.eq(armed & ~started),
            unit.work.eq(work),
            starts.eq(unit.go & work),
            frees.eq(Mux(work & ~fill, bursts.ends, unit.go)),
            decode.out.ready.eq(~armed | frees),
            loads.eq(decode.out.valid & decode.out.ready),
            bursts.load.eq(loads), bursts.record.eq(record.dram),
            bursts.active.eq(armed & work & ~fill & (started | unit.go)),
        ]  # fmt: skip
        request, port = bursts.request, self.port
        m.d.comb += [
            port.valid.eq(request.valid), port.beats.eq(request.beats),
            port.address.eq(request.address), request.grant.eq(port.grant),
        ]  # fmt: skip
        with m.If(unit.go):
            m.d.sync += started.eq(1)
        with m.If(frees):
            m.d.sync += armed.eq(0)
        with m.If(loads):
            m.d.sync += [armed.eq(1), started.eq(0), work.eq(record.work), fill.eq(record.fill)]
        active = self._order(m, chunks, loads & record.work, record.sp, starts)
        wrote = self._write(m, bursts, chunks, active)
        reads_index = bursts.index.valid.any() & bursts.index.grant
        with m.If(bursts.request.grant | reads_index | wrote | (unit.go & ~work)):
            m.d.comb += unit.state.eq(State.BUSY)
        with m.Elif(bursts.asks):
            m.d.comb += unit.state.eq(State.BANK)
        with m.Elif(bursts.request.valid):
            m.d.comb += unit.state.eq(State.DRAM)
        with m.Elif(active):
            m.d.comb += unit.state.eq(State.DATA)
        return m

    def _order(
        self, m: Module, chunks: Chunks, comes: Value, record: Value, starts: Signal
    ) -> Signal:
        """Queue the write side of instructions; return whether its oldest has started."""
        depth = self.chip.queue_depth
        m.submodules.backlog = backlog = Backlog(sp_layout(self.sizes), depth)
        armed, opened, active = Signal(), Signal(range(depth + 1)), Signal()
        m.d.comb += [
            backlog.push.eq(comes), backlog.entry.eq(record),
            backlog.take.eq(backlog.valid & (~armed | chunks.ends)),
            chunks.load.eq(backlog.take), chunks.record.eq(backlog.oldest),
            active.eq((opened != 0) | starts),
            self.unit.done.eq(chunks.ends),
        ]  # fmt: skip
        with m.If(backlog.take):
            m.d.sync += armed.eq(1)
        with m.Elif(chunks.ends):
            m.d.sync += armed.eq(0)
        m.d.sync += opened.eq(opened + starts - chunks.ends)
        return active

    def _write(self, m: Module, bursts: Bursts, chunks: Chunks, active: Signal) -> Signal:
        """Take bytes off the oldest burst and write them; return whether something is written."""
        sizes = self.sizes
        flight = Signal(range(self.chip.dram_bursts_in_flight + 1))
        m.submodules.sent = sent = Backlog(
            data.StructLayout({"place": sizes.beat_bits, "bytes": range(sizes.block + 1)}),
            self.chip.dram_bursts_in_flight,
        )
        place, left = Signal(sizes.beat_bits), Signal(range(sizes.block + 1))  # of the oldest
        after = Signal(range(2 * sizes.beat + 1))  # the place after the chunk
        takes, ends_burst = Signal(), Signal()
        m.d.comb += [
            bursts.room.eq(flight != self.chip.dram_bursts_in_flight),
            sent.push.eq(bursts.request.grant),
            sent.entry.place.eq(bursts.place), sent.entry.bytes.eq(bursts.bytes),
            chunks.most.eq(Mux(chunks.fill, sizes.block, left)),
            after.eq(place + chunks.bytes),
            takes.eq(chunks.moves & ~chunks.fill),
            ends_burst.eq(takes & (left == chunks.bytes)),
            sent.take.eq(sent.valid & ((left == 0) | ends_burst)),
        ]  # fmt: skip
        m.d.sync += flight.eq(flight + bursts.request.grant - ends_burst)
        with m.If(takes):
            m.d.sync += [place.eq(after), left.eq(left - chunks.bytes)]
        with m.If(sent.take):
            m.d.sync += [place.eq(sent.oldest.place), left.eq(sent.oldest.bytes)]
        beats, have = self._beats(m, takes, after, ends_burst)
        two = after > sizes.beat
        there = (left != 0) & Mux(two, have > 1, have != 0)
        m.d.comb += chunks.act.eq(active & (chunks.fill | there))
        self._columns(m, chunks, place, beats)
        wrote = Signal()
        m.d.comb += wrote.eq(chunks.act & chunks.grant)
        return wrote

    def _beats(
        self, m: Module, takes: Signal, after: Signal, ends_burst: Signal
    ) -> tuple[list[Value], Signal]:
        """Store arriving beats; return the two oldest and how many there are."""
        sizes, port = self.sizes, self.port
        rows = self.chip.dram_bursts_in_flight * sizes.block_beats
        rows += rows % 2
        have, put, get = (
            Signal(range(rows + 1)), Signal(range(rows)), Signal(range(rows)),
        )  # fmt: skip
        gone = Signal(2)  # beats used up with this chunk
        whole = after >> sizes.beat_bits
        partly = after[: sizes.beat_bits].any() if sizes.beat_bits else Const(0)
        m.d.comb += gone.eq(Mux(takes, whole + (ends_burst & partly), 0))
        m.d.sync += have.eq(have + port.beat_valid - gone)
        with m.If(port.beat_valid):
            m.d.sync += put.eq(Mux(put == rows - 1, 0, put + 1))
        ahead = Signal(range(rows + 2))
        m.d.comb += ahead.eq(get + gone)
        m.d.sync += get.eq(Mux(ahead >= rows, ahead - rows, ahead))
        halves = []
        for odd in range(2):
            half = memory.Memory(shape=8 * sizes.beat, depth=rows // 2, init=[])
            m.submodules[("odd" if odd else "even") + "_beats"] = half
            write, read = half.write_port(), half.read_port(domain="comb")
            row = get >> 1 if odd else (get + 1) >> 1  # of the oldest, or of the one after it
            m.d.comb += [
                write.en.eq(port.beat_valid & (put[0] == odd)), write.addr.eq(put >> 1),
                write.data.eq(port.beat),
                read.addr.eq(row if odd else Mux(row == rows // 2, 0, row)),
            ]  # fmt: skip
            halves.append(read.data)
        even, odd = halves
        return [Mux(get[0], odd, even), Mux(get[0], even, odd)], have

    def _columns(self, m: Module, chunks: Chunks, place: Signal, beats: list[Value]) -> None:
        """Put the chunk's bytes into their columns."""
        sizes, chip, w = self.sizes, self.chip, self.w
        window, flow = Signal(8 * sizes.beat), Signal(8 * sizes.beat)
        turn = Signal(sizes.beat_bits)  # from lanes of the beat to those of the ring
        filled = chunks.fill_byte.replicate(sizes.beat)
        m.d.comb += [
            window.eq(Mux(chunks.fill, filled, across_rows(*beats, place, sizes.beat))),
            turn.eq(place - chunks.start),
            flow.eq(turned(window, turn, sizes.beat)),
        ]
        ring = flow.replicate(max(1, sizes.ring // sizes.beat))
        scattered = self._scattered(m, chunks, Cat(window, window), place)
        m.d.comb += [w.valid.eq(chunks.valid), w.lines.eq(chunks.lines), chunks.grant.eq(w.grant)]
        width = 8 * chip.ku
        for c in range(chip.columns):
            enables = chunks.enables[c * chip.ku : (c + 1) * chip.ku]
            beside = Cat(ring[c * width : (c + 1) * width], enables)
            m.d.comb += Cat(w.data[c], w.bytes[c]).eq(Mux(chunks.scatter, scattered[c], beside))

    def _scattered(self, m: Module, chunks: Chunks, twice: Value, place: Signal) -> list[Value]:
        """Return for each column the word and byte enables of SCATTER_BYTES."""
        chip, low = self.chip, exact_log2(self.chip.ku)
        words, columns = [], []
        for j in range(self.sizes.lanes):
            value = twice.word_select((place + j)[: self.sizes.beat_bits + 1], 8)
            word = Signal(9 * chip.ku, name=f"word{j}")  # bytes, and which of them
            column = Signal(range(chip.columns), name=f"column{j}")
            m.d.comb += column.eq(chunks.places[j] >> low)
            for b in range(chip.ku):
                here = chunks.served[j] & ((chunks.places[j][:low] == b) if low else 1)
                m.d.comb += [
                    word.word_select(b, 8).eq(Mux(here, value, 0)),
                    word[8 * chip.ku + b].eq(here),
                ]
            words.append(word)
            columns.append(column)
        out = []
        for c in range(chip.columns):
            parts = [Mux(column == c, word, 0) for word, column in zip(words, columns, strict=True)]
            joined = Signal(9 * chip.ku, name=f"joined{c}")
            total = parts[0]
            for part in parts[1:]:
                total = total | part
            m.d.comb += joined.eq(total)
            out.append(joined)
        return out
