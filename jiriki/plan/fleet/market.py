"""`Market`: what catalogue, models of cost and export rules make of the supplies of a Demand.

In: a Demand. Out: chips with what each does for each service and what it draws; offers month by
month: price, how many, and where none, why not.

Days decide. A month in which a supply is open on 8 of 30 days offers 8/30 of its number, at the
price of those days. A chip is delivered on a day only when the supply is open on that day and was
open when it was ordered, `lead_days` earlier and not before the plan begins. Closed is a supply
outside its own days, stopped by an event, in need of a licence that no event allows, or excluded
for the risk to users. A chip whose class is open (a figure is not published) counts as its
strictest class.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from jiriki.cost.assumptions import load_assumptions
from jiriki.cost.errors import CostError
from jiriki.cost.price import price, product_die
from jiriki.cost.process import load_process
from jiriki.export_control import ExportResult, export_check, load_rulebook
from jiriki.export_control.rules import Rulebook
from jiriki.plan.compare.compare import compare
from jiriki.plan.errors import DemandError
from jiriki.plan.fleet.demand import Demand, Economics, Event, Service, Supply
from jiriki.plan.fleet.months import add_months, days_of, pieces
from jiriki.products.product import Product, load_product

APPROVAL = "presumption of approval"
YEAR_MONTHS = 12
YEAR_S = 365.25 * 86400


@dataclass(frozen=True, slots=True)
class Chip:
    """A chip as the fleet sees it."""

    id: str
    vendor: str
    designer_country: str
    made_in: str
    watts: float  # power limit
    paid: float  # USD, on which upkeep is counted
    rates: dict[str, float]  # service -> units a second, base; absent: cannot
    why_not: dict[str, str]  # service -> why it cannot
    entry: float  # USD before the first one bought works
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shut:
    """Days on which a supply delivers nothing, and why."""

    first: date
    last: date
    why: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A supply month by month."""

    id: str
    chip: str
    prices: tuple[float, ...]  # USD
    caps: tuple[float, ...]  # chips; inf where nothing bounds them
    shut: tuple[Shut, ...]
    lot: int
    foundry: str | None = None
    per_wafer: float = math.inf

    def why_shut(self, month: date) -> str:
        """Return why a month offers nothing, of its last days; empty where it does not say."""
        end = add_months(month, 1)
        reasons = [span.why for span in self.shut if span.first < end and span.last >= month]
        return reasons[-1] if reasons else ""


@dataclass(frozen=True, slots=True)
class Costs:
    """Economics in plain numbers: the file's figures, else those of cost/assumptions.toml."""

    electricity: float  # USD/J
    pue: float
    life_months: float
    upkeep: float  # share a month
    load: float
    idle: float
    host_price: float  # USD a chip
    host_watts: float  # a chip
    assumed: tuple[str, ...]  # keys that the file leaves out


@dataclass(frozen=True, slots=True)
class Market:
    """All that can be had, and what it costs."""

    chips: dict[str, Chip]
    offers: tuple[Offer, ...]
    wafers: dict[str, tuple[float, ...]]  # foundry -> wafers by month
    costs: Costs


def open_market(demand: Demand) -> Market:
    """Join a demand with catalogue, models and rules. Raises DemandError or FactError."""
    ids = dict.fromkeys([s.chip for s in demand.stock] + [s.chip for s in demand.supplies])
    rates, notes = _rates(demand, tuple(ids))
    chips = {id: _chip(load_product(id), demand, rates, notes) for id in ids}
    book = known_rules(demand.known_on)
    return Market(
        chips=chips,
        offers=tuple(_offer(supply, demand, book) for supply in demand.supplies),
        wafers={foundry.id: _wafers(foundry.id, demand) for foundry in demand.foundries},
        costs=costs_of(demand.economics),
    )


def known_rules(on: date | None) -> Rulebook:
    """Return the rules as anybody knew them on a day: those published by then."""
    book = load_rulebook()
    return book if on is None else book.known_on(on)


