"""Resize and Upsample: gathers along each axis, with constant weights when they interpolate.

In: modes nearest, linear and cubic, every coordinate mode, antialias. Out: gather nodes, and mul
and add with constants; a where for what tf_crop_and_resize takes from outside. A linear axis costs
two gathers, a cubic one four, an antialiased one as many times more as it shrinks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx

from jiriki.frontend.onnx.context import (
    Context,
    Value,
    attribute,
    float_attribute,
    int_attribute,
    label,
    list_attribute,
    text_attribute,
)
from jiriki.frontend.onnx.empty_tensors import empty_value
from jiriki.frontend.onnx.ops_move import gathered
from jiriki.frontend.onnx.registry import takes

f32 = np.float32
CROP = "tf_crop_and_resize"


@dataclass(frozen=True)
class Axis:
    """One resized axis: sizes, the scale between them, and the part of it that is resized."""

    index: int
    old: int
    new: int
    scale: float
    start: float = 0.0
    end: float = 1.0


@takes("Resize", "Upsample")
def resize(context: Context, node: onnx.NodeProto) -> None:
    """Resize axis by axis; nearest moves what it finds, without converting it."""
    x = context.value(node, 0)
    mode = text_attribute(node, "mode", "nearest")
    _check_mode(context, node, mode, x.dtype)
    axes = _resized_axes(context, node, x)
    if any(axis.new == 0 for axis in axes):
        sizes = {axis.index: axis.new for axis in axes}
        shape = tuple(sizes.get(i, n) for i, n in enumerate(x.shape))
        context.values[node.output[0]] = empty_value(x.dtype, shape)
        return
    positions = [(axis, _coordinates(context, node, axis)) for axis in axes]
    outside = _outside(node, positions, len(x.shape))
    if mode == "nearest" and outside is None:
        carrier = context.carrier(node)
        tensor = _pick_nearest(context, node, carrier.tensor, positions)
        context.bind_moved(node, carrier, tensor)
    else:
        _computed(context, node, mode, positions, outside)


def _check_mode(context: Context, node: onnx.NodeProto, mode: str, dtype: str) -> None:
    """Refuse what has no counterpart, or another result in ONNX Runtime."""
    if mode not in ("nearest", "linear", "bilinear", "cubic"):
        raise context.unsupported(node, f"mode {mode} is not taken", "use nearest, linear, cubic")
    if mode != "nearest" and dtype not in ("float32", "float16", "int8", "uint8"):
        raise context.unsupported(
            node, f"interpolating {dtype} is not taken", "cast to float32 first"
        )
    if int_attribute(node, "antialias", 0) and dtype in ("int8", "uint8"):
        raise context.unsupported(
            node, "antialias of bytes is not taken", "resize in float32, before quantising"
        )


def _computed(
    context: Context,
    node: onnx.NodeProto,
    mode: str,
    positions: Positions,
    outside: np.ndarray | None,
) -> None:
    """Resize in float; bytes are truncated afterwards, as ONNX Runtime does it."""
    x = context.value(node, 0)
    narrow = x.dtype in ("int8", "uint8")
    tensor = context.tensor(node, 0)
    if narrow:
        tensor = context.emit("cast", [tensor], {"to": "f32"}, f"{tensor}/f32", label(node))
    if mode == "nearest":
        tensor = _pick_nearest(context, node, tensor, positions)
    else:
        for axis, at in positions:
            tensor = _interpolate(context, node, tensor, axis.index, _taps(node, mode, at, axis))
    if outside is not None:
        tensor = _extrapolated(context, node, tensor, outside, x.shift)
    if narrow:
        tensor = _narrowed(context, node, tensor, x.shift)
    context.bind(node, tensor, x.dtype)


Positions = list[tuple[Axis, np.ndarray]]  # of every output index, where in the source it lies


def _pick_nearest(context: Context, node: onnx.NodeProto, tensor: str, positions: Positions) -> str:
    for axis, at in positions:
        indices = _nearest(context, node, at, axis)
        tensor = gathered(context, node, tensor, axis.index, tuple(indices.tolist()))
    return tensor


def _outside(node: onnx.NodeProto, positions: Positions, rank: int) -> np.ndarray | None:
    """Return where a cropping takes what the source lacks, bool of the output's rank, or None."""
    if text_attribute(node, "coordinate_transformation_mode", "") != CROP:
        return None
    total = np.zeros([1] * rank, np.bool_)
    for axis, at in positions:
        shape = [-1 if i == axis.index else 1 for i in range(rank)]
        total = total | ((at < 0) | (at > axis.old - 1)).reshape(shape)
    return total if total.any() else None


def _extrapolated(
    context: Context, node: onnx.NodeProto, tensor: str, outside: np.ndarray, shift: int
) -> str:
    """Put the node's extrapolation value where nothing was to crop."""
    base = node.output[0]
    value = f32(float_attribute(node, "extrapolation_value", 0.0) - shift)
    mask = context.add_constant(f"{base}/outside", outside.astype(f32))
    constant = context.add_constant(f"{base}/extrapolation", np.array(value, f32))
    return context.emit("where", [mask, constant, tensor], {}, f"{base}/where", label(node))


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
    new_sizes = context.optional(node, 3)
    if new_sizes is not None and new_sizes.size:
        sizes, scales = _from_sizes(
            node, [int(s) for s in new_sizes], [x.shape[i] for i in indices]
        )
    else:
        scales = _scales(context, node, len(indices))
        sizes = [int(np.floor(x.shape[i] * s)) for i, s in zip(indices, scales, strict=True)]
    parts = _parts(context, node, len(indices))
    axes = [
        Axis(i, x.shape[i], size, scale, *part)
        for i, size, scale, part in zip(indices, sizes, scales, parts, strict=True)
    ]
    resized = [a for a in axes if a.new != a.old or a.scale != 1]
    if any((a.start, a.end) != (0, 1) for a in axes if a not in resized):
        raise context.unsupported(
            node, "ONNX Runtime crops no axis whose size stays the same", "crop it by Slice"
        )
    return resized


