"""Nothing is reported to anyone: a run with an empty home leaves no file and opens no connection.

ONNX Runtime would write a device's identity below `$HOME` and look up its maker's server, unless
it is told not to before its first import.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NETWORK = re.compile(r"\b(socket|connect|sendto|sendmsg|sendmmsg)\((?!AF_UNIX)")


def calls_of(trace: Path) -> list[str]:
    """Return the calls of a trace that reach for the network."""
    lines = trace.read_text("utf-8").splitlines()
    assert any("execve" in line for line in lines), "the trace holds the start of the process"
    return [line for line in lines if NETWORK.search(line)]


def run_in_empty_home(folder: Path, home: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Quantise and run the small network in a process of its own, under the command `before`."""
    return subprocess.run(
        [
            *before, sys.executable, "-m", "jiriki.cli", "run", str(folder / "floating.onnx"),
            "--calibration", str(folder / "samples.npz"), "--input", str(folder / "input.npz"),
        ],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)},
        cwd=home, capture_output=True, text=True, check=True,
    )  # fmt: skip


def test_only_our_own_cache_is_written(folder: Path, tmp_path: Path) -> None:
    run_in_empty_home(folder, tmp_path)
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    cache = Path(".cache", "jiriki")
    assert written and [path for path in written if not path.is_relative_to(cache)] == []


@pytest.fixture
def strace(tmp_path: Path) -> list[str]:
    """A command that writes the network calls of the command after it to `trace.txt`."""
    if shutil.which("strace") is None:
        pytest.skip("strace shows what a process asks of the network; apt-get install strace")
    return ["strace", "-f", "-e", "trace=network,execve", "-o", str(tmp_path / "trace.txt")]


def test_a_connection_would_be_seen(strace: list[str], tmp_path: Path) -> None:
    code = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    subprocess.run([*strace, sys.executable, "-c", code], check=True)
    assert any("connect(" in call for call in calls_of(tmp_path / "trace.txt"))


def test_no_name_is_looked_up(folder: Path, strace: list[str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    run_in_empty_home(folder, home, *strace)
    assert calls_of(tmp_path / "trace.txt") == []
