"""The home folder: where fetched packages and results that are slow to make are kept.

In: `$JIRIKI_HOME`. Out: absolute folders; rooms name their own folders in it. A home that cannot be
written is no error: what is there is read, what is new goes into a temporary folder that lasts as
long as the process.
"""

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path


def home_folder() -> Path:
    """Return `$JIRIKI_HOME`, or `~/.cache/jiriki`, as an absolute path; it may not exist yet."""
    home = os.environ.get("JIRIKI_HOME")
    return Path(home).expanduser().absolute() if home else Path.home() / ".cache" / "jiriki"


def kept_path(folder: str, name: str) -> Path:
    """Return where the file is kept in a folder of the home folder, else where to write it."""
    path = home_folder() / folder / name
    return path if path.is_file() else writable_folder(folder) / name


def writable_folder(folder: str) -> Path:
    """Return a folder of the home folder, or a temporary one of that name; it is made."""
    path = home_folder() / folder
    if can_write(path):
        return path
    path = _temporary_home() / folder
    path.mkdir(exist_ok=True)
    return path


def can_write(folder: Path) -> bool:
    """Tell whether a file can be made in the folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@cache
def _temporary_home() -> Path:
    path = Path(tempfile.mkdtemp(prefix="jiriki-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
