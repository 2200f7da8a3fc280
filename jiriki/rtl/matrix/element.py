"""Element: a dot product of ku int8 terms, its int32 accumulator and its shadow.

In: ku terms and ku weights with `multiply`; a cycle later `add`, another `accumulate` and what
goes with it. Out: the shadow, which takes the sum of a tile's last step and keeps it while it
drains. Three cycles from operands to accumulator: multiply, add up, accumulate; the products are
plain signed multiplications of 8 bits, which synthesis makes as it likes (yosys: -booth).
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2


@dataclass(frozen=True)
class Control:
    """What all elements, or those of some columns, do in a cycle."""

    multiply: Value  # operands are there
    add: Value  # products are there
    accumulate: Value  # the sum of a step is there
    takes_part: Value | None  # with accumulate: this element's sum counts (None: always)
    clear: Value  # with accumulate: the accumulator starts with it
    last: Value  # with accumulate: the result moves to the shadow


class Element(wiring.Component):
    """One element as a component of its own; latency: three cycles to the shadow.

    `rests`: it has the wire takes_part (chips whose DW uses only some columns in a step).
    """

    def __init__(self, ku: int, *, rests: bool = False) -> None:
        self.ku, self.rests = ku, rests
        flags = ("multiply", "add", "accumulate", "clear", "last")
        super().__init__(
            {
                "terms": In(8 * ku),
                "weights": In(8 * ku),
                **{name: In(1) for name in flags + ("takes_part",) * rests},
                "shadow": Out(signed(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        control = Control(
            self.multiply,
            self.add,
            self.accumulate,
            self.takes_part if self.rests else None,
            self.clear,
            self.last,
        )
        m.d.comb += self.shadow.eq(element(m, "e", self.ku, self.terms, self.weights, control))
        return m


def element(m: Module, name: str, ku: int, terms: Value, weights: Value, control: Control) -> Value:
    """Build an element into `m`; return its shadow."""
    products = [Signal(signed(16), name=f"{name}_product{k}") for k in range(ku)]
    total = Signal(signed(16 + ceil_log2(ku)), name=f"{name}_total")
    accumulator = Signal(signed(32), name=f"{name}_accumulator")
    shadow = Signal(signed(32), name=f"{name}_shadow")
    with m.If(control.multiply):
        for k, product in enumerate(products):
            byte = slice(8 * k, 8 * k + 8)
            m.d.sync += product.eq(terms[byte].as_signed() * weights[byte].as_signed())
    with m.If(control.add):
        m.d.sync += total.eq(_sum(products))
    result = Signal(signed(32), name=f"{name}_result")
    m.d.comb += result.eq(Mux(control.clear, 0, accumulator) + total)
    if control.takes_part is not None:
        with m.If(~control.takes_part):
            m.d.comb += result.eq(accumulator)
    with m.If(control.accumulate):
        m.d.sync += accumulator.eq(result)
        with m.If(control.last):
            m.d.sync += shadow.eq(result)
    return shadow


def _sum(values: list[Value]) -> Value:
    """Add in a tree."""
    while len(values) > 1:
        values = [a + b for a, b in zip(values[::2], values[1::2], strict=True)]
    return values[0]
