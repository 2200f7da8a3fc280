"""Errors of the cost room."""

from jiriki.errors import JirikiError


class CostError(JirikiError):
    """An estimate that does not follow from the facts at hand, or from what was asked."""
