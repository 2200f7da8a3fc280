"""Quantisation finer than a tensor: one scale and zero point a channel, or a block of them.

In: scales as ONNX stores them (a vector along an axis, or an array with one entry a block), and the
tensor's shape. Out: arrays that broadcast over the tensor, and the nodes that apply them: cast,
sub, mul one way (exact); mul, round, add, cast the other, within decision 0004's one step.
"""

from __future__ import annotations

import numpy as np

from jiriki.graph import Attr, DType, GraphBuilder

f32 = np.float32


def spreads(array: np.ndarray, shape: tuple[int, ...], axis: int, block: int) -> bool:
    """Tell whether scales are one, one per element of the axis, or one per block (0: none)."""
    if array.size == 1 or (array.ndim == 1 and array.size == shape[axis] and not block):
        return True
    blocks = tuple(-(-n // block) if i == axis else n for i, n in enumerate(shape)) if block else ()
    return array.shape == blocks


def spread(array: np.ndarray, shape: tuple[int, ...], axis: int, block: int) -> np.ndarray:
    """Return scales or zero points, of which `spreads` holds, so that they broadcast."""
    if array.size == 1:
        return array.reshape([1] * len(shape))
    if not block:
        return array.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return np.repeat(array, block, axis=axis).take(range(shape[axis]), axis=axis)


def dequantise_spread(
    builder: GraphBuilder,
    x: str,
    scale: np.ndarray,
    zero_point: np.ndarray,
    base: str,
    source: str,
) -> str:
    """Emit (x - zero_point) * scale, both spread; zero_point as the int8 tensor holds it."""
    wide = x
    if builder.tensors[x].dtype is DType.I8:
        wide = builder.emit("cast", [x], {"to": "f32"}, f"{base}/cast", source)
    if zero_point.any():
        middle = builder.add_constant(f"{base}/zero_point", zero_point.astype(f32))
        wide = builder.emit("sub", [wide, middle], {}, f"{base}/sub", source)
    factor = builder.add_constant(f"{base}/scale", scale.astype(f32))
    return builder.emit("mul", [wide, factor], {}, f"{base}/mul", source)


def quantise_spread(
    builder: GraphBuilder,
    x: str,
    scale: np.ndarray,
    zero_point: np.ndarray,
    dtype: str,
    base: str,
    source: str,
) -> str:
    """Emit sat(rne(x / scale) + zero_point), both spread, to 8 or 16 bits.

    zero_point is in the type itself; a uint8 result is held less 128.
    """
    inverse = builder.add_constant(f"{base}/inverse", f32(1) / scale.astype(f32))
    steps = builder.emit("mul", [x, inverse], {}, f"{base}/mul", source)
    steps = builder.emit("round", [steps], {}, f"{base}/round", source)
    held = zero_point - (128 if dtype == "uint8" else 0)
    if held.any():
        middle = builder.add_constant(f"{base}/zero_point", held.astype(f32))
        steps = builder.emit("add", [steps, middle], {}, f"{base}/add", source)
    if dtype in ("int8", "uint8"):
        return builder.emit("cast", [steps], {"to": "i8"}, base, source)
    limits = np.iinfo(dtype)
    bounds: dict[str, Attr] = {"lo": float(limits.min), "hi": float(limits.max)}
    return builder.emit("clip", [steps], bounds, base, source)
