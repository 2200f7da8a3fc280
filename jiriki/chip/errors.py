"""Errors of the chip room."""

from jiriki.errors import JirikiError


class ChipError(JirikiError):
    """A chip description breaks a rule, or names no chip of the catalogue."""
