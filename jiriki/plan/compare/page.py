"""The page of a Comparison: `jiriki compare --out`.

In: a Comparison, the page's origin. Out: the page's text. A colour is what limits a chip, as on the
pages of profiles; chips of ours are in bold; a hollow mark calibrated the engine.
"""

from collections.abc import Sequence

from jiriki.export_control import known_text
from jiriki.export_control.classify import DISCLAIMER
from jiriki.plan.compare.charts import (
    BAND,
    BOUND_COLOURS,
    cost,
    efficiency,
    energy,
    roofline,
    throughput,
    validation,
)
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
from jiriki.report.html import (
    Key,
    Section,
    capital,
    cards,
    document,
    figure,
    folded,
    section,
    table,
)
from jiriki.report.origin import Origin

PUBLISHED_KEY = Key("published; hollow: calibrated the engine", "published", "hollow-diamond")
RANGE_KEY = Key("range of the prediction", "whisker", "line")
BOLD = "Chips in bold are of our own family."


def compare_page(comparison: Comparison, origin: Origin) -> str:
    """Return the page."""
    shown = [row for row in comparison.rows if row.prediction]
    parts: list[str | Section] = [cards(_cards(comparison, shown))]
    parts += _predicted(comparison, shown)
    parts += _checked(comparison)
    parts += _economy(comparison, shown)
    parts.append(section("Export class and sourcing", table(
        sourcing_sheet(comparison),
        "What the rules of the day say of each chip's supply; arithmetic on published texts. "
        f"{known_text()}; {DISCLAIMER}.",
    )))  # fmt: skip
    title = f"{comparison.workload.name} on {len(comparison.rows)} chips"
    lead = f"{comparison.mode.capitalize()}, {comparison.on}. {summary(comparison)}"
    day = ("rules and prices", f"as of {comparison.on}")
    return document(title, lead, parts, origin.with_facts(day))


def _cards(comparison: Comparison, shown: Sequence[Row]) -> list[tuple[str, str, str]]:
    unit = comparison.workload.unit
    entries = []
    if shown:
        fastest = max(shown, key=lambda row: row.prediction.per_s[1] if row.prediction else 0)
        assert fastest.prediction, "shown rows have one"
        rate = f"{figures(fastest.prediction.per_s[1])} {unit}/s"
        entries.append(("most throughput, one chip", fastest.product.id, rate))
    energetic = [row for row in shown if row.energy_j is not None]
    if energetic:
        least = min(energetic, key=lambda row: row.energy_j or 0)
        joules = f"at most {figures(least.energy_j or 0)} J a {unit.rstrip('s')}"
        entries.append(("least energy", least.product.id, joules))
    priced = [row for row in shown if row.cost and row.product.price]
    if priced:
        cheapest = min(priced, key=lambda row: row.cost.base if row.cost else 0)
        assert cheapest.cost, "priced rows have one"
        dollars = f"${figures(cheapest.cost.base)} a million {unit}"
        entries.append(("least cost, of chips with a price", cheapest.product.id, dollars))
    if comparison.held_out_error is not None:
        held = sum(not check.result.calibration for check in comparison.checks)
        error = f"{comparison.held_out_error:.1%}"
        entries.append(("median error", error, f"on {held} published results held out"))
    return entries


def _predicted(comparison: Comparison, shown: Sequence[Row]) -> list[Section]:
    parts = []
    if shown:
        parts.append(figure(
            "Throughput of one chip", throughput(comparison, shown),
            "Predicted throughput with its range, logarithmic; the colour is what limits it. Where "
            f"whiskers overlap, the order is not known. {BOLD}",
            (*_bound_keys(shown), RANGE_KEY, PUBLISHED_KEY),
        ))  # fmt: skip
    parts.append(table(result_sheet(comparison), "c: this published result calibrated the engine. "
                       "*: assumptions, below."))  # fmt: skip
    missing = missing_sheet(comparison)
    if missing:
        parts.append(table(missing))
    sections = [section("Throughput", *parts)]
    if shown:
        sections.append(section("What limits each chip", *_limits(comparison, shown)))
    return sections


def _limits(comparison: Comparison, shown: Sequence[Row]) -> list[str]:
    best = max(shown, key=lambda row: row.prediction.utilisation if row.prediction else 0)
    parts = [figure(
        "Share of the peak that is used", efficiency(shown),
        f"{best.product.id} uses most of what it has. A short bar that is not limited by compute "
        "is a chip with more arithmetic than its memory or its links can feed.",
        _bound_keys(shown),
    )]  # fmt: skip
    plane = roofline(comparison, shown)
    if plane.points:
        parts.append(figure(
            "Roofline of the chips", plane,
            "Each chip at its balance, the operations that it must do on every byte to be busy. "
            "The top of its line is its peak, the point what this workload uses of it: a long line "
            "is arithmetic that stands still.",
            _bound_keys(shown),
        ))  # fmt: skip
    return parts


def _checked(comparison: Comparison) -> list[Section]:
    if not comparison.checks:
        return []
    caption = (
        f"Every published result beside its prediction; on the line they are equal, in the shaded "
        f"band within {BAND - 1:.0%}. {summary(comparison)}"
    )
    keys = (
        Key("held out", "published", "dot"), Key("calibrated the engine", "published", "hollow"),
        Key(f"within {BAND - 1:.0%}", "grid"),
    )  # fmt: skip
    return [section(
        "Predicted against published",
        figure("Every entry", validation(comparison), caption, keys),
        folded(checks_sheet(comparison)),
    )]  # fmt: skip


def _economy(comparison: Comparison, shown: Sequence[Row]) -> list[Section]:
    unit = comparison.workload.unit
    parts = []
    energetic = [row for row in shown if row.energy_j is not None]
    if energetic:
        parts.append(figure(
            f"Energy of a {unit.rstrip('s')}, at most", energy(comparison, energetic),
            f"The first does most with a joule. {capital(ENERGY_BASIS)}. {BOLD}",
            (Key("joules, at most", "energy", "dot"),),
        ))  # fmt: skip
    priced = [row for row in shown if row.cost]
    if priced:
        parts.append(figure(
            f"Cost of a million {unit}", cost(comparison, priced),
            f"The first is cheapest of its kind. {capital(COST_BASIS)}.",
            (Key("at the price paid", "money", "dot"),
             Key("at the cost to make", "money", "hollow"), Key("range", "whisker", "line")),
        ))  # fmt: skip
    return [section("Energy and cost", *parts, table(economy_sheet(comparison)))]


def _bound_keys(rows: Sequence[Row]) -> tuple[Key, ...]:
    bounds = {row.prediction.bound for row in rows if row.prediction}
    return tuple(
        Key(f"limited by {name}", colour, "dot")
        for name, colour in BOUND_COLOURS.items()
        if name in bounds
    )
