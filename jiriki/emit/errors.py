"""Errors of the emit room."""

from jiriki.errors import JirikiError


class EmitError(JirikiError):
    """A TileProgram cannot be turned into a Program for the chip."""


class OutOfMemory(EmitError):
    """Buffers that must live together do not fit; another plan may."""
