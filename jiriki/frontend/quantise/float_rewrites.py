"""Rewrites of a float model before quantisation: the same function, better quantised.

In: a float ModelProto with inferred shapes. Out: the same model, changed in place, still standard
ONNX and equal in real arithmetic.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import numpy_helper

from jiriki.frontend.onnx.context import int_attribute, list_attribute, text_attribute


def split_matrix_biases(model: onnx.ModelProto) -> None:
    """Make every constant Gemm bias a vector, or else an Add: int32 biases are vectors."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for index, node in reversed(list(enumerate(model.graph.node))):
        if node.op_type != "Gemm" or len(node.input) < 3:
            continue
        shape = None
        if node.input[2] in constants:
            shape = _plain_bias(model, node, constants)
        if (shape is not None and len(shape) == 1) or _beta(node) != 1.0:
            continue
        bias, output = node.input[2], node.output[0]
        product = f"{output}_product"
        del node.input[2:]
        node.output[0] = product
        add = onnx.helper.make_node("Add", [product, bias], [output], name=f"{node.name}_bias")
        model.graph.node.insert(index + 1, add)


def _beta(node: onnx.NodeProto) -> float:
    return next((a.f for a in node.attribute if a.name == "beta"), 1.0)


def _plain_bias(
    model: onnx.ModelProto, node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]
) -> tuple[int, ...]:
    """Give the Gemm a bias with beta multiplied in, a vector where it can be one; its shape."""
    bias = numpy_helper.to_array(constants[node.input[2]])
    weights = constants.get(node.input[1])
    plain = (bias * np.float32(_beta(node))).astype(bias.dtype)
    if weights is not None:
        outputs = weights.dims[0 if int_attribute(node, "transB", 0) else 1]
        row = plain.shape[-1:] == (outputs,) and plain.size == outputs
        if row or plain.size == 1:
            plain = np.broadcast_to(plain.reshape(-1), (outputs,))
    if plain.shape == bias.shape and _beta(node) == 1.0:
        return plain.shape
    name = f"{node.output[0]}_bias"
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(plain), name))
    node.input[2] = name
    attributes = [a for a in node.attribute if a.name != "beta"]
    del node.attribute[:]
    node.attribute.extend(attributes)
    return plain.shape


def replace_sums(model: onnx.ModelProto) -> None:
    """Rewrite Sum of two tensors as Add, which the quantiser takes."""
    for node in model.graph.node:
        if node.op_type == "Sum" and len(node.input) == 2:
            node.op_type = "Add"


def replace_spatial_means(model: onnx.ModelProto) -> None:
    """Rewrite ReduceMean over all of an image's positions as GlobalAveragePool.

    PyTorch's newer exporter writes the one where its older one wrote the other; the pool has an
    integer kernel, the mean has none. Without kept axes a Flatten follows.
    """
    shapes = {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*model.graph.value_info, *model.graph.input)
    }
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for index, node in reversed(list(enumerate(model.graph.node))):
        rank = len(shapes.get(node.input[0], ())) if node.op_type == "ReduceMean" else 0
        axes = _stored_axes(node, stored) if rank >= 3 else []
        if rank < 3 or sorted(axis % rank for axis in axes) != list(range(2, rank)):
            continue
        keepdims, output = int_attribute(node, "keepdims", 1), node.output[0]
        node.op_type = "GlobalAveragePool"
        del node.attribute[:]
        del node.input[1:]
        if not keepdims:
            node.output[0] = f"{output}_pooled"
            flat = onnx.helper.make_node(
                "Flatten", [node.output[0]], [output], name=f"{node.name}_flat"
            )
            model.graph.node.insert(index + 1, flat)


def _stored_axes(node: onnx.NodeProto, stored: dict[str, onnx.TensorProto]) -> list[int]:
    """Return the axes of a reduction: an attribute, or since opset 18 a stored input."""
    if len(node.input) > 1 and node.input[1]:
        tensor = stored.get(node.input[1])
        return [] if tensor is None else numpy_helper.to_array(tensor).ravel().tolist()
    return list_attribute(node, "axes", [])


