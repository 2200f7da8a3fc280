"""Compiled random networks: the chip's values are the graph's, and the checker finds no fault."""

import numpy as np
import pytest

from jiriki.chip import load_chip
from jiriki.emit import emit
from jiriki.graph.evaluate import evaluate
from jiriki.program.check import check
from jiriki.sim.functional import FunctionalEngine
from jiriki.tiling.cut import Plan, cut_graph
from tests.agree.networks import random_network


def agrees(seed: int, chip_name: str, share: float, lookahead: int) -> None:
    chip = load_chip(chip_name)
    graph = random_network(seed, layers=1 + seed % 6)
    budget = int(chip.scratchpad_bytes * share)
    program = emit(cut_graph(graph, chip, Plan(budget, budget)), graph, chip, lookahead)
    check(program, chip)
    x = np.random.default_rng(seed).normal(size=graph.inputs[0].shape).astype(np.float32) * 3
    expected = evaluate(graph, {"x": x})
    outputs = FunctionalEngine(chip).run(program, {"x": x}).outputs
    assert outputs is not None, "the functional engine computes values"
    for name, value in expected.items():
        np.testing.assert_array_equal(outputs[name], value, err_msg=f"seed {seed}")


@pytest.mark.parametrize("chip", ["e256", "nano", "vta256", "os256"])
@pytest.mark.parametrize("seed", range(6))
def test_compiled_network_equals_graph(seed: int, chip: str) -> None:
    agrees(seed, chip, share=0.5 * (seed % 2), lookahead=(400, 0)[seed % 2])


@pytest.mark.full
@pytest.mark.parametrize("chip", ["e256", "nano", "vta256", "os256"])
@pytest.mark.parametrize("seed", range(100, 160))
def test_many_compiled_networks_equal_graphs(seed: int, chip: str) -> None:
    agrees(seed, chip, share=0.25 * (seed % 3), lookahead=(400, 20)[seed % 2])
