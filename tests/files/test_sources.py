"""The hash of sources: what changes it and what does not."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from jiriki.files.sources import sources_hash

ROOMS = ("isa", "compiler.py")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of two rooms that stands for Jiriki, and a third that is not asked for."""
    for name in ("isa/words.py", "isa/unit/a.py", "isa/data.toml", "cli/app.py", "compiler.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(resources, "files", lambda name: tmp_path)
    return tmp_path


def hash_now() -> str:
    return sources_hash.__wrapped__(ROOMS)  # within a process it is read once


@pytest.mark.parametrize("name", ["isa/unit/a.py", "isa/data.toml", "compiler.py", "isa/new.py"])
def test_it_changes_with_code_and_data(package: Path, name: str) -> None:
    before = hash_now()
    (package / name).write_text("x = 2\n")
    assert hash_now() != before


def test_it_changes_when_a_file_moves(package: Path) -> None:
    before = hash_now()
    (package / "isa/words.py").rename(package / "isa/terms.py")
    assert hash_now() != before


@pytest.mark.parametrize("name", ["cli/app.py", "isa/__pycache__/words.pyc", "isa/notes.md"])
def test_it_does_not_change_with_anything_else(package: Path, name: str) -> None:
    before = hash_now()
    (package / name).parent.mkdir(exist_ok=True)
    (package / name).write_text("x = 2\n")
    assert hash_now() == before
