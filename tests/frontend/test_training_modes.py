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
    wanted, kept = ReferenceEvaluator(net).run(None, {"x": X})
    np.testing.assert_allclose(ours["y"], np.asarray(wanted), rtol=1e-6)
    np.testing.assert_array_equal(ours["kept"], kept)


def test_dropout_without_a_seed_is_refused():
    constants = {"r": f32(0.5), "t": np.bool_(True)}
    net = model([node("Dropout", "xrt")], {"x": X.shape}, constants)
    with pytest.raises(UnsupportedOperatorError, match="give the node a seed"):
        import_onnx(net)
