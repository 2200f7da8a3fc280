"""`Plan`: the fleet month by month, for low, base and high demand.

In: a Demand. Out: for each scenario a `Course`: purchases, fleet, work, cost, energy, the share of
demand served and on whom it depends, binding constraints and reasons; or why no fleet is possible.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from jiriki.plan.errors import InfeasibleError
from jiriki.plan.fleet.demand import SCENARIOS, Demand
from jiriki.plan.fleet.market import Market, known_rules, open_market
from jiriki.plan.fleet.milp import (
    DAY_S,
    MILLION,
    Problem,
    build,
    counts_for,
    depends_on,
    rate_of,
    worth_of,
)
from jiriki.plan.fleet.months import days_of
from jiriki.plan.fleet.reasons import Binding, Reason, Unserved, bindings, reasons, unserved
from jiriki.plan.fleet.solve import GAP, Solution, solve, worth

KINDS = ("vendor", "designer_country", "made_in")


@dataclass(frozen=True, slots=True)
class Money:
    """Million USD of a month."""

    capital: float  # chips, hosts and entries, amortised
    energy: float
    upkeep: float
    unserved: float  # worth of what is not served
    spent: float  # paid for chips, hosts and entries in this month

    @property
    def running(self) -> float:
        """What the month costs, capital amortised, without what is not served."""
        return self.capital + self.energy + self.upkeep


@dataclass(frozen=True, slots=True)
class Month:
    """One month of a course. Shares are of one, of the month's demand weighted by its worth."""

    month: date
    owned: dict[str, int]  # chip
    bought: dict[str, int]  # supply
    retired: dict[str, int]  # chip
    at_work: dict[tuple[str, str], float]  # (service, chip)
    rates: dict[str, float]  # service -> units a second asked
    served: dict[str, float]  # service -> share
    served_share: float
    worth: float  # million USD of all demand
    depends: dict[str, dict[str, float]]  # of KINDS -> vendor or country -> share
    domestic: float  # share served by chips designed and made at home
    money: Money
    energy_j: float
    power_w: float  # that the fleet may draw, PUE included


@dataclass(frozen=True, slots=True)
class Course:
    """The fleet of one scenario."""

    scenario: str
    months: tuple[Month, ...]
    cost: float  # million USD, what was minimised
    gap: float  # share of it by which a better fleet may exist
    entries: dict[str, float]  # chip -> million USD paid before its first use
    bindings: tuple[Binding, ...]
    unserved: tuple[Unserved, ...]
    reasons: tuple[Reason, ...]

    @property
    def served_share(self) -> float:
        """Share of the demand of all months that is served, weighted by its worth.

        Where no demand is worth anything, all months and services weigh the same.
        """
        whole = sum(month.worth for month in self.months)
        if not whole:
            return sum(month.served_share for month in self.months) / len(self.months)
        missing = sum(month.money.unserved for month in self.months)
        return 1 - missing / whole


@dataclass(frozen=True, slots=True)
class Plan:
    """A demand, what could be had, and the course of each scenario (or why it has none)."""

    demand: Demand
    market: Market
    courses: dict[str, Course]
    impossible: dict[str, str]  # scenario -> why

    @property
    def base(self) -> Course:
        return self.courses["base"]


def plan_fleet(
    demand: Demand, scenarios: Iterable[str] = SCENARIOS, market: Market | None = None
) -> Plan:
    """Plan every scenario. Raises InfeasibleError when the base scenario has no fleet."""
    market = market or open_market(demand)
    courses, impossible = {}, {}
    for scenario in scenarios:
        try:
            courses[scenario] = plan_course(demand, market, scenario)
        except InfeasibleError as error:
            if scenario == "base":
                raise
            impossible[scenario] = str(error)
    return Plan(demand, market, courses, impossible)


def plan_course(demand: Demand, market: Market, scenario: str, gap: float = GAP) -> Course:
    """Plan one scenario, within `gap` of the least cost. Raises InfeasibleError."""
    problem = build(demand, market, scenario)
    solution = solve(problem, gap)
    value = worth(problem, solution)
    read = _Reader(demand, market, scenario, problem, solution)
    bound = bindings(demand, market, problem, solution, value)
    months = tuple(read.month(place) for place in range(len(demand.months)))
    return Course(
        scenario=scenario,
        months=months,
        cost=solution.cost,
        gap=solution.gap,
        entries=read.entries(),
        bindings=bound,
        unserved=unserved(demand, market, problem, solution, value),
        reasons=reasons(demand, market, problem, solution, value),
    )


