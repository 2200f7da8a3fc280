"""Writes docs/reference/synthesis.md, its picture, and what `jiriki/cost` checks its gates against.

In: `jiriki synth` for `CHIPS` on OSU 0.18 um cells and ECP5 (an hour; what is in the cache is not
made again). Out: the page, docs/images/synthesis.svg, cost/validate/synthesis.toml, the table of
ratios in docs/method-cost.md. `--check` only compares the parts with those that the page was made
from (minutes, no tool needed) and exits 1 when some have changed.
"""

from __future__ import annotations

import hashlib
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path

from jiriki.chip import ChipConfig, load_chip
from jiriki.cost.area import memory_area
from jiriki.cost.calibration import load_calibration
from jiriki.cost.inventory import Memory as Macros
from jiriki.cost.process import load_process
from jiriki.cost.validate.synthesis import PARTS, SRAM, checks, load_synthesis, stands_for
from jiriki.products.range import Range
from jiriki.report.quantities import rate
from jiriki.report.tables import Sheet, markdown
from jiriki.rtl.synthesis.table import Request, Row, memories, synthesise
from jiriki.rtl.synthesis.target import open_target
from jiriki.rtl.synthesis.units import Memory, parts

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "synthesis.md"
PICTURE = ROOT / "docs" / "images" / "synthesis.svg"
METHOD = ROOT / "docs" / "method-cost.md"
DATA = ROOT / "jiriki" / "cost" / "validate" / "synthesis.toml"
MARKS = ("<!-- made by docs/synthesis.py -->\n", "<!-- end -->\n")
CHIPS = ("nano", "e256")
PLACED = (  # parts of nano that are placed on ECP5; the crossbars take hours
    "mx.element", "mx.drain", "mx.walk", "mx.decode", "vx.alu_lane", "vx.function_lane", "vx.walk",
    "port", "front", "vx_front", "semaphores", "mailbox", "counter",
)  # fmt: skip
LIMIT_S = 1500.0
NODE = "14nm"  # of the macro table
SLOWEST = 5
MADE = "<!-- made by docs/synthesis.py; not by `make docs`, because it takes an hour -->\n"
INTRODUCTION = """# Synthesis

What the gates of a tile take in real cells: `jiriki synth --chip CHIP --target osu018` and
`jiriki synth --chip CHIP --target ecp5 --fmax` print the same numbers. `osu018` is the 0.18 µm
library of Oklahoma State University (Debian's `qflow-tech-osu018`); other libraries by `--liberty`.
ECP5 is an LFE5U-85F; parts of `nano` that have a clock there were placed and routed, out of
context, one seed.

**Logic only, before layout.** Memories stand in a table of their own. Wires of standard cells have
no length and the clock no tree; the library's typical corner. Cells are sized and large fan-outs
buffered. A clock is that of a part alone: paths that cross parts, or go through a memory, are not
in it, and those through parts that stand apart (lanes, elements) are in these. Pads, PLL, test and
the DRAM's controller and PHY are not there. NAND2 is the area of the library's smallest two-input
NAND, {gate_um2:.0f} µm².

Recorded on 2026-11-29 with `--liberty` and the libraries of OpenROAD-flow-scripts (commit 8c009b0),
which no package holds:

| part of `nano` | library | µm² | a multiply-accumulate | clock |
|---|---|--:|--:|--:|
| mx.element | IHP SG13G2, typical | 26,307 | 6,577 | 231 MHz |
| mx.element | ASAP7 RVT TT (predictive) | 209.5 | 52.4 | 1,626 MHz |
| vx.alu_lane | IHP SG13G2, typical | 65,636 | | 107 MHz |
| vx.alu_lane | ASAP7 RVT TT (predictive) | 517 | | 831 MHz |
"""


def rows_of(chip: ChipConfig, target: str) -> list[Row]:
    """Synthesise a chip, or take what the cache holds."""
    request = Request(chip, open_target(target), limit_s=LIMIT_S, jobs=1)
    tell = lambda name: print(chip.name, target, name, file=sys.stderr)  # noqa: E731
    rows = list(synthesise(request, tell))
    if target != "ecp5" or chip.name != CHIPS[0]:
        return rows
    return [_placed(request, row) if row.unit in PLACED else row for row in rows]


def _placed(request: Request, row: Row) -> Row:
    (placed,) = synthesise(replace(request, unit=row.unit, fmax=True))
    return placed


def content(chip: ChipConfig) -> dict[str, str]:
    """Return the hash of every part's gates."""
    return {p.name: hashlib.sha256(p.rtlil().encode()).hexdigest()[:16] for p in parts(chip)}


