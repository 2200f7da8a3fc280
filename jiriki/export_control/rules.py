"""The rulebook: export rules as read from `rules.toml`, and which of them hold on a day.

In: the TOML (its head says how a rule reads). Out: `Rulebook`, checked: units fit their quantities,
no two rules of a topic hold on one day, every rule has a source.
"""

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

from jiriki.products.errors import CostError
from jiriki.products.figure import Figure, convert, read_date, read_figure, spell_out

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
TOPICS = ("class", "exception", "review", "licence", "tariff", "memory", "foundry", "user")


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


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of one topic and the days on which it holds."""

    id: str
    topic: str
    first: date
    last: date | None  # None: still in force
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
        return self.first <= on and (self.last is None or on <= self.last)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All rules, and the figures that their quantities need."""

    rules: tuple[Rule, ...]
    controlled: frozenset[str]  # countries of Macau and Country Group D:5
    reticle: Figure  # mm2, the largest die
    memory_density: dict[str, Figure]  # by kind of memory
    transistor_density: dict[str, Figure]  # by process

    def on(self, topic: str, day: date) -> Rule | None:
        """Return the rule of `topic` that holds on `day`, if any."""
        return next((r for r in self.rules if r.topic == topic and r.holds_on(day)), None)

    def first_day(self) -> date:
        """Return the first day for which a class can be told."""
        return min(rule.first for rule in self.rules if rule.topic == "class")


@cache
def rulebook() -> Rulebook:
    """Return the rules that ship with Jiriki."""
    return parse_rulebook(
        (resources.files("jiriki.export_control") / "rules.toml").read_text("utf-8")
    )


def parse_rulebook(text: str) -> Rulebook:
    """Read a rulebook. Raises CostError that names the rule and what to do."""
    where = "export rules"
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CostError(f"{where}: not valid TOML ({error}); mend the file") from None
    rules = tuple(_rule(entry) for entry in _entry(table, "rule", list, where))
    _check_dates(rules)
    density = _entry(table, "transistor_density", dict, where)
    memory = _entry(table, "memory_density", dict, where)
    reticle = _entry(table, "reticle", dict, where)
    controlled = _entry(table, "controlled", dict, where)
    return Rulebook(
        rules,
        frozenset(_entry(controlled, "countries", list, f"{where}: controlled")),
        read_figure(reticle, "area", "mm2", f"{where}: reticle"),
        {k: read_figure(memory, k, "byte/(s mm2)", f"{where}: memory_density") for k in memory},
        {k: read_figure(density, k, "1/mm2", f"{where}: transistor_density") for k in density},
    )


def _entry(table: dict[str, Any], key: str, kind: type, where: str) -> Any:  # noqa: ANN401
    value = table.get(key)
    if not isinstance(value, kind):
        said = "is missing" if value is None else f"= {value!r} is not a {kind.__name__}"
        raise CostError(f"{where}: {key} {said}; correct it")
    return value


_RULE_KEYS = {"id", "topic", "from", "until", "title", "source", "otherwise", "note", "clause"}


def _rule(entry: dict[str, Any]) -> Rule:
    id = _entry(entry, "id", str, "export rule")
    where = f"export rule {id}"
    for key in sorted(entry.keys() - _RULE_KEYS):
        raise CostError(f"{where}: unknown key {key!r}; known are {', '.join(sorted(_RULE_KEYS))}")
    topic = _entry(entry, "topic", str, where)
    if topic not in TOPICS:
        raise CostError(f"{where}: topic {topic!r} is unknown; use one of {', '.join(TOPICS)}")
    first = read_date(entry.get("from"), f"{where}: from")
    last = read_date(entry["until"], f"{where}: until") if "until" in entry else None
    if last is not None and last < first:
        raise CostError(f"{where}: until {last} lies before from {first}; correct one of them")
    return Rule(
        id=id,
        topic=topic,
        first=first,
        last=last,
        title=_entry(entry, "title", str, where),
        source=spell_out(_entry(entry, "source", str, where), where),
        otherwise=_entry(entry, "otherwise", str, where),
        note=entry.get("note", ""),
        clauses=tuple(_clause(c, where) for c in _entry(entry, "clause", list, where)),
    )


_CONDITIONS = ("datacenter", "planar", "hbm", "designer_controlled")


def _clause(entry: dict[str, Any], where: str) -> Clause:
    known = {"result", "bounds", "classes", *_CONDITIONS}
    for key in sorted(entry.keys() - known):
        raise CostError(
            f"{where}: clause has unknown key {key!r}; known: {', '.join(sorted(known))}"
        )
    conditions = {
        key: _entry(entry, key, bool, f"{where}: clause") for key in _CONDITIONS if key in entry
    }
    return Clause(
        _entry(entry, "result", str, f"{where}: clause"),
        tuple(_bound(bound, where) for bound in _entry(entry, "bounds", list, f"{where}: clause")),
        classes=tuple(entry["classes"]) if "classes" in entry else None,
        **conditions,
    )


def _bound(entry: dict[str, Any], where: str) -> Bound:
    of = _entry(entry, "of", str, f"{where}: bound")
    if of not in QUANTITIES:
        raise CostError(f"{where}: bound of {of!r}: use one of {', '.join(QUANTITIES)}")
    limits = entry.keys() - {"of", "unit"}
    if not limits or limits - {"at_least", "above", "below"}:
        raise CostError(f"{where}: bound of {of} needs at_least, above or below and nothing else")
    unit = QUANTITIES[of]
    given = {
        key: convert(entry[key], entry.get("unit"), unit, f"{where}: {of}: {key}") for key in limits
    }
    return Bound(of, unit, **given)


def _check_dates(rules: tuple[Rule, ...]) -> None:
    for topic in TOPICS:
        ordered = sorted((r for r in rules if r.topic == topic), key=lambda rule: rule.first)
        for one, two in pairwise(ordered):
            if one.last is None or two.first <= one.last:
                raise CostError(
                    f"export rules {one.id} and {two.id} of topic {topic} both hold on "
                    f"{two.first}; end the first with until or move the second"
                )
    if not any(rule.topic == "class" for rule in rules):
        raise CostError("export rules: none has topic class; add the rule that gives a class")
