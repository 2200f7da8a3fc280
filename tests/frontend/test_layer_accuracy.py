"""What each layer loses: rounding to steps of 1 whose noise is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.frontend import is_quantised, layer_accuracies
from tests.frontend.nets import f32, model, node

X = np.array([[3.25, 4.0]], f32)


def test_layer_has_the_noise_of_its_rounding():
    original = model([node("Relu", ["x"], ["r"]), node("Identity", ["r"])], {"x": (1, 2)})
    quantised = model(
        [
            node("Relu", ["x"], ["r"]),
            node("QuantizeLinear", ["r", "s", "z"], ["codes"]),
            node("DequantizeLinear", ["codes", "s", "z"], ["rounded"]),
            node("Identity", ["rounded"]),
        ],
        {"x": (1, 2)}, {"s": f32(1), "z": np.uint8(0)},
    )  # fmt: skip
    relu, last = layer_accuracies(quantised, original, [{"x": X}])
    assert (relu.name, relu.operator, last.name) == ("r", "Relu", "y")
    assert relu.accuracy.worst_error == 0.25
    assert relu.accuracy.sqnr_db == pytest.approx(10 * np.log10((3.25**2 + 16) / 0.25**2))
    assert relu.loss == pytest.approx(0.25**2 / (3.25**2 + 16 + 0.25**2))
    assert last.accuracy == relu.accuracy and last.loss == 0
    assert is_quantised(quantised) and not is_quantised(original)
