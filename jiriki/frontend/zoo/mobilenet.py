"""MobileNetV2 built from its paper (arXiv 1801.04381, table 2), with seeded random weights.

Concept: a graph whose cycles can be compared with published ones; its answers mean nothing.
In: nothing. Out: a `ModelProto`, `image` [1, 3, 224, 224] float to `logits`.
"""

from __future__ import annotations

import onnx

from jiriki.frontend.zoo.dummy import DummyFilters
from jiriki.frontend.zoo.layers import Block, ClassifierBuilder

SIDE = 224
CLASSES = 1000

# the paper's t (expansion), c (channels), n (repeats), s (stride of the first)
TABLE_2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def build_mobilenetv2() -> onnx.ModelProto:
    """Build the width-1.0 network; two calls give the same bytes."""
    net = ClassifierBuilder("mobilenetv2", SIDE, DummyFilters().filters)
    x = net.conv(net.image, "stem", channels=32, kernel=3, stride=2)
    index = 0
    for expansion, channels, repeats, stride in TABLE_2:
        for repeat in range(repeats):
            block = Block(3, stride if repeat == 0 else 1, expansion, channels)
            x = net.inverted_residual(x, f"blocks.{index}", block)
            index += 1
    return net.classify(net.conv(x, "head", channels=1280), CLASSES)
