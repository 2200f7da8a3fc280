"""Operators that only move elements, to the graph's movement operations.

In: Reshape, Transpose, Slice, Pad, ... of any opset. Out: reshape, transpose, slice, concat, pad,
expand, gather.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx

from jiriki.frontend.onnx.context import (
    Carrier,
    Context,
    Value,
    float_attribute,
    int_attribute,
    label,
    list_attribute,
    text_attribute,
)
from jiriki.frontend.onnx.registry import takes
from jiriki.graph import Attr


def moved(context: Context, node: onnx.NodeProto, op: str, attrs: dict[str, Attr]) -> None:
    """Emit a movement of input 0 that keeps its format."""
    carrier = context.carrier(node)
    tensor = context.emit(op, [carrier.tensor], attrs, node.output[0], label(node))
    context.bind_moved(node, carrier, tensor)


def reshaped(context: Context, node: onnx.NodeProto, shape: tuple[int, ...]) -> None:
    """Bind the node to input 0 under another shape."""
    moved(context, node, "reshape", {"shape": shape})


def axes_of(context: Context, node: onnx.NodeProto, index: int, rank: int) -> tuple[int, ...]:
    """Return axes from input `index` or the attribute, as non-negative numbers."""
    if context.has(node, index):
        axes = [int(a) for a in context.constant(node, index).reshape(-1)]
    else:
        axes = list_attribute(node, "axes", [])
    return tuple(sorted(a % rank for a in axes)) if rank else ()


@takes("Identity")
def identity(context: Context, node: onnx.NodeProto) -> None:
    """The same value under another name."""
    context.values[node.output[0]] = context.value(node, 0)


@takes("Shape")
def shape(context: Context, node: onnx.NodeProto) -> None:
    """Shapes are static: a constant."""
    dims = context.value(node, 0).shape
    end = int_attribute(node, "end", len(dims))
    array = np.array(dims[int_attribute(node, "start", 0) : end], np.int64)
    context.values[node.output[0]] = Value("int64", array.shape, array=array)


@takes("Reshape")
def reshape(context: Context, node: onnx.NodeProto) -> None:
    """0 copies a dimension (unless allowzero), -1 is what remains."""
    x = context.value(node, 0)
    wanted = [int(d) for d in context.constant(node, 1)]
    if not int_attribute(node, "allowzero", 0):
        wanted = [x.shape[i] if d == 0 else d for i, d in enumerate(wanted)]
    known = prod(d for d in wanted if d != -1)
    shape = tuple(prod(x.shape) // known if d == -1 else d for d in wanted)
    reshaped(context, node, shape)


@takes("Flatten")
def flatten(context: Context, node: onnx.NodeProto) -> None:
    """Two axes: those before `axis`, and the others."""
    shape = context.value(node, 0).shape
    axis = int_attribute(node, "axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    reshaped(context, node, (prod(shape[:axis]), prod(shape[axis:])))


@takes("Squeeze")
def squeeze(context: Context, node: onnx.NodeProto) -> None:
    """Drop axes of size 1."""
    shape = context.value(node, 0).shape
    axes = axes_of(context, node, 1, len(shape))
    axes = axes or tuple(i for i, n in enumerate(shape) if n == 1)
    reshaped(context, node, tuple(n for i, n in enumerate(shape) if i not in axes))


@takes("Unsqueeze")
def unsqueeze(context: Context, node: onnx.NodeProto) -> None:
    """Insert axes of size 1."""
    shape = list(context.value(node, 0).shape)
    if context.has(node, 1):
        count = context.constant(node, 1).size
    else:
        count = len(list_attribute(node, "axes", []))
    for axis in axes_of(context, node, 1, len(shape) + count):
        shape.insert(axis, 1)
    reshaped(context, node, tuple(shape))


@takes("Transpose")
def transpose(context: Context, node: onnx.NodeProto) -> None:
    """Permute axes."""
    rank = len(context.value(node, 0).shape)
    perm = list_attribute(node, "perm", list(reversed(range(rank))))
    moved(context, node, "transpose", {"perm": tuple(perm)})


@takes("Concat")
def concat(context: Context, node: onnx.NodeProto) -> None:
    """Join along an axis; the inputs have one format, and those without elements add nothing."""
    axis = int_attribute(node, "axis", 1) % len(context.value(node, 0).shape)
    used = [i for i in range(len(node.input)) if 0 not in context.value(node, i).shape]
    carriers = [context.carrier(node, i) for i in used]
    params = {(c.quant.param() if c.quant else None) for c in carriers}
    first = carriers[0]
    if len(params) > 1:  # different scales meet in float
        parts = [context.tensor(node, i) for i in used]
        first = Carrier(parts[0], context.value(node, used[0]).dtype, None)
    else:
        parts = [carrier.tensor for carrier in carriers]
    tensor = context.emit("concat", parts, {"axis": axis}, node.output[0], label(node))
    context.bind_moved(node, first, tensor)


@takes("Split")
@takes("QSplit", domain="com.microsoft")
def split(context: Context, node: onnx.NodeProto) -> None:
    """One slice per output."""
    x = context.value(node, 0)
    axis = int_attribute(node, "axis", 0) % len(x.shape)
    sizes = _split_sizes(context, node, x.shape[axis])
    carrier = context.carrier(node)
    start = 0
    for index, size in enumerate(sizes):
        attrs = slice_attrs(x.shape, {axis: (start, start + size, 1)})
        if node.output[index]:
            tensor = context.emit("slice", [carrier.tensor], attrs, node.output[index], label(node))
            context.bind_moved(node, carrier, tensor, index)
        start += size


def _split_sizes(context: Context, node: onnx.NodeProto, size: int) -> list[int]:
    if context.has(node, 1):
        return [int(s) for s in context.constant(node, 1)]
    sizes = list_attribute(node, "split", [])
    if sizes:
        return sizes
    count = len(node.output)
    each = -(-size // count)
    return [min(each, size - i * each) for i in range(count)]


def slice_attrs(shape: tuple[int, ...], parts: dict[int, tuple[int, int, int]]) -> dict[str, Attr]:
    """Return full-rank slice attributes with the given (start, end, step) per axis."""
    full = [parts.get(i, (0, n, 1)) for i, n in enumerate(shape)]
    starts, ends, steps = zip(*full, strict=True)
    return {"starts": starts, "ends": ends, "steps": steps}


@takes("Slice")
def slice_(context: Context, node: onnx.NodeProto) -> None:
    """Clamp and normalise starts and ends; negative steps run backwards."""
    shape = context.value(node, 0).shape
    if len(node.input) > 1:
        starts, ends = (context.constant(node, i).reshape(-1).tolist() for i in (1, 2))
        listed_axes = context.optional(node, 3)
        steps = context.optional(node, 4)
    else:
        starts, ends = list_attribute(node, "starts", []), list_attribute(node, "ends", [])
        listed_axes, steps = np.array(list_attribute(node, "axes", range(len(starts)))), None
    axes = range(len(starts)) if listed_axes is None else listed_axes.reshape(-1).tolist()
    strides = [1] * len(starts) if steps is None else steps.reshape(-1).tolist()
    parts = {}
    for axis, start, end, step in zip(axes, starts, ends, strides, strict=True):
        bounds = _clamped(int(start), int(end), int(step), shape[axis])
        parts[axis % len(shape)] = bounds
    moved(context, node, "slice", slice_attrs(shape, parts))


def _clamped(start: int, end: int, step: int, size: int) -> tuple[int, int, int]:
    """Return ONNX's bounds: a backward slice starts at an element, even from far below."""
    if step > 0 or not size:
        return slice(start, end, step).indices(size)
    first = min(max(start + size if start < 0 else start, 0), size - 1)
    return first, min(max(end + size if end < 0 else end, -1), size - 1), step


