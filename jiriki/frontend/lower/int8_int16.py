"""Arithmetic and comparisons of 8- and 16-bit integers, exact in float32.

In: operands of one type, int8, uint8, int16 or uint16. Bytes are int8 tensors (uint8 minus 128),
16-bit integers are float32 tensors of whole numbers. Out: float32 operations. Sums and differences
of 16 bits and products of 8 stay below 2^24, where float32 holds every integer; what leaves the
type's range wraps around, as in ONNX Runtime.
"""

from __future__ import annotations

import numpy as np
import onnx

from jiriki.frontend.onnx.context import Context, label
from jiriki.graph import Attr

f32 = np.float32
BYTES = ("int8", "uint8")
WORDS = ("int16", "uint16")
SMALL = (*BYTES, *WORDS)
WRAPPING = {"Add": "add", "Sub": "sub", "Mul": "mul"}


def is_small(context: Context, node: onnx.NodeProto) -> bool:
    """Tell whether the node computes on 8- or 16-bit integers."""
    return context.value(node, 0).dtype in SMALL


def whole_operands(context: Context, node: onnx.NodeProto) -> list[str]:
    """Return all operands as float32 tensors; uint8 ones are 128 less than their values."""
    return [_whole(context, node, index) for index in range(len(node.input))]


def _whole(context: Context, node: onnx.NodeProto, index: int) -> str:
    value = context.value(node, index)
    if value.array is not None:
        array = value.array.astype(f32) - f32(value.shift)
        return context.add_constant(f"{node.output[0]}/constant", array)
    tensor = context.tensor(node, index)
    return _step(context, node, "cast", tensor, to="f32") if value.dtype in BYTES else tensor


def bind_whole(context: Context, node: onnx.NodeProto, tensor: str) -> None:
    """Bind the node's output to whole numbers, of its first input's type, as operands are."""
    dtype = context.value(node, 0).dtype
    if dtype in BYTES:
        tensor = _step(context, node, "cast", tensor, to="i8")
    context.bind(node, tensor, dtype)


def wrapping(context: Context, node: onnx.NodeProto) -> None:
    """Add, Sub or Mul: the exact result, brought back into the type's range."""
    dtype = context.value(node, 0).dtype
    if node.op_type == "Mul" and dtype in WORDS:
        raise context.unsupported(
            node, "products of 16-bit integers exceed float32's 2^24", "cast to float32 first"
        )
    shift = context.value(node, 0).shift
    a, b = (_shifted(context, node, x, shift) for x in whole_operands(context, node))
    exact = _step(context, node, WRAPPING[node.op_type], a, b)
    limits = np.iinfo(dtype)
    turn = float(limits.max) - float(limits.min) + 1
    above = _shifted(context, node, exact, -float(limits.min))
    turns = _step(context, node, "floor", _times(context, node, above, 1 / turn))
    result = _step(context, node, "sub", exact, _times(context, node, turns, turn))
    bind_whole(context, node, _shifted(context, node, result, -shift))


def _shifted(context: Context, node: onnx.NodeProto, x: str, by: float) -> str:
    return _step(context, node, "add", x, _number(context, node, by)) if by else x


def _times(context: Context, node: onnx.NodeProto, x: str, factor: float) -> str:
    return _step(context, node, "mul", x, _number(context, node, factor))


def _number(context: Context, node: onnx.NodeProto, value: float) -> str:
    return context.add_constant(f"{node.output[0]}/number", np.array(value, f32))


def _step(context: Context, node: onnx.NodeProto, op: str, *inputs: str, **attrs: Attr) -> str:
    return context.emit(op, list(inputs), attrs, f"{node.output[0]}/{op}", label(node))
