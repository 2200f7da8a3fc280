"""Reading members of a zip archive (a wheel, a PyTorch checkpoint) without trusting it.

Concept: an `Archive` is bytes in memory; nothing is ever extracted to disk, nothing is run.
In: the bytes of a zip file. Out: member names and member bytes, or `ArchiveError`.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import PurePosixPath

from jiriki.frontend.zoo.errors import ArchiveError

LARGEST_CONTENT_BYTES = 1 << 30
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class Archive:
    """A zip file whose names and sizes were checked at birth."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _DAMAGE as error:
            raise ArchiveError(
                f"{name}: not a complete zip archive ({error}); fetch it again"
            ) from error
        self._check()

    def _check(self) -> None:
        for member in self._zip.namelist():
            path = PurePosixPath(member.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
                raise ArchiveError(
                    f"{self.name}: member {member!r} points outside the archive; do not use it"
                )
        content_bytes = sum(info.file_size for info in self._zip.infolist())
        if content_bytes > LARGEST_CONTENT_BYTES:
            raise ArchiveError(
                f"{self.name}: unpacks to {content_bytes} bytes, more than the "
                f"{LARGEST_CONTENT_BYTES} allowed; do not use this file"
            )

    def names(self) -> list[str]:
        """List the members, in the archive's order."""
        return self._zip.namelist()

    def read(self, member: str) -> bytes:
        """Return one member's bytes; its size and CRC are those the archive declares."""
        try:
            return self._zip.read(member)
        except KeyError as error:
            raise ArchiveError(
                f"{self.name}: has no member {member!r}; the catalogue names the wrong path"
            ) from error
        except _DAMAGE as error:
            raise ArchiveError(
                f"{self.name}: member {member!r} is damaged ({error}); fetch it again"
            ) from error
