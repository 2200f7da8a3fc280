"""Windows of convolutions and poolings: ONNX attributes to explicit geometry.

In: kernel_shape, strides, pads, auto_pad, dilations, ceil_mode of a 1-D, 2-D or 3-D node.
Out: a `Span` per spatial axis, and from them a `Window` over (y, x) with, for a 3-D node, the span
of its depth; a 1-D node gets a height of 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx

from jiriki.frontend.onnx.context import (
    Context,
    int_attribute,
    label,
    list_attribute,
    text_attribute,
)

POINT = (1, 1, 0, 0, 1)  # kernel, stride, before, after, dilation of an axis with no window


@dataclass(frozen=True)
class Span:
    """A window's extent and motion along one axis of `size` elements.

    `after` includes the padding that ceil_mode adds; `counted` is the part that the model named,
    which is what count_include_pad counts.
    """

    size: int
    kernel: int
    stride: int
    before: int
    after: int
    dilation: int
    counted: int

    @property
    def reach(self) -> int:
        """Elements from the window's first tap to its last, both included."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def outputs(self) -> int:
        """Positions of the window."""
        return (self.size + self.before + self.after - self.reach) // self.stride + 1

    def taps(self) -> list[list[int]]:
        """Return, for each output and tap, where it reads; beyond 0..size-1 is padding."""
        starts = range(-self.before, -self.before + self.outputs * self.stride, self.stride)
        return [[start + k * self.dilation for k in range(self.kernel)] for start in starts]


@dataclass(frozen=True)
class Window:
    """Kernel and its motion over (y, x); pads are top, left, bottom, right; a 3-D one has depth.

    `counted` are the pads without what ceil_mode added.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    counted: tuple[int, int, int, int]
    depth: Span | None = None


def lift(context: Context, node: onnx.NodeProto, x: str) -> str:
    """Return x [N,C,L] as [N,C,1,L]; x [N,C,H,W] unchanged."""
    shape = context.tensors[x].shape
    if len(shape) == 4:
        return x
    if len(shape) != 3:
        raise context.unsupported(
            node, f"{len(shape) - 2}-D windows are not taken", "use 1-D, 2-D or 3-D"
        )
    new = (*shape[:2], 1, shape[2])
    return context.emit("reshape", [x], {"shape": new}, f"{x}/2d", label(node))


def lower(context: Context, node: onnx.NodeProto, y: str, rank: int) -> str:
    """Undo `lift` on the result when the ONNX node has rank 3."""
    if rank == 4:
        return y
    shape = context.tensors[y].shape
    return context.emit(
        "reshape", [y], {"shape": (*shape[:2], shape[3])}, node.output[0], label(node)
    )


def read_spans(
    node: onnx.NodeProto, spatial: tuple[int, ...], kernel: tuple[int, ...]
) -> list[Span]:
    """Read the window of a conv or pooling over an input of the given spatial sizes."""
    rank = len(spatial)
    strides = list_attribute(node, "strides", [1] * rank)
    dilations = list_attribute(node, "dilations", [1] * rank)
    given = list_attribute(node, "pads", [0] * (2 * rank))
    mode = text_attribute(node, "auto_pad", "NOTSET")
    spans = []
    for i, size in enumerate(spatial):
        span = Span(size, kernel[i], strides[i], 0, 0, dilations[i], 0)
        if mode in ("NOTSET", ""):
            span = replace(span, before=given[i], after=given[rank + i], counted=given[rank + i])
        elif mode != "VALID":
            span = _same(span, upper=mode == "SAME_UPPER")
        spans.append(_ceiled(span) if int_attribute(node, "ceil_mode", 0) else span)
    return spans


def _same(span: Span, upper: bool) -> Span:
    """Pad so that the outputs are size / stride, rounded up."""
    outputs = -(-span.size // span.stride)
    total = max((outputs - 1) * span.stride + span.reach - span.size, 0)
    small, large = total // 2, total - total // 2
    before, after = (small, large) if upper else (large, small)
    return replace(span, before=before, after=after, counted=after)


def _ceiled(span: Span) -> Span:
    """Lengthen the end pad so that flooring gives the ceil_mode size."""
    padded = span.size + span.before
    outputs = -(-(padded + span.after - span.reach) // span.stride) + 1
    if (outputs - 1) * span.stride >= padded:
        outputs -= 1  # the last window must start inside the input or its left padding
    after = max(span.after, (outputs - 1) * span.stride + span.reach - padded)
    return replace(span, after=after)


def read_window(node: onnx.NodeProto, spatial: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
    """Read the window of a conv or pooling over 1 to 3 axes of the given sizes."""
    return make_window(read_spans(node, spatial, kernel))


def make_window(spans: Sequence[Span]) -> Window:
    """Join the spans of 1 to 3 axes; a 1-D window gets a height of 1."""
    assert 1 <= len(spans) <= 3, f"a window over {len(spans)} axes"
    depth = spans[0] if len(spans) == 3 else None
    y, x = spans[-2:] if len(spans) > 1 else (Span(1, *POINT, 0), spans[0])
    return Window(
        (y.kernel, x.kernel),
        (y.stride, x.stride),
        (y.before, x.before, y.after, x.after),
        (y.dilation, x.dilation),
        (y.before, x.before, y.counted, x.counted),
        depth,
    )
