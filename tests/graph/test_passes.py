"""Passes: fewer nodes, the same outputs bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from jiriki.graph import Graph, evaluate
from jiriki.graph.passes import simplify
from tests.graph.graphs import Draft, conv_graph

QMUL = {"a_zp": 3, "b_zp": -7, "scale": 0.02, "out_zp": 5, "lo": -128, "hi": 127}


def table(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, 256).astype(np.int8)


def simplified(graph: Graph) -> list[str]:
    """Simplify, check that nothing changed but the nodes; return their operations."""
    smaller = simplify(graph)
    smaller.verify()
    rng = np.random.default_rng(9)
    feeds = {p.name: rng.integers(-128, 128, p.shape).astype(p.external) for p in graph.inputs}
    before, after = evaluate(graph, feeds), evaluate(smaller, feeds)
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    return [node.op for node in smaller.nodes]


def test_reshapes_merge_and_identities_go():
    draft = Draft()
    x = draft.input("x", (2, 6))
    a = draft.node("reshape", [x], {"shape": (3, 4)}, "a")
    b = draft.node("reshape", [a], {"shape": (12,)}, "b")
    c = draft.node("transpose", [b], {"perm": (0,)}, "c")
    draft.node("lut", [c, draft.constant("t", table(1))], {}, "y")
    assert simplified(draft.graph("y")) == ["reshape", "lut"]


def test_an_output_that_is_a_copy_takes_over_the_name():
    draft = Draft()
    y = draft.node("lut", [draft.input("x", (5,)), draft.constant("t", table(1))], {}, "inner")
    draft.node("reshape", [y], {"shape": (5,)}, "y")
    assert simplified(draft.graph("y")) == ["lut"]


def test_an_output_that_copies_an_input_stays():
    draft = Draft()
    draft.node("reshape", [draft.input("x", (5,))], {"shape": (5,)}, "y")
    assert simplified(draft.graph("y")) == ["reshape"]


def test_two_outputs_of_one_tensor_stay_apart():
    draft = Draft()
    y = draft.node("lut", [draft.input("x", (5,)), draft.constant("t", table(1))], {}, "inner")
    for name in ("y", "z"):
        draft.node("reshape", [y], {"shape": (5,)}, name)
    assert simplified(draft.graph("y", "z")) == ["lut", "reshape"]


def test_tables_and_their_products_fold_into_one():
    draft = Draft()
    x = draft.input("x", (2, 3))
    first = draft.node("lut", [x, draft.constant("t", table(1))], {}, "first")
    second = draft.node("lut", [first, draft.constant("u", table(2))], {}, "second")
    draft.node("qmul", [x, second], QMUL, "y")
    assert simplified(draft.graph("y")) == ["lut"]


def test_a_product_of_two_tensors_does_not_fold():
    draft = Draft()
    x, z = draft.input("x", (2, 3)), draft.input("z", (2, 3))
    draft.node("qmul", [x, z], QMUL, "y")
    assert simplified(draft.graph("y")) == ["qmul"]


def test_a_constant_of_one_element_folds_and_a_row_does_not():
    draft = Draft()
    x = draft.input("x", (2, 3))
    scalar = draft.constant("one", np.array([[9]], np.int8))
    row = draft.constant("row", np.array([1, 2, 3], np.int8))
    a = draft.node("qmul", [x, scalar], QMUL, "a")
    draft.node("qmul", [a, row], QMUL, "y")
    assert simplified(draft.graph("y")) == ["lut", "qmul"]


QUANTIZE = {"inv_scale": 30.0, "zp": -4, "lo": -128, "hi": 127}


def dequantized(draft: Draft, x: str, scale: ArrayLike, axis: int = -1) -> str:
    s = draft.constant(f"{x}/scale", np.asarray(scale, np.float32))
    return draft.node("dequantize", [x, s], {"zp": 3, "axis": axis}, f"{x}/float")


@pytest.mark.parametrize(
    ("op", "attrs"), [("sigmoid", {}), ("elu", {"alpha": 0.7}), ("pow", {"exponent": 3.0})]
)
def test_a_float_function_of_one_int8_folds_into_one_table(op, attrs):
    """Any source of a graph may write it: dequantize, functions, quantize."""
    draft = Draft()
    f = dequantized(draft, draft.input("x", (2, 3)), 0.04)
    g = draft.node(op, [f], attrs, "g")
    h = draft.node("mul", [f, g], {}, "h")
    half = draft.constant("half", np.full((1, 1), 0.5, np.float32))
    k = draft.node("max", [h, half], {}, "k")
    draft.node("quantize", [k], QUANTIZE, "y")
    assert simplified(draft.graph("y")) == ["lut"]


def test_a_float_that_is_read_elsewhere_stays_beside_the_table():
    draft = Draft()
    f = dequantized(draft, draft.input("x", (2, 3)), 0.04)
    draft.node("quantize", [draft.node("exp", [f], {}, "z")], QUANTIZE, "y")
    assert sorted(simplified(draft.graph("y", "z"))) == ["dequantize", "exp", "lut"]


def test_scales_along_an_axis_and_two_sources_do_not_fold():
    draft = Draft()
    x = draft.input("x", (2, 3))
    f = dequantized(draft, x, [0.1, 0.2, 0.3], axis=1)
    draft.node("quantize", [f], QUANTIZE, "y")
    assert simplified(draft.graph("y")) == ["dequantize", "quantize"]
    draft = Draft()
    a, b = (dequantized(draft, draft.input(n, (2, 3)), 0.1) for n in "ab")
    draft.node("quantize", [draft.node("add", [a, b], {}, "s")], QUANTIZE, "y")
    assert simplified(draft.graph("y")) == ["dequantize", "dequantize", "add", "quantize"]


def test_one_scale_along_an_axis_of_one_folds():
    draft = Draft()
    f = dequantized(draft, draft.input("x", (2, 1)), [0.1], axis=1)
    draft.node("quantize", [draft.node("tanh", [f], {}, "t")], QUANTIZE, "y")
    assert simplified(draft.graph("y")) == ["lut"]


def test_dead_nodes_and_constants_go():
    draft = Draft()
    x = draft.input("x", (2, 3))
    draft.node("lut", [x, draft.constant("t", table(1))], {}, "unused")
    draft.node("transpose", [x], {"perm": (1, 0)}, "y")
    graph = simplify(draft.graph("y"))
    assert [n.op for n in graph.nodes] == ["transpose"]
    assert not graph.constants and set(graph.tensors) == {"x", "y"}


def test_a_simple_network_is_left_alone():
    graph = conv_graph(np.random.default_rng(2))
    assert [n.op for n in simplify(graph).nodes] == [n.op for n in graph.nodes]
