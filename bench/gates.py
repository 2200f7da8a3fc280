"""Whole networks on the simulated gates: bits, cycles, and how long it takes.

In: the zoo and ResNet-18's convolutions, the chips e256 and vta256, real photos where the network
knows them. Out: a Markdown table on standard output (the README's figures); exit code 1 when a bit
or a cycle differs from the simulators, or a label is wrong. Each network runs in a process of its
own, two at a time; `--layers` compares the result of every layer (more stores, more cycles).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import numpy as np

from jiriki.agreement import compare_runs
from jiriki.chip import load_chip
from jiriki.cli.screen import Screen
from jiriki.compiler import compile_graph
from jiriki.graph import Graph
from jiriki.graph.expose import with_every_tensor
from jiriki.models import Reading, open_model
from jiriki.report.tables import Sheet, markdown
from jiriki.rtl.engine import GatesEngine
from jiriki.rtl.simulate.tile import tile_library
from jiriki.sim.functional import FunctionalEngine
from jiriki.sim.timing import TimingEngine
from tests.rtl.resnet18 import VTA_CYCLES, resnet18

CHIPS = {"resnet50": "e256", "efficientnet-lite0": "e256", "mobilenetv2": "e256",
         "resnet18": "vta256"}  # fmt: skip
PUBLISHED = {"resnet18": f"VTA {VTA_CYCLES:,}"}
AT_ONCE = 2


@dataclass(frozen=True)
class Work:
    """A network, what it is given, and the class a photo shows (None: nothing to recognise)."""

    graph: Graph
    feed: Mapping[str, np.ndarray]
    label: int | None


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(CHIPS))
    parser.add_argument("--layers", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for chip in sorted({CHIPS[name] for name in arguments.models}):
        tile_library(load_chip(chip))  # once, not in every process
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(measure, name, arguments.layers) for name in arguments.models]
        rows = [job.result() for job in jobs]
    print(json.dumps({"networks": rows}) if arguments.json else markdown(table(rows)))
    return int(not all(row["agrees"] for row in rows))


def measure(name: str, layers: bool = False) -> dict[str, Any]:
    """Run a network on the three engines; return what is compared and how long the gates took."""
    chip, network = load_chip(CHIPS[name]), work(name)
    program = compile_graph(with_every_tensor(network.graph) if layers else network.graph, chip)
    functional = FunctionalEngine(chip).run(program, network.feed)
    timing = TimingEngine(chip).run(program, events=True)
    built = perf_counter()
    tile_library(chip)
    began = perf_counter()
    gates = GatesEngine(chip).run(program, network.feed, events=True)
    seconds = perf_counter() - began
    compared = compare_runs(program, functional, timing, gates)
    label, outputs = network.label, gates.outputs or {}
    label_right = label is None or _says(outputs, network.graph) == label
    return {
        "model": name,
        "chip": chip.name,
        "outputs": len(program.outputs),
        "elements": compared.elements,
        "differing_elements": compared.differing_elements,
        "cycles": {"timing": compared.timing_cycles, "rtl": compared.rtl_cycles},
        "instructions": compared.instructions,
        "instructions_off": compared.instructions_off,
        "counters_off": list(compared.counters_off),
        "label": label,
        "agrees": compared.agrees and label_right,
        "wall_s": {"build": began - built, "rtl": seconds},
    }


def work(name: str) -> Work:
    """Return a network with its input."""
    if name == "resnet18":
        graph = resnet18()
        rng = np.random.default_rng(1)
        x = rng.integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
        return Work(graph, {"x": x}, None)
    model = open_model(name, Reading(), Screen("bench", as_json=True))
    assert model.zoo is not None, f"{name} is in the zoo"
    if not model.zoo.card.has_photos:
        return Work(model.graph(), model.zoo.calibration()[0], None)
    photo = model.zoo.photos()[0]
    return Work(model.graph(), model.zoo.prepare(photo.data), photo.label)


def _says(outputs: Mapping[str, np.ndarray], graph: Graph) -> int:
    """Return the class with the highest score."""
    return int(outputs[graph.outputs[0].name].argmax())


def table(rows: Sequence[Mapping[str, Any]]) -> Sheet:
    """Return one row a network."""
    heads = (
        "network", "chip", ">outputs", ">elements", ">differ", ">cycles, timing", ">cycles, gates",
        ">instructions off", "published", ">gates s", ">cycles / s",
    )  # fmt: skip
    return Sheet("", heads, tuple(_row(row) for row in rows))


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    cycles, seconds = row["cycles"], row["wall_s"]["rtl"]
    return (
        row["model"], row["chip"], f"{row['outputs']}", f"{row['elements']:,}",
        f"{row['differing_elements']:,}", f"{cycles['timing']:,}", f"{cycles['rtl']:,}",
        f"{row['instructions_off']:,} of {row['instructions']:,}",
        PUBLISHED.get(row["model"], ""), f"{seconds:.0f}", f"{cycles['rtl'] / seconds:,.0f}",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
