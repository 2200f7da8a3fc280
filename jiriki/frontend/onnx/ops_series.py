"""Sin, Cos, and sums of more than one operation: CumSum, LRN, ReduceL1, ReduceLogSum(Exp).

In: standard ONNX nodes on float32. Out: graph operations of the same meaning, in float32.
"""

from __future__ import annotations

import math

import onnx

from jiriki.frontend.onnx.context import Context, float_attribute, int_attribute
from jiriki.frontend.onnx.ops_float import finish, float_input, number, step
from jiriki.frontend.onnx.ops_move import axes_of, gathered, slice_attrs
from jiriki.frontend.onnx.registry import takes

# pi in three parts, the first two short enough that a whole multiple below 2^13 is exact
# (Cody and Waite, Software Manual for the Elementary Functions, 1980, chapter 8)
PI_PARTS = (3.140625, 9.67502593994140625e-4, 1.509957990978376432e-7)
SINE = tuple((-1) ** n / math.factorial(2 * n + 1) for n in range(1, 6))  # r^3 … r^11


@takes("Sin", "Cos")
def sine(context: Context, node: onnx.NodeProto) -> None:
    """Return sin or cos of radians: within 4e-7 of the true value for |x| <= 25,000.

    x = h * pi + r with |r| <= pi / 2, h whole for Sin and half-odd for Cos; the result is the
    Taylor polynomial of sin(r), negated for odd periods.
    """

    def apply(op: str, x: str, value: float) -> str:
        return step(context, node, op, x, number(context, node, value))

    x = float_input(context, node)
    turns = apply("mul", x, 1 / math.pi)
    if node.op_type == "Cos":
        turns = apply("add", turns, 0.5)
    period = half = step(context, node, "round", turns)
    if node.op_type == "Cos":
        half = apply("sub", period, 0.5)
    r = x
    for part in PI_PARTS:
        r = step(context, node, "sub", r, apply("mul", half, part))
    square = step(context, node, "mul", r, r)
    series = apply("mul", square, SINE[-1])
    for coefficient in reversed(SINE[:-1]):
        series = step(context, node, "mul", apply("add", series, coefficient), square)
    value = step(context, node, "add", r, step(context, node, "mul", r, series))
    pairs = step(context, node, "floor", apply("mul", period, 0.5))
    odd = step(context, node, "sub", period, apply("mul", pairs, 2.0))
    sign = step(context, node, "sub", number(context, node, 1.0), apply("mul", odd, 2.0))
    finish(context, node, step(context, node, "mul", value, sign))


@takes("CumSum")
def running_sum(context: Context, node: onnx.NodeProto) -> None:
    """Return the sums up to each element along an axis, in log2(n) shifted additions."""
    x = float_input(context, node)
    shape = context.tensors[x].shape
    axis = int(context.scalar(node, 1)) % len(shape)
    size = shape[axis]
    backwards = tuple(range(size - 1, -1, -1))
    if int_attribute(node, "reverse", 0):
        x = gathered(context, node, x, axis, backwards)
    if int_attribute(node, "exclusive", 0):
        x = _shifted(context, node, x, axis, 1)
    distance = 1
    while distance < size:
        x = step(context, node, "add", x, _shifted(context, node, x, axis, distance))
        distance *= 2
    if int_attribute(node, "reverse", 0):
        x = gathered(context, node, x, axis, backwards)
    finish(context, node, x)


def _shifted(context: Context, node: onnx.NodeProto, x: str, axis: int, by: int) -> str:
    """Return x moved up along the axis, 0 in front (down when `by` is negative, 0 behind)."""
    shape = context.tensors[x].shape
    size, width = shape[axis], abs(by)
    part = (0, size - width, 1) if by > 0 else (width, size, 1)
    overlap = step(context, node, "slice", x, **slice_attrs(shape, {axis: part}))
    pads = [0] * (2 * len(shape))
    pads[axis if by > 0 else axis + len(shape)] = width
    return step(context, node, "pad", overlap, pads=tuple(pads), mode="constant", value=0.0)


@takes("LRN")
def local_response_normalization(context: Context, node: onnx.NodeProto) -> None:
    """Return x / (bias + alpha / size * sum of squares over `size` channels) ** beta."""
    x = float_input(context, node)
    size, channels = int_attribute(node, "size", 1), context.tensors[x].shape[1]
    square = step(context, node, "mul", x, x)
    total = square
    for by in range(-(size // 2), (size - 1) // 2 + 1):  # channel c sums c - (size-1)//2 and on
        if by and abs(by) < channels:
            total = step(context, node, "add", total, _shifted(context, node, square, 1, by))
    share = number(context, node, float_attribute(node, "alpha", 1e-4) / size)
    bias = number(context, node, float_attribute(node, "bias", 1.0))
    base = step(context, node, "add", step(context, node, "mul", total, share), bias)
    root = step(context, node, "pow", base, exponent=float_attribute(node, "beta", 0.75))
    finish(context, node, step(context, node, "div", x, root))


@takes("ReduceL1", "ReduceLogSum", "ReduceLogSumExp")
def reduce_by_sum(context: Context, node: onnx.NodeProto) -> None:
    """Return sum |x|, log sum x, or log sum e^x with the maximum taken out first."""
    x = float_input(context, node)
    shape = context.tensors[x].shape
    named = axes_of(context, node, 1, len(shape))
    if not named and int_attribute(node, "noop_with_empty_axes", 0):
        raise context.unsupported(node, "no axis is reduced", "name the axes")
    axes = named or tuple(range(len(shape)))
    top = None
    if node.op_type == "ReduceL1":
        x = step(context, node, "abs", x)
    elif node.op_type == "ReduceLogSumExp":
        top = step(context, node, "reduce_max", x, axes=axes, keepdims=1)
        x = step(context, node, "exp", step(context, node, "sub", x, top))
    total = step(context, node, "reduce_sum", x, axes=axes, keepdims=1)
    if node.op_type != "ReduceL1":
        total = step(context, node, "log", total)
    if top is not None:
        total = step(context, node, "add", total, top)
    if not int_attribute(node, "keepdims", 1):
        rest = tuple(size for i, size in enumerate(shape) if i not in axes)
        total = step(context, node, "reshape", total, shape=rest)
    finish(context, node, total)
