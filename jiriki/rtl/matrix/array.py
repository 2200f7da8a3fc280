"""Array: mu x nu elements, a row of results a pixel, a column a channel; two rows at least.

In: the operands of a step. Out: shadows [row][column], and the job of a tile as they are taken.
Dense modes multiply a row's terms with a column's weights. In DW column n is channel n: term k is
that channel's byte of the word of tap k, and only the columns of the step's pair of channel groups
take part. In GEMV both first rows have the same terms, the second row weights of its own.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from jiriki.rtl.matrix.element import Control, Element, element
from jiriki.rtl.matrix.operands import operands_signature
from jiriki.rtl.matrix.records import Shape, job_layout, sum_layout


class DotArray(wiring.Component):
    """See the module. Latency: three cycles. `inline`: elements are part of this module."""

    def __init__(self, shape: Shape, *, inline: bool = True) -> None:
        self.shape, self.inline = shape, inline
        super().__init__(
            {
                "operands": In(operands_signature(shape)),
                "shadow": Out(signed(32)).array(shape.rows, shape.chip.nu),
                "drain": Out(1),  # the shadow takes the results of a tile at the end of this cycle
                "job": Out(job_layout(shape)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: the control of three stages, then element by element."""
        m = Module()
        shape, chip, operands = self.shape, self.shape.chip, self.operands
        adding, summing = Signal(), Signal()
        first, second = Signal(sum_layout(shape)), Signal(sum_layout(shape))
        m.d.sync += [adding.eq(operands.valid), summing.eq(adding)]
        with m.If(operands.valid):
            m.d.sync += first.eq(operands.sum)
        with m.If(adding):
            m.d.sync += second.eq(first)
        m.d.comb += [self.drain.eq(summing & second.last), self.job.eq(second.job)]
        for row in range(shape.rows):
            for column in range(chip.nu):
                part = None
                if shape.pairs > 1:
                    part = ~second.dw | (second.pair == column // (2 * chip.ku))
                control = Control(operands.valid, adding, summing, part, second.clear, second.last)
                terms, weights = self._inputs(m, row, column)
                shadow = self._element(m, f"e{row}_{column}", terms, weights, control)
                m.d.comb += self.shadow[row][column].eq(shadow)
        return m

    def _inputs(self, m: Module, row: int, column: int) -> tuple[Value, Value]:
        """Return the terms and weights of an element."""
        chip, operands = self.shape.chip, self.operands
        weights = operands.weights[column]
        if row == 1:
            weights = Mux(operands.gemv, operands.second_weights[column], weights)
        if row >= chip.mu:
            return operands.second, weights
        group, channel = divmod(column, chip.ku)
        words = operands.odd if group % 2 else operands.even
        byte = slice(8 * channel, 8 * channel + 8)
        taps = Cat(words[tap * chip.mu + row][byte] for tap in range(chip.ku))
        return Mux(operands.sum.dw, taps, operands.even[row]), weights

    def _element(
        self, m: Module, name: str, terms: Value, weights: Value, control: Control
    ) -> Value:
        if self.inline:
            return element(m, name, self.shape.chip.ku, terms, weights, control)
        component = Element(self.shape.chip.ku, rests=control.takes_part is not None)
        m.submodules[name] = component
        m.d.comb += [
            component.terms.eq(terms),
            component.weights.eq(weights),
            component.multiply.eq(control.multiply),
            component.add.eq(control.add),
            component.accumulate.eq(control.accumulate),
            component.clear.eq(control.clear),
            component.last.eq(control.last),
        ]
        if control.takes_part is not None:
            m.d.comb += component.takes_part.eq(control.takes_part)
        return component.shadow
