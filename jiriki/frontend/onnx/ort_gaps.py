"""What ONNX says and ONNX Runtime does not read, in words that it reads.

In: a valid model. Out: the same model, or an equal one in which each such node is written in other
operators: SpaceToDepth with a mode, which ONNX Runtime does not know yet; a dilated AveragePool
between DequantizeLinear and QuantizeLinear, from which it would make a QLinearAveragePool that has
no dilations, and then refuse it; Pow with stored unsigned exponents, for which it has no kernel;
auto_pad = SAME beside dilations (`same_pads`); scales that its fusions misread (`ort_fusions`);
int8 weights with several readers (`own_weights`).
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from jiriki.frontend.onnx.context import list_attribute, text_attribute
from jiriki.frontend.onnx.ort_fusions import separate_misread_scales
from jiriki.frontend.onnx.own_weights import separate_shared_weights
from jiriki.frontend.onnx.same_pads import spell_out_same_pads


def for_runtime(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model that ONNX Runtime reads, with the same results."""
    apart = separate_shared_weights(separate_misread_scales(_with_own_names(model)))
    return _in_known_words(spell_out_same_pads(apart))


def _with_own_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """Name each node after its output where two nodes share a name, which ONNX Runtime refuses."""
    names = [node.name for node in model.graph.node if node.name]
    if len(set(names)) == len(names):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    seen: set[str] = set()
    for node in copy.graph.node:
        if node.name in seen:
            node.name = f"{node.name}/{node.output[0]}"
        seen.add(node.name)
    return copy


def _in_known_words(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite operators, attributes and types that ONNX Runtime lacks."""
    unsigned = _unsigned_exponents(model)
    if not unsigned and not any(
        _has_mode(node) or _says_dilations(node) for node in model.graph.node
    ):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for name, exponents in unsigned.items():
        copy.graph.initializer.append(numpy_helper.from_array(exponents, f"{name}/float"))
    nodes = list(copy.graph.node)
    del copy.graph.node[:]
    for node in nodes:
        if _has_mode(node):
            copy.graph.node.extend(_in_older_words(copy, node))
        elif _says_dilations(node):
            copy.graph.node.extend(_kept_in_float(node))
        else:
            copy.graph.node.append(node)
            if node.op_type == "Pow" and node.input[1] in unsigned:
                copy.graph.node[-1].input[1] = f"{node.input[1]}/float"
    return copy


def _unsigned_exponents(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Return the stored uint32 and uint64 exponents of Pow as float32, where that is exact."""
    kinds = (onnx.TensorProto.UINT32, onnx.TensorProto.UINT64)
    named = {node.input[1] for node in model.graph.node if node.op_type == "Pow"}
    arrays = {
        stored.name: np.asarray(numpy_helper.to_array(stored))
        for stored in model.graph.initializer
        if stored.name in named and stored.data_type in kinds
    }
    return {n: a.astype(np.float32) for n, a in arrays.items() if a.max(initial=0) <= 1 << 24}


def _says_dilations(node: onnx.NodeProto) -> bool:
    return node.op_type == "AveragePool" and any(a.name == "dilations" for a in node.attribute)


def _kept_in_float(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Put a sum of one term behind a dilated mean, so that no QuantizeLinear follows it directly.

    Dilations of 1 say nothing and go.
    """
    mean = onnx.NodeProto()
    mean.CopyFrom(node)
    if all(d == 1 for d in list_attribute(node, "dilations", [])):
        attributes = [a for a in node.attribute if a.name != "dilations"]
        del mean.attribute[:]
        mean.attribute.extend(attributes)
        return [mean]
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
