"""Cycles of every network of the zoo on one tile, and whether they are within the stated limits.

In: the zoo, the chips e256 and vta256. Out: a Markdown table on standard output (the README's
figures); exit code 1 when a limit is missed. `--json` prints one object, names choose models.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from time import perf_counter
from typing import Any

from jiriki.chip import load_chip
from jiriki.cli.screen import Screen
from jiriki.compiler import compile_graph
from jiriki.frontend.zoo import list_models
from jiriki.models import Model, Reading, open_model
from jiriki.report.tables import Sheet, markdown
from jiriki.sim.timing import TimingEngine

CHIPS = {"resnet50": ("e256", "vta256")}
DEFAULT_CHIPS = ("e256",)
MOST_CYCLES = {"resnet50": 17_500_000, "mobilenetv2": 1_700_000, "efficientnet-lite0": 2_200_000}
LIMITED_CHIP = "e256"
EFFORT = 1


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=[card.name for card in list_models()])
    parser.add_argument("--effort", type=int, default=EFFORT)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [
        row
        for name in arguments.models
        for row in measure(
            open_model(name, Reading(), Screen("bench", as_json=True)), arguments.effort
        )
    ]
    if arguments.json:
        print(json.dumps({"networks": rows}))
    else:
        print(markdown(table(rows)))
        print(markdown(units(rows)))
    return judge(rows)


def measure(model: Model, effort: int) -> list[dict[str, Any]]:
    """Compile and time the model on its chips."""
    return [_measure(model, chip, effort) for chip in CHIPS.get(model.name, DEFAULT_CHIPS)]


def _measure(model: Model, chip_name: str, effort: int) -> dict[str, Any]:
    chip = load_chip(chip_name)
    engine = TimingEngine(chip)
    began = perf_counter()
    graph = model.graph()
    imported = perf_counter()
    program = compile_graph(graph, chip, effort=effort)
    compiled = perf_counter()
    run = engine.run(program)
    timed = perf_counter()
    gc.collect()
    assert run.cycles, "the timing engine counts cycles"
    for name, unit in run.units.items():
        assert unit.busy + unit.starved + unit.blocked == run.cycles, f"{name}: cycles unexplained"
    return {
        "model": model.name,
        "chip": chip.name,
        "macs": program.macs,
        "cycles": run.cycles,
        "ideal_cycles": -(-program.macs // chip.macs_per_cycle),
        "utilisation": program.macs / (run.cycles * chip.macs_per_cycle),
        "limit": MOST_CYCLES.get(model.name) if chip.name == LIMITED_CHIP else None,
        "dram_bytes": (run.dram_read_bytes or 0) + (run.dram_write_bytes or 0),
        "units": {
            name: {"busy": unit.busy, "starved": unit.starved, "blocked": unit.blocked}
            for name, unit in run.units.items()
        },
        "wall_s": {
            "import": imported - began, "compile": compiled - imported, "timing": timed - compiled,
        },
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> Sheet:
    """Return one row a model and chip."""
    heads = (
        "model", "chip", ">MAC", ">cycles", ">limit", ">ideal", ">utilisation", ">DRAM MB",
        ">import s", ">compile s", ">timing s",
    )  # fmt: skip
    return Sheet("", heads, tuple(_row(row) for row in rows))


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    wall = (f"{row['wall_s'][key]:.1f}" for key in ("import", "compile", "timing"))
    return (
        row["model"], row["chip"], f"{row['macs'] / 1e6:,.1f} M", f"{row['cycles']:,}",
        f"{row['limit']:,}" if row["limit"] else "", f"{row['ideal_cycles']:,}",
        f"{row['utilisation']:.1%}", f"{row['dram_bytes'] / 1e6:.1f}", *wall,
    )  # fmt: skip


def units(rows: list[dict[str, Any]]) -> Sheet:
    """Return where each unit's cycles go, in percent of the run."""
    names = list(rows[0]["units"])
    heads = ("model", "chip", *(f">{name} busy / starved / blocked" for name in names))
    body = []
    for row in rows:
        shares = (
            " / ".join(f"{count / row['cycles']:.1%}" for count in row["units"][name].values())
            for name in names
        )
        body.append((row["model"], row["chip"], *shares))
    return Sheet("", heads, tuple(body))


def judge(rows: list[dict[str, Any]]) -> int:
    """Say which limits are missed; return the exit code."""
    missed = [row for row in rows if row["limit"] and row["cycles"] > row["limit"]]
    for row in missed:
        print(
            f"{row['model']} on {row['chip']}: {row['cycles']:,} cycles, limit {row['limit']:,}",
            file=sys.stderr,
        )
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
