"""Names that ONNX Runtime's quantiser would give to two things at once."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.frontend import import_onnx, quantise_onnx
from jiriki.frontend.onnx.reference import run_plain
from jiriki.graph import evaluate
from tests.frontend.nets import feeds_of, model, node, weights

f32 = np.float32


def error_in_steps(net, rng) -> float:
    """Return the largest error to the float model, on a calibration feed, in parts of the range."""
    feeds = feeds_of(net, rng, 4)
    got = evaluate(import_onnx(quantise_onnx(net, feeds)), feeds[3])["y"]
    wanted = run_plain(net, feeds[3])[0]
    return float(np.abs(got - wanted).max() / np.ptp(wanted))


@pytest.mark.parametrize("names", [("val_1", "val_10"), ("b", "b0"), ("b", "b1"), ("b", "b_scale")])
def test_a_shared_bias_and_an_activation(names):
    """The copy of a shared bias is called as the bias with a number behind it."""
    rng = np.random.default_rng(1)
    bias, activation = names
    nodes = [
        node("Conv", ["x", "w1", bias], ["a"], pads=[1] * 4),
        node("Relu", ["a"], ["r"]),
        node("Conv", ["r", "w2", bias], ["c"], pads=[1] * 4),
        node("Sigmoid", ["c"], [activation]),
        node("Mul", ["r", activation], ["m"]),
        node("Conv", ["m", "w3"]),
    ]
    stored = {"w1": weights(rng, 8, 3, 3, 3), "w2": weights(rng, 8, 8, 3, 3)}
    stored |= {"w3": weights(rng, 4, 8, 1, 1), bias: weights(rng, 8)}
    assert error_in_steps(model(nodes, {"x": (1, 3, 8, 8)}, stored), rng) < 0.05


def test_nodes_without_names_keep_their_own_biases():
    """The bias of a channel of tiny weights is found by its node: here all are called ''."""
    rng = np.random.default_rng(2)
    nodes = [node("Conv", "xwb", "a"), node("Relu", "a", "r"), node("Conv", "rvd")]
    for operation in nodes:
        operation.name = ""
    stored = {name: weights(rng, 6, 6 if name == "v" else 3, 3, 3) for name in "wv"}
    stored["w"][2] *= f32(1e-9)
    stored["v"][4] *= f32(1e-9)
    stored |= {name: (rng.standard_normal(6) * 3).astype(f32) for name in "bd"}
    assert error_in_steps(model(nodes, {"x": (1, 3, 9, 9)}, stored), rng) < 0.05


def test_nodes_of_one_name_are_told_apart():
    rng = np.random.default_rng(3)
    nodes = [node("Conv", "xwb", "a"), node("Relu", "a", "r"), node("Conv", "rvd")]
    for operation in nodes:
        operation.name = "same"
    stored = {"w": weights(rng, 6, 3, 3, 3), "v": weights(rng, 6, 6, 3, 3)}
    stored |= {name: weights(rng, 6) for name in "bd"}
    assert error_in_steps(model(nodes, {"x": (1, 3, 9, 9)}, stored), rng) < 0.05


@pytest.mark.parametrize(
    "suffix", ["_scale", "_zero_point", "_quantized", "_DequantizeLinear_Output"]
)
def test_a_tensor_called_as_one_of_the_quantisers(suffix):
    rng = np.random.default_rng(4)
    other = f"a{suffix}"
    nodes = [
        node("Conv", "xw", "a"),
        node("Relu", "a", [other]),
        node("Add", ["a", other], ["s"]),
        node("Conv", ["s", "v"]),
    ]
    stored = {"w": weights(rng, 6, 3, 3, 3), "v": weights(rng, 6, 6, 3, 3)}
    assert error_in_steps(model(nodes, {"x": (1, 3, 9, 9)}, stored), rng) < 0.05
