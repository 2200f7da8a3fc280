"""Errors of the rtl room."""

from jiriki.numerics import JirikiError


class RtlError(JirikiError):
    """Gates that cannot be built, or a simulation of them that cannot go on."""


class SlowError(RtlError):
    """A tool of synthesis did not finish within the limit."""


class BoardError(RtlError):
    """A board that does not answer, answers wrongly, or holds another chip."""
