"""Reading an ONNX model: file checks and static shapes.

In: a path, bytes or ModelProto, and shapes for open dimensions. Out: a checked ModelProto whose
inputs are all static. Raises ModelFileError or OpenShapeError, one line each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from jiriki.frontend.errors import ModelFileError, OpenShapeError

ModelSource = str | Path | bytes | onnx.ModelProto
Shapes = Mapping[str, tuple[int, ...]]

OLDEST_OPSET = 7
NEWEST_OPSET = onnx.defs.onnx_opset_version()


def load_model(source: ModelSource, input_shapes: Shapes | None = None) -> onnx.ModelProto:
    """Return the model, checked, with every input shape static."""
    model, label = _read(source)
    _need_graph(model, label)
    _check_opset(model, label)
    fix_shapes(model, input_shapes or {})
    model = _with_output_shapes(model)
    _check(model, label)
    return model


def _with_output_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Infer shapes when an output has none, which the checker requires."""
    if all(o.type.tensor_type.HasField("shape") for o in model.graph.output):
        return model
    try:
        return onnx.shape_inference.infer_shapes(model)
    except Exception:  # a malformed model: the checker will say what is wrong with it
        return model


def _read(source: ModelSource) -> tuple[onnx.ModelProto, str]:
    if isinstance(source, onnx.ModelProto):
        copy = onnx.ModelProto()
        copy.CopyFrom(source)
        return copy, source.graph.name or "model"
    label = "model bytes" if isinstance(source, bytes) else str(source)
    try:
        if isinstance(source, bytes):
            return onnx.load_from_string(source), label
        return onnx.load(str(source)), label
    except FileNotFoundError as error:
        raise ModelFileError(f"{label}: {error.strerror or error}; check the path") from None
    except IsADirectoryError:
        raise ModelFileError(f"{label} is a directory; name the .onnx file in it") from None
    except OSError as error:
        raise ModelFileError(f"{label} cannot be read: {error}") from None
    except (DecodeError, ValueError, onnx.checker.ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(
            f"{label} is not a complete ONNX file ({reason}); it is truncated or another format: "
            "download or export it again"
        ) from None


def _need_graph(model: onnx.ModelProto, label: str) -> None:
    if not model.graph.node and not model.graph.output:
        raise ModelFileError(
            f"{label} holds no ONNX graph; it is truncated or another format: "
            "download or export it again"
        )


def _check(model: onnx.ModelProto, label: str) -> None:
    if any(not o.type.tensor_type.HasField("shape") for o in model.graph.output):
        return  # the checker would refuse what ONNX Runtime, which looks next, accepts
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(
            f"{label} is not valid ONNX: {reason[:300]}; export it again"
        ) from None
    except ValueError as error:  # beyond 2 GiB: the checker cannot serialise it
        raise ModelFileError(f"{label} cannot be checked: {error}") from None


def _check_opset(model: onnx.ModelProto, label: str) -> None:
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), None)
    if version is not None and not OLDEST_OPSET <= version <= NEWEST_OPSET:
        raise ModelFileError(
            f"{label} uses ONNX opset {version}, outside {OLDEST_OPSET}..{NEWEST_OPSET}; "
            "convert it with onnx.version_converter or export it again"
        )


def fix_shapes(model: onnx.ModelProto, input_shapes: Shapes) -> None:
    """Write the given shapes into the model's inputs; raise for what stays open."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    unknown = sorted(set(input_shapes) - {value.name for value in inputs})
    if unknown:
        names = ", ".join(value.name for value in inputs)
        raise OpenShapeError(f"input_shapes names {unknown}, but the inputs are: {names}")
    changed = False
    for value in inputs:
        changed |= _fix_input(value, input_shapes.get(value.name))
    if changed:  # shapes written for other sizes are stale now
        del model.graph.value_info[:]
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")


def _fix_input(value: onnx.ValueInfoProto, shape: tuple[int, ...] | None) -> bool:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise OpenShapeError(f"input {value.name} is not a tensor; only tensors are taken")
    dims = tensor.shape.dim
    if shape is None:
        _need_static(value, dims, tensor.HasField("shape"))
        return False
    if tensor.HasField("shape") and len(dims) != len(shape):
        raise OpenShapeError(
            f"input {value.name} has {len(dims)} dimensions, input_shapes gives {shape}"
        )
    if min(shape, default=1) < 1:
        raise OpenShapeError(f"input {value.name}: shape {shape} has a dimension below 1")
    for index, (dim, size) in enumerate(zip(dims, shape, strict=False)):
        if dim.HasField("dim_value") and dim.dim_value > 0 and dim.dim_value != size:
            raise OpenShapeError(
                f"input {value.name}: dimension {index} is {dim.dim_value} in the model, "
                f"input_shapes gives {size}"
            )
    static = tensor.HasField("shape") and tuple(d.dim_value for d in dims) == shape
    del tensor.shape.dim[:]
    for size in shape:
        tensor.shape.dim.add().dim_value = size
    return not static


def _is_fixed(dim: Any) -> bool:  # noqa: ANN401
    """Tell whether the model gives the size; a given 0 is an axis without elements."""
    return dim.HasField("dim_value") and dim.dim_value >= 0


def _need_static(value: onnx.ValueInfoProto, dims: Iterable[Any], known: bool) -> None:
    if not known:
        raise OpenShapeError(
            f"input {value.name} has no shape in the model; "
            f'pass input_shapes={{"{value.name}": (1, ...)}}'
        )
    dims = list(dims)
    open_dims = {
        index: dim.dim_param or "?" for index, dim in enumerate(dims) if not _is_fixed(dim)
    }
    if open_dims:
        example = tuple(dim.dim_value if _is_fixed(dim) else 1 for dim in dims)
        named = ", ".join(f"dimension {i} ({name})" for i, name in open_dims.items())
        raise OpenShapeError(
            f"input {value.name}: {named} is dynamic and the chip needs static shapes; "
            f'pass input_shapes={{"{value.name}": {example}}} with the sizes you want'
        )
