"""Hardware-free passes: the same outputs, bit for bit, from fewer nodes.

In: a Graph. Out: a Graph. `simplify` is the list of them in order: identities go, reshapes merge,
functions of one int8 become one table, unused nodes and constants go.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jiriki.graph.graph import Graph
from jiriki.graph.ops import OPS
from jiriki.graph.ops_float import BINARY, UNARY
from jiriki.graph.tensor import DType, Node, TensorType, fresh_name

ELEMENTWISE = frozenset(
    ["cast", "dequantize", "lut", "qadd", "qmul", "quantize", "where", *UNARY, *BINARY]
)
Tables = dict[str, tuple[str, np.ndarray]]  # tensor -> (int8 tensor it is a table of, table [256])
LEVELS = np.arange(-128, 128, dtype=np.int16).astype(np.int8)


def simplify(graph: Graph) -> Graph:
    """Run every pass once, in the order that lets each see the earlier ones' results."""
    for run in (merge_reshapes, remove_identities, fold_tables, remove_dead):
        graph = run(graph)
    return graph


def remove_dead(graph: Graph) -> Graph:
    """Drop nodes whose results nothing reads, then constants and tensors that nothing reads."""
    live = {port.name for port in graph.outputs}
    live_nodes: list[Node] = []
    for node in reversed(graph.nodes):
        if live.intersection(node.outputs):
            live_nodes.append(node)
            live.update(node.inputs)
    live.update(port.name for port in graph.inputs)
    live.update(name for node in live_nodes for name in node.outputs)
    return replace(
        graph,
        nodes=tuple(reversed(live_nodes)),
        constants={name: array for name, array in graph.constants.items() if name in live},
        tensors={name: type_ for name, type_ in graph.tensors.items() if name in live},
    )


def merge_reshapes(graph: Graph) -> Graph:
    """Make a reshape of a reshape read the first one's input."""
    origin: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        if node.op == "reshape":
            source = origin.get(node.inputs[0], node.inputs[0])
            node = replace(node, inputs=(source,))
            origin[node.outputs[0]] = source
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _is_identity(graph: Graph, node: Node) -> bool:
    source, result = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    if node.op in ("reshape", "expand", "slice", "concat", "pad") and len(node.inputs) == 1:
        steps = node.attrs.get("steps", ())
        assert isinstance(steps, tuple)
        return source == result and all(step == 1 for step in steps)
    if node.op == "transpose":
        return node.attrs["perm"] == tuple(range(len(source.shape)))
    return False


def remove_identities(graph: Graph) -> Graph:
    """Drop nodes that copy; an output that was such a copy names the original instead."""
    fixed = {port.name for port in (*graph.inputs, *graph.outputs)} | set(graph.constants)
    outputs = {port.name for port in graph.outputs}
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        node = replace(node, inputs=tuple(_follow(renamed, name) for name in node.inputs))
        if not _is_identity(graph, node):
            nodes.append(node)
            continue
        source, result = node.inputs[0], node.outputs[0]
        if result not in outputs:
            renamed[result] = source
        elif source not in fixed:  # the producer takes the output's name
            nodes = [_rename(n, source, result) for n in nodes]
            renamed[source] = result
            fixed.add(result)
        else:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _follow(renamed: dict[str, str], name: str) -> str:
    while name in renamed:
        name = renamed[name]
    return name


def _rename(node: Node, old: str, new: str) -> Node:
    return replace(
        node,
        inputs=tuple(new if name == old else name for name in node.inputs),
        outputs=tuple(new if name == old else name for name in node.outputs),
    )


def fold_tables(graph: Graph) -> Graph:
    """Turn every int8 function of one int8 tensor into one table of it.

    The function may pass through float32 (dequantize, any element-wise operations with constants of
    one element, quantize): its nodes stay only where something else reads them.
    """
    constants, tensors = dict(graph.constants), dict(graph.tensors)
    tables: Tables = {}
    nodes = []
    for node in graph.nodes:
        lookup = _as_table(graph, node, tables)
        if lookup is not None:
            root, table = lookup
            tables[node.outputs[0]] = lookup
            if table.dtype == np.int8:
                name = fresh_name(f"{node.outputs[0]}/table", tensors)
                constants[name] = table
                tensors[name] = TensorType((256,), DType.I8)
                node = replace(node, op="lut", inputs=(root, name), attrs={})
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes), constants=constants, tensors=tensors)


def _as_table(graph: Graph, node: Node, tables: Tables) -> tuple[str, np.ndarray] | None:
    """Return (root, table) when the node's result is an element-wise table of one int8 tensor."""
    if node.op not in ELEMENTWISE:
        return None
    data = node.inputs[:1] if node.op == "lut" else node.inputs
    roots = {tables[n][0] if n in tables else n for n in data if n not in graph.constants}
    if len(roots) != 1:
        return None
    (root,) = roots
    type_ = graph.tensors[root]
    if type_.dtype != DType.I8 or type_.shape != graph.tensors[node.outputs[0]].shape:
        return None
    operands = []
    for name in node.inputs:
        if name in graph.constants:
            array = graph.constants[name]
            if node.op != "lut" and array.size != 1:
                return None
            operands.append(array if node.op == "lut" else array.reshape(()))
        else:
            operands.append(tables[name][1] if name in tables else LEVELS)
    (table,) = OPS[node.op].reference(operands, node.attrs)
    return root, table
