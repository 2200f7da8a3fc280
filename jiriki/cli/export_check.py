"""`jiriki export-check`: the class of a chip under the export rules of a day.

In: a chip's id or TOML, a day, a destination. Out: class, deciding number, margins and sources, as
text or JSON.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from typing import Any

from rich.console import RenderableType

from jiriki.cli.screen import Screen
from jiriki.export_control import ExportResult, export_check, known_text
from jiriki.export_control.classify import DISCLAIMER, PLANAR
from jiriki.export_control.wording import show
from jiriki.products.figure import Figure, read_date
from jiriki.products.product import load_product
from jiriki.report.tables import Sheet, rich_table


def check(chip: str, on: str | None, to: str, as_json: bool) -> None:
    """Print the class of `chip`, bound for `to`, under the rules of the day `on` (None: today)."""
    day = date.today() if on is None else read_date(on, "--on")
    result = export_check(load_product(chip), day, to=to)
    Screen("export-check", as_json).result(_payload(result), lambda: _page(result))


def _payload(result: ExportResult) -> dict[str, Any]:
    density = result.performance_density
    return {
        "chip": result.chip,
        "on": result.on.isoformat(),
        "to": result.to,
        "rules_known_until": result.known_until.isoformat(),
        "rules": known_text(),
        "class": result.cls,
        "classes": list(result.classes),
        "decided_by": result.decided_by,
        "tpp": result.tpp.base,
        "tpp_range": [result.tpp.low, result.tpp.high],
        "performance_density": PLANAR if result.planar else density and density.base,
        "performance_density_range": density and [density.low, density.high],
        "margins": {margin.name: asdict(margin) for margin in result.margins},
        "findings": [asdict(finding) for finding in result.findings],
        "notes": list(result.notes),
        "sources": list(result.sources),
        "disclaimer": DISCLAIMER,
    }


def _page(result: ExportResult) -> Iterable[RenderableType]:
    yield f"{result.chip} on {result.on}, bound for {result.to}: {result.cls}"
    yield f"  {result.decided_by}"
    yield f"  TPP {_figure(result.tpp)}, performance density {_density(result)}"
    for note in result.notes:
        yield f"  note: {note}"
    rows = tuple((f.topic, " or ".join(f.results), f.decided_by) for f in result.findings)
    yield rich_table(Sheet("what the rules of that day say", ("topic", "result", "because"), rows))
    yield rich_table(_margins(result))
    yield "rules and their sources"
    for finding in result.findings:
        yield f"  {finding.rule}: {finding.title}" + (f"; {finding.note}" if finding.note else "")
        yield f"    {finding.source}"
    yield f"{known_text()}."
    yield f"This is arithmetic on published rules, {DISCLAIMER}."


def _margins(result: ExportResult) -> Sheet:
    rows = tuple(
        (
            m.rule,
            m.name,
            show(m.quantity, m.limit),
            "not known" if m.value is None else show(m.quantity, m.value),
            "not known" if m.margin is None else show(m.quantity, m.margin),
        )
        for m in result.margins
    )
    heads = ("rule", "limit of", ">limit", ">chip", ">below it by")
    return Sheet("margins (negative: beyond the limit)", heads, rows)


def _density(result: ExportResult) -> str:
    if result.planar:
        return PLANAR
    density = result.performance_density
    return "not known: no die area" if density is None else _figure(density)


def _figure(figure: Figure) -> str:
    pattern = ",.0f" if figure.high >= 100 else ".2f"
    low, base, high = (format(v, pattern) for v in (figure.low, figure.base, figure.high))
    return base if low == high else f"{base} ({low} to {high})"
