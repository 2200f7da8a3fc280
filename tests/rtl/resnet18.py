"""ResNet-18's convolutions as VTA offloads them: all but the first, with their residual additions.

In: a seed. Out: a Graph of 19 convolutions and 8 additions. The weights are random: trained ones
are in no package, and neither cycles nor the comparison of bits depend on them. VTA's published
count is of its gates in simulation, 256 MAC/cycle: apache/tvm-vta pull request 30, resnet18_v1
with pipelined GEMM (first convolution, pooling and the last layer ran on the host).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jiriki.graph import Graph
from tests.graph.graphs import CONV, Draft

VTA_CYCLES = 7_729_601
STAGES = ((64, 56), (128, 28), (256, 14), (512, 7))  # channels, output side
BLOCKS = 2  # of a stage
AFTER_RELU = {"x_zp": -128, "out_zp": -128}
SUM = {"ra": 0.7, "rb": 0.7, "fixed": 0.4 * 128, "lo": -128, "hi": 127}


def resnet18(seed: int = 0) -> Graph:
    """Return the graph, from the pooled stem to the last block; activations are after ReLU."""
    draft, rng = Draft(), np.random.default_rng(seed)
    channels, side = STAGES[0]
    x = draft.input("x", (1, channels, side, side))
    for stage, (channels, _) in enumerate(STAGES):
        for block in range(BLOCKS):
            stride = 2 if stage and not block else 1
            x = _block(draft, rng, f"stage{stage + 1}.{block}", x, channels, stride)
    return replace(draft.graph(x), name="resnet18-convolutions")


def _block(
    draft: Draft, rng: np.random.Generator, name: str, x: str, channels: int, stride: int
) -> str:
    straight = x
    if stride > 1:
        straight = _conv(draft, rng, f"{name}.down", x, channels, 1, stride)
    y = _conv(draft, rng, f"{name}.conv1", x, channels, 3, stride)
    y = _conv(draft, rng, f"{name}.conv2", y, channels, 3, 1)
    return draft.node("qadd", (y, straight), SUM, f"{name}.add")


def _conv(
    draft: Draft,
    rng: np.random.Generator,
    name: str,
    x: str,
    outputs: int,
    kernel: int,
    stride: int,
) -> str:
    inputs, pad = draft.tensors[x].shape[1], kernel // 2
    terms = inputs * kernel * kernel
    weights = rng.integers(-64, 64, (outputs, inputs, kernel, kernel)).astype(np.int8)
    bias = rng.integers(0, 999, outputs).astype(np.int32)
    scale = np.full(outputs, 1 / (37 * np.sqrt(terms)), np.float32)
    roles = {"w": weights, "b": bias, "m": scale}
    constants = [draft.constant(f"{name}.{role}", array) for role, array in roles.items()]
    attrs = {**CONV, **AFTER_RELU, "strides": (stride, stride), "pads": (pad,) * 4}
    return draft.node("conv", [x, *constants], attrs, name)
