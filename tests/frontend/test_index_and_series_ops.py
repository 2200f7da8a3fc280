"""ArgMax, TopK, GatherElements, Sin, Cos, CumSum, LRN and sums against ONNX's own reference."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.frontend import UnsupportedOperatorError, import_onnx, reference_outputs
from jiriki.graph import evaluate
from jiriki.sim.functional import FunctionalEngine
from tests.frontend.nets import model, node

f32 = np.float32
SHAPE = (2, 5, 4, 6)
TIES = np.random.default_rng(1).integers(-3, 4, SHAPE).astype(f32)
SMOOTH = np.random.default_rng(2).standard_normal(SHAPE).astype(f32)
ROWS = np.random.default_rng(3).integers(-4, 4, (2, 3, 4, 6))

POSITIONS = [
    (op, {"axis": axis, "keepdims": keep, "select_last_index": last})
    for op in ("ArgMax", "ArgMin")
    for axis, keep, last in [(0, 1, 0), (1, 0, 0), (2, 1, 1), (-1, 0, 1)]
]
SERIES = [
    ("LRN", {"size": 3}),
    ("LRN", {"size": 5, "alpha": 0.5, "beta": 0.6, "bias": 2.0}),
    ("LRN", {"size": 15, "alpha": 2.0}),
    ("ReduceL1", {"keepdims": 0}),
    ("ReduceLogSumExp", {}),
    ("ReduceLogSumExp", {"axes": (1, 3), "keepdims": 0}),
    ("ReduceL1", {"axes": (2,)}),
]
SUMS = [(axis, e, r) for axis, e, r in [(0, 0, 0), (1, 1, 0), (2, 0, 1), (-1, 1, 1)]]


def reference(net, x: np.ndarray) -> list[np.ndarray]:
    results = ReferenceEvaluator(net).run(None, {"x": x})
    assert isinstance(results, list)
    return [np.asarray(result) for result in results]


def integers(net, *names: str):
    """Say that these outputs of the model are int64."""
    for output in net.graph.output:
        if output.name in names:
            output.type.tensor_type.elem_type = TensorProto.INT64
    return net


@pytest.mark.parametrize(("op", "attrs"), POSITIONS)
def test_positions_of_extremes_are_exact_also_among_equals(op, attrs):
    net = integers(model([node(op, "x", **attrs)], {"x": SHAPE}), "y")
    got = evaluate(import_onnx(net), {"x": TIES})["y"]
    np.testing.assert_array_equal(got, reference(net, TIES)[0])
    assert got.dtype == np.int64


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize(("axis", "k"), [(1, 1), (-1, 3), (2, 4)])
def test_top_k_is_exact_also_where_nothing_but_infinity_is_left(axis, k, largest):
    nodes = [node("TopK", "xk", "yi", axis=axis, largest=largest)]
    net = integers(model(nodes, {"x": SHAPE}, {"k": np.array([k])}, outputs="yi"), "i")
    x = np.where(TIES > 1, f32(-np.inf), SMOOTH).astype(f32)
    x[0, 0] = -np.inf
    values, places = reference(net, x)
    got = evaluate(import_onnx(net), {"x": x})
    np.testing.assert_array_equal(got["y"], values)
    np.testing.assert_array_equal(np.take_along_axis(x, got["i"], axis), values)
    assert all(len(set(row)) == k for row in np.moveaxis(got["i"], axis, -1).reshape(-1, k))
    finite = np.isfinite(values)
    np.testing.assert_array_equal(got["i"][finite], places[finite])


def test_more_than_64_passes_are_refused():
    net = model([node("TopK", "xk", "yi")], {"x": (2, 99)}, {"k": np.array([65])}, outputs="y")
    with pytest.raises(UnsupportedOperatorError, match=r"k = 65 is outside 1\.\.64"):
        import_onnx(net)


@pytest.mark.parametrize("axis", [1, -3])
def test_elements_at_stored_positions(axis):
    net = model([node("GatherElements", "xi", axis=axis)], {"x": SHAPE}, {"i": ROWS})
    got = evaluate(import_onnx(net), {"x": SMOOTH})["y"]
    np.testing.assert_array_equal(got, reference(net, SMOOTH)[0])


@pytest.mark.parametrize("op", ["Sin", "Cos"])
def test_angles_to_25000_radians_are_within_4e_7(op):
    near, far = np.linspace(-7, 7, 3001), np.linspace(-25000, 25000, 7001)
    multiples = np.arange(-40, 40) * np.pi / 2
    x = np.concatenate([near, far, multiples]).astype(f32)
    net = model([node(op, "x")], {"x": x.shape})
    true = {"Sin": np.sin, "Cos": np.cos}[op](x.astype(np.float64))
    got = evaluate(import_onnx(net), {"x": x})["y"]
    assert np.abs(got - true).max() < 4e-7


@pytest.mark.parametrize(("axis", "exclusive", "reverse"), SUMS)
def test_running_sums(axis, exclusive, reverse):
    nodes = [node("CumSum", "xa", exclusive=exclusive, reverse=reverse)]
    net = model(nodes, {"x": SHAPE}, {"a": np.array(axis)})
    got = evaluate(import_onnx(net), {"x": SMOOTH})["y"]
    np.testing.assert_allclose(got, reference(net, SMOOTH)[0], rtol=0, atol=2e-6)


@pytest.mark.parametrize(("op", "attrs"), SERIES)
def test_sums_over_neighbours_and_axes(op, attrs):
    axes = attrs.get("axes")
    rest = {key: value for key, value in attrs.items() if key != "axes"}
    nodes = [node(op, "x" if axes is None else "xa", **rest)]
    net = model(nodes, {"x": SHAPE}, {} if axes is None else {"a": np.array(axes)})
    got = evaluate(import_onnx(net), {"x": SMOOTH})["y"]
    # onnx 1.2x's own LRN normalises only as many channels as there are images
    wanted = reference_outputs(net, {"x": SMOOTH})["y"]
    np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=2e-6)


def test_the_chip_equals_the_graph_bit_for_bit():
    nodes = [
        node("Sin", "x", "s"), node("CumSum", "sa", "c"), node("LRN", "c", "l", size=3),
        node("TopK", "lk", "ti"), node("ArgMax", "l", "p", axis=1),
    ]  # fmt: skip
    stored = {"a": np.array(1), "k": np.array([2])}
    net = integers(model(nodes, {"x": SHAPE}, stored, outputs="tip"), "i", "p")
    graph, chip = import_onnx(net), load_chip("nano")
    got = FunctionalEngine(chip).run(compile_graph(graph, chip), {"x": SMOOTH}).outputs
    assert got is not None
    wanted = evaluate(graph, {"x": SMOOTH})
    np.testing.assert_allclose(got["t"], wanted["t"], rtol=2e-6)
    np.testing.assert_array_equal(got["i"], wanted["i"])
    np.testing.assert_array_equal(got["p"], wanted["p"])
