"""Keep ONNX Runtime from fusing dequantised operands whose scales its fused kernel misreads.

In: a model. Out: the same model, or one in which a Sum of one term stands between such a
DequantizeLinear and what reads it. ONNX Runtime takes any vector of weight scales for one per
output channel, whatever its axis, and refuses scales along an axis of an activation that it fuses.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import helper

from jiriki.frontend.onnx.context import int_attribute
from jiriki.frontend.onnx.scales import stored_tensors

# Operators that ONNX Runtime either never fuses, or only moves scales through.
HARMLESS = frozenset(
    ["ConvTranspose", "Identity", "QuantizeLinear", "Reshape", "Squeeze", "Transpose", "Unsqueeze"]
)


def separate_misread_scales(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with a Sum behind each DequantizeLinear that a fusion would misread."""
    ranks = _stored_ranks(model)
    spread = {
        node.output[0]: node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and ranks.get(node.input[1], 0) > 0
    }
    if not any(_misreads(node, i, spread, ranks) for node, i in _reads(model, spread)):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = list(copy.graph.node)
    del copy.graph.node[:]
    for number, node in enumerate(nodes):
        for index, name in enumerate(node.input):
            if name in spread and _misreads(node, index, spread, ranks):
                node.input[index] = f"{name}/apart{number}.{index}"
                copy.graph.node.append(helper.make_node("Sum", [name], [node.input[index]]))
        copy.graph.node.append(node)
    return copy


def _reads(
    model: onnx.ModelProto, spread: Mapping[str, onnx.NodeProto]
) -> list[tuple[onnx.NodeProto, int]]:
    return [(n, i) for n in model.graph.node for i, name in enumerate(n.input) if name in spread]


def _misreads(
    node: onnx.NodeProto, index: int, spread: Mapping[str, onnx.NodeProto], ranks: Mapping[str, int]
) -> bool:
    """Tell whether a fusion of the node would take the scales of input `index` for others."""
    if node.op_type in HARMLESS or (node.op_type not in _AXES and index > 0):
        return False
    if node.op_type not in _AXES:
        return ranks.get(spread[node.input[index]].input[0]) is None  # an activation
    if index == 2:
        return False  # a bias: a vector has one axis
    if index == 0:
        return True
    dequantize = spread[node.input[1]]
    rank = ranks.get(dequantize.input[0], 0)
    axis = int_attribute(dequantize, "axis", 1)
    return rank == 0 or axis % rank != _AXES[node.op_type](node) % rank


# Along which axis of its weights each operator has one scale per output channel.
_AXES = {
    "Conv": lambda node: 0,
    "Gemm": lambda node: 0 if int_attribute(node, "transB", 0) else 1,
    "MatMul": lambda node: -1,
}


def _stored_ranks(model: onnx.ModelProto) -> dict[str, int]:
    """Return the rank of every stored tensor that has more than one element, 0 of the others."""
    return {
        name: len(tensor.dims) if any(d != 1 for d in tensor.dims) else 0
        for name, tensor in stored_tensors(model).items()
    }
