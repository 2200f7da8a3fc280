"""VectorUnit: the whole VX unit, from instruction words to words written.

In: words from its queue's front, three read ports of the scratchpad, accumulator rows. Out: writes.
A beat sent in cycle e takes

    e + 1  its last words arrive            e + 3 + k P  leaves the chain after k passes
    e + 2  they become values               ... + 2      is rounded and packed
    e + 3  is in the chain's first stage    ... + 4      could be written

with P = vx_pass_cycles; its time to be written is never before that, because vx_latency_cycles is
at least P + 8. A result of a reduction makes one round for the reduction itself.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped

from jiriki.chip import ChipConfig
from jiriki.rtl.interfaces import (
    accumulator_read_signature,
    read_signature,
    unit_signature,
    write_signature,
)
from jiriki.rtl.vector.chain import VectorChain
from jiriki.rtl.vector.context import Contexts
from jiriki.rtl.vector.decode import Decode
from jiriki.rtl.vector.issue import INPUTS, Issue
from jiriki.rtl.vector.operands import Operands
from jiriki.rtl.vector.output import VectorOutput
from jiriki.rtl.vector.records import Shape
from jiriki.rtl.vector.reduce import VectorReduce
from jiriki.rtl.vector.walk import Walk


class VectorUnit(wiring.Component):
    """See the module."""

    def __init__(self, chip: ChipConfig) -> None:
        self.shape = Shape(chip)
        super().__init__(
            {
                "unit": Out(unit_signature()),
                **{f"r{i}": Out(read_signature(chip)) for i in range(INPUTS)},
                "w": Out(write_signature(chip)),
                "acc": Out(accumulator_read_signature(chip)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: the parts in a row."""
        m = Module()
        shape = self.shape
        contexts = Contexts(shape)
        m.submodules.decode = decode = Decode(shape, contexts)
        m.submodules.walk = walk = Walk(shape)
        m.submodules.issue = issue = Issue(shape)
        m.submodules.operands = operands = Operands(shape)
        m.submodules.chain = chain = VectorChain(shape, contexts)
        m.submodules.reduce = reduce = VectorReduce(shape)
        m.submodules.output = output = VectorOutput(shape, contexts)
        connect(m, flipped(self.unit.word), decode.word)
        connect(m, decode.work, walk.work)
        connect(m, walk.step, issue.step)
        connect(m, issue.expected, output.expected)
        connect(m, output.w, flipped(self.w))
        for i in range(INPUTS):
            connect(m, getattr(issue, f"r{i}"), flipped(getattr(self, f"r{i}")))
            m.d.comb += [
                getattr(operands, f"fetch{i}").eq(getattr(issue, f"fetch{i}")),
                getattr(operands, f"data{i}").eq(getattr(self, f"r{i}").data),
            ]
        sent, before = Signal.like(issue.sent), Signal.like(issue.before)
        m.d.sync += [sent.eq(issue.sent), before.eq(issue.before)]
        m.d.comb += [
            self.unit.want.eq(issue.want),
            self.unit.work.eq(issue.work),
            self.unit.state.eq(issue.state),
            self.unit.done.eq(output.done),
            issue.go.eq(self.unit.go),
            issue.written.eq(output.written),
            self.acc.enable.eq(issue.acc_enable),
            self.acc.row.eq(issue.acc_row),
            operands.parameters.eq(issue.parameters),
            operands.rows.eq(issue.acc_enable),
            operands.row.eq(self.acc.data),
            operands.form.eq(issue.form),
            chain.sent.eq(sent),
            chain.before.eq(before),
            chain.i.eq(operands.beat),
            chain.late_value.eq(reduce.value),
            reduce.arrival.eq(chain.arrival),
            reduce.v.eq(chain.o.v),
            output.leaving.eq(chain.leaving),
            output.v.eq(chain.o.v),
            output.ended.eq(reduce.ended),
            output.ended_value.eq(reduce.ended_value),
        ]
        return m
