"""Windows of convolutions and poolings: ONNX attributes to explicit geometry.

In: kernel_shape, strides, pads, auto_pad, dilations, ceil_mode of a 1-D, 2-D or 3-D node.
Out: the `Span` of each spatial axis, and the `Window` that they make (`frontend.lower.window`).
"""

from __future__ import annotations

from dataclasses import replace

import onnx

from jiriki.frontend.lower.conv3d import Taps, stack_slices, unstack_slices
from jiriki.frontend.lower.window import Span, Window, ceiled, make_window, padded_same
from jiriki.frontend.onnx.context import (
    Context,
    int_attribute,
    label,
    list_attribute,
    text_attribute,
)


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


def lift_depth(
    context: Context, node: onnx.NodeProto, x: str, taps: Taps, fill: int, group: int
) -> str:
    """Return x [N,C,D,H,W] as images whose channels are the slices that each output reads."""
    if not taps:
        raise context.unsupported(
            node,
            f"the kernel does not fit into depth {context.tensors[x].shape[2]}",
            "pad the input or use a smaller one",
        )
    return stack_slices(context, x, taps, fill, group, node.output[0], label(node))


def lower_depth(context: Context, node: onnx.NodeProto, y: str, batch: int) -> str:
    """Undo `lift_depth` on the result."""
    return unstack_slices(context, y, batch, node.output[0], label(node))


def read_spans(
    node: onnx.NodeProto, spatial: tuple[int, ...], kernel: tuple[int, ...]
) -> list[Span]:
    """Read the window of a conv or pooling over an input of the given spatial sizes."""
    rank = len(spatial)
    strides = list_attribute(node, "strides", [1] * rank)
    dilations = list_attribute(node, "dilations", [1] * rank)
    pads = list_attribute(node, "pads", [0] * (2 * rank))
    mode = text_attribute(node, "auto_pad", "NOTSET")
    spans = []
    for i, size in enumerate(spatial):
        span = Span(size, kernel[i], strides[i], 0, 0, dilations[i], 0)
        if mode in ("NOTSET", ""):
            span = replace(span, before=pads[i], after=pads[rank + i], counted=pads[rank + i])
        elif mode != "VALID":
            span = padded_same(span, upper=mode == "SAME_UPPER")
        spans.append(ceiled(span) if int_attribute(node, "ceil_mode", 0) else span)
    return spans


def read_window(node: onnx.NodeProto, spatial: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
    """Read the window of a conv or pooling over 1 to 3 axes of the given sizes."""
    return make_window(read_spans(node, spatial, kernel))
