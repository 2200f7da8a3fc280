"""The number that decides, in words: `TPP 2,368 is below 2,400` or `A if die area <= 321 mm2; ...`.

In: a rule, a `Case`, the results. Out: one clause of a sentence.
"""

import math
from dataclasses import replace
from itertools import pairwise

from jiriki.export_control.cases import (
    VARIABLES,
    Case,
    Span,
    clause_at,
    points,
    quantities,
    spread,
    unmet,
    unpublished,
)
from jiriki.export_control.rules import Bound, Clause, Rule

# Quantity or variable -> (name, factor, unit) as shown.
_SHOWN = {
    "tpp": ("TPP", 1.0, ""),
    "pd": ("PD", 1.0, ""),
    "area": ("die area", 1.0, " mm2"),
    "io_bandwidth": ("I/O bandwidth", 1e-9, " GB/s"),
    "dram_bandwidth": ("memory bandwidth", 1e-9, " GB/s"),
    "bandwidth_sum": ("memory and I/O bandwidth", 1e-9, " GB/s"),
    "transistors": ("approximated transistor count", 1e-9, " billion"),
    "transistor_density": ("transistor density", 1e-6, " MTr/mm2"),
    "memory_density": ("memory bandwidth density", 1e-9, " GB/(s mm2)"),
}


def show(of: str, value: float) -> str:
    """Return a value of a quantity with its unit."""
    _, factor, unit = _SHOWN[of]
    shown = value * factor
    if shown == 0 or abs(shown) >= 1000:
        return f"{shown:,.0f}{unit}"
    return f"{shown:.4g}{unit}"


def decided_by(rule: Rule, case: Case, outcomes: tuple[str, ...], cls: str | None) -> str:
    """Say which number decides a rule's result, or on which number the result hangs."""
    if len(outcomes) == 1:
        return _certain(rule, case, cls)
    missing = {name: None for of in rule.quantities for name in unpublished(of, case)}
    if len(missing) > 1:
        return f"{' and '.join(_SHOWN[name][0] for name in missing)} are not published"
    for name in missing or VARIABLES:
        text = _sweep(rule, case, name, _base_point(case), cls)
        if text:
            return _at_other_tpp(rule, case, name, text, cls)
    return "the result hangs on several numbers together; see the margins"


def _base_point(case: Case) -> dict[str, float]:
    return {name: case.spans[name].base or case.spans[name].low for name in VARIABLES}


def _certain(rule: Rule, case: Case, cls: str | None) -> str:
    values = quantities(_base_point(case), case.planar)
    clause = clause_at(rule, case, values, cls)
    if clause is None:
        return "; ".join(_missed(rule, case, values)) or _unfit(rule, case, cls)
    if not clause.bounds:
        return _because(clause, case, cls)
    return " and ".join(_kept(bound, case) for bound in clause.bounds)


_SWITCHED = {
    "designer_controlled": (
        "its designer is of Macau or D:5",
        "its designer is not of Macau or D:5",
    ),
    "planar": ("its transistors are planar", "its transistors are not planar"),
    "hbm": ("it has HBM", "it has no HBM"),
    "datacenter": ("it is for data centers", "it is not for data centers"),
}


def _because(clause: Clause, case: Case, cls: str | None) -> str:
    asked = [name for name in _SWITCHED if getattr(clause, name) is not None]
    texts = [f"its class is {cls}"] if clause.classes else []
    texts += [_SWITCHED[name][0 if getattr(case, name) else 1] for name in asked]
    texts += [f"it goes to {case.to}"] if clause.to else []
    return " and ".join(texts)


def _unfit(rule: Rule, case: Case, cls: str | None) -> str:
    """Say why no clause fits: a condition of chip or destination if one speaks, else its class."""
    if not rule.clauses:
        return "no rule gives a class on this day"
    for clause in rule.clauses:
        if clause.classes is None or (cls or "").startswith(clause.classes):
            for name in unmet(clause, case):
                return _unmet_text(name, case)
    return f"its class is {cls}"


