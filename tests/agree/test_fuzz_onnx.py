"""Random ONNX networks, quantised, compiled, run: the chip's values are ONNX Runtime's.

Integer operators are equal in every element; the ends that decision 0004 names are within one step
of their output. A float that is quantised inside the network may round a tie the other way (the
chip multiplies where ONNX Runtime divides), and what follows it sees that. A failure prints the
test's seed (in its name) and the network that hypothesis shrank it to.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.frontend import import_onnx, quantise_onnx, reference_outputs
from jiriki.graph import Graph
from jiriki.program.check import check
from jiriki.sim.functional import FunctionalEngine
from tests.agree.onnx_graphs import Network, grow

FLOAT_TOLERANCE = 2e-5  # decision 0004, float32 outputs
ONE_STEP = 1.001
TIE_STEPS, TIE_SHARE = 2.001, 0.02  # behind a tie: steps of an output; of a float one's largest
CHIPS = ("e256", "nano")


@st.composite
def networks(draw: st.DrawFn, most_nodes: int) -> Network:
    return grow(lambda options: draw(st.sampled_from(options)), draw(st.integers(1, most_nodes)))


def agrees(net: Network, chip_name: str) -> None:
    """Assert that the compiled network gives what the pinned ONNX Runtime gives."""
    rng = np.random.default_rng(1)
    model = net.model()
    onnx.checker.check_model(model, full_check=True)
    feeds = [{"x": rng.standard_normal(net.shapes["x"]).astype(np.float32)} for _ in range(3)]
    quantised = quantise_onnx(model, feeds[:2])
    chip, graph = load_chip(chip_name), import_onnx(quantised)
    program = compile_graph(graph, chip, effort=1)
    check(program, chip)
    outputs = FunctionalEngine(chip).run(program, feeds[2]).outputs
    expected = reference_outputs(quantised, feeds[2])
    assert outputs is not None, "the functional engine computes values"
    tied = behind_ties(graph)
    for port in graph.outputs:
        got, wanted = outputs[port.name].astype(np.float64), expected[port.name]
        assert got.shape == wanted.shape, port.name
        with np.errstate(invalid="ignore"):  # of two infinities
            same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
            gap = np.where(same, 0.0, np.abs(got - wanted))
        if port.scale is None:
            bound = 1e-5 + FLOAT_TOLERANCE * np.abs(wanted)
            loose = TIE_SHARE * np.abs(wanted).max(initial=0.0)
        else:
            bound = (ONE_STEP if port.name in net.ends else 0.0) * port.scale
            loose = TIE_STEPS * port.scale
        wrong = ~(gap <= (np.maximum(bound, loose) if port.name in tied else bound))
        assert not wrong.any(), f"{port.name}: {wrong.sum()} of {wrong.size}, {gap.max()} at most"


def behind_ties(graph: Graph) -> set[str]:
    """Return the tensors that depend on a float quantised inside the network."""
    tied: set[str] = set()
    for node in graph.nodes:
        if node.op == "quantize" or tied.intersection(node.inputs):
            tied.update(node.outputs)
    return tied


def run(number: int, count: int, most_nodes: int) -> None:
    """Try `count` networks from one seed."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(net=networks(most_nodes), chip=st.sampled_from(CHIPS))
    def agree(net: Network, chip: str) -> None:
        agrees(net, chip)

    agree()


@pytest.mark.parametrize("number", [1, 2])
def test_random_networks_equal_onnx_runtime(number: int) -> None:
    run(number, count=5, most_nodes=12)


@pytest.mark.full
@pytest.mark.parametrize("number", range(100, 120))
def test_many_random_networks_equal_onnx_runtime(number: int) -> None:
    run(number, count=25, most_nodes=30)
