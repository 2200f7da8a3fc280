"""float32 operators: element-wise, comparisons, softmax, reductions, normalisations.

In: standard ONNX nodes. Out: graph operations of the same meaning; what has no operation of its
own (PRelu, Mean, LayerNormalization, ...) is rewritten into ones that do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from jiriki.frontend.lower.int8_int16 import WORDS, WRAPPING
from jiriki.frontend.onnx.context import (
    Context,
    Value,
    float_attribute,
    int_attribute,
    label,
    text_attribute,
)
from jiriki.frontend.onnx.ops_linear import clip_bounds
from jiriki.frontend.onnx.ops_move import axes_of
from jiriki.frontend.onnx.ops_resize import truncate
from jiriki.frontend.onnx.registry import takes
from jiriki.frontend.onnx.small_integers import bind_whole, is_small, whole_operands, wrapping
from jiriki.graph import Attr

f32 = np.float32


def number(context: Context, node: onnx.NodeProto, value: float) -> str:
    """Return a float32 scalar constant."""
    return context.add_constant(f"{node.output[0]}/constant", np.array(value, f32))


def step(context: Context, node: onnx.NodeProto, op: str, *inputs: str, **attrs: Attr) -> str:
    """Emit an intermediate operation of the node."""
    return context.emit(op, list(inputs), attrs, f"{node.output[0]}/{op}", label(node))


def finish(context: Context, node: onnx.NodeProto, tensor: str, dtype: str = "float32") -> None:
    """Bind the node's output to a tensor already emitted."""
    context.bind(node, tensor, dtype)


def float_input(context: Context, node: onnx.NodeProto, index: int = 0) -> str:
    """Return input `index` as float32, refusing integer arithmetic."""
    dtype = context.value(node, index).dtype
    if dtype not in ("float32", "float16", "bool"):
        raise context.unsupported(
            node, f"arithmetic on {dtype} activations is not taken", "cast to float32 first"
        )
    return context.tensor(node, index)


# ONNX operator -> (graph op, {attribute: (ONNX attribute, default)})
_UNARY: dict[str, tuple[str, dict[str, tuple[str, float]]]] = {
    "Neg": ("neg", {}),
    "Abs": ("abs", {}),
    "Relu": ("relu", {}),
    "Exp": ("exp", {}),
    "Log": ("log", {}),
    "Sqrt": ("sqrt", {}),
    "Reciprocal": ("reciprocal", {}),
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "Erf": ("erf", {}),
    "HardSwish": ("hardswish", {}),
    "Softplus": ("softplus", {}),
    "Softsign": ("softsign", {}),
    "Mish": ("mish", {}),
    "Ceil": ("ceil", {}),
    "Floor": ("floor", {}),
    "Round": ("round", {}),
    "Sign": ("sign", {}),
    "HardSigmoid": ("hardsigmoid", {"alpha": ("alpha", 0.2), "beta": ("beta", 0.5)}),
    "LeakyRelu": ("leakyrelu", {"alpha": ("alpha", 0.01)}),
    "Elu": ("elu", {"alpha": ("alpha", 1.0)}),
    "Celu": ("celu", {"alpha": ("alpha", 1.0)}),
    "Selu": ("selu", {"alpha": ("alpha", 1.6732632), "gamma": ("gamma", 1.0507010)}),
    "ThresholdedRelu": ("thresholdedrelu", {"alpha": ("alpha", 1.0)}),
}


def _unary(context: Context, node: onnx.NodeProto) -> None:
    """One function of each element, its parameters read from the node's attributes."""
    op, attributes = _UNARY[node.op_type]
    attrs: dict[str, Attr] = {
        key: float_attribute(node, name, default) for key, (name, default) in attributes.items()
    }
    context.result(node, op, [float_input(context, node)], attrs)


takes(*_UNARY)(_unary)


@takes("Gelu")
@takes("Gelu", domain="com.microsoft")
def gelu(context: Context, node: onnx.NodeProto) -> None:
    """Exact or tanh form."""
    form = text_attribute(node, "approximate", "none")
    context.result(node, "gelu", [float_input(context, node)], {"approximate": form})


@takes("Swish")
@takes("QuickGelu", domain="com.microsoft")
def swish(context: Context, node: onnx.NodeProto) -> None:
    """x * sigmoid(alpha * x)."""
    x = float_input(context, node)
    alpha = float_attribute(node, "alpha", 1.0 if node.op_type == "Swish" else 1.702)
    if alpha == 1.0:
        finish(context, node, step(context, node, "silu", x))
        return
    scaled = step(context, node, "mul", x, number(context, node, alpha))
    gate = step(context, node, "sigmoid", scaled)
    finish(context, node, step(context, node, "mul", x, gate))


