"""Open dimensions of a model's inputs, fixed: by input, by the dimension's name, or from a sample.

In: a ModelProto, sizes and perhaps one feed. Out: the same model, every input static. An input's
shape also fixes the dimensions of the same name in the other inputs. Raises OpenShapeError, whose
text names the argument of Python or, in the shell, the option.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from jiriki.frontend.errors import OpenShapeError

Sizes = Mapping[str, int | Sequence[int]]
Feed = Mapping[str, np.ndarray]


def graph_inputs(
    model: onnx.ModelProto, detached: Collection[str] = ()
) -> list[onnx.ValueInfoProto]:
    """Return the inputs that a caller gives: no initialisers, and none of the detached weights."""
    stored = {tensor.name for tensor in model.graph.initializer}.union(detached)
    return [value for value in model.graph.input if value.name not in stored]


def fix_shapes(
    model: onnx.ModelProto,
    sizes: Sizes,
    sample: Feed | None = None,
    detached: Collection[str] = (),
) -> None:
    """Write sizes into the model's inputs; raise for what stays open.

    sizes: the shape of an input, or the size of an open dimension, by name. sample: arrays whose
    shapes fix what `sizes` leaves open.
    """
    inputs = graph_inputs(model, detached)
    for value in inputs:
        if not value.type.HasField("tensor_type"):
            raise OpenShapeError(f"input {value.name} is not a tensor; only tensors are taken")
    shapes, named = _sorted(inputs, sizes)
    changed = [
        _fix_input(value, shapes[value.name], named) for value in inputs if value.name in shapes
    ]
    changed += [_fix_named(value, named) for value in inputs]
    if sample is not None:
        changed += [
            _fix_from_array(value, sample[value.name]) for value in inputs if value.name in sample
        ]
    for value in inputs:
        _need_static(value)
    if any(changed):  # shapes written for other sizes are stale now
        del model.graph.value_info[:]
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")


def _sorted(
    inputs: Sequence[onnx.ValueInfoProto], sizes: Sizes
) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """Return shapes by input and sizes by dimension."""
    names = {value.name for value in inputs}
    open_names = {d.dim_param for v in inputs for d in v.type.tensor_type.shape.dim if d.dim_param}
    shapes: dict[str, tuple[int, ...]] = {}
    named: dict[str, int] = {}
    for name, size in sizes.items():
        whole = tuple(int(n) for n in ([size] if isinstance(size, int | np.integer) else size))
        if name in names:
            shapes[name] = whole
        elif name in open_names and len(whole) == 1:
            named[name] = whole[0]
        else:
            _refuse_name(name, names, open_names)
        if min(whole, default=1) < 1:
            raise OpenShapeError(f"input {name}: shape {whole} has a dimension below 1")
    return shapes, named


def _refuse_name(name: str, inputs: set[str], open_names: set[str]) -> None:
    if name in open_names:
        raise OpenShapeError(f"{name} is one open dimension; give it one size")
    known = f"the inputs are: {', '.join(sorted(inputs))}"
    if open_names:
        known += f"; the open dimensions are: {', '.join(sorted(open_names))}"
    raise OpenShapeError(
        f"input_shapes names {[name]}, but {known}", shell=f"--shape names {name}, but {known}"
    )


def _fix_input(value: onnx.ValueInfoProto, shape: tuple[int, ...], named: dict[str, int]) -> bool:
    """Give an input its shape; note the sizes of its named dimensions. Tell whether it changed."""
    tensor = value.type.tensor_type
    dims = tensor.shape.dim
    if tensor.HasField("shape") and len(dims) != len(shape):
        raise OpenShapeError(
            f"input {value.name} has {len(dims)} dimensions, the shape for it is {shape}"
        )
    for index, (dim, size) in enumerate(zip(dims, shape, strict=False)):
        if dim.HasField("dim_value") and dim.dim_value > 0 and dim.dim_value != size:
            raise OpenShapeError(
                f"input {value.name}: dimension {index} is {dim.dim_value} in the model, "
                f"{size} in the shape for it"
            )
        if dim.dim_param and named.setdefault(dim.dim_param, size) != size:
            raise OpenShapeError(
                f"input {value.name}: dimension {index} ({dim.dim_param}) is {size} here and "
                f"{named[dim.dim_param]} elsewhere; give it one size"
            )
    static = tensor.HasField("shape") and tuple(d.dim_value for d in dims) == shape
    del tensor.shape.dim[:]
    for size in shape:
        tensor.shape.dim.add().dim_value = size
    return not static


def _fix_named(value: onnx.ValueInfoProto, named: Mapping[str, int]) -> bool:
    dims = [d for d in value.type.tensor_type.shape.dim if d.dim_param in named]
    for dim in dims:
        dim.dim_value = named[dim.dim_param]
    return bool(dims)


def _fix_from_array(value: onnx.ValueInfoProto, array: np.ndarray) -> bool:
    """Take the sizes that are open from an array of the same rank."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        for size in array.shape:
            tensor.shape.dim.add().dim_value = size
        return True
    if len(tensor.shape.dim) != array.ndim:
        return False  # what checks the sample says so
    open_dims = [i for i, dim in enumerate(tensor.shape.dim) if not _is_fixed(dim)]
    for index in open_dims:
        tensor.shape.dim[index].dim_value = array.shape[index]
    return bool(open_dims)


def _is_fixed(dim: Any) -> bool:  # noqa: ANN401
    """Tell whether the model gives the size; a given 0 is an axis without elements."""
    return dim.HasField("dim_value") and dim.dim_value >= 0


def _need_static(value: onnx.ValueInfoProto) -> None:
    tensor, name = value.type.tensor_type, value.name
    dims: Iterable[Any] = list(tensor.shape.dim)
    if not tensor.HasField("shape"):
        rule = f"input {name} has no shape in the model"
        raise OpenShapeError(
            f'{rule}; pass input_shapes={{"{name}": (1, ...)}}',
            shell=f"{rule}; pass --shape {name}=1,... with its sizes",
        )
    open_dims = {i: dim.dim_param or "?" for i, dim in enumerate(dims) if not _is_fixed(dim)}
    if open_dims:
        example = tuple(dim.dim_value if _is_fixed(dim) else 1 for dim in dims)
        named = ", ".join(f"dimension {i} ({dim})" for i, dim in open_dims.items())
        rule = f"input {name}: {named} is dynamic and the chip needs static shapes"
        raise OpenShapeError(
            f'{rule}; pass input_shapes={{"{name}": {example}}} with the sizes you want',
            shell=f"{rule}; pass --shape {name}={','.join(map(str, example))} with the sizes you "
            "want",
        )
