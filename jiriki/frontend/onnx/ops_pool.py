"""Poolings over 1 to 3 axes, of float and of int8.

In: MaxPool (with Indices), AveragePool, the global ones, QLinearAveragePool and its global form.
Out: maxpool, avgpool, qavgpool, reductions. Maxima and means over depth follow those over (y, x):
a maximum of maxima is exact, and a mean's count is the product of its axes' counts. An int8 mean
over depth is a convolution with weights of one, so that its sum is exact and scaled once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import product
from math import prod

import numpy as np
import onnx

from jiriki.frontend.lower.window import POINT, Span, Window, make_window
from jiriki.frontend.onnx.context import Context, int_attribute, label, list_attribute
from jiriki.frontend.onnx.ops_float import finish, float_input, number, step
from jiriki.frontend.onnx.ops_move import slice_attrs
from jiriki.frontend.onnx.ops_quant import LIMITS, MS, read_param
from jiriki.frontend.onnx.ort_requant import QParam
from jiriki.frontend.onnx.registry import takes
from jiriki.frontend.onnx.window import lift, lift_depth, lower, lower_depth, read_spans
from jiriki.graph import Attr

EXACT_INTEGERS = 1 << 24  # float32 holds every integer up to here
f32 = np.float32


def _spans(context: Context, node: onnx.NodeProto) -> list[Span]:
    """Read the node's window; refuse more than three axes."""
    spatial = context.value(node, 0).shape[2:]
    if not 1 <= len(spatial) <= 3:
        raise context.unsupported(
            node, f"{len(spatial)}-D windows are not taken", "use 1-D, 2-D or 3-D"
        )
    return read_spans(node, spatial, tuple(list_attribute(node, "kernel_shape", [])))


def _window_attrs(op: str, window: Window, include: bool) -> dict[str, Attr]:
    """Return the attributes of maxpool or avgpool."""
    attrs: dict[str, Attr] = {
        "kernel": window.kernel,
        "strides": window.strides,
        "pads": window.pads,
        "dilations": window.dilations,
    }
    if op != "maxpool":
        attrs["counted"] = window.counted if include else (0, 0, 0, 0)
    return attrs


def _pooled(
    context: Context,
    node: onnx.NodeProto,
    op: str,
    x: str,
    spans: Sequence[Span],
    include: bool = False,
) -> str:
    """Emit maxpool or avgpool over the last axes of x; return the result in the node's rank."""
    window = make_window(spans)
    attrs = _window_attrs(op, window, include)
    if window.depth is None:
        pooled = step(context, node, op, lift(context, node, x), **attrs)
        return lower(context, node, pooled, 2 + len(spans))
    batch, channels, depth, *plane = context.tensors[x].shape
    flat = step(context, node, "reshape", x, shape=(batch, channels * depth, *plane))
    flat = step(context, node, op, flat, **attrs)
    height, width = context.tensors[flat].shape[2:]
    line = Span(height * width, *POINT, 0)
    lines = (batch, channels, depth, line.size)
    columns = step(context, node, "reshape", flat, shape=lines)
    attrs = _window_attrs(op, make_window([window.depth, line]), include)
    columns = step(context, node, op, columns, **attrs)
    shape = (batch, channels, window.depth.outputs, height, width)
    return step(context, node, "reshape", columns, shape=shape)


@takes("MaxPool")
def max_pool(context: Context, node: onnx.NodeProto) -> None:
    """int8 or float, with the positions of the maxima where they are asked for."""
    spans = _spans(context, node)
    carrier = context.carrier(node)
    if carrier.quant is not None and carrier.quant.param().scale <= 0:
        raise context.unsupported(node, "a scale is not positive", "calibrate the model again")
    pooled = _pooled(context, node, "maxpool", carrier.tensor, spans)
    context.bind_moved(node, carrier, pooled)
    if len(node.output) > 1 and node.output[1]:
        context.bind(node, _positions(context, node, carrier.tensor, pooled, spans), "int64", 1)


