"""Errors of the export_control room."""

from jiriki.errors import JirikiError


class ExportControlError(JirikiError):
    """A class that the rules at hand do not give, for a day or for a chip."""
