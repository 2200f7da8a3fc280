"""Random chips that ChipConfig accepts, random networks: compiled right, or refused in one line.

Right: the checker finds no fault, the functional simulator gives what the graph gives, the timing
simulator reaches the end. A refusal comes from the compiler, before there is a program, and names
the field of the chip that is too small.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from jiriki.chip import ChipConfig
from jiriki.compiler import compile_graph
from jiriki.errors import JirikiError
from jiriki.graph.evaluate import evaluate
from jiriki.graph.graph import Graph
from jiriki.program import Program
from jiriki.program.check import check
from jiriki.sim.functional import FunctionalEngine
from jiriki.sim.timing import TimingEngine
from tests.agree.networks import random_network
from tests.agree.odd_chips import random_chip

MOST_SECONDS = 60.0


def runs_right(program: Program, graph: Graph, chip: ChipConfig, seed: int) -> None:
    """Assert the checker's, the functional and the timing simulator's agreement with the graph."""
    check(program, chip)
    x = np.random.default_rng(seed).normal(size=graph.inputs[0].shape).astype(np.float32) * 3
    outputs = FunctionalEngine(chip).run(program, {"x": x}).outputs
    assert outputs is not None, "the functional engine computes values"
    for name, value in evaluate(graph, {"x": x}).items():
        np.testing.assert_array_equal(outputs[name], value, err_msg=f"seed {seed}")
    assert (TimingEngine(chip).run(program).cycles or 0) > 0


def runs_or_is_refused(seed: int) -> bool:
    """Try one chip and network; return whether it was compiled."""
    chip, graph = random_chip(seed), random_network(seed, 1 + seed % 4)
    began = time.perf_counter()
    try:
        program = compile_graph(graph, chip)
    except JirikiError as refusal:
        said = str(refusal)
        assert "\n" not in said and chip.name in said, said
        assert any(field in said for field in ("scratchpad", "acc_rows", "DRAM", "columns")), said
        program = None
    if program is not None:
        runs_right(program, graph, chip, seed)
    assert time.perf_counter() - began < MOST_SECONDS, f"seed {seed}"
    return program is not None


def test_random_chips_run_right_or_are_refused_before_compiling() -> None:
    compiled = sum(runs_or_is_refused(seed) for seed in range(40))
    assert compiled >= 20, "most odd chips are usable"


@pytest.mark.full
@pytest.mark.parametrize("first", range(1000, 1500, 50))
def test_five_hundred_random_chips_run_right_or_are_refused(first: int) -> None:
    compiled = sum(runs_or_is_refused(seed) for seed in range(first, first + 50))
    assert compiled >= 25, "most odd chips are usable"
