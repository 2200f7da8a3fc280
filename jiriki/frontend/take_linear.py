"""Convolutions and matrix products: every ONNX form of them to conv, conv_transpose, matmul.

In: QLinearConv, QLinearMatMul, QGemm, ConvInteger, MatMulInteger, and float Conv, ConvTranspose,
Gemm, MatMul whose operands are dequantised int8. Out: graph nodes with int32 bias and float32
multiplier per output channel. Raises when an accumulator could overflow int32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from jiriki.frontend.context import (
    Context,
    Quant,
    Value,
    float_attribute,
    int_attribute,
    label,
    list_attribute,
)
from jiriki.frontend.errors import NotQuantisedError
from jiriki.frontend.geometry import Window, lift, lower, make_window, read_window
from jiriki.frontend.match import QParam
from jiriki.frontend.registry import takes
from jiriki.graph import Attr, Node

MS = "com.microsoft"
INT32_MAX = 2**31 - 1
f32 = np.float32


@dataclass(frozen=True)
class Weights:
    """Constant int8 weights [o, ...] with one zero point and a scale per output channel."""

    array: np.ndarray  # int8
    zero_point: int
    scale: np.ndarray  # float32 [o]


@dataclass(frozen=True)
class Epilogue:
    """What follows the accumulator: multiplier per output channel and the output format."""

    multiplier: np.ndarray  # float32 [o]
    out: str = "f32"
    zero_point: int = 0

    def attrs(self) -> dict[str, Attr]:
        """Return the attributes that conv and matmul share."""
        return {"out_zp": self.zero_point, "lo": -128, "hi": 127, "out": self.out}


def per_output(scale: np.ndarray, outputs: int) -> np.ndarray:
    """Return a scale as float32 [outputs]."""
    return np.broadcast_to(scale.astype(f32).reshape(-1), (outputs,)).copy()


def int8_weights(
    context: Context, node: onnx.NodeProto, array: np.ndarray, zero_point: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """Return weights and their one zero point as int8, uint8 shifted by -128."""
    if array.dtype not in (np.int8, np.uint8):
        raise context.unsupported(
            node, f"weights are {array.dtype.name}, not 8-bit", "quantise the weights to int8"
        )
    points = np.zeros(1, np.int32) if zero_point is None else np.unique(zero_point.astype(np.int32))
    if points.size != 1:
        raise context.unsupported(
            node, "weight zero points differ per channel", "use symmetric per-channel weights"
        )
    shift = 128 if array.dtype == np.uint8 else 0
    return (array.astype(np.int16) - shift).astype(np.int8), int(points[0]) - shift


def check_accumulator(
    context: Context, node: onnx.NodeProto, largest: int, k: int, bias: np.ndarray | None = None
) -> None:
    """Raise unless |sum of k products| <= largest plus bias fits int32."""
    worst = largest + (0 if bias is None else int(np.abs(bias.astype(np.int64)).max(initial=0)))
    if worst > INT32_MAX:
        raise context.unsupported(
            node,
            f"k = {k} products could reach {worst}, beyond the int32 accumulator's {INT32_MAX}",
            "split the reduction into smaller ones",
        )


def reach(zero_point: int) -> int:
    """Return the largest |x - zero_point| of an int8 x."""
    return max(128 + zero_point, 127 - zero_point)


def largest_sum(array: np.ndarray, zero_point: int, axis: int, x_zero_point: int) -> int:
    """Bound |sum (x - x_zp)(w - w_zp)| over the output channels along `axis`."""
    others = tuple(i for i in range(array.ndim) if i != axis)
    sums = np.abs(array.astype(np.int64) - zero_point).sum(axis=others)
    return int(sums.max(initial=0)) * reach(x_zero_point)


def emit_conv(
    context: Context,
    node: onnx.NodeProto,
    x: tuple[str, int],
    weights: tuple[np.ndarray, int],
    bias: np.ndarray | None,
    epilogue: Epilogue,
    window: Window | None = None,
) -> str:
    """Emit a conv on x (tensor, zero point); return its output tensor, 1-D lifted."""
    array, w_zp = weights
    rank = array.ndim
    if rank not in (3, 4):
        raise context.unsupported(node, f"{rank - 2}-D convolution is not taken", "use 1-D or 2-D")
    spatial = context.tensors[x[0]].shape[2:]
    window = window or read_window(node, spatial, array.shape[2:])
    k = int(np.prod(array.shape[1:]))
    check_accumulator(context, node, largest_sum(array, w_zp, 0, x[1]), k, bias)
    attrs: dict[str, Attr] = {
        "strides": window.strides,
        "pads": window.pads,
        "dilations": window.dilations,
        "group": int_attribute(node, "group", 1),
        "x_zp": x[1],
        "w_zp": w_zp,
        **epilogue.attrs(),
    }
    array = array if rank == 4 else array[:, :, None, :]
    operands = [lift(context, node, x[0]), *_parameters(context, node, array, bias, epilogue)]
    return context.emit("conv", operands, attrs, node.output[0], label(node))


def _parameters(
    context: Context,
    node: onnx.NodeProto,
    array: np.ndarray,
    bias: np.ndarray | None,
    epilogue: Epilogue,
) -> list[str]:
    base = node.output[0]
    outputs = epilogue.multiplier.size
    offsets = np.zeros(outputs, np.int32) if bias is None else bias.astype(np.int32)
    return [
        context.add_constant(f"{base}/w", array),
        context.add_constant(f"{base}/bias", offsets),
        context.add_constant(f"{base}/multiplier", epilogue.multiplier.astype(f32)),
    ]


def _scalar_point(context: Context, node: onnx.NodeProto, index: int, dtype: str) -> int:
    """Return an activation's zero point, shifted to int8."""
    shift = 128 if dtype == "uint8" else 0
    return int(context.scalar(node, index, 0)) - shift


