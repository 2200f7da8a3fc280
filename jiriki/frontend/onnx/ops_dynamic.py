"""DynamicQuantizeLinear: the scale and zero point come from the data itself.

In: one float32 tensor. Out: reductions and element-wise operations; the three outputs of ONNX's
definition. The chip multiplies by reciprocals where ONNX divides: the scale is within 1 ulp, the
zero point and the elements within one step (decision 0004).
"""

from __future__ import annotations

import onnx

from jiriki.frontend.onnx.context import Context
from jiriki.frontend.onnx.ops_float import finish, float_input, number, step
from jiriki.frontend.onnx.registry import takes


@takes("DynamicQuantizeLinear")
def dynamic_quantize_linear(context: Context, node: onnx.NodeProto) -> None:
    """uint8 over the range of the data, 0 included; a range of 0 has scale 1."""
    x = float_input(context, node)
    axes = tuple(range(len(context.tensors[x].shape)))
    zero, least, most = (number(context, node, v) for v in (0.0, -128.0, 127.0))
    low = step(context, node, "reduce_min", x, axes=axes, keepdims=0)
    high = step(context, node, "reduce_max", x, axes=axes, keepdims=0)
    low, high = step(context, node, "min", low, zero), step(context, node, "max", high, zero)
    span = step(context, node, "sub", high, low)
    scale = step(context, node, "mul", span, number(context, node, 1 / 255))
    empty = step(context, node, "equal", span, zero)
    scale = step(context, node, "where", empty, number(context, node, 1.0), scale)
    inverse = step(context, node, "reciprocal", scale)
    below = step(context, node, "round", step(context, node, "mul", low, inverse))
    point = step(context, node, "sub", least, below)  # uint8 is held less 128
    point = step(context, node, "min", step(context, node, "max", point, least), most)
    steps = step(context, node, "round", step(context, node, "mul", x, inverse))
    shifted = step(context, node, "add", steps, point)
    finish(context, node, step(context, node, "cast", shifted, to="i8"), "uint8")
    context.bind(node, scale, "float32", 1)
    context.bind(node, step(context, node, "cast", point, to="i8"), "uint8", 2)
