"""One change of a model or of bytes, drawn at random: what a mutant is made by.

In: a model (changed in place) or bytes, and a generator. Out: in words what was changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Rng = np.random.Generator
HUGE = (-1, 0, 1, 2, 7, 127, 4096, 10**6, 2**31 - 1, 2**31, 2**40, 2**62, -(2**31), -(2**63))
FLOATS = (0.0, -0.0, -1.0, 1e-45, 1e-30, 1e30, 3.4e38, np.inf, -np.inf, np.nan)
DTYPES = ("float16", "float64", "int8", "uint8", "int16", "int32", "int64", "bool", "uint64")


def damage(data: bytes, rng: Rng) -> tuple[bytes, str]:
    """Cut, flip, fill, repeat or replace bytes."""
    kinds = ["cut", "flip", "zeros", "insert", "twice", "empty", "noise", "swap"]
    kind = str(rng.choice(kinds if data else ["noise"]))
    at = int(rng.integers(0, max(1, len(data))))
    size = int(rng.integers(1, 64))
    noise = rng.integers(0, 256, size, np.uint8).tobytes()
    match kind:
        case "cut":
            changed = data[:at]
        case "flip":
            array = np.frombuffer(data, np.uint8).copy()
            places = rng.integers(0, max(1, len(array)), int(rng.integers(1, 9)))
            array[places] ^= np.uint8(1) << rng.integers(0, 8, len(places), np.uint8)
            changed = array.tobytes()
        case "zeros":
            changed = data[:at] + bytes(size) + data[at + size :]
        case "insert":
            changed = data[:at] + noise + data[at:]
        case "twice":
            changed = data + data
        case "empty":
            changed = b""
        case "noise":
            changed = noise * 9
        case _:
            changed = data[at:] + data[:at]
    return changed, f"{kind} at byte {at}"


# -- models --------------------------------------------------------------------------------


def change_model(model: onnx.ModelProto, rng: Rng) -> str:
    """Change one thing of a model in place; return what it was."""
    changes: list[Callable[[onnx.ModelProto, Rng], str]] = [
        _attribute, _attribute, _constant, _constant, _constant_shape, _input_of_node, _operator,
        _port_shape, _port_type, _port_shape, _rename, _delete_node, _delete_constant, _versions,
        _output_of_node, _duplicate, _extra_ports, _value_info, _external,
    ]  # fmt: skip
    return changes[int(rng.integers(len(changes)))](model, rng)


def pick(rng: Rng, items: Any) -> Any:
    return items[int(rng.integers(len(items)))] if len(items) else None


def _attribute(model: onnx.ModelProto, rng: Rng) -> str:
    node = pick(rng, [n for n in model.graph.node if n.attribute] or model.graph.node)
    attribute = pick(rng, node.attribute)
    if attribute is None or rng.random() < 0.2:
        node.attribute.append(helper.make_attribute("axis", int(pick(rng, HUGE))))
        return f"{node.op_type} gets an axis"
    if rng.random() < 0.2:
        node.attribute.remove(attribute)
        return f"{node.op_type} loses {attribute.name}"
    value: Any = helper.get_attribute_value(attribute)
    name = attribute.name
    if isinstance(value, list):
        value = list(value)
        if rng.random() < 0.3:
            value = value[:-1] if rng.random() < 0.5 else [*value, 1]
        elif value:
            value[int(rng.integers(len(value)))] = int(pick(rng, HUGE))
    elif isinstance(value, int) and rng.random() < 0.8:
        value = int(pick(rng, HUGE))
    elif isinstance(value, float) and rng.random() < 0.8:
        value = float(pick(rng, FLOATS))
    else:
        value = pick(rng, ["text", 3, 0.5, [1, 2]])
    if value == []:
        return "nothing"
    node.attribute.remove(attribute)
    node.attribute.append(helper.make_attribute(name, value))
    return f"{node.op_type}.{name} = {value}"


def _constant(model: onnx.ModelProto, rng: Rng) -> str:
    tensor = pick(rng, model.graph.initializer)
    if tensor is None:
        return "nothing"
    if rng.random() < 0.2:
        tensor.raw_data = damage(tensor.raw_data, rng)[0]
        return f"bytes of {tensor.name}"
    try:
        array = numpy_helper.to_array(tensor).copy()
    except ValueError:  # changed before
        return "nothing"
    kind = str(rng.choice(["value", "type", "all", "zero"]))
    if kind == "type":
        array = array.astype(pick(rng, DTYPES))
    elif array.size and array.dtype.kind == "f":
        value = pick(rng, FLOATS)
        array.reshape(-1)[slice(None) if kind == "all" else int(rng.integers(array.size))] = value
    elif array.size and array.dtype.kind in "iu":
        bounds = np.iinfo(array.dtype)
        value = min(max(int(pick(rng, HUGE)), bounds.min), bounds.max)
        array.reshape(-1)[int(rng.integers(array.size))] = value
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return f"{kind} of {tensor.name}"


def _constant_shape(model: onnx.ModelProto, rng: Rng) -> str:
    tensor = pick(rng, model.graph.initializer)
    if tensor is None:
        return "nothing"
    dims = list(tensor.dims)
    kind = str(rng.choice(["drop", "add", "size", "turn"]))
    if kind == "drop":
        dims = dims[:-1]
    elif kind == "add":
        dims = [1, *dims]
    elif kind == "size" and dims:
        dims[int(rng.integers(len(dims)))] = int(pick(rng, HUGE))
    else:
        dims = dims[::-1]
    del tensor.dims[:]
    tensor.dims.extend(dims)
    return f"shape of {tensor.name} = {dims}"


def _names(model: onnx.ModelProto) -> list[str]:
    outputs = [name for node in model.graph.node for name in node.output]
    return [*outputs, *(t.name for t in model.graph.initializer), "x", "", "nowhere"]


def _input_of_node(model: onnx.ModelProto, rng: Rng) -> str:
    node = pick(rng, model.graph.node)
    name = str(pick(rng, _names(model)))
    if rng.random() < 0.2 or not node.input:
        node.input.append(name)
    elif rng.random() < 0.2:
        del node.input[int(rng.integers(len(node.input)))]
    else:
        node.input[int(rng.integers(len(node.input)))] = name
    return f"{node.op_type} reads {name or 'nothing'}"


def _output_of_node(model: onnx.ModelProto, rng: Rng) -> str:
    node = pick(rng, model.graph.node)
    if rng.random() < 0.3:
        node.output.append("more")
        return f"{node.op_type} has one output more"
    node.output[0] = str(pick(rng, _names(model)))
    return f"{node.op_type} writes {node.output[0] or 'nothing'}"


OPERATORS = (
    "Conv", "ConvTranspose", "MatMul", "Gemm", "Relu", "Softmax", "Concat", "Add", "Div", "Pow",
    "Reshape", "Transpose", "MaxPool", "Resize", "Slice", "Gather", "LSTM", "TopK", "NonZero", "If",
    "Loop", "Einsum", "QLinearConv", "QuantizeLinear", "DequantizeLinear", "BatchNormalization",
    "Cast", "Identity", "Nonsense", "Pad", "Expand", "Tile", "Where", "LayerNormalization",
)  # fmt: skip


def _operator(model: onnx.ModelProto, rng: Rng) -> str:
    node = pick(rng, model.graph.node)
    before, node.op_type = node.op_type, str(pick(rng, OPERATORS))
    if rng.random() < 0.1:
        node.domain = "my.own"
    return f"{before} becomes {node.op_type}"


def _port_shape(model: onnx.ModelProto, rng: Rng) -> str:
    port = pick(rng, [*model.graph.input, *model.graph.output])
    shape = port.type.tensor_type.shape
    kind = str(rng.choice(["size", "drop", "add", "name", "none"]))
    if kind == "none":
        port.type.tensor_type.ClearField("shape")
    elif kind == "add" or not shape.dim:
        shape.dim.add().dim_value = int(pick(rng, HUGE))
    elif kind == "drop":
        del shape.dim[-1]
    else:
        dim = pick(rng, shape.dim)
        if kind == "name":
            dim.dim_param = "batch"
        else:
            dim.dim_value = int(pick(rng, HUGE))
    return f"shape of {port.name}: {kind}"


def _port_type(model: onnx.ModelProto, rng: Rng) -> str:
    port = pick(rng, [*model.graph.input, *model.graph.output])
    port.type.tensor_type.elem_type = int(rng.integers(0, 28))
    return f"type of {port.name} = {port.type.tensor_type.elem_type}"


def _rename(model: onnx.ModelProto, rng: Rng) -> str:
    thing = pick(
        rng, [*model.graph.node, *model.graph.initializer, *model.graph.input, model.graph]
    )
    name = str(pick(rng, ["", "x", "y", "z" * 300, "a b\n", "ä/\\..", "\x00", *_names(model)]))
    thing.name = name
    return f"something is called {name[:20]!r}"


def _delete_node(model: onnx.ModelProto, rng: Rng) -> str:
    node = pick(rng, model.graph.node)
    model.graph.node.remove(node)
    return f"{node.op_type} is gone"


def _delete_constant(model: onnx.ModelProto, rng: Rng) -> str:
    tensor = pick(rng, model.graph.initializer)
    if tensor is None:
        return "nothing"
    model.graph.initializer.remove(tensor)
    return f"{tensor.name} is gone"


def _versions(model: onnx.ModelProto, rng: Rng) -> str:
    if rng.random() < 0.5:
        model.ir_version = int(pick(rng, [0, 1, 3, 11, 14, 99, 2**40]))
        return f"ir_version = {model.ir_version}"
    if rng.random() < 0.3:
        del model.opset_import[:]
        return "no opset"
    if not model.opset_import:
        model.opset_import.add()
    model.opset_import[0].version = int(pick(rng, [0, 1, 6, 7, 10, 12, 21, 26, 99, -5]))
    return f"opset = {model.opset_import[0].version}"


def _duplicate(model: onnx.ModelProto, rng: Rng) -> str:
    field = pick(rng, [model.graph.node, model.graph.initializer, model.graph.output])
    thing = pick(rng, field)
    if thing is None:
        return "nothing"
    field.append(thing)
    return f"{type(thing).__name__} {thing.name} stands twice"


def _extra_ports(model: onnx.ModelProto, rng: Rng) -> str:
    value = helper.make_tensor_value_info(
        str(pick(rng, _names(model))), int(rng.integers(1, 17)), [int(pick(rng, HUGE)), 2]
    )
    side = pick(rng, [model.graph.input, model.graph.output])
    if rng.random() < 0.3:
        del side[:]
        return "no ports"
    side.append(value)
    return f"one port more, {value.name}"


def _value_info(model: onnx.ModelProto, rng: Rng) -> str:
    shape = [int(pick(rng, HUGE)) for _ in range(int(rng.integers(0, 5)))]
    name = str(pick(rng, _names(model)))
    model.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return f"value_info of {name} = {shape}"


def _external(model: onnx.ModelProto, rng: Rng) -> str:
    tensor = pick(rng, model.graph.initializer)
    if tensor is None:
        return "nothing"
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    place = str(pick(rng, ["weights.bin", "../../etc/passwd", "/etc/passwd", ""]))
    entries = {"location": place, "offset": str(pick(rng, HUGE)), "length": "banana"}
    for key, value in entries.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return f"{tensor.name} lies in {place}"
