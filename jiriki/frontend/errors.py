"""Errors of frontend/: a model that cannot be read or taken, each in one line."""

from __future__ import annotations

from jiriki.errors import JirikiError


class FrontendError(JirikiError):
    """A model cannot be imported; the message names the object, the rule and the remedy."""


class ModelFileError(FrontendError):
    """The file is missing, truncated, not ONNX, or breaks ONNX's own rules."""


class OpenShapeError(FrontendError):
    """A dimension is dynamic, or a given input shape does not fit the model."""


class UnsupportedOperatorError(FrontendError):
    """An operator, or this use of it, has no counterpart in the op table."""


class MalformedNodeError(FrontendError):
    """A node's attributes, shapes and types contradict each other or its operator."""


class NotQuantisedError(FrontendError):
    """A float Conv, Gemm or MatMul was found where int8 is needed."""


class CalibrationError(FrontendError):
    """Calibration samples are missing, are not what the model takes, or are not finite."""


class ReferenceRunError(FrontendError):
    """ONNX Runtime, the reference, refuses the inputs or fails while it runs the model."""
