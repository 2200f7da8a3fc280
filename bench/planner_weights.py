"""The compiler's weights, each tried at other values: cycles of zoo models beside today's.

In: models and a chip. Out: a row a weight and value: name, unit, and the cycles of each model as a
ratio to today's; exit code 1 when another value is more than `--tolerance` better over all models.

    python -m bench.planner_weights                        # all weights, about 15 minutes
    python -m bench.planner_weights --only START_SHARE

A weight is a number in the source that no rule of the chip fixes: it stands in a guess of cycles,
or says how large or how old something should be. Programs are right at any value of it.
"""

from __future__ import annotations

import argparse
import importlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jiriki.chip import load_chip
from jiriki.cli.screen import Screen
from jiriki.compiler import compile_graph
from jiriki.errors import JirikiError
from jiriki.graph import Graph
from jiriki.models import Reading, open_model
from jiriki.report.tables import Sheet, markdown
from jiriki.sim.timing import TimingEngine

MODELS = ("efficientnet-lite0", "mobilenetv2", "ppocr-cls", "ppocr-det")
CHIP = "e256"


@dataclass(frozen=True)
class Weight:
    """A constant of a module, its unit, and the values to try beside today's."""

    module: str
    name: str
    unit: str
    others: tuple[Any, ...]
    readers: tuple[str, ...] = ()  # modules that import it


BLOCK_READERS = (
    "tiling.vector.pool", "tiling.vector.reduce", "tiling.matrix.transpose_conv",
    "tiling.moves.channel_copy",
)  # fmt: skip
WEIGHTS = (
    Weight("tiling.matrix.conv", "TRAFFIC_SHARE", "share of traffic", (0.0, 0.025, 0.1, 0.3)),
    Weight("tiling.matrix.conv", "START_SHARE", "share of first loads", (0.0, 0.25, 1.0)),
    Weight("tiling.matrix.conv", "CALL_CYCLES", "cycles", (0, 8, 32, 64)),
    Weight("tiling.matrix.depthwise", "TRAFFIC_SHARE", "share of traffic", (0.0, 0.05, 0.3)),
    Weight("tiling.matrix.depthwise", "START_SHARE", "share of first loads", (0.0, 0.25, 1.0)),
    Weight("tiling.matrix.depthwise", "CALL_CYCLES", "cycles", (0, 12, 48)),
    Weight("tiling.matrix.depthwise", "TILE_CYCLES", "cycles", (0, 16)),
    Weight("tiling.cut", "USED_SHARE", "share of bytes", (0.8, 0.9, 0.98)),
    Weight("tiling.cut", "MARGIN_BYTES", "bytes", (512, 8192)),
    Weight("tiling.cut", "FIRST_SHARE", "share of bytes", (0.7, 0.86)),
    Weight("tiling.cut", "SECOND_SHARE", "share of bytes", (0.08, 0.18)),
    Weight("tiling.vector.elementwise", "BLOCKS", "blocks", (2, 8), BLOCK_READERS),
    Weight("tiling.vector.elementwise", "SMALL_BLOCK", "bytes", (4_096, 16_384), BLOCK_READERS),
    Weight("emit.schedule", "LONG_LIFE", "operations", (5, 20, 40)),
    Weight("emit.memory", "AGES", "operations", ((24, 12, 6, 3, 0), (192, 96, 48, 24, 12, 6, 0))),
    Weight("compiler", "LOOKAHEADS", "operations", ((60, 0), (1000, 400, 60, 0))),
    Weight("compiler", "RESIDENT_SHARES", "share of bytes", ((0.375,), (0.625,), (0.25,))),
)


def main() -> int:
    """Compile every model with every value, print the table, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--chip", default=CHIP)
    parser.add_argument("--only", help="one weight, by name")
    parser.add_argument("--tolerance", type=float, default=0.01, help="a share of all cycles")
    arguments = parser.parse_args()
    screen = Screen("planner_weights", as_json=False)
    graphs = {name: open_model(name, Reading(), screen).graph() for name in arguments.models}
    today = [_cycles(graph, arguments.chip) for graph in graphs.values()]
    rows, better = [], []
    for weight in WEIGHTS:
        if arguments.only not in (None, weight.name):
            continue
        now = getattr(importlib.import_module(f"jiriki.{weight.module}"), weight.name)
        label = f"{weight.module}.{weight.name}"
        rows.append((label, weight.unit, f"{now} (today)", *["1"] * (len(graphs) + 1)))
        for value in weight.others:
            with screen.step(f"{label} = {value}"), _set(weight, value):
                cycles = [_cycles(graph, arguments.chip) for graph in graphs.values()]
            ratios = [c / t for c, t in zip(cycles, today, strict=True)]
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            rows.append((label, weight.unit, f"{value}", *map(_ratio, (*ratios, mean))))
            if mean < 1 - arguments.tolerance:
                better.append(f"{label} = {value}: {mean:.4f} of today's cycles")
    heads = ("weight", "unit", "value", *(f">{name}" for name in (*graphs, "mean")))
    print(markdown(Sheet("", heads, tuple(rows))))
    print("\n".join(better) or f"no value is more than {arguments.tolerance:.0%} better")
    return int(bool(better))


def _cycles(graph: Graph, chip: str) -> float:
    """Return the cycles of the program; infinity where the value leaves no plan."""
    tile = load_chip(chip)
    try:
        return TimingEngine(tile).run(compile_graph(graph, tile)).cycles or math.inf
    except JirikiError:
        return math.inf


def _ratio(value: float) -> str:
    return "no plan" if math.isinf(value) else f"{value:.4f}"


@contextmanager
def _set(weight: Weight, value: object) -> Iterator[None]:
    """Set the constant in its module and in those that import it."""
    modules = [importlib.import_module(f"jiriki.{m}") for m in (weight.module, *weight.readers)]
    now = getattr(modules[0], weight.name)
    try:
        for module in modules:
            setattr(module, weight.name, value)
        yield
    finally:
        for module in modules:
            setattr(module, weight.name, now)


if __name__ == "__main__":
    raise SystemExit(main())
