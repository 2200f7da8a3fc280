"""Convolutions over 1 to 3 axes: every ONNX form of them to conv and conv_transpose.

In: QLinearConv, ConvInteger, and float Conv, ConvTranspose whose operands are dequantised int8.
Out: graph nodes with int32 bias and float32 multiplier per output channel; taps along depth become
channels (`depth`). Raises when an accumulator could overflow int32.
"""

from __future__ import annotations

import numpy as np
import onnx

from jiriki.frontend.lower.conv3d import (
    stack_transposed_weights,
    stack_weights,
    transposed_taps,
)
from jiriki.frontend.lower.window import Span, Window, make_window
from jiriki.frontend.onnx.context import Context, int_attribute, label, list_attribute
from jiriki.frontend.onnx.ops_linear import (
    Epilogue,
    check_accumulator,
    float_bias,
    int8_weights,
    largest_sum,
    operands_of,
    parameters_of,
    per_output,
    scalar_point,
    scale_of,
)
from jiriki.frontend.onnx.registry import takes
from jiriki.frontend.onnx.window import lift, lift_depth, lower, lower_depth, read_window
from jiriki.graph import Attr

f32 = np.float32


def emit_conv(
    context: Context,
    node: onnx.NodeProto,
    x: tuple[str, int],
    weights: tuple[np.ndarray, int],
    bias: np.ndarray | None,
    epilogue: Epilogue,
) -> str:
    """Emit a conv on x (tensor, zero point); return its output tensor, in x's rank."""
    array, w_zp = weights
    rank = array.ndim
    _check_rank(context, node, rank)
    batch, _, *spatial = context.tensors[x[0]].shape
    window = read_window(node, tuple(spatial), array.shape[2:])
    group = int_attribute(node, "group", 1)
    k = int(np.prod(array.shape[1:]))
    check_accumulator(context, node, largest_sum(array, w_zp, 0, x[1]), k, bias)
    attrs: dict[str, Attr] = {
        "strides": window.strides,
        "pads": window.pads,
        "dilations": window.dilations,
        "group": group,
        "x_zp": x[1],
        "w_zp": w_zp,
        **epilogue.attrs(),
    }
    if window.depth is not None:
        images = lift_depth(context, node, x[0], window.depth.taps(), x[1], group)
        array = stack_weights(array)
    else:
        images = lift(context, node, x[0])
        array = array if rank == 4 else array[:, :, None, :]
    operands = [images, *parameters_of(context, node, array, bias, epilogue)]
    out = context.emit("conv", operands, attrs, node.output[0], label(node))
    return _in_rank(context, node, out, rank, batch)


def _check_rank(context: Context, node: onnx.NodeProto, rank: int) -> None:
    if not 3 <= rank <= 5:
        raise context.unsupported(
            node, f"{rank - 2}-D convolution is not taken", "use 1-D, 2-D or 3-D"
        )


def _in_rank(context: Context, node: onnx.NodeProto, out: str, rank: int, batch: int) -> str:
    """Return a convolution's images in the rank of the ONNX node."""
    if rank == 5:
        return lower_depth(context, node, out, batch)
    return lower(context, node, out, rank)


# -- integer forms -------------------------------------------------------------------------


@takes("QLinearConv")
def qlinear_conv(context: Context, node: onnx.NodeProto) -> None:
    """int8 in, int8 out; the multiplier is (x_scale * w_scale) / y_scale in float32."""
    x = context.value(node, 0)
    weights = _weights(context, node, 3, 5)
    scale = per_output(context.constant(node, 4), weights[0].shape[0])
    multiplier = (scale_of(context, node, 1) * scale) / scale_of(context, node, 6)
    dtype = context.value(node, 7).dtype
    epilogue = Epilogue(multiplier, "i8", scalar_point(context, node, 7, dtype))
    source = (context.tensor(node, 0), scalar_point(context, node, 2, x.dtype))
    tensor = emit_conv(context, node, source, weights, context.optional(node, 8), epilogue)
    context.bind(node, tensor, dtype)


def _weights(
    context: Context, node: onnx.NodeProto, index: int, point: int
) -> tuple[np.ndarray, int]:
    """Return int8 weights and their zero point; ones that differ per channel are taken off."""
    array, points = context.constant(node, index), context.optional(node, point)
    if points is None or np.unique(points).size == 1 or array.dtype not in (np.int8, np.uint8):
        return int8_weights(context, node, array, points)
    column = points.astype(np.int32).reshape([-1] + [1] * (array.ndim - 1))
    centred = array.astype(np.int32) - column
    if centred.min() < -128 or centred.max() > 127:
        raise context.unsupported(
            node,
            "weights less the zero points of their channels exceed int8",
            "use symmetric per-channel weights",
        )
    return centred.astype(np.int8), 0