class _Reader:
    """Reads months out of a solution."""

    def __init__(
        self, demand: Demand, market: Market, scenario: str, problem: Problem, solution: Solution
    ) -> None:
        self.demand = demand
        self.market = market
        self.scenario = scenario
        self.problem = problem
        self.values = solution.values
        self.costs = market.costs

    def entries(self) -> dict[str, float]:
        entered = self.problem.entered.items()
        return {
            chip: self.market.chips[chip].entry / MILLION
            for chip, column in entered
            if self.values[column] > 0.5
        }

    def month(self, at: int) -> Month:
        owned = {chip: self._count(self.problem.owned[chip, at]) for chip in self.market.chips}
        retired = {chip: self._count(self.problem.retired[chip, at]) for chip in owned}
        bought = {
            offer.id: self._count(self.problem.lots[offer.id, at]) * offer.lot
            for offer in self.market.offers
        }
        at_work = {
            (service, chip): float(self.values[column])
            for (service, chip, month), column in self.problem.used.items()
            if month == at and self.values[column] > 1e-6
        }
        services = self.demand.services
        served = {service.id: 1 - self._short(service.id, at) for service in services}
        weights = self._weights(at)
        joules = self._joules(owned, at_work, at)
        return Month(
            month=self.demand.months[at],
            owned=owned,
            bought={key: count for key, count in bought.items() if count},
            retired={key: count for key, count in retired.items() if count},
            at_work=at_work,
            rates={entry.id: rate_of(entry, self.scenario, at) for entry in services},
            served=served,
            served_share=sum(weights[key] * share for key, share in served.items()),
            worth=sum(
                worth_of(self.demand, self.market, entry, self.scenario, at) for entry in services
            ),
            depends={kind: self._depends(kind, at_work, weights, at) for kind in KINDS},
            domestic=self._share("domestic", self.demand.home, at_work, weights, at),
            money=self._money(at, owned, bought, joules),
            energy_j=joules,
            power_w=sum(self._drawn(chip) * count for chip, count in owned.items()),
        )

    def _count(self, column: int) -> int:
        return round(self.values[column])

    def _short(self, service: str, at: int) -> float:
        """Return the share not served; what the solver's tolerance leaves is none."""
        share = float(self.values[self.problem.short[service, at]])
        return share if share > 1e-6 else 0.0

    def _weights(self, at: int) -> dict[str, float]:
        """Return each service's part of the month's worth."""
        worths = {
            service.id: worth_of(self.demand, self.market, service, self.scenario, at)
            for service in self.demand.services
        }
        whole = sum(worths.values())
        return {k: w / whole if whole else 1 / len(worths) for k, w in worths.items()}

    def _share(
        self, kind: str, of: str, at_work: dict[tuple[str, str], float],
        weights: dict[str, float], at: int,
    ) -> float:  # fmt: skip
        spare = 1 + self.demand.economics.spare
        rates = {entry.id: rate_of(entry, self.scenario, at) for entry in self.demand.services}
        return sum(
            weights[service] * count * self.market.chips[chip].rates[service] / spare
            / rates[service]
            for (service, chip), count in at_work.items()
            if counts_for(self.market.chips[chip], kind, of)
        )  # fmt: skip

    def _depends(
        self, kind: str, at_work: dict[tuple[str, str], float], weights: dict[str, float], at: int
    ) -> dict[str, float]:
        names = dict.fromkeys(depends_on(chip, kind) for chip in self.market.chips.values())
        shares = {name: self._share(kind, name, at_work, weights, at) for name in names}
        return {name: share for name, share in shares.items() if share > 1e-9}

    def _drawn(self, chip: str) -> float:
        return (self.market.chips[chip].watts + self.costs.host_watts) * self.costs.pue

    def _joules(
        self, owned: dict[str, int], at_work: dict[tuple[str, str], float], at: int
    ) -> float:
        chips, idle = self.market.chips, self.costs.idle
        watts = sum(
            count * (chips[chip].watts * idle + self.costs.host_watts)
            for chip, count in owned.items()
        )
        watts += sum(
            count * chips[chip].watts * (1 - idle) * self.costs.load
            for (_, chip), count in at_work.items()
        )
        return watts * self.costs.pue * days_of(self.demand.months[at]) * DAY_S

    def _money(
        self, at: int, owned: dict[str, int], bought: dict[str, int], joules: float
    ) -> Money:
        chips, costs = self.market.chips, self.costs
        short = {entry.id: self._short(entry.id, at) for entry in self.demand.services}
        entries = self._entries_at(at)
        return Money(
            capital=self._capital(at) + sum(self.entries().values()) / costs.life_months,
            energy=joules * costs.electricity / MILLION,
            upkeep=sum(
                count * costs.upkeep * (chips[chip].paid + costs.host_price) / MILLION
                for chip, count in owned.items()
            ),
            unserved=sum(
                short[entry.id] * worth_of(self.demand, self.market, entry, self.scenario, at)
                for entry in self.demand.services
            ),
            spent=self._paid(at) + entries,
        )

    def _paid(self, at: int) -> float:
        """Return the million USD paid for chips and hosts in a month."""
        return sum(
            self._count(self.problem.lots[offer.id, at]) * offer.lot
            * (offer.prices[at] + self.costs.host_price) / MILLION
            for offer in self.market.offers
        )  # fmt: skip

    def _capital(self, at: int) -> float:
        """Return what is amortised in a month, of all that was bought within a life before."""
        life = self.costs.life_months
        return sum(
            self._paid(bought) * min(1.0, max(0.0, life - (at - bought))) / life
            for bought in range(at + 1)
        )

    def _entries_at(self, at: int) -> float:
        """Return the entries paid in a month: that of the first purchase of their chip."""
        paid = 0.0
        for chip, cost in self.entries().items():
            offers = [offer for offer in self.market.offers if offer.chip == chip]
            months = [
                month for month in range(len(self.demand.months))
                if any(self._count(self.problem.lots[o.id, month]) for o in offers)
            ]  # fmt: skip
            paid += cost if months and months[0] == at else 0.0
        return paid


def events_of(demand: Demand) -> list[tuple[date, str]]:
    """Return the days of the plan on which an event, a rule or a policy begins or an event ends."""
    marks = []
    for event in demand.events:
        marks.append((event.first, event.name))
        if event.last is not None:
            marks.append((event.last, f"end of: {event.name}"))
    marks += [(entry.first, f"policy: {entry.name}") for entry in demand.policies if entry.first]
    rules = known_rules(demand.known_on).rules
    marks += [(rule.first, f"rule {rule.id}") for rule in rules]
    return sorted((day, name) for day, name in marks if demand.months[0] <= day < demand.end)
