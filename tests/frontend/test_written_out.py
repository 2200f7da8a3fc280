"""Normalisations and activations written out in nodes, quantised, against the float model."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.frontend import import_onnx, quantise_onnx
from jiriki.frontend.onnx.reference import run_plain
from jiriki.graph import evaluate
from tests.frontend.nets import feeds_of, model, node, weights

f32 = np.float32


def sqnr_db(net, feeds: list[dict]) -> float:
    """Return the float model's signal over the quantised one's error, on the last feed."""
    got = evaluate(import_onnx(quantise_onnx(net, feeds[:-1])), feeds[-1])["y"]
    wanted = run_plain(net, feeds[-1])[0].astype(np.float64)
    return float(10 * np.log10(np.square(wanted).sum() / np.square(got - wanted).sum()))


@pytest.mark.parametrize("inverse", ["Div", "Reciprocal", "Pow"])
def test_a_variance_as_the_difference_of_two_means(inverse):
    """E[x²] - E[x]² over tokens, as JAX exports it, of channels that differ by a factor of 6."""
    rng = np.random.default_rng(1)
    sigma = np.geomspace(0.3, 2, 32).astype(f32)
    stored = {"c": weights(rng, 32, 32).T * sigma, "three": f32(2) * sigma, "eps": f32(1e-5)}
    stored["w"] = weights(rng, 8, 32).T
    nodes = [
        node("MatMul", "xc", "h"),
        node("Add", ["h", "three"], "s"),
        node("ReduceMean", "s", "m", axes=[1]),
        node("Mul", "ss", "a"),
        node("ReduceMean", "a", "b", axes=[1]),
        node("Mul", "mm", "d"),
        node("Sub", "bd", "v"),
        node("Add", ["v", "eps"], "e"),
        node("Sub", "sm", "z"),
    ]
    if inverse == "Pow":
        stored["half"] = f32(-0.5)
        nodes += [node("Pow", ["e", "half"], "r"), node("Mul", "zr", "n")]
    else:
        nodes.append(node("Sqrt", "e", "q"))
        if inverse == "Div":
            nodes.append(node("Div", "zq", "n"))
        else:
            nodes += [node("Reciprocal", "q", "r"), node("Mul", "zr", "n")]
    net = model([*nodes, node("MatMul", "nw")], {"x": (1, 16, 32)}, stored, 13)
    assert sqnr_db(net, feeds_of(net, rng, 5)) > 25


GELU = [
    node("Mul", "aa", "i"),
    node("Mul", "ia", "j"),
    node("Mul", "jc", "t"),
    node("Add", "at", "u"),
    node("Mul", "uk", "p"),
    node("Tanh", "p", "h"),
    node("Add", "ho", "g"),
    node("Mul", ["g", "half"], "f"),
    node("Mul", "af", "b"),
]
SWISH = [node("Sigmoid", "a", "s"), node("Mul", "as", "b")]
HARD_SWISH = [node("HardSigmoid", "a", "s", alpha=1 / 6), node("Mul", "as", "b")]


@pytest.mark.parametrize("function", [GELU, SWISH, HARD_SWISH], ids=["gelu", "swish", "hardswish"])
def test_a_function_of_one_tensor_is_one_table(function):
    """Of inputs up to 40, where GELU's cube reaches 3,500; only its own two scales round it."""
    rng = np.random.default_rng(2)
    stored = {"w": weights(rng, 6, 3, 3, 3) * f32(8), "v": weights(rng, 4, 6, 3, 3)}
    numbers = {"c": f32(0.044715), "k": f32(0.79788456), "o": f32(1), "half": f32(0.5)}
    stored |= {
        name: value for name, value in numbers.items() if any(name in n.input for n in function)
    }
    nodes = [node("Conv", "xw", "a"), *function, node("Conv", "bv")]
    net = model(nodes, {"x": (1, 3, 12, 12)}, stored)
    feeds = feeds_of(net, rng, 5)
    graph = import_onnx(quantise_onnx(net, feeds))
    assert [n.op for n in graph.nodes] == ["conv", "lut", "conv"]
    assert sqnr_db(net, feeds) > 30
