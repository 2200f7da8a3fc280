"""`Demand`: what a fleet must serve, what may be bought when, and under which rules.

In: a TOML of the user's (`examples/` has one; `docs/method-cost.md` explains every key). Out: a
checked Demand, still without the catalogue: `plan.market` joins the two.

Vocabulary. A *service* runs a workload at a rate that grows; its rate is that of the busiest hour.
A *supply* is a way to get a chip: price, number a month, days of delivery. A *foundry* bounds
supplies that share its wafers. An *event* stops, allows (grants the licence that export rules ask
for), caps or prices supplies between two days, both included. A *policy* bounds the share of demand
that depends on a vendor or a country.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path
from typing import Any

from jiriki.export_control import load_rulebook
from jiriki.plan.errors import DemandError
from jiriki.plan.fleet.months import add_months, months_from, read_month
from jiriki.predict import MODES, load_workload
from jiriki.products.figure import Figure
from jiriki.products.product import load_product, load_products
from jiriki.products.table import Table, load_table, parse_table, spell_out

EVENT_KINDS = ("stop", "allow", "cap", "price", "tariff")
POLICY_KINDS = ("vendor", "designer_country", "made_in", "domestic")
OBJECTIVES = ("amortised", "cash")
SCENARIOS = ("low", "base", "high")
USER_RISK = ("allow", "exclude")
LONGEST_MONTHS = 60


@dataclass(frozen=True, slots=True)
class Service:
    """A workload and how much of it is asked."""

    id: str
    workload: str
    unit: str  # of the workload, such as "tokens"
    mode: str  # of MODES
    batch: int | None
    context: int | None
    rate: Figure  # units a second in the busiest hour of the first month
    growth: Figure  # share a month
    worth: Figure  # USD a unit: what a unit that is not served costs
    must_serve: float | None  # share of demand that has to be served


@dataclass(frozen=True, slots=True)
class Stock:
    """Chips owned before the first month, or that arrive whatever is decided."""

    chip: str
    count: int
    arrives: date  # month
    retires: date | None  # month from which they are gone


@dataclass(frozen=True, slots=True)
class Software:
    """What it takes to run the services on a chip; a chip without an entry runs as predicted."""

    chip: str
    reached: Figure | None  # share of the predicted throughput that its software reaches
    entry: Figure | None  # USD once, before the first one bought works
    rates: dict[str, Figure]  # service -> measured units a second, in place of the prediction


@dataclass(frozen=True, slots=True)
class Supply:
    """A way to get a chip."""

    id: str
    chip: str
    price: Figure | None  # USD; None: the catalogue's
    per_month: Figure | None  # chips; None: as many as asked
    first: date | None  # days of delivery
    last: date | None
    lead_days: int
    lot: int  # chips bought at once
    foundry: str | None
    per_wafer: Figure | None  # chips of a wafer; None: from the yield model


@dataclass(frozen=True, slots=True)
class Foundry:
    """Wafers that supplies share."""

    id: str
    wafers: Figure  # a month
    growth: Figure | None  # share a month


@dataclass(frozen=True, slots=True)
class Event:
    """What happens to supplies, or to the wafers of a foundry, between two days."""

    name: str
    kind: str  # of EVENT_KINDS
    of: tuple[str, ...]  # supplies; of a cap also foundries
    first: date
    last: date | None  # included; None: for good
    value: Figure | None  # cap: chips or wafers a month; price: factor; tariff: share
    in_wafers: bool  # a cap of foundries
    source: str

    def holds_on(self, day: date) -> bool:
        """Say whether the event holds on a day."""
        return self.first <= day and (self.last is None or day <= self.last)

    def meets(self, other: "Event") -> bool:
        """Say whether there is a day of both."""
        ends = [event.last for event in (self, other) if event.last is not None]
        return max(self.first, other.first) <= min(ends, default=date.max)


@dataclass(frozen=True, slots=True)
class Policy:
    """A bound on the share of demand that depends on a vendor, a country, or on none abroad."""

    name: str
    kind: str  # of POLICY_KINDS
    of: str | None  # which vendor or country; None: each of them (at_most) or home (domestic)
    at_most: float | None
    at_least: float | None
    service: str | None  # None: all, weighted by their worth
    first: date | None  # month
    source: str


@dataclass(frozen=True, slots=True)
class Economics:
    """What running chips costs; keys that the file leaves out are of cost/assumptions.toml."""

    objective: str  # of OBJECTIVES
    electricity: Figure | None  # USD/J
    pue: Figure | None
    life: Figure | None  # s
    upkeep: Figure | None  # share of the price a year
    load: Figure | None  # mean rate over the rate of the busiest hour
    idle_power: Figure | None  # share of the power limit
    host_price: Figure | None  # USD a chip
    host_power: Figure | None  # W a chip
    spare: float  # chips that stand by, a share of those at work


@dataclass(frozen=True, slots=True)
class Limits:
    """What the data centre gives; None is no limit."""

    power: Figure | None  # W at its inlet, PUE included
    chips: Figure | None  # that there is room for
    budget: Figure | None  # USD a month for chips and hosts


@dataclass(frozen=True, slots=True)
class Demand:
    """A whole question; see the module docstring for the vocabulary."""

    title: str
    why: str
    home: str  # ISO country where the chips go
    months: tuple[date, ...]
    known_on: date | None  # rules published later are not foreseen
    user_risk: str  # of USER_RISK: chips whose use is at risk under United States guidance
    economics: Economics
    limits: Limits
    services: tuple[Service, ...]
    stock: tuple[Stock, ...]
    software: tuple[Software, ...]
    supplies: tuple[Supply, ...]
    foundries: tuple[Foundry, ...]
    events: tuple[Event, ...]
    policies: tuple[Policy, ...]

    @property
    def end(self) -> date:
        """The first day after the last month."""
        return add_months(self.months[-1], 1)


def load_demand(path: Path) -> Demand:
    """Read a demand's file. Raises DemandError, or FactError for figures and unknown chips."""
    return _demand(load_table(path, f"demand {path}", DemandError))


