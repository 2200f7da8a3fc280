"""Bad models: each gives one clear line that names the object and what to do."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from jiriki.errors import JirikiError
from jiriki.frontend import (
    FrontendError,
    ModelFileError,
    NotQuantisedError,
    OpenShapeError,
    UnsupportedOperatorError,
    import_onnx,
    quantise_onnx,
)
from jiriki.graph import evaluate
from tests.frontend.nets import model, node, qdq

f32 = np.float32


def refusal(error: type[JirikiError], *args, **kwargs) -> str:
    """Return the message of the refused import: one line."""
    with pytest.raises(error) as caught:
        import_onnx(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_text_file(tmp_path):
    path = tmp_path / "notes.onnx"
    path.write_text("not a model at all")
    assert "another format" in refusal(ModelFileError, path)


def test_truncated_file(tmp_path):
    path = tmp_path / "cut.onnx"
    net = model([node("Add", "xc")], {"x": (100,)}, {"c": np.ones(100, f32)})
    path.write_bytes(net.SerializeToString()[:-60])
    assert str(path) in refusal(ModelFileError, path)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
@pytest.mark.parametrize("op", ["Conv", "MatMul", "Gemm", "ConvTranspose"])
def test_products_of_16_bit_activations_say_so(op, dtype):
    """ONNX Runtime's quantiser writes such models when asked for QUInt16 activations."""
    shape, w = ((1, 3, 8, 8), (3, 3, 1, 1)) if op.startswith("Conv") else ((4, 3), (3, 3))
    weights = {"v": np.ones(w, np.int8), "s": f32(0.1), "z": np.int8(0)}
    nodes = [node("DequantizeLinear", "vsz", "w"), node(op, "aw", "c")]
    net = qdq(nodes, {"x": shape}, dtype, weights, opset=21)
    message = refusal(UnsupportedOperatorError, net)
    assert np.dtype(dtype).name in message and "8-bit activations" in message


def test_weights_alone_in_int8_are_asked_to_be_quantised():
    """ONNX Runtime merges them into an operator of its own, of which the user has not heard."""
    weights = {"v": np.ones((32, 32), np.int8), "s": np.full(32, 0.1, f32)}
    nodes = [node("DequantizeLinear", "vs", "w", axis=1), node("MatMul", "xw")]
    net = model(nodes, {"x": (4, 32)}, weights, opset=21)
    message = refusal(NotQuantisedError, net)
    assert "float operands" in message and "quantise_onnx" in message
    x = np.random.default_rng(0).standard_normal((4, 32)).astype(f32)
    graph = import_onnx(quantise_onnx(net, [{"x": x}]))
    np.testing.assert_allclose(
        evaluate(graph, {"x": x})["y"], 0.1 * (x @ np.ones((32, 32))), atol=0.1
    )


def test_empty_bytes():
    assert "no ONNX graph" in refusal(ModelFileError, b"")


def test_missing_file_and_directory(tmp_path):
    assert "check the path" in refusal(ModelFileError, tmp_path / "none.onnx")
    assert "directory" in refusal(ModelFileError, tmp_path)


def open_model() -> onnx.ModelProto:
    net = model([node("Relu", "x")], {"x": (1, 3, 8, 8)})
    dims = net.graph.input[0].type.tensor_type.shape.dim
    dims[0].dim_param, dims[2].dim_param = "batch", "height"
    return net


def test_open_dimension_is_named_with_the_remedy():
    message = refusal(OpenShapeError, open_model())
    assert "batch" in message and "height" in message
    assert 'input_shapes={"x": (1, 3, 1, 8)}' in message


def test_open_dimension_can_be_fixed():
    graph = import_onnx(open_model(), input_shapes={"x": (2, 3, 5, 8)})
    assert graph.outputs[0].shape == (2, 3, 5, 8)


def test_wrong_input_shapes():
    assert "dimension 1 is 3" in refusal(
        OpenShapeError, open_model(), input_shapes={"x": (1, 4, 5, 8)}
    )
    assert "the inputs are: x" in refusal(OpenShapeError, open_model(), input_shapes={"q": (1,)})
    assert "4 dimensions" in refusal(OpenShapeError, open_model(), input_shapes={"x": (1, 3)})


def test_unsupported_operator_names_node_and_shapes():
    net = model([node("Einsum", "xz", equation="ii,jk->ik")], {"x": (4, 4), "z": (4, 5)})
    message = refusal(UnsupportedOperatorError, net)
    assert "Einsum_y Einsum(float32[4, 4], float32[4, 5])" in message


def test_float_conv_says_quantise_first():
    net = model([node("Conv", "xw")], {"x": (1, 3, 8, 8)}, {"w": np.ones((4, 3, 3, 3), f32)})
    message = refusal(NotQuantisedError, net)
    assert "Conv_y" in message and "quantise_onnx" in message


def test_k_too_large_for_int32():
    k = 140_000
    constants = {"w": np.full((k, 2), -127, np.int8), "z": np.uint8(0)}
    graph = helper.make_graph(
        [node("MatMulInteger", ["x", "w", "z"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, k])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [1, 2])],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()],
    )
    net = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    assert f"k = {k}" in refusal(UnsupportedOperatorError, net)


def test_opset_that_is_none():
    net = model([node("Relu", "x")], {"x": (1, 3)}, opset=0)
    assert "opset 0, outside 1.." in refusal(ModelFileError, net)


def test_float64_input():
    net = model([node("Relu", "x")], {"x": (1, 3)})
    for value in (net.graph.input[0], net.graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    assert "float64" in refusal(UnsupportedOperatorError, net)


def test_no_calibration():
    net = model([node("Relu", "x")], {"x": (1, 3)})
    with pytest.raises(FrontendError, match="calibration is empty"):
        quantise_onnx(net, [])


@pytest.mark.parametrize("bias", [1e3, -1e3, 1e-9])
def test_bias_beyond_int32_in_steps_of_its_scale(bias):
    """By hand: 1e-9 / (1e-10 * 1e-10) = 1e11 steps."""
    constants = {"s": f32(1e-10), "z": np.int8(0), "w": np.ones((2, 2, 1, 1), np.int8)}
    nodes = [
        node("QuantizeLinear", "xsz", "q"),
        node("DequantizeLinear", "qsz", "d"),
        node("DequantizeLinear", "wsz", "v"),
        node("Conv", "dvb"),
    ]
    net = model(nodes, {"x": (1, 2, 3, 3)}, constants | {"b": np.array([bias, 0], f32)})
    assert "beyond int32" in refusal(UnsupportedOperatorError, net)


def test_kernel_deeper_than_its_video():
    constants = {"s": f32(0.1), "z": np.int8(0), "w": np.ones((4, 3, 3, 3, 3), np.int8)}
    nodes = [
        node("QuantizeLinear", "xsz", "q"),
        node("DequantizeLinear", "qsz", "d"),
        node("DequantizeLinear", "wsz", "v"),
        node("Conv", "dv"),
    ]
    net = model(nodes, {"x": (1, 3, 2, 5, 5)}, constants)
    assert "does not fit into depth 2" in refusal(UnsupportedOperatorError, net)