def _scale(context: Context, node: onnx.NodeProto, index: int) -> np.floating:
    return f32(context.scalar(node, index))


# -- integer forms -------------------------------------------------------------------------


@takes("QLinearConv")
def qlinear_conv(context: Context, node: onnx.NodeProto) -> None:
    """int8 in, int8 out; the multiplier is (x_scale * w_scale) / y_scale in float32."""
    x = context.value(node, 0)
    weights = int8_weights(context, node, context.constant(node, 3), context.optional(node, 5))
    scale = per_output(context.constant(node, 4), weights[0].shape[0])
    multiplier = (_scale(context, node, 1) * scale) / _scale(context, node, 6)
    dtype = context.value(node, 7).dtype
    epilogue = Epilogue(multiplier, "i8", _scalar_point(context, node, 7, dtype))
    source = (context.tensor(node, 0), _scalar_point(context, node, 2, x.dtype))
    tensor = emit_conv(context, node, source, weights, context.optional(node, 8), epilogue)
    context.bind(node, lower(context, node, tensor, len(x.shape)), dtype)


@takes("ConvInteger")
def conv_integer(context: Context, node: onnx.NodeProto) -> None:
    """int8 in, int32 out."""
    x = context.value(node, 0)
    weights = int8_weights(context, node, context.constant(node, 1), context.optional(node, 3))
    epilogue = Epilogue(np.ones(weights[0].shape[0], f32), "i32")
    source = (context.tensor(node, 0), _scalar_point(context, node, 2, x.dtype))
    tensor = emit_conv(context, node, source, weights, None, epilogue)
    context.bind(node, lower(context, node, tensor, len(x.shape)), "int32")


@dataclass(frozen=True)
class Product:
    """One matmul: its operands as values with zero points in the model's own types."""

    a: Value
    b: Value
    a_zp: int
    b_zp: np.ndarray | None