def _unmet_text(name: str, case: Case) -> str:
    if name in _SWITCHED:
        return _SWITCHED[name][0 if getattr(case, name) else 1]
    return {
        "to": f"{case.to} is in none of its country groups",
        "designers": f"{case.designer} is no maker that it names",
        "designer_countries": f"its designer is of {case.designer_country}",
        "announced_until": f"it was announced on {case.announced}",
    }[name]


def _range(of: str, case: Case) -> str:
    """Return a quantity with its name, as a range where it is one."""
    name = _SHOWN[of][0]
    lies = spread(of, case)
    if lies is None:
        return f"{name} n/a (planar)" if of == "pd" and case.planar else f"{name} (not published)"
    low, _, high = lies
    return f"{name} {show(of, low)}" + (f" to {show(of, high)}" if low != high else "")


def _kept(bound: Bound, case: Case) -> str:
    lower = bound.at_least if bound.at_least is not None else bound.above
    if lower is not None and bound.below is not None:
        limits = f"between {show(bound.of, lower)} and {show(bound.of, bound.below)}"
    elif lower is not None:
        limits = f"{'above' if bound.at_least is None else 'at least'} {show(bound.of, lower)}"
    else:
        limits = f"below {show(bound.of, bound.below or 0.0)}"
    return f"{_range(bound.of, case)} is {limits}"


def _missed(rule: Rule, case: Case, values: dict[str, float | None]) -> list[str]:
    """Name, for each quantity that fails a clause, the limit it comes nearest to."""
    nearest: dict[str, tuple[float, str]] = {}
    for clause in rule.clauses:
        if next(unmet(clause, case), None) is not None:
            continue
        failed = next((b for b in clause.bounds if not b.holds(values[b.of])), None)
        for _, limit in failed.limits if failed else ():
            of, value = failed.of, values[failed.of]  # type: ignore[union-attr]
            far = math.inf if value is None else abs(value - limit)
            side = "below" if value is None or value < limit else "not below"
            text = f"{_range(of, case)} is {side} {show(of, limit)}"
            if value is None:
                text = _range(of, case)
            if of not in nearest or far < nearest[of][0]:
                nearest[of] = (far, text)
    return [text for _, text in nearest.values()]


def _sweep(rule: Rule, case: Case, name: str, base: dict[str, float], cls: str | None) -> str:
    """Walk one variable through its span, the others at `base`; return where the result changes."""
    fixed = {other: Span(value, value, value) for other, value in base.items() if other != name}
    walked = replace(case, spans={**case.spans, **fixed})
    results: list[tuple[float, str]] = []
    for stop in sorted({point[name] for point in points(rule, walked)}):
        values = quantities({**base, name: stop}, case.planar)
        clause = clause_at(rule, case, values, cls)
        results.append((stop, clause.result if clause else rule.otherwise))
    changes = [
        (after[0], before[1]) for before, after in pairwise(results) if before[1] != after[1]
    ]
    if not changes:
        return ""
    side = "up to" if name == "area" and "pd" in rule.quantities else "below"
    first, *later = [f"{side} {show(name, where)}" for where, _ in changes]
    parts = [f"{changes[0][1]} if {_SHOWN[name][0]} is {first}"]
    parts += [f"{before} {where}" for (_, before), where in zip(changes[1:], later, strict=True)]
    return ", ".join(parts) + f", else {results[-1][1]}"


def _at_other_tpp(rule: Rule, case: Case, name: str, text: str, cls: str | None) -> str:
    """Say the same at the ends of TPP, where TPP is a range and matters."""
    span = case.spans["tpp"]
    matters = {"tpp", "pd"} & set(rule.quantities)
    if name == "tpp" or not matters or span.low == span.high:
        return text
    parts = []
    for tpp in sorted({span.low, span.base or span.low, span.high}):
        there = _sweep(rule, case, name, {**_base_point(case), "tpp": tpp}, cls)
        if there:
            parts.append(f"at TPP {show('tpp', tpp)}: {there}")
    return "; ".join(parts)
