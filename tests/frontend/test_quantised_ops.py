"""Quantised operators against ONNX Runtime: every element equal, or within one counted step."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.frontend import import_onnx, quantise_onnx
from jiriki.frontend.onnx.reference import run_plain
from jiriki.graph import evaluate
from tests.frontend.nets import compare, feeds_of, model, node, qdq, weights

f32 = np.float32

CONVOLUTIONS = {
    "3x3": ((2, 5, 9, 11), (7, 5, 3, 3), {}),
    "1x1": ((1, 40, 6, 6), (24, 40, 1, 1), {}),
    "strided, uneven pads": (
        (1, 5, 9, 11),
        (7, 5, 3, 3),
        {"strides": [2, 2], "pads": [0, 1, 2, 1]},
    ),
    "dilated": ((1, 5, 9, 11), (7, 5, 3, 3), {"dilations": [2, 3]}),
    "grouped": ((1, 6, 9, 11), (8, 3, 3, 3), {"group": 2}),
    "depthwise": ((1, 6, 9, 11), (6, 1, 3, 3), {"group": 6, "pads": [1, 1, 1, 1]}),
    "depthwise times 2": ((1, 6, 9, 11), (12, 1, 3, 3), {"group": 6}),
    "same upper": ((1, 3, 9, 12), (4, 3, 3, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same lower": ((1, 3, 9, 12), (4, 3, 4, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "one-dimensional": ((2, 5, 17), (6, 5, 3), {"strides": [2], "pads": [1, 0]}),
}
ACTIVATIONS = {
    "none": ([node("Conv", "xwb")], {}),
    "relu": ([node("Conv", "xwb", "c"), node("Relu", "c")], {}),
    "relu6": ([node("Conv", "xwb", "c"), node("Clip", "clh")], {"l": f32(0), "h": f32(1)}),
}


def quantised(net, rng):
    """Quantise a float model on four random feeds."""
    return quantise_onnx(net, feeds_of(net, rng, 4))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_conv_equals_onnxruntime(case, activation):
    rng = np.random.default_rng(1)
    shape, w, attrs = CONVOLUTIONS[case]
    nodes, extra = ACTIVATIONS[activation]
    nodes[0].attribute.extend(node("Conv", "x", **attrs).attribute)
    net = model(nodes, {"x": shape}, {"w": weights(rng, *w), "b": weights(rng, w[0]), **extra})
    del nodes[0].attribute[:]
    assert compare(quantised(net, rng), rng).differing == 0


TRANSPOSED = {
    "plain": {},
    "strided": {"strides": [2, 2]},
    "cropped": {"strides": [2, 2], "pads": [1, 1, 1, 1]},
    "output padding": {"strides": [2, 2], "output_padding": [1, 1]},
    "grouped": {"strides": [2, 2], "group": 2},
    "dilated": {"dilations": [2, 2]},
    "same": {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "output shape": {"strides": [3, 2], "output_shape": [16, 13]},
}


@pytest.mark.parametrize("case", TRANSPOSED)
def test_conv_transpose_is_within_one_step(case):
    rng = np.random.default_rng(2)
    attrs = TRANSPOSED[case]
    constants = {"w": weights(rng, 4, 3, 3, 3), "b": weights(rng, 3 * attrs.get("group", 1))}
    net = model([node("ConvTranspose", "xwb", **attrs)], {"x": (1, 4, 5, 6)}, constants)
    comparison = compare(quantised(net, rng), rng)
    assert comparison.largest <= 1.001 and comparison.differing <= comparison.elements // 500


PRODUCTS = {
    "gemm": (node("Gemm", "xwb"), (3, 8), (8, 5), (5,)),
    "gemm transposed": (node("Gemm", "xwb", transB=1), (3, 8), (5, 8), (5,)),
    "gemm transposed a": (node("Gemm", "xwb", transA=1), (8, 3), (8, 5), (5,)),
    "gemm scaled": (node("Gemm", "xwb", alpha=0.5, beta=2.0), (3, 8), (8, 5), (5,)),
    "gemm matrix bias": (node("Gemm", "xwb"), (3, 8), (8, 5), (3, 5)),
    "matmul": (node("MatMul", "xw"), (2, 3, 8), (8, 5), (1,)),
    "matmul batch": (node("MatMul", "xw"), (2, 3, 8), (2, 8, 5), (1,)),
    "matmul vector": (node("MatMul", "xw"), (8,), (8, 5), (1,)),
    "matmul by vector": (node("MatMul", "xw"), (3, 8), (8,), (1,)),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_matrix_product_equals_onnxruntime(case):
    rng = np.random.default_rng(3)
    product, x, w, b = PRODUCTS[case]
    net = model([product], {"x": x}, {"w": weights(rng, *w), "b": weights(rng, *b)})
    assert compare(quantised(net, rng), rng).differing == 0


def test_product_of_two_activations_equals_onnxruntime():
    rng = np.random.default_rng(4)
    net = model([node("MatMul", "xz")], {"x": (2, 1, 3, 8), "z": (4, 8, 5)})
    assert compare(quantised(net, rng), rng).differing == 0


UNARY = [
    "Sigmoid",
    "Tanh",
    "HardSwish",
    "HardSigmoid",
    "LeakyRelu",
    "Elu",
    "Selu",
    "Celu",
    "Erf",
    "Exp",
    "Relu",
    "Softplus",
    "Softsign",
    "Mish",
    "Abs",
    "Neg",
    "Sign",
    "Floor",
    "Ceil",
    "Round",
    "ThresholdedRelu",
    "Reciprocal",
    "Sqrt",
    "Log",
]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("op", UNARY)
def test_function_of_one_int8_is_an_exact_table(op, dtype):
    rng = np.random.default_rng(5)
    comparison = compare(qdq([node(op, "a", "c")], {"x": (2, 3, 5, 7)}, dtype), rng)
    assert comparison.differing == 0
    assert [n.op for n in comparison.graph.nodes] == ["lut"]


def test_x_times_sigmoid_of_x_is_one_table():
    rng = np.random.default_rng(6)
    first, last = weights(rng, 4, 3, 1, 1), weights(rng, 3, 4, 1, 1)
    nodes = [
        node("Conv", "xw", "c"), node("Sigmoid", "c", "s"), node("Mul", "cs", "m"),
        node("Conv", "mv"),
    ]  # fmt: skip
    net = model(nodes, {"x": (2, 3, 5, 7)}, {"w": first, "v": last})
    comparison = compare(quantised(net, rng), rng)
    assert comparison.differing == 0
    assert [n.op for n in comparison.graph.nodes] == ["conv", "lut", "conv"]


SHAPES = [(2, 3, 15, 17), (3, 1, 1), (17,), (1,), (2, 1, 15, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("op", ["Add", "Mul", "Sub"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_broadcast_arithmetic_equals_onnxruntime(op, shape, dtype):
    rng = np.random.default_rng(7)
    inputs = {"x": (2, 3, 15, 17), "z": shape}
    comparison = compare(qdq([node(op, "ab", "c")], inputs, dtype, out=(0.0313, 4)), rng)
    assert comparison.differing == 0
    assert {n.op for n in comparison.graph.nodes} <= {"qadd", "qmul"}


def test_first_operand_may_be_the_broadcast_one():
    rng = np.random.default_rng(8)
    inputs = {"x": (1, 3, 1, 1), "z": (2, 3, 15, 17)}
    assert compare(qdq([node("Add", "ab", "c")], inputs), rng).differing == 0


EXACT = {
    "maxpool": [node("MaxPool", "a", "c", kernel_shape=[3, 3], strides=[2, 2])],
    "maxpool ceil": [node("MaxPool", "a", "c", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)],
    "global average": [node("GlobalAveragePool", "a", "c")],
    "global max": [node("GlobalMaxPool", "a", "c")],
    "transpose": [node("Transpose", "a", "c", perm=[0, 2, 3, 1])],
    "flatten": [node("Flatten", "a", "c")],
    "depth to space": [node("DepthToSpace", "a", "c", blocksize=2)],
    "nearest": [node("Resize", ["a", "", "scales"], "c", mode="nearest")],
    "pad with zero": [node("Pad", ["a", "pads"], "c")],
    "pad reflect": [node("Pad", ["a", "pads"], "c", mode="reflect")],
    "slice": [node("Slice", ["a", "from", "to", "axes", "steps"], "c")],
    "concat": [node("Concat", "ab", "c", axis=1)],
    "split": [node("Split", "a", "st", axis=1, num_outputs=2), node("Concat", "ts", "c", axis=1)],
    "softmax": [node("Softmax", "a", "c", axis=1)],
    "where": [node("Greater", "ab", "g"), node("Where", "gab", "c")],
}
EXACT_CONSTANTS = {
    "scales": np.array([1, 1, 2, 1.7], f32),
    "pads": np.array([0, 0, 1, 2, 0, 0, 3, 0]),
    "from": np.array([1, -2]),
    "to": np.array([4, -100]),
    "axes": np.array([1, 3]),
    "steps": np.array([1, -2]),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("case", EXACT)
def test_pooling_movement_and_selection_equal_onnxruntime(case, dtype):
    rng = np.random.default_rng(9)
    shape = (2, 8, 9, 7)
    nodes = EXACT[case]
    inputs = {"x": shape, "z": shape} if any("b" in n.input for n in nodes) else {"x": shape}
    used = {name for n in nodes for name in n.input}
    constants = {k: v for k, v in EXACT_CONSTANTS.items() if k in used}
    assert compare(qdq(nodes, inputs, dtype, constants), rng).differing == 0


@pytest.mark.parametrize(
    "attrs",
    [
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        {"kernel_shape": [3, 2], "strides": [2, 1], "ceil_mode": 1},
    ],
)
def test_quantised_average_pool_is_within_one_step(attrs):
    rng = np.random.default_rng(10)
    net = qdq([node("AveragePool", "a", "c", **attrs)], {"x": (2, 16, 19, 17)})
    comparison = compare(net, rng)
    assert comparison.largest <= 1.001 and comparison.differing <= comparison.elements // 1000


@pytest.mark.parametrize("attrs", [{"kernel_shape": [3, 2]}, {"kernel_shape": [9, 7]}])
def test_average_pool_of_our_own_quantisation_is_exact(attrs):
    rng = np.random.default_rng(11)
    nodes = [node("Conv", "xw", "c"), node("AveragePool", "c", "p", **attrs), node("Conv", "pv")]
    constants = {"w": weights(rng, 6, 4, 1, 1), "v": weights(rng, 5, 6, 1, 1)}
    net = quantised(model(nodes, {"x": (2, 4, 9, 7)}, constants), rng)
    assert compare(net, rng).differing == 0


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_interpolation_between_int8_is_within_one_step(mode, dtype):
    rng = np.random.default_rng(12)
    constants = {"s": np.array([1, 1, 2, 1.7], f32)}
    net = qdq(
        [node("Resize", ["a", "", "s"], "c", mode=mode)], {"x": (1, 4, 9, 7)}, dtype, constants
    )
    comparison = compare(net, rng)
    assert comparison.largest <= 1.001 and comparison.differing <= comparison.elements // 100


def dequantised_weights(rng, symmetric):
    """Return the nodes and constants of int8 or asymmetric uint8 weights w [7,4,3,3]."""
    if symmetric:
        array, scale = (
            rng.integers(-127, 128, (7, 4, 3, 3)).astype(np.int8),
            rng.uniform(1e-3, 1e-2, 7),
        )
        point = np.zeros(7, np.int8)
    else:
        array, scale = rng.integers(0, 256, (7, 4, 3, 3)).astype(np.uint8), np.array(0.004)
        point = np.array(117, np.uint8)
    constants = {"wq": array, "ws": scale.astype(f32), "wz": point}
    return node("DequantizeLinear", ["wq", "ws", "wz"], ["w"], axis=0), constants


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_foreign_conv_equals_onnxruntime(dtype, symmetric):
    rng = np.random.default_rng(13)
    weight, constants = dequantised_weights(rng, symmetric)
    net = qdq([weight, node("Conv", "aw", "c")], {"x": (1, 4, 9, 7)}, dtype, constants)
    assert compare(net, rng).differing == 0


def test_relu_that_stays_before_quantise_is_absorbed_within_one_step():
    rng = np.random.default_rng(14)
    weight, constants = dequantised_weights(rng, symmetric=True)
    nodes = [weight, node("Conv", "aw", "d"), node("Relu", "d", "c")]
    comparison = compare(qdq(nodes, {"x": (1, 4, 9, 7)}, np.int8, constants), rng)
    assert comparison.largest <= 1.001 and comparison.differing <= comparison.elements // 500
    assert [n.op for n in comparison.graph.nodes] == ["conv"]


CLAMPS = {
    "a Relu, then below 0": ["Relu", (-5, -1)],
    "below 0, then a Relu": [(-5, -1), "Relu"],
    "crossed": [(2, -2)],
    "apart": [(2, 3), (-1, 1)],
    "apart, upwards": [(-1, 1), (2, 3)],
}


@pytest.mark.parametrize("case", CLAMPS)
def test_clamps_apply_in_order(case):
    """A product's clamps leave what min(max(x, low), high) of each in turn leaves."""
    rng = np.random.default_rng(13)
    nodes, stored, last = [node("Conv", "aw", ["k"])], {}, "k"
    for i, clamp in enumerate(CLAMPS[case]):
        target = "c" if i == len(CLAMPS[case]) - 1 else f"k{i}"
        inputs = [last]
        if clamp != "Relu":
            stored |= {f"l{i}": f32(clamp[0]), f"h{i}": f32(clamp[1])}
            inputs += [f"l{i}", f"h{i}"]
        nodes.append(node("Relu" if clamp == "Relu" else "Clip", inputs, [target]))
        last = target
    stored |= {"i": rng.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8), "t": f32(0.02)}
    nodes.insert(0, node("DequantizeLinear", "itu", "w"))
    net = qdq(nodes, {"x": (1, 3, 6, 5)}, constants=stored | {"u": np.int8(0)}, out=(0.05, -100))
    feeds = feeds_of(net, rng, 1)[0]
    wanted = run_plain(net, feeds)[0]
    got = evaluate(import_onnx(net), feeds)["y"]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=0.0501)


@pytest.mark.parametrize("bounds", ["xl", "xlh", ["x", "", "h"]])
def test_clip_between_computed_bounds(bounds):
    """By NumPy: min(max(x, low), high)."""
    nodes = [
        node("ReduceMin", "x", "a", keepdims=0),
        node("ReduceMax", "x", "b", keepdims=0),
        node("Mul", "at", "l"),
        node("Mul", "bt", "h"),
        node("Clip", bounds),
    ]
    net = model(nodes, {"x": (2, 9)}, {"t": f32(0.5)}, 17)
    x = np.random.default_rng(14).standard_normal((2, 9)).astype(f32)
    wanted = np.maximum(x, x.min() / 2) if "l" in bounds else x
    wanted = np.minimum(wanted, x.max() / 2) if "h" in bounds else wanted
    np.testing.assert_array_equal(evaluate(import_onnx(net), {"x": x})["y"], wanted)
