"""Training modes: BatchNormalization against both references, Dropout against ONNX's own."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from jiriki.frontend import UnsupportedOperatorError, import_onnx, reference_outputs
from jiriki.graph import evaluate
from tests.frontend.nets import model, node

f32 = np.float32
X = np.random.default_rng(8).standard_normal((3, 4, 5, 6)).astype(f32)


def test_batch_normalization_uses_and_returns_the_moments_of_the_batch():
    rng = np.random.default_rng(9)
    constants = {name: rng.uniform(0.5, 2, 4).astype(f32) for name in "sbmv"}
    outputs = ["y", "mean", "variance"]
    operation = node("BatchNormalization", "xsbmv", outputs, training_mode=1, momentum=0.7)
    net = model([operation], {"x": X.shape}, constants, 15, outputs)
    ours = evaluate(import_onnx(net), {"x": X})
    theirs = reference_outputs(net, {"x": X})
    for name, wanted in zip(outputs, ReferenceEvaluator(net).run(None, {"x": X}), strict=True):
        np.testing.assert_allclose(ours[name], np.asarray(wanted), rtol=2e-5, atol=2e-6)
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5])
def test_dropout_draws_what_the_reference_draws(ratio):
    constants = {"r": f32(ratio), "t": np.bool_(True)}
    operation = node("Dropout", "xrt", ["y", "kept"], seed=11)
    net = model([operation], {"x": X.shape}, constants, 18, ["y", "kept"])
    net.graph.output[1].type.tensor_type.elem_type = 9  # bool
    ours = evaluate(import_onnx(net), {"x": X})
    wanted, mask = ReferenceEvaluator(net).run(None, {"x": X})
    np.testing.assert_allclose(ours["y"], np.asarray(wanted), rtol=1e-6)
    np.testing.assert_array_equal(ours["kept"], mask)


def test_dropout_without_a_seed_is_refused():
    constants = {"r": f32(0.5), "t": np.bool_(True)}
    net = model([node("Dropout", "xrt")], {"x": X.shape}, constants)
    with pytest.raises(UnsupportedOperatorError, match="give the node a seed"):
        import_onnx(net)


def moments_of_the_batch(x: np.ndarray, constants: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return ONNX's five outputs of a BatchNormalization in training before opset 14."""
    scale, shift = (constants[name].reshape(1, -1, 1, 1) for name in "sb")
    mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    flat = mean.ravel(), variance.ravel()
    running = [constants[n] * 0.9 + moment * 0.1 for n, moment in zip("mv", flat, strict=True)]
    return [(x - mean) / np.sqrt(variance + 1e-5) * scale + shift, *running, *flat]


@pytest.mark.parametrize("opset", [7, 9])
def test_batch_normalization_with_five_outputs_trains_before_opset_14(opset):
    rng = np.random.default_rng(10)
    constants = {name: rng.uniform(0.5, 2, 4).astype(f32) for name in "sbmv"}
    outputs = ["y", "mean", "variance", "saved_mean", "saved_variance"]
    net = model(
        [node("BatchNormalization", "xsbmv", outputs)], {"x": X.shape}, constants, opset, outputs
    )
    net.ir_version = 4
    ours = evaluate(import_onnx(net), {"x": X})
    for name, wanted in zip(outputs, moments_of_the_batch(X, constants), strict=True):
        np.testing.assert_allclose(ours[name], wanted, rtol=2e-5, atol=2e-6)


def test_batch_normalization_of_every_element_has_parameters_of_its_own():
    """By hand: with spatial = 0 (opset 7) scale, shift and moments have the shape [C, H, W]."""
    rng = np.random.default_rng(11)
    constants = {name: rng.uniform(0.5, 2, X.shape[1:]).astype(f32) for name in "sbmv"}
    operation = node("BatchNormalization", "xsbmv", spatial=0)
    net = model([operation], {"x": X.shape}, constants, 7)
    net.ir_version = 4
    s, b, m, v = (constants[name] for name in "sbmv")
    wanted = (X - m) / np.sqrt(v + f32(1e-5)) * s + b
    ours = evaluate(import_onnx(net), {"x": X})["y"]
    np.testing.assert_allclose(ours, wanted, rtol=2e-5, atol=2e-6)
