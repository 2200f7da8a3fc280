"""Calibration samples, held against the model's inputs before anything runs on them.

In: a model whose inputs are static, and feeds. Out: the feeds as dictionaries of arrays;
CalibrationError, which names the sample, the input and what it should be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx

from jiriki.frontend.errors import CalibrationError

Feed = Mapping[str, np.ndarray]


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
