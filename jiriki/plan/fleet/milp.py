"""The fleet as a mixed-integer problem: what may be bought, owned, retired and put to work.

In: a Demand, its Market, a scenario of demand. Out: a `Problem`: variables with bounds and cost,
rows with the constraint each belongs to. `plan.solve` gives it to HiGHS.

Variables, a month: lots bought of a supply (whole numbers), chips retired (whole numbers), chips
owned, chips at work for a service, share of a service's demand that is not served; and for a chip
with an entry cost, whether it is bought at all. Money is in million USD, power in watts, chips and
wafers are counted, demand is a share of the month's.

The objective is the cost over the months: chips and hosts (amortised over their life, or as paid),
entry costs, upkeep, energy, and the worth of what is not served.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from jiriki.plan.fleet.demand import Demand, Policy, Service
from jiriki.plan.fleet.market import Chip, Market, Offer
from jiriki.plan.fleet.months import days_of, months_between

MILLION = 1e6
DAY_S = 86400.0
AT_MOST, EQUAL, AT_LEAST = "<=", "=", ">="
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Group:
    """A constraint as its author knows it, over all months that it holds in."""

    kind: str  # "supply", "foundry", "power", "room", "budget", "policy", "serve"
    of: str  # which supply, foundry, policy, service
    text: str  # the constraint in words
    unit: str  # of its limit


@dataclass(frozen=True, slots=True)
class Row:
    """One inequality of the problem. Rows of a group can be relaxed, others only say what is."""

    terms: dict[int, float]
    sense: str
    limit: float
    group: int | None = None
    month: int | None = None


@dataclass(slots=True)
class Problem:
    """Columns, rows and the constraints they belong to."""

    cost: list[float] = field(default_factory=list)  # million USD
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    constant: float = 0.0  # million USD that no decision changes
    lots: dict[tuple[str, int], int] = field(default_factory=dict)  # (supply, month) -> column
    retired: dict[tuple[str, int], int] = field(default_factory=dict)  # (chip, month)
    owned: dict[tuple[str, int], int] = field(default_factory=dict)
    used: dict[tuple[str, str, int], int] = field(default_factory=dict)  # (service, chip, month)
    short: dict[tuple[str, int], int] = field(default_factory=dict)  # (service, month)
    entered: dict[str, int] = field(default_factory=dict)  # chip

    def column(self, cost: float, lower: float, upper: float, whole: bool = False) -> int:
        """Add a column; return its index."""
        self.cost.append(cost)
        self.lower.append(lower)
        self.upper.append(upper)
        self.whole.append(whole)
        return len(self.cost) - 1

    def group(self, kind: str, of: str, text: str, unit: str) -> int:
        """Add a group of rows, one constraint in words; return its index."""
        self.groups.append(Group(kind, of, text, unit))
        return len(self.groups) - 1

    def row(
        self, terms: dict[int, float], sense: str, limit: float,
        group: int | None = None, month: int | None = None,
    ) -> None:  # fmt: skip
        """Add a row: the weighted columns against a limit."""
        self.rows.append(Row(terms, sense, limit, group, month))


def rate_of(service: Service, scenario: str, month: int) -> float:
    """Return the units a second of the busiest hour of a month, counted from 0."""
    rate, growth = getattr(service.rate, scenario), getattr(service.growth, scenario)
    return rate * (1 + growth) ** month


def worth_of(demand: Demand, market: Market, service: Service, scenario: str, month: int) -> float:
    """Return the million USD of a month of a service, wholly served."""
    seconds = days_of(demand.months[month]) * DAY_S * market.costs.load
    return rate_of(service, scenario, month) * seconds * service.worth.base / MILLION


def build(demand: Demand, market: Market, scenario: str) -> Problem:
    """Write the problem of one scenario of demand (low, base, high)."""
    return _Builder(demand, market, scenario).build()


class _Builder:
    """Writes one problem. Every method adds the columns or rows of one noun."""

    def __init__(self, demand: Demand, market: Market, scenario: str) -> None:
        self.demand = demand
        self.market = market
        self.scenario = scenario
        self.costs = market.costs
        self.span = range(len(demand.months))
        self.problem = Problem()

    def build(self) -> Problem:
        """Build the problem of a scenario."""
        self._fleet()
        self._services()
        self._supplies()
        self._entries()
        self._foundries()
        self._limits()
        self._policies()
        return self.problem

    # -- costs, million USD

    def _seconds(self, month: int) -> float:
        return days_of(self.demand.months[month]) * DAY_S

    def _energy(self, watts: float, month: int) -> float:
        joules = watts * self._seconds(month) * self.costs.pue
        return joules * self.costs.electricity / MILLION

    def charged(self, price: float, month: int) -> float:
        """Return what of a price paid in a month counts within the plan."""
        if self.demand.economics.objective == "cash":
            return price / MILLION
        left = min(len(self.demand.months) - month, self.costs.life_months)
        return price / MILLION * left / self.costs.life_months

    def _entry_charged(self, chip: Chip) -> float:
        whole = self.demand.economics.objective == "cash"
        months = len(self.demand.months)
        share = 1.0 if whole else min(1.0, months / self.costs.life_months)
        return chip.entry / MILLION * share

    # -- the fleet

    def _fleet(self) -> None:
        """Add what a chip owned costs, upkeep and idle power; what is retired is gone."""
        p = self.problem
        for chip in self.market.chips.values():
            upkeep = self.costs.upkeep * (chip.paid + self.costs.host_price) / MILLION
            idle = chip.watts * self.costs.idle + self.costs.host_watts
            for month in self.span:
                cost = upkeep + self._energy(idle, month)
                p.owned[chip.id, month] = p.column(cost, 0, math.inf)
                p.retired[chip.id, month] = p.column(0.0, 0, math.inf, whole=True)

    def _arrivals(self, chip: str, month: int) -> float:
        """Return the chips of the stock that arrive in a month; in the first all from before."""
        when = self.demand.months[month]
        return sum(
            stock.count for stock in self.demand.stock
            if stock.chip == chip
            and (stock.arrives == when or (month == 0 and stock.arrives < when))
            and not (stock.retires is not None and stock.retires <= when)
        )  # fmt: skip

    def _balance(self, chip: str) -> None:
        """Add: owned = owned before + arrivals + bought - retired."""
        p = self.problem
        offers = [offer for offer in self.market.offers if offer.chip == chip]
        for month in self.span:
            terms = {p.owned[chip, month]: 1.0, p.retired[chip, month]: 1.0}
            if month:
                terms[p.owned[chip, month - 1]] = -1.0
            terms |= {p.lots[offer.id, month]: -float(offer.lot) for offer in offers}
            p.row(terms, EQUAL, self._arrivals(chip, month))

    def _expiry(self, chip: str) -> None:
        """Add: by each month at least those are retired whose time is over."""
        p = self.problem
        offers = [offer for offer in self.market.offers if offer.chip == chip]
        life = math.ceil(self.costs.life_months - _SLACK)
        stock = [s for s in self.demand.stock if s.chip == chip and s.retires is not None]
        for month in self.span:
            gone = sum(s.count for s in stock if self._gone(s.arrives, s.retires, month))
            terms = {p.retired[chip, m]: 1.0 for m in range(month + 1)}
            for offer in offers:
                for bought in range(month - life + 1):
                    terms[p.lots[offer.id, bought]] = -float(offer.lot)
            if gone or len(terms) > month + 1:
                p.row(terms, AT_LEAST, gone)

    def _gone(self, arrives: date, retires: date | None, month: int) -> bool:
        """Say whether a batch of the stock came into the plan and has left it again."""
        first = self.demand.months[0]
        came = retires is not None and retires > first and months_between(first, arrives) <= month
        return came and retires is not None and retires <= self.demand.months[month]

    # -- demand

    def _services(self) -> None:
        p = self.problem
        for service in self.demand.services:
            able = [c for c in self.market.chips.values() if service.id in c.rates]
            for month in self.span:
                worth = worth_of(self.demand, self.market, service, self.scenario, month)
                short = p.column(worth, 0, 1)
                p.short[service.id, month] = short
                rate = rate_of(service, self.scenario, month)
                terms = {short: 1.0}
                for chip in able:
                    busy = chip.watts * (1 - self.costs.idle) * self.costs.load
                    used = p.column(self._energy(busy, month), 0, math.inf)
                    p.used[service.id, chip.id, month] = used
                    terms[used] = self.served(service, chip, rate)
                p.row(terms, EQUAL, 1.0)
            if service.must_serve is not None:
                text = f"{100 * service.must_serve:.4g} % of service {service.id} must be served"
                group = p.group("serve", service.id, text, "%")
                for month in self.span:
                    short = p.short[service.id, month]
                    p.row({short: 100.0}, AT_MOST, 100 * (1 - service.must_serve), group, month)
        for chip in self.market.chips.values():
            for month in self.span:
                terms = {
                    column: 1.0
                    for (_, used, at), column in p.used.items()
                    if used == chip.id and at == month
                }
                p.row({**terms, p.owned[chip.id, month]: -1.0}, AT_MOST, 0.0)

    def served(self, service: Service, chip: Chip, rate: float) -> float:
        """Return the share of a demand that one chip serves, the spare ones taken off."""
        return chip.rates[service.id] / (1 + self.demand.economics.spare) / rate

    # -- what can be had

    def _most_needed(self, chip: Chip) -> float:
        """Return how many chips of a kind would serve everything that they can."""
        return max(
            sum(
                1 / self.served(service, chip, rate_of(service, self.scenario, month))
                for service in self.demand.services
                if service.id in chip.rates
            )
            for month in self.span
        )

    def _supplies(self) -> None:
        p = self.problem
        for offer in self.market.offers:
            group = p.group("supply", offer.id, _supply_text(offer), "chips a month")
            for month in self.span:
                price = (offer.prices[month] + self.costs.host_price) * offer.lot
                lots = p.column(self.charged(price, month), 0, math.inf, whole=True)
                p.lots[offer.id, month] = lots
                if math.isfinite(offer.caps[month]):
                    p.row({lots: offer.lot}, AT_MOST, offer.caps[month], group, month)
        for chip in self.market.chips:
            self._balance(chip)
            self._expiry(chip)

    def _entries(self) -> None:
        """Add the entry of a chip that is bought at all, unless the fleet has it already."""
        p = self.problem
        stocked = {entry.chip for entry in self.demand.stock if entry.count}
        for chip in self.market.chips.values():
            offers = [offer for offer in self.market.offers if offer.chip == chip.id]
            if not chip.entry or not offers or chip.id in stocked:
                continue
            entered = p.column(self._entry_charged(chip), 0, 1, whole=True)
            p.entered[chip.id] = entered
            most = self._most_needed(chip)
            for offer in offers:
                bound = sum(min(cap, most) for cap in offer.caps)
                bound = min(bound, most * math.ceil(len(self.span) / self.costs.life_months))
                terms = {p.lots[offer.id, month]: float(offer.lot) for month in self.span}
                p.row({**terms, entered: -(bound + offer.lot)}, AT_MOST, 0.0)

    def _foundries(self) -> None:
        p = self.problem
        for foundry, wafers in self.market.wafers.items():
            offers = [offer for offer in self.market.offers if offer.foundry == foundry]
            text = f"wafers of foundry {foundry}"
            group = p.group("foundry", foundry, text, "wafers a month")
            for month in self.span:
                terms = {p.lots[offer.id, month]: offer.lot / offer.per_wafer for offer in offers}
                if terms:
                    p.row(terms, AT_MOST, wafers[month], group, month)

    # -- limits

    def _limits(self) -> None:
        p, limits = self.problem, self.demand.limits
        if limits.power is not None:
            watts = limits.power.base
            group = p.group("power", "", f"power limit of {watts / 1e3:,.0f} kW", "kW")
            for month in self.span:
                terms = {
                    p.owned[chip.id, month]: self.drawn(chip) / 1e3
                    for chip in self.market.chips.values()
                }
                p.row(terms, AT_MOST, watts / 1e3, group, month)
        if limits.chips is not None:
            room = limits.chips.base
            group = p.group("room", "", f"room for {room:,.0f} chips", "chips")
            for month in self.span:
                terms = {p.owned[chip, month]: 1.0 for chip in self.market.chips}
                p.row(terms, AT_MOST, room, group, month)
        if limits.budget is not None:
            budget = limits.budget.base / MILLION
            text = f"budget of {budget:,.4g} million USD a month"
            group = p.group("budget", "", text, "million USD a month")
            for month in self.span:
                p.row(self._spent(month), AT_MOST, budget, group, month)

    def drawn(self, chip: Chip) -> float:
        """Return the watts that a chip may draw at the inlet, its part of the host included."""
        return (chip.watts + self.costs.host_watts) * self.costs.pue

    def _spent(self, month: int) -> dict[int, float]:
        return {
            self.problem.lots[offer.id, month]: (offer.prices[month] + self.costs.host_price)
            * offer.lot
            / MILLION
            for offer in self.market.offers
        }

    # -- policies

    def _policies(self) -> None:
        for policy in self.demand.policies:
            for of in self._meant(policy):
                self._policy(policy, of)

    def _meant(self, policy: Policy) -> list[str]:
        if policy.of is not None or policy.kind == "domestic":
            return [policy.of or self.demand.home]
        return sorted({depends_on(chip, policy.kind) for chip in self.market.chips.values()})

    def _policy(self, policy: Policy, of: str) -> None:
        sense = AT_MOST if policy.at_most is not None else AT_LEAST
        share = policy.at_most if policy.at_most is not None else policy.at_least
        assert share is not None, "the reader sees to it that one of the two is given"
        text = f"policy {policy.name!r}"
        if policy.of is None and policy.kind != "domestic":
            text += f" for {of}"
        group = self.problem.group("policy", policy.name, text, "% of demand")
        for month in self.span:
            if policy.first is None or self.demand.months[month] >= policy.first:
                terms = dict(self._share_terms(policy, of, month))
                self.problem.row(terms, sense, 100 * share, group, month)

    def _share_terms(self, policy: Policy, of: str, month: int) -> Iterator[tuple[int, float]]:
        """Yield the % of demand that a chip at work serves, where it counts for the policy."""
        services = [
            service for service in self.demand.services if policy.service in (None, service.id)
        ]
        worths = {
            service.id: worth_of(self.demand, self.market, service, self.scenario, month)
            for service in services
        }
        whole = sum(worths.values())
        for service in services:
            rate = rate_of(service, self.scenario, month)
            weight = worths[service.id] / whole if whole else 1 / len(services)
            for chip in self.market.chips.values():
                if service.id in chip.rates and counts_for(chip, policy.kind, of):
                    column = self.problem.used[service.id, chip.id, month]
                    yield column, 100 * weight * self.served(service, chip, rate)


def depends_on(chip: Chip, kind: str) -> str:
    """Return the vendor or country that a chip counts for."""
    return {
        "vendor": chip.vendor,
        "designer_country": chip.designer_country,
        "made_in": chip.made_in,
    }[kind]


def counts_for(chip: Chip, kind: str, of: str) -> bool:
    """Say whether a chip depends on `of`; domestic is designed and made there."""
    if kind == "domestic":
        return chip.designer_country == chip.made_in == of
    return depends_on(chip, kind) == of


def _supply_text(offer: Offer) -> str:
    why = list(dict.fromkeys(span.why.split(", then ")[0] for span in offer.shut))
    return f"supply {offer.id}" + (f" ({'; '.join(why)})" if why else "")
