"""Statistics of a normalisation written out in nodes: sums and variances stay in float.

In: a float model. Out: the names of the nodes that must not be quantised. A variance as
E[x²] - E[x]² is the small difference of two large numbers, and its inverse root multiplies what a
step of 8 bits leaves of it: a LayerNorm so exported answers noise. Statistics are small tensors,
so that float costs next to nothing.

A statistic is what leads from a reduction (and the square that it sums) to a root or a reciprocal,
and on to the node that applies it to the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx

ROOTS = frozenset(["Pow", "Reciprocal", "Sqrt"])
REDUCTIONS = frozenset(["ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare"])
SQUARES = frozenset(["Abs", "Mul", "Pow"])
POINTWISE = ROOTS | frozenset(
    [
        "Abs", "Add", "Cast", "Clip", "Div", "Expand", "Identity", "Max", "Min", "Mul", "Neg",
        "Reshape", "Squeeze", "Sub", "Unsqueeze",
    ]
)  # fmt: skip


@dataclass(frozen=True)
class _Links:
    """Who computes and who reads each tensor."""

    makers: Mapping[str, onnx.NodeProto]
    readers: Mapping[str, list[onnx.NodeProto]]


def nodes_of_statistics(model: onnx.ModelProto) -> list[str]:
    """Return the names of the nodes between a reduction and what its root or inverse scales."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    makers = {output: node for node in model.graph.node for output in node.output}
    links = _Links(makers, readers)
    names: dict[str, None] = {}
    for root in model.graph.node:
        if root.op_type in ROOTS:
            before = _before(root, links)
            if any(node.op_type in REDUCTIONS for node in before.values()):
                names |= dict.fromkeys(before)
                names |= dict.fromkeys(node.name for node in _behind(root, links))
    return list(names)


def _before(root: onnx.NodeProto, links: _Links) -> dict[str, onnx.NodeProto]:
    """Return the nodes, by name, from which the root is computed, back to reductions' squares."""
    nodes: dict[str, onnx.NodeProto] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.name in nodes:
            continue
        nodes[node.name] = node
        reduces = node.op_type in REDUCTIONS
        behind = SQUARES if reduces else POINTWISE | REDUCTIONS
        for name in node.input[:1] if reduces else node.input:
            maker = links.makers.get(name)
            if maker is None or maker.op_type not in behind:
                continue
            if reduces:
                nodes[maker.name] = maker
            else:
                waiting.append(maker)
    return nodes


def _behind(root: onnx.NodeProto, links: _Links) -> Iterator[onnx.NodeProto]:
    """Yield the nodes that scale the root by stored factors, and those that apply it to data."""
    own = {root.output[0]}
    waiting = [root.output[0]]
    while waiting:
        for node in links.readers.get(waiting.pop(), []):
            if node.op_type not in POINTWISE or node.output[0] in own:
                continue
            yield node
            if all(name in own or name not in links.makers for name in node.input):
                own.add(node.output[0])
                waiting.append(node.output[0])
