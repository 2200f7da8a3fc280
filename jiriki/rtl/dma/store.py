"""ST in gates: reads chunks of the scratchpad into a buffer and, behind it in order, sends bursts.

In: instruction words, lines of the scratchpad. Out: reads (chunks and GATHER's index), bursts and
their beats to the DRAM port. Follows "ST" of docs/reference/timing.md. Latency: a word taken in
cycle *t* can start in *t* + 3; its first chunk is read in that very cycle. What is read in a cycle
enters the buffer at the end of the next; its burst may be granted in that next cycle, as the port
takes a beat's data a cycle after it has taken the beat.

The buffer holds 4 bursts as a ring of bytes, in two memories, even and odd rows of a beat. It is
written at `tail`, read at `head`; DRAM lane l of a beat is byte head + l, head being the place of
lane 0 even where the burst begins later.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import Out

from jiriki.chip import ChipConfig
from jiriki.rtl.dma.backlog import Backlog
from jiriki.rtl.dma.bursts import Bursts
from jiriki.rtl.dma.chunks import Chunks
from jiriki.rtl.dma.decode import Decode
from jiriki.rtl.dma.lanes import across_rows, lowest, turned
from jiriki.rtl.dma.records import STORE_BURSTS, Sizes, dram_layout, store_port_signature
from jiriki.rtl.interfaces import State, read_signature, unit_signature


class StoreUnit(wiring.Component):
    """See the module."""

    def __init__(self, chip: ChipConfig) -> None:
        self.chip, self.sizes = chip, Sizes(chip)
        self.room = STORE_BURSTS * self.sizes.block
        super().__init__(
            {
                "unit": Out(unit_signature()),
                "r": Out(read_signature(chip)),
                "index": Out(read_signature(chip)),
                "port": Out(store_port_signature(chip)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        m.submodules.decode = decode = Decode(self.chip, store=True)
        m.submodules.bursts = bursts = Bursts(self.chip)
        m.submodules.chunks = chunks = Chunks(self.chip, store=True)
        unit, record = self.unit, decode.out.payload
        armed, work, started = Signal(), Signal(), Signal()
        loads, frees, starts, reads = Signal(), Signal(), Signal(), Signal()
        wiring.connect(m, wiring.flipped(unit.word), decode.word)
        wiring.connect(m, wiring.flipped(self.index), bursts.index)
        m.d.comb += [
            unit.want.eq(armed & ~started),
            unit.work.eq(work),
            starts.eq(unit.go & work),
            reads.eq(armed & work & (started | unit.go)),
            frees.eq(Mux(work, chunks.ends, unit.go)),
            decode.out.ready.eq(~armed | frees),
            loads.eq(decode.out.valid & decode.out.ready),
            chunks.load.eq(loads), chunks.record.eq(record.sp),
        ]  # fmt: skip
        with m.If(unit.go):
            m.d.sync += started.eq(1)
        with m.If(frees):
            m.d.sync += armed.eq(0)
        with m.If(loads):
            m.d.sync += [armed.eq(1), started.eq(0), work.eq(record.work)]
        sends = self._order(m, bursts, loads & record.work, record.dram, starts)
        read, refused = self._read(m, chunks, reads)
        on_port = self._send(m, bursts, chunks)
        reads_index = bursts.index.valid.any() & bursts.index.grant
        with m.If(read | reads_index | on_port | (unit.go & ~work)):
            m.d.comb += unit.state.eq(State.BUSY)
        with m.Elif(refused | bursts.asks):
            m.d.comb += unit.state.eq(State.BANK)
        with m.Elif(reads | sends):
            m.d.comb += unit.state.eq(State.DRAM)
        return m

    def _order(
        self, m: Module, bursts: Bursts, comes: Value, record: Value, starts: Signal
    ) -> Signal:
        """Queue the send side of instructions; return whether its oldest has started."""
        depth = self.chip.queue_depth
        m.submodules.backlog = backlog = Backlog(dram_layout(self.sizes), depth)
        armed, opened, active = Signal(), Signal(range(depth + 1)), Signal()
        m.d.comb += [
            backlog.push.eq(comes), backlog.entry.eq(record),
            backlog.take.eq(backlog.valid & (~armed | bursts.ends)),
            bursts.load.eq(backlog.take), bursts.record.eq(backlog.oldest),
            active.eq((opened != 0) | starts), bursts.active.eq(active),
        ]  # fmt: skip
        with m.If(backlog.take):
            m.d.sync += armed.eq(1)
        with m.Elif(bursts.ends):
            m.d.sync += armed.eq(0)
        m.d.sync += opened.eq(opened + starts - bursts.ends)
        return active

    def _read(self, m: Module, chunks: Chunks, reads: Signal) -> tuple[Value, Value]:
        """Read chunks while the buffer has room; return whether something is read, refused."""
        sizes, r = self.sizes, self.r
        self.used = Signal(range(self.room + 1))  # bytes read and not yet off the port
        m.d.comb += [
            chunks.most.eq(sizes.block),
            chunks.act.eq(reads & (self.used + chunks.bytes <= self.room)),
            r.valid.eq(chunks.valid), r.lines.eq(chunks.lines), chunks.grant.eq(r.grant),
        ]  # fmt: skip
        self._keep(m, chunks)
        asks = chunks.act & ~chunks.fill
        return chunks.act & (chunks.fill | r.grant), asks & ~r.grant

    def _keep(self, m: Module, chunks: Chunks) -> None:
        """Put what was read in the cycle before into the buffer, at its tail."""
        sizes = self.sizes
        comes, length = Signal(), Signal.like(chunks.bytes)
        start, fill, value = Signal.like(chunks.start), Signal(), Signal(8)
        scatter = Signal()
        m.d.sync += [
            comes.eq(chunks.moves), length.eq(chunks.bytes), start.eq(chunks.start),
            fill.eq(chunks.fill), value.eq(chunks.fill_byte),
            scatter.eq(chunks.scatter),
        ]  # fmt: skip
        ring, row = Signal(8 * sizes.ring), start[sizes.beat_bits :]
        here, there = Signal(8 * sizes.beat), Signal(8 * sizes.beat)  # rows of the ring
        m.d.comb += [
            ring.eq(Cat(self.r.data[c] for c in range(self.chip.columns))),
            here.eq(ring.word_select(row, 8 * sizes.beat)),
            there.eq(ring.word_select((row + 1)[: len(row)], 8 * sizes.beat)),
        ]
        beside = across_rows(here, there, start[: sizes.beat_bits], sizes.beat)
        tail = Signal(range(self.room))
        with m.If(comes):
            m.d.sync += tail.eq(tail + length)
        scattered = self._scattered(m, chunks, ring)
        flat = Signal(8 * sizes.beat)
        turn = Signal(sizes.beat_bits)  # lanes to the right, so that byte i is in lane tail + i
        with m.If(fill):
            m.d.comb += flat.eq(value.replicate(sizes.beat))
        with m.Elif(scatter):
            m.d.comb += [flat.eq(scattered), turn.eq(-tail)]
        with m.Else():
            m.d.comb += [flat.eq(beside), turn.eq(start - tail)]
        lanes, touched = Signal(8 * sizes.beat), Signal(2 * sizes.beat)
        m.d.comb += [
            lanes.eq(turned(flat, turn, sizes.beat)),
            touched.eq(lowest(length, sizes.beat) << tail[: sizes.beat_bits]),
        ]
        self._buffer(m, comes, tail >> sizes.beat_bits, lanes, touched)

    def _scattered(self, m: Module, chunks: Chunks, ring: Signal) -> Value:
        """Collect the bytes of SCATTER_BYTES over the levels of their chunk."""
        lanes = self.sizes.lanes
        served, places = Signal(lanes), Signal.like(chunks.places)
        got = Signal(8 * lanes)  # in earlier levels
        m.d.sync += [served.eq(chunks.served), places.eq(chunks.places)]
        now = Signal(8 * lanes)
        for j in range(lanes):
            read = ring.word_select(places[j], 8)
            m.d.comb += now.word_select(j, 8).eq(Mux(served[j], read, got.word_select(j, 8)))
        m.d.sync += got.eq(now)
        return now

    def _buffer(self, m: Module, writes: Signal, row: Value, lanes: Value, enables: Value) -> None:
        """Build the two memories; the beat read is that of `head`."""
        sizes = self.sizes
        rows, beat = self.room // sizes.beat // 2, sizes.beat
        self.head = Signal(range(self.room))
        halves = []
        at = self.head >> sizes.beat_bits
        for odd in range(2):
            half = memory.Memory(shape=8 * beat, depth=rows, init=[])
            m.submodules["odd_rows" if odd else "even_rows"] = half
            write, read = half.write_port(granularity=8), half.read_port(domain="comb")
            first = row[0] == odd  # it holds the row of the tail, else the one after
            target = (row >> 1) if odd else ((row + 1) >> 1)
            source = (at >> 1) if odd else ((at + 1) >> 1)
            m.d.comb += [
                write.addr.eq(target), read.addr.eq(source), write.data.eq(lanes),
                write.en.eq(Mux(writes, Mux(first, enables[:beat], enables[beat:]), 0)),
            ]  # fmt: skip
            halves.append(read.data)
        even, odd = halves
        here, there = Mux(at[0], odd, even), Mux(at[0], even, odd)
        self.window = Signal(8 * beat)  # byte head + l in lane (head + l) modulo the beat
        m.d.comb += self.window.eq(across_rows(here, there, self.head[: sizes.beat_bits], beat))

    def _send(self, m: Module, bursts: Bursts, chunks: Chunks) -> Value:
        """Send bursts that are held whole; return whether one is on the port."""
        port = self.port
        held = Signal(range(self.room + 1))  # bytes read and not granted
        sent = Signal(range(self.room))  # place in the buffer of the next burst
        on_port, final, length = Signal(), Signal(), Signal.like(bursts.bytes)
        request = bursts.request
        gone = Mux(request.grant, bursts.bytes, length)  # of the burst on the port
        m.d.comb += [
            bursts.room.eq(held >= bursts.bytes),
            port.valid.eq(request.valid), port.beats.eq(request.beats),
            port.address.eq(request.address), request.grant.eq(port.grant),
            self.unit.done.eq(port.take & port.last & Mux(request.grant, bursts.ends, final)),
        ]  # fmt: skip
        m.d.sync += [
            held.eq(held + Mux(chunks.moves, chunks.bytes, 0) - Mux(request.grant, gone, 0)),
            self.used.eq(
                self.used + Mux(chunks.moves, chunks.bytes, 0)
                - Mux(port.take & port.last, gone, 0)
            ),
            on_port.eq((on_port | request.grant) & ~(port.take & port.last)),
        ]  # fmt: skip
        with m.If(request.grant):
            m.d.sync += [
                length.eq(bursts.bytes), final.eq(bursts.ends), sent.eq(sent + bursts.bytes),
            ]  # fmt: skip
        self._beats(m, bursts, sent)
        return on_port | request.grant

    def _beats(self, m: Module, bursts: Bursts, sent: Signal) -> None:
        """Present the beat taken in the cycle before: head, and which lanes belong to it."""
        sizes, port = self.sizes, self.port
        fresh = bursts.request.grant
        ahead, skip = Signal.like(self.head), Signal(sizes.beat_bits)  # of the next beat
        remains = Signal(range(sizes.beat + sizes.block))  # lanes from its lane 0 to the end
        base, low, wide = Signal.like(ahead), Signal.like(skip), Signal.like(remains)
        m.d.comb += [
            base.eq(Mux(fresh, sent - bursts.place, ahead)),
            low.eq(Mux(fresh, bursts.place, skip)),
            wide.eq(Mux(fresh, bursts.place + bursts.bytes, remains)),
        ]
        first, end = Signal.like(low), Signal.like(wide)
        m.d.sync += [ahead.eq(base), skip.eq(low), remains.eq(wide)]
        with m.If(port.take):
            m.d.sync += [
                self.head.eq(base), first.eq(low), end.eq(wide),
                ahead.eq(base + sizes.beat), skip.eq(0), remains.eq(wide - sizes.beat),
            ]  # fmt: skip
        m.d.comb += [
            port.data.eq(turned(self.window, self.head[: sizes.beat_bits], sizes.beat)),
            port.strobe.eq(Cat((first <= lane) & (end > lane) for lane in range(sizes.beat))),
        ]
