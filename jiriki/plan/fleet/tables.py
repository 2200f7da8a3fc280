"""A Plan as tables, sentences and the JSON object that others rely on.

In: a Plan. Out: Sheets for a terminal or a page; sentences; a dict of plain values.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from jiriki.export_control import known_text, load_rulebook
from jiriki.export_control.classify import DISCLAIMER
from jiriki.plan.fleet.fleet import KINDS, Course, Month, Plan, events_of
from jiriki.plan.fleet.months import text
from jiriki.plan.fleet.reasons import months_text
from jiriki.report.quantities import count
from jiriki.report.tables import Sheet

BASIS = (
    "Throughput is predicted (jiriki compare) unless the file gives a measured rate; what is "
    "bought is whole lots; prices, yields and rates are at their base values in every scenario, "
    "demand alone is low, base or high. Shares are of the month's demand, services weighted by "
    "their worth."
)
_GWH = 3.6e12
_SHOWN_BINDINGS = 4


def story(plan: Plan) -> list[str]:
    """Return the decision in sentences."""
    base = plan.base
    first, last = base.months[0], base.months[-1]
    home, objective = plan.demand.home, plan.demand.economics.objective
    sentences = [
        f"{text(first.month)} to {text(last.month)}, base demand: {_bought(base)} It costs "
        f"{millions(base.cost)} million USD ({objective}; at most {100 * base.gap:.1f} % above the "
        f"least possible); {millions(_spent(base))} are paid for chips, hosts and entries in these "
        f"months. {100 * base.served_share:.1f} % of the demand is served.",
        f"Of the demand of {text(last.month)}: by vendor {_shares(last.depends['vendor'])}; by "
        f"country of manufacture {_shares(last.depends['made_in'])}; "
        f"{100 * last.domestic:.0f} % by chips designed and made in {home}, against "
        f"{100 * first.domestic:.0f} % in {text(first.month)}.",
    ]
    if base.bindings:
        sentences.append(f"What binds: {'; '.join(_binding_texts(base))}.")
    else:
        sentences.append("No constraint binds: everything asked for can be had.")
    sentences += [
        f"Service {entry.service}: up to {100 * entry.worst:.1f} % not served in "
        f"{months_text(entry.months)}: {entry.why}."
        for entry in base.unserved
    ]
    sentences += [
        f"Not bought: {entry.supply}: {entry.why}." for entry in base.reasons if not entry.bought
    ]
    sentences += [f"{scenario} demand: {why}." for scenario, why in plan.impossible.items()]
    sentences.append(f"{rules_text(plan)}; {DISCLAIMER}.")
    return sentences


def rules_text(plan: Plan) -> str:
    """Say until when the export rules of a plan are known."""
    known_on = plan.demand.known_on
    if known_on is None or known_on >= load_rulebook().known_until:
        return known_text()
    return f"Export rules as published by {known_on} (known_on); later ones are left out"


def millions(value: float) -> str:
    """Return an amount with one decimal, a small one with three figures."""
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _bought(course: Course) -> str:
    bought = [f"{reason.bought:,} {reason.supply}" for reason in course.reasons if reason.bought]
    return f"buy {', '.join(bought)}." if bought else "buy nothing."


def _spent(course: Course) -> float:
    return sum(month.money.spent for month in course.months)


def _shares(shares: dict[str, float]) -> str:
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{100 * share:.0f} % {name}" for name, share in ranked) or "nothing"


def _binding_texts(course: Course) -> list[str]:
    """Name the dearest of each kind."""
    kinds = dict.fromkeys(binding.kind for binding in course.bindings)
    dearest = [
        next(binding for binding in course.bindings if binding.kind == kind) for kind in kinds
    ]
    ranked = sorted(dearest, key=lambda binding: -len(binding.months))[:_SHOWN_BINDINGS]
    return [
        f"{binding.text} in {months_text(binding.months)} (relaxed by {_step(binding.unit)} in "
        f"every month it saves {binding.saving:,.0f} USD, in the dearest month alone "
        f"{binding.month_saving:,.0f})"
        for binding in ranked
    ]


def _step(unit: str) -> str:
    """Return one of a unit: "1 chip a month" of "chips a month"."""
    return f"1 {unit.replace('chips', 'chip').replace('wafers', 'wafer')}"


def summary_sheet(plan: Plan) -> Sheet:
    """Put the scenarios side by side."""
    courses = list(plan.courses.values())
    rows: list[tuple[str, Callable[[Course], str]]] = [
        ("cost of the plan, million USD", lambda c: millions(c.cost)),
        ("at most above the least, %", lambda c: f"{100 * c.gap:.2f}"),
        ("paid for chips, hosts, entries", lambda c: millions(_spent(c))),
        ("energy, GWh", lambda c: millions(sum(m.energy_j for m in c.months) / _GWH)),
        ("demand served, %", lambda c: f"{100 * c.served_share:.1f}"),
        ("domestic at the end, %", lambda c: f"{100 * c.months[-1].domestic:.0f}"),
        ("chips at the end", lambda c: f"{sum(c.months[-1].owned.values()):,}"),
        ("power at the end, kW", lambda c: f"{c.months[-1].power_w / 1e3:,.0f}"),
    ]
    heads = ("", *(f">{c.scenario} demand" for c in courses))
    cells = tuple((name, *(make(c) for c in courses)) for name, make in rows)
    return Sheet(plan.demand.title, heads, cells)


def fleet_sheet(course: Course) -> Sheet:
    """List the chips owned month by month."""
    chips = _used(course, lambda month: month.owned)
    heads = ("month", *(f">{chip}" for chip in chips), ">kW", ">served", ">domestic")
    rows = tuple(
        (
            text(m.month), *(_count(m.owned.get(chip, 0)) for chip in chips),
            f"{m.power_w / 1e3:,.0f}", _percent(m.served_share), _percent(m.domestic),
        )
        for m in course.months
    )  # fmt: skip
    return Sheet(f"fleet, {course.scenario} demand", heads, rows)


def purchases_sheet(course: Course) -> Sheet:
    """List what is bought and retired month by month."""
    supplies = _used(course, lambda month: month.bought)
    retired = _used(course, lambda month: month.retired)
    heads = ("month", *(f">+ {name}" for name in supplies), *(f">- {name}" for name in retired))
    rows = tuple(
        (
            text(m.month),
            *(_count(m.bought.get(name, 0)) for name in supplies),
            *(_count(m.retired.get(name, 0)) for name in retired),
        )
        for m in course.months
    )
    return Sheet("bought (+) and retired (-)", heads, rows)


def money_sheet(course: Course) -> Sheet:
    """List what every month costs."""
    heads = (
        "month", ">capital", ">upkeep", ">energy", ">not served", ">paid", ">energy, MWh",
    )  # fmt: skip
    rows = tuple(
        (
            text(m.month),
            *(millions(amount) for amount in (
                m.money.capital, m.money.upkeep, m.money.energy, m.money.unserved, m.money.spent,
            )),
            f"{m.energy_j / 3.6e9:,.0f}",
        )
        for m in course.months
    )  # fmt: skip
    title = (
        "million USD a month; paid, when it is due, overlaps with capital, which spreads it over "
        "the chips' lives"
    )
    return Sheet(title, heads, rows)


def dependence_sheet(course: Course, kind: str) -> Sheet:
    """List the share of demand that depends on each vendor or country."""
    names = _used(course, lambda month: month.depends[kind])
    title = {
        "vendor": "share of demand by vendor",
        "designer_country": "share of demand by the designer's country",
        "made_in": "share of demand by country of manufacture",
    }[kind]
    heads = ("month", *(f">{name}" for name in names), ">nobody")
    rows = tuple(
        (
            text(m.month),
            *(_percent(m.depends[kind].get(name, 0.0)) for name in names),
            _percent(max(0.0, 1 - m.served_share)),
        )
        for m in course.months
    )
    return Sheet(title, heads, rows)


def services_sheet(course: Course) -> Sheet:
    """List what is asked of each service, what is served, and by which chips at the end."""
    first, last = course.months[0], course.months[-1]
    rows = []
    for service in first.rates:
        chips = sorted(
            (
                (number, chip)
                for (served, chip), number in last.at_work.items()
                if served == service
            ),
            reverse=True,
        )
        least = min(month.served[service] for month in course.months)
        rows.append((
            service, count(first.rates[service]), count(last.rates[service]),
            _percent(least), _percent(last.served[service]),
            ", ".join(f"{number:,.0f} {chip}" for number, chip in chips),
        ))  # fmt: skip
    heads = (
        "service", ">units/s, first", ">last", ">served, least", ">served, last",
        "at work in the last month",
    )  # fmt: skip
    return Sheet("services", heads, tuple(rows))


def bindings_sheet(course: Course) -> Sheet:
    """List what binds, and what giving way by one unit saves."""
    heads = (
        "constraint", "binds in", "relaxed by", ">in every month saves, USD",
        ">in its dearest month alone",
    )  # fmt: skip
    rows = tuple(
        (
            binding.text, months_text(binding.months), _step(binding.unit),
            f"{binding.saving:,.0f}", f"{binding.month_saving:,.0f}",
        )
        for binding in course.bindings
    )  # fmt: skip
    return Sheet("constraints that bind", heads, rows)


def supplies_sheet(plan: Plan, course: Course) -> Sheet:
    """Say what became of every supply, and when it was shut."""
    offers = {offer.id: offer for offer in plan.market.offers}
    rows = tuple(
        (
            reason.supply, f"{reason.bought:,}", months_text(reason.months), reason.why,
            "; ".join(f"{s.first} to {s.last}: {s.why}" for s in offers[reason.supply].shut),
        )
        for reason in course.reasons
    )  # fmt: skip
    return Sheet("supplies", ("supply", ">bought", "in", "why", "shut"), rows)


def events_sheet(plan: Plan) -> Sheet:
    """List the events by the day on which they begin."""
    rows = tuple(
        (f"{e.first}", f"{e.last or ''}", e.kind, ", ".join(e.of), e.name, e.source)
        for e in sorted(plan.demand.events, key=lambda event: event.first)
    )
    return Sheet("events", ("from", "until", "kind", "of", "what", "source"), rows)


def chips_sheet(plan: Plan) -> Sheet:
    """List what each chip is taken to do."""
    services = [service.id for service in plan.demand.services]
    heads = (
        "chip",
        "vendor",
        "made in",
        ">W",
        *(f">{service}" for service in services),
        "rests on",
    )
    rows = tuple(
        (
            chip.id, chip.vendor, chip.made_in, f"{chip.watts:,.0f}",
            *(f"{chip.rates[id]:,.4g}" if id in chip.rates else "cannot" for id in services),
            "; ".join(dict.fromkeys(chip.notes)),
        )
        for chip in plan.market.chips.values()
    )  # fmt: skip
    return Sheet("units a second of one chip", heads, rows)


def _used(course: Course, of: Callable[[Month], Iterable[str]]) -> list[str]:
    """Return the names that appear with something in some month."""
    names: dict[str, None] = {}
    for month in course.months:
        counts = of(month)
        assert isinstance(counts, dict), "months hold their counts by name"
        names |= dict.fromkeys(name for name, value in counts.items() if value)
    return list(names)


def _count(value: float) -> str:
    return f"{value:,}" if value else ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


# -- JSON ------------------------------------------------------------------------------------------


def payload(plan: Plan) -> dict[str, Any]:
    """Return the object that `jiriki plan --json` prints."""
    return {
        "title": plan.demand.title,
        "home": plan.demand.home,
        "months": [text(month) for month in plan.demand.months],
        "known_on": plan.demand.known_on and plan.demand.known_on.isoformat(),
        "rules_known_until": load_rulebook().known_until.isoformat(),
        "rules": rules_text(plan),
        "objective": plan.demand.economics.objective,
        "story": story(plan),
        "scenarios": {name: _course(course) for name, course in plan.courses.items()},
        "impossible": plan.impossible,
        "supplies": [_offer(plan, place) for place in range(len(plan.market.offers))],
        "chips": [asdict(chip) for chip in plan.market.chips.values()],
        "economics": asdict(plan.market.costs),
        "events": [{"day": day.isoformat(), "what": what} for day, what in events_of(plan.demand)],
        "basis": BASIS,
        "disclaimer": DISCLAIMER,
    }


def _course(course: Course) -> dict[str, Any]:
    return {
        "cost_musd": course.cost,
        "gap": course.gap,
        "paid_musd": _spent(course),
        "energy_j": sum(month.energy_j for month in course.months),
        "served_share": course.served_share,
        "bought": {entry.supply: entry.bought for entry in course.reasons},
        "entries_musd": course.entries,
        "months": [_month(month) for month in course.months],
        "binding": [
            {**asdict(entry), "months": [text(m) for m in entry.months]}
            for entry in course.bindings
        ],
        "unserved": [
            {**asdict(entry), "months": [text(m) for m in entry.months]}
            for entry in course.unserved
        ],
        "reasons": [
            {**asdict(entry), "months": [text(m) for m in entry.months]} for entry in course.reasons
        ],
    }


def _month(month: Month) -> dict[str, Any]:
    at_work: dict[str, dict[str, float]] = {}
    for (service, chip), number in month.at_work.items():
        at_work.setdefault(service, {})[chip] = number
    return {
        "month": text(month.month),
        "owned": month.owned,
        "bought": month.bought,
        "retired": month.retired,
        "at_work": at_work,
        "asked_per_s": month.rates,
        "served": month.served,
        "served_share": month.served_share,
        "depends": {kind: month.depends[kind] for kind in KINDS},
        "domestic": month.domestic,
        "musd": asdict(month.money),
        "energy_j": month.energy_j,
        "power_w": month.power_w,
    }


def _offer(plan: Plan, place: int) -> dict[str, Any]:
    offer = plan.market.offers[place]
    bounded = [cap if cap < float("inf") else None for cap in offer.caps]
    return {
        "supply": offer.id,
        "chip": offer.chip,
        "price_usd": list(offer.prices),
        "per_month": bounded,
        "foundry": offer.foundry,
        "chips_per_wafer": offer.per_wafer if offer.per_wafer < float("inf") else None,
        "shut": [
            {"from": s.first.isoformat(), "until": s.last.isoformat(), "why": s.why}
            for s in offer.shut
        ],
    }
