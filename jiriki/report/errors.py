"""Errors of the report room."""

from jiriki.numerics.errors import JirikiError


class ReportError(JirikiError):
    """A report that cannot be made from this Run, or cannot be written."""
