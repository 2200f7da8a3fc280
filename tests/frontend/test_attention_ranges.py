"""Quantised attention against the float model: masks of any size, many tokens, maxima of pads."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from jiriki.frontend import import_onnx, quantise_onnx
from jiriki.frontend.errors import CalibrationError
from jiriki.frontend.onnx.reference import run_plain
from jiriki.graph import evaluate
from tests.frontend.nets import feeds_of, model, node

f32 = np.float32
TOKENS, WIDTH = 12, 16
CAUSAL = np.triu(np.ones((TOKENS, TOKENS), bool), 1)
ALIBI = -0.3 * np.abs(np.subtract.outer(np.arange(TOKENS), np.arange(TOKENS)))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def nearness(net, feeds: list[dict]) -> float:
    """Return the cosine of the quantised model's output to the float one's, on the last feed."""
    quantised = quantise_onnx(net, feeds[:-1])
    got = evaluate(import_onnx(quantised), feeds[-1])["y"]
    return cosine(got, run_plain(net, feeds[-1])[0])


def attention(mask_nodes, constants, extra=None):
    nodes = [
        node("MatMul", "qk", "s"),
        *mask_nodes,
        node("Softmax", "m", "p", axis=-1),
        node("MatMul", "pv"),
    ]
    inputs = {"q": (2, TOKENS, WIDTH), "k": (2, WIDTH, TOKENS), "v": (2, TOKENS, WIDTH)}
    return model(nodes, inputs | (extra or {}), constants)


@pytest.mark.parametrize("low", [-np.inf, -3.4028235e38, -1e9, -1e4, -100.0])
def test_a_stored_mask_leaves_the_scores_their_steps(low):
    net = attention([node("Add", "sb", "m")], {"b": np.where(CAUSAL, low, 0).astype(f32)})
    assert nearness(net, feeds_of(net, np.random.default_rng(1), 4)) > 0.995


def test_a_mask_with_a_bias_keeps_the_bias():
    bias = np.where(CAUSAL, -np.inf, ALIBI).astype(f32)
    net = attention([node("Add", "sb", "m")], {"b": bias})
    assert nearness(net, feeds_of(net, np.random.default_rng(2), 4)) > 0.99


@pytest.mark.parametrize("low", [-np.inf, -1e4])
def test_a_mask_chosen_by_where(low):
    constants = {"c": CAUSAL, "l": np.full((1, 1, 1), low, f32)}
    net = attention([node("Where", "cls", "m")], constants)
    assert nearness(net, feeds_of(net, np.random.default_rng(3), 4)) > 0.995


def test_a_mask_that_is_an_input():
    rng = np.random.default_rng(4)
    net = attention([node("Add", "sb", "m")], {}, {"b": (TOKENS, TOKENS)})
    feeds = [f | {"b": np.where(CAUSAL, -1e4, 0).astype(f32)} for f in feeds_of(net, rng, 4)]
    assert nearness(net, feeds) > 0.995


def test_a_mask_computed_from_ones():
    rng = np.random.default_rng(5)
    mask = [node("Sub", "oa", "t"), node("Mul", "tl", "b"), node("Add", "sb", "m")]
    net = attention(mask, {"o": f32(1), "l": f32(-1e4)}, {"a": (TOKENS, TOKENS)})
    feeds = [f | {"a": (~CAUSAL).astype(f32)} for f in feeds_of(net, rng, 4)]
    assert nearness(net, feeds) > 0.995


@pytest.mark.parametrize("tokens", [600, 1500])
def test_probabilities_of_many_tokens_do_not_vanish(tokens):
    rng = np.random.default_rng(6)
    net = model(
        [node("MatMul", "qk", "s"), node("Softmax", "s", "p", axis=-1), node("MatMul", "pv")],
        {"q": (1, 4, 8), "k": (1, 8, tokens), "v": (1, tokens, 8)},
    )
    feeds = [
        {"q": f["q"] * f32(0.2), "k": f["k"] * f32(0.2), "v": f["v"] + np.arange(8, dtype=f32) - 3}
        for f in feeds_of(net, rng, 4)
    ]
    assert nearness(net, feeds) > 0.99


@pytest.mark.parametrize("pads", [[0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0, 3, 3]])
@pytest.mark.parametrize("last", ["MaxPool", "ReduceMax"])
def test_padding_with_infinity(pads, last):
    """Merged into a MaxPool where its pads allow it, left in float elsewhere."""
    rng = np.random.default_rng(7)
    window = {"kernel_shape": [3, 3], "strides": [2, 2]} if last == "MaxPool" else {}
    constants = {"w": rng.standard_normal((4, 3, 3, 3)).astype(f32), "p": np.array(pads)}
    nodes = [node("Conv", "xw", "c"), node("Pad", "cpl", "d")]
    if last == "MaxPool":
        nodes.append(node("MaxPool", "d", "y", **window))
    else:
        constants["a"] = np.array([3])
        nodes.append(node("ReduceMax", "da", keepdims=0))
    net = model(nodes, {"x": (1, 3, 12, 12)}, constants | {"l": f32(-np.inf)})
    feeds = feeds_of(net, rng, 3)
    quantised = quantise_onnx(net, feeds[:-1])
    got = evaluate(import_onnx(quantised), feeds[-1])["y"]
    wanted = run_plain(net, feeds[-1])[0]
    held = np.isfinite(wanted)
    np.testing.assert_array_equal(np.isfinite(got), held)
    assert cosine(got[held], wanted[held]) > 0.99


@pytest.mark.parametrize("low", [-np.inf, -1e4])
@pytest.mark.parametrize("stored", [True, False])
def test_a_mask_that_others_read_is_theirs_as_it_is(low, stored):
    """A row is asked for its largest mask, as ONNX's Attention does for rows all masked."""
    rng = np.random.default_rng(8)
    mask = np.where(CAUSAL, low, 0).astype(f32)
    mask_nodes = [] if stored else [node("Add", "ob", "c"), node("Mul", "cd", "a")]
    nodes = [
        *mask_nodes,
        node("Add", "sb" if stored else "sa", "m"),
        node("ReduceMin", "br" if stored else "ar", "z", keepdims=1),
    ]
    constants = {"b": mask, "r": np.array([-1])} | ({} if stored else {"d": f32(1)})
    net = attention(nodes, constants, {} if stored else {"o": (TOKENS, TOKENS)})
    net.graph.output.append(onnx.ValueInfoProto(name="z", type=net.graph.output[0].type))
    feeds = feeds_of(net, rng, 4)
    got = evaluate(import_onnx(quantise_onnx(net, feeds[:-1])), feeds[-1])
    wanted = run_plain(net, feeds[-1])
    assert cosine(got["y"], wanted[0]) > 0.99
    np.testing.assert_allclose(got["z"], wanted[1], rtol=1e-5)


