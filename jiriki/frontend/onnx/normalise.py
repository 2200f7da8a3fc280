"""Write a model as the import wants it: named, inlined, in an opset that is read, inputs fixed.

In: a ModelProto as people have it. Out: the same function, in place or as a new ModelProto:

- every graph and every node has a name, and no two nodes the same;
- inputs whose value is fixed are constants;
- functions of the model itself are inlined, and operators of the standard that the import does not
  take but whose function body the standard states are replaced by that body;
- opsets before 7 are raised to 7, from which on the import reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np
import onnx
from onnx import inliner, numpy_helper, version_converter

from jiriki.frontend.errors import ModelFileError, OpenShapeError
from jiriki.frontend.onnx.registry import find_handler
from jiriki.frontend.onnx.shapes import graph_inputs

OLDEST_OPSET = 7
NEWEST_OPSET = onnx.defs.onnx_opset_version()
STANDARD = ("", "ai.onnx")
CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})


def name_everything(model: onnx.ModelProto) -> None:
    """Give the graph and every node a name of its own, in place."""
    model.graph.name = model.graph.name or "model"
    taken: set[str] = set()
    for node in model.graph.node:
        base = node.name or next(filter(None, node.output), node.op_type)
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name)
        node.name = name


def opset_of(model: onnx.ModelProto) -> int | None:
    """Return the version of the standard operators that the model uses, if it uses any."""
    return next((o.version for o in model.opset_import if o.domain in STANDARD), None)


def is_read(model: onnx.ModelProto) -> bool:
    """Tell whether the import reads the model's opset."""
    version = opset_of(model)
    return version is None or OLDEST_OPSET <= version <= NEWEST_OPSET


def raise_opset(model: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """Return a model with inferred shapes in an opset that is read. Raises ModelFileError."""
    version = opset_of(model)
    assert version is not None, f"{label} uses no standard operators"
    if not 1 <= version <= NEWEST_OPSET:
        raise ModelFileError(
            f"{label} uses ONNX opset {version}, outside 1..{NEWEST_OPSET}; export it again at an "
            "opset in that range"
        )
    try:
        raised = version_converter.convert_version(_with_shapes(model), OLDEST_OPSET)
        _drop_placeholders(raised)
        return raised
    except Exception as error:  # the converter raises RuntimeError and classes of its own
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"{label} uses ONNX opset {version}, which cannot be raised to {OLDEST_OPSET} "
            f"({reason}); export it again at opset {OLDEST_OPSET} or later"
        ) from None


def _with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the shapes that inference finds in a later opset.

    The oldest operators have no shape inference of their own, and the converter needs shapes.
    """
    later = onnx.ModelProto()
    later.CopyFrom(model)
    for opset in later.opset_import:
        opset.version = max(opset.version, OLDEST_OPSET) if opset.domain in STANDARD else 1
    for node in later.graph.node:
        attributes = [a for a in node.attribute if a.name != "consumed_inputs"]  # a hint of opset 1
        del node.attribute[:]
        node.attribute.extend(attributes)
    inferred = onnx.shape_inference.infer_shapes(later)
    model.graph.value_info.extend(inferred.graph.value_info)
    return model


def _drop_placeholders(model: onnx.ModelProto) -> None:
    """Remove initialisers and value types without a format, which the converter leaves."""
    del model.graph.value_info[:]
    stored = model.graph.initializer
    for index in reversed(range(len(stored))):
        if stored[index].data_type == onnx.TensorProto.UNDEFINED:
            del stored[index]


def inline_functions(model: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """Return the model without functions of its own. Raises ModelFileError."""
    if not model.functions:
        return model
    try:
        return inliner.inline_local_functions(model, convert_version=True)
    except Exception as error:  # the inliner raises classes of its own
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"{label}: its functions cannot be inlined ({reason}); export it without functions"
        ) from None


def expand_operators(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with standard operators that have no importer as their function bodies.

    Bodies with loops stay: most of those operators compute shapes and are folded away.
    """
    version = opset_of(model)
    names = {node.op_type for node in model.graph.node if version and _expands(node, version)}
    if not names:
        return model
    model = _with_stored_types(model)
    _write_defaults(model, names, version or 0)
    try:
        expanded = inliner.inline_selected_functions(
            model, [("", name) for name in sorted(names)], inline_schema_functions=True
        )
    except Exception:  # the import names the operator that stays
        return model
    loops = {node.op_type for node in expanded.graph.node} & CONTROL
    if loops - {node.op_type for node in model.graph.node}:
        return model
    name_everything(expanded)
    return expanded


