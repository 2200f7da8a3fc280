"""Run a Graph with the NumPy references of its op table.

In: a Graph and one array per input port, in the model's own format. Out: one array per output
port, in the model's own format. Integer operations are exact per the numerics contract; float
functions (exp, tanh, ...) are NumPy's, see `ops_float`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jiriki import numerics
from jiriki.graph.errors import GraphError
from jiriki.graph.graph import Graph, Port
from jiriki.graph.ops import OPS


def encode_input(port: Port, value: np.ndarray) -> np.ndarray:
    """Convert one input from the model's format to the tensor inside (see `Port`)."""
    value = np.asarray(value)
    if value.dtype.name != port.external or value.shape != port.shape:
        raise GraphError(
            f"input {port.name} is {value.dtype.name}{list(value.shape)}; "
            f"the model takes {port.external}{list(port.shape)}"
        )
    if port.scale is not None:
        with np.errstate(all="ignore"):
            scaled = value.astype(np.float32) / np.float32(port.scale)
        return numerics.quantise(scaled, port.zero_point)
    if port.external == "uint8":
        return (value.astype(np.int16) - port.zero_point).astype(np.int8)
    if value.dtype == np.int64 and np.any(value != value.astype(np.int32)):
        raise GraphError(f"input {port.name} holds integers beyond int32; give smaller ones")
    return value.astype(_INSIDE.get(port.external, port.external))


def decode_output(port: Port, value: np.ndarray) -> np.ndarray:
    """Convert one output from the tensor inside to the model's format (see `Port`)."""
    if port.scale is not None:
        centred = value.astype(np.int16) - np.int16(port.zero_point)
        return numerics.mul(numerics.int_to_fp32(centred), np.float32(port.scale)).astype(
            port.external
        )
    if port.external == "uint8":
        return (value.astype(np.int16) + port.zero_point).astype(np.uint8)
    return value.astype(port.external)


# Formats that only the boundary has, and what they are inside.
_INSIDE = {
    "int64": "int32", "bool": "float32", "float16": "float32", "int16": "float32",
    "uint16": "float32",
}  # fmt: skip


def evaluate_tensors(graph: Graph, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return every tensor of the graph by name, in its internal format."""
    missing = [port.name for port in graph.inputs if port.name not in feeds]
    if missing:
        raise GraphError(f"graph {graph.name}: no value for input(s) {missing}; feed them all")
    values: dict[str, np.ndarray] = dict(graph.constants)
    for port in graph.inputs:
        values[port.name] = encode_input(port, feeds[port.name])
    for node in graph.nodes:
        results = OPS[node.op].reference([values[name] for name in node.inputs], node.attrs)
        for name, result in zip(node.outputs, results, strict=True):
            type_ = graph.tensors[name]
            assert result.shape == type_.shape and result.dtype == type_.dtype.numpy, (
                f"reference of {node.op} gave {result.dtype}{result.shape} for {name}: {type_}"
            )
            values[name] = result
    return values


def evaluate(graph: Graph, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the outputs by port name, in the model's own formats."""
    values = evaluate_tensors(graph, feeds)
    return {port.name: decode_output(port, values[port.name]) for port in graph.outputs}
