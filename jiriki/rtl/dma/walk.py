"""Walk: the runs of a record, one after the other, by additions only.

In: a record of runs, and a pulse for each step to the next run. Out: the address of the run after
the present one, and whether the present one is the last. Latency: registers are loaded and stepped
at the end of a cycle.

base[d] is the address of the run with indices 0 below dimension d. The next run counts dimension
*d*, the lowest that is not at its top, and starts at base[d] + stride[d].
"""

# pyright: reportAttributeAccessIssue=false

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from jiriki.rtl.dma.records import COUNT_BITS, DIMS, walk_layout


class Walk(wiring.Component):
    """See the module."""

    def __init__(self, address_bits: int, run_bits: int) -> None:
        self.address_bits = address_bits
        super().__init__(
            {
                "load": In(1),
                "record": In(walk_layout(address_bits, run_bits)),
                "step": In(1),
                "following": Out(address_bits),
                "inner_wraps": Out(1),  # dimension 0 is at its top
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        base = Signal(data.ArrayLayout(self.address_bits, DIMS))
        stride = Signal(data.ArrayLayout(self.address_bits, DIMS))
        at, top = (Signal(data.ArrayLayout(COUNT_BITS, DIMS), name=n) for n in ("at", "top"))
        full = Signal(DIMS)
        m.d.comb += [full[d].eq(at[d] == top[d]) for d in range(DIMS)]
        from_base, by = Value.cast(base[DIMS - 1]), Value.cast(stride[DIMS - 1])
        for d in reversed(range(DIMS - 1)):
            from_base, by = Mux(full[d], from_base, base[d]), Mux(full[d], by, stride[d])
        m.d.comb += [
            self.following.eq(from_base + by),
            self.last.eq(full.all()),
            self.inner_wraps.eq(full[0]),
        ]
        with m.If(self.step):
            for d in range(DIMS):
                with m.If(full[:d].all() if d else 1):  # d counts, or starts again
                    m.d.sync += [
                        at[d].eq(Mux(full[d], 0, at[d] + 1)),
                        base[d].eq(self.following),
                    ]
        with m.If(self.load):
            m.d.sync += [
                at.eq(0),
                top.eq(self.record.top),
                stride.eq(self.record.stride),
                *(base[d].eq(self.record.address) for d in range(DIMS)),
            ]
        return m
