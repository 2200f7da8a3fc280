"""The link: requests of the host become accesses of the tile's registers and of memory.

In: the serial line. Out: the line, an AXI4-Lite master for the mailbox, beats for memory, a reset.
One request at a time; what it may touch is checked before anything is touched (`frames.py`).
"""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import exact_log2

from jiriki.chip import ChipConfig
from jiriki.rtl.board.frames import IDENTITY, WINDOW_BYTES, Code, Status, identity
from jiriki.rtl.board.memory import port_signature
from jiriki.rtl.board.receive import RequestReceiver
from jiriki.rtl.board.reply import ReplySender
from jiriki.rtl.board.settings import BoardSettings
from jiriki.rtl.board.uart import Receiver, Transmitter
from jiriki.rtl.control.mailbox import ADDRESS_BITS
from jiriki.rtl.memory.axi import RESP_OKAY, axi4_lite_signature

REGISTER_BYTES = 4


class Link(wiring.Component):
    """See the module."""

    def __init__(self, chip: ChipConfig, settings: BoardSettings) -> None:
        self.settings, self.bytes = settings, chip.dram_bytes_per_cycle  # of a beat
        known = identity(settings.sdram.memory_bytes, settings.clock_hz, chip.content_hash()).ljust(
            -(-IDENTITY.size // self.bytes) * self.bytes, b"\0"
        )
        self.lines = [known[i : i + self.bytes] for i in range(0, len(known), self.bytes)]
        super().__init__({
            "rx": In(1), "tx": Out(1),
            "control": Out(axi4_lite_signature(ADDRESS_BITS)),
            "memory": Out(port_signature(self.bytes)),
            "reset": Out(1),
            "refused": Out(1),  # a request was not acted on
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m, settings = Module(), self.settings
        m.submodules.uart_rx = uart_rx = Receiver(settings.divisor)
        m.submodules.uart_tx = uart_tx = Transmitter(settings.divisor)
        m.submodules.request = self.request = RequestReceiver(settings.quiet_cycles)
        m.submodules.reply = self.reply = ReplySender()
        connect(m, self.reply.bytes, uart_tx.bytes)
        m.d.comb += [
            uart_rx.line.eq(self.rx), self.tx.eq(uart_tx.line),
            self.request.byte_valid.eq(uart_rx.valid), self.request.byte.eq(uart_rx.data),
            self.request.byte_bad.eq(uart_rx.bad),
        ]  # fmt: skip
        self.line, self.place = Signal(8 * self.bytes), Signal(range(self.bytes + 1))  # bytes in it
        self.done = Signal(range(WINDOW_BYTES + 1))  # bytes moved
        self._memory(m)
        self._states(m)
        return m

    def _wrong(self) -> Value:
        """Say whether the request names what is not there."""
        request, beat = self.request, exact_log2(self.bytes)
        address, length = request.address, request.length
        register = (address[:2] == 0) & (address >> ADDRESS_BITS == 0)
        inside = (address + length) <= self.settings.sdram.memory_bytes
        fits = (length != 0) & (length <= WINDOW_BYTES)
        memory = (Cat(address[:beat], length[:beat]) == 0) & inside & fits
        right = {
            Code.PING: Const(1), Code.RESET: Const(1), Code.READ_REGISTER: register,
            Code.WRITE_REGISTER: register & (length == REGISTER_BYTES),
            Code.READ_MEMORY: memory, Code.WRITE_MEMORY: memory,
        }  # fmt: skip
        assert right.keys() == {*Code}, "every code is checked"
        return ~Cat((request.code == code) & rule for code, rule in right.items()).any()

    def _memory(self, m: Module) -> None:
        beat = exact_log2(self.bytes)
        m.d.comb += [
            self.memory.beat.eq((self.request.address + self.done) >> beat),
            self.memory.data.eq(self.line), self.memory.strobe.eq(~0),
        ]  # fmt: skip

    def _states(self, m: Module) -> None:
        request, reply = self.request, self.reply
        code, status = request.code, Signal.like(request.status)
        m.d.comb += [reply.tag.eq(request.tag), reply.status.eq(status)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [self.done.eq(0), self.place.eq(0), reply.length.eq(0)]
                m.d.sync += status.eq(request.status)
                with m.If(request.valid & (request.status != Status.OK)):
                    m.next = "REPLY"
                with m.Elif(request.valid & self._wrong()):
                    m.d.sync += status.eq(Status.REFUSED)
                    m.next = "REPLY"
                with m.Elif(request.valid):
                    self._dispatch(m)
            with m.State("GATHER"):
                self._gather(m)
            with m.State("WRITE MEMORY"):
                m.d.comb += [self.memory.valid.eq(1), self.memory.write.eq(1)]
                with m.If(self.memory.ready):
                    m.d.sync += self.done.eq(self.done + self.bytes)
                    m.next = "GATHER"
                    with m.If(self.done + self.bytes == request.length):
                        m.next = "REPLY"
            self._registers(m, status)
            with m.State("REPLY"):
                m.d.comb += [reply.start.eq(1), self.refused.eq(status != Status.OK)]
                m.d.sync += self.done.eq(0)
                m.next = "PAYLOAD"
            self._payload(m)
            with m.State("TAKE"):
                m.d.comb += request.take.eq(1)
                m.d.comb += self.reset.eq((code == Code.RESET) & (status == Status.OK))
                m.next = "IDLE"

    def _dispatch(self, m: Module) -> None:
        request, reply = self.request, self.reply
        with m.Switch(request.code):
            with m.Case(Code.PING):
                m.d.sync += reply.length.eq(IDENTITY.size)
                m.next = "REPLY"
            with m.Case(Code.READ_REGISTER):
                m.d.sync += reply.length.eq(REGISTER_BYTES)
                m.next = "READ REGISTER"
            with m.Case(Code.READ_MEMORY):
                m.d.sync += reply.length.eq(request.length)
                m.next = "REPLY"
            with m.Case(Code.WRITE_REGISTER, Code.WRITE_MEMORY):
                m.next = "GATHER"
            with m.Case(Code.RESET):
                m.next = "REPLY"

    def _gather(self, m: Module) -> None:
        """Bring a line of the payload from its buffer, a byte a cycle, each a cycle late."""
        request, register = self.request, self.request.code == Code.WRITE_REGISTER
        m.d.comb += request.at.eq(self.done + self.place)
        m.d.sync += [
            self.place.eq(self.place + 1), self.line.eq(Cat(self.line, request.data)[8:]),
        ]  # fmt: skip
        with m.If(self.place == Mux(register, REGISTER_BYTES, self.bytes)):
            m.d.sync += self.place.eq(0)
            m.next = "WRITE MEMORY"
            with m.If(register):
                m.next = "WRITE REGISTER"

    def _registers(self, m: Module, status: Signal) -> None:
        """Access the mailbox."""
        axi, address = self.control, self.request.address
        sent, data_sent = Signal(), Signal()
        m.d.comb += [
            axi.awaddr.eq(address), axi.araddr.eq(address), axi.wstrb.eq(~0),
            axi.wdata.eq(self.line[-8 * REGISTER_BYTES :]),
        ]  # fmt: skip
        with m.State("WRITE REGISTER"):
            m.d.comb += [axi.awvalid.eq(~sent), axi.wvalid.eq(~data_sent), axi.bready.eq(1)]
            m.d.sync += [
                sent.eq(sent | axi.awready), data_sent.eq(data_sent | axi.wready),
            ]  # fmt: skip
            with m.If(axi.bvalid):
                m.d.sync += [sent.eq(0), data_sent.eq(0)]
                m.d.sync += status.eq(Mux(axi.bresp == RESP_OKAY, Status.OK, Status.FAILED))
                m.next = "REPLY"
        with m.State("READ REGISTER"):
            m.d.comb += [axi.arvalid.eq(~sent), axi.rready.eq(1)]
            m.d.sync += sent.eq(sent | axi.arready)
            with m.If(axi.rvalid):
                m.d.sync += [sent.eq(0), self.line.eq(axi.rdata), self.place.eq(REGISTER_BYTES)]
                m.d.sync += status.eq(Mux(axi.rresp == RESP_OKAY, Status.OK, Status.FAILED))
                m.next = "REPLY"

    def _payload(self, m: Module) -> None:
        """Hand the reply its payload, from `line`, which holds `place` more bytes of it."""
        request, reply = self.request, self.reply
        lines = Array(Const(int.from_bytes(line, "little"), 8 * self.bytes) for line in self.lines)
        with m.State("PAYLOAD"):
            with m.If(reply.done):
                m.next = "TAKE"
            with m.Elif((self.done != reply.length) & (self.place == 0)):
                m.next = "FILL"
            with m.Elif(self.done != reply.length):
                m.d.comb += [reply.payload.valid.eq(1), reply.payload.payload.eq(self.line)]
                with m.If(reply.payload.ready):
                    m.d.sync += [
                        self.line.eq(self.line >> 8), self.done.eq(self.done + 1),
                        self.place.eq(self.place - 1),
                    ]  # fmt: skip
        with m.State("FILL"):
            m.d.sync += self.place.eq(self.bytes)
            with m.If(request.code == Code.PING):
                m.d.sync += self.line.eq(lines[self.done[exact_log2(self.bytes) :]])
                m.next = "PAYLOAD"
            with m.Else():
                m.d.comb += self.memory.valid.eq(1)
                with m.If(self.memory.ready):
                    m.next = "ANSWER"
        with m.State("ANSWER"), m.If(self.memory.answer_valid):
            m.d.sync += self.line.eq(self.memory.answer)
            m.next = "PAYLOAD"