def costs_of(economics: Economics) -> Costs:
    """Return the economics; what is not given is of cost/assumptions.toml, a chip's share of it."""
    usual = load_assumptions()
    per_server = usual.chips_per_server
    keys = ("electricity", "pue", "life", "upkeep", "load", "idle_power", "host_price")
    names = {**{key: f"server.{key}" for key in keys}, "load": "server.utilisation"}
    values = {key: usual[name].base for key, name in names.items()}
    values |= {
        "host_price": usual["server.host_price"].base / per_server,
        "host_power": usual["server.host_power"].base / per_server,
    }
    own = {key: getattr(economics, key) for key in values}
    used = {key: values[key] if own[key] is None else own[key].base for key in values}
    return Costs(
        electricity=used["electricity"],
        pue=used["pue"],
        life_months=used["life"] / YEAR_S * YEAR_MONTHS,
        upkeep=used["upkeep"] / YEAR_MONTHS,
        load=used["load"],
        idle=used["idle_power"],
        host_price=used["host_price"],
        host_watts=used["host_power"],
        assumed=tuple(key for key in values if own[key] is None),
    )


# -- chips -----------------------------------------------------------------------------------------

_Rates = dict[tuple[str, str], float | str]  # (service, chip) -> units a second, or why not


def _rates(demand: Demand, ids: Sequence[str]) -> tuple[_Rates, dict[str, list[str]]]:
    """Return what each chip does for each service, and notes a chip on how that is known."""
    software = {entry.chip: entry for entry in demand.software}
    rates: _Rates = {}
    notes: dict[str, list[str]] = {id: [] for id in ids}
    for service in demand.services:
        for chip, (rate, note) in _predicted(service, ids, demand.months[0]).items():
            own = software.get(chip)
            if own is not None and service.id in own.rates:
                rates[service.id, chip] = own.rates[service.id].base
                notes[chip].append(f"{service.id}: measured, {own.rates[service.id].source}")
                continue
            reached = own.reached.base if own is not None and own.reached is not None else 1.0
            rates[service.id, chip] = rate * reached if isinstance(rate, float) else rate
            if note:
                notes[chip].append(f"{service.id}: {note}")
        for chip in ids:
            own = software.get(chip)
            if own is not None and own.reached is not None and not notes[chip]:
                notes[chip].append(
                    f"{own.reached.base:.0%} of the prediction: {own.reached.source}"
                )
    return rates, notes


def _predicted(
    service: Service, ids: Sequence[str], on: date
) -> dict[str, tuple[float | str, str]]:
    """Return by chip the predicted units a second or why there are none, and a note."""
    comparison = compare(
        service.workload, ids, on=on, mode=service.mode, batch=service.batch,
        context=service.context,
    )  # fmt: skip
    rates: dict[str, tuple[float | str, str]] = {}
    for row in comparison.rows:
        known = row.prediction
        remark = "; ".join([*([row.note] if row.note else []), *(known.assumed if known else ())])
        rates[row.product.id] = (known.per_s[1] if known else row.why_not, remark)
    return rates


def _chip(product: Product, demand: Demand, rates: _Rates, notes: dict[str, list[str]]) -> Chip:
    if product.tdp is None:
        raise DemandError(
            f"chip {product.id}: its power is not published, so neither energy nor room for it can "
            "be planned; leave it out"
        )
    by_service = {service.id: rates[service.id, product.id] for service in demand.services}
    software = next((known for known in demand.software if known.chip == product.id), None)
    entry = software.entry.base if software is not None and software.entry is not None else 0.0
    offered = [supply for supply in demand.supplies if supply.chip == product.id]
    if product.ours and any(supply.price is None for supply in offered):
        entry += load_process(product.process).mask_set.base
    return Chip(
        id=product.id,
        vendor=product.designer,
        designer_country=product.designer_country,
        made_in=product.made_in,
        watts=product.tdp.base,
        paid=min((_paid(supply, product) for supply in offered), default=_worth(product)),
        rates={key: rate for key, rate in by_service.items() if isinstance(rate, float)},
        why_not={key: rate for key, rate in by_service.items() if isinstance(rate, str)},
        entry=entry,
        notes=tuple(notes[product.id]),
    )


def _paid(supply: Supply, product: Product) -> float:
    """Return the price of a chip before events, USD."""
    if supply.price is not None:
        return supply.price.base
    if product.ours:
        parts = price(product).parts
        return sum(part.base for name, part in parts.items() if name != "masks")
    if product.price is None:
        raise DemandError(
            f"supply {supply.id}: the catalogue has no price of {product.id}; give price"
        )
    return product.price.base


