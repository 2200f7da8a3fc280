"""Scales that a quantised model may have, and those that are refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from jiriki.frontend import UnsupportedOperatorError, import_onnx, reference_outputs
from jiriki.graph import evaluate
from tests.frontend.nets import model, node

f32 = np.float32
WEIGHT_SCALES = np.array([0.01, 0.02, 0.005, 0.03], f32)
POINT: dict[str, Any] = {"s": f32(0.03), "z": np.uint8(128), "o": f32(0.2)}
INPUT = [node("QuantizeLinear", "xsz", "q"), node("DequantizeLinear", "qsz", "d")]
OUTPUT = [node("QuantizeLinear", "coz", "r"), node("DequantizeLinear", "roz", "y")]


def product(op: str, axis: int, quantised: bool, **attrs):
    """Return a square product of quantised operands, weight scales along `axis`, and feeds."""
    rng = np.random.default_rng(6)
    shape = (1, 4, 3, 3) if op == "Conv" else (2, 4)
    w = rng.integers(-127, 128, (4, 4, 1, 1) if op == "Conv" else (4, 4)).astype(np.int8)
    stored = POINT | {"w": w, "u": WEIGHT_SCALES, "v": np.zeros(4, np.int8)}
    weights = node("DequantizeLinear", ["w", "u", "v"], ["k"], axis=axis)
    last = node(op, ["d", "k"], ["c" if quantised else "y"], **attrs)
    nodes = [*INPUT, weights, last, *(OUTPUT if quantised else [])]
    return model(nodes, {"x": shape}, stored, 21), {"x": rng.standard_normal(shape).astype(f32)}


def reference(net: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> np.ndarray:
    """Return what ONNX's own reference computes."""
    results = ReferenceEvaluator(net).run(None, feeds)
    assert isinstance(results, list)
    return np.asarray(results[0])


SQUARE = [("Conv", 0, {}), ("MatMul", 1, {}), ("Gemm", 1, {}), ("Gemm", 0, {"transB": 1})]


@pytest.mark.parametrize("quantised", [True, False])
@pytest.mark.parametrize(("op", "outputs", "attrs"), SQUARE)
def test_scales_along_the_outputs_equal_the_reference(op, outputs, attrs, quantised):
    """ONNX's reference, which fuses nothing; a quantised result may be a step off."""
    net, feeds = product(op, outputs, quantised, **attrs)
    wanted = reference(net, feeds)
    got = evaluate(import_onnx(net), feeds)["y"]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=0.2001 if quantised else 1e-4)


@pytest.mark.parametrize("quantised", [True, False])
@pytest.mark.parametrize(("op", "outputs", "attrs"), SQUARE)
def test_scales_along_what_is_summed_are_refused(op, outputs, attrs, quantised):
    """ONNX Runtime's fusions take them for the scales of the outputs."""
    net, _ = product(op, 1 - outputs, quantised, **attrs)
    with pytest.raises(UnsupportedOperatorError, match=f"along axis {1 - outputs}"):
        import_onnx(net)


@pytest.mark.parametrize("quantised", [True, False])
@pytest.mark.parametrize(("op", "outputs", "attrs"), SQUARE)
def test_the_reference_never_gives_the_value_of_a_wrong_fusion(op, outputs, attrs, quantised):
    """What a run is compared with is ONNX's value, also where ONNX Runtime's optimiser is wrong."""
    for axis in (outputs, 1 - outputs):
        net, feeds = product(op, axis, quantised, **attrs)
        got = reference_outputs(net, feeds)["y"]
        np.testing.assert_allclose(
            got, reference(net, feeds), rtol=0, atol=0.2001 if quantised else 1e-4
        )


@pytest.mark.parametrize("op", ["Relu", "Sigmoid", "LeakyRelu", "GlobalAveragePool", "Tanh"])
def test_an_activation_may_have_scales_along_an_axis(op):
    stored = POINT | {"p": WEIGHT_SCALES, "v": np.full(4, 128, np.uint8)}
    nodes = [
        node("QuantizeLinear", "xpv", "q", axis=1),
        node("DequantizeLinear", "qpv", "d", axis=1),
        node(op, "d", "c"),
        *OUTPUT,
    ]
    net = model(nodes, {"x": (1, 4, 3, 3)}, stored | {"o": f32(0.01)}, 21)
    feeds = {"x": np.random.default_rng(7).standard_normal((1, 4, 3, 3)).astype(f32)}
    wanted = reference(net, feeds)
    got = evaluate(import_onnx(net), feeds)["y"]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=0.01001)


@pytest.mark.parametrize("scale", [0.0, -0.1, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["s", "o"])
def test_scales_that_are_no_step_are_refused(place, scale):
    nodes = [*INPUT, node("Relu", "d", "c"), *OUTPUT]
    net = model(nodes, {"x": (1, 4)}, POINT | {place: f32(scale)}, 18)
    with pytest.raises(UnsupportedOperatorError, match=f"its scale {place} is"):
        import_onnx(net)


@pytest.mark.parametrize("axis", [-1, 0])
def test_stored_weights_may_be_reshaped_before_a_convolution(axis):
    """Pairs of steps: the integers move, the scales stay. By ONNX's reference."""
    rng = np.random.default_rng(8)
    w = rng.integers(-127, 128, (4, 36)).astype(np.int8)
    scales = WEIGHT_SCALES if axis == 0 else f32(0.01)
    points = np.zeros(np.shape(scales), np.int8)
    stored = POINT | {"w": w, "u": scales, "v": points, "n": np.array([4, 4, 3, 3])}
    nodes = [
        *INPUT,
        node("DequantizeLinear", "wuv", "k", axis=0),
        node("Reshape", "kn", "m"),
        node("Conv", "dm"),
    ]
    net = model(nodes, {"x": (1, 4, 6, 6)}, stored, 21)
    feeds = {"x": rng.standard_normal((1, 4, 6, 6)).astype(f32)}
    wanted = reference(net, feeds)
    np.testing.assert_allclose(evaluate(import_onnx(net), feeds)["y"], wanted, rtol=0, atol=1e-4)
