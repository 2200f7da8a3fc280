"""Give every reader of a stored int8 weight a weight of its own.

In: a quantised model. Out: the same model, or an equal one in which each int8 initialiser, with
its zero point and the DequantizeLinear between, has one reader. ONNX Runtime writes s8 weights as
u8 for the kernels whose sums are exact (`session.x64quantprecision`), one reader after the other,
and fails when it meets a weight for the second time (1.2x, graph_utils.cc). Tied embeddings,
heads that share a weight and unrolled recurrences have such weights.
"""

from __future__ import annotations

from collections import defaultdict

import onnx

Reader = tuple[int, int]  # position of a node, position of its input
DEQUANTIZE = "DequantizeLinear"


def separate_shared_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in which no int8 initialiser is read twice."""
    readers = _readers(model)
    int8 = onnx.TensorProto.INT8
    weights = [t.name for t in model.graph.initializer if t.data_type == int8 and t.dims]
    shared = [name for name in weights if _is_read_twice(model, name, readers)]
    if not shared:
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    stored = {tensor.name: tensor for tensor in copy.graph.initializer}
    clones: dict[int, list[onnx.NodeProto]] = {}
    for name in shared:
        _separate(copy, name, stored, readers, clones)
    nodes = list(copy.graph.node)
    del copy.graph.node[:]
    for position, node in enumerate(nodes):
        copy.graph.node.extend([node, *clones.get(position, [])])
    return copy


def _readers(model: onnx.ModelProto) -> dict[str, list[Reader]]:
    readers: dict[str, list[Reader]] = defaultdict(list)
    for position, node in enumerate(model.graph.node):
        for index, name in enumerate(node.input):
            if name:
                readers[name].append((position, index))
    return readers


def _is_read_twice(model: onnx.ModelProto, name: str, readers: dict[str, list[Reader]]) -> bool:
    """Tell whether several nodes read a weight that is some product's, not a zero point's."""
    count = 0
    for position, index in readers[name]:
        node = model.graph.node[position]
        is_data = node.op_type == DEQUANTIZE and index == 0
        if node.op_type == DEQUANTIZE and not is_data:
            return False
        count += len(readers[node.output[0]]) if is_data else 1
    return count > 1


def _separate(
    model: onnx.ModelProto,
    name: str,
    stored: dict[str, onnx.TensorProto],
    readers: dict[str, list[Reader]],
    clones: dict[int, list[onnx.NodeProto]],
) -> None:
    """Let the first reader keep the weight, and give each other one a copy."""
    count = 0
    for position, index in readers[name]:
        node = model.graph.node[position]
        if node.op_type != DEQUANTIZE:
            if count:
                node.input[index] = _copied(model, stored, name, count)
            count += 1
            continue
        users = readers[node.output[0]] or [(position, -1)]
        for user, place in users:
            if count and (user, place) == users[0]:
                _repoint(model, stored, node, count)
            elif count:
                clone = _clone(model, stored, node, count)
                model.graph.node[user].input[place] = clone.output[0]
                clones.setdefault(position, []).append(clone)
            count += 1


def _clone(
    model: onnx.ModelProto, stored: dict[str, onnx.TensorProto], node: onnx.NodeProto, count: int
) -> onnx.NodeProto:
    clone = onnx.NodeProto()
    clone.CopyFrom(node)
    clone.name = f"{node.name or node.output[0]}/copy{count}"
    clone.output[0] = f"{node.output[0]}/copy{count}"
    _repoint(model, stored, clone, count)
    return clone


def _repoint(
    model: onnx.ModelProto, stored: dict[str, onnx.TensorProto], node: onnx.NodeProto, count: int
) -> None:
    """Let a DequantizeLinear read copies of its weight and zero point."""
    for index in (0, 2):
        if index < len(node.input) and node.input[index] in stored:
            node.input[index] = _copied(model, stored, node.input[index], count)


def _copied(
    model: onnx.ModelProto, stored: dict[str, onnx.TensorProto], name: str, count: int
) -> str:
    own = f"{name}/copy{count}"
    while own in stored:
        own += "'"
    tensor = model.graph.initializer.add()
    tensor.CopyFrom(stored[name])
    tensor.name = own
    stored[own] = tensor
    return own
