"""The host's side of a tile: AXI4-Lite registers to start it, to give parameters, to read counts.

In: reads and writes of 32-bit registers. Out: the program's place, parameters, a start pulse.

| byte address | register |
|---|---|
| 0x000 | CONTROL: write 1 to start (ignored while running) |
| 0x004 | STATUS: bit 0 running, 1 a semaphore overflowed, 2 writes unanswered (results are in \
memory when it is 0), 3 memory answered with an error, bits 15..8 runs finished |
| 0x008 | PROGRAM: byte address of the program, a multiple of dram_burst_bytes |
| 0x00c | WORDS: its instructions |
| 0x010 | CYCLES, 64 bits: of the last run, HALT inclusive |
| 0x020, 0x028, 0x030 | port beats, 64 bits each: of LD, ST, fetch |
| 0x040 | CHIP: the first 32 bits of the configuration's hash |
| 0x100 + 128 u + 8 r | counter r of unit u (LD ST MX VX), 64 bits; r as in `counters.REASONS` |
| 0x400 + 4 i | parameter i, 0 <= i < 256 (write only) |

A 64-bit count is read low half first; registers that do not exist read as 0.
"""

from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from jiriki.chip import ChipConfig
from jiriki.program import UnitCounters
from jiriki.rtl.control.counters import COUNTER_BITS, REASONS
from jiriki.rtl.control.fetch import INDEX_BITS
from jiriki.rtl.control.sequencer import PARAMETERS, UNITS
from jiriki.rtl.memory.axi import axi4_lite_signature

ADDRESS_BITS = 12
CONTROL, STATUS, PROGRAM, WORDS, CYCLES, CHIP = 0x000, 0x004, 0x008, 0x00C, 0x010, 0x040
BEATS = {"ld": 0x020, "st": 0x028, "fetch": 0x030}
COUNTERS, PARAMETER = 0x100, 0x400
UNIT_STRIDE = 0x80


class Mailbox(wiring.Component):
    """The registers; one access at a time, each answered in the cycle after it is accepted."""

    def __init__(self, chip: ChipConfig) -> None:
        self.chip = chip
        super().__init__({
            "axi": In(axi4_lite_signature(ADDRESS_BITS)),
            "start": Out(1),
            "base": Out(32),
            "words": Out(INDEX_BITS + 1),
            "running": In(1),
            "halts": In(1),
            "overflow": In(1),
            "pending": In(1),  # writes that memory has not answered
            "error": In(1),
            "beats": In(COUNTER_BITS).array(len(BEATS)),
            "counts": In(COUNTER_BITS).array(len(UNITS) * len(REASONS)),
            "parameter": In(8),
            "parameter_value": Out(32),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        self.cycles, self.finished = Signal(COUNTER_BITS), Signal(8)
        with m.If(self.start):
            m.d.sync += self.cycles.eq(0)
        with m.Elif(self.running):
            m.d.sync += self.cycles.eq(self.cycles + 1)
        with m.If(self.halts):
            m.d.sync += self.finished.eq(self.finished + 1)
        self._write(m)
        self._read(m)
        return m

    def _write(self, m: Module) -> None:
        """Accept an address and its data together."""
        axi = self.axi
        m.submodules.parameters = parameters = memory.Memory(shape=32, depth=PARAMETERS, init=[])
        put, get = parameters.write_port(), parameters.read_port(domain="comb")
        m.d.comb += [get.addr.eq(self.parameter), self.parameter_value.eq(get.data)]
        both, address = Signal(), axi.awaddr
        m.d.comb += [
            both.eq(axi.awvalid & axi.wvalid & (~axi.bvalid | axi.bready)),
            axi.awready.eq(both), axi.wready.eq(both),
            put.addr.eq(address[2:]), put.data.eq(axi.wdata),
            put.en.eq(both & address[10]),
            self.start.eq(
                both & (address == CONTROL) & axi.wdata[0] & ~self.running
            ),
        ]  # fmt: skip
        with m.If(both):
            m.d.sync += axi.bvalid.eq(1)
        with m.Elif(axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        with m.If(both & (address == PROGRAM)):
            m.d.sync += self.base.eq(axi.wdata)
        with m.If(both & (address == WORDS)):
            m.d.sync += self.words.eq(axi.wdata)

    def _read(self, m: Module) -> None:
        """Answer reads from a table of registers."""
        axi, word = self.axi, Signal(32)
        accepted = Signal()
        m.d.comb += [
            accepted.eq(axi.arvalid & (~axi.rvalid | axi.rready)),
            axi.arready.eq(accepted),
        ]
        with m.Switch(axi.araddr):
            for address, value in self._registers():
                with m.Case(address):
                    m.d.comb += word.eq(value)
        with m.If(accepted):
            m.d.sync += [axi.rvalid.eq(1), axi.rdata.eq(word)]
        with m.Elif(axi.rready):
            m.d.sync += axi.rvalid.eq(0)

    def _registers(self) -> list[tuple[int, Value]]:
        """Return (byte address, value) of every register that can be read."""
        chip = int(self.chip.content_hash()[:8], 16)
        status = Cat(
            self.running, self.overflow, self.pending, self.error, Const(0, 4), self.finished
        )  # fmt: skip
        out = [(STATUS, status), (PROGRAM, self.base), (WORDS, self.words), (CHIP, Const(chip, 32))]
        wide = [(CYCLES, self.cycles), *zip(BEATS.values(), self.beats, strict=True)]
        for u in range(len(UNITS)):
            for r in range(len(REASONS)):
                wide.append((COUNTERS + UNIT_STRIDE * u + 8 * r, self.counts[u * len(REASONS) + r]))
        for address, value in wide:
            out += [(address, value[:32]), (address + 4, value[32:])]
        return out


# What the counts say of a run, whoever reads them: a simulation or a board's link.

Count = Callable[[int], int]  # reads the 64-bit count at an address
STARVED = ("instruction", "semaphore", "data")


def port_beats(count: Count) -> dict[str, int]:
    """Return the beats that each user of the DRAM port moved: LD, ST and fetch."""
    return {name: count(address) for name, address in BEATS.items()}


def unit_counters(count: Count) -> dict[str, UnitCounters]:
    """Return each unit's cycles by what it did."""
    return {unit.name: _counters(count, COUNTERS + UNIT_STRIDE * u) for u, unit in enumerate(UNITS)}


def _counters(count: Count, base: int) -> UnitCounters:
    counts = {name: count(base + 8 * r) for r, name in enumerate(REASONS)}
    busy = counts.pop("busy")
    starved = sum(counts[name] for name in STARVED)
    blocked = sum(counts.values()) - starved
    return UnitCounters(busy, starved, blocked, {name: n for name, n in counts.items() if n})
