"""Operations on int8 activations outside the matrix unit, and the conversions to float.

In: int8 tensors (uint8 models are shifted by -128 at import). Out: int8, or float32.
The operation orders are those of ONNX Runtime's quantised kernels, so that a chain of them is
bit-exact with it; decision 0004 says which are and how far the others can be.
"""

from __future__ import annotations

import numpy as np

from jiriki import numerics
from jiriki.graph.op import (
    Arrays,
    Attrs,
    Op,
    Types,
    broadcast,
    integer,
    integers,
    need,
    need_dtype,
    real,
    text,
)
from jiriki.graph.ops_linear import conv_extent, windows
from jiriki.graph.tensor import DType, TensorType

f32 = np.float32


# -- shape and type rules ------------------------------------------------------------------


def _infer_lut(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    x, table = types
    need_dtype(x, "x", DType.I8)
    need(table == TensorType((256,), DType.I8), f"table must be i8[256], not {table}")
    return (x,)


def _infer_binary(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    for name, type_ in zip("ab", types, strict=True):
        need_dtype(type_, name, DType.I8)
    return (TensorType(broadcast([t.shape for t in types]), DType.I8),)


def _infer_global(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    need_dtype(x, "x", DType.I8)
    need(len(x.shape) == 4, "x must be [N,C,H,W]")
    return (TensorType((*x.shape[:2], 1, 1), DType.I8),)


def pool_shape(x: TensorType, attrs: Attrs, dilations: tuple[int, ...]) -> tuple[int, ...]:
    """Return the output shape of a pooling with attributes kernel, strides, pads."""
    need(len(x.shape) == 4, "x must be [N,C,H,W]")
    kernel, strides = integers(attrs, "kernel"), integers(attrs, "strides")
    pads = integers(attrs, "pads")
    need(len(kernel) == 2 and len(strides) == 2, "kernel and strides must be (y, x)")
    need(len(pads) == 4 and min(pads) >= 0, "pads must be (top, left, bottom, right), >= 0")
    spatial = tuple(
        conv_extent(x.shape[2 + i], kernel[i], strides[i], pads[i] + pads[i + 2], dilations[i])
        for i in range(2)
    )
    need(min(spatial) >= 1, f"the kernel {kernel} does not fit into {x.shape[2:]}")
    return (*x.shape[:2], *spatial)


def _infer_maxpool(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    need_dtype(x, "x", DType.I8, DType.F32)
    return (TensorType(pool_shape(x, attrs, integers(attrs, "dilations")), x.dtype),)


def _mean_shape(x: TensorType, attrs: Attrs) -> tuple[int, ...]:
    """Return the output shape of a windowed mean, whose counted padding is part of its pads."""
    shape = pool_shape(x, attrs, integers(attrs, "dilations"))
    counted, pads = integers(attrs, "counted"), integers(attrs, "pads")
    need(
        len(counted) == 4 and all(0 <= c <= p for c, p in zip(counted, pads, strict=True)),
        f"counted must be (top, left, bottom, right) within pads {pads}, not {counted}",
    )
    return shape


def _infer_qavgpool(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    need_dtype(x, "x", DType.I8)
    return (TensorType(_mean_shape(x, attrs), DType.I8),)


def _infer_avgpool(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    need_dtype(x, "x", DType.F32)
    return (TensorType(_mean_shape(x, attrs), DType.F32),)


def _infer_quantize(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    need_dtype(x, "x", DType.F32)
    return (TensorType(x.shape, DType.I8),)


def _infer_dequantize(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    x, scale = types
    need_dtype(x, "x", DType.I8)
    need_dtype(scale, "scale", DType.F32)
    axis = integer(attrs, "axis")
    if scale.shape:
        need(0 <= axis < len(x.shape), f"axis {axis} is outside x {x}")
        need(scale.shape == (x.shape[axis],), f"scale {scale} does not match axis {axis} of {x}")
    return (TensorType(x.shape, DType.F32),)


def _infer_cast(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    need_dtype(x, "x", DType.I8, DType.I32, DType.F32)
    to = text(attrs, "to")
    need(to in ("i8", "i32", "f32"), f"to = {to!r} is not i8, i32 or f32")
    return (TensorType(x.shape, DType(to)),)


# -- references ----------------------------------------------------------------------------


def _lut(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    x, table = arrays
    return (table[x.astype(np.int16) + 128],)


def _real32(attrs: Attrs, key: str) -> np.float32:
    return f32(real(attrs, key))


def _limits(attrs: Attrs) -> tuple[int, int]:
    return integer(attrs, "lo"), integer(attrs, "hi")


def _qadd(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    a, b = (numerics.int_to_fp32(x) for x in arrays)
    left = numerics.add(numerics.mul(a, _real32(attrs, "ra")), _real32(attrs, "fixed"))
    total = numerics.add(left, numerics.mul(b, _real32(attrs, "rb")))
    return (numerics.quantise(total, 0, *_limits(attrs)),)


def _qmul(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    a = arrays[0].astype(np.int32) - np.int32(integer(attrs, "a_zp"))
    b = arrays[1].astype(np.int32) - np.int32(integer(attrs, "b_zp"))
    scale = np.asarray(_real32(attrs, "scale"))
    return (numerics.requantise(a * b, scale, integer(attrs, "out_zp"), *_limits(attrs)),)


def _qavgpool_global(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    x = arrays[0].astype(np.int32) - np.int32(integer(attrs, "x_zp"))
    total = x.sum(axis=(2, 3), dtype=np.int32, keepdims=True)
    multiplier = np.asarray(_real32(attrs, "multiplier"))
    return (numerics.requantise(total, multiplier, integer(attrs, "out_zp"), *_limits(attrs)),)


def _pool_view(
    x: np.ndarray, attrs: Attrs, fill: float, pads: tuple[int, ...] | None = None
) -> np.ndarray:
    kernel, strides = integers(attrs, "kernel"), integers(attrs, "strides")
    pads = integers(attrs, "pads") if pads is None else pads
    dilations = integers(attrs, "dilations")
    return windows(x, (kernel[0], kernel[1]), strides, pads, dilations, fill)


def _maxpool(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    (x,) = arrays
    least = -np.inf if x.dtype == f32 else -128
    view = _pool_view(x, attrs, least)
    out = np.array(view[..., 0, 0])
    for i in range(view.shape[4]):
        for j in range(view.shape[5]):
            np.maximum(out, view[..., i, j], out=out)
    return (out,)


def _window_sum(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    """Add the window's float32 elements one by one, row-major."""
    view = _pool_view(x, attrs, 0.0)
    total = np.array(view[..., 0, 0])
    for tap in range(1, view.shape[4] * view.shape[5]):
        i, j = divmod(tap, view.shape[5])
        total = numerics.add(total, view[..., i, j])
    return total


def window_counts(shape: tuple[int, ...], attrs: Attrs) -> np.ndarray:
    """Return how many elements each output position averages, int32 [oh, ow]."""
    counted, pads = integers(attrs, "counted"), integers(attrs, "pads")
    top, left, bottom, right = counted
    ones = np.ones((1, 1, top + shape[2] + bottom, left + shape[3] + right), np.int32)
    rest = tuple(p - c for p, c in zip(pads, counted, strict=True))
    return _pool_view(ones, attrs, 0, rest).sum(axis=(4, 5), dtype=np.int32)[0, 0]


def _avgpool(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    (x,) = arrays
    inverse = f32(1) / window_counts(x.shape, attrs).astype(f32)
    return (numerics.mul(_window_sum(x, attrs), inverse),)


def _qavgpool(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    x = arrays[0].astype(np.int32) - np.int32(integer(attrs, "x_zp"))
    total = _pool_view(x, attrs, 0).sum(axis=(4, 5), dtype=np.int32)
    multiplier = _real32(attrs, "ratio") / window_counts(x.shape, attrs).astype(f32)
    return (numerics.requantise(total, multiplier, integer(attrs, "out_zp"), *_limits(attrs)),)


def _quantize(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    scaled = numerics.mul(arrays[0], _real32(attrs, "inv_scale"))
    return (numerics.quantise(scaled, integer(attrs, "zp"), *_limits(attrs)),)


def _dequantize(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    x, scale = arrays
    centred = x.astype(np.int16) - np.int16(integer(attrs, "zp"))
    if scale.shape:
        shape = [1] * x.ndim
        shape[integer(attrs, "axis")] = -1
        scale = scale.reshape(shape)
    return (numerics.mul(numerics.int_to_fp32(centred), scale),)


def _cast(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    (x,) = arrays
    to = DType(text(attrs, "to"))
    if to is DType.F32:
        return (x if x.dtype == f32 else numerics.int_to_fp32(x),)
    if x.dtype == f32:
        return (numerics.fp32_to_int(x, to.format),)
    return (np.clip(x, to.format.min, to.format.max).astype(to.numpy),)


_POOL = {"kernel": "ints", "strides": "ints", "pads": "ints", "dilations": "ints"}

QUANT_OPS = (
    Op(
        "lut",
        ("x", "table"),
        {},
        _infer_lut,
        _lut,
        "y = table[x + 128]: any function of one int8",
        constant=("table",),
    ),
    Op(
        "qadd",
        ("a", "b"),
        {"ra": "float", "rb": "float", "fixed": "float", "lo": "int", "hi": "int"},
        _infer_binary,
        _qadd,
        "clamp(rne((a*ra + fixed) + b*rb), lo, hi)",
    ),
    Op(
        "qmul",
        ("a", "b"),
        {
            "a_zp": "int",
            "b_zp": "int",
            "scale": "float",
            "out_zp": "int",
            "lo": "int",
            "hi": "int",
        },
        _infer_binary,
        _qmul,
        "clamp(rne(f32((a - a_zp) * (b - b_zp)) * scale) + out_zp, lo, hi)",
    ),
    Op(
        "qavgpool_global",
        ("x",),
        {"x_zp": "int", "multiplier": "float", "out_zp": "int", "lo": "int", "hi": "int"},
        _infer_global,
        _qavgpool_global,
        "clamp(rne(f32(sum(x - x_zp)) * multiplier) + out_zp, lo, hi) over H and W",
    ),
    Op(
        "qavgpool",
        ("x",),
        {
            **_POOL,
            "counted": "ints",
            "x_zp": "int",
            "ratio": "float",
            "out_zp": "int",
            "lo": "int",
            "hi": "int",
        },
        _infer_qavgpool,
        _qavgpool,
        "mean of int8, times ratio = x_scale / y_scale; counts x and the `counted` padding",
    ),
    Op(
        "maxpool",
        ("x",),
        _POOL,
        _infer_maxpool,
        _maxpool,
        "windowed maximum of i8 or f32; padding never wins",
    ),
    Op(
        "avgpool",
        ("x",),
        {**_POOL, "counted": "ints"},
        _infer_avgpool,
        _avgpool,
        "mean of f32: taps added row-major, times 1/count; counts x and the `counted` padding",
    ),
    Op(
        "quantize",
        ("x",),
        {"inv_scale": "float", "zp": "int", "lo": "int", "hi": "int"},
        _infer_quantize,
        _quantize,
        "clamp(rne(x * inv_scale) + zp, lo, hi)",
    ),
    Op(
        "dequantize",
        ("x", "scale"),
        {"zp": "int", "axis": "int"},
        _infer_dequantize,
        _dequantize,
        "f32(x - zp) * scale; scale is f32[] or one per element of axis (axis -1 when scalar)",
        constant=("scale",),
    ),
    Op(
        "cast",
        ("x",),
        {"to": "str"},
        _infer_cast,
        _cast,
        "between i8, i32 and f32; to an integer: round half to even, saturate, NaN to 0",
    ),
)
