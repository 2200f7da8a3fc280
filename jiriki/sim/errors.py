"""Errors of the sim room."""

from jiriki.errors import JirikiError


class SimError(JirikiError):
    """A simulator cannot run this program on this chip, or a step of it breaks a rule."""
