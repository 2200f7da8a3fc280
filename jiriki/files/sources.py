"""The sources of Jiriki itself: what was made by other sources is no longer true.

In: names of rooms. Out: a hash of all their files, code and data, for the name of what is kept.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

KINDS = (".py", ".toml")


@cache
def sources_hash(rooms: Sequence[str]) -> str:
    """Return the hash of the rooms' files: of folders like `isa` and modules like `compiler.py`."""
    root = Path(str(resources.files("jiriki")))
    digest = hashlib.sha256()
    for room in rooms:
        for path in _files(root / room):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def _files(room: Path) -> Iterator[Path]:
    if room.is_file():
        yield room
        return
    yield from sorted(path for path in room.rglob("*") if path.suffix in KINDS)