def emit_matmul(
    context: Context,
    node: onnx.NodeProto,
    product: Product,
    bias: np.ndarray | None,
    epilogue: Epilogue,
) -> str:
    """Emit a matmul with the batch rules of ONNX; return its output tensor."""
    base = node.output[0]
    a_shape, b_shape = product.a.shape, product.b.shape
    a = _matrix(context, node, context.tensor_of(product.a, f"{base}/a"), front=True)
    if product.b.array is not None:
        array, b_zp = int8_weights(context, node, product.b.array, product.b_zp)
        largest = _largest_column(array, b_zp) * reach(product.a_zp)
        b = context.add_constant(f"{base}/w", array)
    else:
        b = context.tensor_of(product.b, f"{base}/b")
        points = np.unique(0 if product.b_zp is None else product.b_zp)
        if points.size != 1:
            raise context.unsupported(node, "zero points of b differ", "use one zero point")
        b_zp = int(points[0]) - product.b.shift
        largest = a_shape[-1] * reach(product.a_zp) * reach(b_zp)
    check_accumulator(context, node, largest, a_shape[-1], bias)
    b = _matrix(context, node, b, front=False)
    attrs: dict[str, Attr] = {"a_zp": product.a_zp, "b_zp": b_zp, **epilogue.attrs()}
    offsets = np.zeros(epilogue.multiplier.size, np.int32) if bias is None else bias
    operands = [
        a,
        b,
        context.add_constant(f"{base}/bias", offsets.astype(np.int32)),
        context.add_constant(f"{base}/multiplier", epilogue.multiplier.astype(f32)),
    ]
    out = context.emit("matmul", operands, attrs, base, label(node))
    return _drop_vectors(context, node, out, len(a_shape) == 1, len(b_shape) == 1)


def _largest_column(array: np.ndarray, zero_point: int) -> int:
    axis = 0 if array.ndim == 1 else -2
    return int(np.abs(array.astype(np.int64) - zero_point).sum(axis=axis).max(initial=0))


def _matrix(context: Context, node: onnx.NodeProto, tensor: str, front: bool) -> str:
    """Return a vector as a matrix: [k] to [1, k] in front, [k] to [k, 1] behind."""
    shape = context.tensors[tensor].shape
    if len(shape) != 1:
        return tensor
    if tensor in context.constants:
        return context.add_constant(tensor, context.constants[tensor].reshape(-1, 1))
    new = (1, *shape) if front else (*shape, 1)
    return context.emit("reshape", [tensor], {"shape": new}, f"{tensor}/2d", label(node))


def _drop_vectors(
    context: Context, node: onnx.NodeProto, out: str, a_vector: bool, b_vector: bool
) -> str:
    if not (a_vector or b_vector):
        return out
    shape = list(context.tensors[out].shape)
    if b_vector:
        shape.pop(-1)
    if a_vector:
        shape.pop(-1 if b_vector else -2)
    return context.emit("reshape", [out], {"shape": tuple(shape)}, node.output[0], label(node))


def _outputs_of(value: Value) -> int:
    return 1 if len(value.shape) == 1 else value.shape[-1]


@takes("QLinearMatMul")
def qlinear_matmul(context: Context, node: onnx.NodeProto) -> None:
    """int8 in, int8 out."""
    a, b = context.value(node, 0), context.value(node, 3)
    scale = per_output(context.constant(node, 4), _outputs_of(b))
    multiplier = (_scale(context, node, 1) * scale) / _scale(context, node, 6)
    dtype = context.value(node, 7).dtype
    epilogue = Epilogue(multiplier, "i8", _scalar_point(context, node, 7, dtype))
    product = Product(a, b, _scalar_point(context, node, 2, a.dtype), context.optional(node, 5))
    context.bind(node, emit_matmul(context, node, product, None, epilogue), dtype)


@takes("MatMulInteger")
def matmul_integer(context: Context, node: onnx.NodeProto) -> None:
    """int8 in, int32 out."""
    a, b = context.value(node, 0), context.value(node, 1)
    epilogue = Epilogue(np.ones(_outputs_of(b), f32), "i32")
    product = Product(a, b, _scalar_point(context, node, 2, a.dtype), context.optional(node, 3))
    context.bind(node, emit_matmul(context, node, product, None, epilogue), "int32")


