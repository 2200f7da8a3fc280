"""Errors of the plan room."""

from jiriki.numerics.errors import JirikiError


class PlanError(JirikiError):
    """A comparison or a fleet that cannot be made from what was asked."""
