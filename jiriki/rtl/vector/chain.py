"""VectorChain: the stages in a row, closed to a ring, and their steering.

A beat whose sending is told in cycle s enters with its values in s + 1, is in cycle 1 of the first
stage in s + 2 and at the end (`o`, combinational) `vx_pass_cycles` later, less one.
In: beats, the late results of reductions. Out: what comes out at the end, for reduction or output.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import DomainRenamer, Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from jiriki.rtl.clock_gate import add_gated_domain
from jiriki.rtl.vector.alu_stage import AluStage
from jiriki.rtl.vector.context import Contexts
from jiriki.rtl.vector.function_stage import FunctionStage
from jiriki.rtl.vector.records import Shape, beat_layout, lanes_layout, sent_layout
from jiriki.rtl.vector.steering import Steering, arrival_layout, leaving_layout


class VectorChain(wiring.Component):
    """See the module."""

    def __init__(self, shape: Shape, contexts: Contexts) -> None:
        self.shape, self.contexts = shape, contexts
        super().__init__(
            {
                "sent": In(sent_layout(shape)),
                "before": In(4),
                "i": In(beat_layout(shape)),  # one cycle after `sent`
                "late_value": In(lanes_layout(shape)),
                "o": Out(beat_layout(shape)),
                "arrival": Out(arrival_layout(shape)),
                "leaving": Out(leaving_layout(shape)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        in_beats = DomainRenamer("beats")
        steering = Steering(self.shape, self.contexts)
        m.submodules.steering = in_beats(steering)
        add_gated_domain(m, "beats", steering.awake)
        m.d.comb += [
            steering.sent.eq(self.sent),
            steering.before.eq(self.before),
            self.arrival.eq(steering.arrival),
            self.leaving.eq(steering.leaving),
        ]
        beat = None
        for index, kind in enumerate(self.shape.stages):
            stage = FunctionStage(self.shape) if kind == "F" else AluStage(self.shape)
            m.submodules[f"stage{index}"] = in_beats(stage)
            entering = Mux(steering.again, self.o, self.i) if beat is None else beat
            m.d.comb += [
                stage.control.eq(getattr(steering, f"stage{index}")),
                stage.i.eq(entering),
                stage.late_value.eq(self.late_value),
            ]
            beat = stage.o
        m.d.comb += self.o.eq(beat)
        return m
