"""Tensors without elements: constants from the moment that they appear.

In: ONNX nodes that read or make a tensor one of whose dimensions is 0. Out: constant `Value`s; no
graph node ever computes such a tensor. What is made of one (a sum over nothing) is a constant too.
"""

from __future__ import annotations

import numpy as np
import onnx

from jiriki.frontend.onnx.context import Context, Value


def empty_value(dtype: str, shape: tuple[int, ...]) -> Value:
    """Return the one value that a shape with a 0 in it has."""
    assert 0 in shape, f"shape {shape} has elements"
    return Value(dtype, shape, array=np.zeros(shape, dtype))


def settle_empty(context: Context, node: onnx.NodeProto) -> None:
    """Make the node's outputs that have no elements constants; what computed them is dead."""
    for name in node.output:
        value = context.values.get(name)
        if value is not None and 0 in value.shape and value.array is None:
            context.values[name] = empty_value(value.dtype, value.shape)


def fold_empty_extreme(context: Context, node: onnx.NodeProto) -> bool:
    """Carry out a maximum or minimum over no truth values, which ONNX Runtime does not define.

    ONNX does: the least and the greatest of them.
    """
    value = context.values.get(node.input[0]) if node.input else None
    if node.op_type not in ("ReduceMax", "ReduceMin") or value is None or value.array is None:
        return False
    if value.dtype != "bool" or value.array.size:
        return False
    reduced = context.optional(node, 1)
    axes = None if reduced is None else tuple(reduced.reshape(-1).tolist())
    keep = next((bool(a.i) for a in node.attribute if a.name == "keepdims"), True)
    shape = np.zeros(value.shape).sum(axis=axes, keepdims=keep).shape
    array = np.full(shape, node.op_type == "ReduceMin")
    context.values[node.output[0]] = Value("bool", shape, array=array)
    return True
