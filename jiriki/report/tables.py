"""Profiles as tables, for a terminal and for Markdown.

Concept: each table is told once, as a `Sheet` of text; rich and Markdown are two ways to print it.
In: Profiles. Out: Sheets, rich tables, Markdown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jiriki.cost.energy import EnergyEstimate
from jiriki.products.figure import Figure
from jiriki.program import UnitCounters
from jiriki.report.profile import LayerRow, Profile
from jiriki.report.quantities import (
    count,
    data,
    joules,
    percent,
    rate,
    seconds,
    spread,
    watts,
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of text. A column whose head starts with `>` is a column of numbers."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def summary_sheet(profiles: Sequence[Profile]) -> Sheet:
    """Put chips side by side: one column a chip."""
    heads = ("", *(f">{p.chip.name}" for p in profiles))
    rows = (
        ("cycles", *(f"{p.cycles:,}" for p in profiles)),
        ("latency", *(seconds(p.latency_s) for p in profiles)),
        ("clock", *(rate(p.chip.clock_hz) for p in profiles)),
        ("multiply-accumulates", *(count(p.macs) for p in profiles)),
        ("MAC/cycle of the chip", *(f"{p.chip.macs_per_cycle}" for p in profiles)),
        ("utilisation", *(percent(p.utilisation) for p in profiles)),
        ("DRAM read", *(data(p.dram_read_bytes) for p in profiles)),
        ("DRAM written", *(data(p.dram_write_bytes) for p in profiles)),
        ("DRAM port in use", *(percent(p.dram_share) for p in profiles)),
        *_energy_rows(profiles),
    )
    return Sheet(profiles[0].model, heads, rows)


def _energy_rows(profiles: Sequence[Profile]) -> tuple[tuple[str, ...], ...]:
    estimates = [p.energy for p in profiles if p.energy]
    if len(estimates) < len(profiles):
        return ()
    process = ", ".join(dict.fromkeys(f"{e.process}, {e.dram_kind}" for e in estimates))
    return (
        (f"energy, estimate ({process})", *(energy_text(e.total) for e in estimates)),
        ("average power, estimate", *(power_text(e.power) for e in estimates)),
    )


def energy_text(figure: Figure) -> str:
    """Return joules with their range."""
    return spread(*(joules(end) for end in (figure.low, figure.base, figure.high)))


def power_text(figure: Figure) -> str:
    """Return watts with their range."""
    return spread(*(watts(end) for end in (figure.low, figure.base, figure.high)))


def energy_sheet(energy: EnergyEstimate) -> Sheet:
    """Say what spends an inference's energy."""
    total = energy.total.base
    ranked = sorted(energy.parts.items(), key=lambda item: -item[1].base)
    rows = tuple((name, energy_text(part), percent(part.base / total)) for name, part in ranked)
    title = f"energy of one inference, estimate at {energy.process} with {energy.dram_kind}"
    return Sheet(title, ("part", ">energy", ">share"), rows)


def units_sheet(profile: Profile) -> Sheet:
    """Say where every unit's cycles went; busy + starved + blocked = the run's cycles."""
    rows = tuple(_unit_row(name, unit, profile.cycles) for name, unit in profile.units.items())
    heads = ("unit", ">busy", ">starved", ">blocked", "waiting for")
    return Sheet(f"units of {profile.chip.name}", heads, rows)


def _unit_row(name: str, unit: UnitCounters, cycles: int) -> tuple[str, ...]:
    shares = (percent(n / cycles) for n in (unit.busy, unit.starved, unit.blocked))
    ranked = sorted(unit.reasons.items(), key=lambda item: -item[1])
    why = ", ".join(f"{reason} {percent(n / cycles)}" for reason, n in ranked if n)
    return (name, *shares, why)


def layers_sheet(
    title: str, layers: Sequence[LayerRow], cycles: int, energy: EnergyEstimate | None = None
) -> Sheet:
    """List layers, each with its span's share of the whole run."""
    heads = ("layer", "op", ">MAC", ">cycles", ">of run", ">utilisation", ">DRAM")
    spent = energy.layers if energy else {}
    rows = tuple(
        (
            row.name, row.op, count(row.macs), f"{row.cycles:,}",
            percent(row.cycles / cycles), percent(row.utilisation), data(row.dram_bytes),
            *((joules(spent[row.name].base),) if row.name in spent else ()),
        )
        for row in layers
    )  # fmt: skip
    return Sheet(title, (*heads, ">energy") if spent else heads, rows)


def rich_table(sheet: Sheet) -> RenderableType:
    """Return the sheet for a terminal. Names are text: markup in them is not interpreted."""
    table = Table(
        box=SIMPLE_HEAD,
        show_header=any(head.lstrip(">") for head in sheet.heads),
        header_style="bold",
    )
    for head in sheet.heads:
        right = head.startswith(">")
        table.add_column(Text(head.lstrip(">")), justify="right" if right else "left")
    for row in sheet.rows:
        table.add_row(*(Text(cell) for cell in row))
    return Group(Text(sheet.title, style="bold"), table)


def markdown(sheet: Sheet) -> str:
    """Return the sheet as a Markdown table."""
    rule = ("--:" if head.startswith(">") else "---" for head in sheet.heads)
    lines = [
        _markdown_row(head.lstrip(">") for head in sheet.heads),
        "|" + "|".join(rule) + "|",
        *(_markdown_row(row) for row in sheet.rows),
    ]
    return "\n".join(lines) + "\n"


def _markdown_row(cells: Iterable[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(escaped) + " |"
