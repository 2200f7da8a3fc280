"""Write auto_pad = SAME out as pads where ONNX Runtime refuses it: beside dilations.

In: a model of static shapes. Out: the same model, or one in which such a Conv or pooling says its
pads.
"""

from __future__ import annotations

import onnx
from onnx import helper

from jiriki.frontend.onnx.context import list_attribute, text_attribute
from jiriki.frontend.onnx.window import read_spans

WINDOWED = ("Conv", "ConvInteger", "MaxPool", "AveragePool", "QLinearConv")
_WEIGHTS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}


def spell_out_same_pads(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with pads in place of auto_pad = SAME where there are dilations."""
    if not any(_needs_pads(node) for node in model.graph.node):
        return model
    inferred = onnx.shape_inference.infer_shapes(model)
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*inferred.graph.value_info, *inferred.graph.input)
    }
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in inferred.graph.initializer}
    for node in inferred.graph.node:
        if not _needs_pads(node):
            continue
        x = shapes.get(node.input[0], ())
        if node.op_type in _WEIGHTS:
            kernel = shapes.get(node.input[_WEIGHTS[node.op_type]], ())[2:]
        else:
            kernel = tuple(list_attribute(node, "kernel_shape", []))
        if len(x) > 2 and len(kernel) == len(x) - 2 and min(x) > 0:
            _write_pads(node, x[2:], kernel)
    return inferred


def _needs_pads(node: onnx.NodeProto) -> bool:
    return (
        node.op_type in WINDOWED
        and text_attribute(node, "auto_pad", "").startswith("SAME")
        and any(d > 1 for d in list_attribute(node, "dilations", []))
    )


def _write_pads(node: onnx.NodeProto, spatial: tuple[int, ...], kernel: tuple[int, ...]) -> None:
    spans = read_spans(node, spatial, kernel)
    attributes = [a for a in node.attribute if a.name not in ("auto_pad", "pads")]
    pads = [span.before for span in spans] + [span.counted for span in spans]
    del node.attribute[:]
    node.attribute.extend([*attributes, helper.make_attribute("pads", pads)])