def data_file(rows: dict[str, list[Row]]) -> str:
    """Return synthesis.toml: gates and small memories a part, and the hash of its gates."""
    lines = [
        "# Written by docs/synthesis.py from `jiriki synth --target osu018`. gates: NAND2 of all",
        "# instances without memories; memory_bits: memories that are neither SRAM nor ROM.",
    ]
    for chip, chip_rows in rows.items():
        lines += ["", f"[chips.{chip}]"]
        for row in chip_rows:
            bits = 0 if row.unit in SRAM else sum(m.total_bits for m in row.memories if not m.rom)
            gates = row.instances * (row.gates or 0.0)
            lines.append(
                f'"{row.unit}" = {{ instances = {row.instances}, gates = {gates:.0f}, '
                f"memory_bits = {row.instances * bits} }}"
            )
        lines += ["", f"[content.{chip}]"]
        lines += [f'"{part}" = "{key}"' for part, key in content(load_chip(chip)).items()]
    return "\n".join(lines) + "\n"


def stale() -> list[str]:
    """Return the parts that changed since the page was made, as `chip part`."""
    known = tomllib.loads(DATA.read_text("utf-8"))["content"]
    now = {chip: content(load_chip(chip)) for chip in known}
    return [
        f"{chip} {part}"
        for chip in known
        for part in sorted(known[chip].keys() | now[chip].keys())
        if known[chip].get(part) != now[chip].get(part)
    ]


def page(cells: dict[str, list[Row]], placed: dict[str, list[Row]]) -> str:
    """Return the page."""
    gate_um2 = open_target("osu018").gate_um2 or 0.0
    out = [
        MADE,
        INTRODUCTION.format(gate_um2=gate_um2),
        f"\n![area](../images/{PICTURE.name})\n",
    ]
    for chip in CHIPS:
        out += [f"\n## {chip}\n\n", markdown(logic_sheet(cells[chip], placed[chip]))]
        out += [f"\n{note}\n" for note in notes(placed[chip])]
        if chip == CHIPS[0]:
            out.append(f"\n{array_note(load_chip(chip))}\n")
        out += [f"\nThe slowest {SLOWEST}, from register (osu018: or port) to register:\n\n"]
        out += [markdown(slow_sheet(cells[chip], placed[chip]))]
        out += ["\nMemories, which are in none of the above:\n\n"]
        out += [markdown(memory_sheet(memories(load_chip(chip), cells[chip])))]
    return "".join(out)


def logic_sheet(cells: list[Row], placed: list[Row]) -> Sheet:
    """Return a row a part: standard cells, then ECP5."""
    heads = (
        "part", ">instances", ">cells", ">µm²", ">NAND2", ">NAND2 of all", ">clock",
        ">LUT4", ">FF", ">DSP", ">block RAM", ">LUT RAM", ">clock on ECP5",
    )  # fmt: skip
    body = [
        (
            a.unit, f"{a.instances}", _number(a.cells), _number(a.area_um2), _number(a.gates),
            _number(_all(a, "gates")), _clock(a),
            *(_number(getattr(b, name)) for name in FPGA), _clock(b),
        )
        for a, b in zip(cells, placed, strict=True)
    ]  # fmt: skip
    cells_all, um2_all, gates_all = (_sum(cells, n) for n in ("cells", "area_um2", "gates"))
    last = (
        "all instances", "", cells_all, um2_all, "", gates_all, "",
        *(_sum(placed, name) for name in FPGA), "",
    )  # fmt: skip
    return Sheet("", heads, (*body, last))


FPGA = ("lut", "ff", "dsp", "block_ram", "lut_ram")


def _all(row: Row, name: str) -> float:
    return row.instances * (getattr(row, name) or 0)


def _sum(rows: list[Row], name: str) -> str:
    return _number(sum(_all(row, name) for row in rows))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _clock(row: Row) -> str:
    return rate(row.fmax_hz) if row.fmax_hz else ""


def notes(placed: list[Row]) -> Iterator[str]:
    """Say which parts have no clock on ECP5, and why."""
    why: dict[str, list[str]] = {}
    for row in placed:
        if row.note:
            why.setdefault(row.note, []).append(row.unit)
    yield from (f"{', '.join(units)}: {note}." for note, units in why.items())


def array_note(chip: ChipConfig) -> str:
    """Return the clock of the array with its elements inside."""
    asked = Request(chip, open_target("ecp5"), "mx.array", True, LIMIT_S, whole=True)
    (row,) = synthesise(asked)
    return (
        f"The whole array, elements inside (`--unit mx.array --whole`; {row.dsp} multipliers, "
        f"{row.lut:,} LUT4, {row.ff:,} FF): {_clock(row)} on ECP5."
    )


def slow_sheet(cells: list[Row], placed: list[Row]) -> Sheet:
    """Return the slowest parts of both targets."""
    timed = [row for row in (*cells, *placed) if row.fmax_hz]
    ranked = sorted(timed, key=lambda row: (row.target, row.fmax_hz))
    chosen = [
        row
        for target in ("osu018", "ecp5")
        for row in [row for row in ranked if row.target == target][:SLOWEST]
    ]
    body = tuple((row.target, row.unit, _clock(row), f"`{row.path}`") for row in chosen)
    return Sheet("", ("target", "part", ">clock", "path"), body)


