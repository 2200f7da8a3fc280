"""ResNet-18's convolutions as VTA offloads them: all but the first, with their residual additions.

In: a seed. Out: a Graph of 19 convolutions and 8 additions. The weights are random: trained ones
are in no package, and neither cycles nor the comparison of bits depend on them. VTA's published
count is of its gates in simulation, 256 MAC/cycle: apache/tvm-vta pull request 30, resnet18_v1
with pipelined GEMM (first convolution, pooling and the last layer ran on the host).
"""

from __future__ import annotations

import numpy as np

from jiriki.graph import OPS, Attr, DType, Graph, Node, Port, TensorType

VTA_CYCLES = 7_729_601
STAGES = ((64, 56), (128, 28), (256, 14), (512, 7))  # channels, output side
BLOCKS = 2  # of a stage
CONV: dict[str, Attr] = {
    "dilations": (1, 1), "group": 1, "x_zp": -128, "w_zp": 0, "out_zp": -128, "lo": -128,
    "hi": 127, "out": "i8",
}  # fmt: skip


def resnet18(seed: int = 0) -> Graph:
    """Return the graph, from the pooled stem to the last block; activations are after ReLU."""
    draft = _Draft(np.random.default_rng(seed))
    channels, side = STAGES[0]
    x = "x"
    draft.tensors[x] = TensorType((1, channels, side, side), DType.I8)
    for stage, (channels, _) in enumerate(STAGES):
        for block in range(BLOCKS):
            stride = 2 if stage and not block else 1
            x = _block(draft, f"stage{stage + 1}.{block}", x, channels, stride)
    ports = [Port(name, "int8", draft.tensors[name].shape, None, 0) for name in ("x", x)]
    return Graph(
        "resnet18-convolutions", (ports[0],), (ports[1],), draft.tensors, draft.constants,
        tuple(draft.nodes),
    )  # fmt: skip


def _block(draft: _Draft, name: str, x: str, channels: int, stride: int) -> str:
    straight = x
    if stride > 1:
        straight = draft.conv(f"{name}.down", x, channels, 1, stride)
    y = draft.conv(f"{name}.conv1", x, channels, 3, stride)
    y = draft.conv(f"{name}.conv2", y, channels, 3, 1)
    sum_of = {"ra": 0.7, "rb": 0.7, "fixed": 0.4 * 128, "lo": -128, "hi": 127}
    return draft.node("qadd", f"{name}.add", (y, straight), sum_of)


class _Draft:
    """Collects nodes, inferring the types."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.tensors: dict[str, TensorType] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.nodes: list[Node] = []

    def conv(self, name: str, x: str, outputs: int, kernel: int, stride: int) -> str:
        inputs = self.tensors[x].shape[1]
        pad = kernel // 2
        terms = inputs * kernel * kernel
        weights = self.rng.integers(-64, 64, (outputs, inputs, kernel, kernel)).astype(np.int8)
        scale = np.full(outputs, 1 / (37 * np.sqrt(terms)), np.float32)
        roles = {"w": weights, "b": self.rng.integers(0, 999, outputs).astype(np.int32), "m": scale}
        for role, array in roles.items():
            self.constants[f"{name}.{role}"] = array
            self.tensors[f"{name}.{role}"] = TensorType(array.shape, DType.of(array.dtype))
        attrs = {**CONV, "strides": (stride, stride), "pads": (pad,) * 4}
        return self.node("conv", name, (x, *(f"{name}.{role}" for role in roles)), attrs)

    def node(self, op: str, name: str, inputs: tuple[str, ...], attrs: dict[str, Attr]) -> str:
        (type_,) = OPS[op].check(name, [self.tensors[n] for n in inputs], attrs)
        self.tensors[name] = type_
        self.nodes.append(Node(op, name, inputs, (name,), attrs, name))
        return name
