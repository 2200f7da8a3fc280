"""A Comparison as tables and as the JSON object that others rely on.

In: a Comparison. Out: Sheets for a terminal or a page; a dict of plain values.
"""

from typing import Any

from jiriki.export_control import ExportResult, known_text, load_rulebook
from jiriki.export_control.classify import HOME
from jiriki.plan.compare.compare import Comparison, Row
from jiriki.predict.calibrate import Check
from jiriki.report.quantities import change, seconds
from jiriki.report.tables import Sheet

COST_BASIS = (
    "a server of such chips over its life, electricity included; a chip at what buyers paid where "
    "that is known, else at what it costs to make, which is far less: do not compare the two"
)
ENERGY_BASIS = "the chip's power limit over its throughput: an upper bound; host and cooling apart"
# Topics of the export rules beside the class.
_TOPICS = ("licence", "review", "letters", "memory", "foundry", "user")


def result_sheet(comparison: Comparison) -> Sheet:
    """Put the chips under each other: what they do, what was published, what it takes."""
    unit = comparison.workload.unit
    heads = (
        "chip", f">{unit}/s", ">range", ">published", ">error", ">time", ">of peak", "bound",
    )  # fmt: skip
    rows = tuple(_result_row(row) for row in comparison.rows if row.prediction)
    title = (
        f"{comparison.workload.name}, {comparison.mode}: throughput of one chip, {comparison.on}"
    )
    return Sheet(title, heads, rows)


def _result_row(row: Row) -> tuple[str, ...]:
    p = row.prediction
    assert p is not None, "only rows with a prediction are shown here"
    low, base, high = p.per_s
    star, group = "*" if _assumes(row) else "", f" x{p.chips}" if p.chips > 1 else ""
    return (
        row.product.id + star + group,
        figures(base), f"{_brief(low)}..{_brief(high)}",
        figures(row.published.per_s) if row.published else "",
        _error(row.error, row.published is not None and row.published.calibration),
        seconds(p.latency_s), f"{p.utilisation:.0%} {p.weights_format}", p.bound,
    )  # fmt: skip


def _assumes(row: Row) -> bool:
    return bool(row.note or (row.prediction and row.prediction.assumed))


def economy_sheet(comparison: Comparison) -> Sheet:
    """Say what a unit takes and costs, and the export class of the day."""
    unit = comparison.workload.unit
    heads = (
        "chip", f">J/{unit.rstrip('s')}", f">$/million {unit}", ">range", "chip at", "export class",
    )  # fmt: skip
    rows = tuple(
        (
            row.product.id,
            figures(row.energy_j) if row.energy_j is not None else "",
            figures(row.cost.base) if row.cost else "",
            f"{figures(row.cost.low)}..{figures(row.cost.high)}" if row.cost else "",
            _paid(row), row.export.cls.replace(" or 3A090", " "),
        )
        for row in comparison.rows
    )  # fmt: skip
    return Sheet(f"energy at most, cost, export class on {comparison.on}", heads, rows)


def _paid(row: Row) -> str:
    """Say what a chip is taken to cost: never compare one kind with the other."""
    if row.cost is None:
        return ""
    return "price paid" if row.product.price else "cost to make"


def _error(error: float | None, calibration: bool) -> str:
    """Write an error; a `c` marks an entry that the efficiencies were fitted to."""
    return "" if error is None else f"{change(error)}{' c' if calibration else ''}"


