"""A Comparison as one self-contained HTML page.

In: a Comparison. Out: the page's text. Colours say the same thing in every chart: blue predicted,
black published, orange ours; a hollow point calibrated the engine.
"""

from html import escape

import plotly.graph_objects as go

from jiriki.export_control import known_text
from jiriki.export_control.classify import DISCLAIMER
from jiriki.plan.compare.compare import Comparison, Row
from jiriki.plan.compare.tables import (
    COST_BASIS,
    ENERGY_BASIS,
    checks_sheet,
    economy_sheet,
    figures,
    missing_sheet,
    result_sheet,
    sourcing_sheet,
    summary,
)
from jiriki.predict.calibrate import Check
from jiriki.report.html import chart, document, table

PREDICTED, OURS, PUBLISHED = "#2f6fb5", "#e07b28", "#1d2129"
BOUNDS = {
    "compute": "#2f6fb5", "memory": "#f2a541", "capacity": "#e4572e", "link": "#b23a48",
    "launch": "#6b7280", "request": "#9ca3af",
}  # fmt: skip
BAR_PX = 24


def compare_page(comparison: Comparison) -> str:
    """Return the page."""
    shown = [row for row in comparison.rows if row.prediction]
    parts = [table(result_sheet(comparison)), table(economy_sheet(comparison))]
    missing = missing_sheet(comparison)
    if missing:
        parts.append(f"<h2>{escape(missing.title.capitalize())}</h2>{table(missing)}")
    if shown:
        parts.append(f"<h2>Throughput</h2>{chart(throughput(comparison, shown))}")
        parts.append(f"<h2>What limits each chip</h2>{chart(efficiency(shown))}")
        parts.append(f"<h2>Roofline</h2>{chart(roofline(comparison, shown))}")
    if comparison.checks:
        parts.append(f"<h2>Predicted against published</h2>{chart(validation(comparison))}")
        parts.append(
            f"<details><summary>Every entry</summary>{table(checks_sheet(comparison))}</details>"
        )
    energetic = [row for row in shown if row.energy_j is not None]
    if energetic:
        parts.append(f"<h2>Energy</h2>{chart(energy(comparison, energetic))}")
        parts.append(f'<p class="lead">{escape(ENERGY_BASIS.capitalize())}.</p>')
    priced = [row for row in shown if row.cost]
    if priced:
        parts.append(f"<h2>Cost</h2>{chart(cost(comparison, priced))}")
        parts.append(f'<p class="lead">{escape(COST_BASIS.capitalize())} (pale).</p>')
    parts.append(f"<h2>Export class and sourcing</h2>{table(sourcing_sheet(comparison))}")
    parts.append(f'<p class="lead">{escape(f"{known_text()}; {DISCLAIMER}.")}</p>')
    title = f"{comparison.workload.name} on {len(comparison.rows)} chips"
    return document(
        title, f"{comparison.mode.capitalize()}, {comparison.on}. {summary(comparison)}", parts
    )


def throughput(comparison: Comparison, rows: list[Row]) -> go.Figure:
    """Plot predicted throughput with its range, published points beside."""
    figure = go.Figure()
    names = [row.product.id for row in rows]
    base = [row.prediction.per_s[1] for row in rows if row.prediction]
    figure.add_bar(
        y=names, x=base, orientation="h", name="predicted",
        marker={"color": [OURS if row.product.ours else PREDICTED for row in rows]},
        error_x={
            "type": "data", "symmetric": False, "color": "#8a94a6",
            "array": [r.prediction.per_s[2] - r.prediction.per_s[1] for r in rows if r.prediction],
            "arrayminus": [
                r.prediction.per_s[1] - r.prediction.per_s[0] for r in rows if r.prediction
            ],
        },
        hovertemplate="%{y}: %{x:,.4g}<extra>predicted</extra>",
    )  # fmt: skip
    known = [(row.product.id, row.published) for row in rows if row.published]
    figure.add_scatter(
        y=[id for id, _ in known], x=[r.per_s for _, r in known], mode="markers",
        name="published (hollow: calibrated the engine)",
        marker={
            "color": PUBLISHED, "size": 10, "line": {"width": 2, "color": PUBLISHED},
            "symbol": ["diamond-open" if r.calibration else "diamond" for _, r in known],
        },
        text=[f"{r.round}" for _, r in known],
        hovertemplate="%{y}: %{x:,.4g}, %{text}<extra>published</extra>",
    )  # fmt: skip
    figure.update_xaxes(type="log", title=f"{comparison.workload.unit} a second and chip")
    return _by_chip(figure, names)


def efficiency(rows: list[Row]) -> go.Figure:
    """Plot the share of the peak that each chip uses, coloured by what limits it."""
    figure = go.Figure()
    for bound, colour in BOUNDS.items():
        own = [row for row in rows if row.prediction and row.prediction.bound == bound]
        figure.add_bar(
            y=[row.product.id for row in own],
            x=[100 * row.prediction.utilisation for row in own if row.prediction],
            orientation="h", name=bound, marker={"color": colour},
            hovertemplate="%{y}: %{x:.1f} % of the peak<extra>" + bound + "</extra>",
        )  # fmt: skip
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="share of the peak in the weights' format, %", range=[0, 100])
    return _by_chip(figure, [row.product.id for row in rows])


