"""Errors of the products room."""

from jiriki.errors import JirikiError


class FactError(JirikiError):
    """A fact (a figure, a product, a rule, a calibration ...) is unknown, malformed or absent."""
