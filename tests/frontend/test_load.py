"""Models as people have them: each is read as the equal model that is written plainly."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from jiriki.frontend import (
    ModelFileError,
    OpenShapeError,
    UnsupportedOperatorError,
    import_onnx,
    quantise_onnx,
    reference_outputs,
)
from jiriki.frontend.onnx.load import load_model
from jiriki.graph import evaluate
from tests.frontend.nets import f32, model, node, weights

NEWEST = onnx.defs.onnx_opset_version()


def answer(net: onnx.ModelProto, feeds: dict, **reading) -> np.ndarray:
    """Return the one output of the imported graph."""
    (output,) = evaluate(import_onnx(net, **reading), feeds).values()
    return output


def ramp(*shape: int) -> np.ndarray:
    return np.linspace(-3, 3, int(np.prod(shape)), dtype=f32).reshape(shape)


@pytest.mark.parametrize("opset", range(1, NEWEST + 1))
def test_every_opset_is_read(opset):
    net = model([node("Relu", ["x"], ["r"]), node("Add", ["r", "x"])], {"x": (2, 3)}, opset=opset)
    x = ramp(2, 3)
    assert (answer(net, {"x": x}) == np.maximum(x, 0) + x).all()


def test_broadcast_of_opset_6_is_along_its_axis():
    add = node("Add", ["x", "k"], axis=0, broadcast=1)
    net = model([add], {"x": (2, 3)}, {"k": np.array([10, 20], f32)}, opset=6)
    assert answer(net, {"x": np.zeros((2, 3), f32)}).tolist() == [[10] * 3, [20] * 3]


def test_nameless_graph_and_nodes_get_names_of_their_own():
    net = model([node("Relu", ["x"], ["r"]), node("Relu", ["r"])], {"x": (2, 3)})
    net.graph.name = ""
    for proto in net.graph.node:
        proto.name = ""
    loaded = load_model(net)
    assert loaded.graph.name == "model"
    assert [proto.name for proto in loaded.graph.node] == ["r", "y"]


def test_nodes_of_one_name_are_told_apart():
    net = model([node("Relu", ["x"], ["r"]), node("Relu", ["r"])], {"x": (2, 3)})
    for proto in net.graph.node:
        proto.name = "relu"
    assert [proto.name for proto in load_model(net).graph.node] == ["relu", "relu_2"]


@pytest.mark.parametrize("rows", [[0, 3], [[0, 0], [1, 1]]], ids=["linear", "by axis"])
def test_sparse_initialiser_is_dense(rows):
    net = model([node("Add", ["x", "k"])], {"x": (2, 2)})
    values = helper.make_tensor("k", TensorProto.FLOAT, [2], [1.0, 2.0])
    places = np.array(rows)
    if places.ndim == 1:
        places = np.array([0, 3])
    indices = numpy_helper.from_array(places, "i")
    net.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 2]))
    x = ramp(2, 2)
    assert (answer(net, {"x": x}) == x + np.array([[1, 0], [0, 2]], f32)).all()


def test_sparse_initialiser_outside_its_shape_is_refused():
    net = model([node("Add", ["x", "k"])], {"x": (2, 2)})
    values = helper.make_tensor("k", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [4])
    net.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 2]))
    with pytest.raises(ModelFileError, match="indices outside it"):
        import_onnx(net)


def test_function_of_the_model_is_inlined():
    body = [
        helper.make_node("Mul", ["a", "a"], ["square"]),
        helper.make_node("Add", ["square", "a"], ["b"]),
    ]
    opsets = [helper.make_opsetid("", 18)]
    function = helper.make_function("mine", "Squared", ["a"], ["b"], body, opsets)
    call = helper.make_node("Squared", ["x"], ["y"], domain="mine")
    net = model([call], {"x": (2, 3)})
    net.opset_import.append(helper.make_opsetid("mine", 1))
    net.functions.append(function)
    x = ramp(2, 3)
    assert (answer(net, {"x": x}) == x * x + x).all()


EXPANDED = {
    "MeanVarianceNormalization": (node("MeanVarianceNormalization", ["x"], axes=[0, 2, 3]), 18),
    "Shrink": (node("Shrink", ["x"], lambd=1.5, bias=1.0), 18),
    "RMSNormalization": (node("RMSNormalization", ["x", "g"], axis=-1), 23),
}


@pytest.mark.parametrize("operator", EXPANDED)
def test_operator_without_importer_is_read_as_its_body(operator):
    call, opset = EXPANDED[operator]
    constants = {"g": ramp(5) + 4} if "g" in call.input else {}
    net = model([call], {"x": (2, 3, 4, 5)}, constants, opset=opset)
    x = ramp(2, 3, 4, 5)
    (wanted,) = ReferenceEvaluator(net).run(None, {"x": x})
    np.testing.assert_allclose(answer(net, {"x": x}), np.asarray(wanted), rtol=2e-5, atol=1e-6)


def test_condition_that_is_constant_chooses_its_branch():
    branches = {}
    for name, op in (("then_branch", "Neg"), ("else_branch", "Abs")):
        out = helper.make_tensor_value_info(f"{op}_y", TensorProto.FLOAT, [2, 3])
        branches[name] = helper.make_graph([node(op, ["x"], [f"{op}_y"])], name, [], [out])
    net = model([node("If", ["c"], **branches)], {"x": (2, 3)}, {"c": np.array(False)})
    x = ramp(2, 3)
    assert (answer(net, {"x": x}) == np.abs(x)).all()


def test_input_is_fixed_at_a_value():
    net = model([node("Mul", ["x", "gain"])], {"x": (2, 3), "gain": (1,)})
    x = ramp(2, 3)
    for gain in (2.5, [2.5], np.array([2.5])):
        assert (answer(net, {"x": x}, input_values={"gain": gain}) == x * f32(2.5)).all()


def test_input_fixed_at_what_its_format_does_not_hold_is_refused():
    net = model([node("Gather", ["x", "i"], axis=1)], {"x": (2, 3), "i": (1,)})
    net.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    assert answer(net, {"x": ramp(2, 3)}, input_values={"i": 2}).shape == (2, 1)
    for value in (1.5, "two"):
        with pytest.raises(OpenShapeError, match="input i takes int64"):
            import_onnx(net, input_values={"i": value})
    with pytest.raises(OpenShapeError, match="the inputs are: x, i"):
        import_onnx(net, input_values={"k": 1})


def open_net() -> onnx.ModelProto:
    """Return the sum of two inputs of shape [batch, 3]."""
    net = model([node("Add", ["x", "z"])], {"x": (1, 3), "z": (1, 3)})
    for value in net.graph.input:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return net


def test_open_dimension_is_fixed_by_its_name_everywhere():
    ports = import_onnx(open_net(), input_shapes={"batch": 4}).inputs
    assert [port.shape for port in ports] == [(4, 3), (4, 3)]


def test_shape_of_one_input_fixes_the_other_dimensions_of_that_name():
    ports = import_onnx(open_net(), input_shapes={"x": (4, 3)}).inputs
    assert [port.shape for port in ports] == [(4, 3), (4, 3)]


def test_open_sizes_that_contradict_each_other_are_refused():
    with pytest.raises(OpenShapeError, match=r"\(batch\) is 5 here and 4 elsewhere"):
        import_onnx(open_net(), input_shapes={"x": (4, 3), "z": (5, 3)})


def test_open_sizes_are_those_of_the_first_sample():
    x = ramp(4, 3)
    quantised = quantise_onnx(open_net(), [{"x": x, "z": x}])
    assert [port.shape for port in import_onnx(quantised).inputs] == [(4, 3), (4, 3)]


def test_refusal_of_an_open_shape_names_the_option_of_the_shell():
    with pytest.raises(OpenShapeError) as refused:
        import_onnx(open_net())
    assert 'input_shapes={"x": (1, 3)}' in str(refused.value)
    assert "--shape x=1,3" in refused.value.in_shell


def half_net() -> onnx.ModelProto:
    """Return a float16 network: weights, input and output."""
    rng = np.random.default_rng(5)
    net = model(
        [node("Conv", ["x", "w"], ["c"], pads=[1] * 4), node("Relu", ["c"])],
        {"x": (1, 3, 8, 8)}, {"w": weights(rng, 4, 3, 3, 3).astype(np.float16)},
    )  # fmt: skip
    for value in (net.graph.input[0], net.graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    return net


def test_float16_model_keeps_its_ports_and_computes_in_float32():
    rng = np.random.default_rng(6)
    feeds = {"x": rng.standard_normal((1, 3, 8, 8)).astype(np.float16)}
    net = half_net()
    quantised = quantise_onnx(net, [feeds])
    (got,) = evaluate(import_onnx(quantised), feeds).values()
    (wanted,) = map(np.asarray, ReferenceEvaluator(net).run(None, feeds))
    assert got.dtype == wanted.dtype == np.float16
    assert np.abs(got - wanted).max() < 0.02 * np.abs(wanted).max()
    assert (got == reference_outputs(quantised, feeds)["y"]).all()


def test_loading_twice_is_loading_once():
    once = load_model(half_net())
    twice = load_model(once)
    for loaded in (once, twice):
        del loaded.graph.value_info[:]  # inferred shapes are no part of the function
    assert twice == once


def test_external_weights_are_read_from_the_models_own_folder_only(tmp_path):
    rng = np.random.default_rng(7)
    net = model([node("Add", ["x", "k"])], {"x": (40, 40)}, {"k": weights(rng, 40, 40)})
    wanted = numpy_helper.to_array(net.graph.initializer[0])
    onnx.save(net, tmp_path / "m.onnx", save_as_external_data=True, location="k.bin")
    zero = np.zeros((40, 40), f32)
    assert (answer(tmp_path / "m.onnx", {"x": zero}) == wanted).all()

    inner = tmp_path / "inner"
    inner.mkdir()
    outside = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    outside.graph.initializer[0].external_data[0].value = "../k.bin"
    (inner / "m.onnx").write_bytes(outside.SerializeToString())
    with pytest.raises(ModelFileError, match="weights in another file cannot be read"):
        import_onnx(inner / "m.onnx")
    (inner / "k.bin").symlink_to(tmp_path / "k.bin")
    outside.graph.initializer[0].external_data[0].value = "k.bin"
    (inner / "m.onnx").write_bytes(outside.SerializeToString())
    with pytest.raises(ModelFileError, match="weights in another file cannot be read"):
        import_onnx(inner / "m.onnx")


def test_external_weights_of_bytes_are_refused(tmp_path):
    net = model([node("Add", ["x", "k"])], {"x": (40, 40)}, {"k": ramp(40, 40)})
    onnx.save(net, tmp_path / "m.onnx", save_as_external_data=True, location="k.bin")
    with pytest.raises(ModelFileError, match="pass the path"):
        import_onnx((tmp_path / "m.onnx").read_bytes())


@pytest.mark.parametrize("dims", [[], [4], [2, 8], [-8]])
@pytest.mark.parametrize("place", ["initialiser", "constant"])
def test_small_tensor_of_another_length_than_its_shape_is_refused(place, dims):
    """ONNX's checker lets a scalar of eight values pass."""
    rng = np.random.default_rng(3)
    bias = numpy_helper.from_array(rng.standard_normal(8).astype(f32), "b")
    nodes = [node("Conv", "xwb")]
    net = model(nodes, {"x": (1, 3, 8, 8)}, {"w": weights(rng, 8, 3, 3, 3)})
    del bias.dims[:]
    bias.dims.extend(dims)
    if place == "initialiser":
        net.graph.initializer.append(bias)
    else:
        net.graph.node.insert(0, node("Constant", "", "b"))
        net.graph.node[0].attribute.append(helper.make_attribute("value", bias))
    with pytest.raises(ModelFileError, match=r"valid|damaged"):
        load_model(net)


