"""Models to Graph: ONNX import, calibration and quantisation, and the pinned reference."""

from jiriki.frontend.errors import (
    FrontendError,
    ModelFileError,
    NotQuantisedError,
    OpenShapeError,
    UnsupportedOperatorError,
)
from jiriki.frontend.onnx.import_onnx import import_onnx
from jiriki.frontend.onnx.reference import reference_outputs, reference_session
from jiriki.frontend.onnx.registry import supported_operators
from jiriki.frontend.quantise.quantise import quantise_onnx

__all__ = [
    "FrontendError",
    "ModelFileError",
    "NotQuantisedError",
    "OpenShapeError",
    "UnsupportedOperatorError",
    "import_onnx",
    "quantise_onnx",
    "reference_outputs",
    "reference_session",
    "supported_operators",
]
