"""Operators that move elements, and Resize, to the graph's movement operations.

In: Reshape ... Resize of any opset. Out: reshape, transpose, slice, concat, pad, expand, gather;
linear interpolation becomes gathers with constant weights.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx

from jiriki.frontend.context import (
    Context,
    Value,
    attribute,
    float_attribute,
    int_attribute,
    label,
    list_attribute,
    text_attribute,
)
from jiriki.frontend.registry import takes
from jiriki.graph import Attr


def moved(context: Context, node: onnx.NodeProto, op: str, attrs: dict[str, Attr]) -> None:
    """Emit a movement of input 0 that keeps its format."""
    context.result(node, op, [context.tensor(node, 0)], attrs, context.value(node, 0).dtype)


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


@takes("Identity", "Dropout")
def identity(context: Context, node: onnx.NodeProto) -> None:
    """Nothing happens at inference."""
    context.values[node.output[0]] = context.value(node, 0)


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
    """Join along an axis; the inputs have one format."""
    rank = len(context.value(node, 0).shape)
    parts = [context.tensor(node, i) for i in range(len(node.input))]
    axis = int_attribute(node, "axis", 1) % rank
    context.result(node, "concat", parts, {"axis": axis}, context.value(node, 0).dtype)


@takes("Split")
@takes("QSplit", domain="com.microsoft")
def split(context: Context, node: onnx.NodeProto) -> None:
    """One slice per output."""
    x = context.value(node, 0)
    axis = int_attribute(node, "axis", 0) % len(x.shape)
    sizes = _split_sizes(context, node, x.shape[axis])
    source = context.tensor(node, 0)
    start = 0
    for index, size in enumerate(sizes):
        attrs = slice_attrs(x.shape, {axis: (start, start + size, 1)})
        if node.output[index]:
            tensor = context.emit("slice", [source], attrs, node.output[index], label(node))
            context.bind(node, tensor, x.dtype, index)
        start += size


def _split_sizes(context: Context, node: onnx.NodeProto, size: int) -> list[int]:
    if context.has(node, 1):
        return [int(s) for s in context.constant(node, 1)]
    given = list_attribute(node, "split", [])
    if given:
        return given
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
        given = context.optional(node, 3)
        steps = context.optional(node, 4)
    else:
        starts, ends = list_attribute(node, "starts", []), list_attribute(node, "ends", [])
        given, steps = np.array(list_attribute(node, "axes", range(len(starts)))), None
    axes = range(len(starts)) if given is None else given.reshape(-1).tolist()
    strides = [1] * len(starts) if steps is None else steps.reshape(-1).tolist()
    parts = {}
    for axis, start, end, step in zip(axes, starts, ends, strides, strict=True):
        bounds = slice(int(start), int(end), int(step)).indices(shape[axis])
        parts[axis % len(shape)] = bounds
    moved(context, node, "slice", slice_attrs(shape, parts))


@takes("Pad")
def pad(context: Context, node: onnx.NodeProto) -> None:
    """Constant, reflect or edge; negative pads crop first."""
    x = context.value(node, 0)
    rank = len(x.shape)
    mode = text_attribute(node, "mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        raise context.unsupported(node, f"mode {mode} is not taken", "use constant, reflect, edge")
    if len(node.input) > 1:
        given = [int(p) for p in context.constant(node, 1).reshape(-1)]
        value = context.scalar(node, 2, 0.0)
    else:
        given = list_attribute(node, "pads", [])
        value = float_attribute(node, "value", 0.0)
    pads = _spread_pads(context, node, given, rank)
    tensor = _crop(context, node, context.tensor(node, 0), pads)
    pads = [max(p, 0) for p in pads]
    inside = value - x.shift
    attrs: dict[str, Attr] = {"pads": tuple(pads), "mode": mode, "value": float(inside)}
    context.result(node, "pad", [tensor], attrs, x.dtype)


def _spread_pads(context: Context, node: onnx.NodeProto, given: list[int], rank: int) -> list[int]:
    """Return pads for all axes when an `axes` input names some."""
    axes = context.optional(node, 3)
    if axes is None:
        return given
    pads = [0] * (2 * rank)
    count = axes.size
    for i, axis in enumerate(int(a) % rank for a in axes.reshape(-1)):
        pads[axis], pads[rank + axis] = given[i], given[count + i]
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
    tensor = context.tensor(node, 0)
    for axis, count in enumerate(int(c) for c in context.constant(node, 1)):
        if count != 1:
            indices = tuple(range(x.shape[axis])) * count
            tensor = gathered(context, node, tensor, axis, indices)
    if tensor == context.tensor(node, 0):
        context.values[node.output[0]] = x
    else:
        context.bind(node, tensor, x.dtype)


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
    flat = tuple(int(i) % x.shape[axis] for i in indices.reshape(-1))
    tensor = gathered(context, node, context.tensor(node, 0), axis, flat)
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    if shape != context.tensors[tensor].shape:
        attrs: dict[str, Attr] = {"shape": shape}
        tensor = context.emit("reshape", [tensor], attrs, node.output[0], label(node))
    context.bind(node, tensor, x.dtype)


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
    """The inverse of DepthToSpace DCR."""
    batch, c, height, width = context.value(node, 0).shape
    b = int_attribute(node, "blocksize", 1)
    inner, perm = (batch, c, height // b, b, width // b, b), (0, 3, 5, 1, 2, 4)
    _block_move(context, node, inner, perm, (batch, c * b * b, height // b, width // b))


def _block_move(
    context: Context,
    node: onnx.NodeProto,
    inner: tuple[int, ...],
    perm: tuple[int, ...],
    outer: tuple[int, ...],
) -> None:
    source, base = label(node), node.output[0]
    x = context.emit("reshape", [context.tensor(node, 0)], {"shape": inner}, base, source)
    x = context.emit("transpose", [x], {"perm": perm}, base, source)
    context.result(node, "reshape", [x], {"shape": outer}, context.value(node, 0).dtype)


# -- Resize --------------------------------------------------------------------------------


@takes("Resize", "Upsample")
def resize(context: Context, node: onnx.NodeProto) -> None:
    """Nearest by gathers; linear by two gathers and constant weights per axis."""
    x = context.value(node, 0)
    sizes, scales = _resize_target(context, node, x)
    mode = text_attribute(node, "mode", "nearest")
    if mode not in ("nearest", "linear", "bilinear"):
        raise context.unsupported(node, f"mode {mode} is not taken", "use nearest or linear")
    if int_attribute(node, "antialias", 0) or attribute(node, "axes") is not None:
        raise context.unsupported(node, "antialias and axes are not taken", "export without them")
    if mode == "nearest":
        tensor = context.tensor(node, 0)
        for axis, size in enumerate(sizes):
            if size != x.shape[axis] or scales[axis] != 1:
                at = _coordinates(context, node, x.shape[axis], size, scales[axis])
                indices = _nearest(node, at, x.shape[axis])
                tensor = gathered(context, node, tensor, axis, tuple(indices.tolist()))
        context.bind(node, tensor, x.dtype)
        return
    tensor = context.tensor(node, 0)
    if x.dtype in ("int8", "uint8"):
        tensor = context.emit("cast", [tensor], {"to": "f32"}, f"{tensor}/f32", label(node))
    for axis, size in enumerate(sizes):
        if size != x.shape[axis] or scales[axis] != 1:
            at = _coordinates(context, node, x.shape[axis], size, scales[axis])
            tensor = _interpolate(context, node, tensor, axis, at)
    if x.dtype in ("int8", "uint8"):
        # ONNX Runtime truncates toward zero in the model's own type.
        tensor = _truncated(context, node, tensor, x.shift)
    context.bind(node, tensor, x.dtype)


def _truncated(context: Context, node: onnx.NodeProto, tensor: str, shift: int) -> str:
    op = "floor" if shift else "trunc"
    source = label(node)
    if op == "floor":  # the uint8 value is non-negative: truncation is floor
        tensor = context.emit("floor", [tensor], {}, f"{tensor}/floor", source)
    else:
        tensor = truncate(context, tensor, source)
    return context.emit("cast", [tensor], {"to": "i8"}, node.output[0], source)


def truncate(context: Context, tensor: str, source: str) -> str:
    """Emit rounding toward zero: sign(x) * floor(|x|)."""
    size = context.emit("abs", [tensor], {}, f"{tensor}/abs", source)
    size = context.emit("floor", [size], {}, f"{tensor}/floor", source)
    sign = context.emit("sign", [tensor], {}, f"{tensor}/sign", source)
    return context.emit("mul", [size, sign], {}, f"{tensor}/trunc", source)


def _resize_target(
    context: Context, node: onnx.NodeProto, x: Value
) -> tuple[tuple[int, ...], list[float]]:
    """Return output sizes and scales per axis."""
    given = context.optional(node, 3)
    if given is not None and given.size:
        sizes = tuple(int(s) for s in given)
        return sizes, [size / n for size, n in zip(sizes, x.shape, strict=True)]
    index = 1 if len(node.input) == 2 else 2
    scales = context.optional(node, index) if context.has(node, index) else None
    if scales is None:
        raw = attribute(node, "scales", [1.0] * len(x.shape))
        assert isinstance(raw, list), "scales is a list"
        scales = np.array(raw, np.float32)
    factors = [float(s) for s in scales.reshape(-1)]
    sizes = tuple(int(np.floor(n * s)) for n, s in zip(x.shape, factors, strict=True))
    return sizes, factors


def _coordinates(
    context: Context, node: onnx.NodeProto, old: int, new: int, scale: float
) -> np.ndarray:
    """Return the source position of every output position, float32 as ONNX Runtime has it."""
    default = "asymmetric" if node.op_type == "Upsample" or context.opset < 11 else "half_pixel"
    mode = text_attribute(node, "coordinate_transformation_mode", default)
    out = np.arange(new, dtype=np.float32)
    factor = np.float32(scale)
    if mode == "asymmetric":
        return out / factor
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and new > 1):
        return (out + np.float32(0.5)) / factor - np.float32(0.5)
    if mode == "pytorch_half_pixel":
        return np.zeros(new, np.float32)
    if mode == "align_corners":
        if new == 1:
            return np.zeros(1, np.float32)
        return out * np.float32(old - 1) / np.float32(new - 1)
    raise context.unsupported(node, f"coordinates {mode} are not taken", "use half_pixel")


def _nearest(node: onnx.NodeProto, at: np.ndarray, old: int) -> np.ndarray:
    mode = text_attribute(node, "nearest_mode", "round_prefer_floor")
    if node.op_type == "Upsample":
        mode = "floor"
    rounding = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_ceil": lambda x: np.floor(x + np.float32(0.5)),
        "round_prefer_floor": lambda x: np.ceil(x - np.float32(0.5)),
    }
    return np.clip(rounding[mode](at), 0, old - 1).astype(np.int64)


def _interpolate(
    context: Context, node: onnx.NodeProto, tensor: str, axis: int, at: np.ndarray
) -> str:
    """Emit x[low] * (1 - t) + x[high] * t along an axis."""
    shape = context.tensors[tensor].shape
    inside = np.clip(at, 0, shape[axis] - 1)
    low = np.floor(inside).astype(np.int64)
    high = np.minimum(low + 1, shape[axis] - 1)
    weight = (inside - low).astype(np.float32)
    base, source = node.output[0], label(node)
    shape_of = [1] * len(shape)
    shape_of[axis] = -1
    parts = []
    for indices, factor in ((low, np.float32(1) - weight), (high, weight)):
        part = gathered(context, node, tensor, axis, tuple(indices.tolist()))
        constant = context.add_constant(f"{base}/weight", factor.reshape(shape_of))
        parts.append(context.emit("mul", [part, constant], {}, base, source))
    return context.emit("add", parts, {}, base, source)