@pytest.mark.parametrize("text", [b"Relu_y", b"Relu", b"net", b"axis_of", b"beside", b"stored"])
def test_text_that_is_not_utf8_is_refused(text, tmp_path):
    """A byte of a name turned over, as in a file that was damaged."""
    relu = node("Relu", "x", "z", axis_of=1)
    relu.op_type, relu.name = "Relu", "Relu_y"
    net = model([relu, node("Add", ["z", "stored"])], {"x": (1, 100)}, {"stored": f32(1)})
    net.metadata_props.add(key="beside", value="nothing")
    data = bytearray(net.SerializeToString())
    data[data.index(text) + 1] = 0xDF
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    for source in (bytes(data), path, onnx.ModelProto.FromString(bytes(data))):
        with pytest.raises(ModelFileError, match="is not UTF-8; the file is damaged"):
            load_model(source)


def test_weight_of_another_length_than_its_shape_is_refused():
    net = model([node("Add", ["x", "k"])], {"x": (40, 40)}, {"k": ramp(40, 40)})
    net.graph.initializer[0].dims[0] = 10**9
    with pytest.raises(ModelFileError, match="weight k has shape"):
        import_onnx(net)


BIG = np.array([1000, 1000, 1000])
MEAN = [node("ReduceMean", ["e"], ["r"], keepdims=0), node("Add", ["x", "r"])]
LARGE = {
    "Expand": ([node("Expand", ["c", "s"], ["e"]), *MEAN], {"c": f32(1), "s": BIG}),
    "ConstantOfShape": ([node("ConstantOfShape", ["s"], ["e"]), *MEAN], {"s": BIG}),
    "Tile": ([node("Tile", ["c", "s"], ["e"]), *MEAN], {"c": np.ones((1, 1, 1), f32), "s": BIG}),
    "Range": (
        [node("Range", ["a", "b", "d"], ["e"]), *MEAN], {"a": f32(0), "b": f32(1e9), "d": f32(1)},
    ),
    "computed": (
        [node("Pow", ["b", "three"], ["s"]), node("ConstantOfShape", ["s"], ["e"]), *MEAN],
        {"b": np.array([1000]), "three": np.array([3])},
    ),
    "twice computed": (
        [
            node("Pow", ["b", "three"], ["s"]), node("ConstantOfShape", ["s"], ["ones"]),
            node("ReduceSum", ["ones"], ["n"], keepdims=1), node("Pow", ["n", "three"], ["t"]),
            node("Cast", ["t"], ["u"], to=TensorProto.INT64),
            node("ConstantOfShape", ["u"], ["e"]), *MEAN,
        ],
        {"b": np.array([10]), "three": np.array([3])},
    ),
    "many": (
        [
            *(node("Expand", ["c", "s"], [f"e{i}"]) for i in range(4)),
            node("Sum", ["e0", "e1", "e2", "e3"], ["e"]), *MEAN,
        ],
        {"c": f32(1), "s": np.array([4000, 10000])},
    ),
    "Resize": (
        [node("Resize", ["c", "", "s"], ["e"]), *MEAN],
        {"c": np.ones((1, 1, 10, 10), f32), "s": np.array([1, 1, 1e4, 1e3], f32)},
    ),
    "of an input": ([node("Expand", ["x", "s"])], {"s": np.array([10**9, 4])}),
    "Pad": ([node("Pad", ["x", "s"])], {"s": np.array([0, 0, 10**5, 10**5])}),
    "Split": ([node("Split", ["x"], num_outputs=10**9)], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_what_is_too_large_is_refused_before_memory_is_taken(name):
    nodes, constants = LARGE[name]
    if name == "twice computed":
        constants = constants | {"one": f32(1)}
        nodes[1].attribute.append(
            helper.make_attribute("value", numpy_helper.from_array(np.ones(1, f32)))
        )
        nodes[3] = node("Pow", ["n", "fthree"], ["t"])
        constants["fthree"] = f32(3)
    net = model(nodes, {"x": (1, 4)}, constants)
    with pytest.raises((ModelFileError, UnsupportedOperatorError)) as refused:
        import_onnx(net)
    assert any(words in str(refused.value) for words in ("elements, more than", "splits into"))


def test_model_too_large_for_a_message_runs_from_a_file(monkeypatch):
    rng = np.random.default_rng(8)
    net = model([node("MatMul", ["x", "w"])], {"x": (2, 64)}, {"w": weights(rng, 64, 64)})
    feeds = {"x": rng.standard_normal((2, 64)).astype(f32)}
    quantised = quantise_onnx(net, [feeds])
    wanted = answer(quantised, feeds)
    monkeypatch.setattr("jiriki.frontend.onnx.reference.MOST_MESSAGE_BYTES", 1 << 10)
    assert (answer(quantised, feeds) == wanted).all()
    assert (reference_outputs(quantised, feeds)["y"] == wanted).all()
