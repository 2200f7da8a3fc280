"""Matrix products, and what they share with convolutions: weights, biases, epilogues.

In: QLinearMatMul, QGemm, MatMulInteger, and float Gemm, MatMul whose operands are dequantised
int8. Out: matmul nodes with int32 bias and float32 multiplier per output channel. Raises when an
accumulator could overflow int32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from jiriki.frontend.errors import NotQuantisedError
from jiriki.frontend.lower.int8_int16 import WORDS
from jiriki.frontend.onnx.context import (
    Context,
    Quant,
    Value,
    float_attribute,
    int_attribute,
    label,
)
from jiriki.frontend.onnx.ort_requant import QParam
from jiriki.frontend.onnx.registry import takes
from jiriki.graph import Attr, Node

MS = "com.microsoft"
INT32_MAX = 2**31 - 1
f32 = np.float32


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
            f"k = {k} products and the bias could reach {worst}, beyond the int32 accumulator's "
            f"{INT32_MAX}",
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


def parameters_of(
    context: Context,
    node: onnx.NodeProto,
    array: np.ndarray,
    bias: np.ndarray | None,
    epilogue: Epilogue,
) -> list[str]:
    """Store weights, bias and multiplier; return their names."""
    base = node.output[0]
    outputs = epilogue.multiplier.size
    offsets = np.zeros(outputs, np.int32) if bias is None else bias.astype(np.int32)
    return [
        context.add_constant(f"{base}/w", array),
        context.add_constant(f"{base}/bias", offsets),
        context.add_constant(f"{base}/multiplier", epilogue.multiplier.astype(f32)),
    ]


def scalar_point(context: Context, node: onnx.NodeProto, index: int, dtype: str) -> int:
    """Return an activation's zero point, shifted to int8."""
    shift = 128 if dtype == "uint8" else 0
    return int(context.scalar(node, index, 0)) - shift


def scale_of(context: Context, node: onnx.NodeProto, index: int) -> np.floating:
    """Return a per-tensor scale."""
    return f32(context.scalar(node, index))


# -- integer forms -------------------------------------------------------------------------


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
    multiplier = (scale_of(context, node, 1) * scale) / scale_of(context, node, 6)
    dtype = context.value(node, 7).dtype
    epilogue = Epilogue(multiplier, "i8", scalar_point(context, node, 7, dtype))
    product = Product(a, b, scalar_point(context, node, 2, a.dtype), context.optional(node, 5))
    context.bind(node, emit_matmul(context, node, product, None, epilogue), dtype)


@takes("MatMulInteger")
def matmul_integer(context: Context, node: onnx.NodeProto) -> None:
    """int8 in, int32 out."""
    a, b = context.value(node, 0), context.value(node, 1)
    epilogue = Epilogue(np.ones(_outputs_of(b), f32), "i32")
    product = Product(a, b, scalar_point(context, node, 2, a.dtype), context.optional(node, 3))
    context.bind(node, emit_matmul(context, node, product, None, epilogue), "int32")


@takes("MatMulIntegerToFloat", domain=MS)
def matmul_integer_to_float(context: Context, node: onnx.NodeProto) -> None:
    """int8 in, float out: what remains of MatMul with dequantised operands."""
    a, b = context.value(node, 0), context.value(node, 1)
    scale = per_output(context.constant(node, 3), _outputs_of(b))
    epilogue = Epilogue(scale_of(context, node, 2) * scale)
    a_zp = scalar_point(context, node, 4, a.dtype)
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
    multiplier = alpha * scale_of(context, node, 1) * scale
    bias = context.optional(node, 6)
    offsets = None if bias is None else np.broadcast_to(bias.reshape(-1), (scale.size,))
    a_zp = scalar_point(context, node, 2, a.dtype)
    product = Product(a, b, a_zp, context.optional(node, 5))
    epilogue, dtype = Epilogue(multiplier), "float32"
    if context.has(node, 7):
        dtype = context.value(node, 8).dtype
        out_zp = scalar_point(context, node, 8, dtype)
        epilogue = Epilogue(multiplier / scale_of(context, node, 7), "i8", out_zp)
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