@takes("ConvInteger")
def conv_integer(context: Context, node: onnx.NodeProto) -> None:
    """int8 in, int32 out."""
    x = context.value(node, 0)
    weights = _weights(context, node, 1, 3)
    epilogue = Epilogue(np.ones(weights[0].shape[0], f32), "i32")
    source = (context.tensor(node, 0), scalar_point(context, node, 2, x.dtype))
    tensor = emit_conv(context, node, source, weights, None, epilogue)
    context.bind(node, tensor, "int32")


# -- float forms over dequantised operands --------------------------------------------------


@takes("Conv")
def conv(context: Context, node: onnx.NodeProto) -> None:
    """A float Conv over dequantised operands; a QuantizeLinear behind it is absorbed."""
    x, w = operands_of(context, node)
    array = w.value.array
    if array is None:
        raise context.unsupported(node, "weights must be constant", "fold them first")
    weights = int8_weights(context, node, array, w.zero_point)
    if w.axis > 0:
        raise context.unsupported(node, f"weight scales along axis {w.axis}", "use axis 0")
    scale = x.scale.astype(f32) * per_output(w.scale, array.shape[0])
    bias = float_bias(context, node, 2, scale)
    source = (context.tensor_of(x.value, f"{node.output[0]}/x"), x.param().zero_point)
    tensor = emit_conv(context, node, source, weights, bias, Epilogue(scale))
    context.bind(node, tensor, "float32")


@takes("ConvTranspose")
def conv_transpose(context: Context, node: onnx.NodeProto) -> None:
    """A float ConvTranspose over dequantised operands."""
    x, w = operands_of(context, node)
    array = w.value.array
    if array is None:
        raise context.unsupported(node, "weights must be constant", "fold them first")
    _check_rank(context, node, array.ndim)
    group = int_attribute(node, "group", 1)
    outputs = array.shape[1] * group
    if w.axis >= 0 and (w.axis != 1 or group != 1):
        raise context.unsupported(
            node, f"weight scales along axis {w.axis} with group {group}", "use one weight scale"
        )
    weights, w_zp = int8_weights(context, node, array, w.zero_point)
    x_zp = x.param().zero_point
    scale = x.scale.astype(f32) * per_output(w.scale, outputs)
    bias = float_bias(context, node, 2, scale)
    check_accumulator(context, node, largest_sum(weights, w_zp, 1, x_zp), array.shape[0], bias)
    window, extra = _transpose_window(node, x.value.shape[2:], array.shape[2:])
    attrs: dict[str, Attr] = {
        "strides": window.strides,
        "pads": window.pads,
        "dilations": window.dilations,
        "group": group,
        "output_padding": extra[-2:],
        "x_zp": x_zp,
        "w_zp": w_zp,
        **Epilogue(scale).attrs(),
    }
    tensor = context.tensor_of(x.value, f"{node.output[0]}/x")
    if window.depth is not None:
        taps = transposed_taps(window.depth, extra[0])
        tensor = lift_depth(context, node, tensor, taps, x_zp, group)
        weights = stack_transposed_weights(weights, group)
    else:
        tensor = lift(context, node, tensor)
        weights = weights if array.ndim == 4 else weights[:, :, None, :]
    operands = [tensor, *parameters_of(context, node, weights, bias, Epilogue(scale))]
    out = context.emit("conv_transpose", operands, attrs, node.output[0], label(node))
    out = _in_rank(context, node, out, array.ndim, x.value.shape[0])
    context.bind(node, out, "float32")


def _transpose_window(
    node: onnx.NodeProto, spatial: tuple[int, ...], kernel: tuple[int, ...]
) -> tuple[Window, tuple[int, ...]]:
    """Read a ConvTranspose's window, resolving output_shape and auto_pad to pads."""
    rank = len(spatial)
    strides = list_attribute(node, "strides", [1] * rank)
    dilations = list_attribute(node, "dilations", [1] * rank)
    extra = list_attribute(node, "output_padding", [0] * rank)
    shape = list_attribute(node, "output_shape", [])[-rank:]
    mode = next((a.s.decode() for a in node.attribute if a.name == "auto_pad"), "NOTSET")
    pads = list_attribute(node, "pads", [0] * (2 * rank))
    if mode.startswith("SAME") and not shape:
        shape = [size * stride for size, stride in zip(spatial, strides, strict=True)]
    if mode == "VALID":
        pads = [0] * (2 * rank)
    if shape:
        pads = [0] * (2 * rank)
        for i in range(rank):
            full = strides[i] * (spatial[i] - 1) + extra[i] + (kernel[i] - 1) * dilations[i] + 1
            total = max(full - shape[i], 0)
            extra[i] += max(shape[i] - full, 0)
            small = total // 2
            pads[i] = small if mode == "SAME_UPPER" else total - small
            pads[rank + i] = total - pads[i]
    ends = pads[rank:]
    fields = zip(spatial, kernel, strides, pads, ends, dilations, ends, strict=False)
    spans = [Span(*parameters) for parameters in fields]
    return make_window(spans), ((0, extra[0]) if rank == 1 else tuple(extra))
