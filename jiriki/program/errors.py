"""Errors of the program room."""

from jiriki.numerics.errors import JirikiError


class ProgramError(JirikiError):
    """A Program, its file or the data bound to it breaks a rule."""
