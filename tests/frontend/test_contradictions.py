"""Models that contradict themselves, and float models without a range, are refused by name."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from jiriki.frontend import import_onnx, quantise_onnx
from jiriki.frontend.errors import CalibrationError, ModelFileError

SHAPE = [1, 3, 6, 6]


def conv(weights: np.ndarray, **attributes: object) -> onnx.ModelProto:
    """One convolution of x, then a Relu; the output's shape is left open."""
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], "the_conv", **attributes),  # type: ignore[arg-type]
            helper.make_node("Relu", ["c"], ["y"], "the_relu"),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights.astype(np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def weights() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.3, (4, 3, 3, 3))


def feeds() -> list[dict[str, np.ndarray]]:
    return [{"x": np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)}]


@pytest.mark.parametrize("dims", [[], [7, -1], [-(2**63)], [1, 4, 2**40, 4]])
def test_hints_of_shapes_that_are_false_change_nothing(dims: list[int]) -> None:
    """`value_info` is a hint that tools leave behind; inference says what is true."""
    plain, hinted = conv(weights()), conv(weights())
    hinted.graph.value_info.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, dims))
    expected = import_onnx(quantise_onnx(plain, feeds())).content_hash()
    assert import_onnx(quantise_onnx(hinted, feeds())).content_hash() == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_number_is_refused_by_what_it_makes(value: float) -> None:
    broken = weights()
    broken[1, 2, 0, 1] = value
    with pytest.raises(CalibrationError, match="Conv the_conv: its operand w holds NaN"):
        quantise_onnx(conv(broken), feeds())


def test_a_result_beyond_float32_is_refused_by_what_makes_it() -> None:
    with pytest.raises(CalibrationError, match="Conv the_conv: its result c is NaN or infinite"):
        quantise_onnx(conv(weights() * 3e38), feeds())


def test_a_node_with_too_few_inputs_is_refused_before_anything_reads_them() -> None:
    model = conv(weights())
    model.graph.node[0].op_type = "QLinearConv"
    with pytest.raises(ModelFileError, match=r"the_conv.* has input size 2 not in range"):
        import_onnx(model)


def test_an_output_without_a_shape_keeps_none() -> None:
    model = conv(weights(), strides=[2, 2])
    quantised = quantise_onnx(model, feeds())
    assert import_onnx(quantised).outputs[0].shape == (1, 4, 2, 2)