def _positions(
    context: Context, node: onnx.NodeProto, x: str, pooled: str, spans: Sequence[Span]
) -> str:
    """Return where in the flat input each maximum lies, int32: the first of equal ones.

    Taps are looked at last to first; each that equals the maximum puts its position.
    """
    shape = context.tensors[x].shape
    if prod(shape) > EXACT_INTEGERS:
        raise context.unsupported(
            node, f"Indices of {prod(shape)} elements exceed {EXACT_INTEGERS}", "pool smaller parts"
        )
    highest = step(context, node, "cast", pooled, to="f32")
    padded = _padded(context, node, step(context, node, "cast", x, to="f32"), spans)
    positions = number(context, node, 0.0)
    for tap in reversed(list(product(*(range(span.kernel) for span in spans)))):
        reads = _strided(context, node, padded, spans, tap)
        same = step(context, node, "equal", reads, highest)
        inside, position = _tap_maps(spans, tap, int_attribute(node, "storage_order", 0))
        if not inside.all():
            same = step(context, node, "mul", same, _map(context, node, inside))
        positions = step(context, node, "where", same, _map(context, node, position), positions)
    planes = np.arange(prod(shape[:2])).reshape(*shape[:2], *[1] * len(spans))
    planes = (planes * prod(shape[2:])).astype(f32)
    start = context.add_constant(f"{node.output[1]}/planes", planes)
    positions = step(context, node, "add", positions, start)
    return context.emit("cast", [positions], {"to": "i32"}, node.output[1], label(node))


def _padded(context: Context, node: onnx.NodeProto, x: str, spans: Sequence[Span]) -> str:
    """Pad so that every tap of every output lies in x."""
    begins = [0, 0, *(span.before for span in spans)]
    ends = [0, 0, *(max(0, span.taps()[-1][-1] + 1 - span.size) for span in spans)]
    if not any(begins + ends):
        return x
    return step(context, node, "pad", x, pads=(*begins, *ends), mode="constant", value=0.0)


def _strided(
    context: Context, node: onnx.NodeProto, padded: str, spans: Sequence[Span], tap: Sequence[int]
) -> str:
    """Return what one tap reads at every output."""
    parts = {}
    for i, (span, k) in enumerate(zip(spans, tap, strict=True)):
        start = k * span.dilation
        parts[2 + i] = (start, start + (span.outputs - 1) * span.stride + 1, span.stride)
    attrs = slice_attrs(context.tensors[padded].shape, parts)
    return step(context, node, "slice", padded, **attrs)


