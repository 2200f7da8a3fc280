"""Calibration samples are held against the model before anything runs on them."""

import numpy as np
import onnx
import pytest

from jiriki.frontend import (
    CalibrationError,
    ReferenceRunError,
    quantise_onnx,
    reference_outputs,
)
from tests.frontend.nets import f32, model, node, weights


@pytest.fixture
def conv() -> onnx.ModelProto:
    rng = np.random.default_rng(3)
    return model([node("Conv", ["x", "w"])], {"x": (1, 2, 11, 15)}, {"w": weights(rng, 4, 2, 3, 3)})


SHAPE = (1, 2, 11, 15)
MISTAKES = {
    "rank": ({"x": np.zeros(SHAPE[1:], f32)}, "has shape (2, 11, 15), the model takes (1, 2, 11"),
    "size": ({"x": np.zeros((1, 2, 9, 9), f32)}, "has shape (1, 2, 9, 9)"),
    "name": ({"picture": np.zeros(SHAPE, f32)}, "holds ['picture'], the model's inputs are ['x']"),
    "more": ({"x": np.zeros(SHAPE, f32), "y": np.zeros(1, f32)}, "holds ['x', 'y']"),
    "type": ({"x": np.zeros(SHAPE)}, "is float64, the model takes float32"),
    "NaN": ({"x": np.full(SHAPE, np.nan, f32)}, "NaN or infinity"),
    "infinity": ({"x": np.full(SHAPE, -np.inf, f32)}, "NaN or infinity"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_sample_that_the_model_cannot_take_is_refused_by_name(conv, mistake):
    sample, words = MISTAKES[mistake]
    right = {"x": np.zeros(SHAPE, f32)}
    with pytest.raises(CalibrationError) as refused:
        quantise_onnx(conv, [right, sample])
    assert words in str(refused.value)
    assert "sample 1" in str(refused.value)


def test_no_samples_are_refused(conv):
    with pytest.raises(CalibrationError, match="calibration is empty"):
        quantise_onnx(conv, [])


def test_a_model_that_does_not_run_is_refused_in_one_line(capfd):
    padded = model(
        [node("Pad", ["x", "p"], mode="reflect")], {"x": (1, 1, 3, 3)},
        {"p": np.array([0, 0, 8, 0, 0, 0, 8, 0])},
    )  # fmt: skip
    for run in (reference_outputs, lambda net, feed: quantise_onnx(net, [feed])):
        with pytest.raises(ReferenceRunError) as refused:
            run(padded, {"x": np.zeros((1, 1, 3, 3), f32)})
        assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")
