"""MatrixUnit: the whole MX unit, from instruction words to accumulator rows.

In: words from its queue's front, two read ports of the scratchpad, VX's reads of accumulators.
Out: accumulator rows. From the cycle in which a step's last word was granted its results take

    +1 the words arrive        +3 are multiplied      +6 ... rows leave the shadow,
    +2 become operands         +4 added up               one a cycle
    +5 accumulated

and each row is written two cycles after it left: a read by VX 8 + drain cycles after the last step
of a register tile sees all of it, which is why mx_latency_cycles is at least 7.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from jiriki.chip import ChipConfig
from jiriki.rtl.interfaces import accumulator_read_signature, read_signature, unit_signature
from jiriki.rtl.matrix.array import DotArray
from jiriki.rtl.matrix.decode import Decode
from jiriki.rtl.matrix.drain import Drain
from jiriki.rtl.matrix.issue import Issue
from jiriki.rtl.matrix.operands import Operands
from jiriki.rtl.matrix.records import Shape, copied
from jiriki.rtl.matrix.walk import Walk


class MatrixUnit(wiring.Component):
    """See the module. `inline`: the array's elements are no modules of their own."""

    def __init__(self, chip: ChipConfig, *, inline: bool = True) -> None:
        self.shape, self.inline = Shape(chip), inline
        super().__init__(
            {
                "unit": Out(unit_signature()),
                "a": Out(read_signature(chip)),
                "b": Out(read_signature(chip)),
                "acc": In(accumulator_read_signature(chip)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: the parts in a row."""
        m = Module()
        shape = self.shape
        m.submodules.decode = decode = Decode(shape)
        m.submodules.walk = walk = Walk(shape)
        m.submodules.issue = issue = Issue(shape)
        m.submodules.operands = operands = Operands(shape)
        m.submodules.array = array = DotArray(shape, inline=self.inline)
        m.submodules.drain = drain = Drain(shape)
        connect(m, flipped(self.unit.word), decode.word)
        connect(m, decode.work, walk.work)
        connect(m, walk.step, issue.step)
        connect(m, operands.out, array.operands)
        connect(m, issue.a, flipped(self.a))
        connect(m, issue.b, flipped(self.b))
        connect(m, flipped(self.acc), drain.acc)
        m.d.comb += [
            *copied(walk.products, decode.products),
            self.unit.want.eq(issue.want),
            self.unit.work.eq(issue.work),
            self.unit.done.eq(issue.done),
            self.unit.state.eq(issue.state),
            issue.go.eq(self.unit.go),
            *copied(operands.arrival, issue.arrival),
            operands.a.eq(self.a.data),
            operands.b.eq(self.b.data),
            *[
                to.eq(what)
                for to_row, row in zip(drain.shadow, array.shadow, strict=True)
                for to, what in zip(to_row, row, strict=True)
            ],
            drain.start.eq(array.drain),
            drain.job.eq(array.job),
        ]
        return m
