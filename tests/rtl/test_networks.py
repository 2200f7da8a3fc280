"""Compiled networks on the gates: random ones, and those of the zoo with real photos.

Every element of every output and every cycle of every instruction, as the simulators have them.
`bench/gates.py` prints the figures of the same runs.
"""

from __future__ import annotations

import numpy as np
import pytest

from bench.gates import measure
from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from tests.agree.networks import random_network
from tests.rtl.lockstep import verified
from tests.rtl.resnet18 import VTA_CYCLES


def random_network_agrees(seed: int, chip_name: str) -> None:
    chip = load_chip(chip_name)
    graph = random_network(seed, layers=1 + seed % 6)
    program = compile_graph(graph, chip)
    x = np.random.default_rng(seed).normal(size=graph.inputs[0].shape).astype(np.float32) * 3
    verification = verified(program, chip, {"x": x})
    assert verification.agrees, (seed, verification)


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_agree_in_every_bit_and_cycle(seed: int) -> None:
    random_network_agrees(seed, "nano")


@pytest.mark.full
@pytest.mark.parametrize("chip", ["nano", "e256", "vta256"])
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_random_networks_agree(seed: int, chip: str) -> None:
    random_network_agrees(seed, chip)


@pytest.mark.full
@pytest.mark.parametrize("layers", [False, True], ids=["output", "every-layer"])
@pytest.mark.parametrize("model", ["efficientnet-lite0", "mobilenetv2", "resnet50"])
def test_a_network_of_the_zoo_agrees(model: str, layers: bool) -> None:
    measured = measure(model, layers)
    assert measured["agrees"], measured
    assert measured["outputs"] > 60 if layers else measured["outputs"] == 1


@pytest.mark.full
def test_the_convolutions_of_resnet18_take_fewer_cycles_than_vta() -> None:
    measured = measure("resnet18")
    assert measured["agrees"], measured
    assert measured["cycles"]["rtl"] < VTA_CYCLES
