"""The home folder, and what happens where it cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jiriki.files import home_folder, kept_bytes, kept_path, writable_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that nobody can make, not even root: it would lie in a file."""
    file = tmp_path / "file"
    file.write_bytes(b"")
    monkeypatch.setenv("JIRIKI_HOME", str(file / "home"))
    return file


def test_the_home_is_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIRIKI_HOME", "here")
    assert home_folder() == Path.cwd() / "here"


def test_what_is_kept_is_made_once(tmp_path: Path) -> None:
    assert kept_bytes(tmp_path / "a", lambda: b"first") == b"first"
    assert kept_bytes(tmp_path / "a", lambda: b"second") == b"first"


def test_without_a_home_work_is_done_again(no_home: Path) -> None:
    path = home_folder() / "folder" / "name"
    assert kept_bytes(path, lambda: b"first") == b"first"
    assert kept_bytes(path, lambda: b"second") == b"second"


def test_without_a_home_files_lie_in_one_temporary_folder(no_home: Path) -> None:
    folder = writable_folder("rtl")
    (folder / "library.so").write_bytes(b"")
    assert kept_path("rtl", "library.so") == folder / "library.so"
    assert no_home not in folder.parents


def test_the_temporary_folder_goes_with_the_process(no_home: Path) -> None:
    code = "from jiriki.files import writable_folder; print(writable_folder('rtl'))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()


@pytest.mark.full
def test_the_kernel_needs_no_folder_that_can_be_written(tmp_path: Path) -> None:
    """Neither beside the sources nor in the home folder: it is compiled for this process alone."""
    shutil.copytree(ROOT / "jiriki", tmp_path / "jiriki", ignore=shutil.ignore_patterns("*.pyc"))
    beside = tmp_path / "jiriki" / "sim" / "timing" / "__pycache__"
    shutil.rmtree(beside, ignore_errors=True)
    beside.write_bytes(b"")
    home = tmp_path / "user"
    for jiriki_home, there in ((home / "kept", True), (beside / "home", False)):
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(tmp_path),
            "JIRIKI_HOME": str(jiriki_home), "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "jiriki.sim.timing"]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        kernels = list((jiriki_home / "compiled").rglob("*.nbc")) if there else []
        assert len(kernels) == int(there)
        assert not (home / ".cache").exists()
