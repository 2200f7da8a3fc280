"""Profiles as one self-contained HTML page: it opens without a network.

In: Profiles of one model, one a chip. Out: the page's text, Plotly's own script inside it.
"""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from jiriki.cost.energy import EnergyEstimate
from jiriki.report.charts import layer_cycles, roofline, where_time_goes
from jiriki.report.profile import Profile
from jiriki.report.quantities import percent, seconds
from jiriki.report.tables import Sheet, energy_sheet, layers_sheet, summary_sheet, units_sheet


def page(profiles: Sequence[Profile]) -> str:
    """Return the page of one or more profiles of the same model."""
    chips = ", ".join(profile.chip.name for profile in profiles)
    parts = [
        table(summary_sheet(profiles)),
        *(_section(profile) for profile in profiles),
        f"<h2>Layers</h2>{chart(layer_cycles(profiles))}",
        *(_layer_table(profile) for profile in profiles),
    ]
    return document(f"{profiles[0].model} on {chips}", _lead(profiles[0]), parts)


def document(title: str, lead: str, parts: Iterable[str]) -> str:
    """Return a whole page: title and lead are text, parts are HTML."""
    template = Template(files("jiriki.report").joinpath("page.html").read_text("utf-8"))
    return template.substitute(
        title=escape(title), lead=escape(lead), plotly=get_plotlyjs(), body="\n".join(parts)
    )


def _lead(profile: Profile) -> str:
    return (
        f"{profile.cycles:,} cycles on {profile.chip.name}: {seconds(profile.latency_s)} at the "
        f"chip's stated clock, {percent(profile.utilisation)} of its multiply-accumulates used. "
        "Counted by the timing simulator."
    )


OVERLAP = (
    "Neighbouring layers overlap. A layer's cycles span its first to its last matrix or vector "
    "work; its weights may have come before, so a point can lie above the sloped roof."
)


def _section(profile: Profile) -> str:
    charts = chart(where_time_goes(profile)) + chart(roofline(profile))
    units, note = table(units_sheet(profile)), f'<p class="lead">{escape(OVERLAP)}</p>'
    energy = _energy(profile.energy) if profile.energy else ""
    return f"<h2>{escape(profile.chip.name)}</h2>{units}{energy}{charts}{note}"


def _energy(energy: EnergyEstimate) -> str:
    sheet = energy_sheet(energy)
    lead = f"{sheet.title}; calibrated on {'; '.join(energy.calibrated_on)}."
    return f'<p class="lead">{escape(lead)}</p>{table(sheet)}'


def _layer_table(profile: Profile) -> str:
    title = f"Layers on {profile.chip.name}"
    sheet = layers_sheet(title, profile.layers, profile.cycles, profile.energy)
    return f"<details><summary>{escape(sheet.title)}</summary>{table(sheet)}</details>"


def chart(figure: go.Figure) -> str:
    """Return a figure as HTML that needs the page's own Plotly."""
    return figure.to_html(full_html=False, include_plotlyjs=False, config={"responsive": True})


def table(sheet: Sheet) -> str:
    """Return a sheet as an HTML table."""
    right = [' class="n"' if head.startswith(">") else "" for head in sheet.heads]
    heads = "".join(
        f"<th{side}>{escape(head.lstrip('>'))}</th>"
        for side, head in zip(right, sheet.heads, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(_cell(side, cell) for side, cell in zip(right, row, strict=True))}</tr>"
        for row in sheet.rows
    )
    return f'<div class="wide"><table><tr>{heads}</tr>{rows}</table></div>'


def _cell(side: str, text: str) -> str:
    return f"<td{side}>{escape(text)}</td>"
