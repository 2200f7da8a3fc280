"""The scratchpad: banks of columns, and the arbiter that grants requests by fixed priority.

In: read and write ports, the first of each list with the highest priority. Out: grants in the same
cycle, data in the next. A request is granted whole or not at all: it is refused when a memory it
needs is taken by one before it. Every memory (a bank of a column) has one read and one write port
with byte enables; a read beside a write of the same line gives the old bytes. The memories of a
bank are one Verilog module (`verilog/jiriki_bank.v`), the place of a foundry's macros.
"""

from collections.abc import Callable
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from jiriki.chip import ChipConfig
from jiriki.rtl.errors import RtlError
from jiriki.rtl.interfaces import read_signature, write_signature


class Scratchpad(wiring.Component):
    """Ports of `read_signature` and `write_signature`, seen from the memory."""

    def __init__(self, chip: ChipConfig, reads: int, writes: int) -> None:
        self.chip = chip
        self.rows = chip.bank_words // chip.columns
        if self.rows & (self.rows - 1):
            raise RtlError(
                f"chip {chip.name}: {self.rows} rows a bank are no power of two; choose "
                "scratchpad_bytes so that they are"
            )
        self.row_bits = ceil_log2(self.rows)
        super().__init__({
            "read": In(read_signature(chip)).array(reads),
            "write": In(write_signature(chip)).array(writes),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it: who is granted, then the memories of each bank, columns side by side."""
        m = Module()
        reads, writes = list(self.read), list(self.write)
        reading = self._grant(m, reads, "read")
        writing = self._grant(m, writes, "write")
        outs = [
            self._bank(m, b, reads, [used[b] for used in reading], writes, [u[b] for u in writing])
            for b in range(self.chip.banks)
        ]
        for p, port in enumerate(reads):
            self._answer(m, p, port, reading[p], outs)
        return m

    def _answer(
        self, m: Module, p: int, port: wiring.PureInterface, using: list[Signal], outs: list[Value]
    ) -> None:
        """Give a port the words of its grant: of each column, from the bank that it used."""
        granted = Signal(name=f"read{p}_granted")
        was = [Signal(self.chip.columns, name=f"read{p}_was{b}") for b in range(self.chip.banks)]
        m.d.sync += [
            granted.eq(port.grant),
            *(w.eq(used) for w, used in zip(was, using, strict=True)),
        ]
        with m.If(granted):
            for c in range(self.chip.columns):
                words = [
                    _only(w[c], self._column(out, c)) for w, out in zip(was, outs, strict=True)
                ]
                m.d.comb += port.data[c].eq(reduce(or_, words))

    def _grant(self, m: Module, ports: list, kind: str) -> list[list[Signal]]:
        """Grant in order; return, for each port and bank, the columns it uses in this cycle."""
        chip, out = self.chip, []
        taken: list[Value] = [Const(0, chip.columns)] * chip.banks
        for p, port in enumerate(ports):
            cells = [Signal(chip.columns, name=f"{kind}{p}_cells{b}") for b in range(chip.banks)]
            used = [Signal(chip.columns, name=f"{kind}{p}_used{b}") for b in range(chip.banks)]
            banks = [port.lines[c][self.row_bits :] for c in range(chip.columns)]
            for b in range(chip.banks):
                here = Cat((bank == b) if chip.banks > 1 else Const(1, 1) for bank in banks)
                m.d.comb += cells[b].eq(port.valid & here)
            meets = Signal(name=f"{kind}{p}_meets")
            m.d.comb += [
                meets.eq(Cat((cells[b] & taken[b]).any() for b in range(chip.banks)).any()),
                port.grant.eq(port.valid.any() & ~meets),
                *(used[b].eq(Mux(meets, 0, cells[b])) for b in range(chip.banks)),
            ]
            taken = [taken[b] | used[b] for b in range(chip.banks)]
            out.append(used)
        return out

    def _bank(
        self, m: Module, b: int, reads: list, reading: list, writes: list, writing: list
    ) -> Value:
        """Build a bank's memories; return the words read in the cycle before, columns in order."""
        chip = self.chip
        row = lambda port, c: port.lines[c][: self.row_bits]  # noqa: E731
        read_rows = self._merge(m, f"read_rows{b}", reads, reading, row)
        write_rows = self._merge(m, f"write_rows{b}", writes, writing, row)
        words = self._merge(m, f"words{b}", writes, writing, lambda port, c: port.data[c])
        enables = self._merge(m, f"bytes{b}", writes, writing, lambda port, c: port.bytes[c])
        out = Signal(8 * chip.ku * chip.columns, name=f"bank{b}")
        m.submodules[f"bank{b}"] = Instance(
            "jiriki_bank",
            p_COLUMNS=chip.columns, p_ROWS=self.rows, p_ROW_BITS=self.row_bits,
            p_WORD_BYTES=chip.ku, i_clk=ClockSignal(),
            i_read_en=reduce(or_, reading), i_read_rows=read_rows, o_read_words=out,
            i_write_bytes=enables, i_write_rows=write_rows, i_write_words=words,
        )  # fmt: skip
        return out

    def _merge(
        self,
        m: Module,
        name: str,
        ports: list,
        using: list,
        field: Callable[[wiring.PureInterface, int], Value],
    ) -> Signal:
        """Return a field of all columns, each from the port that uses its memory (else 0)."""
        merged = [
            reduce(or_, (_only(used[c], field(p, c)) for p, used in zip(ports, using, strict=True)))
            for c in range(self.chip.columns)
        ]
        out = Signal(len(Cat(merged)), name=name)
        with m.If(reduce(or_, using).any()):
            m.d.comb += out.eq(Cat(merged))
        return out

    def _column(self, words: Value, c: int) -> Value:
        return Value.cast(words.word_select(c, 8 * self.chip.ku))


def _only(condition: Value, value: Value) -> Value:
    return Mux(condition, value, 0)
