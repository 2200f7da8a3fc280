"""Runs docs/tutorial-gates.md and draws its pictures: `python docs/waves.py`.

In: the waveform that the page's `jiriki verify --vcd` writes, from cycle 0 on. Out: the page with
its output made anew, SVG files in docs/images. A wave of one bit is a line, one of several a row of
boxes with the value; what is drawn in a cycle is the wires' value before the edge that ends it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TextIO

from jiriki.rtl.interfaces import State

PAGE = Path(__file__).parent / "tutorial-gates.md"
IMAGES = PAGE.parent / "images"
NAME_PX, ROW_PX, HIGH_PX, CHARACTER_PX = 200, 26, 16, 6.2
INK, GRID, BOX, TITLE = "#1b1f24", "#d8dee4", "#ddf4ff", "#57606a"


@dataclass(frozen=True)
class Wave:
    """One row: its label, the signal, of it one bit or all, and how values are written."""

    label: str
    signal: str  # scopes and name, joined by "/", without "$n" that makes it unique
    bit: int = 0  # of style "bit"
    style: str = "bit"  # or "number"; "state"; "lowest": number of the lowest bit that is set
    valid: str = ""  # a signal without which there is no value


@dataclass(frozen=True)
class Picture:
    """The cycles first .. end - 1 of some waves."""

    first: int
    end: int
    cycle_px: float
    label_every: int  # cycles
    rows: tuple[Wave | str, ...]  # a text is a heading


MX = "top/mx/"
RUNNING, STARTED, COMPLETED = "trace__running", "trace__started", "trace__completed"
LD, ST, MATRIX, VX = range(4)  # bits of the trace, one a unit
PICTURES = {
    "matmul-run.svg": Picture(0, 320, 2.6, 20, (
        "sequencer and memory",
        Wave("instruction", "trace__at", style="number"),
        Wave("read request", "memory__arvalid"),
        Wave("read data", "memory__rvalid"),
        Wave("write data", "memory__wvalid"),
        "starts and ends of instructions",
        Wave("LD starts", STARTED, LD), Wave("LD ends", COMPLETED, LD),
        Wave("MX starts", STARTED, MATRIX), Wave("MX ends", COMPLETED, MATRIX),
        Wave("VX starts", STARTED, VX), Wave("VX ends", COMPLETED, VX),
        Wave("ST starts", STARTED, ST), Wave("ST ends", COMPLETED, ST),
    )),
    "matmul-mx.svg": Picture(221, 258, 27, 5, (
        "issue: steps and their reads",
        Wave("GEMM starts", STARTED, MATRIX),
        Wave("state", f"{MX}issue/state", style="state"),
        Wave("port A: from column", f"{MX}issue/a__valid", style="lowest"),
        Wave("port B: from column", f"{MX}issue/b__valid", style="lowest"),
        Wave("port B granted", f"{MX}issue/b__grant"),
        Wave("step ends", f"{MX}issue/step__ready"),
        "array and drain",
        Wave("operands complete", f"{MX}array/operands__valid"),
        Wave("results to the shadow", f"{MX}array/drain"),
        Wave("accumulator written", f"{MX}drain/write__en"),
        Wave("row", f"{MX}drain/write__addr", style="number", valid=f"{MX}drain/write__en"),
        "then",
        Wave("GEMM ends", COMPLETED, MATRIX),
        Wave("VX starts", STARTED, VX),
        Wave("VX reads the accumulators", f"{MX}drain/acc__enable"),
    )),
}  # fmt: skip


def values(path: Path, wanted: set[str]) -> dict[str, list[int]]:
    """Return each wanted signal's value in every cycle of the run, from its first on.

    Raises ValueError for a signal that is not there.
    """
    wanted = wanted | {RUNNING}
    with path.open() as file:
        names = _names(file, wanted)
        if missing := wanted - {name for some in names.values() for name in some}:
            raise ValueError(f"{path} has no {min(missing)}")
        now, out = dict.fromkeys(wanted, 0), {name: [] for name in wanted}
        begin = time = None
        for line in file:
            if line.startswith("#"):
                if time is not None:
                    begin = time if begin is None else begin
                    _keep(out, now, time - begin)
                time = int(line[1:])
                continue
            value, _, code = line[1:].strip().partition(" ") if line[0] == "b" else (
                line[0], "", line[1:].strip(),
            )  # fmt: skip
            for name in names.get(code, ()):
                now[name] = int(value, 2)
    first = out[RUNNING].index(1)
    return {name: series[first:] for name, series in out.items()}


def _names(file: TextIO, wanted: set[str]) -> dict[str, list[str]]:
    """Read the declarations; return the wanted names by the short code they have in the file."""
    names: dict[str, list[str]] = {}
    scopes: list[str] = []
    for line in file:
        words = line.split()
        if words[:1] == ["$enddefinitions"]:
            break
        if words[:1] == ["$scope"]:
            scopes.append(words[2])
        elif words[:1] == ["$upscope"]:
            scopes.pop()
        elif words[:1] == ["$var"]:
            name = re.sub(r"\$\d+", "", "/".join([*scopes[1:], words[4]]))
            if name in wanted:
                names.setdefault(words[3], []).append(name)
    return names


def _keep(out: dict[str, list[int]], now: dict[str, int], half_cycles: int) -> None:
    """Note the values at the end of a cycle's first half: it is the even one of the two."""
    cycle, half = divmod(half_cycles, 2)
    for name, series in out.items():
        if half == 0:
            before = series[-1] if series else now[name]
            series += [before] * (cycle - len(series)) + [now[name]]


