"""Integer and QLinear operators written directly, on uint8 ports, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from jiriki.frontend import import_onnx, reference_outputs
from jiriki.graph import evaluate
from tests.frontend.nets import node

f32 = np.float32


def integer_model(
    operation: onnx.NodeProto, shapes: dict, constants: dict, output: int
) -> onnx.ModelProto:
    """Return a model of one node with uint8 inputs."""
    out = onnx.ValueInfoProto(name="y", type=helper.make_tensor_type_proto(output, None))
    graph = helper.make_graph(
        [operation],
        "net",
        [helper.make_tensor_value_info(n, TensorProto.UINT8, s) for n, s in shapes.items()],
        [out],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def assert_equal(net: onnx.ModelProto, seed: int) -> None:
    """Both sides give the same array for random uint8 inputs."""
    rng = np.random.default_rng(seed)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in net.graph.input}
    feeds = {name: rng.integers(0, 256, shape).astype(np.uint8) for name, shape in shapes.items()}
    ours, theirs = evaluate(import_onnx(net), feeds)["y"], reference_outputs(net, feeds)["y"]
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def int8(rng, *shape):
    return rng.integers(-127, 128, shape).astype(np.int8)


def test_conv_integer():
    rng = np.random.default_rng(20)
    constants = {"w": int8(rng, 7, 4, 3, 3), "z": np.uint8(121)}
    operation = node("ConvInteger", ["x", "w", "z"], pads=[1, 1, 1, 1])
    assert_equal(integer_model(operation, {"x": (2, 4, 9, 7)}, constants, TensorProto.INT32), 20)


def test_conv_integer_with_a_zero_point_per_channel():
    rng = np.random.default_rng(25)
    points = rng.integers(100, 140, 7).astype(np.uint8)
    spread = rng.integers(-100, 100, (7, 4, 3, 3))
    constants = {
        "w": (points.astype(int).reshape(7, 1, 1, 1) + spread).astype(np.uint8),
        "z": np.uint8(121),
        "p": points,
    }
    operation = node("ConvInteger", ["x", "w", "z", "p"], strides=[2, 1])
    net = integer_model(operation, {"x": (2, 4, 9, 7)}, constants, TensorProto.INT32)
    feeds = {"x": rng.integers(0, 256, (2, 4, 9, 7)).astype(np.uint8)}
    (wanted,) = ReferenceEvaluator(net).run(None, feeds)  # ONNX Runtime takes one point only
    np.testing.assert_array_equal(evaluate(import_onnx(net), feeds)["y"], wanted)


def test_matmul_integer_of_two_activations():
    constants = {"az": np.uint8(121), "bz": np.uint8(9)}
    operation = node("MatMulInteger", ["a", "b", "az", "bz"])
    shapes = {"a": (2, 5, 16), "b": (2, 16, 6)}
    assert_equal(integer_model(operation, shapes, constants, TensorProto.INT32), 21)


@pytest.mark.parametrize("bias", [True, False])
def test_qlinear_conv(bias):
    rng = np.random.default_rng(22)
    constants = {
        "xs": f32(0.02),
        "xz": np.uint8(121),
        "w": int8(rng, 7, 4, 3, 3),
        "ws": rng.uniform(1e-3, 1e-2, 7).astype(f32),
        "wz": np.zeros(7, np.int8),
        "ys": f32(0.05),
        "yz": np.uint8(100),
        "b": rng.integers(-3000, 3000, 7).astype(np.int32),
    }
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", *(["b"] if bias else [])]
    operation = node("QLinearConv", names, strides=[2, 1])
    assert_equal(integer_model(operation, {"x": (2, 4, 9, 7)}, constants, TensorProto.UINT8), 22)


def test_qlinear_matmul():
    rng = np.random.default_rng(23)
    constants = {
        "as": f32(0.02),
        "az": np.uint8(121),
        "w": int8(rng, 16, 6),
        "ws": f32(0.004),
        "wz": np.int8(0),
        "ys": f32(0.05),
        "yz": np.uint8(100),
    }
    operation = node("QLinearMatMul", ["a", "as", "az", "w", "ws", "wz", "ys", "yz"])
    assert_equal(integer_model(operation, {"a": (5, 16)}, constants, TensorProto.UINT8), 23)
