"""Operators read as their function body keep the attributes that they leave at the default."""

from __future__ import annotations

import numpy as np

from jiriki.frontend import import_onnx
from jiriki.graph import evaluate
from tests.frontend.nets import model, node


def test_mean_variance_normalisation_takes_its_default_axes():
    """By hand: over batch, height and width, for each channel apart."""
    x = np.random.default_rng(1).standard_normal((2, 3, 4, 5)).astype(np.float32)
    x += np.array([0, 5, -3], np.float32)[:, None, None]
    net = model([node("MeanVarianceNormalization", "x")], {"x": x.shape})
    wanted = (x - x.mean((0, 2, 3), keepdims=True)) / x.std((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(evaluate(import_onnx(net), {"x": x})["y"], wanted, atol=1e-4)