def replace_average_pools(model: onnx.ModelProto) -> None:
    """Rewrite AveragePool as GlobalAveragePool or a depthwise Conv with constant weights.

    Both have integer kernels, which sum exactly; ONNX Runtime's quantised AveragePool sums floats,
    so that a mean half way between two steps rounds by the noise of that sum. Windows whose count
    varies at the border stay as they are.
    """
    shapes = {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*model.graph.value_info, *model.graph.input)
    }
    for node in model.graph.node:
        shape = shapes.get(node.input[0], ()) if node.op_type == "AveragePool" else ()
        if len(shape) < 3 or min(shape) < 1:
            continue
        kernel = list_attribute(node, "kernel_shape", [])
        pads = list_attribute(node, "pads", [0] * (2 * len(kernel)))
        if not any(pads) and tuple(kernel) == shape[2:] and not _is_irregular(node):
            node.op_type = "GlobalAveragePool"
            del node.attribute[:]
        elif not _is_irregular(node) and (
            not any(pads) or int_attribute(node, "count_include_pad", 0)
        ):
            _as_depthwise(model, node, shape[1], kernel)


def _is_irregular(node: onnx.NodeProto) -> bool:
    """Tell whether window sizes may differ from the kernel's in a way pads do not say."""
    padded = text_attribute(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    return padded or bool(int_attribute(node, "ceil_mode", 0))


def _as_depthwise(
    model: onnx.ModelProto, node: onnx.NodeProto, channels: int, kernel: list[int]
) -> None:
    name = f"{node.output[0]}_mean_weights"
    weights = np.full((channels, 1, *kernel), 1 / prod(kernel), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, name))
    node.op_type = "Conv"
    node.input.append(name)
    attributes = [a for a in node.attribute if a.name not in ("count_include_pad", "ceil_mode")]
    del node.attribute[:]
    node.attribute.extend([*attributes, onnx.helper.make_attribute("group", channels)])


def merge_pads_of_maxima(model: onnx.ModelProto) -> None:
    """Write a Pad with the least value before a MaxPool, as TensorFlow's SAME, as its pads.

    A scale cannot hold -inf; a MaxPool's own padding never wins either.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in model.graph.output}
    for pad in [node for node in model.graph.node if node.op_type == "Pad"]:
        pads = _least_pads(pad, stored)
        behind = readers.get(pad.output[0], [])
        if pads is None or pad.output[0] in outputs:
            continue
        if not all(_may_pad(node, pads) for node in behind):
            continue
        for pool in behind:
            own = list_attribute(pool, "pads", [0] * len(pads))
            attributes = [a for a in pool.attribute if a.name not in ("pads", "auto_pad")]
            joined = onnx.helper.make_attribute(
                "pads", [a + b for a, b in zip(own, pads, strict=True)]
            )
            del pool.attribute[:]
            pool.attribute.extend([*attributes, joined])
            pool.input[0] = pad.input[0]
        model.graph.node.remove(pad)


def _least_pads(pad: onnx.NodeProto, stored: dict[str, onnx.TensorProto]) -> list[int] | None:
    """Return the spatial pads of a Pad whose stored value is below every float activation."""
    if text_attribute(pad, "mode", "constant") != "constant" or len(pad.input) != 3:
        return None
    if pad.input[1] not in stored or pad.input[2] not in stored:
        return None
    pads = numpy_helper.to_array(stored[pad.input[1]]).tolist()
    value = numpy_helper.to_array(stored[pad.input[2]])
    rank = len(pads) // 2
    outer = (*pads[:2], *pads[rank : rank + 2])
    if value.size != 1 or value.item() > -1e30 or rank < 3 or any(outer) or min(pads) < 0:
        return None
    return [*pads[2:rank], *pads[rank + 2 :]]


def _may_pad(pool: onnx.NodeProto, pads: list[int]) -> bool:
    """Tell whether the node is a MaxPool to whose pads these may be added."""
    if pool.op_type != "MaxPool" or int_attribute(pool, "ceil_mode", 0) or any(pool.output[1:]):
        return False
    if text_attribute(pool, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return False
    kernel = list_attribute(pool, "kernel_shape", [])
    own = list_attribute(pool, "pads", [0] * len(pads))
    return all(own[i] + p < kernel[i % len(kernel)] for i, p in enumerate(pads))


def infinite_nodes(model: onnx.ModelProto) -> list[str]:
    """Return the nodes that read infinity, stored or from such a node: no scale can hold it."""
    infinite = {
        tensor.name
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
        and not np.isfinite(numpy_helper.to_array(tensor)).all()
    }
    first = {node.output[0] for node in model.graph.node if infinite.intersection(node.input)}
    infinite |= first
    return [node.name for node in model.graph.node if infinite.intersection(node.input)]
