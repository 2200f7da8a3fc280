"""`export_check`: the class of a chip on a day, what decides it, and what other rules say of it.

In: a `Product` and a date. Out: an `ExportResult`. Where a figure is a range or not published,
every class that it allows is given. This reads published rules as arithmetic; it is not legal
advice.
"""

import re
from dataclasses import dataclass, replace
from datetime import date

from jiriki.export_control.cases import (
    Case,
    case_of,
    results,
    spread,
    total_processing_performance,
    unmet,
)
from jiriki.export_control.errors import ExportControlError
from jiriki.export_control.rules import TOPICS, Bound, Rule, Rulebook, load_rulebook
from jiriki.export_control.wording import decided_by
from jiriki.products.figure import Figure
from jiriki.products.product import Product

HOME = "CN"  # the destination that is asked about where none is named
DISCLAIMER = "not legal advice"
PLANAR = "n/a (planar)"
_COUNTRY = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class Margin:
    """How far the chip lies below a limit; negative: beyond it. None where nothing is published."""

    rule: str
    result: str  # what the clause with this limit gives
    quantity: str
    limit: float
    unit: str
    value: float | None
    margin: float | None  # limit - value
    margin_low: float | None  # the margin at the ends of the chip's range
    margin_high: float | None

    @property
    def name(self) -> str:
        return f"{self.result}: {self.quantity}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says of the chip; more than one result where the figures leave it open."""

    topic: str
    rule: str
    title: str
    results: tuple[str, ...]
    decided_by: str
    note: str
    source: str


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The class of a chip on a day. `classes` has more than one where the figures leave it open."""

    chip: str
    on: date
    to: str  # ISO code of the destination; the class itself does not hang on it
    known_until: date  # later changes of the rules are not in here
    classes: tuple[str, ...]  # strictest first
    tpp: Figure
    performance_density: Figure | None  # None: planar, or die area not published
    planar: bool
    decided_by: str
    margins: tuple[Margin, ...]
    findings: tuple[Finding, ...]  # the class rule first
    notes: tuple[str, ...]

    @property
    def cls(self) -> str:
        """The class in one string; "none" where no control of this data applies."""
        return " or ".join(self.classes)

    @property
    def strictest(self) -> str:
        return self.classes[0]

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(finding.source for finding in self.findings))

    def finding(self, topic: str) -> Finding | None:
        """Return what the rule of a topic says, None where none holds on the day."""
        return next((finding for finding in self.findings if finding.topic == topic), None)


def known_text(book: Rulebook | None = None) -> str:
    """Say until when the rules are known."""
    known = (book or load_rulebook()).known_until
    return f"Export rules known as of {known}; later changes are not in here"


def export_check(
    product: Product, on: date, book: Rulebook | None = None, *, to: str = HOME
) -> ExportResult:
    """Return the class of `product` under the rules of the day `on`, bound for the country `to`.

    Raises ExportControlError when the day lies before every rule, or no peak of the chip is known.
    """
    book = book or load_rulebook()
    if not product.peak:
        raise ExportControlError(
            f"chip {product.id}: no peak is given, so it has no TPP; add a peak"
        )
    rule = book.on("class", on)
    if rule is None:
        raise ExportControlError(
            f"{on} has no export rule: the data begins on {book.first_day()}; choose a later day"
        )
    if not _COUNTRY.fullmatch(to):
        raise ExportControlError(f"destination {to!r} is no ISO code of two letters, such as AE")
    case = case_of(product, book, to)
    classes: tuple[str, ...] = results(rule, case, (None,))
    findings = [_finding(rule, case, (None,))]
    others = [book.on(topic, on) for topic in TOPICS if topic != "class"]
    findings += [_finding(other, case, classes) for other in others if other is not None]
    measured = [r for r in (rule, *(o for o in others if o)) if r.topic != "tariff"]
    return ExportResult(
        chip=product.id,
        on=on,
        to=to,
        known_until=book.known_until,
        classes=classes,
        tpp=total_processing_performance(product),
        performance_density=_density(product),
        planar=product.planar,
        decided_by=findings[0].decided_by,
        margins=tuple(margin for rule in measured for margin in _margins(rule, case)),
        findings=tuple(findings),
        notes=_notes(product, case, book, rule),
    )


def _finding(rule: Rule, case: Case, classes: tuple[str | None, ...]) -> Finding:
    outcomes = results(rule, case, classes)
    by_class = any(clause.classes for clause in rule.clauses)
    cls = classes[0]
    if by_class and len(outcomes) > 1 and outcomes != results(rule, case, (cls,)):
        why = "follows from the class, which is open"
    else:
        why = decided_by(rule, case, outcomes, cls)
    return Finding(rule.topic, rule.id, rule.title, outcomes, why, rule.note, rule.source)


def _density(product: Product) -> Figure | None:
    if product.planar or product.die_area is None:
        return None
    tpp, area = total_processing_performance(product), product.die_area
    return Figure(
        tpp.low / area.high,
        tpp.base / area.base,
        tpp.high / area.low,
        "TPP/mm2",
        "derived: TPP / die area",
        max(tpp.date, area.date),
        tpp.unverified or area.unverified,
    )


def _margins(rule: Rule, case: Case) -> list[Margin]:
    margins: dict[str, Margin] = {}
    for clause in rule.clauses:
        if next(unmet(clause, case), None) is not None:
            continue  # no limit of this chip's, or of this destination
        for bound in clause.bounds:
            limit = _measured_limit(rule, bound)
            if limit is not None:
                margin = _margin(rule, clause.result, bound, limit, case)
                margins.setdefault(margin.name, margin)
    return list(margins.values())


def _measured_limit(rule: Rule, bound: Bound) -> float | None:
    """Return the limit that a chip stays under; of a class only where it begins."""
    lower = bound.at_least if bound.at_least is not None else bound.above
    return lower if lower is not None or rule.topic == "class" else bound.below


def _margin(rule: Rule, result: str, bound: Bound, limit: float, case: Case) -> Margin:
    lies = spread(bound.of, case)
    if lies is None:
        return Margin(rule.id, result, bound.of, limit, bound.unit, None, None, None, None)
    low, base, high = lies
    return Margin(
        rule.id, result, bound.of, limit, bound.unit, base, limit - base, limit - high, limit - low
    )


def _notes(product: Product, case: Case, book: Rulebook, rule: Rule) -> tuple[str, ...]:
    notes = []
    if len(product.peak) == 1:
        notes.append(
            f"TPP counts only {next(iter(product.peak))}, the one format with a published peak; "
            "any other can only raise it"
        )
    if product.planar:
        notes.append(_planar_note(product, case, rule))
    elif product.die_area is None:
        largest = book.reticle.high * product.dies
        notes.append(f"die area is not published; taken as at most {largest:,.0f} mm2, the reticle")
    used = {f"{name} peak": figure for name, figure in product.peak.items()}
    used |= {"die area": product.die_area, "I/O bandwidth": product.io_bandwidth}
    used |= {"memory bandwidth": product.dram_bandwidth}
    doubtful = [name for name, figure in used.items() if figure is not None and figure.unverified]
    if doubtful:
        notes.append(f"unverified figures: {', '.join(doubtful)}")
    return tuple(notes)


def _planar_note(product: Product, case: Case, rule: Rule) -> str:
    text = "planar transistors have no applicable die area, so performance density is n/a"
    if product.die_area is None:
        return text
    counted = results(rule, replace(case, planar=False), (None,))
    return f"{text}; were the whole die counted, the class would be {' or '.join(counted)}"
