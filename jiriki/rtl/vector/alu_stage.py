"""AluStage: an A stage of the chain: an ALU in every lane, three cycles.

In: a beat (registered here) and what to do with it, cycle by cycle (`ALU_STAGE`). Out: the beat at
the end of cycle 3. The operand x is one choice for all lanes. In cycle 2 `late` puts a reduction's
result in place of v.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from jiriki.isa.words import Src
from jiriki.rtl.shared_modules import share
from jiriki.rtl.vector.alu import ALU_CONTROL, QUANTISER, Alu
from jiriki.rtl.vector.fp import register
from jiriki.rtl.vector.records import GROUP_BITS, Shape, beat_layout, lanes_layout

CYCLES = 3

ALU_STAGE = data.StructLayout(
    {
        "valid": CYCLES,  # a beat enters, or is in cycle 1, 2
        "one": ALU_CONTROL,  # cycle 1
        "source": Src,  # cycle 1
        "konst": 32,  # cycle 1: the scalar register of `source`
        "save": 1,  # cycle 1
        "two": ALU_CONTROL,  # cycle 2
        "quantiser": QUANTISER,  # cycle 2
        "place": GROUP_BITS,  # cycle 2
        "late": 1,  # cycle 2
    }
)


class AluStage(wiring.Component):
    """See the module."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        super().__init__(
            {
                "i": In(beat_layout(shape)),
                "control": In(ALU_STAGE),
                "late_value": In(lanes_layout(shape)),  # cycle 2
                "o": Out(beat_layout(shape)),  # combinational, in cycle 3
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        control, layout = self.control, beat_layout(self.shape)
        first = register("one", layout)
        t2, t3 = (register(f"t{n}", first.t.shape()) for n in (2, 3))
        side2, side3 = (register(f"side{n}", first.side.shape()) for n in (2, 3))
        with m.If(control.valid[0]):
            m.d.sync += first.eq(self.i)
        with m.If(control.valid[1]):
            m.d.sync += [t2.eq(first.t), side2.eq(first.side)]
            with m.If(control.save):
                m.d.sync += t2.eq(first.v)
        with m.If(control.valid[2]):
            m.d.sync += [t3.eq(t2), side3.eq(side2)]
        m.d.comb += [self.o.t.eq(t3), self.o.side.eq(side3)]
        x = self._operand(m, first)
        for i in range(self.shape.lanes):
            alu = Alu(self.shape.channel, GROUP_BITS)
            m.submodules[f"lane{i}"] = share(platform, alu, alu.module_name)
            m.d.comb += [
                alu.v.eq(first.v[i]),
                alu.x.eq(x[i]),
                alu.negates.eq(i % 2 == 0),
                alu.channel.eq(i % self.shape.ku),
                alu.t_exponent.eq(first.t[i][23:31]),
                alu.one.eq(control.one),
                alu.two.eq(control.two),
                alu.quantiser.eq(control.quantiser),
                alu.place.eq(control.place),
                alu.late.eq(control.late),
                alu.late_value.eq(self.late_value[i]),
                self.o.v[i].eq(alu.o),
            ]
        return m

    def _operand(self, m: Module, beat: Value) -> Value:
        """Choose the operand of every lane at once."""
        lanes, ku, side = self.shape.lanes, self.shape.ku, beat.side
        x = Signal(lanes_layout(self.shape))
        with m.If(self.control.one.rot):
            m.d.comb += [x[i].eq(beat.v[min(i ^ 1, lanes - 1)]) for i in range(lanes)]
        with m.Else(), m.Switch(self.control.source):
            for source, values in (
                (Src.V, beat.v), (Src.T, beat.t), (Src.IN1, side.in1), (Src.IN2, side.in2),
            ):  # fmt: skip
                with m.Case(source):
                    m.d.comb += x.eq(values)
            for source, values in ((Src.PB, side.pb), (Src.PS, side.ps)):
                with m.Case(source):
                    m.d.comb += x.eq(Cat(values[i % ku] for i in range(lanes)))
            with m.Default():
                m.d.comb += x.eq(self.control.konst.replicate(lanes))
        return x
