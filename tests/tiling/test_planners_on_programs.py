"""Planners through emit, the static checker and the functional simulator, resident and not.

The interpreter of the other tests and the simulator share no code; they must agree on every bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from jiriki.chip.catalogue import load_chip
from jiriki.emit import emit
from jiriki.graph.graph import Graph, Node, Port, TensorType
from jiriki.graph.ops import OPS
from jiriki.program.check import check
from jiriki.sim.functional import FunctionalEngine
from jiriki.tiling.cut import Plan, cut_graph
from jiriki.tiling.planners import PLANNERS
from tests.tiling.cases import (
    ELEMENTWISE,
    MATMULS,
    MOVES,
    POOLS,
    f32,
    matmul_attrs,
    matmul_inputs,
)
from tests.tiling.harness import make_node, run_node


def _same(source: str, target: str, type_: TensorType) -> Node:
    """A node that copies: a slice of everything."""
    rank = len(type_.shape)
    attrs = {"starts": (0,) * rank, "ends": type_.shape, "steps": (1,) * rank}
    return Node("slice", f"to {target}", (source,), (target,), attrs, "test")


def between_copies(graph: Graph) -> Graph:
    """The node's inputs and output become inner tensors, which the planner may keep resident."""
    tensors, before, names = dict(graph.tensors), [], {}
    for p in graph.inputs:
        names[p.name] = f"{p.name}.in"
        tensors[names[p.name]] = tensors[p.name]
        before.append(_same(p.name, names[p.name], tensors[p.name]))
    (node,) = graph.nodes
    node = replace(node, inputs=tuple(names.get(i, i) for i in node.inputs))
    tensors["z"] = tensors["y"]
    nodes = (*before, node, _same("y", "z", tensors["y"]))
    return replace(graph, tensors=tensors, nodes=nodes)


def run_program(
    op: str, inputs: Mapping[str, np.ndarray], attrs: Mapping[str, object],
    constants: Sequence[str], chip_name: str, resident_bytes: int,
) -> np.ndarray:  # fmt: skip
    chip = load_chip(chip_name)
    graph = make_node(op, inputs, attrs, constants)
    name = "y"
    if resident_bytes:
        graph, name = between_copies(graph), "z"
    type_ = graph.tensors[name]
    port = Port(name, type_.dtype.numpy.name, type_.shape, None, 0)
    graph = replace(graph, outputs=(port,))
    graph.verify()
    program = emit(cut_graph(graph, chip, Plan(resident_bytes, resident_bytes)), graph, chip)
    check(program, chip)
    feeds = {p.name: inputs[p.name] for p in graph.inputs}
    outputs = FunctionalEngine(chip).run(program, feeds).outputs
    assert outputs is not None
    return outputs[name]


Case = tuple[str, Mapping[str, np.ndarray], Mapping[str, object], Sequence[str]]


def _cases() -> dict[str, Case]:
    moves = {
        k: (op, {f"x{i}": a for i, a in enumerate(arrays)}, attrs, [])
        for k, (op, arrays, attrs) in MOVES.items()
        if k != "reshape scalar"
    }
    pools = {k: (op, {"x": x}, a, []) for k, (op, x, a) in POOLS.items()}
    products = {
        f"matmul {s}": (
            "matmul", matmul_inputs(s), matmul_attrs(-128, 5, "i8"),
            ["bias", "scale"],
        )
        for s in MATMULS
    }  # fmt: skip
    floats = {
        op: (op, {"x": f32(2, 5, 7) * 4}, {}, [])
        for op in ("exp", "log", "sigmoid", "tanh", "erf", "softplus", "mish", "silu")
    }
    softmax = {"softmax": ("softmax", {"x": f32(3, 30)}, {"axis": 1}, [])}
    return {**moves, **ELEMENTWISE, **pools, **products, **floats, **softmax}


CASES = _cases()


@pytest.mark.parametrize("chip", ["nano", "os256"])
@pytest.mark.parametrize("resident_bytes", [0, 1 << 15])
@pytest.mark.parametrize("case", CASES)
def test_programs_agree_with_the_interpreter(case: str, resident_bytes: int, chip: str) -> None:
    op, inputs, attrs, constants = CASES[case]
    want = run_node(op, inputs, attrs, constants, chip=chip)
    got = run_program(op, inputs, attrs, constants, chip, resident_bytes)
    assert np.array_equal(got, want, equal_nan=want.dtype == np.float32)


def test_every_operation_but_conv_has_a_planner() -> None:
    assert set(OPS) - set(PLANNERS) == {"conv"}