def operands_of(context: Context, node: onnx.NodeProto) -> tuple[Quant, Quant]:
    """Return both operands' int8 tensors.

    Raises NotQuantisedError when one is float, UnsupportedOperatorError when one has 16 bits.
    """
    quants = [context.value(node, i).quant for i in (0, 1)]
    first, second = quants
    for name in node.input[:2]:
        if wide := _wide_type(context, name):
            raise context.unsupported(
                node,
                f"its operand {name} is {wide} and the matrix unit takes 8 bits",
                "quantise the float model with 8-bit activations and weights, as "
                "jiriki.frontend.quantise_onnx(model, calibration) does",
            )
    if first is None or second is None or first.axis >= 0:
        shapes = ", ".join(str(list(context.value(node, i).shape)) for i in (0, 1))
        raise NotQuantisedError(
            f"{label(node)}({shapes}) has float operands and the matrix unit takes int8; quantise "
            "the model first: jiriki.frontend.quantise_onnx(model, calibration)"
        )
    return first, second


def _wide_type(context: Context, name: str) -> str:
    """Return the 16-bit type that a tensor was dequantised from, or nothing."""
    producer = context.producers.get(name)
    if producer is None or producer.op_type != "DequantizeLinear":
        return ""
    dtype = context.value(producer, 0).dtype
    return dtype if dtype in WORDS else ""


def float_bias(
    context: Context, node: onnx.NodeProto, index: int, scale: np.ndarray, factor: float = 1.0
) -> np.ndarray | None:
    """Return a float bias in steps of the accumulator's scale, int64 [o]."""
    bias = context.optional(node, index)
    if bias is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.rint(bias.reshape(-1).astype(np.float64) * factor / scale.astype(np.float64))
    largest = np.abs(steps).max(initial=0)
    if not largest <= INT32_MAX:  # NaN included
        raise context.unsupported(
            node,
            f"a bias is {largest:.3g} steps of the accumulator's scale x_scale * w_scale, beyond "
            f"int32's {INT32_MAX}",
            "raise the scale of that channel's weights, or quantise the model again",
        )
    return np.broadcast_to(steps, scale.shape).astype(np.int64)


@takes("MatMul")
def matmul(context: Context, node: onnx.NodeProto) -> None:
    """A float MatMul over dequantised operands."""
    a, b = operands_of(context, node)
    _matmul_float(context, node, a.value, b.value, (a, b), 1.0, None)


@takes("Gemm")
def gemm(context: Context, node: onnx.NodeProto) -> None:
    """A float Gemm over dequantised operands; C must broadcast along rows."""
    quants = operands_of(context, node)
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
            bias = float_bias(context, node, bias_index, scale, beta)
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
        clamp = _clamp_of(context, producer)
        if clamp is None:
            break
        # This clamp comes before those seen so far: they are applied to its bounds.
        lo, hi = (min(max(bound, lo), hi) for bound in clamp)
        name = producer.input[0]
    producers = {node.outputs[0]: node for node in context.nodes}
    node = producers.get(context.values[name].tensor or "")
    moves: list[Node] = []
    while node is not None and node.op in ("reshape", "transpose"):
        moves.append(node)
        node = producers.get(node.inputs[0])
    if node is None or node.op not in ("conv", "conv_transpose", "matmul"):
        return None
    if node.attrs["out"] != "f32":
        return None
    out = _requantised(context, node, param, (lo, hi), quantize)
    for move in reversed(moves):
        out = context.emit(move.op, [out], move.attrs, quantize.output[0], label(quantize))
    return out


def _clamp_of(context: Context, node: onnx.NodeProto) -> tuple[float, float] | None:
    """Return the bounds of a Relu or a Clip of constant bounds: the upper one wins; else None."""
    if node.op_type == "Relu":
        return 0.0, np.inf
    if node.op_type != "Clip" or any(
        context.array_of(context.value(node, i)) is None
        for i in range(1, len(node.input))
        if node.input[i]
    ):
        return None
    lo, hi = clip_bounds(context, node)
    return min(lo, hi), hi


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
