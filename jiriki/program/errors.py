"""Errors of the program room."""

from jiriki.errors import JirikiError


class ProgramError(JirikiError):
    """A Program, its file or the data bound to it breaks a rule."""


class CheckError(ProgramError):
    """The static checker refuses a Program: it names the instruction and the rule."""
