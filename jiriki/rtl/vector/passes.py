"""How often a chain goes round: its micro-ops dealt out to the stages, when CHAIN arrives.

Concept: "Chain" of docs/reference/timing.md as a small machine: a place in the row of stages and a
count of passes, moved by one micro-op after another; END stops it, the first RED (when there is a
reduction: `split`) begins a new count.
In: five micro-ops and where the first five of the chain left off. Out: where these leave off.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data

from jiriki.isa.words import MicroOp
from jiriki.rtl.vector.fp import named
from jiriki.rtl.vector.function_lane import FUNCTIONS
from jiriki.rtl.vector.records import COUNT_BITS, is_among

PROGRESS = data.StructLayout(
    {
        "used": 8,  # stages of the present pass that are behind; 0 before the first pass
        "passes": COUNT_BITS,
        "ended": 1,
        "beyond": 1,  # a RED was met
        "before": COUNT_BITS,  # passes up to it
    }
)


def dealt(
    m: Module, name: str, stages: str, micros: list[Value], start: Value, *, split: bool
) -> Value:
    """Return the progress after `micros` (their op fields)."""
    state = start
    for i, op in enumerate(micros):
        after = Signal(PROGRESS, name=f"{name}{i}")
        is_function = named(m, f"{name}{i}_f", is_among(op, FUNCTIONS))
        used, wraps = Signal(8, name=f"{name}{i}_used"), Signal(name=f"{name}{i}_wraps")
        with m.Switch(state.used):
            for behind in range(1, len(stages) + 1):
                with m.Case(behind):
                    _next(m, stages, behind, is_function, used, wraps)
            with m.Default():  # no pass has begun
                _next(m, stages, len(stages), is_function, used, wraps)
        m.d.comb += after.eq(state)
        with m.If((op == MicroOp.END) | state.ended):
            m.d.comb += after.ended.eq(1)
        with m.Elif(op == MicroOp.RED):
            if split:
                with m.If(~state.beyond):
                    m.d.comb += [
                        after.beyond.eq(1),
                        after.before.eq(state.passes),
                        after.passes.eq(0),
                        after.used.eq(0),
                    ]
        with m.Else():
            m.d.comb += [after.used.eq(used), after.passes.eq(state.passes + wraps)]
        state = after
    return state


def counts(progress: Value) -> tuple[Value, Value]:
    """Return (passes before the reduction, at least one; passes beyond it)."""
    before = Mux(progress.beyond, progress.before, progress.passes)
    return Mux(before == 0, 1, before), Mux(progress.beyond, progress.passes, 0)


def _next(
    m: Module, stages: str, behind: int, is_function: Value, used: Signal, wraps: Signal
) -> None:
    places = [_place(stages, behind, kind) for kind in "AF"]
    for value, kind in zip(places, (~is_function, is_function), strict=True):
        with m.If(kind):
            m.d.comb += [used.eq(value[0]), wraps.eq(value[1])]


def _place(stages: str, behind: int, kind: str) -> tuple[int, int]:
    """Return (stages behind after the next stage of `kind`, is it in a new pass)."""
    index = stages.find(kind, behind)
    if index >= 0:
        return index + 1, 0
    return stages.find(kind) + 1, 1
