"""Stored tensors in unusual places: weights with several readers, on the left, and in a Concat."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.frontend import import_onnx, quantise_onnx
from jiriki.frontend.onnx.reference import run_plain
from jiriki.sim.functional import FunctionalEngine
from tests.frontend.nets import model, node, weights

f32 = np.float32
RNG = np.random.default_rng(11)
SQUARE, OTHER = weights(RNG, 16, 16), weights(RNG, 16, 16)
FILTER = weights(RNG, 4, 4, 3, 3)


def on_chip(net: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> np.ndarray:
    chip = load_chip("nano")
    run = FunctionalEngine(chip).run(compile_graph(import_onnx(net), chip), feeds)
    assert run.outputs is not None
    return run.outputs["y"]


def quantised(nodes, shape, stored) -> tuple[np.ndarray, np.ndarray]:
    """Return what the chip computes of the quantised model, and ONNX's value of the float one."""
    net = model(nodes, {"x": shape}, stored)
    feeds = {"x": np.random.default_rng(12).standard_normal(shape).astype(f32)}
    return on_chip(quantise_onnx(net, [feeds]), feeds), run_plain(net, feeds)[0]


def noise_db(got: np.ndarray, wanted: np.ndarray) -> float:
    error = got.astype(np.float64) - wanted
    return 10 * np.log10((error**2).sum() / (wanted.astype(np.float64) ** 2).sum())


TIED = {
    "MatMul": ((1, 8, 16), SQUARE, [node("MatMul", ["x", "w"], ["a"]), node("MatMul", ["a", "w"])]),
    "three times": (
        (1, 8, 16),
        SQUARE,
        [
            node("MatMul", ["x", "w"], ["a"]), node("MatMul", ["a", "w"], ["b"]),
            node("MatMul", ["b", "w"]),
        ],
    ),
    "Conv": (
        (1, 4, 6, 6),
        FILTER,
        [
            node("Conv", ["x", "w"], ["a"], pads=[1] * 4), node("Relu", ["a"], ["b"]),
            node("Conv", ["b", "w"], pads=[1] * 4),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TIED)
def test_a_weight_read_twice_computes_as_two_equal_weights_do(kind):
    shape, w, nodes = TIED[kind]
    got, wanted = quantised(nodes, shape, {"w": w})
    apart = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    readers = [n for n in apart if "w" in n.input]
    for count, reader in enumerate(readers):
        reader.input[1] = f"w{count}"
    twin, _ = quantised(apart, shape, {f"w{count}": w for count in range(len(readers))})
    np.testing.assert_array_equal(got, twin)
    assert noise_db(got, wanted) < -35


def test_a_matrix_on_the_left_is_quantised_over_what_is_summed():
    w = weights(RNG, 16, 24) * np.geomspace(0.2, 2, 24).astype(f32)
    got, wanted = quantised([node("MatMul", ["w", "x"])], (1, 24, 10), {"w": w})
    assert noise_db(got, wanted) < -35


def test_a_stored_row_joins_a_computed_tensor_in_its_scale():
    """The class token of a vision transformer; its scale differs from the patches'."""
    nodes = [
        node("MatMul", ["x", "w"], ["p"]), node("Concat", ["c", "p"], ["t"], axis=1),
        node("MatMul", ["t", "v"]),
    ]  # fmt: skip
    token = np.full((1, 1, 16), 0.1, f32)
    stored = {"w": SQUARE, "v": OTHER, "c": token}
    got, wanted = quantised(nodes, (1, 8, 16), stored)
    assert noise_db(got, wanted) < -35
    assert np.abs(got[:, 0] - wanted[:, 0]).max() < 0.05
