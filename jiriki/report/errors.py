"""Errors of the report room."""

from jiriki.errors import JirikiError


class ReportError(JirikiError):
    """A report that cannot be made from this Run, or cannot be written."""
