"""Replies: a status and a payload to the bytes of one reply.

In: the fields of a reply, its payload byte by byte. Out: bytes for the line. Follows `frames.py`.
"""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from jiriki.rtl.board.frames import CHECKSUM, REPLY_HEADER, REPLY_START
from jiriki.rtl.board.receive import STATUS_BITS
from jiriki.rtl.board.uart import BITS


class ReplySender(wiring.Component):
    """Sends a reply after `start`; `tag`, `status` and `length` stay until `done`."""

    def __init__(self) -> None:
        super().__init__({
            "start": In(1), "done": Out(1),
            "tag": In(8), "status": In(STATUS_BITS), "length": In(16),
            "payload": In(stream.Signature(BITS)),
            "bytes": Out(stream.Signature(BITS)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC().create()
        out, count, checksum = self.bytes, Signal(16), Signal(8 * CHECKSUM.size)
        sent = out.valid & out.ready
        header = Cat(
            Const(REPLY_START, 8), self.tag, self.status, Const(0, 8 - STATUS_BITS), self.length
        )
        m.d.comb += [crc.data.eq(out.payload)]
        with m.If(sent):
            m.d.sync += count.eq(count + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += count.eq(0)
                m.d.comb += crc.start.eq(1)
                with m.If(self.start):
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [
                    out.valid.eq(1), out.payload.eq(header.word_select(count[:3], 8)),
                    crc.valid.eq(sent & (count != 0)),
                ]  # fmt: skip
                with m.If(sent & (count == REPLY_HEADER.size - 1)):
                    m.d.sync += count.eq(0)
                    m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                with m.If(count == self.length):
                    m.d.sync += [count.eq(0), checksum.eq(crc.crc)]
                    m.next = "CHECKSUM"
                with m.Else():
                    m.d.comb += [
                        out.valid.eq(self.payload.valid), out.payload.eq(self.payload.payload),
                        self.payload.ready.eq(out.ready), crc.valid.eq(sent),
                    ]  # fmt: skip
            with m.State("CHECKSUM"):
                m.d.comb += [out.valid.eq(1), out.payload.eq(checksum)]
                with m.If(sent):
                    m.d.sync += checksum.eq(checksum >> 8)
                with m.If(sent & (count == CHECKSUM.size - 1)):
                    m.next = "LAST"
            with m.State("LAST"), m.If(out.ready):  # the line has carried the last byte
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        return m
