"""Errors of the cost room."""

from jiriki.errors import JirikiError


class CostError(JirikiError):
    """A figure, a chip of the catalogue or a rule is unknown, malformed or out of range."""