def _is_stored(context: Context, node: onnx.NodeProto, index: int) -> bool:
    return context.array_of(context.value(node, index)) is not None


def _clip_between(context: Context, node: onnx.NodeProto) -> None:
    """min(max(x, low), high) with a bound that the network computes."""
    tensor = float_input(context, node)
    for index, op in ((1, "max"), (2, "min")):
        if context.has(node, index):
            bound = step(context, node, "reshape", float_input(context, node, index), shape=())
            tensor = step(context, node, op, tensor, bound)
    finish(context, node, tensor)


@takes("Clip")
def clip(context: Context, node: onnx.NodeProto) -> None:
    """Bounds that are constants, or computed."""
    x = context.value(node, 0)
    computed = [i for i in (1, 2) if context.has(node, i) and not _is_stored(context, node, i)]
    if computed:
        _clip_between(context, node)
        return
    lo, hi = clip_bounds(context, node)
    if x.dtype in ("int8", "uint8"):
        levels = np.clip(np.arange(-128, 128), lo - x.shift, hi - x.shift).astype(np.int8)
        table = context.add_constant(f"{node.output[0]}/table", levels)
        context.result(node, "lut", [context.tensor(node, 0), table], {}, x.dtype)
        return
    context.result(node, "clip", [float_input(context, node)], {"lo": lo, "hi": hi})


@takes("Pow")
def power(context: Context, node: onnx.NodeProto) -> None:
    """A float base; of one constant exponent, small integers and halves become mul and sqrt."""
    x = float_input(context, node)
    stored = context.array_of(context.value(node, 1))
    if stored is None:
        context.result(node, "power", [x, float_input(context, node, 1)], {})
        return
    exponents = _float_exponents(context, node, stored)
    exponent = float(exponents.reshape(-1)[0])
    if exponents.size != 1 or exponents.ndim > len(context.tensors[x].shape):
        constant = context.add_constant(f"{node.output[0]}/exponents", exponents)
        context.result(node, "power", [x, constant], {})
    elif exponent == 2:
        finish(context, node, step(context, node, "mul", x, x))
    elif exponent == 3:
        finish(context, node, step(context, node, "mul", step(context, node, "mul", x, x), x))
    elif exponent == 0.5:
        finish(context, node, step(context, node, "sqrt", x))
    else:
        finish(context, node, step(context, node, "pow", x, exponent=exponent))


def _float_exponents(context: Context, node: onnx.NodeProto, array: np.ndarray) -> np.ndarray:
    """Return constant exponents as float32, which must hold integers exactly: parity counts."""
    exponents = array.astype(f32)
    if array.dtype.kind in "iu" and any(
        int(e) != int(a) for e, a in zip(exponents.flat, array.flat, strict=True)
    ):
        raise context.unsupported(
            node, "an integer exponent is not exact in float32", "use exponents below 2^24"
        )
    return exponents


_BINARY = {
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Greater": "greater",
    "Less": "less",
    "Equal": "equal",
}


def _binary(context: Context, node: onnx.NodeProto) -> None:
    """Arithmetic on two floats, or a comparison, with broadcasting."""
    if node.op_type in ("Greater", "Less", "Equal"):
        context.result(node, _BINARY[node.op_type], compared(context, node), {}, "bool")
        return
    if node.op_type in WRAPPING and is_small(context, node):
        wrapping(context, node)
        return
    inputs = [float_input(context, node, i) for i in (0, 1)]
    context.result(node, _BINARY[node.op_type], inputs, {})


takes(*_BINARY)(_binary)


def compared(context: Context, node: onnx.NodeProto) -> list[str]:
    """Return both operands as float32, for a comparison.

    8- and 16-bit integers are exact. An int32 operand against constants below 2^24 compares the
    same after conversion, because rounding keeps order and leaves those constants alone.
    """
    values = [context.value(node, i) for i in (0, 1)]
    if is_small(context, node):
        return whole_operands(context, node)
    if all(value.dtype not in ("int32", "int64") for value in values):
        return [float_input(context, node, i) for i in (0, 1)]
    if not any(v.array is not None and np.abs(v.array).max(initial=0) < 2**24 for v in values):
        raise context.unsupported(
            node, "comparing integers that may exceed 2^24 is not taken", "cast to float32 first"
        )
    out = []
    for index, value in enumerate(values):
        if value.array is not None:
            out.append(context.add_constant(f"{node.output[0]}/c", value.array.astype(f32)))
        else:
            out.append(step(context, node, "cast", context.tensor(node, index), to="f32"))
    return out


