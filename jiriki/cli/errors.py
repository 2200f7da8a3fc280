"""Errors of the command line."""

from jiriki.errors import JirikiError


class CliError(JirikiError):
    """An argument that names nothing, or a file that does not hold what the command needs."""
