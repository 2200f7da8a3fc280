"""Functions of one tensor written out in nodes, as GELU and Swish are: one table, no inner scales.

In: a float model. Out: the names of the nodes inside such functions. Left in float between the
quantised tensor and the quantised result, they become one table of 256 entries at import; each
inner tensor with a scale of its own loses values instead: the cube in GELU's tanh form reaches
3,500 where x reaches 43, and one step of it is then the whole bend of the curve.

A function is a node that joins two or more paths from one tensor through element-wise operators
whose other operands are stored numbers, with all that lies on these paths.
"""

from __future__ import annotations

from math import prod

import onnx

from jiriki.frontend.onnx.lut_fold import ELEMENTWISE


def nodes_of_functions(model: onnx.ModelProto) -> list[str]:
    """Return the names of the nodes of every function that uses its tensor more than once."""
    stored = {tensor.name: prod(tensor.dims) for tensor in model.graph.initializer}
    origins: dict[str, str] = {}  # of each tensor, the one that it is a function of
    makers: dict[str, onnx.NodeProto] = {}
    names: dict[str, None] = {}
    for node in model.graph.node:
        varying = [name for name in node.input if name and name not in stored]
        sources = {origins.get(name, name) for name in varying}
        numbers = all(stored.get(name, 1) == 1 for name in node.input)
        if node.op_type not in ELEMENTWISE or len(sources) != 1 or not numbers:
            continue
        (source,) = sources
        origins[node.output[0]] = source
        makers[node.output[0]] = node
        if len(set(varying)) > 1:
            names |= dict.fromkeys(_paths(node, source, makers))
    return list(names)


def _paths(node: onnx.NodeProto, source: str, makers: dict[str, onnx.NodeProto]) -> list[str]:
    """Return the names of the nodes between the source and this node, itself included."""
    names: dict[str, None] = {}
    waiting = [node]
    while waiting:
        last = waiting.pop()
        names[last.name] = None
        waiting += [
            makers[name]
            for name in last.input
            if name != source and name in makers and makers[name].name not in names
        ]
    return list(names)
