"""Calibration and post-training quantisation of a float ONNX model.

In: a float model and calibration feeds. Out: a standard ONNX model in QDQ form: uint8
activations (per tensor, asymmetric), int8 weights (per output channel, symmetric), int32 biases.
uint8 activations let a Relu vanish into the clamp at zero, and u8*s8 is ONNX Runtime's best
tested x86-64 kernel. Batch norms and constants are folded first, at the given shapes.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from jiriki.frontend.errors import FrontendError, ModelFileError
from jiriki.frontend.onnx.load import ModelSource, load_model
from jiriki.frontend.onnx.reference import folded_model
from jiriki.frontend.onnx.shapes import Sizes
from jiriki.frontend.quantise.bias_headroom import tame_biases
from jiriki.frontend.quantise.calibration import (
    check_every_tensor,
    check_products,
    check_samples,
)
from jiriki.frontend.quantise.float_rewrites import (
    infinite_nodes,
    merge_pads_of_maxima,
    replace_average_pools,
    replace_spatial_means,
    replace_sums,
    split_matrix_biases,
)
from jiriki.frontend.quantise.functions import nodes_of_functions
from jiriki.frontend.quantise.names import tidy_names
from jiriki.frontend.quantise.outliers import nodes_around, release, split_outliers
from jiriki.frontend.quantise.softmax_ranges import softmax_ranges
from jiriki.frontend.quantise.statistics import nodes_of_statistics

QDQ_OPSET = 13  # per-axis DequantizeLinear


class _Reader(CalibrationDataReader):
    """Hand the feeds to ONNX Runtime one by one."""

    def __init__(self, feeds: Iterable[Mapping[str, np.ndarray]]) -> None:
        self._feeds: Iterator[Mapping[str, np.ndarray]] = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray]:  # type: ignore[override]
        return dict(next(self._feeds, {}))


def quantise_onnx(
    model: ModelSource,
    calibration: Iterable[Mapping[str, np.ndarray]],
    *,
    input_shapes: Sizes | None = None,
    input_values: Mapping[str, object] | None = None,
    exclude: Iterable[str] = (),
    method: CalibrationMethod = CalibrationMethod.MinMax,
) -> onnx.ModelProto:
    """Return the model in QDQ form, calibrated on the feeds.

    input_shapes: shapes of inputs, or sizes of open dimensions, by name; what it leaves open, the
    first sample decides. input_values: what inputs are fixed at, by name.
    exclude: names of nodes to leave in float. Raises CalibrationError when the feeds are empty or
    not what the model takes, ReferenceRunError when the float model does not run on them.
    """
    samples = list(calibration)
    loaded = load_model(
        model, input_shapes, input_values=input_values, sample=next(iter(samples), None)
    )
    feeds = check_samples(loaded, samples)
    check_products(loaded, feeds[0])  # the calibration would fail in words of the quantiser's own
    prepared = prepare_float(loaded)
    in_float = split_outliers(prepared, feeds)
    ranges, before_masks = softmax_ranges(prepared, feeds)
    overrides = _overrides(prepared) | _range_overrides(ranges)
    nodes = [
        *exclude,
        *before_masks,
        *infinite_nodes(prepared),
        *nodes_around(prepared, in_float),
        *nodes_of_statistics(prepared),
        *nodes_of_functions(prepared),
    ]
    try:
        quantised = _quantise_static(prepared, feeds, overrides, nodes, method)
    except Exception as error:  # the quantiser asserts and raises what NumPy and ONNX raise
        check_every_tensor(prepared, feeds)
        reason = " ".join(str(error).split())[:200]
        raise FrontendError(
            f"ONNX Runtime's quantiser fails on the model ({reason}); check the model with "
            "onnx.checker.check_model(model, full_check=True)"
        ) from error
    release(quantised, in_float)
    tame_biases(quantised, prepared)
    return quantised


def _quantise_static(
    prepared: onnx.ModelProto,
    feeds: list[dict[str, np.ndarray]],
    overrides: dict[str, list[dict[str, object]]],
    excluded: list[str],
    method: CalibrationMethod,
) -> onnx.ModelProto:
    """Run ONNX Runtime's quantiser. Raises whatever it raises."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, target = Path(folder) / "float.onnx", Path(folder) / "qdq.onnx"
        onnx.save(prepared, source)
        quantize_static(
            source,
            target,
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=method,
            nodes_to_exclude=excluded,
            extra_options={"TensorQuantOverrides": overrides},
        )
        return onnx.load(target)


def _overrides(model: onnx.ModelProto) -> dict[str, list[dict[str, object]]]:
    """Give one scale to weights whose channel axis is not the quantiser's.

    Those are grouped ConvTranspose, whose axis mixes the groups, batches of matrices, and matrices
    on the left of a product, whose columns are what is summed.
    """
    rank = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    weights = set()
    for node in model.graph.node:
        grouped = any(a.name == "group" and a.i > 1 for a in node.attribute)
        if node.op_type == "ConvTranspose" and grouped:
            weights.add(node.input[1])
        if node.op_type == "MatMul":
            weights.update(name for name in node.input if rank.get(name, 2) != 2)
            weights.add(node.input[0])
    one_scale: list[dict[str, object]] = [{"quant_type": QuantType.QInt8, "symmetric": True}]
    return dict.fromkeys(sorted(weights & set(rank)), one_scale)


def _range_overrides(
    ranges: Mapping[str, tuple[float, float]],
) -> dict[str, list[dict[str, object]]]:
    return {
        name: [{"rmin": np.float32(least), "rmax": np.float32(most)}]
        for name, (least, most) in ranges.items()
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantiser's advice, which `prepare_float` has already followed."""
    ort.set_default_logger_severity(3)
    logging.disable(logging.WARNING)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.filterwarnings("error", "All-NaN", RuntimeWarning)  # a tensor without a range
            yield
    finally:
        logging.disable(logging.NOTSET)
        ort.set_default_logger_severity(2)


def prepare_float(model: onnx.ModelProto) -> onnx.ModelProto:
    """Raise the opset to what QDQ needs, fold constants and batch norms, infer shapes."""
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if opset < QDQ_OPSET:
        try:
            model = onnx.version_converter.convert_version(model, QDQ_OPSET)
        except Exception as error:  # the converter raises RuntimeError and its own classes
            reason = " ".join(str(error).split())[:200]
            raise FrontendError(
                f"model opset {opset} cannot be raised to {QDQ_OPSET}, which per-channel "
                f"quantisation needs ({reason}); export it again at opset {QDQ_OPSET} or later"
            ) from None
    folded = _inferred(folded_model(model))
    tidy_names(folded)
    merge_pads_of_maxima(folded)
    split_matrix_biases(folded)
    replace_sums(folded)
    replace_spatial_means(folded)
    replace_average_pools(folded)
    return _inferred(folded)


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """Infer shapes. Raises ModelFileError when those of the model contradict each other."""
    try:
        return onnx.shape_inference.infer_shapes(model)
    except onnx.shape_inference.InferenceError as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"model {model.graph.name}: its shapes contradict each other ({reason}); export it "
            "again"
        ) from None
