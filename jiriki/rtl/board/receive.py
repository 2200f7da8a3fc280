"""Requests: bytes of the line to one whole request, its checksum looked at.

In: bytes. Out: the fields of a request and what is wrong with it, until it is taken; its payload in
a buffer that is read a cycle after its address. Follows `frames.py`.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from jiriki.rtl.board.frames import (
    CHECKSUM,
    PAYLOAD_FOLLOWS,
    REQUEST_HEADER,
    REQUEST_START,
    WINDOW_BYTES,
    Status,
)
from jiriki.rtl.board.uart import BITS

STATUS_BITS = 3


class RequestReceiver(wiring.Component):
    """See the module; bytes that come while a request waits to be taken are lost."""

    def __init__(self, quiet_cycles: int) -> None:
        self.quiet_cycles = quiet_cycles
        super().__init__({
            "byte_valid": In(1), "byte": In(BITS), "byte_bad": In(1),
            "valid": Out(1), "take": In(1),
            "status": Out(STATUS_BITS), "tag": Out(8), "code": Out(8), "length": Out(16),
            "address": Out(32),
            "at": In(ceil_log2(WINDOW_BYTES)), "data": Out(BITS),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        header, self.count = Signal(8 * REQUEST_HEADER.size), Signal(range(WINDOW_BYTES + 1))
        m.d.comb += Cat(self.tag, self.code, self.length, self.address).eq(header)
        m.submodules.crc = self.crc = CRC32_ISO_HDLC().create()
        m.d.comb += [self.crc.data.eq(self.byte), self.crc.valid.eq(self.byte_valid)]
        self.keeps = Signal()  # the byte is of the payload
        self._buffer(m)
        still, quiet = Signal(range(self.quiet_cycles + 1)), Signal()
        m.d.comb += quiet.eq(still == self.quiet_cycles)
        with m.If(self.byte_valid):
            m.d.sync += [still.eq(0), self.count.eq(self.count + 1)]
        with m.Elif(~quiet):
            m.d.sync += still.eq(still + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.crc.start.eq(1), self.crc.valid.eq(0)]
                m.d.sync += [self.count.eq(0), self.status.eq(Status.OK)]
                with m.If(self.byte_valid & (self.byte == REQUEST_START)):
                    m.next = "HEADER"
            with m.State("HEADER"):
                with m.If(self.byte_valid):
                    m.d.sync += header.eq(Cat(header[8:], self.byte))
                self._then(m, REQUEST_HEADER.size, "SIZE", quiet)
            with m.State("SIZE"):
                self._size(m)
            with m.State("PAYLOAD"):
                m.d.comb += self.keeps.eq(self.byte_valid)
                self._then(m, self.length, "CHECKSUM", quiet)
            with m.State("CHECKSUM"):
                self._then(m, CHECKSUM.size, "LOOK", quiet)
            with m.State("LOOK"):
                m.next = "DONE"
                with m.If(~self.crc.match_detected):
                    self._flush(m, Status.CHECKSUM)
            with m.State("FLUSH"), m.If(quiet):
                m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.valid.eq(1)
                with m.If(self.take):
                    m.next = "IDLE"
        return m

    def _buffer(self, m: Module) -> None:
        m.submodules.payload = payload = memory.Memory(shape=BITS, depth=WINDOW_BYTES, init=[])
        put, get = payload.write_port(), payload.read_port()
        m.d.comb += [
            put.addr.eq(self.count), put.data.eq(self.byte), put.en.eq(self.keeps),
            get.addr.eq(self.at), get.en.eq(1), self.data.eq(get.data),
        ]  # fmt: skip

    def _then(self, m: Module, n: object, state: str, quiet: Signal) -> None:
        """Go on to `state` after n bytes; a byte without its stop bit, or silence, ends it."""
        with m.If(self.byte_valid & self.byte_bad):
            self._flush(m, Status.CHECKSUM)
        with m.Elif(self.byte_valid & (self.count == n - 1)):
            m.d.sync += self.count.eq(0)
            m.next = state
        with m.Elif(quiet):
            m.d.sync += self.status.eq(Status.CUT_SHORT)
            m.next = "DONE"

    def _size(self, m: Module) -> None:
        """Decide what follows the header (no byte ends in this cycle: a bit lasts several)."""
        follows = (self.code & PAYLOAD_FOLLOWS).any()
        with m.If(follows & (self.length > WINDOW_BYTES)):
            self._flush(m, Status.CHECKSUM)
        with m.Elif(follows & (self.length != 0)):
            m.next = "PAYLOAD"
        with m.Else():
            m.next = "CHECKSUM"

    def _flush(self, m: Module, status: Status) -> None:
        m.d.sync += self.status.eq(status)
        m.next = "FLUSH"
