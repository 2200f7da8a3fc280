"""Errors of the isa room."""

from jiriki.errors import JirikiError


class IsaError(JirikiError):
    """An instruction, its text or its encoding breaks a rule of the instruction set."""
