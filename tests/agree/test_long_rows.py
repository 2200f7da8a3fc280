"""Images longer than a window's padding field: tiles that begin beyond row or column 2048.

The expected values are those of the graph's own evaluation.
"""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.graph.evaluate import evaluate
from jiriki.graph.graph import Graph
from jiriki.program.check import check
from jiriki.sim.functional import FunctionalEngine
from tests.agree.networks import NetworkBuilder


def conv(shape: tuple[int, int]) -> Graph:
    """A 3x3 convolution over one long row or column, whose input stays in the scratchpad."""
    b = NetworkBuilder(3, (1, 4, *shape))
    return b.graph(b.conv(b.lut("x"), 6, (3, 3), (1, 1), (1, 1, 1, 1)))


def depthwise(shape: tuple[int, int]) -> Graph:
    b = NetworkBuilder(4, (1, 4, *shape))
    return b.graph(b.conv(b.lut("x"), 4, (3, 3), (1, 1), (1, 1, 1, 1), group=4))


def pool(shape: tuple[int, int]) -> Graph:
    b = NetworkBuilder(5, (1, 4, *shape))
    return b.graph(b.pool("maxpool", b.lut("x"), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)))


@pytest.mark.parametrize("network", [conv, depthwise, pool])
@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (2500, 2)])
def test_a_tile_may_begin_beyond_the_padding_field(network, shape: tuple[int, int]) -> None:
    chip, graph = load_chip("e256"), network(shape)
    program = compile_graph(graph, chip)
    check(program, chip)
    x = np.random.default_rng(1).normal(size=(1, 4, *shape)).astype(np.float32) * 3
    outputs = FunctionalEngine(chip).run(program, {"x": x}).outputs
    assert outputs is not None
    for name, value in evaluate(graph, {"x": x}).items():
        np.testing.assert_array_equal(outputs[name], value)