@pytest.mark.parametrize("moved", [False, True])
def test_scores_that_others_read_are_theirs_as_they_are(moved):
    """The masked scores are an output too, as ONNX's Attention gives them (qk_matmul_output)."""
    mask = np.where(CAUSAL, -np.inf, 0).astype(f32)
    moves = (
        [node("Add", "sb", "n"), node("Reshape", "nh", "m")] if moved else [node("Add", "sb", "m")]
    )
    net = attention(moves, {"b": mask, "h": np.array([2, TOKENS, TOKENS])})
    shared = "n" if moved else "m"
    net.graph.output.append(onnx.ValueInfoProto(name=shared, type=net.graph.output[0].type))
    feeds = feeds_of(net, np.random.default_rng(9), 4)
    got = evaluate(import_onnx(quantise_onnx(net, feeds[:-1])), feeds[-1])
    wanted = run_plain(net, feeds[-1])
    assert cosine(got["y"], wanted[0]) > 0.995
    held = np.isfinite(wanted[1])
    np.testing.assert_array_equal(got[shared][~held], wanted[1][~held])
    assert cosine(got[shared][held], wanted[1][held]) > 0.995


def test_a_row_masked_as_a_whole_is_refused():
    mask = np.zeros((TOKENS, TOKENS), f32)
    mask[3] = -np.inf
    net = attention([node("Add", "sb", "m")], {"b": mask})
    with pytest.raises(CalibrationError, match="NaN"):
        quantise_onnx(net, feeds_of(net, np.random.default_rng(10), 2))


def test_a_row_masked_as_a_whole_that_the_model_takes_out():
    """As ONNX's Attention of opset 24: the probabilities of such a row are set to zero."""
    mask = np.where(CAUSAL, -np.inf, 0).astype(f32)
    mask[3] = -np.inf
    nodes = [
        node("Add", "sb", "m"),
        node("Softmax", "m", "n", axis=-1),
        node("ReduceMax", "br", "g"),
        node("Equal", "gl", "e"),
        node("Where", "ezn", "p"),
        node("MatMul", "pv"),
    ]
    constants = {"b": mask, "r": np.array([-1]), "l": f32(-np.inf), "z": f32(0)}
    net = attention([], constants)
    del net.graph.node[1:]
    net.graph.node.extend(nodes)
    feeds = feeds_of(net, np.random.default_rng(11), 4)
    assert nearness(net, feeds) > 0.995