def draw(picture: Picture, samples: dict[str, list[int]]) -> str:
    """Return the SVG."""
    width = NAME_PX + (picture.end - picture.first) * picture.cycle_px + 12
    height = ROW_PX * (len(picture.rows) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
        f'viewBox="0 0 {width:.0f} {height}" font-family="monospace" font-size="11" fill="{INK}">',
        f'<rect width="{width:.0f}" height="{height}" fill="white"/>',
        *_grid(picture, height),
    ]
    for i, row in enumerate(picture.rows, 1):
        base = i * ROW_PX + HIGH_PX + 4
        if isinstance(row, str):
            parts.append(f'<text x="8" y="{base - 2}" fill="{TITLE}">{escape(row)}</text>')
            continue
        parts.append(f'<text x="16" y="{base - 4}">{escape(row.label)}</text>')
        series = _series(row, samples)[picture.first : picture.end]
        parts += (_line if row.style == "bit" else _boxes)(picture, row, series, base)
    return "\n".join([*parts, "</svg>\n"])


def _series(row: Wave, samples: dict[str, list[int]]) -> list[int]:
    series = samples[row.signal]
    if row.style == "bit":
        return [value >> row.bit & 1 for value in series]
    if row.valid:
        return [v if ok else -1 for v, ok in zip(series, samples[row.valid], strict=True)]
    return series


def _grid(picture: Picture, height: int) -> Iterator[str]:
    yield f'<text x="8" y="18" fill="{TITLE}">cycle</text>'
    for cycle in range(picture.first, picture.end):
        if cycle % picture.label_every == 0:
            x = NAME_PX + (cycle - picture.first) * picture.cycle_px
            yield f'<path d="M{x:.1f} 22V{height}" stroke="{GRID}"/>'
            yield f'<text x="{x + 2:.1f}" y="18" fill="{TITLE}">{cycle}</text>'


def _line(picture: Picture, row: Wave, series: list[int], base: int) -> Iterator[str]:
    """Draw a bit: up for 1."""
    path, level = f"M{NAME_PX} {base - HIGH_PX * series[0]}", series[0]
    for i, value in enumerate(series):
        if value != level:
            path += f"H{NAME_PX + i * picture.cycle_px:.1f}V{base - HIGH_PX * value}"
            level = value
    end = NAME_PX + len(series) * picture.cycle_px
    yield f'<path d="{path}H{end:.1f}" fill="none" stroke="{INK}" stroke-width="1.2"/>'


def _boxes(picture: Picture, row: Wave, series: list[int], base: int) -> Iterator[str]:
    """Draw a box for every run of one value, with the value where there is room."""
    starts = [i for i in range(len(series)) if i == 0 or series[i] != series[i - 1]]
    for start, end in zip(starts, [*starts[1:], len(series)], strict=True):
        text = _text(row, series[start])
        x, wide = NAME_PX + start * picture.cycle_px, (end - start) * picture.cycle_px
        if not text:
            yield f'<path d="M{x:.1f} {base}h{wide:.1f}" stroke="{INK}" stroke-width="1.2"/>'
            continue
        yield (
            f'<rect x="{x:.1f}" y="{base - HIGH_PX}" width="{wide:.1f}" height="{HIGH_PX}" '
            f'fill="{BOX}" stroke="{INK}" stroke-width="0.8"/>'
        )
        if CHARACTER_PX * len(text) + 2 <= wide:
            yield f'<text x="{x + 3:.1f}" y="{base - 4}" font-size="10">{text}</text>'


def _text(row: Wave, value: int) -> str:
    if row.style == "state":
        return State(value).name.lower() if value else ""  # idle is not drawn
    if row.style == "lowest":
        return str((value & -value).bit_length() - 1) if value else ""
    return "" if value < 0 else str(value)


def pictures(wave: Path) -> dict[str, str]:
    """Return every picture by its file's name."""
    rows = [row for p in PICTURES.values() for row in p.rows if isinstance(row, Wave)]
    samples = values(wave, {name for row in rows for name in (row.signal, row.valid) if name})
    return {name: draw(picture, samples) for name, picture in PICTURES.items()}


def main() -> None:
    from shown import refreshed  # beside this script

    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(refreshed(PAGE.read_text("utf-8"), Path(folder)), "utf-8")
        for name, text in pictures(Path(folder) / "wave.vcd").items():
            (IMAGES / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
