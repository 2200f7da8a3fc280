"""Performance counters: what each unit did in every cycle, and how much the port moved.

In: the state of each unit and the reason of its front. Out: counts, in the order of `REASONS`.
Follows "Counters" of docs/reference/timing.md: a one-cycle instruction makes its cycle busy, the
unit's own state comes next, then the front's reason.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from jiriki.rtl.control.front import Idle
from jiriki.rtl.interfaces import State

COUNTER_BITS = 40
REASONS = (
    "busy", "instruction", "semaphore", "data", "bank", "drain", "dram", "write", "completion",
    "chain",
)  # fmt: skip
_OF_STATE = {
    State.BUSY: "busy", State.BANK: "bank", State.DRAIN: "drain", State.DRAM: "dram",
    State.WRITE: "write", State.CHAIN: "chain", State.DATA: "data",
}  # fmt: skip
_OF_IDLE = {
    Idle.INSTRUCTION: "instruction", Idle.COMPLETION: "completion", Idle.SEMAPHORE: "semaphore",
    Idle.STARTED: "busy",
}  # fmt: skip


class UnitCounter(wiring.Component):
    """The counts of one unit."""

    def __init__(self) -> None:
        super().__init__({
            "on": In(1),  # count this cycle
            "clear": In(1),
            "state": In(State),
            "reason": In(Idle),
            "counts": Out(COUNTER_BITS).array(len(REASONS)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        which = Signal(range(len(REASONS)))
        for idle, name in _OF_IDLE.items():
            with m.If(self.reason == idle):
                m.d.comb += which.eq(REASONS.index(name))
        for state, name in _OF_STATE.items():
            with m.If((self.state == state) & (self.reason != Idle.STARTED)):
                m.d.comb += which.eq(REASONS.index(name))
        for i, count in enumerate(self.counts):
            step = self.on & (which == i)
            m.d.sync += count.eq(Mux(self.clear, 0, count + step))
        return m
