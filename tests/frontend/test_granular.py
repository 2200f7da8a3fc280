"""Scales per axis and per block, and 16 bits, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from jiriki.frontend import UnsupportedOperatorError, import_onnx, reference_outputs
from jiriki.graph import evaluate
from tests.frontend.nets import node

f32 = np.float32
SHAPE = (2, 6, 5)
# name -> (shape of scales, attributes)
GRAINS = {
    "axis 1": ((6,), {"axis": 1}),
    "last axis": ((5,), {"axis": -1}),
    "blocks": ((2, 2, 5), {"axis": 1, "block_size": 3}),
    "uneven blocks": ((2, 6, 3), {"axis": 2, "block_size": 2}),
}


def scaled_model(op: str, dtype: str, shape: tuple[int, ...], attrs: dict) -> onnx.ModelProto:
    """Return one QuantizeLinear or DequantizeLinear with random scales and zero points."""
    rng = np.random.default_rng(3)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    ends = [onnx.TensorProto.FLOAT, kind]
    input_type, output_type = ends if op == "QuantizeLinear" else ends[::-1]
    scale = rng.uniform(0.01, 0.05, shape).astype(f32)
    zero_point = rng.integers(0, 100, shape).astype(dtype)
    graph = helper.make_graph(
        [node(op, "xsz", **attrs)],
        "net",
        [helper.make_tensor_value_info("x", input_type, SHAPE)],
        [helper.make_tensor_value_info("y", output_type, SHAPE)],
        [numpy_helper.from_array(scale, "s"), numpy_helper.from_array(zero_point, "z")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def both(net: onnx.ModelProto, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ours, theirs = evaluate(import_onnx(net), {"x": x})["y"], reference_outputs(net, {"x": x})["y"]
    assert ours.dtype == theirs.dtype
    return ours, theirs


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
@pytest.mark.parametrize("grain", GRAINS)
def test_dequantising_is_exact(grain, dtype):
    limits = np.iinfo(dtype)
    x = np.random.default_rng(4).integers(limits.min, limits.max, SHAPE, endpoint=True)
    ours, theirs = both(scaled_model("DequantizeLinear", dtype, *GRAINS[grain]), x.astype(dtype))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
@pytest.mark.parametrize("grain", GRAINS)
def test_quantising_is_within_one_step_and_saturates(grain, dtype):
    reach = 5 if dtype in ("int8", "uint8") else 1500
    x = (np.random.default_rng(5).standard_normal(SHAPE) * reach).astype(f32)
    ours, theirs = both(scaled_model("QuantizeLinear", dtype, *GRAINS[grain]), x)
    steps = np.abs(ours.astype(int) - theirs.astype(int))
    assert steps.max() <= 1 and (steps == 0).mean() > 0.95
    assert np.iinfo(dtype).max in ours


def test_sixteen_bits_per_tensor():
    x = (np.random.default_rng(6).standard_normal(SHAPE) * 100).astype(f32)
    ours, theirs = both(scaled_model("QuantizeLinear", "int16", (), {}), x)
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1
    np.testing.assert_array_equal(*both(scaled_model("DequantizeLinear", "int16", (), {}), ours))


def test_scales_that_fit_nothing_are_refused():
    net = scaled_model("QuantizeLinear", "int8", (2, 3, 5), {"axis": 1, "block_size": 2})
    array = numpy_helper.from_array(np.ones((2, 4, 5), f32), "s")
    net.graph.initializer[0].CopyFrom(array)
    with pytest.raises(UnsupportedOperatorError, match="scale of shape"):
        import_onnx(net)
