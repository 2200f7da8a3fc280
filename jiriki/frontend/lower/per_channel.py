"""Quantisation finer than a tensor: one scale and zero point a channel, or a block of them.

In: scales as ONNX stores them (a vector along an axis, or an array with one entry a block), and the
tensor's shape. Out: arrays that broadcast over the tensor, and the nodes that apply them: cast,
sub, mul one way (exact); mul, round, add, cast the other, within decision 0004's one step.
"""

from __future__ import annotations

import numpy as np
import onnx

from jiriki.frontend.onnx.context import Context, int_attribute, label
from jiriki.graph import Attr, DType

f32 = np.float32


def spread(
    context: Context, node: onnx.NodeProto, array: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Return scales or zero points so that they broadcast over a tensor of this shape."""
    if array.size == 1:
        return array.reshape([1] * len(shape))
    axis = int_attribute(node, "axis", 1) % len(shape)
    block = int_attribute(node, "block_size", 0)
    if array.ndim == 1 and array.size == shape[axis] and not block:
        return array.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    blocks = tuple(-(-n // block) if i == axis else n for i, n in enumerate(shape)) if block else ()
    if array.shape != blocks:
        raise context.unsupported(
            node,
            f"scale of shape {array.shape} is neither one per element of axis {axis} nor one per "
            f"block of {block}",
            "give one scale, a vector along the axis, or one per block",
        )
    return np.repeat(array, block, axis=axis).take(range(shape[axis]), axis=axis)


def dequantise_spread(
    context: Context, node: onnx.NodeProto, x: str, scale: np.ndarray, zero_point: np.ndarray
) -> str:
    """Emit (x - zero_point) * scale, both spread; zero_point as the int8 tensor holds it."""
    base, source = node.output[0], label(node)
    wide = x
    if context.tensors[x].dtype is DType.I8:
        wide = context.emit("cast", [x], {"to": "f32"}, f"{base}/cast", source)
    if zero_point.any():
        middle = context.add_constant(f"{base}/zero_point", zero_point.astype(f32))
        wide = context.emit("sub", [wide, middle], {}, f"{base}/sub", source)
    factor = context.add_constant(f"{base}/scale", scale.astype(f32))
    return context.emit("mul", [wide, factor], {}, f"{base}/mul", source)


def quantise_spread(
    context: Context,
    node: onnx.NodeProto,
    x: str,
    scale: np.ndarray,
    zero_point: np.ndarray,
    dtype: str,
) -> str:
    """Emit sat(rne(x / scale) + zero_point), both spread, to 8 or 16 bits.

    zero_point is in the type itself; a uint8 result is held less 128.
    """
    base, source = node.output[0], label(node)
    inverse = context.add_constant(f"{base}/inverse", f32(1) / scale.astype(f32))
    steps = context.emit("mul", [x, inverse], {}, f"{base}/mul", source)
    steps = context.emit("round", [steps], {}, f"{base}/round", source)
    held = zero_point - (128 if dtype == "uint8" else 0)
    if held.any():
        middle = context.add_constant(f"{base}/zero_point", held.astype(f32))
        steps = context.emit("add", [steps, middle], {}, f"{base}/add", source)
    if dtype in ("int8", "uint8"):
        return context.emit("cast", [steps], {"to": "i8"}, base, source)
    limits = np.iinfo(dtype)
    bounds: dict[str, Attr] = {"lo": float(limits.min), "hi": float(limits.max)}
    return context.emit("clip", [steps], bounds, base, source)
