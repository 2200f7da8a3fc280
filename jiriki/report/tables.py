"""Profiles as tables, for a terminal and for Markdown.

Concept: each table is told once, as a `Sheet` of text; rich and Markdown are two ways to print it.
In: Profiles. Out: Sheets, rich tables, Markdown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
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
from jiriki.report.table_layout import Block, broken, layout


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


def spans_note(profile: Profile) -> str:
    """Say that the spans of layers overlap, where they do; "" where they do not."""
    share = sum(row.cycles for row in profile.layers) / profile.cycles
    if share <= 1:
        return ""
    return (
        f"Layers overlap: each span runs from a layer's first work to its last, and all "
        f"{len(profile.layers)} together take {percent(share)} of the run."
    )


@dataclass(frozen=True, slots=True)
class TerminalTable:
    """A sheet as a terminal of any width shows it. Names are text: no markup is interpreted."""

    sheet: Sheet

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title, then the table in as many blocks as the width needs."""
        yield Text(self.sheet.title, style="bold")
        blocks = layout(self.sheet.heads, self.sheet.rows, options.max_width)
        if blocks is None:
            yield from _records(self.sheet)
            return
        for block in blocks:
            yield _block_table(self.sheet, block)


def rich_table(sheet: Sheet) -> TerminalTable:
    """Return the sheet for a terminal."""
    return TerminalTable(sheet)


def _block_table(sheet: Sheet, block: Block) -> Table:
    titled = any(head.lstrip(">") for head in sheet.heads)
    table = Table(box=SIMPLE_HEAD, show_header=titled, header_style="bold")
    for i, width in zip(block.columns, block.widths, strict=True):
        head = sheet.heads[i]
        justify = "right" if head.startswith(">") else "left"
        table.add_column(Text(head.lstrip(">")), justify=justify, width=width, overflow="fold")
    for row in sheet.rows:
        cells = zip(block.columns, block.widths, strict=True)
        table.add_row(*(Text(broken(row[i], width)) for i, width in cells))
    return table


def _records(sheet: Sheet) -> Iterable[RenderableType]:
    """Yield each row as a list of its fields."""
    for row in sheet.rows:
        table = Table.grid(padding=(0, 2))
        table.add_column(overflow="fold", ratio=1)
        table.add_column(overflow="fold", ratio=2)
        for head, cell in zip(sheet.heads, row, strict=True):
            if cell:
                table.add_row(Text("  " + head.lstrip(">"), style="bold"), Text(cell))
        yield table
        yield ""


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
