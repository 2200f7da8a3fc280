"""Contexts: what is kept of the instructions in work, for whoever meets their beats.

Each VRUN or LDT has one from the cycle it is decoded; a beat carries its number. There are two more
than may be tracked (`vx_contexts`): when an instruction is decoded, of the two before it the older
has left the front, so that it was started with at most vx_contexts - 1 others not completed.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false

from amaranth.hdl import Array, Signal, Value, ValueLike

from jiriki.rtl.vector.records import Shape, context_layout


class Contexts:
    """Registers shared by the decoder (which writes them) and the chain (which reads)."""

    def __init__(self, shape: Shape) -> None:
        layout = context_layout(shape)
        self.signals = [Signal(layout, name=f"context{i}") for i in range(shape.contexts)]

    def __getitem__(self, number: ValueLike) -> Value:
        """Return the context of a number that is a signal."""
        return Array(self.signals)[number]
