"""Operands: what the ports read -> the operands of the array, and the weight register file.

In: `arrival` and, with it, the words of both ports. Out, two cycles later, when a step is complete:
for each array row ku terms, for each column ku weights, for DW the words of pixels and taps. A
step that takes several levels fills its lanes one level after another; they stay until the next
step's words replace them. LDW writes the register file one cycle after its line arrived; DW and
GEMV read it one cycle after, so a line can be used by the very next step.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from jiriki.chip import ChipConfig
from jiriki.rtl.matrix.records import Record, Shape, arrival_record, copied, sum_layout


def operands_signature(shape: Shape) -> wiring.Signature:
    """Return the operands of a step; all but `valid` keep their value until another takes it."""
    chip = shape.chip
    word = 8 * chip.ku
    return wiring.Signature(
        {
            "valid": Out(1),  # a step is complete
            "even": Out(word).array(shape.lanes),  # gather of port A
            "odd": Out(word).array(shape.lanes),  # DW: gather of port B
            "second": Out(word),  # terms of the second row when mu = 1 (GEMV)
            "weights": Out(word).array(chip.nu),
            "second_weights": Out(word).array(chip.nu),  # GEMV: of the second row
            "gemv": Out(1),
            "sum": Out(sum_layout(shape)),
        }
    )


class Operands(wiring.Component):
    """See the module. Latency: two cycles from the data to the operands."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        words = data.ArrayLayout(8 * shape.chip.ku, shape.chip.columns)
        super().__init__(
            {
                "arrival": In(arrival_record(shape)),
                "a": In(words),
                "b": In(words),
                "out": Out(operands_signature(shape)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: words in registers, then the crossbars, then the operands in registers."""
        m = Module()
        chip = self.shape.chip
        now = arrival_record(self.shape).create(path=("now",))  # of the words in a and b
        a, b = self._words(m, "a", self.a), self._words(m, "b", self.b)
        m.d.sync += [now.active.eq(self.arrival.active), self.out.valid.eq(now.active & now.end)]
        with m.If(self.arrival.active):
            m.d.sync += copied(now, self.arrival)
        with m.If(now.active):
            m.d.sync += [self.out.sum.eq(now.sum), self.out.gemv.eq(now.gemv)]
            self._gathers(m, now, a, b)
        line_a = _line(m, self.shape, "line_a", a, now.shift_a)
        line_b = _line(m, self.shape, "line_b", b, now.shift_b)
        file_line = self._file(m, now, line_b)
        for i in range(chip.nu):
            weights = self.out.weights[i]
            with m.If(now.active & now.got_a):
                m.d.sync += self.out.second_weights[i].eq(_unpack(chip, line_a, i, now.w4))
            with m.If(now.active & now.got_b & ~now.ldw):
                m.d.sync += weights.eq(_unpack(chip, line_b, i, now.w4))
            with m.Elif(now.active & now.dw):
                m.d.sync += weights.eq(file_line.word_select(i, 8 * chip.ku))
        with m.If(now.active & now.gemv):
            term = file_line.word_select(now.file_word, 8 * chip.ku)
            m.d.sync += [self.out.even[0].eq(term), self.out.second.eq(term)]
            if chip.mu > 1:
                m.d.sync += self.out.even[1].eq(term)
        return m

    def _words(self, m: Module, name: str, port: Value) -> list[Signal]:
        """Put the words of a port into registers."""
        bits = 8 * self.shape.chip.ku
        words = [Signal(bits, name=f"{name}{c}") for c in range(self.shape.chip.columns)]
        with m.If(self.arrival.active):
            m.d.sync += [word.eq(port[c]) for c, word in enumerate(words)]
        return words

    def _gathers(self, m: Module, now: Record, a: list[Signal], b: list[Signal]) -> None:
        """Fill lanes: with the word that came, with fill or 0 where none is read."""
        chip = self.shape.chip
        fill = now.fill.replicate(chip.ku)
        ports = [
            (self.out.even, Array(a), now.columns, now.served, Const(1)),
            (self.out.odd, Array(b), now.odd_columns, now.odd_served, now.dw),
        ]
        for lane in range(self.shape.lanes):
            unread, instead = now.unread[lane], Mux(now.outside[lane], fill, 0)
            for to, words, columns, served, used in ports:
                with m.If(used & unread):
                    m.d.sync += to[lane].eq(instead)
                with m.If(used & served[lane]):
                    m.d.sync += to[lane].eq(words[columns[lane]])

    def _file(self, m: Module, now: Record, line: Value) -> Value:
        """Write a line of LDW; return the line that DW or GEMV uses."""
        chip = self.shape.chip
        bits = 8 * chip.ku * chip.nu
        m.submodules.file = file = Memory(shape=bits, depth=chip.weight_file_lines, init=[])
        write = file.write_port()
        read = file.read_port(transparent_for=(write,))
        m.d.comb += [
            write.en.eq(now.active & now.ldw & now.got_b),
            write.addr.eq(now.file),
            write.data.eq(line),
            read.en.eq(self.arrival.active & (self.arrival.dw | self.arrival.gemv)),
            read.addr.eq(self.arrival.file),
        ]
        return read.data


def _line(m: Module, shape: Shape, name: str, words: list[Signal], shift: Value) -> Signal:
    """Return nu words from column `shift` on, around the end: halving shifts, the widest first."""
    word, nu = 8 * shape.chip.ku, shape.chip.nu
    part = Signal(word * (shape.chip.columns + nu - 1), name=f"{name}_around")
    m.d.comb += part.eq(Cat(*words, *words[: nu - 1]))
    for bit in reversed(range(len(shift))):
        shifted = Signal(word * (nu + (1 << bit) - 1), name=f"{name}_by{1 << bit}")
        m.d.comb += shifted.eq(Mux(shift[bit], part[word << bit :], part))
        part = shifted
    return part


def _unpack(chip: ChipConfig, line: Value, i: int, w4: Value) -> Value:
    """Return word i of a line of int8, or of int4 in its lower half, each number as int8."""
    word = 8 * chip.ku
    numbers = range(i * chip.ku, (i + 1) * chip.ku)
    nibbles = Cat(Cat(line[4 * n : 4 * n + 4], line[4 * n + 3].replicate(4)) for n in numbers)
    return Mux(w4, nibbles, line[word * i : word * (i + 1)])
