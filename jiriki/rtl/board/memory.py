"""The board's memory port: whole beats in order, an arbiter, and an AXI4 slave before it.

In: AXI4 bursts of the tile, single beats of the link. Out: one stream of beats for the SDRAM.
A request is taken when `valid` and `ready`; answers of reads come in the order of requests and
cannot be held back.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, fifo, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from jiriki.rtl.dma.records import DRAM_BITS
from jiriki.rtl.memory.axi import RESP_OKAY, axi4_signature

RESP_DECERR = 3  # there is no memory at the address
DEPTH = 4  # reads on their way for the AXI4 slave


def port_signature(beat_bytes: int) -> wiring.Signature:
    """Return the memory port from the point of view of who asks."""
    return wiring.Signature({
        "valid": Out(1),
        "ready": In(1),
        "write": Out(1),
        "beat": Out(DRAM_BITS - exact_log2(beat_bytes)),  # byte address / beat_bytes
        "data": Out(8 * beat_bytes),
        "strobe": Out(beat_bytes),
        "answer_valid": In(1),
        "answer": In(8 * beat_bytes),
    })  # fmt: skip


class Arbiter(wiring.Component):
    """Two ports take turns; the other gets its turn when no answer is on its way."""

    def __init__(self, beat_bytes: int) -> None:
        signature = port_signature(beat_bytes)
        super().__init__({"ports": In(signature).array(2), "memory": Out(signature)})

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        memory, mine, pending = self.memory, Signal(), Signal(range(64))
        had_turn, other_waits = Signal(), Signal()
        asks = Cat(port.valid for port in self.ports)
        gives = Signal()  # no further request of this port, the other waits
        m.d.comb += [
            other_waits.eq(asks.bit_select(~mine, 1)),
            gives.eq(other_waits & (had_turn | ~asks.bit_select(mine, 1))),
        ]
        for i, port in enumerate(self.ports):
            m.d.comb += [port.answer.eq(memory.answer)]
            with m.If(mine == i):
                m.d.comb += [
                    memory.valid.eq(port.valid & ~gives), port.ready.eq(memory.ready & ~gives),
                    memory.write.eq(port.write), memory.beat.eq(port.beat),
                    memory.data.eq(port.data), memory.strobe.eq(port.strobe),
                    port.answer_valid.eq(memory.answer_valid),
                ]  # fmt: skip
        taken = memory.valid & memory.ready
        m.d.sync += pending.eq(pending + (taken & ~memory.write) - memory.answer_valid)
        with m.If(taken):
            m.d.sync += had_turn.eq(1)
        with m.If(gives & (pending == 0)):
            m.d.sync += [mine.eq(~mine), had_turn.eq(0)]
        return m


class AxiMemory(wiring.Component):
    """AXI4 slave, one burst after the other in the order of their addresses' acceptance.

    INCR bursts of full beats. A write is answered when its last beat is in order before whatever
    comes later; an address beyond `memory_bytes` is answered with DECERR and changes nothing.
    """

    def __init__(self, beat_bytes: int, memory_bytes: int) -> None:
        self.beat_bits, self.beats = exact_log2(beat_bytes), memory_bytes // beat_bytes
        super().__init__({
            "axi": In(axi4_signature(DRAM_BITS, 8 * beat_bytes)),
            "memory": Out(port_signature(beat_bytes)),
            "refused": Out(1),  # an address was beyond memory
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it; a read goes first: the tile offers it only after the writes before it."""
        m = Module()
        axi, memory = self.axi, self.memory
        self.left, self.id = Signal(9), Signal.like(axi.arid)
        beat, beyond = Signal.like(memory.beat), Signal()
        push = self._reads(m)
        m.d.comb += [
            beyond.eq(beat >= self.beats), memory.beat.eq(beat),
            memory.data.eq(axi.wdata), memory.strobe.eq(axi.wstrb), axi.bid.eq(self.id),
        ]  # fmt: skip
        moves = Signal()
        with m.If(moves):
            m.d.sync += [beat.eq(beat + 1), self.left.eq(self.left - 1)]
            m.d.comb += self.refused.eq(beyond)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(axi.arvalid):
                    self._begin(m, "ar", beat)
                    m.next = "READ"
                with m.Elif(axi.awvalid):
                    self._begin(m, "aw", beat)
                    m.d.sync += axi.bresp.eq(RESP_OKAY)
                    m.next = "WRITE"
            with m.State("READ"):
                m.d.comb += [
                    memory.valid.eq(self.room & ~beyond),
                    moves.eq(self.room & (memory.ready | beyond)),
                    push.valid.eq(moves), push.payload.beyond.eq(beyond),
                    push.payload.last.eq(self.left == 1), push.payload.id.eq(self.id),
                ]  # fmt: skip
                with m.If(moves & (self.left == 1)):
                    m.next = "IDLE"
            with m.State("WRITE"):
                m.d.comb += [
                    memory.write.eq(1), memory.valid.eq(axi.wvalid & ~beyond),
                    axi.wready.eq(memory.ready | beyond), moves.eq(axi.wvalid & axi.wready),
                ]  # fmt: skip
                with m.If(moves & beyond):
                    m.d.sync += axi.bresp.eq(RESP_DECERR)
                with m.If(moves & (self.left == 1)):
                    m.next = "REPLY"
            with m.State("REPLY"):
                m.d.comb += axi.bvalid.eq(1)
                with m.If(axi.bready):
                    m.next = "IDLE"
        return m

    def _begin(self, m: Module, channel: str, beat: Signal) -> None:
        """Accept an address."""
        axi = self.axi
        m.d.comb += getattr(axi, f"{channel}ready").eq(1)
        m.d.sync += [
            beat.eq(getattr(axi, f"{channel}addr")[self.beat_bits :]),
            self.left.eq(getattr(axi, f"{channel}len") + 1),
            self.id.eq(getattr(axi, f"{channel}id")),
        ]  # fmt: skip

    def _reads(self, m: Module) -> object:
        """Build the R channel, what was asked beside the answers; return its entrance."""
        axi, memory = self.axi, self.memory
        mark = data.StructLayout({"beyond": 1, "last": 1, "id": axi.arid.shape()})
        m.submodules.marks = marks = fifo.SyncFIFO(width=mark.size, depth=DEPTH)
        m.submodules.answers = answers = fifo.SyncFIFO(width=len(memory.answer), depth=DEPTH)
        push = _entrance(mark).create()
        oldest = data.View(mark, marks.r_data)
        self.room = marks.w_rdy
        taken = axi.rvalid & axi.rready
        m.d.comb += [
            marks.w_en.eq(push.valid), marks.w_data.eq(push.payload.as_value()),
            answers.w_en.eq(memory.answer_valid), answers.w_data.eq(memory.answer),
            axi.rvalid.eq(marks.r_rdy & (oldest.beyond | answers.r_rdy)),
            axi.rdata.eq(answers.r_data), axi.rlast.eq(oldest.last), axi.rid.eq(oldest.id),
            axi.rresp.eq(Mux(oldest.beyond, RESP_DECERR, RESP_OKAY)),
            marks.r_en.eq(taken), answers.r_en.eq(taken & ~oldest.beyond),
        ]  # fmt: skip
        return push


def _entrance(mark: data.Layout) -> wiring.Signature:
    return wiring.Signature({"valid": Out(1), "payload": Out(mark)})
