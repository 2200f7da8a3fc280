"""The wheel holds what the commands read: catalogues, pages, examples, hand-written gates."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jiriki.examples import EXAMPLES

ROOT = Path(__file__).parents[2]
NOT_SHIPPED = {".py", ".pyc"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the checkout: building leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "jiriki", folder / "source" / "jiriki", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source" / name)
    subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
            "--no-index", "--disable-pip-version-check", "-w", str(folder), str(folder / "source"),
        ],
        check=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def test_every_file_of_the_package_is_in_it(wheel: Path) -> None:
    listed = set(zipfile.ZipFile(wheel).namelist())
    shipped = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "jiriki").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert len([name for name in shipped if Path(name).suffix not in NOT_SHIPPED]) > 20
    assert sorted(shipped - listed) == []


def test_examples_are_written_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    subprocess.run(
        [sys.executable, "-m", "jiriki.cli", "examples", "--out", "examples"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    for name in EXAMPLES:
        assert (tmp_path / "examples" / name).read_text() == (ROOT / "examples" / name).read_text()


def test_every_example_has_a_line() -> None:
    there = {path.name for path in (ROOT / "examples").iterdir() if path.suffix in (".toml", ".jk")}
    assert there == set(EXAMPLES)
