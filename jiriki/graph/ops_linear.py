"""Operations of the matrix unit: conv, conv_transpose, matmul.

In: int8 activations and weights. Out: int32 accumulators, or what the epilogue makes of them.
All three share one epilogue, the requantise of the numerics contract:
`i8: clamp(rne(f32(acc) * multiplier[o]) + out_zp, lo, hi)`, `f32: f32(acc) * multiplier[o]`,
`i32: acc`. Padding contributes zero to `acc`, i.e. it holds x_zp.
"""

from __future__ import annotations

import numpy as np

from jiriki.graph.exact import exact_matmul, requantise
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
    text,
)
from jiriki.graph.tensor import DType, TensorType

OUT_FORMATS = {"i8": DType.I8, "i32": DType.I32, "f32": DType.F32}

_EPILOGUE = {"out_zp": "int", "lo": "int", "hi": "int", "out": "str"}
_WINDOW = {"strides": "ints", "pads": "ints", "dilations": "ints", "group": "int"}


def conv_extent(size: int, kernel: int, stride: int, pad: int, dilation: int) -> int:
    """Return the output length of one spatial axis; `pad` is both sides together."""
    return (size + pad - (kernel - 1) * dilation - 1) // stride + 1


def _check_weights(types: Types, outputs: int) -> None:
    x, w, bias, multiplier = types
    need_dtype(x, "x", DType.I8)
    need_dtype(w, "w", DType.I8)
    need_dtype(bias, "bias", DType.I32)
    need_dtype(multiplier, "multiplier", DType.F32)
    need(bias.shape == (outputs,), f"bias must have shape ({outputs},), not {bias.shape}")
    need(
        multiplier.shape == (outputs,),
        f"multiplier must have shape ({outputs},), not {multiplier.shape}",
    )


def _check_window(attrs: Attrs) -> None:
    need(len(integers(attrs, "strides")) == 2, "strides must be (y, x)")
    need(len(integers(attrs, "dilations")) == 2, "dilations must be (y, x)")
    need(len(integers(attrs, "pads")) == 4, "pads must be (top, left, bottom, right)")
    need(min(integers(attrs, "strides") + integers(attrs, "dilations")) >= 1, "stride below 1")
    need(min(integers(attrs, "pads")) >= 0, "pads must not be negative; use slice to crop")


def _out_dtype(attrs: Attrs) -> DType:
    out = text(attrs, "out")
    need(out in OUT_FORMATS, f"out = {out!r} is not one of {sorted(OUT_FORMATS)}")
    return OUT_FORMATS[out]


