"""Calibration samples, held against the model's inputs before anything runs on them.

In: a model whose inputs are static, and feeds. Out: the feeds as dictionaries of arrays;
CalibrationError, which names the sample, the input and what it should be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx

from jiriki.frontend.errors import CalibrationError
from jiriki.frontend.onnx.reference import plain_session, run_reference

Feed = Mapping[str, np.ndarray]
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # whose operands become int8


def check_samples(model: onnx.ModelProto, samples: Iterable[Feed]) -> list[dict[str, np.ndarray]]:
    """Return the samples. Raises CalibrationError for the first that the model cannot take."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in stored}
    feeds = [{name: np.asarray(array) for name, array in feed.items()} for feed in samples]
    if not feeds:
        raise CalibrationError("calibration is empty; give at least one dict of input arrays")
    for index, feed in enumerate(feeds):
        if feed.keys() != inputs.keys():
            raise CalibrationError(
                f"calibration sample {index} holds {sorted(feed)}, the model's inputs are "
                f"{sorted(inputs)}; give one array for each input, by its name"
            )
        for name, array in feed.items():
            _check_array(f"calibration sample {index}, input {name}", array, inputs[name])
    return feeds


def _check_array(what: str, array: np.ndarray, value: onnx.ValueInfoProto) -> None:
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    if array.dtype != dtype:
        raise CalibrationError(f"{what} is {array.dtype}, the model takes {dtype}; convert it")
    if array.shape != shape:
        raise CalibrationError(
            f"{what} has shape {array.shape}, the model takes {shape}; a file of samples holds "
            "them along an added first axis"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise CalibrationError(f"{what} holds NaN or infinity, which has no scale; remove it")


def check_products(model: onnx.ModelProto, feed: Feed) -> None:
    """Run the float model. Raises CalibrationError for a product that is not finite.

    Infinity is taken elsewhere (a mask that a Softmax reads), and so is NaN that a Where removes.
    """
    products = [node for node in model.graph.node if node.op_type in PRODUCTS]
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in products:
        for name in node.input:
            if name in stored and not _is_finite(onnx.numpy_helper.to_array(stored[name])):
                raise CalibrationError(
                    f"{node.op_type} {node.name}: its operand {name} holds NaN or infinity, which "
                    "has no scale; train or export the model again"
                )
    computed = {output for node in model.graph.node for output in node.output if output}
    wanted = [name for node in products for name in (*node.input, *node.output) if name in computed]
    _check_run(model, 0, feed, wanted)


def check_every_tensor(model: onnx.ModelProto, feeds: Iterable[Feed]) -> None:
    """Run the float model. Raises CalibrationError for the first tensor that is not finite."""
    names = [name for node in model.graph.node for name in node.output if name]
    for index, feed in enumerate(feeds):
        _check_run(model, index, feed, names)


def _check_run(model: onnx.ModelProto, index: int, feed: Feed, names: Iterable[str]) -> None:
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    outputs = {output.name for output in exposed.graph.output}
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in outputs:
            exposed.graph.output.add().name = name
    values = run_reference(plain_session(exposed), feed)
    makers = {output: node for node in model.graph.node for output in node.output}
    for name in names:
        if not _is_finite(values[name]):
            node = makers[name]
            raise CalibrationError(
                f"{node.op_type} {node.name}: its result {name} is NaN or infinite on calibration "
                f"sample {index}, which has no scale; check its weights and the sample"
            )


def _is_finite(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
