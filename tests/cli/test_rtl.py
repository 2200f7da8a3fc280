"""`jiriki rtl`: the folder is whole, lints clean, and its bench is that of the manifest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from jiriki.chip import load_chip
from jiriki.rtl.build.verilate import RUNTIME, find_compiler, verilator_root
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


@pytest.mark.full
def test_the_bench_of_the_folder_passes_and_writes_its_waveform(
    jiriki: Command, tmp_path: Path
) -> None:
    """The commands of its README, but for make and perl, which the wheel goes without."""
    folder = tmp_path / "gates"
    cycles = exported(jiriki, "nano", folder)["bench"]["cycles"]
    readme = (folder / "README.md").read_text()
    verilator = re.search(r"verilator (--cc .*?) -o bench\n", readme, re.S)
    assert verilator is not None
    flags, _, compiler_flags = verilator[1].replace("\\\n", " ").partition("-CFLAGS ")
    root = verilator_root()
    include = root / "include"

    def call(*command: object) -> str:
        environment = {**os.environ, "VERILATOR_ROOT": str(root)}
        done = subprocess.run(
            list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, (command, done.stdout[-500:], done.stderr[-500:])
        return done.stdout

    call(root / "bin" / "verilator_bin", *flags.replace("--build", "--output-split 20000").split())
    sources = [path for path in (folder / "obj_dir").glob("*.cpp") if "__ALL" not in path.name]
    sources += [include / name for name in (*RUNTIME, "verilated_vcd_c.cpp")]
    definitions = re.findall(r"-DJIRIKI\w+=\d+", compiler_flags)
    options = ["-std=c++20", "-w", "-DVM_TRACE=1", "-DVM_TRACE_VCD=1", "-Iobj_dir", "-O0"]
    options += [f"-I{include}", f"-I{include / 'vltstd'}", *definitions]
    driver = [folder / "bench" / name for name in ("tile_driver.cpp", "tile_bench.cpp")]
    call(*find_compiler(), *options, *sources, *driver, "-o", "obj_dir/bench", "-lpthread")
    said = call("obj_dir/bench", "bench", "wave.vcd", "0", "40")
    assert said.startswith("PASS: 0 of ") and f"{cycles} cycles, {cycles} predicted" in said
    assert (folder / "wave.vcd").read_text().count("\n#") == 80


def test_a_folder_of_others_is_refused(jiriki: Command, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    refused(jiriki("rtl", "--chip", "nano", "-o", tmp_path), "thesis.tex", "new or empty")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_as_folder_is_refused(jiriki: Command, tmp_path: Path) -> None:
    (tmp_path / "gates").write_text("")
    refused(jiriki("rtl", "--chip", "nano", "-o", tmp_path / "gates"), "is a file")
