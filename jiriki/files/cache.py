"""A cache by content: what is slow to make is made once and kept under the hash of its causes.

In: a path in the home folder whose name holds that hash, and how to make the bytes. Out: the bytes.
A cache that cannot be read or written is no error: the work is done again.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jiriki.files.errors import FileError
from jiriki.files.write import write_bytes


def kept_bytes(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the bytes kept at `path`, else make them and keep them where that is possible."""
    try:
        return path.read_bytes()
    except OSError:  # never made, or not readable
        data = make()
    try:
        write_bytes(path, data)
    except FileError:  # a full or read-only home costs time, not the result
        return data
    return data


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process make what `path` is the lock of while others wait for it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
