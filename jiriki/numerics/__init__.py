"""Numerics room: the one definition of the chip's arithmetic."""

from jiriki.numerics.errors import JirikiError, NumericsError

__all__ = ["JirikiError", "NumericsError"]
