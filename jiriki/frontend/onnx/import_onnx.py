"""ONNX to Graph.

In: a quantised ONNX model (QDQ, QLinear or integer operators), or a float one without matrix
products. Out: a verified Graph, bit-exact with `reference.reference_outputs` except where
decision 0004 says so. The import reads the graph that ONNX Runtime executes after its own
rewriting, so fused operators are the same on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
from onnx import numpy_helper

from jiriki.frontend.errors import (
    MalformedNodeError,
    OpenShapeError,
    UnsupportedOperatorError,
)
from jiriki.frontend.onnx import ops_conv as take_conv
from jiriki.frontend.onnx import ops_dynamic as take_dynamic
from jiriki.frontend.onnx import ops_float as take_float
from jiriki.frontend.onnx import ops_index as take_index
from jiriki.frontend.onnx import ops_linear as take_linear
from jiriki.frontend.onnx import ops_move as take_move
from jiriki.frontend.onnx import ops_pool as take_pool
from jiriki.frontend.onnx import ops_quant as take_quant
from jiriki.frontend.onnx import ops_resize as take_resize
from jiriki.frontend.onnx import ops_series as take_series
from jiriki.frontend.onnx import ops_training as take_training
from jiriki.frontend.onnx.context import INSIDE, Context, Value, label
from jiriki.frontend.onnx.empty_tensors import empty_value, fold_empty_extreme, settle_empty
from jiriki.frontend.onnx.load import ModelSource, load_model
from jiriki.frontend.onnx.lut_fold import fold_constant, fold_moved_weights
from jiriki.frontend.onnx.ort_requant import QParam
from jiriki.frontend.onnx.reference import executed_model
from jiriki.frontend.onnx.registry import find_handler
from jiriki.frontend.onnx.scales import check_scales
from jiriki.frontend.onnx.shapes import Sizes
from jiriki.graph import Graph, Port, TensorType

# What is known before the chip runs.
FOLDS = (fold_empty_extreme, fold_constant, fold_moved_weights)

# Importing these fills the registry.
TAKERS = (
    take_conv, take_dynamic, take_float, take_index, take_linear, take_move, take_pool,
    take_quant, take_resize, take_series, take_training,
)  # fmt: skip


def import_onnx(
    model: ModelSource,
    *,
    input_shapes: Sizes | None = None,
    input_values: Mapping[str, object] | None = None,
) -> Graph:
    """Return the Graph of an ONNX model.

    input_shapes: shapes of inputs, or sizes of open dimensions, by name. input_values: numbers or
    arrays at which inputs are fixed, by name. Raises ModelFileError, OpenShapeError,
    UnsupportedOperatorError or NotQuantisedError, each with one line saying what to do.
    """
    loaded = load_model(model, input_shapes, input_values=input_values)
    check_scales(loaded)
    executed = executed_model(loaded)
    context = _start(executed)
    inputs = [_input_port(context, executed, value) for value in executed.graph.input]
    for node in executed.graph.node:
        _take(context, node)
    outputs = _output_ports(context, executed)
    return context.build([port for port in inputs if port is not None], outputs)


def _start(model: onnx.ModelProto) -> Context:
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    name = model.graph.name or "model"
    context = Context(name, opset=opset, opsets=list(model.opset_import))
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        context.values[tensor.name] = Value(array.dtype.name, tuple(array.shape), array=array)
    for node in model.graph.node:
        for output in node.output:
            context.producers[output] = node
    return context


def _take(context: Context, node: onnx.NodeProto) -> None:
    if any(fold(context, node) for fold in FOLDS):
        return
    handler = find_handler(node)
    if node.op_type == "MatMulNBits":  # ONNX Runtime's word for float by dequantised weights
        take_linear.operands_of(context, node)
    if handler is None:
        raise context.unsupported(
            node,
            "this operator has no counterpart in the op table",
            "remove or rewrite it (`jiriki coverage` lists the operators that are taken)",
        )
    try:
        handler(context, node)
        settle_empty(context, node)
    except (ArithmeticError, IndexError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MalformedNodeError(
            f"{label(node)}: its attributes and inputs do not fit together ({reason}); check the "
            "model with onnx.checker.check_model(model, full_check=True)"
        ) from error


# -- the boundary --------------------------------------------------------------------------


def _input_port(
    context: Context, model: onnx.ModelProto, value: onnx.ValueInfoProto
) -> Port | None:
    """Declare one model input; None for an initialiser listed among the inputs."""
    if value.name in context.values:
        return None
    tensor = value.type.tensor_type
    external = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    if external not in INSIDE:
        raise UnsupportedOperatorError(
            f"input {value.name} is {external}; use float32, int8 to int32, uint8, uint16 or bool"
        )
    wanted = external == "float32" and 0 not in shape
    param = _boundary_param(context, model, value.name) if wanted else None
    if param is not None:
        context.boundary[value.name] = param
        context.tensors[value.name] = TensorType(shape, INSIDE["int8"])
        context.values[value.name] = Value("float32", shape)
        return Port(value.name, external, shape, param.scale, param.zero_point)
    inside = INSIDE[external]
    context.tensors[value.name] = TensorType(shape, inside)
    dtype = "float32" if external == "float16" else external
    context.values[value.name] = Value(dtype, shape, tensor=value.name)
    if 0 in shape:
        context.values[value.name] = empty_value(dtype, shape)
    return Port(value.name, external, shape, None, 128 if external == "uint8" else 0)


def _boundary_param(context: Context, model: onnx.ModelProto, name: str) -> QParam | None:
    """Return the quantisation of a float input when all that reads it quantises it alike."""
    readers = [node for node in model.graph.node if name in node.input]
    if name in {output.name for output in model.graph.output} or not readers:
        return None
    params = set()
    for node in readers:
        if node.op_type != "QuantizeLinear" or not context.has(node, 2):
            return None
        scale, zero_point = (context.values.get(node.input[i]) for i in (1, 2))
        if scale is None or zero_point is None or scale.array is None or zero_point.array is None:
            return None
        if scale.array.size != 1 or zero_point.dtype not in ("int8", "uint8"):
            return None
        shift = zero_point.shift
        raw = int(zero_point.array.reshape(()))
        params.add(QParam(float(scale.array.reshape(())), raw - shift, shift))
    return params.pop() if len(params) == 1 else None


def _output_ports(context: Context, model: onnx.ModelProto) -> list[Port]:
    return [_output_port(context, output) for output in model.graph.output]


def _output_port(context: Context, output: onnx.ValueInfoProto) -> Port:
    """Declare one model output and give its tensor the output's name."""
    if output.name not in context.values:
        raise OpenShapeError(f"output {output.name} is computed by no node; fix the model")
    value = context.values[output.name]
    external = onnx.helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type).name
    scale, zero_point = None, 128 if external == "uint8" else 0
    quant = value.quant
    if quant is not None and quant.axis < 0 and external == "float32" and value.array is None:
        param = quant.param()
        scale, zero_point = param.scale, param.zero_point
        tensor = context.tensor_of(quant.value, output.name)
    elif value.array is not None:
        tensor = _constant_output(context, value.array, output.name)
    else:
        tensor = context.tensor_of(value, output.name)
    if tensor != output.name:
        tensor = _rename(context, tensor, output.name)
    return Port(output.name, external, value.shape, scale, zero_point)


def _constant_output(context: Context, array: np.ndarray, name: str) -> str:
    """Store an output that no input changes under its own name."""
    if name in context.tensors:
        _move_aside(context, name)
    return context.tensor_of(Value(array.dtype.name, array.shape, array=array), name)


def _rename(context: Context, tensor: str, name: str) -> str:
    """Copy a tensor under the output's name, moving what already has that name aside."""
    if name in context.tensors:
        _move_aside(context, name)
        tensor = f"{name}/inner" if tensor == name else tensor
    shape = context.tensors[tensor].shape
    output = context.emit("reshape", [tensor], {"shape": shape}, name, name)
    assert output == name, f"output {name} is taken"
    return output


def _move_aside(context: Context, name: str) -> None:
    """Rename an inner tensor that carries an output's name."""
    inner = context.move_aside(name)
    for key, value in context.values.items():
        if value.tensor == name:
            context.values[key] = replace(value, tensor=inner)
