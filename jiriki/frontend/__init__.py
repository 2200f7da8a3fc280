"""Models to Graph: ONNX import, calibration and quantisation, and the pinned reference."""

from jiriki.frontend.errors import (
    FrontendError,
    ModelFileError,
    NotQuantisedError,
    OpenShapeError,
    UnsupportedOperatorError,
)
from jiriki.frontend.onnx_import import import_onnx
from jiriki.frontend.quantise import quantise_onnx
from jiriki.frontend.reference import reference_outputs, reference_session
from jiriki.frontend.registry import supported_operators

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
