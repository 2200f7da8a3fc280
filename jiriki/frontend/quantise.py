"""Calibration and post-training quantisation of a float ONNX model.

In: a float model and calibration feeds. Out: a standard ONNX model in QDQ form: uint8
activations (per tensor, asymmetric), int8 weights (per output channel, symmetric), int32 biases.
uint8 activations let a Relu vanish into the clamp at zero, and u8*s8 is ONNX Runtime's best
tested x86-64 kernel. Batch norms and constants are folded first, at the given shapes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from jiriki.frontend.errors import FrontendError
from jiriki.frontend.load import ModelSource, load_model
from jiriki.frontend.reference import folded_model

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
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    exclude: Iterable[str] = (),
    method: CalibrationMethod = CalibrationMethod.MinMax,
) -> onnx.ModelProto:
    """Return the model in QDQ form, calibrated on the feeds.

    exclude: names of nodes to leave in float. Raises FrontendError when the feeds are empty.
    """
    feeds = list(calibration)
    if not feeds:
        raise FrontendError("calibration is empty; give at least one dict of input arrays")
    prepared = prepare_float(load_model(model, input_shapes))
    with tempfile.TemporaryDirectory() as folder:
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
            nodes_to_exclude=list(exclude),
        )
        return onnx.load(target)


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
    return onnx.shape_inference.infer_shapes(folded_model(model))
