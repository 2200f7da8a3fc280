"""A sweep as tables and as a page: the Pareto front, what was refused, one picture.

In: rows. Out: Sheets; the page's text.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from jiriki.plan.sweep.measure import Row, pareto_front
from jiriki.report.charts import Line, Plane, Point
from jiriki.report.html import Key, cards, document, figure, folded, section, table
from jiriki.report.origin import Origin
from jiriki.report.quantities import data, joules, percent, seconds
from jiriki.report.svg import log_axis
from jiriki.report.tables import Sheet

CAPTION = (
    "No chip is both faster and smaller than those on the line; a filled mark is beaten by none "
    "once energy counts too. Area and energy are estimates; their ranges are in the table."
)


def rows_sheet(title: str, rows: Sequence[Row]) -> Sheet:
    """List chips by their varied values with their figures."""
    names = tuple(rows[0].values) if rows else ()
    heads = (*names, ">cycles", ">latency", ">utilisation", ">DRAM", ">mm2", ">energy")
    return Sheet(title, heads, tuple(_cells(row) for row in rows))


def _cells(row: Row) -> tuple[str, ...]:
    low, base, high = row.area_mm2
    least, energy, most = map(joules, row.energy_j)
    return (
        *map(str, row.values.values()), f"{row.cycles:,}", seconds(row.latency_s),
        percent(row.utilisation), data(row.dram_bytes), f"{base:.3g} ({low:.3g} to {high:.3g})",
        f"{energy} ({least} to {most})",
    )  # fmt: skip


def refused_sheet(rows: Sequence[Row]) -> Sheet | None:
    """List the rules that combinations broke; None when none did."""
    rules = Counter(row.refused for row in rows if row.refused)
    if not rules:
        return None
    title = f"{rules.total()} combinations refused"
    counts = tuple((rule, f"{number}") for rule, number in rules.most_common())
    return Sheet(title, ("rule", ">combinations"), counts)


def sweep_page(model: str, process: str, rows: Sequence[Row], origin: Origin) -> str:
    """Return the page."""
    front = pareto_front(rows)
    good = [row for row in rows if not row.refused]
    refused = refused_sheet(rows)
    figures = [
        ("measured", f"{len(good)}", f"of {len(rows)} combinations"),
        ("on the front", f"{len(front)}", "beaten by none in all three aims"),
    ]
    parts = [section("What was measured", cards(figures))]
    if front:
        picture = figure("Area against latency", _plane(good, front), CAPTION, (
            Key("on the Pareto front", "ink", "dot"), Key("beaten", "muted", "hollow"),
        ))  # fmt: skip
        remark = f"Estimates at {process}, base (low to high)."
        sheet = rows_sheet("chips on the front, fastest first", front)
        parts.append(section("The front", picture, table(sheet, remark)))
        parts.append(section("All chips", folded(rows_sheet("all that was measured", good))))
    if refused:
        parts.append(section("Refused", table(refused)))
    lead = f"{model} on {len(rows)} chips: cycles, area and energy of each."
    return document(f"Sweep of {model}", lead, parts, origin)


def _plane(good: Sequence[Row], front: Sequence[Row]) -> Plane:
    best = {id(row) for row in front}
    points = tuple(
        Point(
            row.latency_s, row.aim("area_mm2"), "ink" if id(row) in best else "muted", _said(row),
            ", ".join(map(str, row.values.values())) if id(row) in best else "",
            hollow=id(row) not in best,
        )
        for row in good
    )  # fmt: skip
    steps = _smaller_and_smaller(front)
    return Plane(
        "Area against latency of every chip of the sweep",
        replace(log_axis("latency", [row.latency_s for row in good]), label=seconds),
        log_axis("area, mm2", [row.aim("area_mm2") for row in good]),
        points,
        (Line(steps, "ink"),) if len(steps) > 1 else (),
    )


def _smaller_and_smaller(front: Sequence[Row]) -> tuple[tuple[float, float], ...]:
    """Return the points of the front of latency and area alone, fastest first."""
    steps: list[tuple[float, float]] = []
    for latency_s, area in sorted((row.latency_s, row.aim("area_mm2")) for row in front):
        if not steps or area < steps[-1][1]:
            steps.append((latency_s, area))
    return tuple(steps)


def _said(row: Row) -> str:
    spent = joules(row.aim("energy_j"))
    return f"{_values(row)}: {seconds(row.latency_s)}, {row.aim('area_mm2'):.3g} mm2, {spent}"


def _values(row: Row) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.values.items())
