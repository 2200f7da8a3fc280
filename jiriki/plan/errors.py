"""Errors of the plan room."""

from jiriki.errors import JirikiError


class PlanError(JirikiError):
    """A comparison or a fleet that cannot be made from what was asked."""


class DemandError(PlanError):
    """A demand for a fleet that is malformed, contradicts itself or names what there is not."""


class InfeasibleError(PlanError):
    """A demand that no fleet meets; the message names the constraints that cannot hold together."""
