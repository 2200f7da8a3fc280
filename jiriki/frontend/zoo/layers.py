"""Building the ONNX graph of a convolutional classifier layer by layer.

Concept: `ClassifierBuilder` grows a float opset-17 graph; `inverted_residual` is the block that
MobileNetV2 (arXiv 1801.04381) introduced and EfficientNet-Lite keeps. Padding is TensorFlow's SAME.
In: filters by layer name, from a `Filters` function. Out: a checked `onnx.ModelProto`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8

# (layer name, weight shape) -> weight of that shape, bias [shape[0]]; both float32.
Filters = Callable[[str, tuple[int, ...]], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Feature:
    """A feature map in the growing graph: its value name, channels, and side in pixels."""

    name: str
    channels: int
    side: int


@dataclass(frozen=True)
class Block:
    """One inverted residual block: depthwise kernel and stride, expansion, output channels."""

    kernel: int
    stride: int
    expansion: int
    channels: int


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int, int]:
    """Return (output side, padding before, padding after) of TensorFlow's SAME; odd pixel last."""
    out = -(-side // stride)
    total = max((out - 1) * stride + kernel - side, 0)
    return out, total // 2, total - total // 2


class ClassifierBuilder:
    """An ONNX graph under construction, from `image` [1, 3, side, side] to `logits`."""

    def __init__(self, name: str, side: int, filters: Filters) -> None:
        self.image = Feature("image", 3, side)
        self._name = name
        self._filters = filters
        self._nodes: list[onnx.NodeProto] = []
        self._constants = [
            numpy_helper.from_array(np.array(0, np.float32), "zero"),
            numpy_helper.from_array(np.array(6, np.float32), "six"),
        ]

    def conv(
        self,
        x: Feature,
        name: str,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        is_depthwise: bool = False,
        has_relu6: bool = True,
    ) -> Feature:
        """Add a SAME-padded convolution with bias, and ReLU6 unless the layer is linear."""
        group = x.channels if is_depthwise else 1
        side, before, after = same_padding(x.side, kernel, stride)
        shape = (channels, x.channels // group, kernel, kernel)
        parameters = self._parameters(name, shape)
        self._nodes.append(
            helper.make_node(
                "Conv",
                [x.name, *parameters],
                [name],
                name,
                kernel_shape=[kernel, kernel],
                strides=[stride, stride],
                pads=[before, before, after, after],
                group=group,
            )
        )
        if not has_relu6:
            return Feature(name, channels, side)
        clip = f"{name}.relu6"
        self._nodes.append(helper.make_node("Clip", [name, "zero", "six"], [clip], clip))
        return Feature(clip, channels, side)

    def inverted_residual(self, x: Feature, name: str, block: Block) -> Feature:
        """Add expand, depthwise and linear projection; and the shortcut where shapes allow it."""
        y, hidden = x, x.channels * block.expansion
        if block.expansion != 1:
            y = self.conv(y, f"{name}.expand", hidden)
        depthwise = f"{name}.depthwise"
        y = self.conv(y, depthwise, hidden, block.kernel, block.stride, is_depthwise=True)
        y = self.conv(y, f"{name}.project", block.channels, has_relu6=False)
        if block.stride != 1 or x.channels != block.channels:
            return y
        add = f"{name}.add"
        self._nodes.append(helper.make_node("Add", [y.name, x.name], [add], add))
        return Feature(add, y.channels, y.side)

    def classify(self, x: Feature, classes: int) -> onnx.ModelProto:
        """Pool to one value per channel, add the last linear layer, return the checked model."""
        self._nodes += [
            helper.make_node("GlobalAveragePool", [x.name], ["pool"], "pool"),
            helper.make_node("Flatten", ["pool"], ["features"], "features"),
            helper.make_node(
                "Gemm",
                ["features", *self._parameters("classifier", (classes, x.channels))],
                ["logits"],
                "classifier",
                transB=1,
            ),
        ]
        shape = [1, self.image.channels, self.image.side, self.image.side]
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, classes])],
            self._constants,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _parameters(self, name: str, shape: tuple[int, ...]) -> list[str]:
        weight, bias = self._filters(name, shape)
        assert weight.shape == shape, f"{name}: filters of {weight.shape}, layer needs {shape}"
        names = [f"{name}.weight", f"{name}.bias"]
        for array, value_name in zip((weight, bias), names, strict=True):
            array = np.ascontiguousarray(array, dtype=np.float32)
            self._constants.append(numpy_helper.from_array(array, value_name))
        return names
