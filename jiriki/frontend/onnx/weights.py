"""Stored tensors of a model: apart from its structure, and densified where they are sparse.

In: a ModelProto of any size. Out: its structure, in which every large initialiser is a mere input
(so that a checker, shape inference or inlining neither copies nor serialises weights, which may
exceed the 2 GiB of a protobuf message), and the initialisers to put back afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import onnx
from onnx import helper, numpy_helper

from jiriki.frontend.errors import ModelFileError
from jiriki.frontend.onnx.sizes import MOST_ELEMENTS

SMALL_BYTES = 1 << 12  # shapes, axes and scales, which shape inference may have to read
SUB_BYTE_BITS = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2}
EXTERNAL = onnx.TensorProto.EXTERNAL


@dataclass(frozen=True)
class Weights:
    """Large initialisers in their order among all, and the names of inputs that they stand for."""

    order: tuple[str, ...]
    large: dict[str, onnx.TensorProto]
    also_inputs: frozenset[str]  # before IR version 4 an initialiser is listed as an input too


def stored_bytes(tensor: onnx.TensorProto) -> int:
    """Return how long a tensor's values are by its shape, without a copy of them."""
    try:
        itemsize = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except KeyError:  # no format: whoever checks the tensor says so
        return tensor.ByteSize()
    return prod(tensor.dims) * itemsize


def detach_weights(model: onnx.ModelProto, label: str) -> Weights:
    """Make every large initialiser a mere input, in place. Raises ModelFileError."""
    graph = model.graph
    order = tuple(tensor.name for tensor in graph.initializer)
    inputs = {value.name for value in graph.input}
    small, large = [], {}
    for tensor in graph.initializer:
        if stored_bytes(tensor) > SMALL_BYTES:
            _check_length(tensor, label)
            large[tensor.name] = tensor
        else:
            _check_small(tensor, f"weight {tensor.name}", label)
            small.append(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _check_small(attribute.t, f"tensor of {node.op_type} {node.name}", label)
    if not large:
        return Weights(order, {}, frozenset())
    weights = Weights(order, {}, frozenset(inputs & large.keys()))
    for name, tensor in large.items():
        weights.large[name] = onnx.TensorProto()
        weights.large[name].CopyFrom(tensor)
        if name not in inputs:
            info = helper.make_tensor_value_info(name, tensor.data_type, tensor.dims)
            graph.input.append(info)
    copies = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in small]
    del graph.initializer[:]
    graph.initializer.extend(copies)
    return weights


def _check_length(tensor: onnx.TensorProto, label: str) -> None:
    """Refuse a tensor that does not hold as many values as its shape says."""
    held = len(tensor.raw_data)
    try:
        if not held:
            onnx.checker.check_tensor(tensor)
            return
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except (onnx.checker.ValidationError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"{label}: weight {tensor.name} is not valid ({reason}); export it again"
        ) from None
    bits = SUB_BYTE_BITS.get(dtype.name, 8 * dtype.itemsize)
    if min(tensor.dims, default=1) < 0 or held != -(-prod(tensor.dims) * bits // 8):
        raise ModelFileError(
            f"{label}: weight {tensor.name} has shape {list(tensor.dims)} of {dtype.name} but "
            f"{held} bytes; it is damaged, export it again"
        )


def _check_small(tensor: onnx.TensorProto, what: str, label: str) -> None:
    """Refuse values that do not make an array of the shape, which ONNX's checker lets pass."""
    if tensor.data_location == EXTERNAL or tensor.data_type == onnx.TensorProto.STRING:
        return
    try:
        numpy_helper.to_array(tensor)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{label}: {what} of shape {list(tensor.dims)} is not valid "
            f"({' '.join(str(error).split())[:200]}); it is damaged, export it again"
        ) from None


def attach_weights(model: onnx.ModelProto, weights: Weights) -> None:
    """Put the large initialisers back, in place, where they were among the others."""
    if not weights.large:
        return
    graph = model.graph
    inputs = [
        value
        for value in graph.input
        if value.name not in weights.large or value.name in weights.also_inputs
    ]
    input_copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in inputs]
    del graph.input[:]
    graph.input.extend(input_copies)
    small = {tensor.name: tensor for tensor in graph.initializer}
    rest = [tensor for name, tensor in small.items() if name not in weights.order]
    ordered = [small.get(name) or weights.large.get(name) for name in weights.order]
    tensors = [tensor for tensor in (*ordered, *rest) if tensor is not None]
    copies = []
    for tensor in tensors:
        copies.append(onnx.TensorProto())
        copies[-1].CopyFrom(tensor)
    del graph.initializer[:]
    graph.initializer.extend(copies)


def densify(model: onnx.ModelProto, label: str) -> None:
    """Store sparse initialisers and sparse constants as dense ones, in place."""
    for sparse in model.graph.sparse_initializer:
        model.graph.initializer.append(_dense(sparse, sparse.values.name, label))
    del model.graph.sparse_initializer[:]
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "sparse_value":
                dense = _dense(attribute.sparse_tensor, node.output[0], label)
                attribute.CopyFrom(helper.make_attribute("value", dense))


def _dense(sparse: onnx.SparseTensorProto, name: str, label: str) -> onnx.TensorProto:
    """Return a sparse tensor's elements among zeros; indices are linear or one row an element."""
    shape = tuple(sparse.dims)
    if min(shape, default=1) < 0 or prod(shape) > MOST_ELEMENTS:
        raise ModelFileError(
            f"{label}: sparse constant {name} of shape {shape} exceeds {MOST_ELEMENTS} elements; "
            "store less"
        )
    values = numpy_helper.to_array(sparse.values)
    indices = numpy_helper.to_array(sparse.indices).astype(np.int64)
    dense = np.zeros(shape, values.dtype)
    try:
        if indices.ndim == 2:
            dense[tuple(indices.T)] = values
        else:
            dense.reshape(-1)[indices] = values
    except (IndexError, ValueError) as error:
        raise ModelFileError(
            f"{label}: sparse constant {name} of shape {shape} has indices outside it or of "
            f"another number than its values ({error}); export it again"
        ) from None
    return numpy_helper.from_array(dense, name)
