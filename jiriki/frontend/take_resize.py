"""Resize and Upsample: gathers along each axis, with constant weights when they interpolate.

In: modes nearest, linear and cubic, any coordinate mode but tf_crop_and_resize. Out: gather nodes,
and mul and add with constants. A linear axis costs two gathers, a cubic one four.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
from jiriki.frontend.take_move import gathered

f32 = np.float32


@dataclass(frozen=True)
class Axis:
    """One resized axis: sizes and the scale between them."""

    index: int
    old: int
    new: int
    scale: float


@takes("Resize", "Upsample")
def resize(context: Context, node: onnx.NodeProto) -> None:
    """Resize axis by axis; int8 interpolates in float and truncates like ONNX Runtime."""
    x = context.value(node, 0)
    mode = text_attribute(node, "mode", "nearest")
    if mode not in ("nearest", "linear", "bilinear", "cubic"):
        raise context.unsupported(node, f"mode {mode} is not taken", "use nearest, linear, cubic")
    if int_attribute(node, "antialias", 0):
        raise context.unsupported(node, "antialias is not taken", "export without it")
    axes = _resized_axes(context, node, x)
    if mode == "nearest":
        carrier = context.carrier(node)
        tensor = carrier.tensor
        for axis in axes:
            indices = _nearest(node, _coordinates(context, node, axis), axis.old)
            tensor = gathered(context, node, tensor, axis.index, tuple(indices.tolist()))
        context.bind_moved(node, carrier, tensor)
        return
    tensor = context.tensor(node, 0)
    narrow = x.dtype in ("int8", "uint8")
    if narrow:
        tensor = context.emit("cast", [tensor], {"to": "f32"}, f"{tensor}/f32", label(node))
    for axis in axes:
        taps = _taps(node, mode, _coordinates(context, node, axis), axis.old)
        tensor = _interpolate(context, node, tensor, axis.index, taps)
    if narrow:
        tensor = _narrowed(context, node, tensor, x.shift)
    context.bind(node, tensor, x.dtype)


def _narrowed(context: Context, node: onnx.NodeProto, tensor: str, shift: int) -> str:
    """Truncate in the model's own type: of a uint8 value that is floor, shifted or not."""
    source = label(node)
    if shift:
        whole = context.emit("floor", [tensor], {}, f"{tensor}/floor", source)
    else:
        whole = truncate(context, tensor, source)
    return context.emit("cast", [whole], {"to": "i8"}, node.output[0], source)


def truncate(context: Context, tensor: str, source: str) -> str:
    """Emit rounding toward zero: sign(x) * floor(|x|)."""
    size = context.emit("abs", [tensor], {}, f"{tensor}/abs", source)
    size = context.emit("floor", [size], {}, f"{tensor}/floor", source)
    sign = context.emit("sign", [tensor], {}, f"{tensor}/sign", source)
    return context.emit("mul", [size, sign], {}, f"{tensor}/trunc", source)


def _resized_axes(context: Context, node: onnx.NodeProto, x: Value) -> list[Axis]:
    """Read sizes or scales; axes that keep their size are left out."""
    rank = len(x.shape)
    named = attribute(node, "axes")
    indices = range(rank) if named is None else [a % rank for a in list_attribute(node, "axes", [])]
    given = context.optional(node, 3)
    if given is not None and given.size:
        sizes, scales = _from_sizes(node, [int(s) for s in given], [x.shape[i] for i in indices])
    else:
        scales = _scales(context, node, len(indices))
        sizes = [int(np.floor(x.shape[i] * s)) for i, s in zip(indices, scales, strict=True)]
    return [
        Axis(i, x.shape[i], size, scale)
        for i, size, scale in zip(indices, sizes, scales, strict=True)
        if size != x.shape[i] or scale != 1
    ]


def _from_sizes(
    node: onnx.NodeProto, sizes: list[int], old: list[int]
) -> tuple[list[int], list[float]]:
    policy = text_attribute(node, "keep_aspect_ratio_policy", "stretch")
    scales = [float(f32(size) / f32(n)) for size, n in zip(sizes, old, strict=True)]
    if policy == "stretch":
        return sizes, scales
    scale = min(scales) if policy == "not_larger" else max(scales)
    return [int(np.floor(n * scale + 0.5)) for n in old], [scale] * len(old)


