"""Tables: the memories of an F stage, written by the lines of LDT, read by every lane.

Concept: a line is what LDT reads in a cycle, 4 bytes a lane. A LUT8 table is kept in lines. A
segment table is kept in `table_rows` memories side by side, segment s in memory s mod table_rows;
its rows lie one further in the image, because row 0 is the header, which is kept in registers.
In: a line with its number, slot and kind; in the same cycle addresses. Out: rows one cycle later.
Every lane reads on its own: a memory of one read port stands there once a lane (of the whole tile
`verilog/jiriki_table.v` holds them all; the functions' ROM is one, of many ports).
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false

from amaranth.hdl import (
    Array,
    Cat,
    ClockSignal,
    Instance,
    Module,
    Mux,
    Signal,
    Value,
    signed,
)
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from jiriki.rtl.shared_modules import SharedModules
from jiriki.rtl.vector.fp import named, parts
from jiriki.rtl.vector.function_lane import (
    HEADER,
    POSITION_BITS,
    SEGMENT,
    SEGMENT_BITS,
    SEGMENT_EXPONENT_BITS,
)
from jiriki.rtl.vector.function_rom import ROM_BITS, ROM_ROW, ROM_ROWS, rom_rows
from jiriki.rtl.vector.records import (
    GROUP_BITS,
    LUT_BYTES,
    SEGMENT_ROWS,
    SLOT_BITS,
    Shape,
    lanes_layout,
)


class Tables(wiring.Component):
    """See the module. `header` is combinational, of `header_slot`."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.slots = shape.chip.table_slots
        lanes = shape.lanes
        super().__init__(
            {
                "line": In(lanes_layout(shape)),
                "load": In(1),
                "is_segment": In(1),
                "number": In(GROUP_BITS),
                "slot": In(SLOT_BITS),  # of the line, and of the addresses
                "rom_read": In(1),
                "rom_address": In(data.ArrayLayout(ROM_BITS, lanes)),
                "rom_row": Out(data.ArrayLayout(ROM_ROW, lanes)),
                "segment_read": In(1),
                "segment": In(data.ArrayLayout(SEGMENT_BITS, lanes)),
                "segment_row": Out(data.ArrayLayout(SEGMENT, lanes)),
                "code_read": In(1),
                "code": In(data.ArrayLayout(8, lanes)),
                "code_result": Out(data.ArrayLayout(signed(8), lanes)),
                "header_slot": In(SLOT_BITS),
                "header": Out(HEADER),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        self.platform = platform
        self._rom(m)
        self._codes(m)
        self._segments(m)
        self._headers(m)
        return m

    def _rom(self, m: Module) -> None:
        shared = isinstance(self.platform, SharedModules)
        rows = rom_rows()
        for i in range(self.shape.lanes):
            if i == 0 or not shared:
                rom = memory.Memory(shape=ROM_ROW, depth=ROM_ROWS, init=rows)
                m.submodules["rom" if shared else f"rom{i}"] = rom
            port = rom.read_port()
            m.d.comb += [
                port.addr.eq(self.rom_address[i]),
                port.en.eq(self.rom_read),
                self.rom_row[i].eq(port.data),
            ]

    def _codes(self, m: Module) -> None:
        """Keep LUT8 tables."""
        row = min(4 * self.shape.lanes, LUT_BYTES)
        lines = LUT_BYTES // row
        upper = ceil_log2(lines)
        results = self._memory(
            m, "codes", 8 * row, self.slots * lines,
            Cat(self.number[:upper], self._low(self.slot)), self.line.as_value()[: 8 * row],
            self.load & ~self.is_segment,
            [Cat(code, self._low(self.slot)) for code in self.code], self.code_read, parts=row,
        )  # fmt: skip
        m.d.comb += [self.code_result[i].eq(result) for i, result in enumerate(results)]

    def _segments(self, m: Module) -> None:
        """Keep the rows of segment tables; row r of the image is segment r - 1."""
        rows = self.shape.table_rows
        within = ceil_log2(rows)
        lines = max(1, (SEGMENT_ROWS - 1) // rows)
        upper = ceil_log2(lines)
        banks = []
        for bank in range(min(rows, SEGMENT_ROWS - 1)):
            row = (bank + 1) % rows
            number = named(m, f"number{bank}", self.number - (row == 0), len(self.number) + 1)
            words = self._memory(
                m, f"segments{bank}", SEGMENT.size, self.slots * lines,
                Cat(number[:upper], self._low(self.slot)), _segment(self.line, row),
                self.load & self.is_segment & (number < lines),
                [Cat(segment[within:], self._low(self.slot)) for segment in self.segment],
                self.segment_read,
            )  # fmt: skip
            banks.append(words)
        for i in range(self.shape.lanes):
            bank = Signal(max(1, within), name=f"bank{i}")
            with m.If(self.segment_read):
                m.d.sync += bank.eq(self.segment[i][:within])
            m.d.comb += self.segment_row[i].eq(Array([words[i] for words in banks])[bank])

    def _memory(
        self,
        m: Module,
        name: str,
        bits: int,
        rows: int,
        write_row: Value,
        write_word: Value,
        write: Value,
        read_rows: list[Value],
        read: Value,
        parts: int = 1,
    ) -> list[Signal]:
        """Add a memory with a read port for every lane; return what was read a cycle before.

        A read address is a row and, below it, which of the row's parts is wanted.
        """
        part, low = bits // parts, ceil_log2(parts)
        words = [Signal(part, name=f"{name}_word{i}") for i in range(len(read_rows))]
        if isinstance(self.platform, SharedModules):
            m.submodules[name] = Instance(
                "jiriki_table", p_ROWS=rows, p_ROW_BITS=ceil_log2(rows), p_BITS=bits,
                p_READERS=len(words), p_PARTS=parts, p_PART_BITS=low,
                i_clk=ClockSignal(), i_read_en=read,
                i_read_rows=Cat(read_rows), o_read_words=Cat(words), i_write_en=write,
                i_write_row=write_row, i_write_word=write_word,
            )  # fmt: skip
            return words
        for i, (word, row) in enumerate(zip(words, read_rows, strict=True)):
            ram = memory.Memory(shape=data.ArrayLayout(part, parts), depth=rows, init=[])
            m.submodules[f"{name}_{i}"] = ram
            port = ram.write_port()
            m.d.comb += [port.addr.eq(write_row), port.data.eq(write_word), port.en.eq(write)]
            port, which = ram.read_port(), Signal(max(1, low))
            m.d.comb += [port.addr.eq(row[low:]), port.en.eq(read), word.eq(port.data[which])]
            with m.If(read):
                m.d.sync += which.eq(row[:low])
        return words

    def _headers(self, m: Module) -> None:
        headers = Array(Signal(HEADER, name=f"header{i}") for i in range(self.slots))
        header = Signal(HEADER, name="made")
        lo, shifts = self.line[0], self.line[1]
        m.d.comb += [
            header.minus_lo.eq(-lo.as_signed()),
            header.in_shift.eq(shifts[:8]),
            header.t_shift.eq(POSITION_BITS - shifts[8:16]),
            header.segments.eq(shifts[16:24]),
            header.below.eq(parts(m, "below", self.line[2]).clean),
            header.above.eq(parts(m, "above", self.line[3]).clean),
        ]
        with m.If(self.load & self.is_segment & (self.number == 0)), m.Switch(self.slot):
            for i in range(self.slots):
                with m.Case(i):
                    m.d.sync += headers[i].eq(header)
        m.d.comb += self.header.eq(headers[self._low(self.header_slot)])

    def _low(self, slot: Value) -> Value:
        """Return the bits of a slot's number that the chip's slots need."""
        return slot[: ceil_log2(self.slots)]


def _segment(line: Value, row: int) -> Value:
    """Return a row of a line as it is kept: the exponent clipped."""
    c0, c1, c2, exponent = (line[4 * row + i] for i in range(4))
    upper = exponent[SEGMENT_EXPONENT_BITS - 1 :]
    fits = (upper == 0) | upper.all()
    limit = Mux(
        exponent[-1], 1 << (SEGMENT_EXPONENT_BITS - 1), (1 << (SEGMENT_EXPONENT_BITS - 1)) - 1
    )
    return Cat(c0, c1, c2, Mux(fits, exponent[:SEGMENT_EXPONENT_BITS], limit))
