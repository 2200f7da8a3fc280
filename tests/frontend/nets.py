"""Small models for the import tests, and the comparison with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jiriki.frontend import import_onnx, reference_session
from jiriki.graph import Graph, evaluate

f32 = np.float32
Shape = tuple[int, ...]


def node(
    op: str, inputs: Sequence[str], outputs: Sequence[str] = ("y",), **attrs
) -> onnx.NodeProto:
    """Return a node named after its operator and first output."""
    return helper.make_node(op, list(inputs), list(outputs), name=f"{op}_{outputs[0]}", **attrs)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Shape],
    constants: Mapping[str, Any] | None = None,
    opset: int = 18,
    outputs: Sequence[str] = ("y",),
) -> onnx.ModelProto:
    """Return a float model of the nodes."""
    unknown = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [onnx.ValueInfoProto(name=name, type=unknown) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return float32 weights scaled so that outputs stay near one."""
    return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(f32)


def feeds_of(net: onnx.ModelProto, rng: np.random.Generator, count: int) -> list[dict]:
    """Return random float feeds for the model's inputs."""
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in net.graph.input}
    return [
        {name: rng.standard_normal(shape).astype(f32) for name, shape in shapes.items()}
        for _ in range(count)
    ]


def qdq(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Shape],
    dtype: type = np.uint8,
    constants: Mapping[str, Any] | None = None,
    out: tuple[float, int] = (0.0131, 0),
    opset: int = 18,
) -> onnx.ModelProto:
    """Wrap nodes that map a, b, ... to c: quantised inputs x0, x1, ... and output y."""
    middle = 128 if dtype is np.uint8 else 0
    initializers: dict[str, Any] = dict(constants or {})
    body: list[onnx.NodeProto] = []
    for index, (name, letter) in enumerate(zip(inputs, "ab", strict=False)):
        initializers |= {
            f"{name}s": f32(0.0203 + 0.0071 * index),
            f"{name}z": dtype(middle + 3 * index),
        }
        body.append(node("QuantizeLinear", [name, f"{name}s", f"{name}z"], [f"{name}q"]))
        body.append(node("DequantizeLinear", [f"{name}q", f"{name}s", f"{name}z"], [letter]))
    initializers |= {"ys": f32(out[0]), "yz": dtype(middle + out[1])}
    body += nodes
    body.append(node("QuantizeLinear", ["c", "ys", "yz"], ["yq"]))
    body.append(node("DequantizeLinear", ["yq", "ys", "yz"], ["y"]))
    return model(body, inputs, initializers, opset)


@dataclass(frozen=True)
class Difference:
    """How a graph's outputs differ from ONNX Runtime's, in output steps or absolutely."""

    graph: Graph
    elements: int
    differing: int
    largest: float


def compare(net: onnx.ModelProto, rng: np.random.Generator, runs: int = 3) -> Difference:
    """Import and run the model on both sides with the same random feeds."""
    graph, session = import_onnx(net), reference_session(net)
    elements = differing = 0
    largest = 0.0
    for feeds in feeds_of(net, rng, runs):
        ours, theirs = evaluate(graph, feeds), session.run(None, feeds)
        for port, reference in zip(graph.outputs, theirs, strict=True):
            wanted = np.asarray(reference)
            got = ours[port.name]
            assert got.shape == wanted.shape and got.dtype == wanted.dtype
            gap = np.abs(got.astype(np.float64) - wanted) / (port.scale or 1.0)
            elements += wanted.size
            differing += int(np.count_nonzero(gap))
            largest = max(largest, float(gap.max(initial=0)))
    return Difference(graph, elements, differing, largest)
