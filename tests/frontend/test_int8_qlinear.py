"""QLinear operators on int8 activations, as ONNX Runtime's own quantiser writes them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from jiriki.frontend import import_onnx, reference_outputs
from jiriki.graph import evaluate
from tests.frontend.nets import model, node

f32 = np.float32


def as_int8(net):
    """Return the model with int8 input and output."""
    for value in (net.graph.input[0], net.graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.INT8
    return net


@pytest.mark.parametrize("points", [(0, 0), (-7, 5)])
def test_matrix_product_is_exact(points):
    """By NumPy: the float32 multiplier is (0.1 * 0.2) / 31."""
    rng = np.random.default_rng(4)
    x, w = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((4, 30), (30, 6)))
    constants = {"s": f32(0.1), "z": np.int8(points[0]), "w": w, "t": f32(0.2), "u": np.int8(0)}
    constants |= {"c": f32(31), "d": np.int8(points[1])}
    net = as_int8(model([node("QLinearMatMul", "xszwtucd")], {"x": x.shape}, constants))
    sums = (x.astype(np.int64) - points[0]) @ w.astype(np.int64)
    factor = f32(f32(f32(0.1) * f32(0.2)) / f32(31))
    wanted = np.clip(np.rint(sums.astype(f32) * factor) + points[1], -128, 127)
    np.testing.assert_array_equal(evaluate(import_onnx(net), {"x": x})["y"], wanted)


@pytest.mark.parametrize("group", [1, 4])
def test_convolution_equals_onnx_runtime(group):
    rng = np.random.default_rng(5)
    x, w = (
        rng.integers(-128, 128, s).astype(np.int8) for s in ((1, 4, 7, 6), (8, 4 // group, 3, 3))
    )
    constants = {"s": f32(0.1), "z": np.int8(3), "w": w, "u": np.zeros(8, np.int8)}
    constants |= {"t": rng.uniform(0.01, 0.02, 8).astype(f32), "c": f32(0.9), "d": np.int8(-4)}
    constants |= {"b": rng.integers(-900, 900, 8).astype(np.int32)}
    operation = node("QLinearConv", "xszwtucdb", group=group, pads=[1, 1, 1, 1])
    net = as_int8(model([operation], {"x": x.shape}, constants))
    ours = evaluate(import_onnx(net), {"x": x})["y"]
    np.testing.assert_array_equal(ours, reference_outputs(net, {"x": x})["y"])
