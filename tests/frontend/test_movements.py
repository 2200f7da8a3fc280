"""Slices, gathers and pads at the edges of what ONNX allows."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.frontend import UnsupportedOperatorError, import_onnx, reference_outputs
from jiriki.graph import evaluate
from tests.frontend.nets import model, node, qdq

f32 = np.float32
LEAST = -(2**31)


@pytest.mark.parametrize("start", [-5, -4, -3, -1, 0, 1, 2, 3, 9])
@pytest.mark.parametrize("end", [LEAST, -5, -2, 0, 2, 3, 9])
@pytest.mark.parametrize("step", [-3, -2, -1, 1, 2])
def test_slice_clamps_as_onnx_says(start, end, step):
    """ONNX clamps a backward start to an element; ONNX Runtime does so."""
    numbers = {"a": start, "e": end, "i": 0, "s": step}
    constants = {name: np.array([value]) for name, value in numbers.items()}
    net = model([node("Slice", "xaeis")], {"x": (3,)}, constants)
    feeds = {"x": np.array([7, 8, 9], f32)}
    ours = evaluate(import_onnx(net), feeds)["y"]
    np.testing.assert_array_equal(ours, reference_outputs(net, feeds)["y"])


def test_slice_from_far_below_is_the_first_element():
    """By hand: a start of -5 in three elements clamps to 0."""
    constants = {"a": np.array([-5]), "e": np.array([LEAST]), "i": np.array([0])}
    net = model([node("Slice", "xaeis")], {"x": (3,)}, constants | {"s": np.array([-1])})
    assert evaluate(import_onnx(net), {"x": np.array([7, 8, 9], f32)})["y"].tolist() == [7]


@pytest.mark.parametrize("index", [-5, 4, 7])
def test_gather_outside_the_axis_is_refused(index):
    net = model([node("Gather", "xi", axis=1)], {"x": (1, 4)}, {"i": np.array([1, index])})
    with pytest.raises(UnsupportedOperatorError, match=f"index {index} is outside axis 1 of 4"):
        import_onnx(net)


PADS = {"grow": [0, 0, 1, 2, 0, 0, 2, 1], "crop": [0, 0, -1, 0, 0, 0, 0, -2], "both": [
    0, 0, -1, 2, 0, 0, 2, -1]}  # fmt: skip


@pytest.mark.parametrize("value", [0.0, -np.inf, np.inf, 2.5, -7.0])
@pytest.mark.parametrize("pads", PADS)
def test_pad_of_a_quantised_tensor_holds_any_value(pads, value):
    """By NumPy: what the tensor's int8 steps hold, and what they cannot, is padded alike."""
    constants = {"p": np.array(PADS[pads]), "v": f32(value)}
    quantised = qdq([node("Pad", "apv", "d"), node("MaxPool", "d", "c", kernel_shape=[1, 1])],
                    {"x": (1, 2, 5, 5)}, constants=constants)  # fmt: skip
    x = np.random.default_rng(3).standard_normal((1, 2, 5, 5)).astype(f32)
    steps = np.clip(np.rint(x / f32(0.0203)) + 128, 0, 255) - 128
    held, widths = (steps * f32(0.0203)).astype(f32), np.reshape(PADS[pads], (2, 4)).T
    for axis, (before, after) in enumerate(widths):
        held = held.take(range(max(-before, 0), held.shape[axis] - max(-after, 0)), axis)
    padded = np.pad(held, np.maximum(widths, 0), constant_values=value)
    wanted = (np.clip(np.rint(padded / f32(0.0131)) + 128, 0, 255) - 128) * f32(0.0131)
    np.testing.assert_array_equal(evaluate(import_onnx(quantised), {"x": x})["y"], wanted)
