"""All of the board's design but its pads: the tile, the link, the SDRAM's controller, a reset.

In: the clock, the serial line, a button. Out: the line, the SDRAM's pins, lights. The whole of it
runs in simulation (`simulate.py`). The reset holds after power-up, while the button is pressed and
after the link's RESET. The SDRAM's controller knows only power-up: it ends what it has taken and
refreshes on, so that memory outlives a reset.

| light | on while |
|---|---|
| 0 | a program runs |
| 1 | the last program reached HALT |
| 2 | the tile reached beyond memory (until reset) |
| 3 | a request was not acted on (until reset) |
| 4 | memory is initialised |
| 7 | blinks, about once a second |
"""

from amaranth.hdl import (
    Cat,
    ClockDomain,
    ClockSignal,
    DomainRenamer,
    Module,
    ResetSignal,
    Signal,
)
from amaranth.lib import cdc, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from jiriki.chip import ChipConfig
from jiriki.rtl.board.link import Link
from jiriki.rtl.board.memory import Arbiter, AxiMemory
from jiriki.rtl.board.sdram import Sdram, pins_signature
from jiriki.rtl.board.settings import BoardSettings
from jiriki.rtl.tile import Tile

LIGHTS = 8
RESET_CYCLES = 16  # longer than an answer of the SDRAM is on its way


class BoardCore(wiring.Component):
    """See the module; one clock, which is a port."""

    def __init__(self, chip: ChipConfig, settings: BoardSettings) -> None:
        self.chip, self.settings = chip, settings
        super().__init__({
            "clk": In(1),
            "button": In(1),
            "rx": In(1),
            "tx": Out(1),
            "sdram": Out(pins_signature(settings)),
            "lights": Out(LIGHTS),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m, beat = Module(), self.chip.dram_bytes_per_cycle
        m.domains.sync = ClockDomain()
        m.domains.memory = ClockDomain(reset_less=True)
        m.d.comb += [ClockSignal().eq(self.clk), ClockSignal("memory").eq(self.clk)]
        m.submodules.link = link = Link(self.chip, self.settings)
        m.submodules.tile = tile = self.tile()
        m.submodules.axi = axi = AxiMemory(beat, self.settings.sdram.memory_bytes)
        m.submodules.arbiter = arbiter = Arbiter(beat)
        controller = Sdram(self.settings, beat)
        m.submodules.controller = DomainRenamer("memory")(controller)
        connect(m, link.control, tile.control)
        connect(m, tile.memory, axi.axi)
        connect(m, axi.memory, arbiter.ports[0])
        connect(m, link.memory, arbiter.ports[1])
        connect(m, arbiter.memory, controller.port)
        connect(m, controller.pins, flipped(self.sdram))
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx)]
        self._reset(m, link.reset)
        self._lights(m, tile, axi.refused, link.refused, controller.initialised)
        return m

    def tile(self) -> Tile:
        """Return what the link controls."""
        return Tile(self.chip)

    def _reset(self, m: Module, asked: Signal) -> None:
        """Hold the reset for some cycles; its own register is set by power-up alone."""
        pressed = Signal()
        m.submodules.button = cdc.FFSynchronizer(self.button, pressed, reset_less=True)
        held = Signal(range(RESET_CYCLES + 1), init=RESET_CYCLES, reset_less=True)
        with m.If(asked | pressed):
            m.d.sync += held.eq(RESET_CYCLES)
        with m.Elif(held != 0):
            m.d.sync += held.eq(held - 1)
        reset = Signal(init=1, reset_less=True)
        m.d.sync += reset.eq(held != 0)
        m.d.comb += ResetSignal().eq(reset)

    def _lights(
        self, m: Module, tile: Tile, beyond: Signal, refused: Signal, initialised: Signal
    ) -> None:
        halted, failed, unheard = Signal(), Signal(), Signal()
        blink = Signal(ceil_log2(self.settings.clock_hz))
        m.d.sync += [
            halted.eq(tile.trace.halts | (halted & ~tile.trace.running)),
            failed.eq(failed | beyond), unheard.eq(unheard | refused), blink.eq(blink + 1),
        ]  # fmt: skip
        m.d.comb += self.lights.eq(
            Cat(tile.trace.running, halted, failed, unheard, initialised, 0, 0, blink[-1])
        )
