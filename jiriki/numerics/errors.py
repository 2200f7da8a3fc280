"""Errors of the numerics room."""

from jiriki.errors import JirikiError


class NumericsError(JirikiError):
    """A value, format or table that the chip's arithmetic cannot represent."""