def figures(value: float) -> str:
    """Return three figures without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _brief(value: float) -> str:
    return f"{figures(value / 1e3)}k" if value >= 1e4 else figures(value)


def sourcing_sheet(comparison: Comparison) -> Sheet:
    """Say where each chip comes from and what the rules of the day say of its supply."""
    heads = (
        "chip", "designer", "made by", "memory", "licence by class", "by letter", "foundry rule",
        "users",
    )  # fmt: skip
    rows = tuple(
        (
            row.product.id,
            f"{row.product.designer} ({row.product.designer_country})",
            f"{row.product.foundry} ({row.product.made_in})",
            row.product.dram_kind,
            *(_short(row.export, topic) for topic in ("licence", "letters", "foundry", "user")),
        )
        for row in comparison.rows
    )
    title = f"sourcing on {comparison.on}, export rules for {HOME}"
    return Sheet(title, heads, rows)


# What the rules say, in a word or two for a table; JSON has it in full.
_SHORT = {
    "licence needed": "needed",
    "no licence by class": "no",
    "licence needed whatever the class": "needed",
    "below the line": "no",
    "not named by the letters": "no",
    "not named by the letter": "no",
    "presumed 3A090.a: only an approved or authorised designer's attestation overcomes it":
        "presumed .a",
    "presumption overcome by the packager's attestation of the transistor count": "attestation",
    "GP10 risk to its users": "GP10 risk",
    "no such risk by this guidance": "no",
}  # fmt: skip


def _short(export: ExportResult, topic: str) -> str:
    finding = export.finding(topic)
    return (
        " or ".join(_SHORT.get(result, result) for result in finding.results)
        if finding
        else "no rule yet"
    )


def _finding(export: ExportResult, topic: str) -> str | None:
    finding = export.finding(topic)
    return " or ".join(finding.results) if finding else None


def missing_sheet(comparison: Comparison) -> Sheet | None:
    """List chips without a prediction, and notes on those whose figures rest on assumptions."""
    rows = [(row.product.id, "cannot: " + row.why_not) for row in comparison.rows if row.why_not]
    for row in comparison.rows:
        star = "*" if _assumes(row) else ""
        remarks = [row.note] if row.note else []
        remarks += [f"no cost: {row.why_no_cost}"] if row.prediction and row.why_no_cost else []
        remarks += row.prediction.assumed if row.prediction else ()
        if remarks:
            rows.append((row.product.id + star, "; ".join(remarks)))
    return (
        Sheet("what is missing, and what is assumed (*)", ("chip", "why"), tuple(rows))
        if rows
        else None
    )


def checks_sheet(comparison: Comparison) -> Sheet:
    """List every published entry of these chips with its error."""
    heads = (
        "chip", "mode", "weights", "round", ">predicted", ">published", ">error", "used for",
        "note",
    )  # fmt: skip
    rows = tuple(
        (
            c.result.chip, c.result.mode, c.result.weights_format, c.result.round,
            figures(c.predicted[1]), figures(c.result.per_s), change(c.error, 1),
            "calibration" if c.result.calibration else "held out", c.result.note,
        )
        for c in comparison.checks
    )  # fmt: skip
    return Sheet("predicted against published, every entry", heads, rows)


def summary(comparison: Comparison) -> str:
    """Return the one sentence on how far to believe the predictions."""
    held = [check for check in comparison.checks if not check.result.calibration]
    fitted = len(comparison.checks) - len(held)
    calibration = f"; {fitted} calibrated the engine (marked c)" if fitted else ""
    if comparison.held_out_error is None:
        return (
            "No published result of this workload on these chips was held out: how wrong a "
            f"prediction is, its range alone says{calibration}."
        )
    return (
        f"Median error {comparison.held_out_error:.1%} on {len(held)} published results that were "
        f"held out{calibration}."
    )


def payload(comparison: Comparison) -> dict[str, Any]:
    """Return the object that `jiriki compare --json` prints."""
    return {
        "workload": comparison.workload.id,
        "name": comparison.workload.name,
        "unit": f"{comparison.workload.unit}/s",
        "mode": comparison.mode,
        "on": comparison.on.isoformat(),
        "rules_known_until": load_rulebook().known_until.isoformat(),
        "rules": known_text(),
        "source": comparison.workload.source,
        "unverified": list(comparison.workload.unverified),
        "median_held_out_error": comparison.held_out_error,
        "rows": [_row_payload(row) for row in comparison.rows],
        "checks": [_check_payload(check) for check in comparison.checks],
    }


def _row_payload(row: Row) -> dict[str, Any]:
    p, r = row.prediction, row.published
    return {
        "chip": row.product.id,
        "name": row.product.name,
        "ours": row.product.ours,
        "in_catalogue": row.in_catalogue,
        "predicted": p and p.per_s[1],
        "predicted_range": p and [p.per_s[0], p.per_s[2]],
        "published": r and r.per_s,
        "published_round": r and r.round,
        "published_source": r and r.source,
        "held_out": r and not r.calibration,
        "error": row.error,
        "calibrated_on": p and p.calibrated_on,
        "assumed": list(p.assumed) if p else [],
        "why_not": row.why_not or None,
        "note": row.note or None,
        "latency_s": p and p.latency_s,
        "batch": p and p.batch,
        "chips": p and p.chips,
        "bound": p and p.bound,
        "utilisation": p and p.utilisation,
        "weights_format": p and p.weights_format,
        "energy_j": row.energy_j,
        "energy_basis": ENERGY_BASIS if row.energy_j is not None else None,
        "cost_per_million_usd": row.cost and row.cost.base,
        "cost_range": row.cost and [row.cost.low, row.cost.high],
        "cost_basis": COST_BASIS if row.cost else None,
        "chip_costed_at": _paid(row) or None,
        "cost_reason": row.why_no_cost or None,
        "export_class": row.export.cls,
        "export_decided_by": row.export.decided_by,
        "sourcing": _sourcing(row),
    }


def _sourcing(row: Row) -> dict[str, Any]:
    chip = row.product
    return {
        "designer": chip.designer,
        "designer_country": chip.designer_country,
        "made_in": chip.made_in,
        "foundry": chip.foundry,
        "memory": chip.dram_kind,
        **{topic: _finding(row.export, topic) for topic in _TOPICS},
    }


def _check_payload(check: Check) -> dict[str, Any]:
    r = check.result
    return {
        "chip": r.chip, "mode": r.mode, "weights_format": r.weights_format, "round": r.round,
        "predicted": check.predicted[1],
        "predicted_range": [check.predicted[0], check.predicted[2]],
        "published": r.per_s, "error": check.error, "calibration": r.calibration, "note": r.note,
        "source": r.source,
    }  # fmt: skip
