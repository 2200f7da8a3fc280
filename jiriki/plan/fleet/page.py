"""A Plan as one self-contained HTML page.

In: a Plan. Out: the page's text. A chip, vendor or country has one colour throughout; dotted lines
are events, named in the charts of fleet and cost; charts are of base demand unless said otherwise.
"""

from collections.abc import Iterable
from datetime import date
from html import escape

import plotly.graph_objects as go

from jiriki.export_control.classify import DISCLAIMER
from jiriki.plan.fleet.fleet import Course, Plan, events_of
from jiriki.plan.fleet.months import text
from jiriki.plan.fleet.tables import (
    BASIS,
    bindings_sheet,
    chips_sheet,
    dependence_sheet,
    events_sheet,
    fleet_sheet,
    money_sheet,
    purchases_sheet,
    services_sheet,
    story,
    summary_sheet,
    supplies_sheet,
)
from jiriki.report.html import chart, document, table
from jiriki.report.tables import Sheet

PALETTE = (
    "#2f6fb5", "#e07b28", "#3a9d5d", "#b23a48", "#8d6cab", "#f2c14e", "#5bb5c4", "#6b7280",
    "#c77dba", "#9a7b4f",
)  # fmt: skip
UNSERVED = "#d9dde4"
SCENARIO_COLOURS = {"low": "#5bb5c4", "base": "#2f6fb5", "high": "#b23a48"}
OPEN, SHUT = "#3a9d5d", "#c9ced6"


def plan_page(plan: Plan) -> str:
    """Return the page."""
    base = plan.base
    marks = events_of(plan.demand)
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in story(plan))
    parts = [
        f"<h2>Decision</h2>{said}",
        table(summary_sheet(plan)),
        f"<h2>Fleet</h2>{chart(fleet(plan, base, marks))}",
        chart(purchases(plan, base, marks)),
        f"<h2>What can be had when</h2>{chart(openings(plan, marks))}",
        table(supplies_sheet(plan, base)),
        f"<h2>Demand served</h2>{chart(served(base, marks))}",
        table(services_sheet(base)),
        f"<h2>On whom it depends</h2>{chart(dependence(base, 'vendor', marks))}",
        chart(dependence(base, "made_in", marks)),
        f"<h2>Cost</h2>{chart(cost(base, marks))}{chart(scenarios(plan))}",
        f"<h2>What binds</h2>{table(bindings_sheet(base))}",
        f"<h2>Events and assumptions</h2>{table(events_sheet(plan))}{table(chips_sheet(plan))}",
        f'<p class="lead">{escape(BASIS)} {escape(_assumed(plan))}</p>',
        *(_details(sheet) for sheet in _monthly(base)),
        *(_details(fleet_sheet(c)) for c in plan.courses.values() if c is not base),
    ]
    return document(plan.demand.title, f"{plan.demand.why} {_lead(plan)}".strip(), parts)


def _lead(plan: Plan) -> str:
    known = f" as known on {plan.demand.known_on}" if plan.demand.known_on else ""
    return (
        f"{text(plan.demand.months[0])} to {text(plan.demand.months[-1])}, export rules{known}; "
        f"{DISCLAIMER}."
    )


def _assumed(plan: Plan) -> str:
    keys = plan.market.costs.assumed
    return f"From cost/assumptions.toml: {', '.join(keys)}." if keys else ""


def _monthly(course: Course) -> Iterable[Sheet]:
    yield fleet_sheet(course)
    yield purchases_sheet(course)
    yield money_sheet(course)
    for kind in ("vendor", "designer_country", "made_in"):
        yield dependence_sheet(course, kind)


def _details(sheet: Sheet) -> str:
    return f"<details><summary>{escape(sheet.title)}</summary>{table(sheet)}</details>"


Marks = list[tuple[date, str]]


