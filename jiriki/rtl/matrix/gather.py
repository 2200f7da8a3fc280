"""Gather: which of the pending words are read in this cycle (combinational).

In: the lanes' words, columns and lines apart, and which are pending. Out: the request, a line of
each column, and the lanes it serves. The first pending lane of every column leads; every lane with
the leader's word is served. (`interfaces.Level`, said with a mask of columns a lane: the masks of
all lanes before come from a parallel prefix, so that it is neither deep nor large.)
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from jiriki.rtl.matrix.records import Shape


class Gather(wiring.Component):
    """See the module."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        super().__init__(
            {
                "pending": In(shape.lanes),
                "words": In(shape.word).array(shape.lanes),
                "served": Out(shape.lanes),
                "valid": Out(shape.chip.columns),
                "lines": Out(shape.word - shape.column).array(shape.chip.columns),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: masks, their prefix, leaders, lines."""
        m = Module()
        shape, columns = self.shape, self.shape.chip.columns
        asks = [Signal(columns, name=f"asks{i}") for i in range(shape.lanes)]
        leads = [Signal(columns, name=f"leads{i}") for i in range(shape.lanes)]
        for ask, word, pending in zip(asks, self.words, self.pending, strict=True):
            m.d.comb += ask.eq(Mux(pending, Const(1) << word[: shape.column], 0))
        taken = _prefix(m, asks)
        m.d.comb += leads[0].eq(asks[0])
        for lead, ask, before in zip(leads[1:], asks[1:], taken, strict=False):
            m.d.comb += lead.eq(ask & ~before)
        m.d.comb += self.valid.eq(taken[-1])
        lines = [word[shape.column :] for word in self.words]
        for c, out in enumerate(self.lines):
            parts = [Mux(lead[c], line, 0) for line, lead in zip(lines, leads, strict=True)]
            m.d.comb += out.eq(_join(parts))
        read_lines = [Array(self.lines)[word[: shape.column]] for word in self.words]
        same = Cat(a == b for a, b in zip(read_lines, lines, strict=True))
        m.d.comb += self.served.eq(self.pending & same)
        return m


def _prefix(m: Module, masks: list[Signal]) -> list[Value]:
    """Return for each mask the union of it and all before it, in log2 steps (Sklansky)."""
    out: list[Value] = list(masks)
    half = 1
    while half < len(out):
        for i in range(len(out)):
            if i & half:
                union = Signal(len(masks[0]), name=f"upto{i}_{half}")
                m.d.comb += union.eq(out[i] | out[(i & ~(2 * half - 1)) + half - 1])
                out[i] = union
        half *= 2
    return out


def _join(parts: list[Value]) -> Value:
    """OR in a tree."""
    while len(parts) > 1:
        parts = [reduce(or_, parts[i : i + 2]) for i in range(0, len(parts), 2)]
    return parts[0]
