"""Hand-made graphs for the tests of graph/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from jiriki.graph import OPS, Attr, DType, Graph, Node, Port, TensorType


class Draft:
    """Collects nodes into a Graph, inferring the types."""

    def __init__(self) -> None:
        self.tensors: dict[str, TensorType] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.nodes: list[Node] = []
        self.inputs: list[Port] = []

    def input(self, name: str, shape: tuple[int, ...], external: str = "int8") -> str:
        self.inputs.append(Port(name, external, shape, None, 0))
        self.tensors[name] = TensorType(shape, DType.of(external))
        return name

    def constant(self, name: str, array: np.ndarray) -> str:
        self.constants[name] = array
        self.tensors[name] = TensorType(array.shape, DType.of(array.dtype))
        return name

    def node(self, op: str, inputs: Sequence[str], attrs: Mapping[str, Attr], output: str) -> str:
        (type_,) = OPS[op].check(output, [self.tensors[n] for n in inputs], attrs)
        self.tensors[output] = type_
        self.nodes.append(Node(op, output, tuple(inputs), (output,), dict(attrs), output))
        return output

    def graph(self, *outputs: str) -> Graph:
        ports = tuple(
            Port(n, self.tensors[n].dtype.numpy.name, self.tensors[n].shape, None, 0)
            for n in outputs
        )
        return Graph(
            "draft", tuple(self.inputs), ports, self.tensors, self.constants, tuple(self.nodes)
        )


CONV: dict[str, Attr] = {
    "strides": (1, 1),
    "pads": (0, 0, 0, 0),
    "dilations": (1, 1),
    "group": 1,
    "x_zp": 0,
    "w_zp": 0,
    "out_zp": 0,
    "lo": -128,
    "hi": 127,
    "out": "i8",
}


def conv_graph(rng: np.random.Generator) -> Graph:
    """Return conv, table, reshape on i8[1,3,6,5]."""
    draft = Draft()
    x = draft.input("x", (1, 3, 6, 5))
    w = draft.constant("w", rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8))
    b = draft.constant("b", rng.integers(-500, 500, 4).astype(np.int32))
    m = draft.constant("m", np.full(4, 0.003, np.float32))
    y = draft.node("conv", [x, w, b, m], CONV, "y")
    t = draft.constant("t", np.maximum(np.arange(-128, 128), 0).astype(np.int8))
    z = draft.node("lut", [y, t], {}, "z")
    draft.node("reshape", [z], {"shape": (4, 12)}, "out")
    return draft.graph("out")