def _with_stored_types(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that states the types of initialisers, which the inliner asks for."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    stated = {value.name for value in (*copy.graph.value_info, *copy.graph.input)}
    for tensor in copy.graph.initializer:
        if tensor.name not in stated:
            info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            copy.graph.value_info.append(info)
    return copy


def _write_defaults(model: onnx.ModelProto, names: Collection[str], version: int) -> None:
    """State attributes that nodes leave at their default, which the inliner would drop."""
    for node in model.graph.node:
        if node.op_type not in names or node.domain not in STANDARD:
            continue
        stated = {attribute.name for attribute in node.attribute}
        for name, attribute in onnx.defs.get_schema(node.op_type, version, "").attributes.items():
            if name not in stated and attribute.default_value.name:
                node.attribute.append(attribute.default_value)


def _expands(node: onnx.NodeProto, version: int) -> bool:
    """Tell whether a node has no importer, but a body of operators without control flow."""
    if node.domain not in STANDARD or find_handler(node) or node.op_type in CONTROL:
        return False
    try:
        schema = onnx.defs.get_schema(node.op_type, version, "")
    except onnx.defs.SchemaError:
        return False
    if getattr(schema, "has_function"):  # noqa: B009 - onnx's type stubs lack it
        return not CONTROL & {inner.op_type for inner in schema.function_body.node}
    return bool(getattr(schema, "has_context_dependent_function"))  # noqa: B009


def fix_inputs(
    model: onnx.ModelProto, values: Mapping[str, object], detached: Collection[str] = ()
) -> None:
    """Store values as constants in place of inputs, in place.

    values: a number for every element, or an array that has the input's shape. Raises
    OpenShapeError.
    """
    inputs = {value.name: value for value in graph_inputs(model, detached)}
    for name, value in values.items():
        if name not in inputs:
            known = ", ".join(inputs)
            raise OpenShapeError(
                f"input_values names {[name]}, but the inputs are: {known}",
                shell=f"--set names {name}, but the inputs are: {known}",
            )
        stored = numpy_helper.from_array(_array(inputs[name], value), name)
        model.graph.initializer.append(stored)
    open_inputs = [v for v in model.graph.input if v.name not in values]
    copies = [onnx.ValueInfoProto.FromString(v.SerializeToString()) for v in open_inputs]
    del model.graph.input[:]
    model.graph.input.extend(copies)


def _array(port: onnx.ValueInfoProto, value: object) -> np.ndarray:
    tensor = port.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    exact = np.asarray(value)
    array = exact.astype(dtype) if exact.dtype.kind in "biuf" else None
    if array is None or (dtype.kind in "biu" and not (array == exact).all()):
        raise OpenShapeError(f"input {port.name} takes {dtype}, {value} is none; choose another")
    dims = tensor.shape.dim
    if any(dim.HasField("dim_value") and dim.dim_value < 0 for dim in dims):
        raise OpenShapeError(f"input {port.name} has a negative size; export the model again")
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in dims)
    if not tensor.HasField("shape"):
        return array
    if array.size == 1:
        return np.full([1 if size is None else size for size in shape], array.reshape(()))
    fits = array.ndim == len(shape) and all(
        size in (None, n) for size, n in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise OpenShapeError(
            f"input {port.name} has shape {shape}, its value {array.shape}; give one number or "
            "an array of that shape"
        )
    return array


def all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield nodes and the nodes of the graphs inside them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield from all_nodes(attribute.g.node)
            for graph in attribute.graphs:
                yield from all_nodes(graph.node)
