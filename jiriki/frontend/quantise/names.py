"""Names and owners that the quantiser relies on: every node named, every bias read once.

In: a float model. Out: the same model, changed in place. ONNX Runtime's quantiser names the copy
of a shared bias by a counter and the tensors it adds by suffixes, without asking whether another
tensor has the name; and it finds the node that reads a bias by the node's name.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx

BIASED = ("Conv", "ConvTranspose", "Gemm")
# What the quantiser appends to the name of a tensor.
SUFFIXES = (
    "_scale", "_zero_point", "_quantized", "_QuantizeLinear", "_QuantizeLinear_Input",
    "_QuantizeLinear_Output", "_DequantizeLinear", "_DequantizeLinear_Output",
)  # fmt: skip


def tidy_names(model: onnx.ModelProto) -> None:
    """Name every node, give every product a bias of its own, free the quantiser's names."""
    _name_nodes(model.graph)
    _own_biases(model.graph)
    _free_suffixes(model.graph)


def _fresh(base: str, taken: set[str]) -> str:
    """Return an unused name that starts with `base`, and take it."""
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}.{count}"
    taken.add(name)
    return name


def _tensor_names(graph: onnx.GraphProto) -> set[str]:
    names = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    return names.union(*((*node.input, *node.output) for node in graph.node))


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Name unnamed nodes after their output, and tell apart those that share a name."""
    taken: set[str] = set()
    for node in graph.node:
        node.name = _fresh(node.name or node.output[0], taken)


def _own_biases(graph: onnx.GraphProto) -> None:
    stored = {tensor.name: tensor for tensor in graph.initializer}
    taken, seen = _tensor_names(graph), set[str]()
    for node in graph.node:
        if node.op_type not in BIASED or len(node.input) < 3 or node.input[2] not in stored:
            continue
        bias = stored[node.input[2]]
        if bias.name in seen or _reads(graph, bias.name) > 1:
            copy = graph.initializer.add()
            copy.CopyFrom(bias)
            copy.name = _fresh(f"{bias.name}_of_{node.output[0]}", taken)
            node.input[2] = copy.name
        seen.add(node.input[2])


def _reads(graph: onnx.GraphProto, name: str) -> int:
    return sum(list(node.input).count(name) for node in graph.node)


def _free_suffixes(graph: onnx.GraphProto) -> None:
    """Rename inner tensors that are called as the quantiser would call one of its own."""
    taken = _tensor_names(graph)
    fixed = {value.name for value in (*graph.input, *graph.output)}
    renamed = {
        name: _fresh(f"{name}.kept", taken)
        for name in sorted(taken - fixed)
        if any(name.endswith(s) and name.removesuffix(s) in taken for s in SUFFIXES)
    }
    for tensor in (*graph.initializer, *graph.value_info):
        tensor.name = renamed.get(tensor.name, tensor.name)
    for node in graph.node:
        _rename(node.input, renamed)
        _rename(node.output, renamed)


def _rename(names: Iterable[str], renamed: dict[str, str]) -> None:
    for index, name in enumerate(list(names)):
        if name in renamed:
            names[index] = renamed[name]  # type: ignore[index]
