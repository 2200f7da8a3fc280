"""Operators of quantised models: QuantizeLinear, DequantizeLinear and the QLinear family.

In: nodes of the executed model (ONNX Runtime's own fusions included). Out: lut, qadd, qmul,
quantize and dequantize nodes. Every table of 256 entries is computed by ONNX Runtime
itself, so it is exact by construction.
"""

from __future__ import annotations

import numpy as np
import onnx

from jiriki.frontend.lower.int8_int16 import SMALL, WORDS
from jiriki.frontend.lower.per_channel import dequantise_spread, quantise_spread, spread, spreads
from jiriki.frontend.onnx.context import (
    Context,
    Quant,
    Value,
    int_attribute,
    label,
)
from jiriki.frontend.onnx.lut_fold import carried_out, lookup_table, single_node_table, unary_region
from jiriki.frontend.onnx.ops_linear import absorb_linear
from jiriki.frontend.onnx.ort_requant import AddMatch, QParam, match_add, match_float_add, match_mul
from jiriki.frontend.onnx.registry import takes
from jiriki.graph import Attr

MS = "com.microsoft"
LIMITS: dict[str, Attr] = {"lo": -128, "hi": 127}
RARE_PAIRS = 4  # of 65,536 that may differ by a step; for more, a product takes its way in float


def read_param(
    context: Context, node: onnx.NodeProto, scale: int, zero_point: int, dtype: str
) -> QParam:
    """Read a per-tensor (scale, zero point) pair of inputs."""
    shift = 128 if dtype == "uint8" else 0
    raw = int(context.scalar(node, zero_point, 0))
    return QParam(float(np.float32(context.scalar(node, scale))), raw - shift, shift)


@takes("DequantizeLinear")
@takes("DequantizeLinear", domain=MS)
def dequantize_linear(context: Context, node: onnx.NodeProto) -> None:
    """Remember the int8 tensor with its scale; a graph node is made only when needed.

    16 bits, scales a block, and zero points that differ along an axis are applied at once.
    """
    x = context.value(node, 0)
    scale = context.constant(node, 1).astype(np.float32)
    raw = context.optional(node, 2)
    zero_point = np.zeros(scale.shape, np.int32) if raw is None else raw.astype(np.int32)
    if x.dtype not in SMALL and x.array is None:
        raise context.unsupported(
            node, f"input format {x.dtype} is not taken", "use integers of 8 or 16 bits"
        )
    axis = -1
    if x.dtype in WORDS:
        _dequantise_now(context, node, x, scale, zero_point)
        return
    if scale.size == 1:
        scale, zero_point = scale.reshape(()), zero_point.reshape(-1)[:1].reshape(())
    elif scale.ndim > 1 or (x.array is None and np.unique(zero_point).size > 1):
        _dequantise_now(context, node, x, scale, zero_point)
        return
    else:
        axis = int_attribute(node, "axis", 1) % len(x.shape)
        if scale.size != x.shape[axis] or zero_point.shape != scale.shape:
            raise context.unsupported(
                node,
                f"scale of shape {scale.shape} does not fit axis {axis}",
                "use one scale per element of the axis",
            )
    quant = Quant(x, scale, zero_point, axis)
    context.values[node.output[0]] = Value("float32", x.shape, quant=quant)


def _dequantise_now(
    context: Context, node: onnx.NodeProto, x: Value, scale: np.ndarray, zero_point: np.ndarray
) -> None:
    """Carry out a DequantizeLinear whose scales or zero points vary."""
    scale, zero_point = (_spread(context, node, a, x.shape) for a in (scale, zero_point))
    if x.array is not None:
        array = (x.array.astype(np.int32) - zero_point).astype(np.float32) * scale
        context.values[node.output[0]] = Value("float32", x.shape, array=array)
        return
    inner = zero_point - x.shift
    out, source = node.output[0], label(node)
    tensor = dequantise_spread(context, context.tensor(node, 0), scale, inner, out, source)
    context.bind(node, tensor, "float32")


