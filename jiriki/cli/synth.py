"""`jiriki synth`: the parts of a tile in cells of a real technology.

In: a chip, a target. Out: a row a part and the sum of its instances; memories apart. Every number
is of logic only, before layout, and says so.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from jiriki.chip import load_chip
from jiriki.cli.extras import need_extra
from jiriki.cli.screen import Screen
from jiriki.models import DEFAULT_CHIP
from jiriki.report.quantities import rate
from jiriki.report.tables import Sheet, rich_table

if TYPE_CHECKING:
    from jiriki.rtl.synthesis.table import Row
    from jiriki.rtl.synthesis.units import Memory

FPGA_COLUMNS = ("lut", "ff", "carry", "dsp", "block_ram", "lut_ram")


@dataclass(frozen=True)
class Request:
    """The arguments of the command."""

    chip: str | None
    target: str | None
    liberty: tuple[Path, ...] = ()
    unit: str | None = None
    fmax: bool = False
    limit_s: float = 1800.0
    jobs: int = 2
    whole: bool = False


def synth(request: Request, as_json: bool) -> None:
    """Synthesise and print."""
    screen = Screen("synth", as_json)
    need_extra("synth")
    from jiriki.rtl.synthesis import table
    from jiriki.rtl.synthesis.target import open_target

    target = open_target(request.target, request.liberty)
    chip = load_chip(request.chip or DEFAULT_CHIP)
    asked = table.Request(
        chip, target, request.unit, request.fmax, request.limit_s, request.jobs, request.whole
    )  # fmt: skip
    began, rows = perf_counter(), []
    with screen.progress(f"synthesis for {target.name}", len(table.chosen(asked)), "parts") as done:
        for row in table.synthesise(asked):
            rows.append(row)
            done(len(rows))
    memories = table.memories(chip, rows)
    payload = {
        "chip": chip.name,
        "target": target.name,
        "caution": table.CAUTION,
        "rows": [_row(row) for row in rows],
        "total": total(rows),
        "memories": [asdict(memory) | {"total_bits": memory.total_bits} for memory in memories],
        "wall_s": perf_counter() - began,
    }
    title = f"{chip.name} on {target.name} ({table.CAUTION})"
    screen.result(payload, lambda: _tables(title, rows, memories, target.is_fpga))


def _row(row: "Row") -> dict[str, Any]:
    """Return what a row says, without what its target does not have."""
    known = {k: v for k, v in asdict(row).items() if v is not None and k != "memories"}
    return known | {"fmax_hz": row.fmax_hz}


def total(rows: Iterable["Row"]) -> dict[str, float]:
    """Return the sums over all instances of what every row has."""
    rows, out = list(rows), {}
    for name in ("cells", "area_um2", "gates", *FPGA_COLUMNS):
        values = [getattr(row, name) for row in rows]
        if None not in values:
            out[name] = sum(v * r.instances for v, r in zip(values, rows, strict=True))
    return out


def _tables(
    title: str, rows: list["Row"], memories: list["Memory"], fpga: bool
) -> Iterable[RenderableType]:
    yield rich_table(logic_sheet(title, rows, fpga))
    yield rich_table(memory_sheet(memories))
    for row in rows:
        if row.note:
            yield f"{row.unit}: {row.note}"


def logic_sheet(title: str, rows: list["Row"], fpga: bool) -> Sheet:
    """Return the table of parts, with a last row of sums over instances."""
    columns = FPGA_COLUMNS if fpga else ("cells", "area_um2", "gates")
    heads = ("part", ">instances", *(f">{name}" for name in columns), ">clock", "what it is")
    body = [
        (
            row.unit, f"{row.instances}", *(_number(getattr(row, name)) for name in columns),
            rate(row.fmax_hz) if row.fmax_hz else "", row.what,
        )
        for row in rows
    ]  # fmt: skip
    sums = total(rows)
    last = ("all instances", "", *(_number(sums.get(name)) for name in columns), "", "")
    return Sheet(title, heads, (*body, last))


def memory_sheet(memories: list["Memory"]) -> Sheet:
    """Return the table of memories, which are no part of the logic."""
    heads = ("memories of", ">words", ">bits", "ports", "kind", ">instances", ">bits in all")
    body = tuple(
        (
            m.part, f"{m.words}", f"{m.bits}", f"{m.reads} read, {m.writes} write",
            "rom" if m.rom else "clocked" if m.clocked else "read at once",
            f"{m.instances}", f"{m.total_bits:,}",
        )
        for m in memories
    )  # fmt: skip
    every = sum(m.total_bits for m in memories)
    return Sheet("memories", heads, (*body, ("all", "", "", "", "", "", f"{every:,}")))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