def memory_sheet(macros: list[Memory]) -> Sheet:
    """Return the macro table: what a memory is made of, and its area at `NODE`."""
    heads = (
        "of", ">words", ">bits", "ports", "made of", ">instances", ">bits in all",
        f">mm² at {NODE}",
    )  # fmt: skip
    body = tuple(
        (
            m.part, f"{m.words:,}", f"{m.bits}", f"{m.reads} read, {m.writes} write", _kind(m),
            f"{m.instances}", f"{m.total_bits:,}", _macro_mm2(m),
        )
        for m in macros
    )  # fmt: skip
    every = sum(m.total_bits for m in macros)
    return Sheet("", heads, (*body, ("all", "", "", "", "", "", f"{every:,}", "")))


def _kind(memory: Memory) -> str:
    copies = f", {memory.reads} copies" if memory.reads > 1 else ""
    if memory.rom:
        return f"ROM{copies}"
    return f"SRAM{copies}" if memory.part in SRAM else "latches"


def _macro_mm2(memory: Memory) -> str:
    """Return the area by the macro model of `jiriki cost`; a port that reads has its own copy."""
    if memory.rom or memory.part not in SRAM:
        return ""
    macros = Macros(Range.exact(memory.instances * memory.reads), memory.words * memory.bits)
    area = memory_area(macros, load_process(NODE), load_calibration())
    return f"{area.base:.3f} ({area.low:.3f} to {area.high:.3f})"


def ratio_table(chip: str) -> str:
    """Return the table of ratios for docs/method-cost.md."""
    heads = ("unit", ">model, kNAND2", ">synthesised", ">of it memory", ">ratio")
    body = tuple(
        (
            check.unit, "{:.0f} ({:.0f} to {:.0f})".format(
                *(end / 1e3 for end in (check.model.base, check.model.low, check.model.high))
            ),
            f"{(check.logic + check.memory) / 1e3:.0f}", f"{check.memory / 1e3:.0f}",
            f"{check.ratio:.2f}",
        )
        for check in checks(load_chip(chip))
    )  # fmt: skip
    return markdown(Sheet("", heads, body))


def draw(cells: dict[str, list[Row]]) -> str:
    """Return the picture: a bar a chip of NAND2 equivalents, stacked by unit."""
    sums = {chip: _by_unit(rows) for chip, rows in cells.items()}
    wide, high, left, most = 860, 250, 60, max(sum(s.values()) for s in sums.values())
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12" fill="#1b1f24">',
        f'<rect width="{wide}" height="{high}" fill="white"/>',
        '<text x="8" y="20">Logic of a tile by unit, NAND2 equivalents (OSU 0.18 µm, pre-layout, '
        "without memories)</text>",
    ]
    scale = (wide - left - 110) / most
    for i, (chip, units) in enumerate(sums.items()):
        x, y = float(left), 40 + 60 * i
        out.append(f'<text x="8" y="{y + 25}">{chip}</text>')
        for unit, gates in units.items():
            out.append(_box(x, y, gates * scale, f"{unit} {gates / 1e3:,.0f} k", COLOURS[unit]))
            x += gates * scale
        out.append(f'<text x="{x + 6:.1f}" y="{y + 25}">{sum(units.values()) / 1e6:.2f} M</text>')
    out += _legend(left, 40 + 60 * len(sums) + 10)
    return "\n".join([*out, "</svg>\n"])


COLOURS = {
    "mx": "#0969da", "accumulators": "#80ccff", "crossbar": "#8c959f", "vx": "#bf3989",
    "dma": "#1a7f37", "sequencer": "#bf8700", "network": "#57606a",
}  # fmt: skip


def _by_unit(rows: list[Row]) -> dict[str, float]:
    return {
        unit: sum(_all(r, "gates") for r in rows if stands_for(r.unit, names))
        for unit, names in PARTS.items()
    }


def _box(x: float, y: float, wide: float, title: str, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="40" fill="{colour}" '
        f'stroke="white"><title>{escape(title)}</title></rect>'
    )


def _legend(left: int, y: int) -> Iterator[str]:
    for i, (unit, colour) in enumerate(COLOURS.items()):
        x = left + 105 * i
        yield f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{x + 17}" y="{y + 11}">{unit}</text>'


def main() -> int:
    """Write everything, or with --check name the parts that changed."""
    if "--check" in sys.argv:
        if changed := stale():
            print(f"changed: {', '.join(changed)}; run docs/synthesis.py", file=sys.stderr)
        return int(bool(changed))
    chips = {chip: load_chip(chip) for chip in CHIPS}
    cells = {name: rows_of(chip, "osu018") for name, chip in chips.items()}
    placed = {name: rows_of(chip, "ecp5") for name, chip in chips.items()}
    DATA.write_text(data_file(cells), "utf-8")
    load_synthesis.cache_clear()
    PAGE.write_text(page(cells, placed), "utf-8")
    PICTURE.write_text(draw(cells), "utf-8")
    before, rest = METHOD.read_text("utf-8").split(MARKS[0])
    table = "".join(f"`{chip}`:\n\n{ratio_table(chip)}\n" for chip in CHIPS)
    METHOD.write_text(f"{before}{MARKS[0]}{table}{MARKS[1]}{rest.split(MARKS[1])[1]}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