def fleet(plan: Plan, course: Course, marks: Marks) -> go.Figure:
    """Stack the chips owned, and draw the power they may take."""
    figure = go.Figure()
    months = [month.month for month in course.months]
    for place, chip in enumerate(plan.market.chips):
        counts = [month.owned.get(chip, 0) for month in course.months]
        if any(counts):
            figure.add_bar(x=months, y=counts, name=chip, marker={"color": _colour(place)})
    figure.add_scatter(
        x=months, y=[month.power_w / 1e3 for month in course.months], name="power, kW", yaxis="y2",
        mode="lines+markers", line={"color": "#1d2129", "width": 1.5}, marker={"size": 4},
    )  # fmt: skip
    figure.update_layout(
        barmode="stack",
        yaxis2={
            "overlaying": "y", "side": "right", "title": "kW at the inlet", "rangemode": "tozero",
            "showgrid": False,
        },
    )  # fmt: skip
    figure.update_yaxes(title="chips owned", selector={"overlaying": None})
    return _monthly_chart(figure, "Fleet, base demand", marks)


def purchases(plan: Plan, course: Course, marks: Marks) -> go.Figure:
    """Stack what is bought upwards and what is retired downwards."""
    figure = go.Figure()
    months = [month.month for month in course.months]
    chips = list(plan.market.chips)
    for offer in plan.market.offers:
        counts = [month.bought.get(offer.id, 0) for month in course.months]
        if any(counts):
            colour = _colour(chips.index(offer.chip))
            figure.add_bar(x=months, y=counts, name=offer.id, marker={"color": colour})
    for place, chip in enumerate(chips):
        counts = [-month.retired.get(chip, 0) for month in course.months]
        if any(counts):
            figure.add_bar(
                x=months, y=counts, name=f"{chip} retired",
                marker={"color": _colour(place), "opacity": 0.45},
            )  # fmt: skip
    figure.update_layout(barmode="relative")
    figure.update_yaxes(title="chips a month")
    return _monthly_chart(figure, "Bought and retired, base demand", marks)