def _spread(
    context: Context, node: onnx.NodeProto, array: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the node's scales or zero points so that they broadcast over the tensor."""
    axis, block = int_attribute(node, "axis", 1), int_attribute(node, "block_size", 0)
    axis = axis % len(shape) if shape else 0
    if not spreads(array, shape, axis, block):
        raise context.unsupported(
            node,
            f"scale of shape {array.shape} is neither one per element of axis {axis} nor one per "
            f"block of {block}",
            "give one scale, a vector along the axis, or one per block",
        )
    return spread(array, shape, axis, block)


@takes("QuantizeLinear")
@takes("QuantizeLinear", domain=MS)
def quantize_linear(context: Context, node: onnx.NodeProto) -> None:
    """Make int8 from float: at the boundary, by a table, in an epilogue, or by itself."""
    dtype = _quantised_dtype(context, node)
    name = node.input[0]
    if name in context.boundary:
        context.bind(node, name, dtype)
        return
    if context.constant(node, 1).size != 1 or dtype in WORDS:
        _quantise_spread(context, node, dtype)
        return
    param = read_param(context, node, 1, 2, dtype)
    constant = context.array_of(context.value(node, 0))
    if constant is not None:
        array = _quantise_constant(constant, param, dtype)
        context.values[node.output[0]] = Value(dtype, array.shape, array=array)
        return
    quant = context.value(node, 0).quant
    if quant is not None and quant.axis < 0:
        _requantise(context, node, quant, param, dtype)
        return
    if (match := match_pair(context, node, param)) is not None:
        operands, attrs = match
        context.result(node, "qadd", operands, attrs, dtype)
        return
    region = unary_region(context, node)
    if region is not None:
        x = context.tensor_of(region.source, node.output[0] + "/x")
        table = context.add_constant(f"{node.output[0]}/table", lookup_table(context, region))
        context.result(node, "lut", [x, table], {}, dtype)
        shape = context.value(node, 0).shape
        reshape_to(context, node, shape, dtype)
        return
    tensor = absorb_linear(context, node, param)
    if tensor is not None:
        context.bind(node, tensor, dtype)
        return
    inverse = float(np.float32(1) / np.float32(param.scale))
    attrs: dict[str, Attr] = {"inv_scale": inverse, "zp": param.zero_point, **LIMITS}
    context.result(node, "quantize", [context.tensor(node, 0)], attrs, dtype)


def _quantise_spread(context: Context, node: onnx.NodeProto, dtype: str) -> None:
    """Carry out a QuantizeLinear to 16 bits, or whose scale varies."""
    x = context.value(node, 0)
    scale = context.constant(node, 1)
    stored = context.optional(node, 2)
    zero_point = np.zeros(scale.shape, np.int32) if stored is None else stored.astype(np.int32)
    scale, zero_point = (_spread(context, node, a, x.shape) for a in (scale, zero_point))
    constant = context.array_of(x)
    if constant is not None:
        limits = np.iinfo(dtype)
        steps = np.rint(constant / scale.astype(np.float32)) + zero_point
        array = np.clip(steps, limits.min, limits.max).astype(dtype)
        context.values[node.output[0]] = Value(dtype, x.shape, array=array)
        return
    out, source = node.output[0], label(node)
    tensor = quantise_spread(
        context, context.tensor(node, 0), scale, zero_point, dtype, out, source
    )
    context.bind(node, tensor, dtype)


def _requantise(
    context: Context, node: onnx.NodeProto, quant: Quant, param: QParam, dtype: str
) -> None:
    """DequantizeLinear then QuantizeLinear: nothing, or a table."""
    if quant.param() == param:
        context.values[node.output[0]] = quant.value
        return
    x = context.tensor_of(quant.value, f"{node.output[0]}/x")
    table = context.add_constant(f"{node.output[0]}/table", requantise_table(quant.param(), param))
    context.result(node, "lut", [x, table], {}, dtype)


def requantise_table(source: QParam, target: QParam) -> np.ndarray:
    """Return the table of (x - zp) * scale, quantised again; float32, as ONNX Runtime does it."""
    values = (np.arange(-128, 128) - source.zero_point).astype(np.float32)
    steps = np.rint(values * np.float32(source.scale) / np.float32(target.scale))
    return np.clip(steps + target.zero_point, -128, 127).astype(np.int8)


def match_pair(
    context: Context, node: onnx.NodeProto, param: QParam
) -> tuple[list[str], dict[str, Attr]] | None:
    """Return a qadd for [Sub | Sum of two] QuantizeLinear of dequantised tensors, if exact."""
    producer = context.producers.get(node.input[0])
    if producer is None or producer.op_type not in ("Sub", "Sum") or len(producer.input) != 2:
        return None
    quants = [context.value(producer, i).quant for i in (0, 1)]
    a, b = quants
    if a is None or b is None or a.axis >= 0 or b.axis >= 0:
        return None
    match = match_float_add(a.param(), b.param(), param, -1 if producer.op_type == "Sub" else 1)
    if match.differing:
        return None
    values = (a.value, b.value)
    operands = [context.tensor_of(v, f"{node.output[0]}/in") for v in values]
    return ordered(match, operands), add_attrs(match)


@takes("QLinearWhere", domain=MS)
def qlinear_where(context: Context, node: onnx.NodeProto) -> None:
    """Select between two tensors brought to the output's scale by tables."""
    dtype = context.value(node, 1).dtype
    target = read_param(context, node, 7, 8, dtype)
    parts = [context.tensor(node, 0)]
    for index in (1, 4):
        tensor = context.tensor(node, index)
        source = read_param(context, node, index + 1, index + 2, dtype)
        if source != target:
            table = context.add_constant(f"{tensor}/table", requantise_table(source, target))
            tensor = context.emit("lut", [tensor, table], {}, f"{tensor}/requant", label(node))
        parts.append(context.emit("cast", [tensor], {"to": "f32"}, f"{tensor}/f32", label(node)))
    chosen = context.emit("where", parts, {}, f"{node.output[0]}/f32", label(node))
    context.result(node, "cast", [chosen], {"to": "i8"}, dtype)


def reshape_to(context: Context, node: onnx.NodeProto, shape: tuple[int, ...], dtype: str) -> None:
    """Reshape the node's bound result when constants broadcast it to more axes."""
    tensor = context.values[node.output[0]].tensor
    assert tensor is not None
    if context.tensors[tensor].shape != shape:
        name = context.emit("reshape", [tensor], {"shape": shape}, tensor, label(node))
        context.bind(node, name, dtype)


def _quantised_dtype(context: Context, node: onnx.NodeProto) -> str:
    if context.has(node, 2):
        dtype = context.value(node, 2).dtype
    else:
        code = int_attribute(node, "output_dtype", 0) or onnx.TensorProto.UINT8
        dtype = onnx.helper.tensor_dtype_to_np_dtype(code).name
    if dtype not in SMALL:
        raise context.unsupported(node, f"quantising to {dtype} is not taken", "use 8 or 16 bits")
    return dtype


def _quantise_constant(array: np.ndarray, param: QParam, dtype: str) -> np.ndarray:
    limits = np.iinfo(dtype)
    scaled = np.rint(array.astype(np.float32) / np.float32(param.scale))
    return np.clip(scaled + param.raw_zero_point, limits.min, limits.max).astype(dtype)


@takes("QLinearAdd", domain=MS)
def qlinear_add(context: Context, node: onnx.NodeProto) -> None:
    """Add with three scales; equality with ONNX Runtime is proven over all pairs."""
    a, b, c = _three_params(context, node)
    shapes = [context.value(node, i).shape for i in (0, 3)]
    match = match_add(a, b, c, _first_is_scalar(*shapes))
    operands = [context.tensor(node, 0), context.tensor(node, 3)]
    dtype = context.value(node, 0).dtype
    context.result(node, "qadd", ordered(match, operands), add_attrs(match), dtype)


def ordered(match: AddMatch, operands: list[str]) -> list[str]:
    """Return the operands in the match's order."""
    return operands[::-1] if match.swapped else operands


def add_attrs(match: AddMatch) -> dict[str, Attr]:
    """Return the attributes of a matched qadd."""
    return {"ra": match.ra, "rb": match.rb, "fixed": match.fixed, **LIMITS}


@takes("QLinearMul", domain=MS)
def qlinear_mul(context: Context, node: onnx.NodeProto) -> None:
    """Multiply with three scales; equality with ONNX Runtime is tried over all pairs."""
    a, b, c = _three_params(context, node)
    match = match_mul(a, b, c)
    if match.differing > RARE_PAIRS:
        _multiply_in_float(context, node, (a, b, c))
        return
    attrs: dict[str, Attr] = {
        "a_zp": a.zero_point,
        "b_zp": b.zero_point,
        "scale": match.scale,
        "out_zp": c.zero_point,
        **LIMITS,
    }
    operands = [context.tensor(node, 0), context.tensor(node, 3)]
    context.result(node, "qmul", operands, attrs, context.value(node, 0).dtype)


def _multiply_in_float(
    context: Context, node: onnx.NodeProto, params: tuple[QParam, QParam, QParam]
) -> None:
    """Multiply in ONNX Runtime's own steps: it rounds once, after it has added the zero point.

    A qmul rounds before, which shows where products lie half way between two steps.
    """
    a, b, c = params
    source, base = label(node), node.output[0]

    def emit(op: str, *inputs: str, **attrs: Attr) -> str:
        return context.emit(op, inputs, attrs, f"{base}/{op}", source)

    def number(value: float) -> str:
        return context.add_constant(f"{base}/constant", np.array(value, np.float32))

    centred = [
        emit("sub", emit("cast", context.tensor(node, i), to="f32"), number(param.zero_point))
        for i, param in ((0, a), (3, b))
    ]
    ratio = np.float32(a.scale) * np.float32(b.scale) / np.float32(c.scale)
    scaled = emit("mul", emit("mul", *centred), number(float(ratio)))
    shifted = emit("add", scaled, number(c.raw_zero_point))
    attrs: dict[str, Attr] = {"inv_scale": 1.0, "zp": -c.shift, **LIMITS}
    context.result(node, "quantize", [shifted], attrs, context.value(node, 0).dtype)


def _three_params(context: Context, node: onnx.NodeProto) -> tuple[QParam, QParam, QParam]:
    dtype = context.value(node, 0).dtype
    a, b, c = (read_param(context, node, i, i + 1, dtype) for i in (1, 4, 6))
    return a, b, c


def _first_is_scalar(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Tell whether ONNX Runtime's innermost broadcast loop holds a fixed and walks over b."""
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    for left, right in zip(reversed(a), reversed(b), strict=True):
        if left != 1 or right != 1:
            return left == 1
    return False


@takes("QLinearSigmoid", "QLinearLeakyRelu", domain=MS)
def qlinear_unary(context: Context, node: onnx.NodeProto) -> None:
    """A function of one int8: its table."""
    dtype = context.value(node, 0).dtype
    values = single_node_table(context, node, dtype)
    table = context.add_constant(f"{node.output[0]}/table", values)
    context.result(node, "lut", [context.tensor(node, 0), table], {}, dtype)


@takes("QLinearConcat", domain=MS)
def qlinear_concat(context: Context, node: onnx.NodeProto) -> None:
    """Concatenate; inputs of another scale go through a table first."""
    out = context.value(node, 2)
    assert out.dtype in ("int8", "uint8"), f"{label(node)}: zero point is {out.dtype}"
    target = read_param(context, node, 0, 1, context.value(node, 1).dtype)
    dtype = context.value(node, 1).dtype
    parts = []
    for index in range(2, len(node.input), 3):
        same = read_param(context, node, index + 1, index + 2, dtype) == target
        parts.append(context.tensor(node, index) if same else _rescaled(context, node, index))
    axis = int_attribute(node, "axis", 0) % len(out.shape)
    context.result(node, "concat", parts, {"axis": axis}, dtype)


def _rescaled(context: Context, node: onnx.NodeProto, index: int) -> str:
    """Return one input of a QLinearConcat in the scale of the output: stored, or by a table."""
    value, alone = context.value(node, index), _concat_of(node, index)
    if value.array is not None:
        known = {name: context.constant(alone, i) for i, name in enumerate(alone.input)}
        (array,) = carried_out(context, alone, known)
        stored = Value(value.dtype, value.shape, array=array)
        return context.tensor_of(stored, f"{node.input[index]}/requant")
    tensor = context.tensor(node, index)
    table = single_node_table(context, alone, value.dtype)
    inputs = [tensor, context.add_constant(f"{tensor}/table", table)]
    return context.emit("lut", inputs, {}, f"{tensor}/requant", label(node))


def _concat_of(node: onnx.NodeProto, index: int) -> onnx.NodeProto:
    """Return the QLinearConcat of this one input alone, with the data input first."""
    single = onnx.NodeProto()
    single.CopyFrom(node)
    del single.input[:]
    single.input.extend([node.input[0], node.input[1], *node.input[index : index + 3]])
    del single.attribute[:]
    single.attribute.append(onnx.helper.make_attribute("axis", 0))
    return single


@takes("QLinearSoftmax", domain=MS)
def qlinear_softmax(context: Context, node: onnx.NodeProto) -> None:
    """Softmax in float between int8; ONNX Runtime multiplies by floor(1 / y_scale)."""
    x = context.value(node, 0)
    a, c = (read_param(context, node, i, i + 1, x.dtype) for i in (1, 3))
    quant = Quant(x, np.array(a.scale, np.float32), np.array(a.raw_zero_point), -1)
    wide = context.tensor_of(Value("float32", x.shape, quant=quant), f"{node.output[0]}/x")
    opset = int_attribute(node, "opset", 13)
    axis = int_attribute(node, "axis", 1 if opset < 13 else -1) % len(x.shape)
    shape = x.shape
    if opset < 13 and axis != len(shape) - 1:
        flat = (int(np.prod(shape[:axis])), int(np.prod(shape[axis:])))
        wide = context.emit("reshape", [wide], {"shape": flat}, wide, label(node))
        axis = 1
    soft = context.emit("softmax", [wide], {"axis": axis}, f"{node.output[0]}/soft", label(node))
    inverse = float(np.floor(np.float32(1) / np.float32(c.scale)))
    attrs: dict[str, Attr] = {"inv_scale": inverse, "zp": c.zero_point, **LIMITS}
    context.result(node, "quantize", [soft], attrs, x.dtype)
    reshape_to(context, node, shape, x.dtype)
