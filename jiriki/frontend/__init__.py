"""Models to Graph: ONNX import, calibration and quantisation, and the pinned reference.

ONNX Runtime reports its use to its maker unless this variable is set before its first import, which
only this room does. Whoever imports it before Jiriki decides for himself.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from jiriki.frontend.errors import (
    CalibrationError,
    FrontendError,
    ModelFileError,
    NotQuantisedError,
    OpenShapeError,
    ReferenceRunError,
    UnsupportedOperatorError,
)
from jiriki.frontend.onnx.import_onnx import import_onnx
from jiriki.frontend.onnx.layer_accuracy import LayerAccuracy, is_quantised, layer_accuracies
from jiriki.frontend.onnx.reference import reference_outputs, reference_session, run_reference
from jiriki.frontend.onnx.registry import supported_operators
from jiriki.frontend.quantise.static_int8 import quantise_onnx

__all__ = [
    "CalibrationError",
    "FrontendError",
    "LayerAccuracy",
    "ModelFileError",
    "NotQuantisedError",
    "OpenShapeError",
    "ReferenceRunError",
    "UnsupportedOperatorError",
    "import_onnx",
    "is_quantised",
    "layer_accuracies",
    "quantise_onnx",
    "reference_outputs",
    "reference_session",
    "run_reference",
    "supported_operators",
]
