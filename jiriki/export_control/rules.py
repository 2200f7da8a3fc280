"""The rulebook: export rules as read from `rules.toml`, and which of them hold on a day.

In: the TOML (its head says how a rule reads). Out: `Rulebook`, checked: units fit their quantities,
no two rules of a topic hold on one day, every rule has a source.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from importlib import resources
from itertools import pairwise

from jiriki.products.errors import FactError
from jiriki.products.figure import Figure, convert
from jiriki.products.table import Table, load_table, parse_table

CONTROLLED = "D:5 and Macau"  # the group whose chips and designers are under control
# Quantity of a bound -> its unit after load.
QUANTITIES = {
    "tpp": "TPP",
    "pd": "TPP/mm2",
    "io_bandwidth": "byte/s",
    "dram_bandwidth": "byte/s",
    "bandwidth_sum": "byte/s",
    "transistors": "1",
    "memory_density": "byte/(s mm2)",
}
TOPICS = (
    "class", "licence", "exception", "review", "letters", "tariff", "memory", "foundry", "user",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bound:
    """What a quantity must keep to: at least, strictly above, strictly below."""

    of: str
    unit: str
    at_least: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: float | None) -> bool:
        """Say whether `value` keeps it; None (no such quantity) never does."""
        return (
            value is not None
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    @property
    def limits(self) -> tuple[tuple[str, float], ...]:
        """Its (comparison, limit) pairs."""
        pairs = ((">=", self.at_least), (">", self.above), ("<", self.below))
        return tuple((sign, limit) for sign, limit in pairs if limit is not None)


@dataclass(frozen=True, slots=True)
class Clause:
    """One way in which a rule applies; a condition that is None is not asked."""

    result: str
    bounds: tuple[Bound, ...]
    datacenter: bool | None = None
    planar: bool | None = None
    hbm: bool | None = None
    designer_controlled: bool | None = None
    classes: tuple[str, ...] | None = None  # beginnings of classes
    to: tuple[str, ...] | None = None  # groups of countries, of which the destination is in one
    designers: tuple[str, ...] | None = None
    designer_countries: tuple[str, ...] | None = None
    announced_until: date | None = None  # the chip was announced by this day


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of one topic and the days on which it holds."""

    id: str
    topic: str
    published: date  # when anybody could know of it
    first: date
    last: date | None  # None: still in force
    end_published: date | None  # when its last day was known; None: with the rule that follows
    title: str
    source: str
    otherwise: str
    note: str
    clauses: tuple[Clause, ...]

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities that its clauses compare."""
        bounds = (bound for clause in self.clauses for bound in clause.bounds)
        return tuple(dict.fromkeys(bound.of for bound in bounds))

    def holds_on(self, on: date) -> bool:
        """Say whether the rule holds on a day."""
        return self.first <= on and (self.last is None or on <= self.last)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All rules, and the figures that their quantities need."""

    rules: tuple[Rule, ...]
    known_until: date  # the day on which the texts were last read: later rules are not here
    groups: dict[str, frozenset[str]]  # name of a group of countries -> ISO codes
    reticle: Figure  # mm2, the largest die
    memory_density: dict[str, Figure]  # by kind of memory
    transistor_density: dict[str, Figure]  # by process

    def on(self, topic: str, day: date) -> Rule | None:
        """Return the rule of `topic` that holds on `day`, if any."""
        return next((r for r in self.rules if r.topic == topic and r.holds_on(day)), None)

    @property
    def controlled(self) -> frozenset[str]:
        """The countries of Country Group D:5 and Macau."""
        return self.groups[CONTROLLED]

    def known_on(self, day: date) -> "Rulebook":
        """Return the rules that anybody could know of on a day: those published by then.

        A rule whose end was not known yet is taken to last.
        """
        known = tuple(rule for rule in self.rules if rule.published <= day)
        return replace(self, rules=tuple(_as_known(rule, known, day) for rule in known))

    def first_day(self) -> date:
        """Return the first day for which a class can be told."""
        return min(rule.first for rule in self.rules if rule.topic == "class")


@cache
def load_rulebook() -> Rulebook:
    """Return the rules that ship with Jiriki."""
    return _rulebook(load_table(resources.files("jiriki.export_control") / "rules.toml", _WHERE))


_WHERE = "export rules"


def parse_rulebook(content: str | bytes) -> Rulebook:
    """Read a rulebook. Raises FactError that names the rule and what to do."""
    return _rulebook(parse_table(content, _WHERE))


