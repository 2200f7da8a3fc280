"""Whole small networks, quantised: equal to ONNX Runtime in every element."""

from __future__ import annotations

import numpy as np
import onnx

from jiriki.frontend import import_onnx, quantise_onnx
from tests.frontend.nets import compare, feeds_of, model, node, weights

f32 = np.float32


class Layers:
    """Collects nodes and constants of a network."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def conv(self, x: str, name: str, ins: int, outs: int, kernel: int, **attrs: int) -> str:
        group = attrs.get("group", 1)
        self.constants[f"{name}_w"] = weights(self.rng, outs, ins // group, kernel, kernel)
        self.constants[f"{name}_b"] = (self.rng.standard_normal(outs) * 0.1).astype(f32)
        self.nodes.append(
            node(
                "Conv",
                [x, f"{name}_w", f"{name}_b"],
                [name],
                kernel_shape=[kernel, kernel],
                strides=[attrs.get("stride", 1)] * 2,
                pads=[kernel // 2] * 4,
                group=group,
            )
        )
        return name

    def op(self, op: str, inputs: list[str], name: str, **attrs: object) -> str:
        self.nodes.append(node(op, inputs, [name], **attrs))
        return name

    def quantised(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        net = model(self.nodes, {"x": shape}, self.constants)
        return quantise_onnx(net, feeds_of(net, self.rng, 4))


def mobile_block() -> onnx.ModelProto:
    """Inverted residual with squeeze-and-excite, hard swish and a classifier."""
    net = Layers(40)
    x = net.op("Relu", [net.conv("x", "stem", 3, 16, 3, stride=2)], "stem_r")
    y = net.op("HardSwish", [net.conv(x, "expand", 16, 32, 1)], "expand_h")
    y = net.op("HardSwish", [net.conv(y, "depth", 32, 32, 5, group=32)], "depth_h")
    s = net.op("GlobalAveragePool", [y], "pooled")
    s = net.op("Relu", [net.conv(s, "squeeze", 32, 8, 1)], "squeeze_r")
    s = net.op("HardSigmoid", [net.conv(s, "excite", 8, 32, 1)], "gate")
    y = net.conv(net.op("Mul", [y, s], "gated"), "project", 32, 16, 1)
    y = net.op("GlobalAveragePool", [net.op("Add", [x, y], "sum")], "mean")
    net.constants["fc_w"], net.constants["fc_b"] = weights(net.rng, 10, 16), weights(net.rng, 10)
    net.op("Gemm", [net.op("Flatten", [y], "flat"), "fc_w", "fc_b"], "y", transB=1)
    return net.quantised((2, 3, 32, 32))


def residual_network() -> onnx.ModelProto:
    """Two residual blocks, one of which changes scale, with max pooling and a concat."""
    net = Layers(41)
    x = net.op("Relu", [net.conv("x", "stem", 3, 8, 7, stride=2)], "stem_r")
    x = net.op("MaxPool", [x], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = net.conv(net.op("Relu", [net.conv(x, "a1", 8, 8, 3)], "a1_r"), "a2", 8, 8, 3)
    x = net.op("Relu", [net.op("Add", [x, y], "a_sum")], "a_out")
    y = net.op("Relu", [net.conv(x, "b1", 8, 16, 3, stride=2)], "b1_r")
    y = net.conv(y, "b2", 16, 16, 3)
    x = net.op("Add", [net.conv(x, "skip", 8, 16, 1, stride=2), y], "b_sum")
    x = net.op("Concat", [x, net.op("Sigmoid", [x], "sig")], "both", axis=1)
    net.op("GlobalAveragePool", [x], "y")
    return net.quantised((1, 3, 48, 40))


def test_mobile_block_is_equal_in_every_element():
    comparison = compare(mobile_block(), np.random.default_rng(42), runs=6)
    assert (comparison.elements, comparison.differing) == (120, 0)
    assert "dequantize" not in {n.op for n in comparison.graph.nodes}


def test_residual_network_is_equal_in_every_element():
    comparison = compare(residual_network(), np.random.default_rng(43), runs=6)
    assert (comparison.elements, comparison.differing) == (192, 0)


def test_boundary_is_in_the_ports():
    graph = import_onnx(residual_network())
    (source,), (result,) = graph.inputs, graph.outputs
    assert source.external == result.external == "float32"
    assert source.scale is not None and result.scale is not None
    assert {graph.tensors[p.name].dtype.value for p in (source, result)} == {"i8"}


def test_import_is_deterministic():
    net = residual_network()
    assert import_onnx(net).content_hash() == import_onnx(net).content_hash()