@takes("Pad")
def pad(context: Context, node: onnx.NodeProto) -> None:
    """Constant, reflect or edge; negative pads crop first."""
    x = context.value(node, 0)
    rank = len(x.shape)
    mode = text_attribute(node, "mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        raise context.unsupported(node, f"mode {mode} is not taken", "use constant, reflect, edge")
    if len(node.input) > 1:
        listed_pads = [int(p) for p in context.constant(node, 1).reshape(-1)]
        value = context.scalar(node, 2, 0.0)
    else:
        listed_pads = list_attribute(node, "pads", [])
        value = float_attribute(node, "value", 0.0)
    pads = _spread_pads(context, node, listed_pads, rank)
    carrier = context.carrier(node)
    stored = carrier.stored(value if mode == "constant" else 0.0)
    if stored is None:  # the value lies between two int8 steps: pad in float
        carrier, stored = Carrier(context.tensor(node, 0), x.dtype, None), value
    tensor = _crop(context, node, carrier.tensor, pads)
    attrs: dict[str, Attr] = {
        "pads": tuple(max(p, 0) for p in pads),
        "mode": mode,
        "value": float(stored),
    }
    tensor = context.emit("pad", [tensor], attrs, node.output[0], label(node))
    context.bind_moved(node, carrier, tensor)


def _spread_pads(
    context: Context, node: onnx.NodeProto, listed_pads: list[int], rank: int
) -> list[int]:
    """Return pads for all axes when an `axes` input names some."""
    axes = context.optional(node, 3)
    if axes is None:
        return listed_pads
    pads = [0] * (2 * rank)
    count = axes.size
    for i, axis in enumerate(int(a) % rank for a in axes.reshape(-1)):
        pads[axis], pads[rank + axis] = listed_pads[i], listed_pads[count + i]
    return pads


def _crop(context: Context, node: onnx.NodeProto, tensor: str, pads: list[int]) -> str:
    if min(pads, default=0) >= 0:
        return tensor
    shape = context.tensors[tensor].shape
    rank = len(shape)
    parts = {i: (max(-pads[i], 0), shape[i] - max(-pads[rank + i], 0), 1) for i in range(rank)}
    return context.emit("slice", [tensor], slice_attrs(shape, parts), tensor, label(node))


@takes("Expand")
def expand(context: Context, node: onnx.NodeProto) -> None:
    """Broadcast in both directions."""
    wanted = tuple(int(d) for d in context.constant(node, 1))
    shape = tuple(np.broadcast_shapes(context.value(node, 0).shape, wanted))
    moved(context, node, "expand", {"shape": shape})


@takes("Tile")
def tile(context: Context, node: onnx.NodeProto) -> None:
    """Repeat along each axis by gathering."""
    x = context.value(node, 0)
    carrier = context.carrier(node)
    tensor = carrier.tensor
    for axis, count in enumerate(int(c) for c in context.constant(node, 1)):
        if count != 1:
            indices = tuple(range(x.shape[axis])) * count
            tensor = gathered(context, node, tensor, axis, indices)
    context.bind_moved(node, carrier, tensor)


def gathered(
    context: Context, node: onnx.NodeProto, tensor: str, axis: int, indices: tuple[int, ...]
) -> str:
    """Emit a gather with constant indices."""
    attrs: dict[str, Attr] = {"axis": axis, "indices": tuple(int(i) for i in indices)}
    return context.emit("gather", [tensor], attrs, node.output[0], label(node))


@takes("Gather")
def gather(context: Context, node: onnx.NodeProto) -> None:
    """Constant indices of any shape."""
    x = context.value(node, 0)
    axis = int_attribute(node, "axis", 0) % len(x.shape)
    indices = context.constant(node, 1)
    size = x.shape[axis]
    outside = [int(i) for i in indices.reshape(-1) if not -size <= i < size]
    if outside:
        raise context.unsupported(
            node, f"index {outside[0]} is outside axis {axis} of {size}", "correct the indices"
        )
    flat = tuple(int(i) % size for i in indices.reshape(-1))
    carrier = context.carrier(node)
    tensor = gathered(context, node, carrier.tensor, axis, flat)
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    if shape != context.tensors[tensor].shape:
        attrs: dict[str, Attr] = {"shape": shape}
        tensor = context.emit("reshape", [tensor], attrs, node.output[0], label(node))
    context.bind_moved(node, carrier, tensor)


@takes("DepthToSpace")
def depth_to_space(context: Context, node: onnx.NodeProto) -> None:
    """Reshape, permute, reshape; modes DCR and CRD."""
    batch, channels, height, width = context.value(node, 0).shape
    b = int_attribute(node, "blocksize", 1)
    c = channels // (b * b)
    if text_attribute(node, "mode", "DCR") == "DCR":
        inner, perm = (batch, b, b, c, height, width), (0, 3, 4, 1, 5, 2)
    else:
        inner, perm = (batch, c, b, b, height, width), (0, 1, 4, 2, 5, 3)
    _block_move(context, node, inner, perm, (batch, c, height * b, width * b))


@takes("SpaceToDepth")
def space_to_depth(context: Context, node: onnx.NodeProto) -> None:
    """The inverse of DepthToSpace."""
    batch, c, height, width = context.value(node, 0).shape
    b = int_attribute(node, "blocksize", 1)
    inner, perm = (batch, c, height // b, b, width // b, b), (0, 3, 5, 1, 2, 4)
    if text_attribute(node, "mode", "DCR") == "CRD":
        perm = (0, 1, 3, 5, 2, 4)
    _block_move(context, node, inner, perm, (batch, c * b * b, height // b, width // b))


def _block_move(
    context: Context,
    node: onnx.NodeProto,
    inner: tuple[int, ...],
    perm: tuple[int, ...],
    outer: tuple[int, ...],
) -> None:
    source, base = label(node), node.output[0]
    carrier = context.carrier(node)
    x = context.emit("reshape", [carrier.tensor], {"shape": inner}, f"{base}/blocks", source)
    x = context.emit("transpose", [x], {"perm": perm}, f"{base}/turned", source)
    x = context.emit("reshape", [x], {"shape": outer}, base, source)
    context.bind_moved(node, carrier, x)
