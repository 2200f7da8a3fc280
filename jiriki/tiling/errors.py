"""Errors of the tiles room."""

from jiriki.errors import JirikiError


class TileError(JirikiError):
    """A graph cannot be cut to fit the chip, or a tile program is malformed."""
