"""One tile: the units, their queues, the scratchpad, the DRAM port and the host's registers.

In: AXI4-Lite writes that name a program and start it. Out: AXI4 reads and writes of memory, and
registers that say what happened. `trace` shows, cycle by cycle, which instruction of which unit is
sent, starts and completes; a simulation counts them, a chip leaves the wires open.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from jiriki.chip import ChipConfig
from jiriki.rtl.control.counters import COUNTER_BITS, UnitCounter
from jiriki.rtl.control.front import Front
from jiriki.rtl.control.mailbox import ADDRESS_BITS, Mailbox
from jiriki.rtl.control.semaphores import Semaphores
from jiriki.rtl.control.sequencer import UNITS, Sequencer
from jiriki.rtl.dma.load import LoadUnit
from jiriki.rtl.dma.port import DramPort
from jiriki.rtl.dma.records import DRAM_BITS
from jiriki.rtl.dma.store import StoreUnit
from jiriki.rtl.matrix.unit import MatrixUnit
from jiriki.rtl.memory.axi import axi4_lite_signature, axi4_signature
from jiriki.rtl.memory.scratchpad import Scratchpad
from jiriki.rtl.vector.unit import VectorUnit


class Tile(wiring.Component):
    """The whole tile; one clock, synchronous reset."""

    def __init__(self, chip: ChipConfig) -> None:
        self.chip = chip
        n = len(UNITS)
        trace = wiring.Signature({
            "running": Out(1),
            "pending": Out(1),  # writes that memory has not answered
            "halts": Out(1),
            "control": Out(1),  # the sequencer executes a control instruction
            "sent": Out(n),
            "started": Out(n),
            "completed": Out(n),
            "at": Out(28),  # where the sequencer stands
            "waits": Out(n),  # the head of a queue waits for tokens
            "semaphores": Out(chip.semaphores * chip.semaphore_max.bit_length()),
        })  # fmt: skip
        super().__init__({
            "memory": Out(axi4_signature(DRAM_BITS, 8 * chip.dram_bytes_per_cycle)),
            "control": In(axi4_lite_signature(ADDRESS_BITS)),
            "trace": Out(trace),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m, chip = Module(), self.chip
        m.submodules.sequencer = sequencer = Sequencer(chip)
        m.submodules.mailbox = mailbox = Mailbox(chip)
        m.submodules.semaphores = semaphores = Semaphores(chip, len(UNITS))
        m.submodules.port = port = DramPort(chip)
        m.submodules.ld = ld = LoadUnit(chip)
        m.submodules.st = st = StoreUnit(chip)
        m.submodules.mx = mx = MatrixUnit(chip)
        m.submodules.vx = vx = VectorUnit(chip)
        connect(m, port.axi, flipped(self.memory))
        connect(m, mailbox.axi, flipped(self.control))
        connect(m, sequencer.port, port.fetch)
        connect(m, ld.port, port.load)
        connect(m, st.port, port.store)
        connect(m, vx.acc, mx.acc)
        self._scratchpad(
            m, [mx.a, mx.b, st.r, vx.r0, vx.r1, vx.r2, ld.index, st.index], [ld.w, vx.w]
        )
        units = [ld, st, mx, vx]
        fronts = [
            self._front(m, u, unit.unit, sequencer, semaphores) for u, unit in enumerate(units)
        ]
        counts = self._counters(m, units, fronts, sequencer, mailbox)
        self._host(m, sequencer, mailbox, semaphores, port, fronts)
        m.d.comb += [
            self.trace.pending.eq(port.outstanding != 0),
            *(mailbox.counts[i].eq(count) for i, count in enumerate(counts)),
        ]
        for count, beats in zip(
            mailbox.beats, (port.load_beats, port.store_beats, port.fetch_beats), strict=True
        ):
            total = Signal(COUNTER_BITS)
            m.d.sync += total.eq(Mux(mailbox.start, 0, total + beats))
            m.d.comb += count.eq(total)
        self._trace(m, sequencer, semaphores, fronts)
        return m

    def _host(
        self, m: Module, sequencer: Sequencer, mailbox: Mailbox, semaphores: Semaphores,
        port: DramPort, fronts: list[Front],
    ) -> None:  # fmt: skip
        """Let the mailbox start the sequencer, and see what becomes of it."""
        m.d.comb += [
            sequencer.base.eq(mailbox.base), sequencer.words.eq(mailbox.words),
            sequencer.start.eq(mailbox.start),
            sequencer.all_idle.eq(Cat(front.idle for front in fronts).all()),
            mailbox.parameter.eq(sequencer.parameter),
            sequencer.parameter_value.eq(mailbox.parameter_value),
            mailbox.running.eq(sequencer.running), mailbox.halts.eq(sequencer.halts),
            mailbox.overflow.eq(semaphores.overflow),
            mailbox.pending.eq(port.outstanding != 0), mailbox.error.eq(port.error),
        ]  # fmt: skip

    def _scratchpad(self, m: Module, reads: list, writes: list) -> None:
        m.submodules.scratchpad = memory = Scratchpad(self.chip, len(reads), len(writes))
        for mine, its in zip([*reads, *writes], [*memory.read, *memory.write], strict=True):
            connect(m, mine, its)

    def _front(
        self, m: Module, u: int, unit: object, sequencer: Sequencer, semaphores: Semaphores
    ) -> Front:
        """Put the queue of a unit between sequencer, semaphores and unit."""
        name = UNITS[u].name.lower()
        front = Front(self.chip, self.chip.vx_contexts if name == "vx" else 0)
        m.submodules[f"{name}_front"] = front
        connect(m, sequencer.send[u], front.send)
        connect(m, front.unit, unit)
        tokens = semaphores.unit[u]
        m.d.comb += [
            tokens.wait.eq(front.wait), tokens.semaphore.eq(front.wait_semaphore),
            tokens.tokens.eq(front.wait_tokens), tokens.want.eq(front.want),
            front.tokens.eq(tokens.there), tokens.signal.eq(front.signal),
            tokens.signal_semaphore.eq(front.signal_semaphore),
            tokens.signal_tokens.eq(front.signal_tokens),
        ]  # fmt: skip
        return front

    def _counters(
        self, m: Module, units: list, fronts: list[Front], sequencer: Sequencer, mailbox: Mailbox
    ) -> list:
        """Count every unit's cycles of a run."""
        out = []
        for kind, unit, front in zip(UNITS, units, fronts, strict=True):
            m.submodules[f"{kind.name.lower()}_counter"] = counter = UnitCounter()
            m.d.comb += [
                counter.on.eq(sequencer.running), counter.clear.eq(mailbox.start),
                counter.state.eq(unit.unit.state), counter.reason.eq(front.reason),
            ]  # fmt: skip
            out += list(counter.counts)
        return out

    def _trace(
        self, m: Module, sequencer: Sequencer, semaphores: Semaphores, fronts: list[Front]
    ) -> None:
        trace, sends = self.trace, sequencer.send
        m.d.comb += [
            trace.running.eq(sequencer.running), trace.halts.eq(sequencer.halts),
            trace.control.eq(sequencer.executes), trace.at.eq(sequencer.at),
            trace.sent.eq(Cat(s.valid & s.ready for s in sends)),
            trace.started.eq(Cat(f.unit.go for f in fronts)),
            trace.completed.eq(Cat(f.completes for f in fronts)),
            trace.waits.eq(Cat(f.wait for f in fronts)),
            trace.semaphores.eq(Cat(*semaphores.counts)),
        ]  # fmt: skip
