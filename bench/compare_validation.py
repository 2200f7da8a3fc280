"""The analytic engine beside every published result: predicted, published, error, and whether the
entry calibrated it or was held out; and the statistics.

In: nothing. Out: one table a workload, medians, the share of entries inside their range.
`--fit` fits the efficiencies again and stores them (half a minute); `--write-resnet50` makes the
layers of workloads/resnet50.toml from the zoo's graph; `--measure-tiles` runs ResNet-50 on one
tile of each chip of our own and stores what the timing simulator counts.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from jiriki.graph import Graph
from jiriki.predict.calibrate import Check, checks, fit, median_error
from jiriki.products.product import load_products

PACKAGE = Path(__file__).parents[1] / "jiriki"
EFFICIENCIES = PACKAGE / "predict" / "efficiencies.toml"
SDXL = PACKAGE / "predict" / "workloads" / "sdxl.toml"
MEASURED = PACKAGE / "plan" / "compare" / "measured.toml"
RESNET50 = PACKAGE / "predict" / "workloads" / "resnet50.toml"


def main() -> int:
    """Fit where asked, then print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--write-resnet50", action="store_true")
    parser.add_argument("--measure-tiles", action="store_true")
    asked = parser.parse_args()
    if asked.write_resnet50:
        RESNET50.write_text(resnet50_toml(RESNET50.read_text("utf-8")), "utf-8")
    if asked.measure_tiles:
        measure_tiles()
    if asked.fit:
        for path, value in fit().items():
            store(path, value)
            print(".".join(path), f"= {value:.4g}")
        return 0  # the stored values are read once a process: run again for the table
    entries = checks()
    for workload in dict.fromkeys(check.result.workload for check in entries):
        print_table(workload, [check for check in entries if check.result.workload == workload])
    print_statistics(entries)
    return 0


def print_table(workload: str, entries: Sequence[Check]) -> None:
    """Print one workload's entries."""
    unit = entries[0].result.unit
    print(f"\n{workload} ({unit} and accelerator)\n")
    print("| accelerator | mode | weights | round | predicted | range | published | error | |")
    print("|---|---|---|---|--:|--:|--:|--:|---|")
    for check in entries:
        r, (low, base, high) = check.result, check.predicted
        mark = "calibration" if r.calibration else "held out"
        note = f"; {r.note}" if r.note else ""
        print(
            f"| {r.chip} | {r.mode} | {r.weights_format} | {r.round} | {base:,.4g} | "
            f"{low:,.4g} to {high:,.4g} | {r.per_s:,.4g} | {check.error:+.1%} | {mark}{note} |"
        )


def print_statistics(entries: Sequence[Check]) -> None:
    """Print medians of |error|: calibration, held out, held out by workload and by mode."""
    held = [check for check in entries if not check.result.calibration]
    print(f"\ncalibration entries: {len(entries) - len(held)}, held out: {len(held)}")
    print(f"median |error|, calibration: {median_error(entries, True):.1%}")
    print(f"median |error|, held out:    {median_error(entries, False):.1%}")
    for title, key in (("workload", lambda r: r.workload), ("mode", lambda r: r.mode)):
        for name in dict.fromkeys(key(check.result) for check in held):
            errors = [abs(check.error) for check in held if key(check.result) == name]
            print(
                f"  {title} {name}: {median(errors):.1%} of {len(errors)}, worst {max(errors):.0%}"
            )
    inside = sum(check.in_range for check in held) / len(held)
    print(f"held out and inside the stated range: {inside:.0%}")


def store(path: tuple[str, ...], value: float) -> None:
    """Put one fitted number into its file; the rest of the file stays as it is."""
    if path[0] == "sdxl":
        text = re.sub(r"(?m)^traffic_elements = \S+", f"{path[1]} = {value:.4g}", SDXL.read_text())
        SDXL.write_text(text, "utf-8")
        return
    lines, section = EFFICIENCIES.read_text("utf-8").splitlines(), ()
    for number, line in enumerate(lines):
        if line.startswith("["):
            section = tuple(line.strip("[]").split("."))
        elif section == path[:-1] and line.split(" = ")[0] == path[-1]:
            comment = line.partition(" #")
            lines[number] = f"{path[-1]} = {value:.4g}{comment[1]}{comment[2]}"
            EFFICIENCIES.write_text("\n".join(lines) + "\n", "utf-8")
            return
    raise SystemExit(f"{EFFICIENCIES}: no line for {'.'.join(path)}")


def resnet50_toml(text: str) -> str:
    """Return the workload's file with its layers as the zoo's graph has them."""
    from jiriki.predict.graph_workload import from_graph

    graph = resnet50()
    rows = "".join(
        f'  ["{layer.name.replace("_QuantizeLinear_Output", "")}", {layer.ops:.0f}, '
        f"{layer.weights:.0f}, {layer.activations:.0f}],\n"
        for layer in from_graph(graph, "resnet50").phases[0].layers
    )
    return text[: text.index("layers = [")] + f"layers = [\n{rows}]\n"


def measure_tiles() -> None:
    """Run ResNet-50 on every tile that a chip of ours is made of."""
    from jiriki.chip import load_chip
    from jiriki.plan.compare.own_chips import measure, to_toml

    graph = resnet50()
    tiles = sorted({product.tile for product in load_products() if product.tile is not None})
    runs = [measure("resnet50", graph, load_chip(tile)) for tile in tiles]
    head = MEASURED.read_text("utf-8").split("\n[[run]]")[0]
    MEASURED.write_text(head + to_toml(runs), "utf-8")


def resnet50() -> Graph:
    """Return the zoo's graph."""
    from jiriki.cli.screen import Screen
    from jiriki.models import Reading, open_model

    return open_model("resnet50", Reading(), Screen("bench", as_json=False)).graph()


if __name__ == "__main__":
    sys.exit(main())
