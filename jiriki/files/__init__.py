"""Files that Jiriki keeps or writes: its home folder, whole-or-absent writing, a cache by content,
the hash of Jiriki's own sources.

In: names, keys and bytes. Out: paths and bytes; FileError in one line when something cannot be
written. No other room makes a cache or a temporary file of its own.
"""

from jiriki.files.cache import kept_bytes, locked
from jiriki.files.errors import FileError
from jiriki.files.home import can_write, home_folder, kept_path, writable_folder
from jiriki.files.sources import sources_hash
from jiriki.files.write import whole_file, write_bytes, write_parts, write_text

__all__ = [
    "FileError",
    "can_write",
    "home_folder",
    "kept_bytes",
    "kept_path",
    "locked",
    "sources_hash",
    "whole_file",
    "writable_folder",
    "write_bytes",
    "write_parts",
    "write_text",
]
