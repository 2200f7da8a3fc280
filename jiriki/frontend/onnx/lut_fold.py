"""Tables of 256 entries: what ONNX Runtime computes for every value of one int8.

In: a QLinear node, or a DequantizeLinear -> functions -> QuantizeLinear region of one tensor.
Out: table int8 [256], indexed by the int8 value plus 128.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jiriki.frontend.onnx.context import Context, Quant, Value, label
from jiriki.frontend.onnx.reference import run_plain

# Element-wise operators: with one varying input, the result is a function of one element.
ELEMENTWISE = frozenset(
    [
        "Abs",
        "Add",
        "And",
        "Cast",
        "Celu",
        "Clip",
        "Ceil",
        "DequantizeLinear",
        "Div",
        "Elu",
        "Equal",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "Greater",
        "GreaterOrEqual",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "LeakyRelu",
        "Less",
        "LessOrEqual",
        "Log",
        "Max",
        "Mean",
        "Min",
        "Mish",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "PRelu",
        "Pow",
        "QuantizeLinear",
        "QuickGelu",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Sigmoid",
        "Sign",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Sub",
        "Sum",
        "Swish",
        "Tanh",
        "ThresholdedRelu",
        "Where",
    ]
)
_TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


@dataclass(frozen=True)
class Region:
    """The nodes between an int8 tensor and a QuantizeLinear, in execution order."""

    source: Value
    source_names: tuple[str, ...]
    nodes: tuple[onnx.NodeProto, ...]


def unary_region(context: Context, quantize: onnx.NodeProto) -> Region | None:
    """Return the region that ends in `quantize` if it is a function of one int8 tensor."""
    sources: dict[str, Value] = {}
    nodes: list[onnx.NodeProto] = []
    seen: set[str] = set()
    if not _collect(context, quantize, sources, nodes, seen):
        return None
    tensors = {value.tensor for value in sources.values()}
    if len(tensors) != 1 or None in tensors:
        return None
    source = next(iter(sources.values()))
    return Region(source, tuple(sources), tuple(nodes))


def _collect(
    context: Context,
    node: onnx.NodeProto,
    sources: dict[str, Value],
    nodes: list[onnx.NodeProto],
    seen: set[str],
) -> bool:
    """Walk backwards from `node`; False when something is not element-wise in one tensor."""
    if node.output[0] in seen:
        return True
    seen.add(node.output[0])
    if node.op_type not in ELEMENTWISE or len(node.output) != 1:
        return False
    for name in filter(None, node.input):
        value = context.values[name]
        if context.array_of(value) is not None:
            if int(np.prod(value.shape)) != 1:
                return False
        elif value.dtype in _TYPES and value.tensor is not None:
            sources[name] = value
        elif name not in context.producers or not _collect(
            context, context.producers[name], sources, nodes, seen
        ):
            return False
    nodes.append(node)
    return True


def lookup_table(context: Context, region: Region) -> np.ndarray:
    """Run the region over all 256 values."""
    return _run_table(context, list(region.nodes), region.source_names, region.source.dtype)


def single_node_table(context: Context, node: onnx.NodeProto, dtype: str) -> np.ndarray:
    """Run one QLinear node, whose only varying input is int8, over all 256 values."""
    names = [n for n in node.input if n and context.values[n].array is None]
    assert len(names) == 1, f"{label(node)} has {len(names)} varying inputs"
    return _run_table(context, [node], tuple(names), dtype)


def fold_constant(context: Context, node: onnx.NodeProto) -> bool:
    """Carry out a node whose inputs are all constants (shape arithmetic); tell whether it was."""
    names = [name for name in node.input if name]
    arrays = {name: context.values[name].array for name in names if name in context.values}
    folded = {name: array for name, array in arrays.items() if array is not None}
    graphs = any(
        a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute
    )
    if not names or len(folded) != len(set(names)) or node.op_type == "DequantizeLinear" or graphs:
        return False
    results = carried_out(context, node, folded)
    for name, array in zip(filter(None, node.output), results, strict=True):
        context.values[name] = Value(array.dtype.name, tuple(array.shape), array=array)
    return True


def carried_out(
    context: Context, node: onnx.NodeProto, arrays: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """Run one node on constants; return its outputs."""
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    constants = [numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items()]
    graph = helper.make_graph([node], "constant", [], outputs, constants)
    model = helper.make_model(graph, opset_imports=context.opsets, ir_version=9)
    return run_plain(model, {})


# Movements of stored weights that importers write between DequantizeLinear and a product.
MOVEMENTS = frozenset(
    ["Flatten", "Gather", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze"]
)


def fold_moved_weights(context: Context, node: onnx.NodeProto) -> bool:
    """Move the integers of stored quantised weights, so that they stay quantised; tell whether."""
    value = context.values.get(node.input[0]) if node.op_type in MOVEMENTS else None
    quant = value.quant if value is not None else None
    if value is None or quant is None or quant.value.array is None:
        return False
    arrays = {name: context.values[name].array for name in node.input[1:] if name}
    known = {name: array for name, array in arrays.items() if array is not None}
    if len(known) != len(arrays):
        return False

    def moved(array: np.ndarray) -> np.ndarray:
        return carried_out(context, node, {node.input[0]: array, **known})[0]

    scale, zero_point, axis = quant.scale, quant.zero_point, -1
    if quant.axis >= 0:
        column = np.arange(scale.size, dtype=np.int32).reshape(
            [-1 if i == quant.axis else 1 for i in range(len(value.shape))]
        )
        places = moved(np.broadcast_to(column, value.shape))
        axis = _axis_of(places)
        if axis < 0:
            return False
        order = np.moveaxis(places, axis, 0).reshape(places.shape[axis], -1)[:, 0]
        scale, zero_point = scale[order], zero_point[order]
    inner = moved(quant.value.array)
    held = Value(inner.dtype.name, tuple(inner.shape), array=inner)
    quant = Quant(held, scale, zero_point, axis)
    context.values[node.output[0]] = Value("float32", held.shape, quant=quant)
    return True


def _axis_of(places: np.ndarray) -> int:
    """Return the axis that alone says the channel of every element, or -1."""
    for axis in range(places.ndim):
        lines = np.moveaxis(places, axis, 0).reshape(places.shape[axis], -1)
        if lines.size and (lines == lines[:, :1]).all():
            return axis
    return -1


def _run_table(
    context: Context, nodes: list[onnx.NodeProto], names: tuple[str, ...], dtype: str
) -> np.ndarray:
    levels = np.arange(-128, 128) + (128 if dtype == "uint8" else 0)
    produced = {output for node in nodes for output in node.output}
    constants: dict[str, np.ndarray] = {}
    for node in nodes:
        for name in node.input:
            array = context.array_of(context.values[name]) if name else None
            if array is not None and name not in produced:
                constants[name] = array
    graph = helper.make_graph(
        nodes,
        "table",
        [helper.make_tensor_value_info(name, _TYPES[dtype], [256]) for name in names],
        [onnx.ValueInfoProto(name=nodes[-1].output[0])],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=context.opsets, ir_version=9)
    (result,) = run_plain(model, dict.fromkeys(names, levels.astype(dtype)))
    assert result.size == 256, f"table of {label(nodes[-1])} has {result.size} entries"
    shift = 128 if result.dtype == np.uint8 else 0
    return (result.reshape(256).astype(np.int16) - shift).astype(np.int8)
