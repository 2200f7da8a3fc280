"""float32 operations: element-wise with broadcasting, softmax, reductions.

In and out: float32 (comparisons give 0.0 or 1.0). add, sub, mul, max, min, neg, abs, relu and
clip are bit-exact per the numerics contract; the others are NumPy float32 here, and the chip may
differ by its tables' stated bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from math import erf as scalar_erf
from math import sqrt

import numpy as np

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
from jiriki.graph.tensor import DType, TensorType
from jiriki.numerics import flush

f32 = np.float32
Unary = Callable[[np.ndarray, Attrs], np.ndarray]
Binary = Callable[[np.ndarray, np.ndarray], np.ndarray]

_erf64 = np.vectorize(scalar_erf, otypes=[np.float64])


def _infer_same(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    need_dtype(types[0], "x", DType.F32)
    return (types[0],)


def _infer_broadcast(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    for index, type_ in enumerate(types):
        need_dtype(type_, f"input {index}", DType.F32)
    return (TensorType(broadcast([t.shape for t in types]), DType.F32),)


def _infer_axis(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    need_dtype(types[0], "x", DType.F32)
    rank = len(types[0].shape)
    need(0 <= integer(attrs, "axis") < rank, f"axis {attrs['axis']} is outside rank {rank}")
    return (types[0],)


def _infer_reduce(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    need_dtype(x, "x", DType.F32)
    axes = integers(attrs, "axes")
    need(all(0 <= a < len(x.shape) for a in axes), f"axes {axes} are outside rank {len(x.shape)}")
    need(len(set(axes)) == len(axes), f"axes {axes} repeat")
    keep = integer(attrs, "keepdims")
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keep or i not in axes)
    return (TensorType(shape, DType.F32),)


def _sigmoid(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    half = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + half), half / (1 + half))


def _softplus(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _erf(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    return _erf64(x).astype(f32)


def _gelu(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    wide = x.astype(np.float64)
    if text(attrs, "approximate") == "tanh":
        inner = sqrt(2 / np.pi) * (wide + 0.044715 * wide**3)
        return 0.5 * wide * (1 + np.tanh(inner))
    return 0.5 * wide * (1 + _erf64(wide / sqrt(2)))


def _hardsigmoid(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    return np.clip(x * f32(real(attrs, "alpha")) + f32(real(attrs, "beta")), 0, 1)


def _leakyrelu(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    return np.where(x >= 0, x, x * f32(real(attrs, "alpha")))


def _elu(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    return np.where(x >= 0, x, f32(real(attrs, "alpha")) * np.expm1(np.minimum(x, 0)))


def _selu(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    gamma = f32(real(attrs, "gamma"))
    return gamma * np.where(x > 0, x, f32(real(attrs, "alpha")) * np.expm1(np.minimum(x, 0)))


def _celu(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    alpha = f32(real(attrs, "alpha"))
    return np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def _thresholdedrelu(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    return np.where(x > f32(real(attrs, "alpha")), x, f32(0))


def _clip(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    return np.minimum(np.maximum(x, f32(real(attrs, "lo"))), f32(real(attrs, "hi")))


def _pow(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    return np.power(x, f32(real(attrs, "exponent")))


# name -> (attributes, function, one line)
UNARY: dict[str, tuple[dict[str, str], Unary, str]] = {
    "neg": ({}, lambda x, a: -x, "-x"),
    "abs": ({}, lambda x, a: np.abs(x), "|x|"),
    "relu": ({}, lambda x, a: np.maximum(x, 0), "max(x, 0)"),
    "exp": ({}, lambda x, a: np.exp(x), "e^x"),
    "log": ({}, lambda x, a: np.log(x), "natural logarithm"),
    "sqrt": ({}, lambda x, a: np.sqrt(x), "square root"),
    "reciprocal": ({}, lambda x, a: 1 / x, "1/x"),
    "sigmoid": ({}, _sigmoid, "1/(1+e^-x)"),
    "tanh": ({}, lambda x, a: np.tanh(x), "hyperbolic tangent"),
    "erf": ({}, _erf, "error function"),
    "silu": ({}, lambda x, a: x * _sigmoid(x, a), "x*sigmoid(x)"),
    "hardswish": (
        {},
        lambda x, a: x * np.clip(x * f32(1 / 6) + f32(0.5), 0, 1),
        "x*clip(x/6+1/2, 0, 1)",
    ),
    "softplus": ({}, _softplus, "log(1+e^x)"),
    "softsign": ({}, lambda x, a: x / (1 + np.abs(x)), "x/(1+|x|)"),
    "mish": ({}, lambda x, a: x * np.tanh(_softplus(x, a)), "x*tanh(softplus(x))"),
    "ceil": ({}, lambda x, a: np.ceil(x), "up to an integer"),
    "floor": ({}, lambda x, a: np.floor(x), "down to an integer"),
    "round": ({}, lambda x, a: np.rint(x), "nearest integer, half to even"),
    "sign": ({}, lambda x, a: np.sign(x), "-1, 0 or 1"),
    "gelu": ({"approximate": "str"}, _gelu, "x*Phi(x); approximate none or tanh"),
    "hardsigmoid": ({"alpha": "float", "beta": "float"}, _hardsigmoid, "clip(alpha*x+beta, 0, 1)"),
    "leakyrelu": ({"alpha": "float"}, _leakyrelu, "x, or alpha*x below 0"),
    "elu": ({"alpha": "float"}, _elu, "x, or alpha*(e^x-1) below 0"),
    "selu": ({"alpha": "float", "gamma": "float"}, _selu, "gamma * elu(x)"),
    "celu": ({"alpha": "float"}, _celu, "x, or alpha*(e^(x/alpha)-1) below 0"),
    "thresholdedrelu": ({"alpha": "float"}, _thresholdedrelu, "x where x > alpha, else 0"),
    "clip": ({"lo": "float", "hi": "float"}, _clip, "min(max(x, lo), hi)"),
    "pow": ({"exponent": "float"}, _pow, "x to a constant power"),
}

BINARY: dict[str, tuple[Binary, str]] = {
    "add": (lambda a, b: a + b, "a + b"),
    "sub": (lambda a, b: a - b, "a - b"),
    "mul": (lambda a, b: a * b, "a * b"),
    "div": (lambda a, b: a / b, "a / b"),
    "max": (lambda a, b: np.maximum(a, b), "the larger"),
    "min": (lambda a, b: np.minimum(a, b), "the smaller"),
    "greater": (lambda a, b: a > b, "1.0 where a > b, else 0.0"),
    "less": (lambda a, b: a < b, "1.0 where a < b, else 0.0"),
    "equal": (lambda a, b: a == b, "1.0 where a = b, else 0.0"),
    "power": (lambda a, b: np.power(a, b), "a to the power b"),
}


def _unary_op(name: str) -> Op:
    attrs, function, summary = UNARY[name]

    def reference(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
        with np.errstate(all="ignore"):
            return (flush(function(flush(arrays[0]), attrs).astype(f32)),)

    return Op(name, ("x",), attrs, _infer_same, reference, summary)


def _binary_op(name: str) -> Op:
    function, summary = BINARY[name]

    def reference(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
        with np.errstate(all="ignore"):
            return (flush(function(flush(arrays[0]), flush(arrays[1])).astype(f32)),)

    return Op(name, ("a", "b"), {}, _infer_broadcast, reference, summary)


def _where(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    condition, a, b = arrays
    return (np.where(condition != 0, a, b).astype(f32),)


def _softmax(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    axis = integer(attrs, "axis")
    e = np.exp(arrays[0] - arrays[0].max(axis=axis, keepdims=True))
    return (flush(e / e.sum(axis=axis, keepdims=True, dtype=f32)),)


def _log_softmax(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    axis = integer(attrs, "axis")
    x = arrays[0] - arrays[0].max(axis=axis, keepdims=True)
    return (flush(x - np.log(np.exp(x).sum(axis=axis, keepdims=True, dtype=f32))),)


# Sums use float64 and one rounding: order-free, within k/2 ulp of any float32 order of k terms.
_REDUCE: dict[str, Callable[[np.ndarray, tuple[int, ...], bool], np.ndarray]] = {
    "reduce_mean": lambda x, axes, keep: x.mean(axis=axes, dtype=np.float64, keepdims=keep),
    "reduce_sum": lambda x, axes, keep: x.sum(axis=axes, dtype=np.float64, keepdims=keep),
    "reduce_max": lambda x, axes, keep: x.max(axis=axes, keepdims=keep),
    "reduce_min": lambda x, axes, keep: x.min(axis=axes, keepdims=keep),
    "reduce_l2": lambda x, axes, keep: np.sqrt(
        np.square(x, dtype=np.float64).sum(axis=axes, keepdims=keep)
    ),
    "reduce_sumsq": lambda x, axes, keep: np.square(x, dtype=np.float64).sum(
        axis=axes, keepdims=keep
    ),
}


def _reduce_op(name: str) -> Op:
    function = _REDUCE[name]

    def reference(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
        axes, keep = integers(attrs, "axes"), bool(integer(attrs, "keepdims"))
        return (flush(np.asarray(function(arrays[0], axes, keep)).astype(f32)),)

    kinds = {"axes": "ints", "keepdims": "int"}
    return Op(name, ("x",), kinds, _infer_reduce, reference, f"{name[7:]} over axes")


FLOAT_OPS = (
    *(_unary_op(name) for name in UNARY),
    *(_binary_op(name) for name in BINARY),
    Op(
        "where",
        ("condition", "a", "b"),
        {},
        _infer_broadcast,
        _where,
        "a where condition is not 0, else b",
    ),
    Op("softmax", ("x",), {"axis": "int"}, _infer_axis, _softmax, "softmax along axis"),
    Op("log_softmax", ("x",), {"axis": "int"}, _infer_axis, _log_softmax, "log of softmax"),
    *(_reduce_op(name) for name in _REDUCE),
)