def parse_demand(content: str | bytes, where: str = "demand") -> Demand:
    """Read a demand. Raises DemandError, or FactError for figures and unknown chips."""
    return _demand(parse_table(content, where, DemandError))


def _demand(top: Table) -> Demand:
    top.defaults = _defaults(top)
    services = tuple(_service(entry) for entry in top.tables("service", "service"))
    units = {entry.id: entry.unit for entry in services}
    demand = Demand(
        title=top.text("title"),
        why=top.text("why", ""),
        home=_country(top, "home"),
        months=months_from(_month(top, "start"), _count(top)),
        known_on=top.day("known_on"),
        user_risk=top.choice("user_risk", USER_RISK, "allow"),
        economics=_economics(top.inner("economics")),
        limits=_limits(top.inner("limits")),
        services=services,
        stock=tuple(_stock(entry, top) for entry in top.tables("stock", "stock")),
        software=tuple(_software(entry, units) for entry in top.tables("software", "software")),
        supplies=tuple(_supply(entry) for entry in top.tables("supply", "supply")),
        foundries=tuple(_foundry(entry) for entry in top.tables("foundry", "foundry")),
        events=tuple(_event(entry) for entry in top.tables("event", "event")),
        policies=tuple(_policy(entry) for entry in top.tables("policy", "policy")),
    )
    top.close()
    _check(demand, top.where)
    return demand


def _defaults(top: Table) -> dict[str, Any]:
    """Return source and date of figures that name none: both, or neither."""
    defaults = {key: top.table[key] for key in ("source", "date") if top.has(key)}
    if len(defaults) == 1:
        raise DemandError(f"{top.where}: source and date go together; give both or none of them")
    return defaults


def _count(top: Table) -> int:
    count = top.whole("months", 1)
    if count > LONGEST_MONTHS:
        raise DemandError(
            f"{top.where}: months = {count} exceeds {LONGEST_MONTHS}; plan in shorter spans"
        )
    return count


def _country(top: Table, key: str) -> str:
    value = top.text(key)
    if len(value) != 2 or not (value.isalpha() and value.isupper()):
        raise DemandError(f"{top.where}: {key} = {value!r} is no ISO code of two letters")
    return value


def _economics(table: Table) -> Economics:
    economics = Economics(
        objective=table.choice("objective", OBJECTIVES, "amortised"),
        electricity=table.figure_or_none("electricity", "USD/J"),
        pue=table.figure_or_none("pue", "1"),
        life=table.figure_or_none("life", "s"),
        upkeep=table.figure_or_none("upkeep", "1"),
        load=table.figure_or_none("load", "1"),
        idle_power=table.figure_or_none("idle_power", "1"),
        host_price=table.figure_or_none("host_price", "USD"),
        host_power=table.figure_or_none("host_power", "W"),
        spare=table.share("spare", 0.0),
    )
    table.close()
    if economics.pue is not None and economics.pue.low < 1:
        raise DemandError(f"{table.where}: pue = {economics.pue.low:g} is below 1; correct it")
    for key, figure in (("load", economics.load), ("idle_power", economics.idle_power)):
        if figure is not None and not 0 < figure.low <= figure.high <= 1:
            raise DemandError(
                f"{table.where}: {key} = {figure.base:g} is a share above 0 and at most 100 %"
            )
    if economics.life is not None and economics.life.low <= 0:
        raise DemandError(
            f"{table.where}: life = {economics.life.low:g} must be above 0; correct it"
        )
    return economics