@takes("GreaterOrEqual", "LessOrEqual")
def or_equal(context: Context, node: onnx.NodeProto) -> None:
    """a >= b as max(a > b, a = b), so that NaN gives 0."""
    a, b = compared(context, node)
    strict = "greater" if node.op_type == "GreaterOrEqual" else "less"
    parts = step(context, node, strict, a, b), step(context, node, "equal", a, b)
    finish(context, node, step(context, node, "max", *parts), "bool")


@takes("Not")
def logical_not(context: Context, node: onnx.NodeProto) -> None:
    """1 - x."""
    true = number(context, node, 1.0)
    finish(context, node, step(context, node, "sub", true, float_input(context, node)), "bool")


@takes("And", "Or")
def logical(context: Context, node: onnx.NodeProto) -> None:
    """min or max of 0 and 1."""
    op = "min" if node.op_type == "And" else "max"
    inputs = [float_input(context, node, i) for i in (0, 1)]
    finish(context, node, step(context, node, op, *inputs), "bool")


@takes("Where")
def where(context: Context, node: onnx.NodeProto) -> None:
    """Select by a 0/1 condition."""
    inputs = [context.tensor(node, 0), float_input(context, node, 1), float_input(context, node, 2)]
    context.result(node, "where", inputs, {})


def _folded(context: Context, node: onnx.NodeProto, op: str, inputs: Sequence[str]) -> str:
    total = inputs[0]
    for other in inputs[1:]:
        total = step(context, node, op, total, other)
    return total


@takes("Sum", "Max", "Min", "Mean")
def variadic(context: Context, node: onnx.NodeProto) -> None:
    """Any number of inputs, left to right; the extremes of small integers are exact."""
    small = node.op_type in ("Max", "Min") and is_small(context, node) and len(node.input) > 1
    if small:
        inputs = whole_operands(context, node)
    else:
        inputs = [float_input(context, node, i) for i in range(len(node.input))]
    op = {"Sum": "add", "Mean": "add", "Max": "max", "Min": "min"}[node.op_type]
    total = _folded(context, node, op, inputs)
    if node.op_type == "Mean":
        total = step(context, node, "mul", total, number(context, node, 1 / len(inputs)))
    if total == inputs[0]:  # one input: nothing was emitted
        context.values[node.output[0]] = context.value(node, 0)
    elif small:
        bind_whole(context, node, total)
    else:
        finish(context, node, total)


@takes("PRelu")
def prelu(context: Context, node: onnx.NodeProto) -> None:
    """max(x, 0) + slope * min(x, 0): one of the terms is zero, so the sum is exact."""
    x, slope = float_input(context, node, 0), float_input(context, node, 1)
    zero = number(context, node, 0.0)
    below = step(context, node, "mul", step(context, node, "min", x, zero), slope)
    above = step(context, node, "max", x, zero)
    finish(context, node, step(context, node, "add", above, below))


@dataclass(frozen=True)
class Moments:
    """A normalised tensor with the mean and 1/deviation that made it so."""

    result: str
    mean: str
    inverse: str


def _normalised(
    context: Context, node: onnx.NodeProto, x: str, axes: tuple[int, ...], epsilon: float
) -> Moments:
    """(x - mean) * 1 / sqrt(variance + epsilon) over axes."""
    mean = step(context, node, "reduce_mean", x, axes=axes, keepdims=1)
    centred = step(context, node, "sub", x, mean)
    square = step(context, node, "mul", centred, centred)
    variance = step(context, node, "reduce_mean", square, axes=axes, keepdims=1)
    spread = step(context, node, "add", variance, number(context, node, epsilon))
    inverse = step(context, node, "reciprocal", step(context, node, "sqrt", spread))
    return Moments(step(context, node, "mul", centred, inverse), mean, inverse)


@takes("LayerNormalization")
def layer_normalization(context: Context, node: onnx.NodeProto) -> None:
    """Normalise the axes from `axis` on; the mean and 1/deviation are optional outputs."""
    x = float_input(context, node)
    rank = len(context.tensors[x].shape)
    axes = tuple(range(int_attribute(node, "axis", -1) % rank, rank))
    moments = _normalised(context, node, x, axes, float_attribute(node, "epsilon", 1e-5))
    out = step(context, node, "mul", moments.result, float_input(context, node, 1))
    if context.has(node, 2):
        out = step(context, node, "add", out, float_input(context, node, 2))
    finish(context, node, out)
    for index, tensor in ((1, moments.mean), (2, moments.inverse)):
        if index < len(node.output) and node.output[index]:
            context.bind(node, tensor, "float32", index)