def roofline(comparison: Comparison, rows: list[Row]) -> go.Figure:
    """Plot operations a second and chip against operations per byte that its memory can give."""
    figure = go.Figure()
    fitting = [row for row in rows if row.prediction and row.product.dram_bandwidth]
    balance, peaks, done, names = [], [], [], []
    for row in fitting:
        assert row.prediction and row.product.dram_bandwidth, "chosen above"
        peak = row.product.peak[row.prediction.weights_format].base
        balance.append(peak / row.product.dram_bandwidth.base)
        peaks.append(peak)
        done.append(row.prediction.utilisation * peak)
        names.append(row.product.id)
    for x, low, high in zip(balance, done, peaks, strict=True):
        figure.add_scatter(
            x=[x, x], y=[low, high], mode="lines", line={"color": "#c9ced6", "width": 2},
            showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    colours = [OURS if row.product.ours else PREDICTED for row in fitting]
    for label, ys, colour, symbol in (
        ("peak", peaks, "#8a94a6", "line-ew-open"),
        (f"used by {comparison.workload.id}", done, colours, "circle"),
    ):
        figure.add_scatter(
            x=balance, y=ys, text=names, name=label, mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 11, "line": {"width": 2}},
            hovertemplate="%{text}: %{y:.3g} op/s, %{x:.3g} op/byte<extra>" + label + "</extra>",
        )  # fmt: skip
    figure.update_xaxes(
        type="log", title="operations for each byte of memory bandwidth, at the peak"
    )
    figure.update_yaxes(type="log", title="operations a second and chip")
    return _sized(figure, 560)


def validation(comparison: Comparison) -> go.Figure:
    """Plot every published entry against its prediction, with a band of 20 %."""
    figure = go.Figure()
    values = [v for c in comparison.checks for v in (c.predicted[1], c.result.per_s)]
    ends = [min(values) / 1.5, max(values) * 1.5]
    figure.add_scatter(
        x=[*ends, *ends[::-1]], y=[1.2 * ends[0], 1.2 * ends[1], ends[1] / 1.2, ends[0] / 1.2],
        mode="lines", fill="toself", fillcolor="rgba(47,111,181,0.10)", line={"width": 0},
        name="within 20 %", hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": "#8a94a6", "dash": "dot"}, name="equal",
        hoverinfo="skip",
    )  # fmt: skip
    for name, calibration, symbol in (
        ("held out", False, "circle"),
        ("calibration", True, "circle-open"),
    ):
        own = [c for c in comparison.checks if c.result.calibration is calibration]
        figure.add_scatter(
            x=[c.result.per_s for c in own], y=[c.predicted[1] for c in own], mode="markers",
            name=name, text=[_entry(c) for c in own],
            marker={"symbol": symbol, "size": 10, "color": PREDICTED, "line": {"width": 2}},
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(type="log", title=f"published, {comparison.workload.unit} a second")
    figure.update_yaxes(type="log", title="predicted")
    return _sized(figure, 520)


def _entry(check: Check) -> str:
    r = check.result
    return f"{r.chip}, {r.mode}, {r.round}: {check.error:+.1%}"


def energy(comparison: Comparison, rows: list[Row]) -> go.Figure:
    """Plot joules of a unit at the power limit."""
    ordered = sorted(rows, key=lambda row: row.energy_j or 0.0)
    values = [row.energy_j or 0.0 for row in ordered]
    figure = go.Figure()
    figure.add_bar(
        y=[row.product.id for row in ordered], x=values, orientation="h",
        marker={"color": [OURS if row.product.ours else PREDICTED for row in ordered]},
        text=[figures(value) for value in values], textposition="outside",
        hovertemplate="%{y}: %{x:.3g} J<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(
        type="log", title=f"joules a {comparison.workload.unit.rstrip('s')}, at most"
    )
    return _by_chip(figure, [row.product.id for row in ordered])


def cost(comparison: Comparison, rows: list[Row]) -> go.Figure:
    """Plot USD of a million units with its range."""
    ordered = sorted(
        ((row.product, row.cost) for row in rows if row.cost), key=lambda pair: pair[1].base
    )
    figure = go.Figure()
    figure.add_bar(
        y=[chip.id for chip, _ in ordered], x=[paid.base for _, paid in ordered],
        orientation="h",
        marker={
            "color": [OURS if c.ours else PREDICTED for c, _ in ordered],
            "opacity": [1.0 if c.price else 0.45 for c, _ in ordered],
        },
        error_x={
            "type": "data", "symmetric": False, "color": "#8a94a6",
            "array": [paid.high - paid.base for _, paid in ordered],
            "arrayminus": [paid.base - paid.low for _, paid in ordered],
        },
        hovertemplate="%{y}: $%{x:.3g}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(type="log", title=f"USD a million {comparison.workload.unit}")
    return _by_chip(figure, [chip.id for chip, _ in ordered])


def _by_chip(figure: go.Figure, names: list[str]) -> go.Figure:
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], automargin=True)
    return _sized(figure, 140 + BAR_PX * max(3, len(names)))


def _sized(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        height=height, template="plotly_white", margin={"l": 70, "r": 30, "t": 50, "b": 50},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip
    return figure
