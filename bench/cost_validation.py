"""Predicted against published area and power of chips. `python -m bench.cost_validation`.

Goals: area within 25 %, power within 30 %, on chips not used to calibrate.
"""

from collections.abc import Sequence

from rich.console import Console

from jiriki.cost.calibration import load_calibration
from jiriki.cost.validate.published_dies import Comparison, comparisons, median_error
from jiriki.report.tables import Sheet, rich_table

GOALS = {"area_mm2": 0.25, "power_w": 0.30}


HEADS = ("chip", ">predicted", ">low", ">high", ">published", ">error", "in range", "used for")


def sheet(quantity: str, rows: Sequence[Comparison]) -> Sheet:
    """Return one quantity's table."""
    return Sheet(quantity, (*HEADS, "note"), tuple(map(_cells, rows)))


def _cells(row: Comparison) -> tuple[str, ...]:
    ends = (row.predicted.base, row.predicted.low, row.predicted.high, row.published)
    used = "calibration" if row.calibration else "held out"
    numbers = (f"{end:.0f}" for end in ends)
    return (row.chip, *numbers, f"{row.error:+.0%}", "yes" if row.inside else "no", used, row.note)


def main() -> None:
    """Print both tables, the medians, and how many reach the goal."""
    console = Console(width=170)
    for quantity, goal in GOALS.items():
        rows = [row for row in comparisons() if row.quantity == quantity]
        held = [row for row in rows if not row.calibration]
        console.print(rich_table(sheet(quantity, rows)))
        within = sum(abs(row.error) <= goal for row in held)
        console.print(
            f"held out: median |error| {median_error(held):.0%}, {within} of {len(held)} within "
            f"{goal:.0%}; all: median {median_error(rows):.0%}\n"
        )
    for line in load_calibration().calibrated_on:
        console.print(f"calibrated on {line}")


if __name__ == "__main__":
    main()
