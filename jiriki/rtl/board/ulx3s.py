"""The ULX3S 85F: which pads the design's ports are, by the resources of amaranth-boards.

In: a chip. Out: an elaboratable for the platform. The clock is the board's 25 MHz; the serial line
is that of its FTDI USB converter; the SDRAM's clock leaves through a DDR register, half a period
behind ours. Nothing else is here that a simulation of `core.py` does not see.
"""

from amaranth.hdl import Cat, Elaboratable, Module
from amaranth.lib import io

from jiriki.chip import ChipConfig
from jiriki.rtl.board.core import LIGHTS, BoardCore
from jiriki.rtl.board.sdram import WORD_BITS
from jiriki.rtl.board.settings import BoardSettings

CLOCK = "clk25"
RESET_BUTTON = ("button_fire", 0)  # F1 on the board's print


class Ulx3s(Elaboratable):
    """The design with its pads."""

    def __init__(self, chip: ChipConfig) -> None:
        self.core = BoardCore(chip, BoardSettings())

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        m.submodules.core = core = self.core
        uart = platform.request("uart", 0, dir={"rx": "-", "tx": "-", "rts": "-", "dtr": "-"})
        for port, pad in (
            (core.clk, platform.request(CLOCK, dir="-")),
            (core.button, platform.request(*RESET_BUTTON, dir="-")),
            (core.rx, uart.rx),
        ):
            m.d.comb += port.eq(self._input(m, pad))
        self._output(m, uart.tx, core.tx)
        for i in range(LIGHTS):
            self._output(m, platform.request("led", i, dir="-"), core.lights[i])
        names = ("en", "tx", "rx", "gpio0", "gpio5", "gpio16", "gpio17")
        radio = platform.request("esp32", 0, dir=dict.fromkeys(names, "-"))
        self._output(m, radio.gpio0, 1)  # low, the board's ESP32 would load a design of its own
        self._sdram(m, platform)
        return m

    def _input(self, m: Module, pad: object) -> object:
        m.submodules += (buffer := io.Buffer("i", pad))
        return buffer.i

    def _output(self, m: Module, pad: object, value: object) -> None:
        m.submodules += (buffer := io.Buffer("o", pad))
        m.d.comb += buffer.o.eq(value)

    def _sdram(self, m: Module, platform: object) -> None:
        names = ("clk", "clk_en", "cs", "we", "ras", "cas", "ba", "a", "dq", "dqm")
        pads, pins = platform.request("sdram", 0, dir=dict.fromkeys(names, "-")), self.core.sdram
        m.submodules.sdram_clock = clock = io.DDRBuffer("o", pads.clk)
        m.d.comb += Cat(clock.o).eq(0b10)  # low in the first half of our cycle
        for pad, value in (
            (pads.clk_en, 1), (pads.cs, 1), (pads.we, pins.we), (pads.ras, pins.ras),
            (pads.cas, pins.cas), (pads.ba, pins.ba), (pads.a, pins.a), (pads.dqm, pins.dqm),
        ):  # fmt: skip
            self._output(m, pad, value)
        m.submodules.dq = dq = io.Buffer("io", pads.dq)
        assert len(pads.dq) == WORD_BITS, "the SDRAM is 16 bits wide"
        m.d.comb += [dq.o.eq(pins.dq_o), dq.oe.eq(pins.dq_oe), pins.dq_i.eq(dq.i)]
