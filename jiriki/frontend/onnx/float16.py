"""Float16 and bfloat16 models computed in float32, which holds every value of either.

In: a ModelProto and its detached weights. Out: the same in place: stored values, attributes and
casts are float32; inputs and outputs keep their format, behind a Cast each. The chip computes in
float32, so every result is at least as precise as the model asks.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jiriki.frontend.onnx.normalise import all_nodes

HALF = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
FORMATS = ("to", "dtype", "output_dtype", "stash_type", "softmax_precision")  # format attributes


def widen_halves(model: onnx.ModelProto, weights: Iterable[onnx.TensorProto]) -> None:
    """Make every half-precision value inside the model float32, in place; twice is as once."""
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer} | {t.name for t in weights}
    ports = _halves(graph.input, stored), _halves(graph.output, set())
    halves = [t for t in (*graph.initializer, *weights) if t.data_type in HALF]
    for tensor in halves:
        _widen_tensor(tensor)
    nodes = list(all_nodes(graph.node))
    read = {name for node in nodes for name in node.input}
    narrow = {name for name in ports[1] - read if _is_cast(nodes, name)}  # of an earlier call
    wide = {name for name in ports[0] if _is_cast_away(nodes, name)}
    changed = bool(halves or (ports[1] - narrow) or (ports[0] - wide))
    for node in nodes:
        for attribute in node.attribute if not narrow.intersection(node.output) else ():
            changed |= _widen_attribute(attribute)
    for value in graph.input:
        if value.name in stored and value.type.tensor_type.elem_type in HALF:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for name in sorted(ports[0] - wide):
        _widen_input(graph, name)
    for name in sorted(ports[1] - narrow):
        _widen_output(graph, name)
    if changed:
        del graph.value_info[:]


def _halves(values: Iterable[onnx.ValueInfoProto], stored: set[str]) -> set[str]:
    """Return the ports in half precision."""
    halves = {value.name for value in values if value.type.tensor_type.elem_type in HALF}
    return halves - stored


def _is_cast(nodes: Iterable[onnx.NodeProto], output: str) -> bool:
    return any(output in node.output and node.op_type == "Cast" for node in nodes)


def _is_cast_away(nodes: Iterable[onnx.NodeProto], name: str) -> bool:
    """Tell whether all that reads an input casts it to float32."""
    readers = [node for node in nodes if name in node.input]
    return all(
        node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT for node in readers
    )


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    wide = np.asarray(numpy_helper.to_array(tensor)).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def _widen_attribute(attribute: onnx.AttributeProto) -> bool:
    """Widen an attribute's values, or the format that it names; tell whether it did."""
    tensors = [attribute.t, *attribute.tensors]
    tensors += [t for graph in (attribute.g, *attribute.graphs) for t in graph.initializer]
    halves = [tensor for tensor in tensors if tensor.data_type in HALF]
    for tensor in halves:
        _widen_tensor(tensor)
    names_half = attribute.name in FORMATS and attribute.i in HALF
    if names_half:
        attribute.i = TensorProto.FLOAT
    return names_half or bool(halves)


def _widen_input(graph: onnx.GraphProto, name: str) -> None:
    """Put a Cast behind a half-precision input."""
    wide = f"{name}/float32"
    for node in all_nodes(graph.node):
        for index, source in enumerate(node.input):
            if source == name:
                node.input[index] = wide
    graph.node.insert(0, helper.make_node("Cast", [name], [wide], wide, to=TensorProto.FLOAT))


def _widen_output(graph: onnx.GraphProto, name: str) -> None:
    """Put a Cast in front of a half-precision output."""
    wide = f"{name}/float32"
    (kind,) = {v.type.tensor_type.elem_type for v in graph.output if v.name == name}
    for node in all_nodes(graph.node):
        for names in (node.input, node.output):
            for index, source in enumerate(names):
                if source == name:
                    names[index] = wide
    graph.node.append(helper.make_node("Cast", [wide], [name], f"{name}/narrow", to=kind))
