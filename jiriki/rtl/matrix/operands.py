"""Operands: what the ports read -> the operands of the array, and the weight register file.

In: `arrival` and, with it, the words of both ports. Out, two cycles later, when a step is complete:
for each array row ku terms, for each column ku weights, for DW the words of pixels and taps. A
step that takes several levels fills its lanes one level after another; they stay until the next
step's words replace them. LDW writes the register file one cycle after its line arrived; DW and
GEMV read it one cycle after, so a line can be used by the very next step.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from jiriki.rtl.matrix.records import Shape, arrival_layout, sum_layout


def operands_signature(shape: Shape) -> wiring.Signature:
    """Return the operands of a step; all but `valid` keep their value until another takes it."""
    chip = shape.chip
    word = 8 * chip.ku
    return wiring.Signature(
        {
            "valid": Out(1),  # a step is complete
            "even": Out(data.ArrayLayout(word, shape.lanes)),  # gather of port A
            "odd": Out(data.ArrayLayout(word, shape.lanes)),  # DW: gather of port B
            "second": Out(word),  # terms of the second row when mu = 1 (GEMV)
            "weights": Out(data.ArrayLayout(word, chip.nu)),
            "second_weights": Out(data.ArrayLayout(word, chip.nu)),  # GEMV: of the second row
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
                "arrival": In(arrival_layout(shape)),
                "a": In(words),
                "b": In(words),
                "out": Out(operands_signature(shape)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: words in registers, then the crossbars, then the operands in registers."""
        m = Module()
        chip = self.shape.chip
        now = Signal(arrival_layout(self.shape))  # of the words in a and b
        a, b = Signal(self.a.shape()), Signal(self.b.shape())
        m.d.sync += [now.active.eq(self.arrival.active), now.end.eq(self.arrival.end)]
        with m.If(self.arrival.active):
            m.d.sync += [now.eq(self.arrival), a.eq(self.a), b.eq(self.b)]
        m.d.sync += [self.out.valid.eq(now.active & now.end)]
        with m.If(now.active):
            m.d.sync += [self.out.sum.eq(now.sum), self.out.gemv.eq(now.gemv)]
            self._gathers(m, now, a, b)
        line_a = _line(m, self.shape, "line_a", a, now.shift_a)
        line_b = _line(m, self.shape, "line_b", b, now.shift_b)
        with m.If(now.active & now.got_a):
            m.d.sync += self.out.second_weights.eq(_unpack(line_a, now.w4))
        kept = self._file(m, now, line_b)
        with m.If(now.active & now.got_b & ~now.ldw):
            m.d.sync += self.out.weights.eq(_unpack(line_b, now.w4))
        with m.Elif(now.active & now.dw):
            m.d.sync += self.out.weights.eq(kept)
        with m.If(now.active & now.gemv):
            term = kept.word_select(now.file_word, 8 * chip.ku)
            m.d.sync += [self.out.even[0].eq(term), self.out.second.eq(term)]
            if chip.mu > 1:
                m.d.sync += self.out.even[1].eq(term)
        return m

    def _gathers(self, m: Module, now: Value, a: Value, b: Value) -> None:
        """Fill lanes: with the word that came, with fill or 0 where none is read."""
        chip = self.shape.chip
        fill = now.fill.replicate(chip.ku)
        for tap in range(chip.ku):
            for lane in range(tap * chip.mu, (tap + 1) * chip.mu):
                instead = Mux(now.outside[lane], fill, 0)
                with m.If(now.unread[lane] | now.served[lane]):
                    word = a[now.columns[lane]]
                    m.d.sync += self.out.even[lane].eq(Mux(now.unread[lane], instead, word))
                with m.If(now.dw & (now.unread[lane] | now.odd_served[lane])):
                    word = b[now.odd_columns[lane]]
                    m.d.sync += self.out.odd[lane].eq(Mux(now.unread[lane], instead, word))

    def _file(self, m: Module, now: Value, line: Value) -> Value:
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


def _line(m: Module, shape: Shape, name: str, words: Value, shift: Value) -> Value:
    """Return nu words from column `shift` on, around the end: halving shifts, the widest first."""
    word, nu = 8 * shape.chip.ku, shape.chip.nu
    part = Cat(words.as_value(), words.as_value()[: word * (nu - 1)])
    for bit in reversed(range(len(shift))):
        kept = Signal(word * (nu + (1 << bit) - 1), name=f"{name}{bit}")
        m.d.comb += kept.eq(Mux(shift[bit], part[word << bit :], part))
        part = kept
    return part


def _unpack(line: Value, w4: Value) -> Value:
    """Return the line, or its lower half as int4, each number as int8."""
    count = len(line) // 8
    bytes_ = [line[8 * i : 8 * i + 8] for i in range(count)]
    nibbles = [line[4 * i : 4 * i + 4].as_signed() for i in range(count)]
    numbers = [Cat(n, n[3].replicate(4)) for n in nibbles]
    return Cat(Mux(w4, n, b) for n, b in zip(numbers, bytes_, strict=True))