@takes("InstanceNormalization")
def instance_normalization(context: Context, node: onnx.NodeProto) -> None:
    """Normalise each image and channel over its spatial axes."""
    x = float_input(context, node)
    rank = len(context.tensors[x].shape)
    epsilon = float_attribute(node, "epsilon", 1e-5)
    out = _normalised(context, node, x, tuple(range(2, rank)), epsilon).result
    shape = (-1, *[1] * (rank - 2))
    for index, op in ((1, "mul"), (2, "add")):
        array = context.constant(node, index).astype(f32).reshape(shape)
        constant = context.add_constant(f"{node.output[0]}/{op}", array)
        out = step(context, node, op, out, constant)
    finish(context, node, out)


@takes("Softmax", "LogSoftmax")
def softmax(context: Context, node: onnx.NodeProto) -> None:
    """Along one axis; before opset 13 over all axes from `axis` on."""
    x = float_input(context, node)
    shape = context.tensors[x].shape
    op = "softmax" if node.op_type == "Softmax" else "log_softmax"
    if context.opset >= 13:
        axis = int_attribute(node, "axis", -1) % len(shape)
        context.result(node, op, [x], {"axis": axis})
        return
    axis = int_attribute(node, "axis", 1) % len(shape)
    flat = (int(np.prod(shape[:axis])), int(np.prod(shape[axis:])))
    out = step(context, node, op, step(context, node, "reshape", x, shape=flat), axis=1)
    finish(context, node, step(context, node, "reshape", out, shape=shape))


_REDUCE = {
    "ReduceMean": "reduce_mean",
    "ReduceSum": "reduce_sum",
    "ReduceMax": "reduce_max",
    "ReduceMin": "reduce_min",
    "ReduceL2": "reduce_l2",
    "ReduceSumSquare": "reduce_sumsq",
}


def _reduce(context: Context, node: onnx.NodeProto) -> None:
    """Reduce over the axes named, or all; the extremes of bytes are taken in float, exactly."""
    value = context.value(node, 0)
    rank = len(value.shape)
    axes = axes_of(context, node, 1, rank)
    if not axes and int_attribute(node, "noop_with_empty_axes", 0):
        context.values[node.output[0]] = value
        return
    attrs: dict[str, Attr] = {
        "axes": axes or tuple(range(rank)),
        "keepdims": int_attribute(node, "keepdims", 1),
    }
    op = _REDUCE[node.op_type]
    if value.dtype in ("int8", "uint8") and op in ("reduce_max", "reduce_min"):
        wide = step(context, node, "cast", context.tensor(node, 0), to="f32")
        reduced = step(context, node, op, wide, **attrs)
        finish(context, node, step(context, node, "cast", reduced, to="i8"), value.dtype)
        return
    context.result(node, op, [float_input(context, node)], attrs)


takes(*_REDUCE)(_reduce)


@takes("Cast")
def cast(context: Context, node: onnx.NodeProto) -> None:
    """Between float, int32, int8 and bool, and from 16 bits; float to integer truncates."""
    x = context.value(node, 0)
    to = onnx.helper.tensor_dtype_to_np_dtype(int_attribute(node, "to", 0)).name
    if x.array is not None:
        context.values[node.output[0]] = _cast_constant(x.array, to)
        return
    tensor = context.tensor(node, 0)
    floats = ("float32", "bool", *WORDS)
    if to == x.dtype or (to == "float32" and x.dtype in floats):
        finish(context, node, tensor, to)
    elif to == "float16" and x.dtype == "float32":  # an output: the loader widened all inside
        finish(context, node, tensor, x.dtype)
    elif to == "float32" and x.dtype in ("int8", "int32"):
        finish(context, node, step(context, node, "cast", tensor, to="f32"))
    elif to == "float32" and x.dtype == "uint8":
        wide = step(context, node, "cast", tensor, to="f32")
        finish(context, node, step(context, node, "add", wide, number(context, node, 128.0)))
    elif to == "int32" and x.dtype in floats:
        whole = truncate(context, tensor, label(node))
        finish(context, node, step(context, node, "cast", whole, to="i32"), to)
    elif to == "bool" and x.dtype == "float32":
        zero = step(context, node, "equal", tensor, number(context, node, 0.0))
        finish(context, node, step(context, node, "sub", number(context, node, 1.0), zero), to)
    else:
        raise context.unsupported(
            node, f"cast from {x.dtype} to {to} is not taken", "use float32, int32, int8 or bool"
        )


def _cast_constant(array: np.ndarray, to: str) -> Value:
    return Value(to, array.shape, array=array.astype(to))
