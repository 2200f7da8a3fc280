"""The text form of a Graph: prints, and parses back.

In: a Graph, or its text with the constants' values. Out: one line per port, constant and node;
names and attributes are JSON, constants appear by SHA-256 (their values travel beside the text).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from jiriki.graph.errors import GraphError
from jiriki.graph.graph import Graph, Port, constant_hash
from jiriki.graph.tensor import Node, TensorType


def print_graph(graph: Graph) -> str:
    """Return the text form."""
    lines = [_line("graph", graph.name)]
    for kind, ports in (("input", graph.inputs), ("output", graph.outputs)):
        for p in ports:
            type_ = str(graph.tensors[p.name])
            lines.append(_line(kind, p.name, type_, p.external, p.scale, p.zero_point))
    for name, array in graph.constants.items():
        lines.append(_line("const", name, str(graph.tensors[name]), constant_hash(array)))
    for node in graph.nodes:
        results = {name: str(graph.tensors[name]) for name in node.outputs}
        attrs = dict(node.attrs)
        lines.append(_line("node", node.op, node.name, node.inputs, results, attrs, node.source))
    return "\n".join(lines) + "\n"


def _line(kind: str, *fields: Any) -> str:  # noqa: ANN401
    return " ".join([kind, *(json.dumps(field) for field in fields)])


def parse_graph(text: str, constants: Mapping[str, np.ndarray]) -> Graph:
    """Read the text form; `constants` gives the values, checked against their hashes."""
    name = ""
    ports: dict[str, list[Port]] = {"input": [], "output": []}
    tensors: dict[str, TensorType] = {}
    values: dict[str, np.ndarray] = {}
    nodes: list[Node] = []
    for number, line in enumerate(text.splitlines(), 1):
        kind, fields = _split(line, number)
        if kind == "graph":
            (name,) = fields
        elif kind in ports:
            port, type_, external, scale, zero_point = fields
            tensors[port] = TensorType.parse(type_)
            shape = tensors[port].shape
            ports[kind].append(Port(port, external, shape, scale, zero_point))
        elif kind == "const":
            constant, type_, digest = fields
            tensors[constant] = TensorType.parse(type_)
            values[constant] = _value(constants, constant, digest, number)
        elif kind == "node":
            nodes.append(_node(fields, tensors))
        else:
            raise GraphError(f"graph text line {number}: unknown word {kind!r}; fix the line")
    return Graph(name, tuple(ports["input"]), tuple(ports["output"]), tensors, values, tuple(nodes))


_FIELDS = {"graph": 1, "input": 5, "output": 5, "const": 3, "node": 6}


def _split(line: str, number: int) -> tuple[str, list[Any]]:
    kind, _, rest = line.partition(" ")
    decoder, fields = json.JSONDecoder(), []
    try:
        while rest:
            field, end = decoder.raw_decode(rest)
            fields.append(field)
            rest = rest[end:].lstrip()
    except json.JSONDecodeError as error:
        raise GraphError(f"graph text line {number}: {error}; fix the line") from None
    if len(fields) != _FIELDS.get(kind, len(fields)):
        raise GraphError(f"graph text line {number}: {kind} takes {_FIELDS[kind]} fields")
    return kind, fields


def _node(fields: list[Any], tensors: dict[str, TensorType]) -> Node:
    op, name, inputs, results, attrs, source = fields
    for output, type_ in results.items():
        tensors[output] = TensorType.parse(type_)
    exact = {key: tuple(v) if isinstance(v, list) else v for key, v in attrs.items()}
    return Node(op, name, tuple(inputs), tuple(results), exact, source)


def _value(constants: Mapping[str, np.ndarray], name: str, digest: str, number: int) -> np.ndarray:
    if name not in constants:
        raise GraphError(f"graph text line {number}: no value for constant {name}; pass it")
    if constant_hash(constants[name]) != digest:
        raise GraphError(
            f"graph text line {number}: constant {name} has another value than printed"
        )
    return constants[name]
