"""The Graph document: verify, text form, content hash, evaluation at the boundary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jiriki.graph import Graph, GraphError, Port, evaluate, parse_graph, print_graph
from tests.graph.graphs import Draft, conv_graph


@pytest.fixture
def graph() -> Graph:
    return conv_graph(np.random.default_rng(1))


def test_text_round_trips(graph):
    text = print_graph(graph)
    again = parse_graph(text, graph.constants)
    again.verify()
    assert print_graph(again) == text
    assert again.content_hash() == graph.content_hash()


def test_hash_sees_every_value(graph):
    changed = dict(graph.constants)
    changed["w"] = changed["w"].copy()
    changed["w"][0, 0, 0, 0] ^= 1
    assert replace(graph, constants=changed).content_hash() != graph.content_hash()


def test_parse_refuses_other_constants(graph):
    wrong = {**graph.constants, "b": graph.constants["b"] + 1}
    with pytest.raises(GraphError, match="constant b has another value"):
        parse_graph(print_graph(graph), wrong)
    with pytest.raises(GraphError, match="no value for constant w"):
        parse_graph(print_graph(graph), {k: v for k, v in graph.constants.items() if k != "w"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "unknown word 'nonsense'"),
        ('input "x"', "input takes 5 fields"),
        ("node {", "line 1"),
        ('const "c" "i9[3]" "00"', "i9"),
    ],
)
def test_parse_names_the_bad_line(line, message):
    with pytest.raises(GraphError, match=message):
        parse_graph(line, {"c": np.zeros(3, np.int8)})


def break_graph(graph: Graph, **changes: object) -> Graph:
    """Return the graph with the first node changed."""
    return replace(graph, nodes=(replace(graph.nodes[0], **changes), *graph.nodes[1:]))


def test_verify_names_what_is_wrong(graph):
    graph.verify()
    for broken, message in (
        (break_graph(graph, op="fold"), "no operation 'fold'"),
        (break_graph(graph, inputs=("q", "w", "b", "m")), "input q is not defined"),
        (break_graph(graph, inputs=("x", "w")), "takes 4 inputs"),
        (break_graph(graph, attrs={}), "takes exactly attributes"),
        (break_graph(graph, inputs=("x", "w", "m", "b")), "bias must be i32"),
        (replace(graph, nodes=graph.nodes[::-1]), "is not defined before it"),
        (replace(graph, nodes=graph.nodes[:1]), "output out is computed by no node"),
        (break_graph(graph, name=graph.nodes[1].name), "another node has this name"),
        (replace(graph, inputs=(Port("x", "complex64", (1,), None, 0),)), "complex64"),
    ):
        with pytest.raises(GraphError, match=message):
            broken.verify()


def test_weights_must_be_constants():
    draft = Draft()
    x, t = draft.input("x", (4,)), draft.input("t", (256,))
    draft.node("lut", [x, t], {}, "y")
    with pytest.raises(GraphError, match=r"lut.table = t must be a constant"):
        draft.graph("y").verify()


def test_evaluate_checks_its_feeds(graph):
    with pytest.raises(GraphError, match=r"no value for input\(s\) \['x'\]"):
        evaluate(graph, {})
    with pytest.raises(GraphError, match=r"the model takes int8\[1, 3, 6, 5\]"):
        evaluate(graph, {"x": np.zeros((1, 3, 6, 5), np.float32)})


def test_ports_convert_at_the_boundary():
    draft = Draft()
    draft.node("transpose", [draft.input("x", (2, 2))], {"perm": (1, 0)}, "y")
    plain = draft.graph("y")
    ports = (Port("x", "float32", (2, 2), 0.5, 10),), (Port("y", "uint8", (2, 2), None, 128),)
    graph = replace(plain, inputs=ports[0], outputs=ports[1])
    graph.verify()
    x = np.array([[0.25, 0.75], [-1e9, np.nan]], np.float32)
    assert evaluate(graph, {"x": x})["y"].tolist() == [[138, 0], [140, 138]]
