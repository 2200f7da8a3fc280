"""SDR SDRAM: single beats of the memory port as bursts of 16-bit words, rows kept open, refresh.

In: the memory port. Out: the pins, every output registered. The SDRAM's clock is the inverse of
ours: it sees a command in the middle of the cycle in which the pins carry it. The first word of a
READ is taken from the pins `cas_latency` cycles after READ was put there, at the clock edge.

A beat of B bytes is one burst of B / 2 words; the next request of an open row follows without a
gap. A row stays open until another of its bank is wanted or a refresh is due. Nothing is taken
before the memory is initialised. Latency of a read of an open row: from the cycle in which it is
taken to the answer cas_latency + B / 2 cycles.
"""

from enum import Enum

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from jiriki.rtl.board.memory import port_signature
from jiriki.rtl.board.settings import ADDRESS_PINS, BoardSettings
from jiriki.rtl.errors import RtlError

WORD_BITS = 16
FIRST_REFRESHES = 8
ALL_BANKS = 1 << 10  # address bit of PRECHARGE


class Command(Enum):
    """RAS, CAS, WE from bit 0 on; 1 is active (the pins are active low)."""

    NOP = 0b000
    ACTIVE = 0b001
    READ = 0b010
    REFRESH = 0b011
    PRECHARGE = 0b101
    WRITE = 0b110
    MODE = 0b111


