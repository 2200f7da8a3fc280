"""What a rule says of a chip whose figures are ranges: every result that some point of them gives.

In: a `Product` and the rulebook. Out: a `Case` (the spans in which the chip's numbers lie) and the
results of a rule over it. Between two neighbouring limits a rule says the same everywhere, so it is
enough to ask it at the ends of the spans, at its limits and one float beside them.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import product as pairs

from jiriki.export_control.rules import Clause, Rule, Rulebook
from jiriki.products.figure import Figure
from jiriki.products.product import FORMAT_BITS, Product

_LEAST_AREA_MM2 = 1.0  # low end of an area that nobody published


@dataclass(frozen=True, slots=True)
class Span:
    """Where a number of the chip lies; `base` is None where nothing was published."""

    low: float
    base: float | None
    high: float

    def inside(self, values: set[float]) -> list[float]:
        """Return the ends and those of `values` between them, ascending."""
        inner = {value for value in values if self.low < value < self.high}
        return sorted({self.low, self.high} | inner)


@dataclass(frozen=True, slots=True)
class Case:
    """The numbers and conditions that rules ask for. Spans of what is measured, in SI units."""

    spans: dict[str, Span]  # of VARIABLES
    datacenter: bool
    planar: bool
    hbm: bool
    designer_controlled: bool
    to: str  # ISO code of the destination
    groups: frozenset[str]  # of countries, which the destination is in
    designer: str
    designer_country: str
    announced: date


VARIABLES = (
    "area", "io_bandwidth", "dram_bandwidth", "tpp", "transistor_density", "memory_density",
)  # fmt: skip
# Quantity of a rule -> variables it is made of.
_MADE_OF = {
    "tpp": ("tpp",),
    "pd": ("tpp", "area"),
    "io_bandwidth": ("io_bandwidth",),
    "dram_bandwidth": ("dram_bandwidth",),
    "bandwidth_sum": ("io_bandwidth", "dram_bandwidth"),
    "transistors": ("area", "transistor_density"),
    "memory_density": ("memory_density",),
}


def total_processing_performance(chip: Product) -> Figure:
    """Return TPP: the largest TOPS x bit length over the formats with a published peak."""
    counted = [
        peak.scaled(FORMAT_BITS[name] / 1e12, "TPP", f"{name} peak x {FORMAT_BITS[name]} bit")
        for name, peak in chip.peak.items()
    ]
    best = max(counted, key=lambda figure: figure.base)
    return Figure(
        max(figure.low for figure in counted),
        best.base,
        max(figure.high for figure in counted),
        "TPP",
        best.source,
        best.date,
        best.unverified,
    )


def case_of(chip: Product, book: Rulebook, to: str) -> Case:
    """Return the spans of a product that goes to a country (ISO code).

    What is not published spans all that it can be.
    """
    largest = book.reticle.high * chip.dies
    no_dram = Figure(0, 0, 0, "byte/s", "derived: no DRAM", chip.announced)
    spans = {
        "tpp": _span(total_processing_performance(chip), 0, math.inf),
        "area": _span(chip.die_area, _LEAST_AREA_MM2, largest),
        "io_bandwidth": _span(chip.io_bandwidth, 0, math.inf),
        "dram_bandwidth": _span(
            chip.dram_bandwidth if chip.dram is not None else no_dram, 0, math.inf
        ),
        "transistor_density": _span(book.transistor_density.get(chip.process), 0, math.inf),
        "memory_density": _memory_density(chip, book),
    }
    return Case(
        spans,
        datacenter=chip.datacenter,
        planar=chip.planar,
        hbm=chip.dram_kind.startswith("hbm"),
        designer_controlled=chip.designer_country in book.controlled,
        to=to,
        groups=frozenset(name for name, countries in book.groups.items() if to in countries),
        designer=chip.designer,
        designer_country=chip.designer_country,
        announced=date.fromisoformat(chip.announced),
    )


def _span(figure: Figure | None, least: float, most: float) -> Span:
    if figure is None:
        return Span(least, None, most)
    return Span(figure.low, figure.base, figure.high)


def _memory_density(chip: Product, book: Rulebook) -> Span:
    if chip.dram is None:
        return Span(0, 0, 0)
    return _span(book.memory_density.get(chip.dram_kind), 0, math.inf)


def quantities(point: dict[str, float], planar: bool) -> dict[str, float | None]:
    """Return what rules compare, at one point of the spans; a planar die has no density."""
    return {
        "tpp": point["tpp"],
        "pd": None if planar or not point["area"] else point["tpp"] / point["area"],
        "io_bandwidth": point["io_bandwidth"],
        "dram_bandwidth": point["dram_bandwidth"],
        "bandwidth_sum": point["io_bandwidth"] + point["dram_bandwidth"],
        "transistors": point["area"] * point["transistor_density"],
        "memory_density": point["memory_density"],
    }


def spread(of: str, case: Case) -> tuple[float, float, float] | None:
    """Return low, base and high of a quantity; None where it is not published, or planar."""
    if unpublished(of, case) or (of == "pd" and case.planar):
        return None
    ends = [{name: getattr(span, end) or 0.0 for name, span in case.spans.items()} for end in _ENDS]
    if of == "pd":  # it falls as the area grows
        ends[0]["area"], ends[2]["area"] = ends[2]["area"], ends[0]["area"]
    low, base, high = (quantities(point, case.planar)[of] or 0.0 for point in ends)
    return low, base, high


_ENDS = ("low", "base", "high")


def unpublished(of: str, case: Case) -> tuple[str, ...]:
    """Return the variables behind a quantity of which nothing is published."""
    return tuple(name for name in _MADE_OF[of] if case.spans[name].base is None)


def clause_at(
    rule: Rule, case: Case, values: dict[str, float | None], cls: str | None
) -> Clause | None:
    """Return the clause of `rule` that applies to a chip of class `cls`, if any."""
    for clause in rule.clauses:
        if _fits(clause, case, cls) and all(b.holds(values[b.of]) for b in clause.bounds):
            return clause
    return None


def _fits(clause: Clause, case: Case, cls: str | None) -> bool:
    if next(unmet(clause, case), None) is not None:
        return False
    return clause.classes is None or (cls is not None and cls.startswith(clause.classes))


SWITCHES = ("datacenter", "planar", "hbm", "designer_controlled")


def unmet(clause: Clause, case: Case) -> Iterator[str]:
    """Yield the conditions of a clause on chip and destination that the case does not meet."""
    for name in SWITCHES:
        wanted = getattr(clause, name)
        if wanted is not None and wanted != getattr(case, name):
            yield name
    if clause.to is not None and not case.groups.intersection(clause.to):
        yield "to"
    if clause.designers is not None and case.designer not in clause.designers:
        yield "designers"
    countries = clause.designer_countries
    if countries is not None and case.designer_country not in countries:
        yield "designer_countries"
    if clause.announced_until is not None and case.announced > clause.announced_until:
        yield "announced_until"


def results(rule: Rule, case: Case, classes: tuple[str | None, ...]) -> tuple[str, ...]:
    """Return every result that the rule gives somewhere in the spans, in the rule's order."""
    reached = set()
    for point in points(rule, case):
        values = quantities(point, case.planar)
        for cls in classes:
            clause = clause_at(rule, case, values, cls)
            reached.add(clause.result if clause else rule.otherwise)
    ordered = dict.fromkeys([*(clause.result for clause in rule.clauses), rule.otherwise])
    return tuple(result for result in ordered if result in reached)