def _limits(table: Table) -> Limits:
    limits = Limits(
        power=table.figure_or_none("power", "W"),
        chips=table.figure_or_none("chips", "1", "chips"),
        budget=table.figure_or_none("budget", "USD", "USD/month"),
    )
    table.close()
    return limits


def _service(table: Table) -> Service:
    id = table.name("id", "service")
    workload = load_workload(table.text("workload"))
    unit = workload.unit.rstrip("s")
    service = Service(
        id=id,
        workload=workload.id,
        unit=workload.unit,
        mode=table.choice("mode", MODES),
        batch=table.whole("batch", 1) if table.has("batch") else None,
        context=table.whole("context", 1) if table.has("context") else None,
        rate=table.figure("rate", "1/s", f"{workload.unit}/s"),
        growth=table.figure("growth", "1", "%/month", 0.01),
        worth=table.figure("worth", "USD", f"USD/million {workload.unit}", 1e-6),
        must_serve=table.share_or_none("must_serve"),
    )
    table.close()
    if service.rate.low <= 0:
        raise DemandError(f"{table.where}: rate = {service.rate.low:g} {unit}s/s must be above 0")
    return service


def _chip(table: Table) -> str:
    """Read the id of a product. Raises FactError for one that is not in the catalogue."""
    id = table.text("chip")
    if id.endswith(".toml"):
        raise DemandError(
            f"{table.where}: chip = {id!r} is a file; a plan takes chips of the catalogue, by id"
        )
    return load_product(id).id


def _stock(table: Table, top: Table) -> Stock:
    chip = _chip(table)
    table.where = f"stock of {chip}"
    stock = Stock(
        chip=chip,
        count=table.whole("count", 0),
        arrives=_month(table, "arrives") if table.has("arrives") else _month(top, "start"),
        retires=_month(table, "retires") if table.has("retires") else None,
    )
    table.close()
    if stock.retires is not None and stock.retires <= stock.arrives:
        raise DemandError(f"{table.where}: retires before it arrives; correct one of them")
    return stock


def _software(table: Table, units: dict[str, str]) -> Software:
    chip = _chip(table)
    table.where = f"software of {chip}"
    rates = {}
    for entry in table.tables("rate", f"{table.where}: rate"):
        service = entry.text("service")
        _known(service, units, f"{entry.where}: service")
        rates[service] = entry.figure("measured", "1/s", f"{units[service]}/s")
        entry.close()
    software = Software(
        chip, table.figure_or_none("reached", "1"), table.figure_or_none("entry", "USD"), rates
    )
    table.close()
    if software.reached is not None and software.reached.low <= 0:
        raise DemandError(f"{table.where}: reached = {software.reached.low:g} must be above 0")
    return software


def _supply(table: Table) -> Supply:
    id = table.name("id", "supply")
    supply = Supply(
        id=id,
        chip=_chip(table),
        price=table.figure_or_none("price", "USD"),
        per_month=table.figure_or_none("per_month", "1", "chips/month"),
        first=table.day("from"),
        last=table.day("until"),
        lead_days=table.whole("lead_days", 0, 0),
        lot=table.whole("lot", 1, 8),
        foundry=table.text("foundry") if table.has("foundry") else None,
        per_wafer=table.figure_or_none("per_wafer", "1", "chips/wafer"),
    )
    table.close()
    if supply.first and supply.last and supply.last < supply.first:
        raise DemandError(f"{table.where}: until {supply.last} lies before from {supply.first}")
    if supply.per_wafer is not None and supply.per_wafer.low <= 0:
        raise DemandError(f"{table.where}: per_wafer = {supply.per_wafer.low:g} must be above 0")
    return supply


def _foundry(table: Table) -> Foundry:
    id = table.name("id", "foundry")
    wafers = table.figure("wafers", "1", "wafers/month")
    growth = table.figure_or_none("growth", "1", "%/month", 0.01)
    table.close()
    return Foundry(id, wafers, growth)


def _event(table: Table) -> Event:
    name = table.text("name")
    table.where = f"event {name!r}"
    kind = table.choice("kind", EVENT_KINDS)
    first, last = table.day("from"), table.day("until")
    if first is None:
        raise DemandError(f"{table.where}: from is missing; say on which day it begins")
    if last is not None and last < first:
        raise DemandError(f"{table.where}: until {last} lies before from {first}; correct one")
    value, in_wafers = _event_value(table, kind)
    event = Event(
        name, kind, table.texts("of"), first, last, value, in_wafers,
        spell_out(table.text("source", str(table.defaults.get("source", ""))), table.where),
    )  # fmt: skip
    table.close()
    return event


