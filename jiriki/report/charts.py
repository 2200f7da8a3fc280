"""The charts of a profile: roofline, cycles of each layer, where every unit's time goes.

In: Profiles. Out: Plotly figures. Colours: busy is blue, starved warm, blocked grey, everywhere.
"""

from collections.abc import Sequence

import plotly.graph_objects as go

from jiriki.report.profile import LayerRow, Profile
from jiriki.report.quantities import count, data, percent

BUSY = "#2f6fb5"
STARVED = ("#f2a541", "#e4572e", "#b23a48", "#f7d08a")
BLOCKED = ("#6b7280", "#9ca3af", "#4b5563", "#c4c9d2", "#8d99ae")
STARVED_REASONS = ("instruction", "semaphore", "data")
BAR_HEIGHT_PX = 18


def roofline(profile: Profile) -> go.Figure:
    """Plot layers by MAC per DRAM byte and MAC per cycle, under the chip's two roofs."""
    chip = profile.chip
    rows = [row for row in profile.layers if row.macs]
    figure = go.Figure()
    at_ridge = chip.macs_per_cycle / chip.dram_bytes_per_cycle
    known = [_intensity(row) for row in rows if row.dram_bytes]
    low, high = min([at_ridge / 16, *known]) / 2, max([at_ridge * 16, *known]) * 2
    figure.add_scatter(
        x=[low, at_ridge, high],
        y=[low * chip.dram_bytes_per_cycle, chip.macs_per_cycle, chip.macs_per_cycle],
        mode="lines", line={"color": "#1d2129"}, name="roof",
        hovertemplate="%{x:.3g} MAC/B: at most %{y:.4g} MAC/cycle<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[min(_intensity(row), high) for row in rows],
        y=[row.macs / row.cycles for row in rows],
        mode="markers", name="layers",
        marker={"color": BUSY, "size": [_dot(row, profile) for row in rows], "opacity": 0.7},
        text=[_hover(row) for row in rows], hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(type="log", title="MAC per byte over the DRAM port")
    figure.update_yaxes(type="log", title="MAC per cycle")
    return _titled(figure, f"Roofline of {chip.name}: {len(rows)} layers with products", 460)


def _intensity(row: LayerRow) -> float:
    return row.macs / row.dram_bytes if row.dram_bytes else float("inf")


def _dot(row: LayerRow, profile: Profile) -> float:
    """Return a marker's diameter: its area is the layer's share of the run."""
    return 6 + 60 * (row.cycles / profile.cycles) ** 0.5


def _hover(row: LayerRow) -> str:
    return (
        f"{_label(row.name)} ({_safe(row.op)})<br>{row.cycles:,} cycles, {count(row.macs)} MAC, "
        f"{percent(row.utilisation)}, {data(row.dram_bytes)}"
    )


def _safe(text: str) -> str:
    """Take the meaning away from what a chart would read as a tag."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _label(layer: str) -> str:
    return _safe(layer)


def layer_cycles(profiles: Sequence[Profile]) -> go.Figure:
    """Plot every layer's cycles in program order, one bar a chip, coloured by utilisation."""
    figure = go.Figure()
    names = list(dict.fromkeys(row.name for p in profiles for row in p.layers))
    for profile in profiles:
        figure.add_bar(
            y=[_label(row.name) for row in profile.layers],
            x=[row.cycles for row in profile.layers],
            orientation="h", name=profile.chip.name,
            text=[_hover(row) for row in profile.layers], textposition="none",
            hovertemplate=f"{profile.chip.name}: %{{text}}<extra></extra>",
            marker=_by_utilisation(profile) if len(profiles) == 1 else None,
        )  # fmt: skip
    order = [_label(name) for name in names]
    figure.update_yaxes(categoryorder="array", categoryarray=order[::-1], automargin=True)
    figure.update_xaxes(title="cycles", side="top")
    height = 140 + BAR_HEIGHT_PX * max(1, len(names)) * (1 if len(profiles) == 1 else 2)
    return _titled(figure, "Cycles of each layer", height)


def _by_utilisation(profile: Profile) -> dict[str, object]:
    return {
        "color": [100 * row.utilisation for row in profile.layers],
        "colorscale": "RdYlBu", "cmin": 0, "cmax": 100,
        "colorbar": {"title": {"text": "utilisation, %"}},
    }  # fmt: skip


def where_time_goes(profile: Profile) -> go.Figure:
    """Stack every unit's cycles: busy, then what it starved for, then what blocked it."""
    figure = go.Figure()
    units = list(profile.units)
    _add_stack(figure, profile, "busy", [profile.units[u].busy for u in units], BUSY)
    reasons = list(dict.fromkeys(r for u in units for r in profile.units[u].reasons))
    starved = [r for r in reasons if r in STARVED_REASONS]
    blocked = [r for r in reasons if r not in STARVED_REASONS]
    for kind, named, colours in (("starved", starved, STARVED), ("blocked", blocked, BLOCKED)):
        for index, reason in enumerate(named):
            cycles = [profile.units[u].reasons.get(reason, 0) for u in units]
            colour = colours[index % len(colours)]
            _add_stack(figure, profile, f"{kind}: {reason}", cycles, colour)
    figure.update_layout(barmode="stack", legend_traceorder="normal")
    figure.update_xaxes(title="share of the run, %", range=[0, 100])
    figure.update_yaxes(autorange="reversed")
    return _titled(figure, f"Where time goes on {profile.chip.name}", 180 + 40 * len(units))


def _add_stack(
    figure: go.Figure, profile: Profile, name: str, cycles: Sequence[int], colour: str
) -> None:
    figure.add_bar(
        y=list(profile.units), x=[100 * n / profile.cycles for n in cycles], orientation="h",
        name=name, marker={"color": colour}, customdata=[f"{n:,}" for n in cycles],
        hovertemplate=f"%{{y}} {name}: %{{customdata}} cycles, %{{x:.1f}} %<extra></extra>",
    )  # fmt: skip


def _titled(figure: go.Figure, title: str, height: int) -> go.Figure:
    figure.update_layout(
        title={"text": title}, height=height, template="plotly_white",
        margin={"l": 70, "r": 30, "t": 70, "b": 50},
    )  # fmt: skip
    return figure
