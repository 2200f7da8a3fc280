"""Read an ONNX model and write it as the import wants it.

In: a path, bytes or ModelProto; sizes of open dimensions; values of inputs that are fixed. Out: a
checked ModelProto whose inputs are all static: named throughout, functions inlined, float16 as
float32, sparse constants dense, nothing in it larger than `sizes.MOST_ELEMENTS`. Raises
ModelFileError or OpenShapeError, one line each. Weights are detached while the structure is
worked on, so a model may exceed 2 GiB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, EncodeError

from jiriki.frontend.errors import ModelFileError
from jiriki.frontend.onnx.einsum import expand_einsums
from jiriki.frontend.onnx.float16 import widen_halves
from jiriki.frontend.onnx.normalise import (
    expand_operators,
    fix_inputs,
    inline_functions,
    is_read,
    name_everything,
    raise_opset,
)
from jiriki.frontend.onnx.shapes import Feed, Sizes, fix_shapes, graph_inputs
from jiriki.frontend.onnx.sizes import infer_sizes
from jiriki.frontend.onnx.utf8 import check_text
from jiriki.frontend.onnx.weights import EXTERNAL, Weights, attach_weights, densify, detach_weights

ModelSource = str | Path | bytes | onnx.ModelProto
Sampler = Callable[[Sequence[str]], Feed | None]  # arrays for the inputs of these names


def load_model(
    source: ModelSource,
    input_shapes: Sizes | None = None,
    *,
    input_values: Mapping[str, object] | None = None,
    sample: Feed | Sampler | None = None,
) -> onnx.ModelProto:
    """Return the model, checked, with every input shape static.

    input_shapes: the shape of an input or the size of an open dimension, by name. input_values:
    what inputs are fixed at, by name. sample: arrays whose sizes fix what is still open, or what
    returns them for the names of the inputs.
    """
    model, label = _read(source)
    _need_graph(model, label)
    del model.graph.value_info[:]  # hints, and false ones where a tool changed what they speak of
    densify(model, label)
    weights = detach_weights(model, label)
    try:
        model = _structure(model, weights, label, input_shapes or {}, input_values or {}, sample)
    except EncodeError as error:  # beyond 2 GiB even without its large weights
        raise ModelFileError(f"{label} cannot be checked: {error}; export it again") from None
    attach_weights(model, weights)
    return model


def _structure(
    model: onnx.ModelProto,
    weights: Weights,
    label: str,
    input_shapes: Sizes,
    input_values: Mapping[str, object],
    sample: Feed | Sampler | None,
) -> onnx.ModelProto:
    """Return the model without its large weights, written as the import wants it, checked."""
    model = inline_functions(model, label)
    detached = weights.large.keys()
    fix_inputs(model, input_values, detached)
    if callable(sample):
        sample = sample([value.name for value in graph_inputs(model, detached)])
    fix_shapes(model, input_shapes, sample, detached)
    if not is_read(model):
        model = raise_opset(infer_sizes(model, label, detached), label)
    name_everything(model)
    widen_halves(model, weights.large.values())
    inferred = infer_sizes(model, label, detached)
    expanded = expand_einsums(expand_operators(inferred))
    if expanded is not inferred:
        model, inferred = expanded, infer_sizes(expanded, label, detached)
    if any(not o.type.tensor_type.HasField("shape") for o in model.graph.output):
        model = inferred  # the checker requires a shape of every output
    _check(model, label)
    return model


def _read(source: ModelSource) -> tuple[onnx.ModelProto, str]:
    """Return a model of our own to change, with its external weights, and what to call it."""
    if isinstance(source, onnx.ModelProto):
        check_text(source, "model")
        model, label = onnx.ModelProto(), source.graph.name or "model"
        model.CopyFrom(source)
    elif isinstance(source, bytes):
        label = "model bytes"
        model = _parsed(lambda: onnx.load_from_string(source), label)
        check_text(model, label)
    else:
        label = str(source)
        model = _parsed(lambda: onnx.load(str(source), load_external_data=False), label)
        check_text(model, label)
        _read_external(model, Path(source).absolute().parent, label)
    if any(tensor.data_location == EXTERNAL for tensor in model.graph.initializer):
        raise ModelFileError(f"{label} has weights in another file; pass the path of the model")
    return model, label


def _parsed(read: Callable[[], onnx.ModelProto], label: str) -> onnx.ModelProto:
    try:
        return read()
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


def _read_external(model: onnx.ModelProto, folder: Path, label: str) -> None:
    """Read weights stored beside the model; no path may leave the model's folder."""
    try:
        onnx.load_external_data_for_model(model, str(folder))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"{label}: its weights in another file cannot be read ({reason}); put that file into "
            "the model's folder, whole, under the name that the model says"
        ) from None


def _need_graph(model: onnx.ModelProto, label: str) -> None:
    if not model.graph.node and not model.graph.output:
        raise ModelFileError(
            f"{label} holds no ONNX graph; it is truncated or another format: "
            "download or export it again"
        )


def _check(model: onnx.ModelProto, label: str) -> None:
    tensors = [output.type.tensor_type for output in model.graph.output]
    open_outputs = [tensor for tensor in tensors if not tensor.HasField("shape")]
    for tensor in open_outputs:  # the checker wants a shape, any shape; ONNX Runtime wants none
        tensor.shape.SetInParent()
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(
            f"{label} is not valid ONNX: {reason[:300]}; export it again"
        ) from None
    finally:
        for tensor in open_outputs:
            tensor.ClearField("shape")