def _infer_conv(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    x, w = types[:2]
    need(len(x.shape) == 4 and len(w.shape) == 4, "x and w must have 4 dimensions")
    _check_window(attrs)
    outputs, per_group, *kernel = w.shape
    group = integer(attrs, "group")
    need(x.shape[1] == per_group * group, f"x has {x.shape[1]} channels, w takes {per_group}*group")
    need(outputs % group == 0, f"{outputs} output channels do not divide into {group} groups")
    _check_weights(types, outputs)
    top, left, bottom, right = integers(attrs, "pads")
    spatial = tuple(
        conv_extent(size, k, stride, pad, dilation)
        for size, k, stride, pad, dilation in zip(
            x.shape[2:],
            kernel,
            integers(attrs, "strides"),
            (top + bottom, left + right),
            integers(attrs, "dilations"),
            strict=True,
        )
    )
    need(min(spatial) >= 1, f"the kernel {tuple(kernel)} does not fit into {x.shape[2:]}")
    return (TensorType((x.shape[0], outputs, *spatial), _out_dtype(attrs)),)


def _infer_conv_transpose(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    x, w = types[:2]
    need(len(x.shape) == 4 and len(w.shape) == 4, "x and w must have 4 dimensions")
    _check_window(attrs)
    channels, per_group, *kernel = w.shape
    group = integer(attrs, "group")
    need(x.shape[1] == channels, f"x has {x.shape[1]} channels, w takes {channels}")
    need(channels % group == 0, f"{channels} input channels do not divide into {group} groups")
    _check_weights(types, per_group * group)
    top, left, bottom, right = integers(attrs, "pads")
    strides, dilations = integers(attrs, "strides"), integers(attrs, "dilations")
    extra = integers(attrs, "output_padding")
    pads = (top + bottom, left + right)
    spatial = tuple(
        strides[i] * (x.shape[2 + i] - 1) + extra[i] + (kernel[i] - 1) * dilations[i] + 1 - pads[i]
        for i in range(2)
    )
    need(min(spatial) >= 1, f"the output would be {spatial}; check pads")
    return (TensorType((x.shape[0], per_group * group, *spatial), _out_dtype(attrs)),)


def _infer_matmul(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    a, b = types[0].shape, types[1].shape
    need(min(len(a), len(b)) >= 2, "a and b must have at least 2 dimensions")
    (*a_batch, m, k), (*b_batch, b_k, n) = a, b
    need(k == b_k, f"k differs: {k} and {b_k}")
    _check_weights(types, n)
    batch = broadcast([tuple(a_batch), tuple(b_batch)])
    return (TensorType((*batch, m, n), _out_dtype(attrs)),)


def windows(
    x: np.ndarray,
    kernel: tuple[int, int],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    fill: float,
) -> np.ndarray:
    """Return the view [n, c, oh, ow, kh, kw] of the padded x [n, c, h, w]."""
    top, left, bottom, right = pads
    width = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(x, width, constant_values=fill) if any(pads) else x
    span = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(2, 3))
    return view[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]


def conv_accumulate(x: np.ndarray, w: np.ndarray, attrs: Attrs) -> np.ndarray:
    """Return sum x*w, int32 [n, o, oh, ow], for centred x [n,c,h,w] and w [o,c/g,kh,kw] (int16)."""
    group = integer(attrs, "group")
    outputs, per_group, kh, kw = w.shape
    view = windows(
        x,
        (kh, kw),
        integers(attrs, "strides"),
        integers(attrs, "pads"),
        integers(attrs, "dilations"),
        0,
    )
    batch, channels, oh, ow = view.shape[:4]
    if per_group == 1 and group == channels:
        return _depthwise(view, w)
    k = per_group * kh * kw
    columns = view.reshape(batch, group, per_group, oh, ow, kh, kw)
    columns = columns.transpose(1, 0, 3, 4, 2, 5, 6).reshape(group, batch * oh * ow, k)
    weights = w.reshape(group, outputs // group, k).transpose(0, 2, 1)
    acc = exact_matmul(columns, weights)  # [group, n*oh*ow, o/group] int32
    acc = acc.transpose(1, 0, 2).reshape(batch, oh, ow, outputs)
    return np.ascontiguousarray(acc.transpose(0, 3, 1, 2))


def _depthwise(view: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Accumulate tap by tap: view [n, c, oh, ow, kh, kw], w [c*m, 1, kh, kw]."""
    batch, channels, oh, ow, kh, kw = view.shape
    per_channel = w.shape[0] // channels
    acc = np.zeros((batch, channels, per_channel, oh, ow), np.int32)
    taps = w.astype(np.int32).reshape(channels, per_channel, 1, 1, kh, kw)
    for i in range(kh):
        for j in range(kw):
            acc += view[:, :, None, :, :, i, j] * taps[..., i, j]
    return acc.reshape(batch, channels * per_channel, oh, ow)


def _centred(x: np.ndarray, zero_point: int) -> np.ndarray:
    return x.astype(np.int16) - np.int16(zero_point)


def _finish(acc: np.ndarray, arrays: Arrays, attrs: Attrs, axis: int) -> tuple[np.ndarray, ...]:
    """Add the bias and apply the epilogue along `axis` of acc."""
    shape = [1] * acc.ndim
    shape[axis] = -1
    total = acc + arrays[2].reshape(shape)
    return (requantise(total, arrays[3].reshape(shape), attrs),)


def _conv(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    x = _centred(arrays[0], integer(attrs, "x_zp"))
    w = _centred(arrays[1], integer(attrs, "w_zp"))
    return _finish(conv_accumulate(x, w, attrs), arrays, attrs, axis=1)


def _conv_transpose(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    """A stride-1 convolution of the zero-stuffed input with the flipped, transposed weights."""
    x = _centred(arrays[0], integer(attrs, "x_zp"))
    w = _centred(arrays[1], integer(attrs, "w_zp"))
    group = integer(attrs, "group")
    (sy, sx), (dy, dx) = integers(attrs, "strides"), integers(attrs, "dilations")
    batch, channels, height, width = x.shape
    _, per_group, kh, kw = w.shape
    stuffed = np.zeros((batch, channels, (height - 1) * sy + 1, (width - 1) * sx + 1), x.dtype)
    stuffed[:, :, ::sy, ::sx] = x
    top, left, bottom, right = integers(attrs, "pads")
    ey, ex = integers(attrs, "output_padding")
    by, bx = (kh - 1) * dy, (kw - 1) * dx
    # Border of the full correlation; a pad larger than it crops instead.
    border = (by - top, bx - left, by - bottom + ey, bx - right + ex)
    crop = [max(0, -b) for b in border]
    view = stuffed[:, :, crop[0] : stuffed.shape[2] - crop[2], crop[1] : stuffed.shape[3] - crop[3]]
    flipped = w.reshape(group, channels // group, per_group, kh, kw)[..., ::-1, ::-1]
    flipped = flipped.transpose(0, 2, 1, 3, 4).reshape(group * per_group, channels // group, kh, kw)
    dense = dict(attrs, strides=(1, 1), pads=tuple(max(0, b) for b in border))
    return _finish(conv_accumulate(view, flipped, dense), arrays, attrs, axis=1)


def _matmul(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    a = _centred(arrays[0], integer(attrs, "a_zp"))
    b = _centred(arrays[1], integer(attrs, "b_zp"))
    acc = exact_matmul(a, b)
    return _finish(acc, arrays, attrs, axis=acc.ndim - 1)


_WEIGHTED = ("x", "w", "bias", "multiplier")

LINEAR_OPS = (
    Op(
        "conv",
        _WEIGHTED,
        {**_WINDOW, "x_zp": "int", "w_zp": "int", **_EPILOGUE},
        _infer_conv,
        _conv,
        "2-D convolution of int8, x [N,C,H,W], w [O,C/group,kh,kw], with requantise",
        constant=("w", "bias", "multiplier"),
    ),
    Op(
        "conv_transpose",
        _WEIGHTED,
        {**_WINDOW, "output_padding": "ints", "x_zp": "int", "w_zp": "int", **_EPILOGUE},
        _infer_conv_transpose,
        _conv_transpose,
        "2-D transposed convolution of int8, w [C,O/group,kh,kw], with requantise",
        constant=("w", "bias", "multiplier"),
    ),
    Op(
        "matmul",
        ("a", "b", "bias", "multiplier"),
        {"a_zp": "int", "b_zp": "int", **_EPILOGUE},
        _infer_matmul,
        _matmul,
        "matrix product of int8, a [...,M,K], b [...,K,N] constant or activation, with requantise",
        constant=("bias", "multiplier"),
    ),
)
