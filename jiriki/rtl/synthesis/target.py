"""Targets of synthesis: FPGA families by name, standard-cell libraries by their liberty files.

In: what the user asked for. Out: a `Target` whose files are there and can be read, or an RtlError
that says in one line what is wrong or what to install.
"""

import hashlib
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from jiriki.extras import how_to_install
from jiriki.rtl.errors import RtlError

FPGAS = {"ecp5": "Lattice ECP5", "xc7": "Xilinx 7 series", "xcup": "Xilinx UltraScale+"}
OSU018 = "osu018"
OWN = "liberty"  # the target when only --liberty is given
TARGETS = (*FPGAS, OSU018, OWN)
OSU018_FILES = (Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib"),)
OSU018_HINT = "install it with: apt-get install qflow-tech-osu018, or name its file with --liberty"
_AREA = re.compile(r"\barea\s*:\s*([0-9.eE+-]+)")


@dataclass(frozen=True)
class Target:
    """A technology; `libraries` are empty for an FPGA."""

    name: str
    libraries: tuple[Path, ...] = ()

    @property
    def is_fpga(self) -> bool:
        return self.name in FPGAS

    @cached_property
    def content(self) -> str:
        """Return the hash of the libraries."""
        digest = hashlib.sha256(self.name.encode())
        for path in self.libraries:
            digest.update(path.read_bytes())
        return digest.hexdigest()

    @cached_property
    def gate_um2(self) -> float | None:
        """Return the area of the smallest two-input NAND, the gate equivalent, if there is one."""
        nand = self._smallest("nand2")
        return None if nand is None else nand[0]

    @cached_property
    def driver(self) -> str | None:
        """Return the smallest inverter, if there are buffers too: ABC sizes with both or fails."""
        inverter = self._smallest("inv")
        return inverter[1] if inverter and self._smallest("buf") else None

    def _smallest(self, name: str) -> tuple[float, str] | None:
        """Return area and name of the smallest cell with `name` in its name."""
        cells = []
        for path in self.libraries:
            text = path.read_text(errors="replace")
            heads = re.finditer(rf'\bcell\s*\(\s*"?(\w*{name}\w*)"?\s*\)\s*\{{', text, re.I)
            areas = ((_AREA.search(text, head.end()), head[1]) for head in heads)
            cells += [(float(area[1]), cell) for area, cell in areas if area]
        return min(cells, default=None)

    @property
    def sequential(self) -> Path:
        """Return the library of the flip-flops (ASAP7 keeps them in a file of its own)."""
        return next(path for path in self.libraries if _has_flip_flop(path))


def open_target(name: str | None, liberty: tuple[Path, ...] = ()) -> Target:
    """Return a target that can be used. Raises RtlError."""
    name = name or (OWN if liberty else None)
    if name not in TARGETS:
        raise RtlError(f"target {name!r} is unknown; choose one of {', '.join(TARGETS)}")
    if find_spec("pyosys") is None:
        raise RtlError(f"pyosys is not installed; install with: {how_to_install('synth')}")
    if name in FPGAS:
        if liberty:
            raise RtlError(f"target {name} is an FPGA and has no --liberty; leave one of both out")
        return Target(name)
    files = liberty or (OSU018_FILES if name == OSU018 else ())
    if name == OSU018 and not all(path.is_file() for path in files):
        raise RtlError(f"target osu018: {files[0]} is not there; {OSU018_HINT}")
    if not files:
        raise RtlError("target liberty needs at least one --liberty FILE")
    for path in files:
        _check(path)
    target = Target(name, files)
    if not any(map(_has_flip_flop, files)):
        raise RtlError(f"liberty {files[0]}: no library given holds a flip-flop; add its file")
    return target


def _check(path: Path) -> None:
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise RtlError(f"liberty {path}: {error.strerror}; name a readable file") from None
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.S).lstrip()
    if not re.match(r"library\s*\(", bare):
        raise RtlError(f"liberty {path} does not begin with library(...); is it a .lib file?")


def _has_flip_flop(path: Path) -> bool:
    return re.search(r"\bff\s*\(", path.read_text(errors="replace")) is not None


def timing_tool() -> str | None:
    """Return OpenSTA's program, if it is installed."""
    return shutil.which("sta")