def _event_value(table: Table, kind: str) -> tuple[Figure | None, bool]:
    """Return what the event sets, and whether that counts wafers."""
    if kind == "cap":
        entry = table.table.get("per_month", {})
        in_wafers = isinstance(entry, dict) and entry.get("unit") == "wafers/month"
        written = "wafers/month" if in_wafers else "chips/month"
        return table.figure("per_month", "1", written), in_wafers
    if kind == "price":
        return table.figure("factor", "1"), False
    return (table.figure("rate", "1") if kind == "tariff" else None), False


def _policy(table: Table) -> Policy:
    name = table.text("name")
    table.where = f"policy {name!r}"
    policy = Policy(
        name=name,
        kind=table.choice("kind", POLICY_KINDS),
        of=table.text("of") if table.has("of") else None,
        at_most=table.share_or_none("at_most"),
        at_least=table.share_or_none("at_least"),
        service=table.text("service") if table.has("service") else None,
        first=_month(table, "from") if table.has("from") else None,
        source=table.text("source", ""),
    )
    table.close()
    if (policy.at_most is None) == (policy.at_least is None):
        raise DemandError(f"{table.where}: give at_most or at_least, one of the two")
    if policy.at_least is not None and policy.of is None and policy.kind != "domestic":
        raise DemandError(f"{table.where}: at_least needs of: which {policy.kind} is meant")
    if policy.kind == "domestic" and policy.of is not None:
        raise DemandError(f"{table.where}: domestic is of home; leave of out")
    return policy


# -- what must fit together ----------------------------------------------------------------------


def _check(demand: Demand, where: str) -> None:
    if not demand.services:
        raise DemandError(f"{where}: no [[service]] is given, so there is nothing to plan for")
    if not demand.supplies and not demand.stock:
        raise DemandError(f"{where}: neither [[supply]] nor [[stock]] is given; name chips")
    first = load_rulebook().first_day()
    if demand.months[0] < first:
        raise DemandError(
            f"{where}: start {demand.months[0]} lies before every export rule: the data begins on "
            f"{first}; start later"
        )
    if demand.known_on is not None and demand.known_on < first:
        raise DemandError(f"{where}: known_on {demand.known_on} lies before every rule, {first}")
    _unique([entry.id for entry in demand.services], "service")
    _unique([entry.chip for entry in demand.software], "software of chip")
    _unique([entry.id for entry in (*demand.supplies, *demand.foundries)], "supply or foundry")
    _unique([entry.name for entry in demand.events], "event")
    _unique([entry.name for entry in demand.policies], "policy")
    _check_references(demand)
    _check_policies(demand)
    _check_overlaps(demand.events)


def _unique(names: list[str], what: str) -> None:
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise DemandError(f"{what} {name!r} is given {names.count(name)} times; keep one")


def _check_references(demand: Demand) -> None:
    services = {entry.id for entry in demand.services}
    foundries = {entry.id for entry in demand.foundries}
    supplies = {entry.id for entry in demand.supplies}
    for supply in demand.supplies:
        if supply.foundry is not None:
            _known(supply.foundry, foundries, f"supply {supply.id}: foundry")
    for policy in demand.policies:
        if policy.service is not None:
            _known(policy.service, services, f"policy {policy.name!r}: service")
    for event in demand.events:
        for name in event.of:
            _known(name, foundries if event.in_wafers else supplies, f"event {event.name!r}: of")


def _check_policies(demand: Demand) -> None:
    """Refuse a policy on a vendor or country that no chip of the catalogue has."""
    for policy in demand.policies:
        if policy.of is None:
            continue
        field = "designer" if policy.kind == "vendor" else policy.kind
        names = sorted({getattr(product, field) for product in load_products()})
        if policy.of not in names:
            near = get_close_matches(policy.of, names, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
            raise DemandError(
                f"policy {policy.name!r}: of = {policy.of!r} is the {policy.kind} of no chip of "
                f"the catalogue, so it binds nothing; {hint}"
            )


def _known(name: str, names: Any, what: str) -> None:  # noqa: ANN401
    if name not in names:
        known = ", ".join(sorted(names)) or "none is given"
        raise DemandError(f"{what} = {name!r} is not in this file; known: {known}")


def _check_overlaps(events: tuple[Event, ...]) -> None:
    """Refuse two events that say different things of one supply on one day."""
    for former, latter in combinations(events, 2):
        shared = sorted(set(former.of) & set(latter.of))
        contradict = former.kind == latter.kind or {former.kind, latter.kind} == {"stop", "allow"}
        if shared and contradict and former.meets(latter):
            later = max(former.first, latter.first)
            raise DemandError(
                f"events {former.name!r} ({former.kind}) and {latter.name!r} ({latter.kind}) "
                f"of supply {shared[0]} overlap on {later}; end the first with until = "
                f"{later - timedelta(days=1)} or drop one"
            )


def _month(table: Table, key: str) -> date:
    return read_month(table.value(key), f"{table.where}: {key}")
