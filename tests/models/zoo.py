"""Models of the zoo, quantised and compiled for e256 once a test run, and their comparison.

In: a model's name. Out: a `Compiled`; `compare` runs it on the functional engine and on the pinned
ONNX Runtime with the same inputs and counts what differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import onnx

from jiriki.chip import load_chip
from jiriki.cli.screen import Screen
from jiriki.compiler import compile_graph
from jiriki.frontend import reference_outputs, reference_session
from jiriki.frontend.zoo import ZooModel
from jiriki.graph import Graph
from jiriki.graph.expose import with_every_tensor
from jiriki.models import Feed, Reading, open_model
from jiriki.program import Program
from jiriki.sim.functional import FunctionalEngine

CHIP = load_chip("e256")


@dataclass(frozen=True)
class Compiled:
    """A model in every form it passes through."""

    zoo: ZooModel
    original: Any  # the float ModelProto
    quantised: Any  # the ModelProto in QDQ form
    graph: Graph
    program: Program


@dataclass(frozen=True)
class Comparison:
    """Elements, how many differ, by how many output steps at most, and the outputs themselves."""

    elements: int
    differing: int
    largest_steps: float
    outputs: tuple[np.ndarray, ...]


@lru_cache(maxsize=1)  # a big network is hundreds of MiB
def compiled(name: str) -> Compiled:
    """Quantise with the model's own calibration, compile with one plan."""
    model = open_model(name, Reading(), Screen("test", as_json=True))
    assert model.zoo is not None, f"{name} is in the zoo"
    graph = model.graph()
    program = compile_graph(graph, CHIP, effort=1)
    return Compiled(model.zoo, model.original, model.onnx, graph, program)


def compare(net: Compiled, feeds: Iterable[Feed]) -> Comparison:
    """Run both sides on every feed. Steps are those of the output's quantisation, else absolute."""
    engine, session = FunctionalEngine(CHIP), reference_session(net.quantised)
    elements = differing = 0
    largest = 0.0
    values = []
    for feed in feeds:
        outputs = engine.run(net.program, feed).outputs
        assert outputs is not None, "the functional engine computes values"
        for port, value in zip(net.graph.outputs, session.run(None, dict(feed)), strict=True):
            wanted, got = np.asarray(value), outputs[port.name]
            assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
            gap = np.abs(got.astype(np.float64) - wanted) / (port.scale or 1.0)
            elements += gap.size
            differing += int(np.count_nonzero(gap))
            largest = max(largest, float(gap.max()))
            values.append(got)
    return Comparison(elements, differing, largest, tuple(values))


def layer_gaps(net: Compiled, feed: Feed) -> dict[str, Comparison]:
    """Compare every int8 tensor that both sides have, in the order of the network, in steps."""
    program = compile_graph(with_every_tensor(net.graph), CHIP, effort=1)
    ours = FunctionalEngine(CHIP).run(program, feed).outputs or {}
    quantised = [n.output[0] for n in net.quantised.graph.node if n.op_type == "QuantizeLinear"]
    names = [name for name in ours if name in quantised and ours[name].dtype == np.int8]
    model = onnx.ModelProto()
    model.CopyFrom(net.quantised)
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    theirs = reference_outputs(model, feed)
    gaps = {}
    for name in names:
        wanted = theirs[name].astype(np.int16) - 128 * (theirs[name].dtype == np.uint8)
        gap = np.abs(ours[name].astype(np.int16) - wanted)
        gaps[name] = Comparison(gap.size, int(np.count_nonzero(gap)), float(gap.max()), ())
    return gaps