def _scales(context: Context, node: onnx.NodeProto, count: int) -> list[float]:
    index = 1 if len(node.input) == 2 else 2
    scales = context.optional(node, index)
    if scales is None:
        raw = attribute(node, "scales", [1.0] * count)
        assert isinstance(raw, list), "scales is a list"
        scales = np.array(raw, f32)
    return [float(s) for s in scales.reshape(-1)]


def _coordinates(context: Context, node: onnx.NodeProto, axis: Axis) -> np.ndarray:
    """Return the source position of every output position, float32 as ONNX Runtime has it."""
    default = "asymmetric" if node.op_type == "Upsample" or context.opset < 11 else "half_pixel"
    mode = text_attribute(node, "coordinate_transformation_mode", default)
    out, factor, half = np.arange(axis.new, dtype=f32), f32(axis.scale), f32(0.5)
    if mode == "asymmetric":
        return out / factor
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and axis.new > 1):
        return (out + half) / factor - half
    if mode == "pytorch_half_pixel" or (mode == "align_corners" and axis.new == 1):
        return np.zeros(axis.new, f32)
    if mode == "align_corners":
        return out * f32(axis.old - 1) / f32(axis.new - 1)
    if mode == "half_pixel_symmetric":
        adjustment = f32(axis.new) / (factor * f32(axis.old))
        centre = f32(axis.old) / f32(2)
        return centre * (1 - adjustment) + (out + half) / factor - half
    raise context.unsupported(node, f"coordinates {mode} are not taken", "use half_pixel")


_ROUNDING: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_ceil": lambda x: np.floor(x + f32(0.5)),
    "round_prefer_floor": lambda x: np.ceil(x - f32(0.5)),
}


def _nearest(node: onnx.NodeProto, at: np.ndarray, old: int) -> np.ndarray:
    default = "floor" if node.op_type == "Upsample" else "round_prefer_floor"
    rounding = _ROUNDING[text_attribute(node, "nearest_mode", default)]
    return np.clip(rounding(at), 0, old - 1).astype(np.int64)


Taps = list[tuple[np.ndarray, np.ndarray]]  # (indices int64 [new], weights float32 [new])


def _taps(node: onnx.NodeProto, mode: str, at: np.ndarray, old: int) -> Taps:
    if mode == "cubic":
        return _cubic_taps(node, at, old)
    inside = np.clip(at, 0, old - 1)
    low = np.floor(inside).astype(np.int64)
    weight = (inside - low).astype(f32)
    return [(low, f32(1) - weight), (np.minimum(low + 1, old - 1), weight)]


def _cubic_taps(node: onnx.NodeProto, at: np.ndarray, old: int) -> Taps:
    """Keys' kernel over four neighbours; outside ones repeat the edge or count as absent."""
    a = float_attribute(node, "cubic_coeff_a", -0.75)
    base = np.floor(at)
    taps = []
    for offset in range(-1, 3):
        distance = np.abs(at - (base + offset)).astype(np.float64)
        near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
        far = a * (((distance - 5) * distance + 8) * distance - 4)
        weight = np.where(distance <= 1, near, far)
        taps.append(((base + offset).astype(np.int64), weight))
    if int_attribute(node, "exclude_outside", 0):
        taps = [(i, np.where((i < 0) | (i >= old), 0, w)) for i, w in taps]
        total = np.sum([w for _, w in taps], axis=0)
        taps = [(i, w / total) for i, w in taps]
    return [(np.clip(i, 0, old - 1), w.astype(f32)) for i, w in taps]


def _interpolate(context: Context, node: onnx.NodeProto, tensor: str, axis: int, taps: Taps) -> str:
    """Emit the weighted sum of gathers along an axis."""
    base, source = f"{node.output[0]}/axis{axis}", label(node)
    shape = [1] * len(context.tensors[tensor].shape)
    shape[axis] = -1
    total = ""
    for indices, weights in taps:
        part = gathered(context, node, tensor, axis, tuple(indices.tolist()))
        constant = context.add_constant(f"{base}/weight", weights.reshape(shape))
        part = context.emit("mul", [part, constant], {}, base, source)
        total = context.emit("add", [total, part], {}, base, source) if total else part
    return total
