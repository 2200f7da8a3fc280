"""float32 functions and element-wise operations as expressions of the vector unit.

In: the op table's float nodes. Out: maps (`vector_ops`). Where the reference is exact (add, mul,
max, comparisons, relu, clip, hardswish, leakyrelu, ...) so is this. The others are compositions of
EXP2, LOG2, RECIP, RSQRT and segment tables; `TOLERANCE` states, per operation, the largest error
against the correctly rounded value as (relative, absolute) for finite arguments, outside results
that are subnormal. They are measured by tests/tiling/test_vector_f32.py.

Cancellation is avoided by form rather than by precision: tanh and erf are x * g(|x|) with g from a
table, e^x reduces its argument in two exact steps, gelu takes its tail from e^(-x^2/2) * r(|x|).
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from jiriki.graph.graph import Node
from jiriki.isa.words import MicroOp
from jiriki.numerics import SegmentTable
from jiriki.tiling.builder import Builder
from jiriki.tiling.vector.elementwise import plan_node_map
from jiriki.tiling.vector.expression import (
    Ex,
    at_least,
    binary,
    greater,
    maximum,
    minimum,
    select,
    source,
    table,
    unary,
)
from jiriki.tiling.vector.int8 import number

LOG2_E, LN_2 = float(np.float32(1 / math.log(2))), float(np.float32(math.log(2)))
LN_2_HIGH = 0.693145751953125  # 15 bits: products with integers up to 2^8 are exact
LN_2_LOW = math.log(2) - LN_2_HIGH

TOLERANCE: dict[str, tuple[float, float]] = {
    "exp": (1.5e-7, 0), "log": (2e-7, 0), "sqrt": (1.5e-7, 0), "reciprocal": (1e-7, 0),
    "div": (2e-7, 0), "sigmoid": (3e-7, 0), "silu": (3e-7, 0), "tanh": (4e-7, 0),
    "erf": (2.5e-7, 0), "gelu": (1e-6, 1e-12), "elu": (3e-7, 0), "selu": (3e-7, 0),
    "celu": (3e-7, 0), "softplus": (3e-7, 0), "softsign": (2.5e-7, 0), "mish": (5e-7, 0),
    "pow": (1e-5, 0),  # grows with |exponent * log2 x|: 5e-8 each
    "power": (1e-5, 0),  # like pow
}  # fmt: skip


# -- tables --------------------------------------------------------------------------------


@cache
def _tanh_ratio() -> SegmentTable:
    """tanh(x) / x on [0, 8)."""
    return SegmentTable.fit(lambda x: math.tanh(x) / x if x else 1.0, 0.0, 8.0)


@cache
def _erf_ratio() -> SegmentTable:
    """erf(x) / x on [0, 4)."""
    return SegmentTable.fit(lambda x: math.erf(x) / x if x else 2 / math.sqrt(math.pi), 0.0, 4.0)


@cache
def _log1p_ratio() -> SegmentTable:
    """log(1 + x) / x on [-1/4, 1/4)."""
    return SegmentTable.fit(lambda x: math.log1p(x) / x if x else 1.0, -0.25, 0.25)


@cache
def _log1p_unit_ratio() -> SegmentTable:
    """log(1 + x) / x on [0, 1); 1 gives ln 2."""
    return SegmentTable.fit(lambda x: math.log1p(x) / x if x else 1.0, 0.0, 1.0)


@cache
def _expm1_ratio() -> SegmentTable:
    """(e^x - 1) / x on [-1, 0)."""
    return SegmentTable.fit(lambda x: math.expm1(x) / x if x else 1.0, -1.0, 0.0)


@cache
def _tail_ratio() -> SegmentTable:
    """Upper tail of the normal distribution over e^(-x^2/2), on [0, 8)."""

    def ratio(x: float) -> float:
        return math.erfc(x / math.sqrt(2)) / 2 * math.exp(x * x / 2)

    return SegmentTable.fit(ratio, 0.0, 8.0)


# -- functions -----------------------------------------------------------------------------


def exp2_of(x: Ex) -> Ex:
    return unary(MicroOp.EXP2, x)


def recip(x: Ex) -> Ex:
    return unary(MicroOp.RECIP, x)


def absolute(x: Ex) -> Ex:
    return unary(MicroOp.ABS, x)


def quick_exp(x: Ex) -> Ex:
    """e^x within 1e-7 * (1 + |x|)."""
    return exp2_of(x * LOG2_E)


def exp(x: Ex) -> Ex:
    """e^x = 2^n * e^r with n an integer and r = x - n ln 2 taken off in two parts."""
    n = minimum(maximum(unary(MicroOp.RND, x * LOG2_E), -126.0), 127.0)
    r = n * -LN_2_LOW + (n * -LN_2_HIGH + x)
    return exp2_of(r * LOG2_E) * exp2_of(n)


def log(x: Ex) -> Ex:
    """ln x: from LOG2, and near 1 as u * (log(1 + u) / u)."""
    u = x - 1.0
    near = u * table(u, _log1p_ratio())
    return select(greater(0.25, absolute(x - 1.0)), near, unary(MicroOp.LOG2, x) * LN_2)


def sqrt(x: Ex) -> Ex:
    return recip(unary(MicroOp.RSQRT, x))


def sigmoid(x: Ex) -> Ex:
    """1 / (1 + e^-|x|), times e^-|x| for negative x."""
    e = exp(-absolute(x))
    return select(at_least(x, 0.0), 1.0, e) * recip(e + 1.0)


def tanh(x: Ex) -> Ex:
    inside = minimum(maximum(x, -8.0), 8.0)
    return inside * table(absolute(inside), _tanh_ratio())


def erf(x: Ex) -> Ex:
    inside = minimum(maximum(x, -4.0), 4.0)
    return inside * table(absolute(inside), _erf_ratio())


def gelu(x: Ex) -> Ex:
    """max(x, 0) - |x| * tail(|x|): no cancellation on the negative side."""
    u = minimum(absolute(x), 64.0)  # finite, so that an infinite x leaves no infinity times 0
    tail = u * table(u, _tail_ratio()) * exp((x * x) * -0.5)
    return maximum(x, 0.0) - tail


def gelu_tanh(x: Ex) -> Ex:
    """x * sigmoid(2z), since (1 + tanh z) / 2 = sigmoid(2z)."""
    factor = 2 * math.sqrt(2 / math.pi)
    inner = (x * x) * (0.044715 * factor) + factor
    return x * sigmoid(inner * x)


def expm1_negative(x: Ex) -> Ex:
    """e^x - 1 for x <= 0."""
    near = x * table(x, _expm1_ratio())
    return select(greater(x, -1.0), near, quick_exp(x) - 1.0)


def softplus(x: Ex) -> Ex:
    e = exp(-absolute(x))
    return maximum(x, 0.0) + e * table(e, _log1p_unit_ratio())


def mish(x: Ex) -> Ex:
    """x * tanh(softplus(x)) with e = e^-|x|: tanh(log(1 + e^x)) as a ratio of polynomials in e."""
    e = exp(-absolute(x))
    positive = at_least(x, 0.0)
    above = select(positive, e * 2.0 + 1.0, (e + 2.0) * e)
    below = select(positive, e * e, 1.0) * 2.0 + above
    return x * (above * recip(below))


def sign(x: Ex) -> Ex:
    """Scale so that the smallest normal number reaches 1, then clamp."""
    return minimum(maximum(x * 2.0**126, -1.0), 1.0)


def less(a: Ex | float, b: Ex | float) -> Ex:
    return greater(b, a)


def _elu(x: Ex, alpha: float) -> Ex:
    return select(at_least(x, 0.0), x, expm1_negative(minimum(x, 0.0)) * alpha)


def _selu(x: Ex, node: Node) -> Ex:
    inner = expm1_negative(minimum(x, 0.0)) * number(node, "alpha")
    return select(greater(x, 0.0), x, inner) * number(node, "gamma")


def _celu(x: Ex, alpha: float) -> Ex:
    scaled = minimum(x, 0.0) * float(np.float32(1 / alpha))
    return select(at_least(x, 0.0), x, expm1_negative(scaled) * alpha)


def _leakyrelu(x: Ex, alpha: float) -> Ex:
    return select(less(x, 0.0), x * alpha, x)


def _hardsigmoid(x: Ex, alpha: float, beta: float) -> Ex:
    return minimum(maximum(x * alpha + beta, 0.0), 1.0)


def power(x: Ex, exponent: float) -> Ex:
    """x^exponent: by multiplication for small whole exponents, else 2^(p log2 |x|)."""
    special: dict[float, Callable[[], Ex]] = {
        0.0: lambda: x * 0.0 * 0.0 + 1.0, 1.0: lambda: x + 0.0, 2.0: lambda: x * x,
        3.0: lambda: x * x * x, -1.0: lambda: recip(x), 0.5: lambda: sqrt(x),
        -0.5: lambda: unary(MicroOp.RSQRT, x), -2.0: lambda: recip(x * x),
    }  # fmt: skip
    if exponent in special:
        return special[exponent]()
    whole = float(exponent).is_integer()
    base = absolute(x) if whole else x
    value = exp2_of(unary(MicroOp.LOG2, base) * exponent)
    if whole and exponent % 2:
        return value * select(less(x, 0.0), -1.0, 1.0)
    return value


def tensor_power(a: Ex, b: Ex) -> Ex:
    """a^b = 2^(b log2 |a|), negative for a negative base and an odd b.

    As NumPy has it: NaN for a negative base and a b that is not whole; a^0 = 1^b = 1. Only minus
    infinity to a power that is not whole differs: NaN, where NumPy forgets the sign.
    """
    whole = binary(MicroOp.EQ, unary(MicroOp.FLOOR, b), b)
    base = select(whole, absolute(a), a)
    always_one = maximum(binary(MicroOp.EQ, b, 0.0), binary(MicroOp.EQ, base, 1.0))
    value = select(always_one, 1.0, exp2_of(b * unary(MicroOp.LOG2, base)))
    half = b * 0.5
    odd = binary(MicroOp.EQ, half - unary(MicroOp.FLOOR, half), 0.5)
    negative = less(minimum(a, recip(a)), 0.0)  # the reciprocal tells -0 from 0
    return value * select(odd * negative, -1.0, 1.0)


# -- op table ------------------------------------------------------------------------------

UNARY: dict[str, Callable[[Ex, Node], Ex]] = {
    "neg": lambda x, n: -x,
    "abs": lambda x, n: absolute(x),
    "relu": lambda x, n: maximum(x, 0.0),
    "exp": lambda x, n: exp(x),
    "log": lambda x, n: log(x),
    "sqrt": lambda x, n: sqrt(x),
    "reciprocal": lambda x, n: recip(x),
    "sigmoid": lambda x, n: sigmoid(x),
    "tanh": lambda x, n: tanh(x),
    "erf": lambda x, n: erf(x),
    "silu": lambda x, n: x * sigmoid(x),
    "hardswish": lambda x, n: x * _hardsigmoid(x, float(np.float32(1 / 6)), 0.5),
    "softplus": lambda x, n: softplus(x),
    "softsign": lambda x, n: x * recip(absolute(x) + 1.0),
    "mish": lambda x, n: mish(x),
    "ceil": lambda x, n: -unary(MicroOp.FLOOR, -x),
    "floor": lambda x, n: unary(MicroOp.FLOOR, x),
    "round": lambda x, n: unary(MicroOp.RND, x),
    "sign": lambda x, n: sign(x),
    "gelu": lambda x, n: gelu_tanh(x) if n.attrs["approximate"] == "tanh" else gelu(x),
    "hardsigmoid": lambda x, n: _hardsigmoid(x, number(n, "alpha"), number(n, "beta")),
    "leakyrelu": lambda x, n: _leakyrelu(x, number(n, "alpha")),
    "elu": lambda x, n: _elu(x, number(n, "alpha")),
    "selu": _selu,
    "celu": lambda x, n: _celu(x, number(n, "alpha")),
    "thresholdedrelu": lambda x, n: select(greater(x, number(n, "alpha")), x, 0.0),
    "clip": lambda x, n: minimum(maximum(x, number(n, "lo")), number(n, "hi")),
    "pow": lambda x, n: power(x, number(n, "exponent")),
}

BINARY: dict[str, Callable[[Ex, Ex], Ex]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a * recip(b),
    "max": maximum,
    "min": minimum,
    "greater": greater,
    "less": less,
    "equal": lambda a, b: binary(MicroOp.EQ, a, b),
    "power": tensor_power,
}


def _plan_unary(b: Builder, node: Node) -> None:
    plan_node_map(b, node, UNARY[node.op](source(0), node))


def _plan_binary(b: Builder, node: Node) -> None:
    plan_node_map(b, node, BINARY[node.op](source(0), source(1)))


def _plan_where(b: Builder, node: Node) -> None:
    plan_node_map(b, node, select(source(0), source(1), source(2)))


PLANNERS = {
    **dict.fromkeys(UNARY, _plan_unary),
    **dict.fromkeys(BINARY, _plan_binary),
    "where": _plan_where,
}
