"""One random chip with one small network: run right, or refused by a rule before compiling.

In: a seed. Out: a `Trial`. Right: the static checker finds nothing, the functional engine gives
what the graph's own evaluation gives (float32 means, whose order is the chip's, to 2 ulp), the
timing engine ends, and the naive engine counts the same cycles where they are few. A refusal is one
line that names the chip and the field too small.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from functools import cache

import numpy as np

from jiriki.chip import ChipConfig
from jiriki.compiler import compile_graph
from jiriki.errors import JirikiError
from jiriki.frontend import import_onnx, quantise_onnx
from jiriki.graph.evaluate import evaluate
from jiriki.graph.graph import Graph
from jiriki.isa.resolve import resolve
from jiriki.isa.sequence import unroll_instructions
from jiriki.models import Quiet, Reading, open_model
from jiriki.program import Program
from jiriki.program.check import check
from jiriki.sim.functional import FunctionalEngine
from jiriki.sim.naive.tile import NaiveTile
from jiriki.sim.timing import TimingEngine
from tests.agree.networks import random_network
from tests.agree.odd_chips import random_chip
from tests.house import good_files

MOST_SECONDS = 60.0  # of this process's own time
MOST_BYTES = 2 << 30
MOST_NAIVE_CYCLES = 20_000
RULES = ("scratchpad", "acc_rows", "DRAM", "columns")  # what a refusal names
FLOAT_SUMS = ("reduce_mean", "reduce_sum")  # in float32, in the order of the chip's lanes
FLOAT_TOLERANCE = 2**-22
STORED = ("digits", "vision", "attention", "moves")


@dataclass(frozen=True)
class Trial:
    """What became of a chip: a fault, a rule that refused it, or neither, and it ran right."""

    seed: int
    network: str
    rule: str
    fault: str
    seconds: float
    peak_bytes: int
    naive: bool


@cache
def stored_network(name: str) -> Graph:
    """Return a network of the zoo or of the house test, quantised."""
    if name == "digits":
        return open_model(name, Reading(), Quiet()).graph()
    samples = np.random.default_rng(5).normal(0, 1, (3, *good_files.SHAPE)).astype(np.float32)
    model = getattr(good_files, name)()
    return import_onnx(quantise_onnx(model, [{"x": sample} for sample in samples]))


def choose_network(seed: int) -> tuple[str, Graph]:
    """Return a stored network for every other seed, a drawn one for the rest."""
    if seed % 2:
        return "drawn", random_network(seed, 1 + seed % 4)
    name = STORED[seed // 2 % len(STORED)]
    return name, stored_network(name)


def try_chip(seed: int) -> Trial:
    """Compile and run one network on one chip."""
    chip, (network, graph) = random_chip(seed), choose_network(seed)
    began, rule, fault, naive = time.process_time(), "", "", False
    try:
        program = compile_graph(graph, chip)
    except JirikiError as refusal:
        rule = next((rule for rule in RULES if rule in str(refusal)), "")
        fault = "" if rule and _is_said_well(str(refusal), chip) else f"said badly: {refusal}"
    except Exception as error:  # what the trial is there to find
        fault = f"{type(error).__name__}: {error}"
    else:
        try:
            naive = _run_right(program, graph, chip, seed)
        except Exception as error:
            fault = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if not fault and (seconds > MOST_SECONDS or peak > MOST_BYTES):
        fault = f"{seconds:.0f} s, {peak / 2**30:.1f} GiB"
    return Trial(seed, network, rule, fault, seconds, peak, naive)


def _is_said_well(message: str, chip: ChipConfig) -> bool:
    return "\n" not in message and chip.name in message and len(message) < 400


def _run_right(program: Program, graph: Graph, chip: ChipConfig, seed: int) -> bool:
    """Assert that checker, engines and graph agree; return whether the naive engine ran too."""
    check(program, chip)
    rng = np.random.default_rng(seed)
    feeds = {p.name: rng.normal(size=p.shape).astype(np.float32) * 3 for p in graph.inputs}
    outputs = FunctionalEngine(chip).run(program, feeds).outputs
    assert outputs is not None, "the functional engine computes values"
    tolerance = FLOAT_TOLERANCE if any(node.op in FLOAT_SUMS for node in graph.nodes) else 0
    for name, value in evaluate(graph, feeds).items():
        np.testing.assert_allclose(outputs[name], value, tolerance, tolerance, err_msg=name)
    cycles = TimingEngine(chip).run(program).cycles or 0
    assert cycles > 0, "a run takes time"
    if cycles > MOST_NAIVE_CYCLES:
        return False
    works = resolve(unroll_instructions(program.instructions))
    assert NaiveTile(works, len(program.instructions), chip).run() == cycles, "naive cycles differ"
    return True
