"""The page of a Plan: `jiriki plan --out`.

In: a Plan, the page's origin. Out: the page's text. Charts are of base demand unless they say
otherwise; the events that they number are listed once, below the decision.
"""

from collections.abc import Iterable, Sequence

from jiriki.export_control.classify import DISCLAIMER
from jiriki.plan.fleet import charts
from jiriki.plan.fleet.fleet import Course, Plan
from jiriki.plan.fleet.months import text
from jiriki.plan.fleet.reasons import months_text
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
from jiriki.report.charts import Mark
from jiriki.report.html import Section, cards, document, figure, folded, note, section, table
from jiriki.report.origin import Origin
from jiriki.report.tables import Sheet

SHARE_CAPTION_FROM = 0.001  # of the demand: less not served is not worth a sentence


def plan_page(plan: Plan, origin: Origin) -> str:
    """Return the page."""
    base = plan.base
    numbered = charts.event_marks(plan)
    marks = [mark for mark, _ in numbered]
    parts: list[str | Section] = [
        cards(_cards(plan)),
        _decision(plan, numbered),
        _fleet(plan, base, marks),
        _supplies(plan, base, marks),
        _demand(base, marks),
        _dependence(plan, base, marks),
        _cost(plan, base, marks),
        section("What binds", table(
            bindings_sheet(base), "The first line is where one more of something saves most.")),
        section(
            "Events and assumptions", table(events_sheet(plan)), table(chips_sheet(plan)),
            note(f"{BASIS} {_assumed(plan)}".strip()),
        ),
        section("Month by month", *(folded(sheet) for sheet in _monthly(plan))),
    ]  # fmt: skip
    lead = f"{plan.demand.why} {_lead(plan)}".strip()
    known = plan.demand.known_on
    facts = (("rules known on", str(known)),) if known else ()
    return document(plan.demand.title, lead, parts, origin.with_facts(*facts))


def _lead(plan: Plan) -> str:
    known = f" as known on {plan.demand.known_on}" if plan.demand.known_on else ""
    return (
        f"{text(plan.demand.months[0])} to {text(plan.demand.months[-1])}, export rules{known}; "
        f"{DISCLAIMER}."
    )


def _cards(plan: Plan) -> list[tuple[str, str, str]]:
    base, last = plan.base, plan.base.months[-1]
    bought = sum(reason.bought for reason in base.reasons)
    spent = sum(month.money.spent for month in base.months)
    end = text(last.month)
    return [
        ("cost of the plan", f"${base.cost:,.1f} M", plan.demand.economics.objective),
        ("paid in these months", f"${spent:,.1f} M", "chips, hosts and entries"),
        ("bought", f"{bought:,}", f"chips; {sum(last.owned.values()):,} owned in {end}"),
        ("demand served", f"{100 * base.served_share:.1f} %", "weighted by its worth"),
        ("domestic", f"{100 * last.domestic:.0f} %", f"of the demand in {end}"),
        ("power", f"{last.power_w / 1e6:,.2f} MW", f"at the inlet, in {end}"),
    ]


def _decision(plan: Plan, numbered: Sequence[tuple[Mark, str]]) -> Section:
    parts = [note(sentence) for sentence in story(plan)]
    remark = "Cost is what was minimised: what is not served counts with its worth."
    parts.append(table(summary_sheet(plan), remark))
    if numbered:
        rows = tuple((str(mark.number), words) for mark, words in numbered)
        sheet = Sheet("events, as the charts number them", (">line", "what changes"), rows)
        parts.append(table(sheet))
    return section("Decision", *parts)


def _fleet(plan: Plan, base: Course, marks: Sequence[Mark]) -> Section:
    first, last = base.months[0], base.months[-1]
    top = max(last.owned, key=lambda chip: last.owned[chip], default="")
    caption = (
        f"From {sum(first.owned.values()):,} chips to {sum(last.owned.values()):,}; "
        f"{top or 'none'} is the most common at the end. Base demand; red lines are the events "
        "above."
    )
    bought = [reason for reason in base.reasons if reason.bought]
    when = "; ".join(f"{r.supply} in {months_text(r.months)}" for r in bought) or "nothing"
    most = max(base.months, key=lambda month: month.power_w)
    return section(
        "Fleet",
        figure("Chips owned", charts.fleet(plan, base, marks), caption,
               charts.chip_keys(plan, base)),
        figure("Bought and retired", charts.purchases(plan, base, marks),
               f"Bought above the line, retired below it and paler: {when}.",
               charts.chip_keys(plan, base)),
        figure("Power", charts.power(base, marks),
               f"What the fleet may draw, cooling included: most in {text(most.month)}, "
               f"{most.power_w / 1e3:,.0f} kW."),
    )  # fmt: skip


