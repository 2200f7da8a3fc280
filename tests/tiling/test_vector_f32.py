"""float32 planners: exact where the contract says so, else within `TOLERANCE` of float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from jiriki.tiling.vector.f32 import BINARY, TOLERANCE, UNARY
from tests.tiling.cases import f32
from tests.tiling.harness import reference, run_node

ATTRS: dict[str, dict[str, object]] = {
    "gelu": {"approximate": "none"}, "hardsigmoid": {"alpha": 0.2, "beta": 0.5},
    "leakyrelu": {"alpha": 0.1}, "elu": {"alpha": 1.3}, "celu": {"alpha": 0.7},
    "selu": {"alpha": 1.6733, "gamma": 1.0507}, "thresholdedrelu": {"alpha": 0.4},
    "clip": {"lo": -1.0, "hi": 2.5}, "pow": {"exponent": 2.3},
}  # fmt: skip
POSITIVE = ("log", "sqrt", "pow")


def _range(op: str) -> np.ndarray:
    """Arguments: dense around 0 and 1, then outward to where the function saturates."""
    rng = np.random.default_rng(5)
    near = rng.uniform(-1.5, 1.5, 2000)
    wide = rng.uniform(-12, 12, 2000)
    far = rng.uniform(-85, 85, 1000)
    tiny = rng.uniform(-1, 1, 200) * 10.0 ** rng.uniform(-30, 0, 200)
    x = np.concatenate([near, wide, far, tiny, [0.0, 1.0, -1.0, 0.5, 8.0, -8.0, 2.5, 3.5]])
    x = x.astype(np.float32)
    return np.abs(x) if op in POSITIVE else x


def _exactly(op: str) -> Callable[[np.ndarray], np.ndarray]:
    """The function in float64, written independently of both planner and op table."""

    def vec(f: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
        return np.vectorize(f, otypes=[np.float64])

    def phi(v: float) -> float:
        return math.erfc(-v / math.sqrt(2)) / 2

    a = {k: float(np.float32(v)) for k, v in ATTRS.get(op, {}).items() if isinstance(v, float)}
    return {
        "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "reciprocal": lambda v: 1 / v,
        "sigmoid": lambda v: np.where(v > 0, 1 / (1 + np.exp(-v)), np.exp(v) / (1 + np.exp(v))),
        "silu": lambda v: v / (1 + np.exp(-v)), "tanh": np.tanh, "erf": vec(math.erf),
        "gelu": vec(lambda v: v * phi(v)),
        "elu": lambda v: np.where(v > 0, v, a.get("alpha", 0) * np.expm1(np.minimum(v, 0))),
        "celu": lambda v: np.where(v > 0, v, a["alpha"] * np.expm1(np.minimum(v, 0) / a["alpha"])),
        "selu": lambda v: a["gamma"] * np.where(v > 0, v, a["alpha"] * np.expm1(np.minimum(v, 0))),
        "softplus": lambda v: np.maximum(v, 0) + np.log1p(np.exp(-np.abs(v))),
        "softsign": lambda v: v / (1 + np.abs(v)),
        "mish": vec(lambda v: v * math.tanh(math.log1p(math.exp(v)))),
        "pow": lambda v: v ** a["exponent"],
    }[op]  # fmt: skip


@pytest.mark.parametrize("op", sorted(set(UNARY) - set(TOLERANCE)))
def test_exact_functions_are_bit_exact(op: str) -> None:
    x = np.append(_range(op), np.array([np.inf, -np.inf, np.nan, -0.0], np.float32))
    got = run_node(op, {"x": x}, ATTRS.get(op, {}))
    assert np.array_equal(got, reference(op, {"x": x}, ATTRS.get(op, {})), equal_nan=True)


@pytest.mark.parametrize("op", sorted(set(TOLERANCE) - set(BINARY)))
def test_functions_are_within_their_stated_tolerance(op: str) -> None:
    x = _range(op)
    got = run_node(op, {"x": x}, ATTRS.get(op, {})).astype(np.float64)
    with np.errstate(all="ignore"):
        want = _exactly(op)(x.astype(np.float64))
    relative, absolute = TOLERANCE[op]
    normal = np.isfinite(want) & (np.abs(want) < 3.4e38)
    normal &= (np.abs(want) >= 2.0**-125) | (want == 0)
    error = np.abs(got[normal] - want[normal]) - absolute
    scale = np.abs(want)[normal]
    worst = np.argmax(error / np.maximum(scale, 1e-300))
    ratio = error[worst] / max(scale[worst], 1e-300)
    print(f"{op}: worst relative {ratio:.2e} at {x[normal][worst]}")
    assert (error <= relative * scale).all(), (ratio, x[normal][worst])


@pytest.mark.parametrize("op", sorted(set(TOLERANCE) - set(BINARY) - {"pow"}))
def test_infinities_and_nan_behave_as_in_numpy(op: str) -> None:
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 100.0, -100.0, 1e30, -1e30], np.float32)
    if op == "gelu":
        x = x[x != -np.inf]  # NumPy's formula gives NaN there, the chip the limit 0
    got = run_node(op, {"x": x}, ATTRS.get(op, {}))
    want = reference(op, {"x": x}, ATTRS.get(op, {}))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 0.5, -0.5, 4, 5, -3, 1.7])
def test_pow(exponent: float) -> None:
    x = f32(200) * 2 if float(exponent).is_integer() else np.abs(f32(200)) * 2
    x = np.append(x, np.float32(0))
    got = run_node("pow", {"x": x}, {"exponent": float(exponent)})
    want = reference("pow", {"x": x}, {"exponent": float(exponent)})
    np.testing.assert_allclose(got, want, rtol=5e-6)


def test_power_of_two_tensors_is_within_its_stated_tolerance() -> None:
    rng = np.random.default_rng(9)
    a = np.exp(rng.uniform(-8, 8, 4000)).astype(np.float32)
    b = rng.uniform(-6, 6, 4000).astype(np.float32)
    a[:1000], b[:1000] = -a[:1000], np.rint(b[:1000])
    got = run_node("power", {"a": a, "b": b}, {}).astype(np.float64)
    want = np.array([math.pow(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)])
    assert (np.abs(got - want) <= TOLERANCE["power"][0] * np.abs(want)).all()


def test_power_of_special_values_is_ieee() -> None:
    inf, nan = math.inf, math.nan
    bases = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, inf, -inf, nan]
    exponents = [0.0, -0.0, 1.0, -1.0, 2.0, 3.0, -2.0, -3.0, 0.5, inf, -inf, nan]
    pairs = [(a, b) for a in bases for b in exponents if (a, b) != (-inf, 0.5)]
    a, b = (np.array(side, np.float32) for side in zip(*pairs, strict=True))
    with np.errstate(all="ignore"):
        want = np.power(a.astype(np.float64), b)  # C's pow
    np.testing.assert_allclose(run_node("power", {"a": a, "b": b}, {}), want, rtol=1e-6)


def test_gelu_tanh() -> None:
    x = _range("gelu")
    got = run_node("gelu", {"x": x}, {"approximate": "tanh"}).astype(np.float64)
    wide = x.astype(np.float64)
    z = math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
    with np.errstate(all="ignore"):
        want = wide / (1 + np.exp(-2 * z))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-30)


BROADCAST = [((3, 1, 5), (1, 4, 1)), ((2, 6, 3, 4), (6, 1, 1)), ((7,), ()), ((2, 3, 4), (4,))]


@pytest.mark.parametrize("op", sorted(set(BINARY)))
@pytest.mark.parametrize(("left", "right"), BROADCAST)
def test_binary(op: str, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    for shapes in ((left, right), (right, left)):
        inputs = {"a": f32(*shapes[0]).round(1), "b": f32(*shapes[1]).round(1)}
        inputs["b"] = np.where(inputs["b"] == 0, np.float32(0.3), inputs["b"])
        got = run_node(op, inputs, {})
        want = reference(op, inputs, {})
        if op in TOLERANCE:
            np.testing.assert_allclose(got, want, rtol=TOLERANCE[op][0])
        else:
            assert np.array_equal(got, want)


def test_where_broadcasts_three_operands() -> None:
    inputs = {"c": (f32(2, 1, 5) > 0).astype(np.float32), "a": f32(2, 3, 5), "b": f32(1)}
    got = run_node("where", inputs, {}, constants=["b"])
    assert np.array_equal(got, reference("where", inputs, {}))
