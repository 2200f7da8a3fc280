"""Write a file so that it is whole or absent.

In: a path and text or bytes. Out: the file; FileError when it cannot be written, and then what
was there before is still there.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from jiriki.files.errors import FileError


def write_text(path: Path, text: str) -> Path:
    """Write text as UTF-8; see `write_bytes`."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> Path:
    """Write bytes; see `write_parts`."""
    return write_parts(path, (data,))


def write_parts(path: Path, parts: Iterable[bytes | memoryview]) -> Path:
    """Write the parts one after another; see `whole_file`."""
    with whole_file(path) as file:
        for part in parts:
            file.write(part)
    return path


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file beside `path` that is moved into its place when all went well.

    Folders are made. Raises FileError when it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise FileError(
            f"cannot write {path}: {error.strerror}; free some space or name another folder"
        ) from None
    finally:
        _remove(partial)


def _remove(partial: Path) -> None:
    try:
        partial.unlink(missing_ok=True)
    except OSError:  # the folder is a file, or gone: there is nothing of ours to remove
        return
