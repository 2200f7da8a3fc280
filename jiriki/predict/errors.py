"""Errors of the predict room."""

from jiriki.errors import JirikiError


class PredictError(JirikiError):
    """A workload that a chip cannot run, or a prediction asked for wrongly."""
