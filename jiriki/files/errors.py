"""Errors of the files room."""

from jiriki.errors import JirikiError


class FileError(JirikiError):
    """A file or folder that cannot be made or written."""