def _worth(product: Product) -> float:
    """Return what a chip of the stock counts for upkeep: its price, else what it costs to make."""
    try:
        return product.price.base if product.price is not None else price(product).total.base
    except CostError:
        return 0.0


# -- offers ----------------------------------------------------------------------------------------


def _offer(supply: Supply, demand: Demand, book: Rulebook) -> Offer:
    product = load_product(supply.chip)
    gate = _Gate(supply, product, demand, book)
    borders = gate.borders()
    base = _paid(supply, product)
    prices, caps, shut = [], [], []
    for month in demand.months:
        offered = spent = 0.0
        usual: list[float] = []
        for day, days in pieces(month, borders):
            why = gate.shut(day)
            cost = base * gate.factor(day)
            usual.append(cost)
            if why is not None:
                shut.append(Shut(day, day + timedelta(days=days - 1), why))
                continue
            number = gate.number(day) * days / days_of(month)
            offered += number
            spent += cost * days
        open_days = sum(d for day, d in pieces(month, borders) if gate.shut(day) is None)
        caps.append(offered)
        prices.append(spent / open_days if open_days else usual[-1])
    return Offer(
        id=supply.id,
        chip=supply.chip,
        prices=tuple(prices),
        caps=tuple(caps),
        shut=_joined(shut),
        lot=supply.lot,
        foundry=supply.foundry,
        per_wafer=_per_wafer(supply, product),
    )


def _joined(shut: list[Shut]) -> tuple[Shut, ...]:
    """Join neighbouring days of one reason."""
    out: list[Shut] = []
    for span in shut:
        if out and out[-1].why == span.why and out[-1].last + timedelta(days=1) == span.first:
            out[-1] = replace(out[-1], last=span.last)
        else:
            out.append(span)
    return tuple(out)


def _per_wafer(supply: Supply, product: Product) -> float:
    """Return good chips of a wafer: as given, else from the yield model."""
    if supply.per_wafer is not None:
        return supply.per_wafer.base
    if supply.foundry is None:
        return math.inf
    assumptions = load_assumptions()
    try:
        die = product_die(product, assumptions)
    except CostError as error:
        raise DemandError(
            f"supply {supply.id}: how many chips a wafer of foundry {supply.foundry} gives is not "
            f"known ({error}); give per_wafer"
        ) from None
    return die.per_wafer.base * die.good.base / product.dies * assumptions["assembly_yield"].base


def _wafers(id: str, demand: Demand) -> tuple[float, ...]:
    foundry = next(foundry for foundry in demand.foundries if foundry.id == id)
    caps = [e for e in demand.events if e.kind == "cap" and id in e.of]
    growth = foundry.growth.base if foundry.growth is not None else 0.0
    borders = _borders(caps)
    out = []
    for place, month in enumerate(demand.months):
        usual = foundry.wafers.base * (1 + growth) ** place
        out.append(sum(
            days / days_of(month) * _capped(usual, caps, day)
            for day, days in pieces(month, borders)
        ))  # fmt: skip
    return tuple(out)


def _capped(usual: float, caps: Sequence[Event], day: date) -> float:
    held = [e.value.base for e in caps if e.holds_on(day) and e.value is not None]
    return min([usual, *held])


def _borders(events: Sequence[Event]) -> set[date]:
    """Return the days on which one of the events begins, or has just ended."""
    firsts = {event.first for event in events}
    return firsts | {e.last + timedelta(days=1) for e in events if e.last not in (None, date.max)}  # type: ignore[operator]