def _parts(context: Context, node: onnx.NodeProto, count: int) -> list[tuple[float, float]]:
    """Return (start, end) of the region of interest along each axis, in parts of the axis."""
    if text_attribute(node, "coordinate_transformation_mode", "") != CROP:
        return [(0.0, 1.0)] * count
    region = context.constant(node, 1).astype(f32).reshape(2, count)
    return [(float(start), float(end)) for start, end in region.T]


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
        return out * f32(axis.old - 1) / f32(_unrounded(axis) - 1)
    if mode == "half_pixel_symmetric":
        adjustment = f32(axis.new) / (factor * f32(axis.old))
        offset = f32(axis.old) / f32(2) * (1 - adjustment)
        wide = float(offset) + (np.arange(axis.new) + 0.5) / float(factor) - 0.5
        return wide.astype(f32)  # float64 until here, as ONNX Runtime has it
    if mode == CROP:
        return _cropped(axis, out)
    raise context.unsupported(node, f"coordinates {mode} are not taken", "use half_pixel")


def _unrounded(axis: Axis) -> float:
    """Return the size that the scale gives, whole or not, as ONNX's own reference counts it."""
    size = axis.scale * axis.old
    return axis.new if abs(size - axis.new) < 1e-3 else size


def _cropped(axis: Axis, out: np.ndarray) -> np.ndarray:
    """Spread the output's positions evenly over the region of interest, ends included."""
    start, end, last = f32(axis.start), f32(axis.end), f32(axis.old - 1)
    if axis.new == 1:
        return np.array([f32(0.5) * (start + end) * last], f32)
    return start * last + out * (end - start) * last / f32(axis.new - 1)


def _round_half(at: np.ndarray, half: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Round positions; those within 1e-6 of a half, which float32 division blurs, by `half`."""
    wide = at.astype(np.float64)
    is_half = np.abs(wide - np.floor(wide) - 0.5) < HALF_WIDTH
    return np.where(is_half, half(wide), np.floor(wide + 0.5))


HALF_WIDTH = 1e-6  # ONNX Runtime's: found by comparing all sizes up to 60 in every mode
_ROUNDING: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_ceil": lambda x: _round_half(x, np.ceil),
    "round_prefer_floor": lambda x: _round_half(x, np.floor),
}


def _nearest(context: Context, node: onnx.NodeProto, at: np.ndarray, axis: Axis) -> np.ndarray:
    """Return the source index of every output; before opset 11, floor, or ceil of what shrinks."""
    default = "round_prefer_floor"
    if node.op_type == "Upsample" or context.opset < 11:
        default = "floor" if axis.scale >= 1 else "ceil"
    rounding = _ROUNDING[text_attribute(node, "nearest_mode", default)]
    return np.clip(rounding(at), 0, axis.old - 1).astype(np.int64)


Taps = list[tuple[np.ndarray, np.ndarray]]  # (indices int64 [new], weights float32 [new])


def _taps(node: onnx.NodeProto, mode: str, at: np.ndarray, axis: Axis) -> Taps:
    """Return the source elements that each output element weighs; their weights add up to 1."""
    stretch = max(1.0, 1 / axis.scale) if int_attribute(node, "antialias", 0) else 1.0
    if mode == "cubic" or stretch > 1:
        return _kernel_taps(node, mode, at, axis.old, stretch)
    inside = np.clip(at, 0, axis.old - 1)
    low = np.floor(inside).astype(np.int64)
    weight = (inside - low).astype(f32)
    return [(low, f32(1) - weight), (np.minimum(low + 1, axis.old - 1), weight)]


def _kernel_taps(node: onnx.NodeProto, mode: str, at: np.ndarray, old: int, stretch: float) -> Taps:
    """Weigh neighbours by a kernel `stretch` wide; outside ones repeat the edge or are absent."""
    reach = int(np.ceil((2 if mode == "cubic" else 1) * stretch))
    base = np.floor(at)
    taps = []
    for offset in range(1 - reach, 1 + reach):
        distance = np.abs(at - (base + offset)).astype(np.float64) / stretch
        weight = _keys(node, distance) if mode == "cubic" else np.maximum(1 - distance, 0)
        taps.append(((base + offset).astype(np.int64), weight))
    exclude = int_attribute(node, "exclude_outside", 0)
    if exclude:
        taps = [(i, np.where((i < 0) | (i >= old), 0, w)) for i, w in taps]
    if exclude or stretch > 1:
        total = np.sum([w for _, w in taps], axis=0)
        taps = [(i, w / total) for i, w in taps]
    return [(np.clip(i, 0, old - 1), w.astype(f32)) for i, w in taps if w.any()]


def _keys(node: onnx.NodeProto, distance: np.ndarray) -> np.ndarray:
    """Keys' cubic kernel: two pieces, 0 from distance 2 on."""
    a = float_attribute(node, "cubic_coeff_a", -0.75)
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


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
