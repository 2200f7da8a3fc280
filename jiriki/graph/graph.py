"""Graph: what to compute, with no hardware in it.

In: nodes of the op table, constants and boundary ports. Out: a frozen document with `verify()`,
`content_hash()` and a text form (`text.print_graph`, `text.parse_graph`).
Activations inside are int8 or float32; a Port says how the model's own input or output format
maps onto that (decision 0003).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jiriki.graph.errors import GraphError
from jiriki.graph.ops import OPS
from jiriki.graph.tensor import Attr, DType, Node, TensorType

__all__ = ["Attr", "DType", "Graph", "GraphError", "Node", "Port", "TensorType", "constant_hash"]

EXTERNAL = (
    "float32", "float16", "uint8", "int8", "uint16", "int16", "int32", "int64", "bool",
)  # fmt: skip


@dataclass(frozen=True)
class Port:
    """One input or output of the model and how its external format maps to the tensor inside.

    `external` is the NumPy dtype the caller sees. With a scale, the host converts float to int8 as
    sat(rne(x / scale) + zero_point) on the way in, (x - zero_point) * scale on the way out. A
    uint8 port has scale None and zero_point 128: the tensor inside is the value minus 128.
    Otherwise values pass unchanged.
    """

    name: str
    external: str
    shape: tuple[int, ...]
    scale: float | None
    zero_point: int


@dataclass(frozen=True)
class Graph:
    """A whole network: nodes in execution order, every tensor typed, constants by name."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    tensors: Mapping[str, TensorType]
    constants: Mapping[str, np.ndarray]
    nodes: tuple[Node, ...]

    def __repr__(self) -> str:
        """Return one line without arrays."""
        ports = ", ".join(f"{p.name} {p.external}{list(p.shape)}" for p in self.inputs) or "none"
        results = ", ".join(f"{p.name} {p.external}{list(p.shape)}" for p in self.outputs)
        return (
            f"<Graph {self.name}: {len(self.nodes):,} nodes, {len(self.constants):,} constants, "
            f"inputs {ports}, outputs {results or 'none'}>"
        )

    def verify(self) -> None:
        """Raise GraphError, naming the object and rule, unless the document is well formed."""
        defined = self._verify_sources()
        names: set[str] = set()
        for node in self.nodes:
            _need(node.name not in names, f"node {node.name}: another node has this name")
            names.add(node.name)
            self._verify_node(node, defined)
            for output in node.outputs:
                _need(output not in defined, f"node {node.name}: {output} is defined twice")
                defined.add(output)
        for port in self.outputs:
            _need(port.name in defined, f"output {port.name} is computed by no node")
            self._verify_port(port)

    def content_hash(self) -> str:
        """Return the SHA-256 of everything in the document, values of constants included."""
        body = {
            "name": self.name,
            "inputs": [vars(p) for p in self.inputs],
            "outputs": [vars(p) for p in self.outputs],
            "tensors": {name: str(type_) for name, type_ in sorted(self.tensors.items())},
            "constants": {name: constant_hash(a) for name, a in sorted(self.constants.items())},
            "nodes": [{**vars(n), "attrs": dict(sorted(n.attrs.items()))} for n in self.nodes],
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    def _verify_sources(self) -> set[str]:
        defined = set(self.constants)
        for name, array in self.constants.items():
            type_ = TensorType(tuple(array.shape), DType.of(array.dtype))
            _need(self.tensors.get(name) == type_, f"constant {name} is {type_}, not as declared")
        for port in self.inputs:
            _need(port.name not in defined, f"input {port.name} is defined twice")
            defined.add(port.name)
            self._verify_port(port)
        return defined

    def _verify_port(self, port: Port) -> None:
        _need(port.external in EXTERNAL, f"port {port.name}: dtype {port.external} is unknown")
        type_ = self.tensors.get(port.name)
        _need(type_ is not None, f"port {port.name} has no tensor type")
        assert type_ is not None
        _need(type_.shape == port.shape, f"port {port.name}: shape {port.shape} is not {type_}")
        quantised = port.scale is not None or port.external in ("uint8", "int8")
        _need(
            (type_.dtype is DType.I8) == quantised,
            f"port {port.name}: external {port.external}, scale {port.scale} does not fit {type_}",
        )

    def _verify_node(self, node: Node, defined: set[str]) -> None:
        op = OPS.get(node.op)
        _need(op is not None, f"node {node.name}: no operation {node.op!r} in the op table")
        assert op is not None
        for name in node.inputs:
            _need(name in defined, f"node {node.name}: input {name} is not defined before it")
        types = op.check(node.name, [self.tensors[name] for name in node.inputs], node.attrs)
        _need(len(types) == len(node.outputs), f"node {node.name}: {len(types)} outputs expected")
        for name, type_ in zip(node.outputs, types, strict=True):
            _need(
                self.tensors.get(name) == type_,
                f"node {node.name}: {name} is declared {self.tensors.get(name)}, computes {type_}",
            )
        for role, name in zip(op.inputs, node.inputs, strict=False):
            _need(
                role not in op.constant or name in self.constants,
                f"node {node.name}: {node.op}.{role} = {name} must be a constant",
            )


def constant_hash(array: np.ndarray) -> str:
    """Return the SHA-256 of a constant's format, shape and bytes."""
    head = f"{array.dtype.name}{array.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def _need(condition: bool, rule: str) -> None:
    if not condition:
        raise GraphError(f"{rule}; the importer or a pass made a malformed graph")
