"""What ONNX says and ONNX Runtime does not read, in words that it reads.

In: a valid model. Out: the same model, or an equal one in which each such node is written in other
operators: SpaceToDepth with a mode, which ONNX Runtime does not know yet, and a dilated AveragePool
between DequantizeLinear and QuantizeLinear, from which it would make a QLinearAveragePool that has
no dilations, and then refuse it.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from jiriki.frontend.context import list_attribute, text_attribute


def for_runtime(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model that ONNX Runtime reads, with the same results."""
    if not any(_has_mode(node) or _is_dilated_mean(node) for node in model.graph.node):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = list(copy.graph.node)
    del copy.graph.node[:]
    for node in nodes:
        if _has_mode(node):
            copy.graph.node.extend(_in_older_words(copy, node))
        elif _is_dilated_mean(node):
            copy.graph.node.extend(_kept_in_float(node))
        else:
            copy.graph.node.append(node)
    return copy


def _is_dilated_mean(node: onnx.NodeProto) -> bool:
    return node.op_type == "AveragePool" and any(
        d != 1 for d in list_attribute(node, "dilations", [])
    )


def _kept_in_float(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Put a sum of one term behind the node, so that no QuantizeLinear follows it directly."""
    mean = onnx.NodeProto()
    mean.CopyFrom(node)
    mean.output[0] = f"{node.output[0]}/mean"
    return [mean, helper.make_node("Sum", [mean.output[0]], [node.output[0]])]


def _has_mode(node: onnx.NodeProto) -> bool:
    """Tell whether a SpaceToDepth says its mode, which it does from opset 28 on."""
    return node.op_type == "SpaceToDepth" and any(a.name == "mode" for a in node.attribute)


def _in_older_words(model: onnx.ModelProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return a SpaceToDepth without mode, and what turns its channels [block, c] to [c, block]."""
    columns_first = text_attribute(node, "mode", "DCR") == "CRD"
    (block,) = (a.i for a in node.attribute if a.name == "blocksize")
    out, name = node.output[0], node.name or node.output[0]
    plain = out if not columns_first else f"{out}/blocks"
    nodes = [helper.make_node("SpaceToDepth", node.input, [plain], name, blocksize=block)]
    if not columns_first:
        return nodes
    split, joined = f"{out}/split", f"{out}/joined"
    for shape_name, shape in ((split, [0, 0, 0, block * block, -1]), (joined, [0, 0, 0, -1])):
        array = np.array(shape, np.int64)
        model.graph.initializer.append(numpy_helper.from_array(array, shape_name))
    steps: list[tuple[str, list[str], list[int]]] = [
        ("Transpose", [], [0, 2, 3, 1]),
        ("Reshape", [split], []),
        ("Transpose", [], [0, 1, 2, 4, 3]),
        ("Reshape", [joined], []),
        ("Transpose", [], [0, 3, 1, 2]),
    ]
    for i, (op, more, perm) in enumerate(steps):
        target = out if i == len(steps) - 1 else f"{out}/turned{i}"
        turn = helper.make_node(op, [nodes[-1].output[0], *more], [target], f"{name}/{i}")
        if perm:
            turn.attribute.append(helper.make_attribute("perm", perm))
        nodes.append(turn)
    return nodes
