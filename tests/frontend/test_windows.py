"""Windows over depth, dilated means and positions of maxima, against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from jiriki.frontend import import_onnx, quantise_onnx, reference_session
from jiriki.graph import evaluate
from tests.frontend.nets import compare, feeds_of, model, node, qdq, weights

f32 = np.float32
VOLUME = (2, 4, 7, 9, 8)


def quantised(net: onnx.ModelProto, rng: np.random.Generator) -> onnx.ModelProto:
    return quantise_onnx(net, feeds_of(net, rng, 2))


CONVOLUTIONS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((6, 4, 3, 2, 3), {}),
    "padded": ((6, 4, 3, 3, 3), {"pads": [1, 2, 0, 2, 1, 1], "strides": [2, 1, 2]}),
    "dilated": ((6, 4, 2, 3, 2), {"dilations": [3, 2, 1], "pads": [1, 0, 0, 2, 1, 1]}),
    "grouped": ((6, 2, 3, 3, 1), {"group": 2, "auto_pad": "SAME_UPPER"}),
    "depthwise": ((8, 1, 3, 3, 3), {"group": 4, "pads": [1] * 6, "strides": [1, 2, 1]}),
    "point": ((5, 4, 1, 1, 1), {}),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution_over_depth_equals_onnxruntime(case: str) -> None:
    rng = np.random.default_rng(1)
    shape, attrs = CONVOLUTIONS[case]
    nodes = [node("Conv", ["x", "w", "b"], "c", **attrs), node("Relu", "c")]
    constants = {"w": weights(rng, *shape), "b": weights(rng, shape[0])}
    net = quantised(model(nodes, {"x": VOLUME}, constants), rng)
    assert compare(net, rng).differing == 0


TRANSPOSED: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((4, 3, 3, 2, 3), {}),
    "strided": ((4, 3, 3, 3, 2), {"strides": [2, 3, 1], "output_padding": [1, 2, 0]}),
    "cropped": ((4, 3, 2, 3, 3), {"pads": [1, 0, 2, 0, 2, 1], "dilations": [2, 1, 2]}),
    "grouped": ((4, 3, 3, 3, 3), {"group": 2, "strides": [2, 2, 2], "pads": [1] * 6}),
    "same": ((4, 3, 3, 3, 3), {"auto_pad": "SAME_LOWER", "strides": [2, 1, 2]}),
}


@pytest.mark.parametrize("case", TRANSPOSED)
def test_transposed_convolution_over_depth_is_within_one_step(case: str) -> None:
    rng = np.random.default_rng(2)
    shape, attrs = TRANSPOSED[case]
    nodes = [node("ConvTranspose", ["x", "w", "b"], "c", **attrs), node("Relu", "c")]
    outputs = shape[1] * attrs.get("group", 1)
    constants = {"w": weights(rng, *shape), "b": weights(rng, outputs)}
    comparison = compare(quantised(model(nodes, {"x": (2, 4, 3, 4, 5)}, constants), rng), rng)
    assert comparison.largest <= 1.001 and comparison.differing <= comparison.elements // 1000


POOLS: list[dict[str, Any]] = [
    {"kernel_shape": [2, 3, 2]},
    {"kernel_shape": [3, 3, 2], "strides": [2, 1, 3], "pads": [1, 2, 0, 0, 1, 1]},
    {"kernel_shape": [2, 3, 2], "dilations": [3, 2, 1], "ceil_mode": 1, "strides": [2, 2, 2]},
    {"kernel_shape": [3, 3, 3], "auto_pad": "SAME_LOWER", "strides": [2, 2, 2]},
]


@pytest.mark.parametrize("attrs", POOLS)
def test_maximum_over_depth_equals_onnxruntime(attrs: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    assert compare(model([node("MaxPool", "x", **attrs)], {"x": VOLUME}), rng).differing == 0
    quantised_net = qdq([node("MaxPool", "a", "c", **attrs)], {"x": VOLUME})
    assert compare(quantised_net, rng).differing == 0


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("attrs", POOLS)
def test_mean_over_depth_is_onnxruntimes(attrs: dict[str, Any], include: int) -> None:
    rng = np.random.default_rng(4)
    mean = node("AveragePool", "x", count_include_pad=include, **attrs)
    assert compare(model([mean], {"x": VOLUME}, opset=22), rng).largest < 1e-6


MEANS: list[dict[str, Any]] = [
    {"kernel_shape": [3, 2], "dilations": [2, 3]},
    {"kernel_shape": [3, 3], "dilations": [2, 1], "pads": [2, 1, 1, 2], "strides": [2, 3]},
    {"kernel_shape": [3, 3], "pads": [1, 1, 2, 0], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [2, 4], "auto_pad": "SAME_UPPER", "dilations": [1, 1]},
]


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("attrs", MEANS)
def test_mean_counts_what_onnxruntime_counts(attrs: dict[str, Any], include: int) -> None:
    rng = np.random.default_rng(5)
    mean = node("AveragePool", "x", count_include_pad=include, **attrs)
    assert compare(model([mean], {"x": (2, 3, 11, 14)}, opset=22), rng).largest < 1e-6


@pytest.mark.parametrize("attrs", POOLS[:2])
def test_int8_mean_over_depth_is_within_one_step(attrs: dict[str, Any]) -> None:
    rng = np.random.default_rng(6)
    comparison = compare(qdq([node("AveragePool", "a", "c", **attrs)], {"x": VOLUME}), rng)
    assert {n.op for n in comparison.graph.nodes} >= {"conv", "quantize"}
    assert comparison.largest <= 1.001 and comparison.differing <= comparison.elements // 500


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("attrs", MEANS)
def test_int8_mean_counts_what_onnxruntime_counts(attrs: dict[str, Any], include: int) -> None:
    rng = np.random.default_rng(5)
    mean = node("AveragePool", "a", "c", count_include_pad=include, **attrs)
    comparison = compare(qdq([mean], {"x": (2, 3, 11, 14)}, opset=22), rng)
    assert comparison.largest <= 1.001 and comparison.differing <= comparison.elements // 500


def test_global_int8_mean_over_depth_equals_onnxruntime() -> None:
    rng = np.random.default_rng(7)
    net = qdq([node("GlobalAveragePool", "a", "c")], {"x": VOLUME}, out=(0.0013, 5))
    assert compare(net, rng).differing == 0


INDEXED: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 17), {"kernel_shape": [3], "strides": [2], "pads": [1, 1], "ceil_mode": 1}),
    ((2, 3, 7, 9), {"kernel_shape": [3, 2], "pads": [1, 0, 2, 1], "dilations": [2, 1]}),
    ((2, 3, 7, 9), {"kernel_shape": [2, 2], "strides": [2, 2], "storage_order": 1}),
    ((2, 2, 5, 6, 7), {"kernel_shape": [2, 3, 2], "strides": [1, 2, 2], "pads": [1, 0, 1] * 2}),
    ((2, 2, 5, 6, 7), {"kernel_shape": [2, 2, 2], "storage_order": 1}),
]


@pytest.mark.parametrize("values", [3, 100])
@pytest.mark.parametrize(("shape", "attrs"), INDEXED)
def test_positions_of_maxima_equal_onnxruntime(
    shape: tuple[int, ...], attrs: dict[str, Any], values: int
) -> None:
    """Few values make equal maxima, of which the first counts."""
    net = model([node("MaxPool", "x", "yi", **attrs)], {"x": shape}, outputs=("y", "i"))
    net.graph.output[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    rng = np.random.default_rng(8)
    x = (rng.integers(0, values, shape) - values // 2).astype(f32)
    wanted = reference_session(net).run(None, {"x": x})
    got = evaluate(import_onnx(net), {"x": x})
    np.testing.assert_array_equal(got["y"], wanted[0])
    np.testing.assert_array_equal(got["i"], wanted[1])


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_space_to_depth_of_opset_28_equals_onnx(mode: str) -> None:
    net = model([node("SpaceToDepth", "x", blocksize=2, mode=mode)], {"x": (2, 3, 4, 6)}, opset=28)
    x = np.random.default_rng(9).standard_normal((2, 3, 4, 6)).astype(f32)
    (wanted,) = ReferenceEvaluator(net).run(None, {"x": x})
    np.testing.assert_array_equal(evaluate(import_onnx(net), {"x": x})["y"], wanted)


@pytest.mark.parametrize("op", ["Conv", "MaxPool"])
@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
def test_same_padding_beside_dilations(op, mode):
    """ONNX Runtime refuses the pair; by hand: 2 * (3 - 1) = 4 of padding, two a side."""
    rng = np.random.default_rng(12)
    attrs: dict[str, Any] = {"dilations": [2, 2]}
    attrs |= {"kernel_shape": [3, 3]} if op == "MaxPool" else {}
    stored = {"w": weights(rng, 4, 3, 3, 3)} if op == "Conv" else {}
    inputs = "xw" if op == "Conv" else "x"
    nets = [
        model([node(op, inputs, "y", **attrs, **padding)], {"x": (1, 3, 9, 8)}, stored)
        for padding in ({"auto_pad": mode}, {"pads": [2, 2, 2, 2]})
    ]
    feeds = feeds_of(nets[0], rng, 2)
    if op == "Conv":
        nets = [quantise_onnx(net, feeds) for net in nets]
    same, spelled = (evaluate(import_onnx(net), feeds[0])["y"] for net in nets)
    np.testing.assert_array_equal(same, spelled)