def _supplies(plan: Plan, base: Course, marks: Sequence[Mark]) -> Section:
    shut = [offer.id for offer in plan.market.offers if offer.shut]
    caption = (
        f"{len(shut)} of {len(plan.market.offers)} supplies are shut for some time: "
        f"{', '.join(shut)}. Grey bars say why; elsewhere it delivers, in its chip's colour."
        if shut
        else "Every supply delivers throughout."
    )
    return section(
        "What can be had when",
        figure("Days of delivery", charts.openings(plan, marks), caption, (charts.SHUT_KEY,)),
        table(supplies_sheet(plan, base)),
    )


def _demand(base: Course, marks: Sequence[Mark]) -> Section:
    worst = min(base.months[0].served, key=lambda s: min(m.served[s] for m in base.months))
    month = min(base.months, key=lambda month: month.served[worst])
    least = month.served[worst]
    caption = (
        f"Least is served of {worst}: {100 * least:.1f} % in {text(month.month)}."
        if least < 1 - SHARE_CAPTION_FROM
        else "All that is asked is served."
    )
    return section(
        "Demand served",
        figure("Share of each service that is served", charts.served(base, marks), caption,
               charts.service_keys(base)),
        table(services_sheet(base)),
    )  # fmt: skip


def _dependence(plan: Plan, base: Course, marks: Sequence[Mark]) -> Section:
    last = base.months[-1]
    end = text(last.month)
    return section(
        "On whom it depends",
        figure("By vendor", charts.by_vendor(plan, base, marks),
               _greatest(last.depends["vendor"], end),
               charts.dependence_keys(plan, base, "vendor")),
        figure("By country of manufacture", charts.by_country(plan, base, marks),
               f"{_greatest(last.depends['made_in'], end)} Designed and made at home: "
               f"{100 * last.domestic:.0f} %, against {100 * base.months[0].domestic:.0f} % in "
               f"{text(base.months[0].month)}.",
               charts.dependence_keys(plan, base, "made_in")),
    )  # fmt: skip


def _greatest(shares: dict[str, float], month: str) -> str:
    if not any(shares.values()):
        return f"In {month} nothing is served."
    name = max(shares, key=lambda name: shares[name])
    return f"Without {name}, {100 * shares[name]:.0f} % of the demand of {month} falls away."


def _cost(plan: Plan, base: Course, marks: Sequence[Mark]) -> Section:
    parts = {
        name: sum(getattr(month.money, part) for month in base.months)
        for name, part, _, _ in charts.MONEY_PARTS
    }
    most = max(parts, key=lambda name: parts[name])
    whole = sum(parts.values()) or 1.0
    asked = ", ".join(f"{name} {course.cost:,.1f}" for name, course in plan.courses.items())
    return section(
        "Cost",
        figure("What a month costs", charts.money(base, marks),
               f"{most.capitalize()} is {100 * parts[most] / whole:.0f} % of all these months. "
               "The line is what is paid when it is due.", charts.money_keys()),
        figure("Cost by scenario, with the worth of what is not served",
               charts.scenario_costs(plan), f"Whole cost, million USD: {asked}.",
               charts.scenario_keys(plan, "money")),
        figure("Chips by scenario", charts.scenario_chips(plan),
               "Where the lines part, the plan depends on how much is asked: decide late there.",
               charts.scenario_keys(plan, "ink")),
    )  # fmt: skip


def _assumed(plan: Plan) -> str:
    keys = plan.market.costs.assumed
    return f"From cost/assumptions.toml: {', '.join(keys)}." if keys else ""


def _monthly(plan: Plan) -> Iterable[Sheet]:
    base = plan.base
    yield fleet_sheet(base)
    yield purchases_sheet(base)
    yield money_sheet(base)
    for kind in ("vendor", "designer_country", "made_in"):
        yield dependence_sheet(base, kind)
    yield from (fleet_sheet(course) for course in plan.courses.values() if course is not base)