@takes("MatMulIntegerToFloat", domain=MS)
def matmul_integer_to_float(context: Context, node: onnx.NodeProto) -> None:
    """int8 in, float out: what remains of MatMul with dequantised operands."""
    a, b = context.value(node, 0), context.value(node, 1)
    scale = per_output(context.constant(node, 3), _outputs_of(b))
    epilogue = Epilogue(_scale(context, node, 2) * scale)
    a_zp = _scalar_point(context, node, 4, a.dtype)
    product = Product(a, b, a_zp, context.optional(node, 5))
    tensor = emit_matmul(context, node, product, None, epilogue)
    if context.has(node, 6):
        operands = [tensor, context.tensor(node, 6)]
        tensor = context.emit("add", operands, {}, node.output[0], label(node))
    context.bind(node, tensor, "float32")


@takes("QGemm", domain=MS)
def qgemm(context: Context, node: onnx.NodeProto) -> None:
    """alpha * A * B + C with int8 A and B, int32 C, int8 or float out."""
    a, b = _gemm_operands(context, node, context.value(node, 0), context.value(node, 3))
    alpha = f32(float_attribute(node, "alpha", 1.0))
    scale = per_output(context.constant(node, 4), _outputs_of(b))
    multiplier = alpha * _scale(context, node, 1) * scale
    bias = context.optional(node, 6)
    offsets = None if bias is None else np.broadcast_to(bias.reshape(-1), (scale.size,))
    a_zp = _scalar_point(context, node, 2, a.dtype)
    product = Product(a, b, a_zp, context.optional(node, 5))
    epilogue, dtype = Epilogue(multiplier), "float32"
    if context.has(node, 7):
        dtype = context.value(node, 8).dtype
        out_zp = _scalar_point(context, node, 8, dtype)
        epilogue = Epilogue(multiplier / _scale(context, node, 7), "i8", out_zp)
    context.bind(node, emit_matmul(context, node, product, offsets, epilogue), dtype)


def _gemm_operands(
    context: Context, node: onnx.NodeProto, a: Value, b: Value
) -> tuple[Value, Value]:
    """Apply transA and transB."""
    if int_attribute(node, "transA", 0):
        a = _transposed(context, node, a)
    if int_attribute(node, "transB", 0):
        b = _transposed(context, node, b)
    return a, b


def _transposed(context: Context, node: onnx.NodeProto, value: Value) -> Value:
    shape = value.shape[::-1]
    if value.array is not None:
        return Value(value.dtype, shape, array=value.array.T)
    tensor = context.tensor_of(value, f"{node.output[0]}/t")
    turned = context.emit("transpose", [tensor], {"perm": (1, 0)}, f"{tensor}/t", label(node))
    return Value(value.dtype, shape, tensor=turned)


# -- float forms over dequantised operands -------------------------------------------------


def _operands(context: Context, node: onnx.NodeProto) -> tuple[Quant, Quant]:
    """Return both operands' int8 tensors; NotQuantisedError when one is float."""
    quants = [context.value(node, i).quant for i in (0, 1)]
    first, second = quants
    if first is None or second is None or first.axis >= 0:
        shapes = ", ".join(str(list(context.value(node, i).shape)) for i in (0, 1))
        raise NotQuantisedError(
            f"{label(node)}({shapes}) has float operands and the matrix unit takes int8; quantise "
            "the model first: jiriki.frontend.quantise_onnx(model, calibration)"
        )
    return first, second


def _float_bias(
    context: Context, node: onnx.NodeProto, index: int, scale: np.ndarray, factor: float = 1.0
) -> np.ndarray | None:
    """Return a float bias in steps of the accumulator's scale, int64 [o]."""
    bias = context.optional(node, index)
    if bias is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.rint(bias.reshape(-1).astype(np.float64) * factor / scale.astype(np.float64))
    if not np.isfinite(steps).all():
        raise context.unsupported(node, "a weight scale is 0", "calibrate the model again")
    return np.broadcast_to(steps, scale.shape).astype(np.int64)