def pins_signature(settings: BoardSettings) -> wiring.Signature:
    """Return the SDRAM's pins, active high; the clock is made where the pads are."""
    sdram = settings.sdram
    return wiring.Signature({
        "ras": Out(1), "cas": Out(1), "we": Out(1),
        "ba": Out(sdram.bank_bits), "a": Out(ADDRESS_PINS), "dqm": Out(WORD_BITS // 8),
        "dq_o": Out(WORD_BITS), "dq_oe": Out(1), "dq_i": In(WORD_BITS),
    })  # fmt: skip


class Sdram(wiring.Component):
    """See the module."""

    def __init__(self, settings: BoardSettings, beat_bytes: int) -> None:
        self.settings, self.burst = settings, beat_bytes // 2
        if self.burst not in (2, 4, 8):
            raise RtlError(
                f"dram_bytes_per_cycle = {beat_bytes} is no burst of the board's SDRAM; use a chip "
                "with 4, 8 or 16"
            )
        super().__init__({
            "port": In(port_signature(beat_bytes)),
            "pins": Out(pins_signature(settings)),
            "initialised": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m, sdram = Module(), self.settings.sdram
        self.rest = Signal(range(self.settings.cycles(sdram.power_up_s) + 1))  # no command until 0
        self.settle = Signal(range(64))  # none that turns the data pins around, or closes a row
        self.open = Signal(1 << sdram.bank_bits)
        self.rows = Array(
            Signal(sdram.row_bits, name=f"row{i}") for i in range(1 << sdram.bank_bits)
        )
        self.data, self.masks = Signal(8 * 2 * self.burst), Signal(2 * self.burst)
        self._count(m)
        self._data(m)
        with m.FSM():
            with m.State("POWER-UP"):
                m.d.sync += self.rest.eq(self.settings.cycles(sdram.power_up_s))
                m.next = "PRECHARGE"
            with m.State("PRECHARGE"), m.If(self.rest == 0):
                self._command(m, Command.PRECHARGE, self.settings.cycles(sdram.rp_s), ALL_BANKS)
                m.next = "REFRESH"
            with m.State("REFRESH"), m.If(self.rest == 0):
                self._refresh(m)
                m.d.sync += self.first.eq(self.first + 1)
                with m.If(self.first == FIRST_REFRESHES - 1):
                    m.next = "MODE"
            with m.State("MODE"), m.If(self.rest == 0):
                mode = sdram.cas_latency << 4 | exact_log2(self.burst)
                self._command(m, Command.MODE, sdram.mode_cycles, mode)
                m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += self.initialised.eq(1)
                with m.If(self.rest == 0):
                    self._run(m)
        return m

    def _count(self, m: Module) -> None:
        """Count down what must be waited for; say when a refresh is due."""
        interval = int(self.settings.sdram.refresh_s * self.settings.clock_hz)
        self.first, since = Signal(range(FIRST_REFRESHES)), Signal(range(interval))
        self.due = Signal()
        for counter in (self.rest, self.settle):
            with m.If(counter != 0):
                m.d.sync += counter.eq(counter - 1)
        m.d.sync += since.eq(Mux(since == interval - 1, 0, since + 1))
        with m.If(since == interval - 1):
            m.d.sync += self.due.eq(1)

    def _command(
        self, m: Module, command: Command, cycles: int, address: Value | int = 0,
        bank: Value | int = 0,
    ) -> None:  # fmt: skip
        """Put a command on the pins; the next comes `cycles` cycles later at the earliest."""
        pins = self.pins
        m.d.sync += [
            Cat(pins.ras, pins.cas, pins.we).eq(command.value),
            pins.a.eq(address), pins.ba.eq(bank), self.rest.eq(cycles - 1),
        ]  # fmt: skip

    def _refresh(self, m: Module) -> None:
        self._command(m, Command.REFRESH, self.settings.cycles(self.settings.sdram.rfc_s))
        m.d.sync += self.due.eq(0)

    def _run(self, m: Module) -> None:
        """Choose the next command."""
        port, sdram, cycles = self.port, self.settings.sdram, self.settings.cycles
        word = exact_log2(self.burst)
        column = Cat(Const(0, word), port.beat[: sdram.column_bits - word])
        bank = port.beat[sdram.column_bits - word :][: sdram.bank_bits]
        row = port.beat[sdram.column_bits - word + sdram.bank_bits :][: sdram.row_bits]
        is_open = self.open.bit_select(bank, 1)
        with m.If(self.due):
            with m.If(self.open == 0):
                self._refresh(m)
            with m.Elif(self.settle == 0):
                self._command(m, Command.PRECHARGE, cycles(sdram.rp_s), ALL_BANKS)
                m.d.sync += self.open.eq(0)
        with m.Elif(port.valid & ~is_open):
            self._command(m, Command.ACTIVE, cycles(sdram.rcd_s), row, bank)
            with m.If(self.settle < cycles(sdram.ras_s)):
                m.d.sync += self.settle.eq(cycles(sdram.ras_s) - 1)
            m.d.sync += [self.open.bit_select(bank, 1).eq(1), self.rows[bank].eq(row)]
        with m.Elif(port.valid & (self.rows[bank] != row)), m.If(self.settle == 0):
            self._command(m, Command.PRECHARGE, cycles(sdram.rp_s), 0, bank)
            m.d.sync += self.open.bit_select(bank, 1).eq(0)
        with m.Elif(port.valid & port.write), m.If(self.written | (self.settle == 0)):
            self._access(m, Command.WRITE, column, bank, cycles(sdram.wr_s))
        with m.Elif(port.valid & ~port.write):
            self._access(m, Command.READ, column, bank, sdram.cas_latency + 1)

    def _access(
        self, m: Module, command: Command, column: Value, bank: Value, settles: int
    ) -> None:
        """Take the request; its burst keeps the data pins busy."""
        port, write, sdram = self.port, command is Command.WRITE, self.settings.sdram
        row = self.settings.cycles(sdram.ras_s) - self.settings.cycles(sdram.rcd_s)
        self._command(m, command, self.burst, column, bank)
        m.d.comb += [port.ready.eq(1), self.starts_read.eq(not write)]
        m.d.sync += [self.settle.eq(max(self.burst - 1 + settles, row)), self.written.eq(write)]
        if write:
            m.d.sync += [
                self.pins.dq_o.eq(port.data), self.pins.dq_oe.eq(1),
                self.pins.dqm.eq(~port.strobe[:2]), self.left.eq(self.burst - 1),
                self.data.eq(port.data >> WORD_BITS), self.masks.eq(~port.strobe >> 2),
            ]  # fmt: skip

    def _data(self, m: Module) -> None:
        """Move the words of bursts; the defaults of the pins."""
        pins, port = self.pins, self.port
        self.left, self.written, self.starts_read = Signal(range(8)), Signal(), Signal()
        m.d.sync += [
            Cat(pins.ras, pins.cas, pins.we).eq(Command.NOP.value), pins.dq_oe.eq(self.left != 0),
            pins.dqm.eq(Mux(self.left != 0, self.masks[:2], 0)), pins.dq_o.eq(self.data),
            self.data.eq(self.data >> WORD_BITS), self.masks.eq(self.masks >> 2),
        ]  # fmt: skip
        with m.If(self.left != 0):
            m.d.sync += self.left.eq(self.left - 1)
        on_the_way = Signal(self.settings.sdram.cas_latency + self.burst)
        line = Signal(WORD_BITS * self.burst)
        m.d.sync += [
            on_the_way.eq(Cat(self.starts_read, on_the_way)),
            line.eq(Cat(line, pins.dq_i)[WORD_BITS:]),
        ]  # fmt: skip
        m.d.comb += [port.answer.eq(line), port.answer_valid.eq(on_the_way[-1])]
