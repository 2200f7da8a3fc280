"""`jiriki rtl`: the folder is whole, lints clean, and its bench is that of the manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from jiriki.chip import load_chip
from tests.cli.test_bad_input import Command, refused


def exported(jiriki: Command, chip: str, folder: Path) -> dict:
    """Export a chip with lint; return the manifest once its files are those it names."""
    done = jiriki("rtl", "--chip", chip, "-o", folder, "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["lint_clean"] is True
    manifest = json.loads((folder / "manifest.json").read_text())
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert there == {"manifest.json", *manifest["files"]}
    for name, said in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == said["sha256"]
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


@pytest.mark.full
@pytest.mark.parametrize("chip", ["e256", "vta256", "e1024"])
def test_larger_chips_are_written_and_lint_clean(jiriki: Command, chip: str, tmp_path: Path):
    exported(jiriki, chip, tmp_path / "gates")


def test_a_folder_of_others_is_refused(jiriki: Command, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    refused(jiriki("rtl", "--chip", "nano", "-o", tmp_path), "thesis.tex", "new or empty")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_as_folder_is_refused(jiriki: Command, tmp_path: Path) -> None:
    (tmp_path / "gates").write_text("")
    refused(jiriki("rtl", "--chip", "nano", "-o", tmp_path / "gates"), "is a file")