@takes("Conv")
def conv(context: Context, node: onnx.NodeProto) -> None:
    """A float Conv over dequantised operands; a QuantizeLinear behind it is absorbed."""
    x, w = _operands(context, node)
    array = w.value.array
    if array is None:
        raise context.unsupported(node, "weights must be constant", "fold them first")
    weights = int8_weights(context, node, array, w.zero_point)
    if w.axis > 0:
        raise context.unsupported(node, f"weight scales along axis {w.axis}", "use axis 0")
    scale = x.scale.astype(f32) * per_output(w.scale, array.shape[0])
    bias = _float_bias(context, node, 2, scale)
    source = (context.tensor_of(x.value, f"{node.output[0]}/x"), x.param().zero_point)
    tensor = emit_conv(context, node, source, weights, bias, Epilogue(scale))
    context.bind(node, lower(context, node, tensor, array.ndim), "float32")


@takes("ConvTranspose")
def conv_transpose(context: Context, node: onnx.NodeProto) -> None:
    """A float ConvTranspose over dequantised operands."""
    x, w = _operands(context, node)
    array = w.value.array
    if array is None:
        raise context.unsupported(node, "weights must be constant", "fold them first")
    if array.ndim not in (3, 4):
        raise context.unsupported(node, f"{array.ndim - 2}-D is not taken", "use 1-D or 2-D")
    group = int_attribute(node, "group", 1)
    outputs = array.shape[1] * group
    if w.axis >= 0 and (w.axis != 1 or group != 1):
        raise context.unsupported(
            node, f"weight scales along axis {w.axis} with group {group}", "use one weight scale"
        )
    weights, w_zp = int8_weights(context, node, array, w.zero_point)
    x_zp = x.param().zero_point
    scale = x.scale.astype(f32) * per_output(w.scale, outputs)
    bias = _float_bias(context, node, 2, scale)
    check_accumulator(context, node, largest_sum(weights, w_zp, 1, x_zp), array.shape[0], bias)
    window, extra = _transpose_window(node, x.value.shape[2:], array.shape[2:])
    attrs: dict[str, Attr] = {
        "strides": window.strides,
        "pads": window.pads,
        "dilations": window.dilations,
        "group": group,
        "output_padding": extra,
        "x_zp": x_zp,
        "w_zp": w_zp,
        **Epilogue(scale).attrs(),
    }
    weights = weights if array.ndim == 4 else weights[:, :, None, :]
    tensor = lift(context, node, context.tensor_of(x.value, f"{node.output[0]}/x"))
    operands = [tensor, *_parameters(context, node, weights, bias, Epilogue(scale))]
    out = context.emit("conv_transpose", operands, attrs, node.output[0], label(node))
    context.bind(node, lower(context, node, out, array.ndim), "float32")


def _transpose_window(
    node: onnx.NodeProto, spatial: tuple[int, ...], kernel: tuple[int, ...]
) -> tuple[Window, tuple[int, int]]:
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
    window = make_window(kernel, strides, pads, dilations)
    return window, ((0, extra[0]) if rank == 1 else (extra[0], extra[1]))


@takes("MatMul")
def matmul(context: Context, node: onnx.NodeProto) -> None:
    """A float MatMul over dequantised operands."""
    a, b = _operands(context, node)
    _matmul_float(context, node, a.value, b.value, (a, b), 1.0, None)


@takes("Gemm")
def gemm(context: Context, node: onnx.NodeProto) -> None:
    """A float Gemm over dequantised operands; C must broadcast along rows."""
    quants = _operands(context, node)
    a, b = _gemm_operands(context, node, quants[0].value, quants[1].value)
    alpha = float_attribute(node, "alpha", 1.0)
    c = 2 if context.has(node, 2) else None
    _matmul_float(context, node, a, b, quants, alpha, c)