class _Gate:
    """One supply day by day: whether it is open, how many and at what factor of its price."""

    def __init__(self, supply: Supply, product: Product, demand: Demand, book: Rulebook) -> None:
        self.supply = supply
        self.product = product
        self.demand = demand
        self.book = book
        self.events = [event for event in demand.events if supply.id in event.of]
        self.lead = timedelta(days=supply.lead_days)
        self._checked: dict[tuple[str, ...], ExportResult] = {}

    def borders(self) -> set[date]:
        """Return the days on which anything changes, for orders and for deliveries."""
        rules = self.book.rules
        days = {rule.first for rule in rules}
        days |= {rule.last + timedelta(days=1) for rule in rules if rule.last is not None}
        days |= _borders(self.events) | {self.demand.months[0]}
        days |= {self.supply.first} if self.supply.first is not None else set()
        days |= {self.supply.last + timedelta(days=1)} if self.supply.last is not None else set()
        return days | {day + self.lead for day in days}

    def shut(self, day: date) -> str | None:
        """Return why nothing is delivered on a day, None where something is."""
        if self.supply.first is not None and day < self.supply.first:
            return f"offered from {self.supply.first}"
        if self.supply.last is not None and day > self.supply.last:
            return f"offered until {self.supply.last}"
        why = self._barred(day)
        if why is not None or not self.lead:
            return why
        ordered = day - self.lead
        if ordered < self.demand.months[0]:
            return f"delivery takes {self.supply.lead_days} days"
        why = self._barred(ordered)
        return None if why is None else f"{why}, then {self.supply.lead_days} days of delivery"

    def number(self, day: date) -> float:
        """Return chips a month, as on this day."""
        stated = self.supply.per_month
        usual = stated.base if stated is not None else math.inf
        return _capped(usual, [e for e in self.events if e.kind == "cap"], day)

    def factor(self, day: date) -> float:
        """Return the price of this day over the base price."""
        held = [e for e in self.events if e.holds_on(day) and e.value is not None]
        factor = math.prod(e.value.base for e in held if e.kind == "price" and e.value)
        return factor * (1 + sum(e.value.base for e in held if e.kind == "tariff" and e.value))

    def _barred(self, day: date) -> str | None:
        held = [event for event in self.events if event.holds_on(day)]
        stopped = next((event for event in held if event.kind == "stop"), None)
        if stopped is not None:
            return stopped.name
        result = self._export(day)
        licence = licence_needed(result, self.product, self.demand.home, self.book, day)
        if licence is not None and not any(event.kind == "allow" for event in held):
            return licence
        if self.demand.user_risk == "exclude":
            return user_risk(result, self.book, day)
        return None

    def _export(self, day: date) -> ExportResult:
        key = tuple(rule.id for rule in self.book.rules if rule.holds_on(day))
        if key not in self._checked:
            self._checked[key] = export_check(self.product, day, self.book, to=self.demand.home)
        return self._checked[key]


def licence_needed(
    result: ExportResult, product: Product, home: str, book: Rulebook, day: date
) -> str | None:
    """Say why a chip needs a licence to reach `home`, None where it does not.

    `result` is of a check of the chip bound for `home`. A chip designed and made within the
    controlled countries is no export of anyone's who asks for one. Not legal advice.
    """
    abroad = [product.designer_country, product.made_in]
    if all(country in book.controlled for country in abroad):
        return None
    by_class = result.finding("licence")
    needed = by_class is not None and _beyond(by_class.results, book, "licence", day)
    if needed and not _spared(result, book, day):
        review = result.finding("review")
        likely = review is not None and review.results == (APPROVAL,)
        judged = f" ({APPROVAL})" if likely else ""
        return f"{result.strictest} needs a licence for {home}{judged}"
    letters = result.finding("letters")
    if letters is not None and _beyond(letters.results, book, "letters", day):
        return f"{letters.rule}: a licence for {home} is needed whatever the class"
    foundry = result.finding("foundry")
    rule = book.on("foundry", day)
    asked = product.designer_country in book.controlled and home in book.controlled
    if asked and foundry is not None and rule is not None and rule.otherwise in foundry.results:
        return f"{foundry.rule}: its foundry abroad may not ship it"
    return None


def _spared(result: ExportResult, book: Rulebook, day: date) -> bool:
    """Say whether a licence exception covers the chip, whatever class its open figures give."""
    finding, rule = result.finding("exception"), book.on("exception", day)
    return finding is not None and rule is not None and rule.otherwise not in finding.results


def user_risk(result: ExportResult, book: Rulebook, day: date) -> str | None:
    """Say that using the chip is at risk, None where it is not. Not legal advice."""
    finding = result.finding("user")
    if finding is None or not _beyond(finding.results, book, "user", day):
        return None
    open_class = " (its class is open)" if len(finding.results) > 1 else ""
    return f"{finding.rule}: risk to its users{open_class}"


def _beyond(results: Sequence[str], book: Rulebook, topic: str, day: date) -> bool:
    """Say whether a rule may apply: any result but the one for chips that it spares."""
    rule = book.on(topic, day)
    return rule is not None and any(result != rule.otherwise for result in results)
