"""UART: bytes from and to a serial line, 8 bits, no parity, one stop bit.

In: a line (idle high), bytes. Out: bytes, a line. A bit lasts `divisor` cycles; the receiver looks
at the middle of each and says when a stop bit was missing.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import cdc, stream, wiring
from amaranth.lib.wiring import In, Out

BITS = 8


class Receiver(wiring.Component):
    """A byte is there for one cycle, half a bit into its stop bit."""

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"line": In(1), "valid": Out(1), "data": Out(BITS), "bad": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m, level = Module(), Signal(init=1)
        m.submodules.synchroniser = cdc.FFSynchronizer(self.line, level, init=1)
        left, bits = Signal(range(self.divisor)), Signal(range(BITS + 1))
        with m.If(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += left.eq(self.divisor // 2 - 1)
                with m.If(~level):
                    m.next = "START"
            with m.State("START"), m.If(left == 0):
                m.d.sync += [left.eq(self.divisor - 1), bits.eq(0)]
                with m.If(level):  # a glitch
                    m.next = "IDLE"
                with m.Else():
                    m.next = "BITS"
            with m.State("BITS"), m.If(left == 0):
                m.d.sync += [left.eq(self.divisor - 1), bits.eq(bits + 1)]
                with m.If(bits == BITS):
                    m.d.comb += [self.valid.eq(1), self.bad.eq(~level)]
                    m.next = "STOP"
                with m.Else():
                    m.d.sync += self.data.eq(Cat(self.data[1:], level))
            with m.State("STOP"), m.If(level):
                m.next = "IDLE"
        return m


class Transmitter(wiring.Component):
    """A byte is taken when the line is free."""

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"bytes": In(stream.Signature(BITS)), "line": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        """Build it: start bit, data, stop bit as one shift register."""
        m = Module()
        rest, bits = Signal(BITS + 1), Signal(range(BITS + 2))
        left = Signal(range(self.divisor))
        m.d.comb += self.bytes.ready.eq((bits == 0) & (left == 0))
        with m.If(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.Elif(bits != 0):
            m.d.sync += [
                self.line.eq(rest[0]), rest.eq(rest[1:]), bits.eq(bits - 1),
                left.eq(self.divisor - 1),
            ]  # fmt: skip
        with m.Elif(self.bytes.valid):
            m.d.sync += [
                self.line.eq(0), rest.eq(Cat(self.bytes.payload, 1)), bits.eq(BITS + 1),
                left.eq(self.divisor - 1),
            ]  # fmt: skip
        return m
