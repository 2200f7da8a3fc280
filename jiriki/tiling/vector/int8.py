"""Element-wise operations on int8, and the conversions to and from float.

In: lut, qadd, qmul, quantize, dequantize, cast nodes. Out: maps (`vector_ops`) in exactly the
operation order of the op table's references: bit-exact.
"""

import numpy as np

from jiriki.graph.graph import Node
from jiriki.isa.words import DType, MicroOp, Quantiser
from jiriki.tiling.builder import Builder, Placed
from jiriki.tiling.matrix.epilogue import channel_params
from jiriki.tiling.moves.move import End, Loop, copy_loops
from jiriki.tiling.tile_program import Area
from jiriki.tiling.vector.elementwise import (
    Operand,
    Result,
    broadcast_operand,
    constant_tensor,
    dtype_of,
    plan_map,
    plan_node_map,
)
from jiriki.tiling.vector.expression import PER_CHANNEL, Ex, source, table, unary


def number(node: Node, key: str) -> float:
    """Return an attribute as the fp32 value that the chip's scalar register holds."""
    return float(np.float32(node.attrs[key]))  # type: ignore[arg-type]


def quantiser(node: Node, zero_point: str | None) -> Quantiser:
    """Return the quantiser of a node's attributes."""
    zero = 0 if zero_point is None else int(node.attrs[zero_point])  # type: ignore[arg-type]
    return Quantiser(zero, int(node.attrs["lo"]), int(node.attrs["hi"]))  # type: ignore[arg-type]


def lut_image(values: np.ndarray) -> bytes:
    """Return the 256-byte image of a table given for -128, -127, ... 127."""
    return np.roll(values.astype(np.int8), -128).tobytes()


def plan_lut(b: Builder, node: Node) -> None:
    image = lut_image(b.graph.constants[node.inputs[1]])
    plan_node_map(b, node, table(source(0), image), node.inputs[:1])


def plan_qadd(b: Builder, node: Node) -> None:
    ra, rb, fixed = (number(node, key) for key in ("ra", "rb", "fixed"))
    total = (source(0) * ra + fixed) + source(1) * rb
    plan_node_map(b, node, total, quant=quantiser(node, None))


def plan_qmul(b: Builder, node: Node) -> None:
    product = (source(0) - number(node, "a_zp")) * (source(1) - number(node, "b_zp"))
    plan_node_map(b, node, product * number(node, "scale"), quant=quantiser(node, "out_zp"))


def plan_quantize(b: Builder, node: Node) -> None:
    scaled = source(0) * number(node, "inv_scale")
    plan_node_map(b, node, scaled, quant=quantiser(node, "zp"))


def plan_dequantize(b: Builder, node: Node) -> None:
    """Per-tensor scales are constants, per-channel ones parameters, others a second operand."""
    x, out = node.inputs[0], b.placed[node.outputs[0]]
    scale = b.graph.constants[node.inputs[1]]
    centred = source(0) - number(node, "zp")
    axis = int(node.attrs["axis"])  # type: ignore[arg-type]
    if scale.size == 1:
        plan_node_map(b, node, centred * float(scale.reshape(())), [x])
    elif axis == out.layout.axis:
        raw = channel_params(np.zeros(len(scale), np.int32), scale, b.chip.ku)
        params = b.constant(f"{node.name}.scale", raw)
        plan_node_map(b, node, centred * PER_CHANNEL, [x], params=params)
    else:
        shape = [1] * len(out.layout.shape)
        shape[axis] = -1
        factors = constant_tensor(b, f"{node.name}.scale", scale.reshape(shape))
        operands = [broadcast_operand(b, x, out.layout), Operand(factors, DType.F32)]
        plan_map(b, centred * source(1), operands, Result(out, DType.F32))


def plan_cast(b: Builder, node: Node) -> None:
    name, out = node.inputs[0], b.placed[node.outputs[0]]
    dtype, wanted = dtype_of(b, name), DType[str(node.attrs["to"]).upper()]
    if dtype == wanted:
        copy_tensor(b, b.operand(name), out)
        return
    value: Ex = source(0)
    if dtype is DType.I32:
        value = unary(MicroOp.I2F, value)
    plan_node_map(b, node, value)


def copy_tensor(b: Builder, x: Placed, y: Placed) -> None:
    """Copy a tensor to another of the same shape, byte by byte."""
    layout = x.layout
    planes = Loop(layout.groups, x.plane * layout.group_bytes, y.plane * layout.group_bytes)
    run = Loop(layout.pixels * layout.ku, layout.width, layout.width)
    ends = End(x.buffer, 0, Area(x.buffer)), End(y.buffer, 0, Area(y.buffer))
    copy_loops(b, *ends, [planes, run], layout.width)


PLANNERS = {
    "lut": plan_lut,
    "qadd": plan_qadd,
    "qmul": plan_qmul,
    "quantize": plan_quantize,
    "dequantize": plan_dequantize,
    "cast": plan_cast,
}