def openings(plan: Plan, marks: Marks) -> go.Figure:
    """Draw for every supply the days on which it delivers, and why it does not on the others."""
    figure = go.Figure()
    first, end = plan.demand.months[0], plan.demand.end
    names = [offer.id for offer in plan.market.offers]
    figure.add_bar(
        y=names, x=[_milliseconds(first, end)] * len(names), base=[first] * len(names),
        orientation="h", name="open", marker={"color": OPEN}, hoverinfo="skip",
    )  # fmt: skip
    shut = [(offer.id, span) for offer in plan.market.offers for span in offer.shut]
    figure.add_bar(
        y=[id for id, _ in shut],
        x=[_milliseconds(span.first, span.last) + 86_400_000 for _, span in shut],
        base=[span.first for _, span in shut], orientation="h", name="shut",
        marker={"color": SHUT}, text=[escape(span.why) for _, span in shut],
        textposition="inside", insidetextanchor="start",
        hovertemplate="%{y}: %{text}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(type="date", range=[first, end])
    figure.update_yaxes(autorange="reversed", automargin=True)
    return _monthly_chart(
        figure, "Days of delivery", marks, height=150 + 34 * max(2, len(names)), named=False
    )


def _milliseconds(start: date, end: date) -> int:
    return (end - start).days * 86_400_000


def served(course: Course, marks: Marks) -> go.Figure:
    """Plot the share of each service's demand that is served."""
    figure = go.Figure()
    months = [month.month for month in course.months]
    for place, service in enumerate(course.months[0].served):
        figure.add_scatter(
            x=months, y=[100 * month.served[service] for month in course.months], name=service,
            mode="lines+markers", line={"color": _colour(place), "width": 2},
        )  # fmt: skip
    figure.update_yaxes(title="% of the service's demand", range=[0, 105])
    return _monthly_chart(figure, "Share of demand served, base demand", marks, named=False)


def dependence(course: Course, kind: str, marks: Marks) -> go.Figure:
    """Stack the shares of demand by whom they depend on, unserved last."""
    figure = go.Figure()
    months = [month.month for month in course.months]
    names = list(dict.fromkeys(n for month in course.months for n in month.depends[kind]))
    for place, name in enumerate(names):
        figure.add_bar(
            x=months, y=[100 * month.depends[kind].get(name, 0.0) for month in course.months],
            name=name, marker={"color": _colour(place)},
        )  # fmt: skip
    missing = [100 * max(0.0, 1 - month.served_share) for month in course.months]
    if max(missing) > 0.05:
        figure.add_bar(x=months, y=missing, name="not served", marker={"color": UNSERVED})
    if kind == "made_in":
        figure.add_scatter(
            x=months, y=[100 * month.domestic for month in course.months], mode="lines",
            name="domestic: designed and made at home",
            line={"color": "#1d2129", "dash": "dash", "width": 2},
        )  # fmt: skip
    figure.update_layout(barmode="stack")
    figure.update_yaxes(title="% of demand", range=[0, 105])
    title = {"vendor": "Share of demand by vendor", "made_in": "By country of manufacture"}[kind]
    return _monthly_chart(figure, title, marks, named=False)


def cost(course: Course, marks: Marks) -> go.Figure:
    """Stack what a month costs; what is paid as a line."""
    figure = go.Figure()
    months = [month.month for month in course.months]
    for place, (name, of) in enumerate((
        ("capital, amortised", "capital"), ("upkeep", "upkeep"), ("energy", "energy"),
    )):  # fmt: skip
        figure.add_bar(
            x=months, y=[getattr(month.money, of) for month in course.months], name=name,
            marker={"color": _colour(place)},
        )  # fmt: skip
    figure.add_bar(
        x=months, y=[month.money.unserved for month in course.months], name="worth not served",
        marker={"color": UNSERVED},
    )  # fmt: skip
    figure.add_scatter(
        x=months, y=[month.money.spent for month in course.months], name="paid for chips",
        mode="lines+markers", line={"color": "#1d2129", "width": 1.5}, marker={"size": 5},
    )  # fmt: skip
    figure.update_layout(barmode="stack")
    figure.update_yaxes(title="million USD a month")
    return _monthly_chart(figure, "Cost, base demand", marks)


def scenarios(plan: Plan) -> go.Figure:
    """Plot chips owned and what a month costs with all that is not served, by scenario."""
    figure = go.Figure()
    for name, course in plan.courses.items():
        months = [month.month for month in course.months]
        colour = SCENARIO_COLOURS[name]
        figure.add_scatter(
            x=months, y=[sum(month.owned.values()) for month in course.months], yaxis="y2",
            name=f"{name}: chips", mode="lines", line={"color": colour, "dash": "dot"},
        )  # fmt: skip
        figure.add_scatter(
            x=months, y=[month.money.running + month.money.unserved for month in course.months],
            name=f"{name}: cost and worth not served", mode="lines", line={"color": colour},
        )  # fmt: skip
    figure.update_layout(
        yaxis={"title": "million USD a month", "rangemode": "tozero"},
        yaxis2={
            "overlaying": "y", "side": "right", "title": "chips", "rangemode": "tozero",
            "showgrid": False,
        },
    )  # fmt: skip
    return _monthly_chart(figure, "Low, base and high demand", [])


def _colour(place: int) -> str:
    return PALETTE[place % len(PALETTE)]


def _monthly_chart(
    figure: go.Figure, title: str, marks: Marks, height: int = 400, named: bool = True
) -> go.Figure:
    """Finish a chart over months: events as dotted lines, their names above where wanted."""
    by_day: dict[date, list[str]] = {}
    for day, name in marks:
        by_day.setdefault(day, []).append(escape(name))
    for place, (day, names) in enumerate(by_day.items()):
        figure.add_vline(x=day.isoformat(), line={"color": "#b23a48", "dash": "dot", "width": 1})
        if named:
            figure.add_annotation(
                x=day.isoformat(), y=1.0, yref="paper", text="<br>".join(names), showarrow=False,
                xanchor="left", yanchor="top", yshift=-14 * (place % 3), xshift=3, align="left",
                font={"size": 10, "color": "#b23a48"}, bgcolor="rgba(255,255,255,0.7)",
            )  # fmt: skip
    figure.update_layout(
        title={"text": title}, height=height, template="plotly_white",
        margin={"l": 70, "r": 70, "t": 90, "b": 40},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip
    return figure
