"""Models that packages publish as ONNX: made ready at the zoo's shapes, otherwise untouched.

Concept: dynamic dimensions become the card's numbers; constant stand-in weights become seeded
random ones, since constant weights make quantisation degenerate.
In: an ONNX file's bytes. Out: a `ModelProto` whose inputs have fixed shapes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from jiriki.frontend.zoo.dummy import DummyFilters
from jiriki.frontend.zoo.errors import ZooError

IR_VERSION = 8  # from 4 on, constants need not be listed among the inputs

# which random values stand in for a constant, by the operator and the input that it feeds
_BATCH_NORM_INPUTS = ("data", "gain", "shift", "mean", "variance")


def parse_onnx(data: bytes, name: str) -> onnx.ModelProto:
    """Parse ONNX bytes; `name` is for messages."""
    try:
        return onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ZooError(f"{name}: not an ONNX model ({error}); fetch it again") from error


def with_fixed_inputs(
    model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]
) -> onnx.ModelProto:
    """Return a copy whose inputs have `shapes`, with every shape after them inferred anew."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    constants = {tensor.name for tensor in fixed.graph.initializer}
    names = {value.name for value in fixed.graph.input} - constants
    if names != set(shapes):
        raise ZooError(
            f"{model.graph.name}: inputs are {sorted(names)}, shapes are for {sorted(shapes)}"
        )
    for value in fixed.graph.input:
        if value.name in shapes:
            _set_shape(value, shapes[value.name])
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    del fixed.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(fixed, data_prop=True)


def _set_shape(value: onnx.ValueInfoProto, shape: tuple[int, ...]) -> None:
    value.type.tensor_type.shape.ClearField("dim")
    for size in shape:
        value.type.tensor_type.shape.dim.add().dim_value = size


def with_dummy_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which every Conv, Gemm and BatchNormalization has seeded random parameters.

    Nodes that only made constants (ConstantOfShape) and the values that fed them go away.
    """
    dummy = onnx.ModelProto()
    dummy.CopyFrom(model)
    graph, random = dummy.graph, DummyFilters()
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    constant_shapes = {
        node.output[0]: tuple(int(n) for n in constants[node.input[0]])
        for node in graph.node
        if node.op_type == "ConstantOfShape"
    }
    shapes = constant_shapes | {name: array.shape for name, array in constants.items()}
    nodes = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    for node in nodes:
        for position, name in enumerate(node.input):
            if position and name in shapes and node.op_type != "Reshape":
                constants[name] = _parameter(random, node.op_type, position, shapes[name])
    read = [name for node in nodes for name in node.input if name in constants]
    for field in ("node", "initializer"):
        graph.ClearField(field)
    graph.node.extend(nodes)
    graph.initializer.extend(
        numpy_helper.from_array(constants[name], name) for name in dict.fromkeys(read)
    )
    data_inputs = [value for value in graph.input if value.name not in shapes]
    graph.ClearField("input")
    graph.input.extend(data_inputs)
    del graph.value_info[:]
    dummy.ir_version = IR_VERSION
    return dummy


def _parameter(
    random: DummyFilters, op_type: str, position: int, shape: tuple[int, ...]
) -> np.ndarray:
    """Draw one parameter by its role: weights He-scaled, gains near 0.7 so that sums stay small."""
    if op_type != "BatchNormalization":
        return random.weight(shape) if position == 1 else random.around(0, 0.1, shape)
    match _BATCH_NORM_INPUTS[position]:
        case "gain":
            return random.around(0.7, 0.2, shape)
        case "variance":
            return random.around(1, 0.2, shape)
        case _:
            return random.around(0, 0.1, shape)
