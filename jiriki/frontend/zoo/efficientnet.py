"""EfficientNet-Lite0: a published PyTorch state dict into a float ONNX graph.

Concept: the network of EfficientNet (arXiv 1905.11946) B0 without squeeze-and-excite, with ReLU6;
batch normalisation is folded into each convolution.
In: the state dict's arrays. Out: a `ModelProto`, `image` [1, 3, 224, 224] float to `logits`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from jiriki.frontend.zoo.errors import CheckpointError
from jiriki.frontend.zoo.layers import Block, ClassifierBuilder

SIDE = 224
CLASSES = 1000
BATCH_NORM_EPSILON = 1e-3

# repeats, then the first block of the stage (later blocks have stride 1)
STAGES = (
    (1, Block(kernel=3, stride=1, expansion=1, channels=16)),
    (2, Block(kernel=3, stride=2, expansion=6, channels=24)),
    (2, Block(kernel=5, stride=2, expansion=6, channels=40)),
    (3, Block(kernel=3, stride=2, expansion=6, channels=80)),
    (3, Block(kernel=5, stride=1, expansion=6, channels=112)),
    (4, Block(kernel=5, stride=2, expansion=6, channels=192)),
    (1, Block(kernel=3, stride=1, expansion=6, channels=320)),
)


def build_efficientnet_lite0(state: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """Build the graph; a missing or misshapen tensor is a `CheckpointError`."""

    def filters(name: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        return _filters(state, name, shape)

    net = ClassifierBuilder("efficientnet_lite0", SIDE, filters)
    x = net.conv(net.image, "stem", channels=32, kernel=3, stride=2)
    index = 0
    for repeats, first in STAGES:
        for repeat in range(repeats):
            block = (
                first if repeat == 0 else Block(first.kernel, 1, first.expansion, first.channels)
            )
            x = net.inverted_residual(x, f"blocks.{index}", block)
            index += 1
    return net.classify(net.conv(x, "head", channels=1280), CLASSES)


def _source_names(name: str) -> tuple[str, str]:
    """Return the state dict's names of a layer's weight and of its batch normalisation."""
    if name in ("stem", "head"):
        return f"_conv_{name}.weight", "_bn0" if name == "stem" else "_bn1"
    _, index, part = name.split(".")
    norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
    return f"_blocks.{index}._{part}_conv.weight", f"_blocks.{index}.{norm}"


def _filters(
    state: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    if name == "classifier":
        return _tensor(state, "_fc.weight", shape), _tensor(state, "_fc.bias", shape[:1])
    weight_name, norm = _source_names(name)
    weight = _tensor(state, weight_name, shape).astype(np.float64)
    gain, shift, mean, variance = (
        _tensor(state, f"{norm}.{part}", shape[:1]).astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / np.sqrt(variance + BATCH_NORM_EPSILON)
    folded = weight * scale[:, None, None, None]
    return folded.astype(np.float32), (shift - mean * scale).astype(np.float32)


def _tensor(state: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in state or state[name].shape != shape:
        actual = f"shape {state[name].shape}" if name in state else "nothing"
        raise CheckpointError(
            f"efficientnet-lite0: tensor {name} must have shape {shape}, "
            f"the checkpoint has {actual}"
        )
    return state[name]