def _as_known(rule: Rule, known: tuple[Rule, ...], day: date) -> Rule:
    """Return a rule without its last day where that was not known on `day`."""
    if rule.last is None or rule.last < day:
        return rule
    follower = next(
        (r for r in known if r.topic == rule.topic and r.first == rule.last + timedelta(days=1)),
        None,
    )
    announced = rule.end_published is not None and rule.end_published <= day
    return rule if follower is not None or announced else replace(rule, last=None)


def _rulebook(table: Table) -> Rulebook:
    rules = tuple(_rule(entry) for entry in table.tables("rule", "export rule"))
    _check_dates(rules)
    groups = dict(_group(part) for part in table.tables("group", "country group"))
    if CONTROLLED not in groups:
        raise FactError(f"{table.where}: no [[group]] has id {CONTROLLED!r}; add it")
    _check_groups(rules, groups)
    reticle = table.inner("reticle")
    memory, transistors = table.inner("memory_density"), table.inner("transistor_density")
    book = Rulebook(
        rules,
        table.required_day("known_until"),
        groups,
        reticle.figure("area", "mm2", positive=True),
        memory.figures(dict.fromkeys(memory.table, "byte/(s mm2)")),
        transistors.figures(dict.fromkeys(transistors.table, "1/mm2")),
    )
    reticle.close()
    table.close()
    return book


def _group(table: Table) -> tuple[str, frozenset[str]]:
    id = table.name("id", "country group")
    countries = frozenset(table.texts("countries"))
    table.source()
    table.required_day("date")
    table.flag("unverified", False)
    table.close()
    return id, countries


def _check_groups(rules: tuple[Rule, ...], groups: dict[str, frozenset[str]]) -> None:
    for rule in rules:
        for name in (name for clause in rule.clauses for name in clause.to or ()):
            if name not in groups:
                raise FactError(
                    f"export rule {rule.id}: to {name!r} is no country group; "
                    f"choose {', '.join(groups)}"
                )


def _rule(table: Table) -> Rule:
    id = table.name("id", "export rule")
    topic = table.choice("topic", TOPICS)
    first, last = table.required_day("from"), table.day("until")
    if last is not None and last < first:
        raise FactError(
            f"{table.where}: until {last} lies before from {first}; correct one of them"
        )
    rule = Rule(
        id=id,
        topic=topic,
        published=table.required_day("published"),
        first=first,
        last=last,
        end_published=table.day("end_published"),
        title=table.text("title"),
        source=table.source(),
        otherwise=table.text("otherwise"),
        note=table.text("note", ""),
        clauses=tuple(_clause(part) for part in table.tables("clause", f"{table.where}: clause")),
    )
    table.close()
    return rule


_CONDITIONS = ("datacenter", "planar", "hbm", "designer_controlled")


def _clause(table: Table) -> Clause:
    def names(key: str) -> tuple[str, ...] | None:
        return table.texts(key) if table.has(key) else None

    conditions = {key: table.flag(key) for key in _CONDITIONS if table.has(key)}
    clause = Clause(
        table.text("result"),
        tuple(_bound(part) for part in table.tables("bounds", f"{table.where}: bound")),
        classes=names("classes"),
        to=names("to"),
        designers=names("designers"),
        designer_countries=names("designer_countries"),
        announced_until=table.day("announced_until"),
        **conditions,
    )
    table.close()
    return clause


def _bound(table: Table) -> Bound:
    of = table.choice("of", tuple(QUANTITIES))
    where = f"{table.where} of {of}"
    limits = [key for key in ("at_least", "above", "below") if table.has(key)]
    if not limits:
        raise FactError(f"{where} needs at_least, above or below")
    table.has("unit")
    table.close()
    written, unit = table.table.get("unit"), QUANTITIES[of]
    ends = {key: convert(table.table[key], written, unit, f"{where}: {key}") for key in limits}
    return Bound(of, unit, **ends)


def _check_dates(rules: tuple[Rule, ...]) -> None:
    for topic in TOPICS:
        ordered = sorted((r for r in rules if r.topic == topic), key=lambda rule: rule.first)
        for former, latter in pairwise(ordered):
            if former.last is None or latter.first <= former.last:
                raise FactError(
                    f"export rules {former.id} and {latter.id} of topic {topic} both hold on "
                    f"{latter.first}; end the first with until or move the second"
                )
    if not any(rule.topic == "class" for rule in rules):
        raise FactError("export rules: none has topic class; add the rule that gives a class")
