"""Operators of ONNX on 8- and 16-bit integers: operands read, results bound.

In: nodes whose operands are int8, uint8, int16 or uint16. Out: the operations of
`frontend.lower.int8_int16`.
"""

from __future__ import annotations

import onnx

from jiriki.frontend.lower.int8_int16 import SMALL, WORDS, WRAPPING, Integers
from jiriki.frontend.onnx.context import Context, label


def is_small(context: Context, node: onnx.NodeProto) -> bool:
    """Tell whether the node computes on 8- or 16-bit integers."""
    return context.value(node, 0).dtype in SMALL


def whole_operands(context: Context, node: onnx.NodeProto) -> list[str]:
    """Return all operands as float32 tensors; uint8 ones are 128 less than their values."""
    return [_whole(context, node, index) for index in range(len(node.input))]


def _whole(context: Context, node: onnx.NodeProto, index: int) -> str:
    value = context.value(node, index)
    integers = Integers(context, value.dtype, node.output[0], label(node))
    if value.array is not None:
        return integers.constant(value.array)
    return integers.widened(context.tensor(node, index))


def bind_whole(context: Context, node: onnx.NodeProto, tensor: str) -> None:
    """Bind the node's output to whole numbers, of its first input's type, as operands are."""
    integers = _integers(context, node)
    context.bind(node, integers.narrowed(tensor), integers.dtype)


def wrapping(context: Context, node: onnx.NodeProto) -> None:
    """Add, Sub or Mul: the exact result, brought back into the type's range."""
    integers = _integers(context, node)
    if node.op_type == "Mul" and integers.dtype in WORDS:
        raise context.unsupported(
            node, "products of 16-bit integers exceed float32's 2^24", "cast to float32 first"
        )
    a, b = whole_operands(context, node)
    bind_whole(context, node, integers.wrapped(WRAPPING[node.op_type], a, b))


def _integers(context: Context, node: onnx.NodeProto) -> Integers:
    return Integers(context, context.value(node, 0).dtype, node.output[0], label(node))
