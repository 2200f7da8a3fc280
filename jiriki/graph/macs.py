"""Multiply-accumulates of a node: the useful work, by which utilisation is measured.

In: a Graph and one of its nodes. Out: a count; padding of tiles is not in it.
"""

from math import prod

from jiriki.graph.graph import Graph
from jiriki.graph.tensor import Node


def macs_of(graph: Graph, node: Node) -> int:
    """Return the multiply-accumulates of a node: useful ones, padding of tiles not counted."""
    if node.op == "conv":
        out, w = graph.tensors[node.outputs[0]], graph.tensors[node.inputs[1]]
        return out.elements * prod(w.shape[1:])
    if node.op == "conv_transpose":
        x, w = graph.tensors[node.inputs[0]], graph.tensors[node.inputs[1]]
        return x.elements * prod(w.shape[1:])
    if node.op == "matmul":
        return graph.tensors[node.outputs[0]].elements * graph.tensors[node.inputs[0]].shape[-1]
    return 0