def _tap_maps(
    spans: Sequence[Span], tap: Sequence[int], storage_order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return, per output, whether the tap lies inside, and its flat position in the plane."""
    sizes = [span.size for span in spans]
    reads = [np.array(span.taps())[:, k] for span, k in zip(spans, tap, strict=True)]
    grid = np.meshgrid(*reads, indexing="ij")
    inside = np.logical_and.reduce(
        [(at >= 0) & (at < size) for at, size in zip(grid, sizes, strict=True)]
    )
    clamped = [np.clip(at, 0, size - 1) for at, size in zip(grid, sizes, strict=True)]
    order = "F" if storage_order else "C"
    return inside, np.ravel_multi_index(tuple(clamped), sizes, order=order)


def _map(context: Context, node: onnx.NodeProto, array: np.ndarray) -> str:
    """Return a float32 constant, one value per output, for every image and channel."""
    return context.add_constant(f"{node.output[0]}/map", array[None, None].astype(f32))


@takes("AveragePool")
def average_pool(context: Context, node: onnx.NodeProto) -> None:
    """float; the divisor counts padding only with count_include_pad."""
    include = bool(int_attribute(node, "count_include_pad", 0))
    x = float_input(context, node)
    finish(context, node, _pooled(context, node, "avgpool", x, _spans(context, node), include))


@takes("GlobalAveragePool", "GlobalMaxPool")
def global_pool(context: Context, node: onnx.NodeProto) -> None:
    """A reduction over the spatial axes."""
    x = float_input(context, node)
    axes = tuple(range(2, len(context.tensors[x].shape)))
    op = "reduce_mean" if node.op_type == "GlobalAveragePool" else "reduce_max"
    context.result(node, op, [x], {"axes": axes, "keepdims": 1})


@takes("QLinearGlobalAveragePool", domain=MS)
def qlinear_global_average_pool(context: Context, node: onnx.NodeProto) -> None:
    """Sum exactly, scale once."""
    x = context.value(node, 0)
    if int_attribute(node, "channels_last", 0):
        raise context.unsupported(node, "channels_last is not taken", "use channels first")
    a, c = (read_param(context, node, i, i + 1, x.dtype) for i in (1, 3))
    count = f32(np.prod(x.shape[2:]))
    attrs: dict[str, Attr] = {
        "x_zp": a.zero_point,
        "multiplier": float(f32(a.scale) / (f32(c.scale) * count)),
        "out_zp": c.zero_point,
        **LIMITS,
    }
    tensor = context.tensor(node, 0)
    if len(x.shape) == 5:
        flat = (*x.shape[:3], prod(x.shape[3:]))
        tensor = step(context, node, "reshape", tensor, shape=flat)
    tensor = lift(context, node, tensor)
    pooled = context.emit("qavgpool_global", [tensor], attrs, node.output[0], label(node))
    shape = (*x.shape[:2], *[1] * (len(x.shape) - 2))
    if shape != context.tensors[pooled].shape:
        pooled = context.emit("reshape", [pooled], {"shape": shape}, node.output[0], label(node))
    context.bind(node, pooled, x.dtype)


@takes("QLinearAveragePool", domain=MS)
def qlinear_average_pool(context: Context, node: onnx.NodeProto) -> None:
    """Sum the window exactly, scale once; ONNX Runtime sums floats (decision 0004).

    With count_include_pad this operator counts what ceil_mode adds too: always the whole kernel.
    """
    x = context.value(node, 0)
    if int_attribute(node, "channels_last", 0):
        raise context.unsupported(node, "channels_last is not taken", "use channels first")
    a, c = (read_param(context, node, i, i + 1, x.dtype) for i in (1, 3))
    include = bool(int_attribute(node, "count_include_pad", 0))
    spans = [replace(span, counted=span.after) for span in _spans(context, node)]
    window = make_window(spans)
    if window.depth is not None:
        context.bind(node, _mean_over_depth(context, node, spans, include, (a, c)), x.dtype)
        return
    attrs: dict[str, Attr] = {
        **_window_attrs("qavgpool", window, include),
        "x_zp": a.zero_point,
        "ratio": float(f32(a.scale) / f32(c.scale)),
        "out_zp": c.zero_point,
        **LIMITS,
    }
    tensor = lift(context, node, context.tensor(node, 0))
    pooled = context.emit("qavgpool", [tensor], attrs, node.output[0], label(node))
    context.bind(node, lower(context, node, pooled, len(x.shape)), x.dtype)


def _mean_over_depth(
    context: Context,
    node: onnx.NodeProto,
    spans: Sequence[Span],
    include: bool,
    params: tuple[QParam, QParam],
) -> str:
    """Return the int8 mean of a 3-D window: a sum by a convolution, times ratio / count."""
    a, c = params
    window = make_window(spans)
    tensor = context.tensor(node, 0)
    batch, channels = context.tensors[tensor].shape[:2]
    taps = spans[0].taps()
    images = lift_depth(context, node, tensor, taps, a.zero_point, channels)
    weights = np.ones((channels, spans[0].kernel, *window.kernel), np.int8)
    attrs: dict[str, Attr] = {
        "strides": window.strides,
        "pads": window.pads,
        "dilations": window.dilations,
        "group": channels,
        "x_zp": a.zero_point,
        "w_zp": 0,
        "out_zp": 0,
        "lo": -128,
        "hi": 127,
        "out": "f32",
    }
    base = node.output[0]
    operands = [
        images,
        context.add_constant(f"{base}/w", weights),
        context.add_constant(f"{base}/bias", np.zeros(channels, np.int32)),
        context.add_constant(f"{base}/multiplier", np.ones(channels, f32)),
    ]
    sums = step(context, node, "conv", *operands, **attrs)
    counts = reduce(np.multiply.outer, [_counts(span, include) for span in spans])
    scale = f32(a.scale) / f32(c.scale) / counts.astype(f32)
    per_image = np.tile(scale[:, None], (batch, 1, 1, 1))  # [N*D',1,H',W']
    factor = context.add_constant(f"{base}/scale", per_image)
    means = step(context, node, "mul", sums, factor)
    rounded = step(
        context, node, "quantize", means, inv_scale=1.0, zp=c.zero_point, lo=-128, hi=127
    )
    return lower_depth(context, node, rounded, batch)


def _counts(span: Span, include: bool) -> np.ndarray:
    """Return how many taps each output counts along one axis."""
    low, high = (-span.before, span.size + span.counted) if include else (0, span.size)
    reads = np.array(span.taps())
    return ((reads >= low) & (reads < high)).sum(axis=1)
