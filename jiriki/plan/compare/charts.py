"""The charts of a Comparison: throughput, use of the peak, roofline, errors, energy, cost.

In: a Comparison and the rows to show. Out: charts. A colour is what limits a chip, as on the pages
of profiles; chips of ours are in bold; a hollow mark calibrated the engine, or stands for a cost to
make.
"""

from collections.abc import Sequence

from jiriki.plan.compare.compare import Comparison, Row
from jiriki.plan.compare.tables import figures
from jiriki.predict.calibrate import Check
from jiriki.products.figure import Figure
from jiriki.report import charts
from jiriki.report.charts import Dot, Line, Plane, Point, Rows, Span
from jiriki.report.quantities import change
from jiriki.report.svg import Axis, log_axis

BOUND_COLOURS = {
    "compute": "compute", "memory": "dram", "capacity": "capacity", "link": "link",
    "launch": "wait", "request": "idle",
}  # fmt: skip
BAND = 1.2  # predictions within it are shaded in the chart of errors


def throughput(comparison: Comparison, shown: Sequence[Row]) -> Rows:
    """Plot predicted throughput with its range, published points beside."""
    rows, values = [], []
    for row in shown:
        assert row.prediction, "shown rows have one"
        low, base, high = row.prediction.per_s
        label = f"{row.product.id}: {figures(base)}, {figures(low)} to {figures(high)}"
        dots = [Dot(base, BOUND_COLOURS[row.prediction.bound], label)]
        values += [low, high]
        if row.published:
            label = f"{row.product.id}: {figures(row.published.per_s)}, {row.published.round}"
            dots.append(Dot(row.published.per_s, "published", label, "diamond",
                            row.published.calibration))  # fmt: skip
            values.append(row.published.per_s)
        rows.append(charts.Row(row.product.id, dots=tuple(dots), whisker=(low, high),
                               strong=row.product.ours))  # fmt: skip
    axis = log_axis(f"{comparison.workload.unit} a second and chip", values)
    return Rows("Predicted and published throughput by chip", tuple(rows), axis)


def efficiency(shown: Sequence[Row]) -> Rows:
    """Plot the share of the peak that each chip uses, coloured by what limits it."""
    rows = []
    for row in shown:
        assert row.prediction, "shown rows have one"
        share = 100 * row.prediction.utilisation
        label = f"{row.product.id}: {share:.1f} % of the peak, limited by {row.prediction.bound}"
        span = Span(0, share, BOUND_COLOURS[row.prediction.bound], label)
        rows.append(charts.Row(row.product.id, (span,), strong=row.product.ours))
    axis = Axis("share of the peak in the weights' format, %", 0, 100)
    return Rows("Share of the peak used by chip", tuple(rows), axis)


def roofline(comparison: Comparison, shown: Sequence[Row]) -> Plane:
    """Plot operations a second against operations per byte that a chip's memory can give."""
    points, lines = [], []
    for row in shown:
        if not row.prediction or not row.product.dram_bandwidth:
            continue
        peak = row.product.peak[row.prediction.weights_format].base
        balance = peak / row.product.dram_bandwidth.base
        used = row.prediction.utilisation * peak
        colour = BOUND_COLOURS[row.prediction.bound]
        label = f"{row.product.id}: {used:.3g} of {peak:.3g} op/s at {balance:.3g} op/byte"
        lines.append(Line(((balance, used), (balance, peak)), "whisker", width=1))
        points.append(Point(balance, used, colour, label, row.product.id))
    ys = [y for line in lines for _, y in line.points]
    return Plane(
        f"Peak and use of {comparison.workload.name} by balance",
        log_axis("operations per byte of memory, at the peak", [p.x for p in points]),
        log_axis("operations a second and chip", ys),
        tuple(points),
        tuple(lines),
    )


def validation(comparison: Comparison) -> Plane:
    """Plot every published entry against its prediction, with a band."""
    checks = comparison.checks
    values = [v for check in checks for v in (check.predicted[1], check.result.per_s)]
    unit = comparison.workload.unit
    x, y = log_axis(f"published, {unit} a second", values), log_axis("predicted", values)
    low, high = x.low, x.high
    band = ((low, low * BAND), (high / BAND, high), (high, high), (high, high / BAND),
            (low * BAND, low), (low, low))  # fmt: skip
    points = tuple(
        Point(check.result.per_s, check.predicted[1], "published", _entry(check),
              check.result.chip, hollow=check.result.calibration)
        for check in sorted(checks, key=lambda check: -abs(check.error))
    )  # fmt: skip
    lines = (Line(band, "grid", fill=True), Line(((low, low), (high, high)), "whisker", "4 3"))
    return Plane("Predicted against published throughput", x, y, points, lines)


def _entry(check: Check) -> str:
    r = check.result
    return f"{r.chip}, {r.mode}, {r.round}: {change(check.error, 1)}"


def energy(comparison: Comparison, rows: Sequence[Row]) -> Rows:
    """Plot joules of a unit at the power limit."""
    ordered = sorted(rows, key=lambda row: row.energy_j or 0.0)
    values = [row.energy_j or 0.0 for row in ordered]
    return Rows(
        "Energy by chip",
        tuple(
            charts.Row(row.product.id, dots=(Dot(value, "energy", f"{figures(value)} J"),),
                       strong=row.product.ours)
            for row, value in zip(ordered, values, strict=True)
        ),
        log_axis(f"joules a {comparison.workload.unit.rstrip('s')}, at most", values),
    )  # fmt: skip


def cost(comparison: Comparison, rows: Sequence[Row]) -> Rows:
    """Plot USD of a million units with its range."""
    ordered = sorted(
        ((row.product, row.cost) for row in rows if row.cost), key=lambda pair: pair[1].base
    )
    return Rows(
        "Cost by chip",
        tuple(
            charts.Row(
                chip.id,
                dots=(Dot(paid.base, "money", _paid(chip.id, paid), hollow=not chip.price),),
                whisker=(paid.low, paid.high), strong=chip.ours,
            )
            for chip, paid in ordered
        ),
        log_axis(f"USD a million {comparison.workload.unit}",
                 [end for _, paid in ordered for end in (paid.low, paid.high)]),
    )  # fmt: skip


def _paid(chip: str, paid: Figure) -> str:
    return f"{chip}: ${figures(paid.base)}, ${figures(paid.low)} to ${figures(paid.high)}"
