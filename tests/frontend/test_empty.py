"""Tensors without elements: the chip's program gives ONNX Runtime's values, or ONNX's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.frontend import import_onnx, reference_outputs
from jiriki.graph import evaluate
from jiriki.program.check import check
from jiriki.sim.functional import FunctionalEngine
from tests.frontend.nets import model, node

f32 = np.float32
CHIP = load_chip("nano")
CONSTANTS = {
    "one": np.array([1]), "two": np.array([2]), "shape": np.array([4, 0, 2]),
    "sizes": np.array([0, 3]), "row": np.ones((1, 4), f32),
}  # fmt: skip

# Each is read with x of shape (2, 0, 4) and z of shape (3, 4).
CASES: dict[str, tuple[list[onnx.NodeProto], Sequence[str]]] = {
    **{
        op: ([node(op, ["x", "one"])], "y")
        for op in ("ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare")
    },
    "not over the empty axis": ([node("ReduceSum", ["x", "two"], "y", keepdims=0)], "y"),
    "identity": ([node("Identity", "x")], "y"),
    "arithmetic": ([node("Mul", ["x", "row"], "a"), node("Relu", "a")], "y"),
    "reshape": ([node("Reshape", ["x", "shape"], allowzero=1)], "y"),
    "slice": ([node("Slice", ["z", "two", "two"])], "y"),
    "split": ([node("Split", ["z", "sizes"], "yw"), node("Neg", "y", "v")], "ywv"),
    "concat": ([node("Slice", ["z", "two", "two"], "s"), node("Concat", ["s", "z"], axis=0)], "y"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_tensors_without_elements_equal_onnxruntime(case: str) -> None:
    nodes, outputs = CASES[case]
    used = {name for n in nodes for name in n.input}
    shapes = {k: v for k, v in {"x": (2, 0, 4), "z": (3, 4)}.items() if k in used}
    constants = {k: v for k, v in CONSTANTS.items() if k in used}
    net = model(nodes, shapes, constants, outputs=tuple(outputs))
    feeds = {k: np.random.default_rng(3).normal(size=s).astype(f32) for k, s in shapes.items()}
    graph = import_onnx(net)
    program = compile_graph(graph, CHIP)
    check(program, CHIP)
    got = FunctionalEngine(CHIP).run(program, feeds).outputs
    assert got is not None, "the functional engine computes values"
    for name, wanted in reference_outputs(net, feeds).items():
        assert got[name].dtype == wanted.dtype
        np.testing.assert_array_equal(got[name], wanted)
        np.testing.assert_array_equal(evaluate(graph, feeds)[name], wanted)


@pytest.mark.parametrize(("op", "wanted"), [("ReduceMax", False), ("ReduceMin", True)])
def test_the_extreme_of_no_truth_values_is_the_other_end(op: str, wanted: bool) -> None:
    net = model([node(op, ["x", "one"])], {"x": (2, 0, 4)}, {"one": CONSTANTS["one"]}, opset=20)
    for value in (*net.graph.input, *net.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.BOOL
    got = evaluate(import_onnx(net), {"x": np.zeros((2, 0, 4), np.bool_)})["y"]
    assert got.shape == (2, 1, 4) and got.dtype == np.bool_ and (got == wanted).all()