def _matmul_float(
    context: Context,
    node: onnx.NodeProto,
    a: Value,
    b: Value,
    quants: tuple[Quant, Quant],
    alpha: float,
    bias_index: int | None,
) -> None:
    left, right = quants
    outputs = _outputs_of(b)
    last = len(right.value.shape) - (2 if int_attribute(node, "transB", 0) else 1)
    if right.axis >= 0 and right.axis != last:
        raise context.unsupported(node, f"scales of b along axis {right.axis}", "use columns")
    scale = f32(alpha) * (left.scale.astype(f32) * per_output(right.scale, outputs))
    product = Product(a, b, left.param().zero_point, right.zero_point)
    bias, added = None, None
    if bias_index is not None:
        array = context.array_of(context.value(node, bias_index))
        beta = float_attribute(node, "beta", 1.0)
        if array is not None and array.size in (1, outputs) and array.shape[-1:] != ():
            bias = _float_bias(context, node, bias_index, scale, beta)
        else:
            added = context.tensor(node, bias_index)
            factor = context.add_constant(f"{node.output[0]}/beta", np.array(beta, f32))
            added = context.emit("mul", [added, factor], {}, f"{added}/beta", label(node))
    tensor = emit_matmul(context, node, product, bias, Epilogue(scale))
    if added is not None:
        tensor = context.emit("add", [tensor, added], {}, node.output[0], label(node))
    context.bind(node, tensor, "float32")


# -- a QuantizeLinear behind a float form --------------------------------------------------


def absorb_linear(context: Context, quantize: onnx.NodeProto, param: QParam) -> str | None:
    """Requantise in the epilogue of the conv or matmul behind [Relu | Clip] QuantizeLinear.

    ONNX Runtime runs such a group in float; the result is within one step (decision 0004).
    """
    lo, hi = -np.inf, np.inf
    name = quantize.input[0]
    while (producer := context.producers.get(name)) is not None:
        if producer.op_type == "Relu":
            lo = max(lo, 0.0)
        elif producer.op_type == "Clip" and len(producer.input) > 0:
            bounds = clip_bounds(context, producer)
            lo, hi = max(lo, bounds[0]), min(hi, bounds[1])
        else:
            break
        name = producer.input[0]
    tensor = context.values[name].tensor
    node = next((n for n in context.nodes if n.outputs[0] == tensor), None)
    reshaped = node is not None and node.op == "reshape"
    if node is not None and reshaped:
        node = next((n for n in context.nodes if n.outputs[0] == node.inputs[0]), None)
    if node is None or node.op not in ("conv", "conv_transpose", "matmul"):
        return None
    if node.attrs["out"] != "f32":
        return None
    out = _requantised(context, node, param, (lo, hi), quantize)
    if reshaped:
        shape = context.values[name].shape
        out = context.emit("reshape", [out], {"shape": shape}, quantize.output[0], label(quantize))
    return out


def _requantised(
    context: Context,
    node: Node,
    param: QParam,
    bounds: tuple[float, float],
    quantize: onnx.NodeProto,
) -> str:
    multiplier = context.constants[node.inputs[3]] / f32(param.scale)
    limits = np.array(bounds) / param.scale
    lo, hi = np.clip(np.rint(limits) + param.zero_point, -128, 127).astype(int)
    attrs = {
        **node.attrs,
        "out": "i8",
        "out_zp": param.zero_point,
        "lo": int(lo),
        "hi": int(hi),
    }
    scale = context.add_constant(f"{quantize.output[0]}/multiplier", multiplier.astype(f32))
    source = f"{node.source}, {label(quantize)}"
    return context.emit(node.op, [*node.inputs[:3], scale], attrs, quantize.output[0], source)


def clip_bounds(context: Context, node: onnx.NodeProto) -> tuple[float, float]:
    """Return a Clip's bounds, from inputs (opset 11 on) or attributes."""
    lo = float_attribute(node, "min", -np.inf)
    hi = float_attribute(node, "max", np.inf)
    if len(node.input) > 1:
        lo, hi = context.scalar(node, 1, lo), context.scalar(node, 2, hi)
    return lo, hi
