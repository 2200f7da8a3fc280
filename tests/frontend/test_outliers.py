"""Quantised streams with outlier channels against the float model: each channel keeps its value."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.frontend import import_onnx, quantise_onnx
from jiriki.frontend.onnx.reference import run_plain
from jiriki.graph import evaluate
from tests.frontend.nets import feeds_of, model, node, weights

f32 = np.float32
TOKENS, WIDTH, LOUD = 16, 64, 5


def worst_channel(net, feeds: list[dict]) -> float:
    """Return the largest rms error of a channel of y in parts of its rms, on the last feed."""
    got = evaluate(import_onnx(quantise_onnx(net, feeds[:-1])), feeds[-1])["y"]
    wanted = run_plain(net, feeds[-1])[0]
    error, power = (np.square(v).reshape(-1, v.shape[-1]).mean(0) for v in (got - wanted, wanted))
    return float(np.sqrt(error / power).max())


def loud(value: float, others: float = 1) -> np.ndarray:
    return np.where(np.arange(WIDTH) == LOUD, value, others).astype(f32)


def perceptron(stream: str, out: str) -> list:
    """Nodes of stream + W2 relu(W1 stream)."""
    return [
        node("MatMul", [stream, "w1"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("MatMul", ["r", "w2"], ["o"]),
        node("Add", [stream, "o"], [out]),
    ]


def stored(rng) -> dict:
    quiet = loud(0.02)[:, None]
    first = weights(rng, 4 * WIDTH, WIDTH).T * quiet
    return {
        "w1": first,
        "w2": weights(rng, WIDTH, 4 * WIDTH).T,
        "w3": weights(rng, 32, WIDTH).T * quiet,
        "b": np.zeros(WIDTH, f32),
    }


@pytest.mark.parametrize("gain", [20, 60, 300])
def test_a_normalisation_with_a_loud_gain(gain):
    rng = np.random.default_rng(1)
    nodes = [
        node("LayerNormalization", "xgb", "n", axis=-1),
        *perceptron("n", "s"),
        node("MatMul", ["s", "w3"]),
    ]
    net = model(nodes, {"x": (1, TOKENS, WIDTH)}, stored(rng) | {"g": loud(gain)})
    assert worst_channel(net, feeds_of(net, rng, 5)) < 0.1


@pytest.mark.parametrize("opset", [13, 17])
def test_a_stream_with_a_loud_channel_before_its_normalisation(opset):
    """Pre-norm: the loud channel is in the residual, the normalisation reads it; it is also y."""
    rng = np.random.default_rng(2)
    constants = stored(rng) | {"l": loud(80, 0), "two": f32(2), "e": f32(1e-5), "g": loud(0.02)}
    if opset == 13:
        means = {"axes": [-1]}
        norm = [
            node("ReduceMean", "s", "m", **means),
            node("Sub", "sm", "d"),
            node("Pow", ["d", "two"], "p"),
            node("ReduceMean", "p", "v", **means),
            node("Add", "ve", "u"),
            node("Sqrt", "u", "q"),
            node("Div", "dq", "k"),
            node("Mul", "kg", "n"),
        ]
    else:
        norm = [node("LayerNormalization", "sgb", "n", axis=-1)]
    nodes = [
        node("Add", "xl", "s"),
        *norm,
        node("MatMul", ["n", "w1"], ["h"]),
        node("Relu", "h", "r"),
        node("MatMul", ["r", "w2"], "o"),
        node("Add", "so"),
    ]
    net = model(nodes, {"x": (1, TOKENS, WIDTH)}, constants, opset)
    assert worst_channel(net, feeds_of(net, rng, 5)) < 0.1


@pytest.mark.parametrize("transposed", [0, 1])
def test_columns_of_a_table_in_units_of_their_own(transposed):
    """An input of 2 axes; each column counts for as much in the result as any other."""
    rng = np.random.default_rng(3)
    units = np.array([1e-3, 1, 30, 1e4, 0.5, 200, 7, 1], f32)
    w = (weights(rng, 12, 8).T / units[:, None]).astype(f32)
    w = np.ascontiguousarray(w.T) if transposed else w
    nodes = [node("Gemm", "xwc", "h", transB=transposed), node("Relu", "h")]
    net = model(nodes, {"x": (40, 8)}, {"w": w, "c": np.zeros(12, f32)})
    feeds = [{"x": feed["x"] * units} for feed in feeds_of(net, rng, 5)]
    assert worst_channel(net, feeds) < 0.1


def test_queries_keys_and_values_of_one_loud_stream():
    """Three products read the stream, and share one factor."""
    rng = np.random.default_rng(4)
    quiet = loud(0.02)[:, None]
    projections = {f"w{k}": weights(rng, WIDTH, WIDTH).T * quiet for k in "qkv"}
    nodes = [
        node("LayerNormalization", "xgb", "n", axis=-1),
        *(node("MatMul", ["n", f"w{k}"], [k]) for k in "qkv"),
        node("Transpose", "k", "t", perm=[0, 2, 1]),
        node("MatMul", "qt", "s"),
        node("Softmax", "s", "p", axis=-1),
        node("MatMul", "pv", "a"),
        node("Add", "na", "c"),
        node("MatMul", ["c", "w3"]),
    ]
    constants = stored(rng) | projections | {"g": loud(60)}
    constants["wq"] = constants["wq"] * f32(0.2)
    net = model(nodes, {"x": (1, TOKENS, WIDTH)}, constants)
    quantised = quantise_onnx(net, feeds_of(net, rng, 2))
    assert sum("/even" in node.name for node in quantised.graph.node if node.op_type == "Mul") == 2
    assert worst_channel(net, feeds_of(net, rng, 5)) < 0.15


def test_even_channels_stay_as_they_were():
    """No node is added, and every activation of the perceptron is quantised."""
    rng = np.random.default_rng(5)
    net = model([*perceptron("x", "y")], {"x": (1, TOKENS, WIDTH)}, stored(rng))
    quantised = quantise_onnx(net, feeds_of(net, rng, 3))
    kinds = [node.op_type for node in quantised.graph.node]
    assert "Mul" not in kinds
    assert kinds.count("QuantizeLinear") == 4  # x, r, o, y
