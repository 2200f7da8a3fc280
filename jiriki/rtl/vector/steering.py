"""Steering: what every stage of the chain does in every cycle, and where a beat goes at its end.

Concept: beside the values of a beat travels its tag: whose it is and which micro-op comes next. A
stage does the next micro-op if it can, else the beat passes; that is the assignment of
docs/reference/timing.md, found as the beat goes. At the end of the chain a beat goes round, into
the reduction, or out. A reduction's result comes back in a place that goes round for it: the last
beat's own (it *rides*) or that of a *carrier*, sent when a result takes more than one cycle.
In: beats sent (one cycle after), contexts. Out: control records of the stages, and of the ends.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from jiriki.isa.words import MicroOp, RedOp, Reduce, Src
from jiriki.rtl.vector import alu_stage, function_stage
from jiriki.rtl.vector.alu import FIELDS, QUANTISER
from jiriki.rtl.vector.alu_stage import ALU_STAGE
from jiriki.rtl.vector.context import Contexts
from jiriki.rtl.vector.fp import named
from jiriki.rtl.vector.function_lane import FUNCTION_CONTROL, FUNCTIONS
from jiriki.rtl.vector.function_stage import FUNCTION_STAGE
from jiriki.rtl.vector.records import (
    GROUP_BITS,
    MICRO,
    SLOT_BITS,
    Shape,
    is_among,
    sent_layout,
    tag_layout,
)

MARKS = tuple(op for op in MicroOp if op.is_mark)
STAGE_LAYOUT = {"A": ALU_STAGE, "F": FUNCTION_STAGE}
STAGE_CYCLES = {"A": alu_stage.CYCLES, "F": function_stage.CYCLES}


def arrival_layout(shape: Shape) -> data.StructLayout:
    """Return what the reduction is told of a beat that comes out of the before-passes."""
    return data.StructLayout(
        {
            "valid": 1,
            "first": 1,
            "completes": 1,
            "ends": 1,  # it completes a result that no after-passes follow
            "last": 1,
            "pixels": shape.pixels,
            "place": GROUP_BITS,
            "context": shape.context,
            "reduce": Reduce,
            "redop": RedOp,
            "channels": 16,
        }
    )


def leaving_layout(shape: Shape) -> data.StructLayout:
    """Return what the output is told of a beat that leaves the chain for good."""
    return data.StructLayout({"valid": 1, "last": 1, "context": shape.context})


class Steering(wiring.Component):
    """See the module."""

    def __init__(self, shape: Shape, contexts: Contexts) -> None:
        self.shape, self.contexts = shape, contexts
        super().__init__(
            {
                "sent": In(sent_layout(shape)),  # in the cycle after its sending
                "before": In(4),  # with it: passes before the reduction
                "awake": Out(1),  # a beat enters or is in the chain
                "again": Out(1),  # what comes out of the chain goes into it again
                "arrival": Out(arrival_layout(shape)),
                "leaving": Out(leaving_layout(shape)),
                **{f"stage{i}": Out(STAGE_LAYOUT[k]) for i, k in enumerate(shape.stages)},
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        tag, micro = self._enter(m)
        inside = [self.sent.valid, tag.beat.valid]
        back, back_micro = Signal.like(tag, name="back"), Signal.like(micro, name="back_micro")
        entering, entering_micro = Signal.like(tag), Signal.like(micro)
        m.d.comb += [
            entering.eq(Mux(self.again, back, tag)),
            entering_micro.eq(Mux(self.again, back_micro, micro)),
        ]
        tag, micro = entering, entering_micro
        for i, kind in enumerate(self.shape.stages):
            tags, micro = self._stage(m, i, kind, tag, micro)
            tag, inside = tags[-1], [*inside, *(t.beat.valid for t in tags)]
        m.d.comb += self.awake.eq(Cat(inside).any())
        self._end(m, tag, micro, back)
        m.d.comb += back_micro.eq(micro)
        return m

    def _enter(self, m: Module) -> tuple[Signal, Signal]:
        """Find the first micro-op of a beat; return its tag as it enters the chain."""
        tag, micro = Signal(tag_layout(self.shape)), Signal(MICRO)
        context = self.contexts[self.sent.context]
        start = named(m, "start", Mux(self.sent.carrier, context.resume, context.start))
        m.d.sync += [
            tag.beat.eq(self.sent),
            tag.still.eq(Mux(self.sent.carrier, self.before + 1, 0)),
            tag.beyond.eq(self.sent.carrier),
            tag.next.eq(start),
            micro.eq(context.micros[start]),
        ]
        return tag, micro

    def _stage(
        self, m: Module, index: int, kind: str, tag: Value, micro: Value
    ) -> tuple[list[Signal], Signal]:
        """Steer one stage; return the tag of each cycle, and what is next for what leaves it."""
        control, cycles = getattr(self, f"stage{index}"), STAGE_CYCLES[kind]
        tags = [Signal(tag_layout(self.shape), name=f"tag{index}_{n + 1}") for n in range(cycles)]
        chosen = [Signal(MICRO, name=f"micro{index}_{n + 1}") for n in range(2, cycles)]
        does = Signal(name=f"does{index}")
        works = named(m, f"works{index}", tag.beat.valid & ~tag.beat.line & (tag.still == 0))
        is_function = Mux(works, is_among(micro.op, FUNCTIONS), 0)
        is_alu = works & ~is_among(micro.op, FUNCTIONS) & ~_stops(micro.op)
        m.d.sync += [tags[0].eq(tag), does.eq(is_function if kind == "F" else is_alu)]
        context = self.contexts[tags[0].beat.context]
        m.d.sync += tags[1].eq(tags[0])
        with m.If(does):
            m.d.sync += tags[1].next.eq(context.after[tags[0].next])
        m.d.sync += chosen[0].eq(self.contexts[tags[1].beat.context].micros[tags[1].next])
        for n in range(2, cycles):
            m.d.sync += tags[n].eq(tags[n - 1])
        for n in range(1, len(chosen)):
            m.d.sync += chosen[n].eq(chosen[n - 1])
        valids = [tag.beat.valid, *(t.beat.valid for t in tags[:-1])]
        m.d.comb += [control.valid[n].eq(valid) for n, valid in enumerate(valids)]
        if index == 0:
            m.d.comb += control.late.eq(tags[1].beat.valid & (tags[1].still == 1))
        if kind == "F":
            self._steer_function(m, control, tag, micro, tags[0], is_function)
        else:
            self._steer_alu(m, control, tag, micro, tags, is_alu)
        return tags, chosen[-1]

    def _steer_alu(
        self, m: Module, control: Value, tag: Value, micro: Value, tags: list[Signal], does: Value
    ) -> None:
        op1, op2 = Signal.like(control.one), Signal.like(control.two)
        source, save = Signal(Src), Signal()
        konst, quantiser = Signal(32), Signal(QUANTISER)
        m.d.sync += [op1[name].eq(does & (micro.op == op)) for op, name in FIELDS.items()]
        context = self.contexts[tag.beat.context]
        m.d.sync += [
            source.eq(micro.src[:4]),
            save.eq(does & (micro.op == MicroOp.SAVE)),
            konst.eq(context.konst[micro.src[:3]]),
            op2.eq(op1),
        ]
        q = self.contexts[tags[0].beat.context].quantisers[source[:2]]
        m.d.sync += [quantiser[name].eq(value) for name, value in prepared(q).items()]
        m.d.comb += [
            control.one.eq(op1),
            control.source.eq(source),
            control.konst.eq(konst),
            control.save.eq(save),
            control.two.eq(op2),
            control.quantiser.eq(quantiser),
            control.place.eq(tags[1].beat.place),
        ]

    def _steer_function(
        self, m: Module, control: Value, tag: Value, micro: Value, first: Value, does: Value
    ) -> None:
        op1, op2 = Signal(FUNCTION_CONTROL), Signal(FUNCTION_CONTROL)
        m.d.sync += [op1[op.name.lower()].eq(does & (micro.op == op)) for op in FUNCTIONS]
        m.d.sync += op2.eq(op1)
        context = self.contexts[first.beat.context]
        m.d.comb += [
            control.slot.eq(micro.src[:SLOT_BITS]),
            control.one.eq(op1),
            control.two.eq(op2),
            control.load.eq(first.beat.valid & first.beat.line),
            control.is_segment.eq(context.is_segment),
            control.number.eq(first.beat.place),
            control.load_slot.eq(context.table_slot),
        ]

    def _end(self, m: Module, tag: Value, micro: Value, back: Signal) -> None:
        """Send on what leaves the last stage."""
        beat, arrival = tag.beat, self.arrival
        context = self.contexts[beat.context]
        works = named(m, "works_on", beat.valid & ~beat.line & (tag.still == 0))
        stops = named(m, "stops", works & _stops(micro.op))
        reduces = named(m, "reduces", (context.reduce != Reduce.NONE) & ~tag.beyond)
        rides = named(m, "rides", stops & reduces & beat.rides)
        m.d.comb += [
            self.again.eq(rides | (works & ~stops) | (beat.valid & (tag.still != 0))),
            self.leaving.valid.eq((stops & ~reduces) | (beat.valid & beat.line & beat.last)),
            self.leaving.last.eq(beat.last),
            self.leaving.context.eq(beat.context),
            arrival.valid.eq(stops & reduces),
            arrival.ends.eq(beat.completes & ~context.goes_on),
            arrival.reduce.eq(context.reduce),
            arrival.redop.eq(context.redop),
            arrival.channels.eq(context.channels),
        ]
        m.d.comb += [
            arrival[name].eq(beat[name])
            for name in ("first", "completes", "last", "pixels", "place", "context")
        ]
        m.d.comb += [
            back.eq(tag),
            back.still.eq(Mux(rides, 1, Mux(tag.still == 0, 0, tag.still - 1))),
            back.next.eq(Mux(rides, context.resume, tag.next)),
            back.beyond.eq(tag.beyond | rides),
        ]
        with m.If((tag.still == 1) & (context.reduce == Reduce.CHANNELS)):
            m.d.comb += back.beat.place.eq(0)


def prepared(quantiser: Value) -> dict[str, Value]:
    """Return the fields of a `QUANTISER` from those of QPAR."""
    zero_point, lo, hi = quantiser.zero_point, quantiser.lo, quantiser.hi
    return {
        "zero_point": zero_point, "lo": lo, "hi": hi,
        "to_lo": zero_point - lo, "to_hi": zero_point - hi - 1,
    }  # fmt: skip


def _stops(op: Value) -> Value:
    """Say whether nothing is left to do: END, or a RED that was not passed over."""
    return is_among(op, MARKS)
