"""Calibration and post-training quantisation of a float ONNX model.

In: a float model and calibration feeds. Out: a standard ONNX model in QDQ form: uint8
activations (per tensor, asymmetric), int8 weights (per output channel, symmetric), int32 biases.
uint8 activations let a Relu vanish into the clamp at zero, and u8*s8 is ONNX Runtime's best
tested x86-64 kernel. Batch norms and constants are folded first, at the given shapes.
"""

from __future__ import annotations

import logging
import tempfile
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

from jiriki.frontend.errors import FrontendError
from jiriki.frontend.onnx.load import ModelSource, load_model
from jiriki.frontend.onnx.reference import folded_model, run_plain
from jiriki.frontend.onnx.shapes import Sizes
from jiriki.frontend.quantise.bias_headroom import tame_biases
from jiriki.frontend.quantise.calibration import check_samples
from jiriki.frontend.quantise.float_rewrites import (
    infinite_nodes,
    merge_pads_of_maxima,
    replace_average_pools,
    replace_sums,
    split_matrix_biases,
)
from jiriki.frontend.quantise.names import tidy_names
from jiriki.frontend.quantise.outliers import nodes_around, release, split_outliers
from jiriki.frontend.quantise.softmax_ranges import softmax_ranges

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
    run_plain(loaded, feeds[0])  # the calibration below would fail in words of the quantiser's own
    prepared = prepare_float(loaded)
    in_float = split_outliers(prepared, feeds)
    overrides = _overrides(prepared) | _range_overrides(softmax_ranges(prepared, feeds))
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
            nodes_to_exclude=[
                *exclude,
                *infinite_nodes(prepared),
                *nodes_around(prepared, in_float),
            ],
            extra_options={"TensorQuantOverrides": overrides},
        )
        quantised = onnx.load(target)
    release(quantised, in_float)
    tame_biases(quantised, prepared)
    return quantised


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
        with np.errstate(all="ignore"):
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
    folded = onnx.shape_inference.infer_shapes(folded_model(model))
    tidy_names(folded)
    merge_pads_of_maxima(folded)
    split_matrix_biases(folded)
    replace_sums(folded)
    replace_average_pools(folded)
    return onnx.shape_inference.infer_shapes(folded)
