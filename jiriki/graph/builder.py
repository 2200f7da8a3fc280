"""A Graph in the making: what every source format emits through.

In: tensors, constants and nodes, one by one, each checked by the op table as it comes. Out: a
verified Graph. Names are made fresh here, so that a format need not know which are taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from jiriki.graph.graph import Graph, Port
from jiriki.graph.ops import OPS
from jiriki.graph.passes import simplify
from jiriki.graph.tensor import Attr, DType, Node, TensorType, fresh_name


@dataclass
class GraphBuilder:
    """The tensors, constants and nodes of a Graph so far."""

    name: str
    tensors: dict[str, TensorType] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def fresh(self, base: str) -> str:
        """Return an unused tensor name that starts with `base`."""
        return fresh_name(base, self.tensors)

    def add_input(self, port: Port, dtype: DType) -> None:
        """Declare the tensor of an input port, which carries the port's name."""
        self.tensors[port.name] = TensorType(port.shape, dtype)

    def add_constant(self, base: str, array: np.ndarray) -> str:
        """Store an array in its internal format; return its tensor name."""
        name = self.fresh(base)
        array = np.array(array, order="C")  # a copy; keeps shape ()
        array.flags.writeable = False
        self.constants[name] = array
        self.tensors[name] = TensorType(array.shape, DType.of(array.dtype))
        return name

    def emit(
        self, op: str, inputs: Sequence[str], attrs: Mapping[str, Attr], output: str, source: str
    ) -> str:
        """Append a node; return the name of its output tensor.

        source: how reports call what the node comes from. Raises GraphError when the op table
        refuses the inputs or attributes.
        """
        types = [self.tensors[name] for name in inputs]
        (type_,) = OPS[op].check(output, types, attrs)
        name = self.fresh(output)
        self.tensors[name] = type_
        self.nodes.append(Node(op, name, tuple(inputs), (name,), dict(attrs), source))
        return name

    def move_aside(self, name: str) -> str:
        """Rename an inner tensor, so that an output may have its name; return the new one."""
        inner = self.fresh(f"{name}/inner")
        self.tensors[inner] = self.tensors.pop(name)
        if name in self.constants:
            self.constants[inner] = self.constants.pop(name)
        for index, node in enumerate(self.nodes):
            self.nodes[index] = replace(
                node,
                name=inner if node.name == name else node.name,
                inputs=_renamed(node.inputs, name, inner),
                outputs=_renamed(node.outputs, name, inner),
            )
        return inner

    def build(self, inputs: Collection[Port], outputs: Collection[Port]) -> Graph:
        """Return the simplified, verified Graph with these ports."""
        graph = Graph(
            self.name,
            tuple(inputs),
            tuple(outputs),
            self.tensors,
            self.constants,
            tuple(self.nodes),
        )
        graph = simplify(graph)
        graph.verify()
        return graph


def _renamed(names: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    return tuple(new if name == old else name for name in names)
