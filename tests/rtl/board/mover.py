"""A board whose tile has no MX and no VX: it compiles in seconds and moves bytes for real."""

from amaranth.hdl import Module
from amaranth.lib.wiring import connect, flipped

from jiriki.rtl.board.core import BoardCore
from jiriki.rtl.control.mailbox import Mailbox
from jiriki.rtl.control.semaphores import Semaphores
from jiriki.rtl.control.sequencer import UNITS, Sequencer
from jiriki.rtl.dma.load import LoadUnit
from jiriki.rtl.dma.port import DramPort
from jiriki.rtl.dma.store import StoreUnit
from jiriki.rtl.memory.scratchpad import Scratchpad
from jiriki.rtl.tile import Tile


class MoverTile(Tile):
    """Sequencer, mailbox, LD, ST, scratchpad and DRAM port of a tile."""

    def elaborate(self, platform: object) -> Module:
        m, chip = Module(), self.chip
        m.submodules.sequencer = sequencer = Sequencer(chip)
        m.submodules.mailbox = mailbox = Mailbox(chip)
        m.submodules.semaphores = semaphores = Semaphores(chip, len(UNITS))
        m.submodules.port = port = DramPort(chip)
        m.submodules.ld = ld = LoadUnit(chip)
        m.submodules.st = st = StoreUnit(chip)
        m.submodules.scratchpad = scratchpad = Scratchpad(chip, 3, 1)
        connect(m, port.axi, flipped(self.memory))
        connect(m, mailbox.axi, flipped(self.control))
        connect(m, sequencer.port, port.fetch)
        connect(m, ld.port, port.load)
        connect(m, st.port, port.store)
        for mine, its in zip((ld.index, st.index, st.r), scratchpad.read, strict=True):
            connect(m, mine, its)
        connect(m, ld.w, scratchpad.write[0])
        fronts = [
            self._front(m, u, unit.unit, sequencer, semaphores) for u, unit in enumerate((ld, st))
        ]
        self._host(m, sequencer, mailbox, semaphores, port, fronts)
        m.d.comb += [
            self.trace.running.eq(sequencer.running), self.trace.halts.eq(sequencer.halts),
        ]  # fmt: skip
        return m


class Mover(BoardCore):
    """The board with that tile."""

    def tile(self) -> Tile:
        return MoverTile(self.chip)