def points(rule: Rule, case: Case) -> Iterator[dict[str, float]]:
    """Yield points of the spans that together meet every cell between the rule's limits."""
    spans = case.spans
    limits = _limits(rule)
    used = {name for quantity in limits for name in _MADE_OF[quantity]}
    ends = {name: {spans[name].low, spans[name].high} for name in VARIABLES}
    tpp = limits.get("tpp", set()) | _each(limits, "pd", ends["area"], lambda p, a: p * a)
    total = limits.get("bandwidth_sum", set())
    stops = {
        "io_bandwidth": limits.get("io_bandwidth", set())
        | {limit - end for limit in total for end in ends["dram_bandwidth"]},
        "dram_bandwidth": limits.get("dram_bandwidth", set())
        | {limit - end for limit in total for end in ends["io_bandwidth"]},
        "memory_density": limits.get("memory_density", set()),
        "transistor_density": _each(limits, "transistors", ends["area"], lambda n, a: n / a),
    }
    others = [name for name in VARIABLES if name not in ("tpp", "area")]
    grids = [_grid(spans[name], stops[name], name in used) for name in others]
    for tpp_value in _grid(spans["tpp"], tpp, "tpp" in used):
        area = _each(limits, "pd", {tpp_value}, lambda p, t: t / p) | _each(
            limits, "transistors", ends["transistor_density"], lambda n, d: n / d if d else math.inf
        )
        for area_value in _grid(spans["area"], area, "area" in used):
            for values in pairs(*grids):
                rest = dict(zip(others, values, strict=True))
                yield {"tpp": tpp_value, "area": area_value, **rest}


def _limits(rule: Rule) -> dict[str, set[float]]:
    limits: dict[str, set[float]] = {}
    for clause in rule.clauses:
        for bound in clause.bounds:
            limits.setdefault(bound.of, set()).update(limit for _, limit in bound.limits)
    return limits


def _each(
    limits: dict[str, set[float]],
    quantity: str,
    ends: set[float],
    make: Callable[[float, float], float],
) -> set[float]:
    return {make(limit, end) for limit in limits.get(quantity, ()) for end in ends}


def _grid(span: Span, stops: set[float], used: bool) -> list[float]:
    if not used:
        return [span.low]
    beside = {
        near
        for stop in stops
        for near in (math.nextafter(stop, -math.inf), stop, math.nextafter(stop, math.inf))
    }
    return span.inside(beside)
