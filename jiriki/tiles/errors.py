"""Errors of the tiles room."""

from jiriki.numerics.errors import JirikiError


class TileError(JirikiError):
    """A graph cannot be cut to fit the chip, or a tile program is malformed."""
