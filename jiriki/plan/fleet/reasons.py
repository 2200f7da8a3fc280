"""Why the fleet is what it is: binding constraints, what is not served, each supply's part.

In: a Problem, its Solution, the worth of its constraints. Out: facts with numbers; `fleet_tables`
puts them into sentences.
"""

from dataclasses import dataclass
from datetime import date

from jiriki.plan.fleet.demand import Demand
from jiriki.plan.fleet.market import Market, Offer
from jiriki.plan.fleet.milp import MILLION, Problem
from jiriki.plan.fleet.months import span_text
from jiriki.plan.fleet.solve import Solution, Worth, saving

_LEAST_SAVING = 1e-7  # million USD a unit: below lies the solver's tolerance
_LEAST_SHORT = 5e-3  # share of demand: below it lies what whole lots and the gap leave


@dataclass(frozen=True, slots=True)
class Binding:
    """A constraint that costs money, and the months in which it does."""

    kind: str
    of: str
    text: str
    unit: str
    months: tuple[date, ...]
    saving: float  # USD that one unit more in every month of the plan would save
    month_saving: float  # USD that one unit more in the dearest month alone would save (its dual)


@dataclass(frozen=True, slots=True)
class Unserved:
    """Months in which part of a service is not served, for one reason."""

    service: str
    months: tuple[date, ...]
    worst: float  # share of demand not served
    why: str


@dataclass(frozen=True, slots=True)
class Reason:
    """What became of one supply."""

    supply: str
    chip: str
    bought: int
    months: tuple[date, ...]  # of purchase
    why: str


def bindings(
    demand: Demand, market: Market, problem: Problem, solution: Solution, value: Worth
) -> tuple[Binding, ...]:
    """Return the constraints that bind, the dearest first within each kind.

    Supplies of chips that do not enter the fleet are left out: more of them would cost their entry.
    """
    outside = _outside(market, problem, solution)
    bound = []
    for place, group in enumerate(problem.groups):
        if group.kind == "supply" and group.of in outside:
            continue
        duals = {
            row.month: float(value.rows[index])
            for index, row in enumerate(problem.rows)
            if row.group == place and row.month is not None and value.rows[index] > _LEAST_SAVING
        }
        if duals:
            months = tuple(demand.months[month] for month in sorted(duals))
            whole = saving(problem, solution, value, place) * MILLION
            month = max(duals.values()) * MILLION
            bound.append(
                Binding(group.kind, group.of, group.text, group.unit, months, whole, month)
            )
    return tuple(sorted(bound, key=lambda binding: (binding.kind, -binding.saving)))


def _outside(market: Market, problem: Problem, solution: Solution) -> set[str]:
    """Return the supplies of chips whose entry is not paid."""
    chips = {chip for chip, column in problem.entered.items() if solution.values[column] < 0.5}
    return {offer.id for offer in market.offers if offer.chip in chips}


def unserved(
    demand: Demand, market: Market, problem: Problem, solution: Solution, value: Worth
) -> tuple[Unserved, ...]:
    """Return what is not served, by service and reason."""
    shortages: dict[tuple[str, str], list[tuple[date, float]]] = {}
    for service in demand.services:
        for at, month in enumerate(demand.months):
            short = float(solution.values[problem.short[service.id, at]])
            if short > _LEAST_SHORT:
                why = _why_short(market, problem, solution, value, service.id, at)
                shortages.setdefault((service.id, why), []).append((month, short))
    return tuple(
        Unserved(
            service, tuple(month for month, _ in shorts), max(short for _, short in shorts), why
        )
        for (service, why), shorts in shortages.items()
    )


def _why_short(
    market: Market, problem: Problem, solution: Solution, value: Worth, service: str, at: int
) -> str:
    """Name the constraints whose giving way would serve more in a month."""
    able = {id for id, chip in market.chips.items() if service in chip.rates}
    if not able:
        return "no chip of the plan runs it"
    offers = {offer.id for offer in market.offers if offer.chip in able}
    offers -= _outside(market, problem, solution)
    limits: dict[str, None] = {}
    supplies: dict[str, None] = {}
    for index, row in enumerate(problem.rows):
        if row.group is None or row.month is None or value.rows[index] <= _LEAST_SAVING:
            continue
        group = problem.groups[row.group]
        # what a supply or a foundry did not give before is missing in every later month
        lasting = group.kind in ("supply", "foundry")
        if group.kind == "serve" or row.month > at or (row.month < at and not lasting):
            continue
        if group.kind != "supply":
            limits[group.text] = None
        elif group.of in offers:
            supplies[group.of] = None
    named = [*limits, *([f"supply of {', '.join(supplies)}"] if supplies else [])]
    return "; ".join(named) or "serving it would cost more than it is worth"


def reasons(
    demand: Demand, market: Market, problem: Problem, solution: Solution, value: Worth
) -> tuple[Reason, ...]:
    """Say of every supply how much of it was bought, or why nothing was."""
    explained = []
    for offer in market.offers:
        counts = [
            round(solution.values[problem.lots[offer.id, at]]) * offer.lot
            for at in range(len(demand.months))
        ]
        months = tuple(m for m, count in zip(demand.months, counts, strict=True) if count)
        why = (
            _why_bought(market, offer, problem, value)
            if months
            else _why_not(market, demand, offer, problem, solution, value)
        )
        explained.append(Reason(offer.id, offer.chip, sum(counts), months, why))
    return tuple(explained)


def _why_bought(market: Market, offer: Offer, problem: Problem, value: Worth) -> str:
    """Say what keeps the plan from buying more, if anything does."""
    bound = []
    for index, row in enumerate(problem.rows):
        if row.group is None or value.rows[index] <= _LEAST_SAVING:
            continue
        group = problem.groups[row.group]
        if group.kind == "supply" and group.of == offer.id:
            bound.append("its supply")
        elif group.kind == "foundry" and group.of == offer.foundry:
            bound.append(f"wafers of {group.of}")
    reasons = list(dict.fromkeys(bound))
    return f"limited by {' and '.join(reasons)}" if reasons else "as many as are needed"


def _why_not(
    market: Market, demand: Demand, offer: Offer, problem: Problem, solution: Solution,
    value: Worth,
) -> str:  # fmt: skip
    chip = market.chips[offer.chip]
    if not chip.rates:
        return f"runs none of the services: {next(iter(chip.why_not.values()))}"
    places = [at for at, cap in enumerate(offer.caps) if cap >= offer.lot]
    if not places:
        return f"never to be had: {'; '.join(dict.fromkeys(shut.why for shut in offer.shut))}"
    shares = []
    for at in places:
        column = problem.lots[offer.id, at]
        if problem.cost[column] > 0:
            shares.append(float(value.columns[column]) / problem.cost[column])
    least = min(shares, default=0.0)
    entry = problem.entered.get(chip.id)
    if entry is not None and solution.values[entry] < 0.5 and least < 1e-6:
        return f"does not earn its entry cost of {chip.entry / MILLION:,.3g} million USD"
    if least < 1e-6:
        return "as good as what was bought, no better"
    if least >= 1:
        return "not at any price: what it takes (wafers, power, upkeep) serves more elsewhere"
    return f"others cost less; at {1 - least:.0%} of its price it would be bought"


def months_text(months: tuple[date, ...]) -> str:
    """Write months as spans, such as 2025-09 to 2025-11."""
    return span_text(list(months))
