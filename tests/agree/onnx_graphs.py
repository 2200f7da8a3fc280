"""Random ONNX networks of the operators that convolutional networks are made of, on odd sizes.

Concept: a `Network` grows node by node; every choice is asked of `pick`, which hypothesis answers,
so that a failing network shrinks. Values that decision 0004 lets differ by one step are ends: they
are outputs and nothing reads them, so one step is the bound at the output too.
In: `pick` and a number of nodes. Out: a float model and the names of such outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

f32 = np.float32
Pick = Callable[[Sequence[Any]], Any]
LARGEST = 6000  # elements of a value, so that a network runs in about a second
ACTIVATIONS: dict[str, dict[str, float]] = {
    "Relu": {}, "Sigmoid": {}, "Tanh": {}, "HardSwish": {}, "HardSigmoid": {"alpha": 0.2},
    "LeakyRelu": {"alpha": 0.1}, "Elu": {}, "Softplus": {}, "Erf": {}, "Clip": {},
}  # fmt: skip


class Network:
    """A model under construction."""

    def __init__(self, pick: Pick) -> None:
        self.pick = pick
        self.rng = np.random.default_rng(pick(range(1000)))
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        spatial = pick(
            [(9, 7), (12, 5), (16, 16), (3, 11), (1, 1), (13,), (20,), (5, 7, 6), (3, 1, 8)]
        )
        self.shapes: dict[str, tuple[int, ...]] = {
            "x": (pick([1, 2]), pick([1, 3, 5, 8, 16, 17]), *spatial)
        }
        self.values = ["x"]
        self.ends: list[str] = []
        self.positions: list[str] = []  # int64 outputs

    # -- building blocks -------------------------------------------------------------------

    def constant(self, array: np.ndarray) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = array
        return name

    def node(self, op: str, inputs: Sequence[str], shape: Sequence[int], **attrs: Any) -> str:
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attrs))
        self.shapes[name] = tuple(int(n) for n in shape)
        return name

    def keep(self, name: str) -> None:
        self.values.append(name)

    def weights(self, *shape: int) -> str:
        array = self.rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        return self.constant(array.astype(f32))

    def conv(
        self, x: str, outputs: int, kernel: Sequence[int], group: int = 1, **attrs: Any
    ) -> str:
        n, c, *size = self.shapes[x]
        rank = len(size)
        stride, dilation = attrs.get("strides", [1] * rank), attrs.get("dilations", [1] * rank)
        pads = attrs.get("pads", [0] * 2 * rank)
        out = [
            (size[i] + pads[i] + pads[i + rank] - (kernel[i] - 1) * dilation[i] - 1) // stride[i]
            + 1
            for i in range(rank)
        ]
        inputs = [x, self.weights(outputs, c // group, *kernel)]
        if self.pick([True, True, False]):
            inputs.append(self.constant((self.rng.standard_normal(outputs) * 0.1).astype(f32)))
        return self.node("Conv", inputs, (n, outputs, *out), group=group, **attrs)

    def type_of(self, name: str) -> int:
        return TensorProto.INT64 if name in self.positions else TensorProto.FLOAT

    def model(self) -> onnx.ModelProto:
        """Return the float model; outputs are the ends and the last value."""
        last = self.values[-1]
        if last == "x":
            last = self.node("Relu", ["x"], self.shapes["x"])
        self.outputs = [*self.ends, *self.positions, last]
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shapes["x"])],
            [
                helper.make_tensor_value_info(name, self.type_of(name), self.shapes[name])
                for name in self.outputs
            ],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        opset = [helper.make_opsetid("", 22)]  # from 19 on a mean may be dilated
        return helper.make_model(graph, opset_imports=opset, ir_version=10)


# -- steps: each takes a network and a value, and adds nodes ----------------------------------


def dense(net: Network, x: str) -> None:
    _, c, *size = net.shapes[x]
    kernel = [net.pick([k for k in (1, 2, 3, 5) if k <= n]) for n in size]
    pads = [net.pick([0, 1, 2]) for _ in range(2 * len(size))]
    strides = [net.pick([1, 2, 3]) for _ in size]
    group = net.pick([g for g in (1, 1, 2, 4) if c % g == 0])
    outputs = group * net.pick([1, 2, 5, 8])
    net.keep(net.conv(x, outputs, kernel, group, pads=pads, strides=strides))


def dilated(net: Network, x: str) -> None:
    size = net.shapes[x][2:]
    pads = [2] * 2 * len(size)
    kernel = [2 if n < 3 else 3 for n in size]
    net.keep(net.conv(x, net.pick([3, 16]), kernel, pads=pads, dilations=[2] * len(size)))


def depthwise(net: Network, x: str) -> None:
    _, c, *size = net.shapes[x]
    kernel = net.pick([3, 5])
    strides = [net.pick([1, 2])] * len(size)
    pads = [kernel // 2] * 2 * len(size)
    net.keep(net.conv(x, c, [kernel] * len(size), c, pads=pads, strides=strides))


def pointwise(net: Network, x: str) -> None:
    net.keep(net.conv(x, net.pick([1, 7, 16, 24, 33]), [1] * len(net.shapes[x][2:])))


def activation(net: Network, x: str) -> None:
    op = net.pick(list(ACTIVATIONS))
    inputs = [x]
    if op == "Clip":
        inputs += [net.constant(np.array(0, f32)), net.constant(np.array(net.pick([1, 6]), f32))]
    net.keep(net.node(op, inputs, net.shapes[x], **ACTIVATIONS[op]))


def binary(net: Network, x: str) -> None:
    alike = [v for v in net.values if net.shapes[v] == net.shapes[x]]
    net.keep(net.node(net.pick(["Add", "Add", "Mul"]), [x, net.pick(alike)], net.shapes[x]))


def scaled(net: Network, x: str) -> None:
    """Add or multiply a constant a channel."""
    shape = net.shapes[x]
    array = net.rng.standard_normal((1, shape[1], *[1] * (len(shape) - 2))).astype(f32)
    net.keep(net.node(net.pick(["Add", "Mul"]), [x, net.constant(array)], shape))


def excite(net: Network, x: str) -> None:
    n, c, *size = net.shapes[x]
    ones = [1] * len(size)
    pooled = net.node("GlobalAveragePool", [x], (n, c, *ones))
    less = net.conv(pooled, net.pick([2, 4, 9]), ones)
    less = net.node("Relu", [less], net.shapes[less])
    gate = net.conv(less, c, ones)
    gate = net.node(net.pick(["HardSigmoid", "Sigmoid"]), [gate], net.shapes[gate])
    net.keep(net.node("Mul", [x, gate], net.shapes[x]))


def concat(net: Network, x: str) -> None:
    n, c, *size = net.shapes[x]
    alike = [v for v in net.values if (net.shapes[v][0], *net.shapes[v][2:]) == (n, *size)]
    other = net.pick(alike)
    net.keep(net.node("Concat", [x, other], (n, c + net.shapes[other][1], *size), axis=1))


def cut(net: Network, x: str) -> None:
    """Slice one axis, with a step."""
    shape = list(net.shapes[x])
    axis = net.pick([a for a in range(1, len(shape)) if shape[a] > 1] or [0])
    start, step = (0, 1) if shape[axis] == 1 else (1, net.pick([1, 2]))
    numbers = (start, shape[axis], axis, step)
    inputs = [net.constant(np.array([value], np.int64)) for value in numbers]
    shape[axis] = -(-(shape[axis] - start) // step)
    net.keep(net.node("Slice", [x, *inputs], shape))


def pad(net: Network, x: str) -> None:
    shape = net.shapes[x]
    rank = len(shape)
    mode = net.pick(["constant", "reflect", "edge"])
    most = [0, 0, *(min(2, n - 1) if mode == "reflect" else 2 for n in shape[2:])]
    pads = [net.pick(range(most[i % rank] + 1)) for i in range(2 * rank)]
    grown = [n + pads[i] + pads[i + rank] for i, n in enumerate(shape)]
    net.keep(net.node("Pad", [x, net.constant(np.array(pads, np.int64))], grown, mode=mode))


def turn(net: Network, x: str) -> None:
    shape = net.shapes[x]
    orders = {
        3: [[2, 1], [1, 2]],
        4: [[1, 3, 2], [2, 3, 1], [3, 1, 2]],
        5: [[1, 3, 2, 4], [2, 3, 4, 1], [4, 1, 2, 3]],
    }
    order = [0, *net.pick(orders[len(shape)])]
    net.keep(net.node("Transpose", [x], [shape[i] for i in order], perm=order))


def reshape(net: Network, x: str) -> None:
    n, c, *size = net.shapes[x]
    total = int(np.prod(size))
    shape = (n, total, c) if len(size) == 1 else net.pick([(n, c, total, 1), (n, c, *size[::-1])])
    net.keep(net.node("Reshape", [x, net.constant(np.array(shape, np.int64))], shape))


def pool(net: Network, x: str) -> None:
    n, c, *size = net.shapes[x]
    kernel = [net.pick([k for k in (1, 2, 3) if k <= length]) for length in size]
    strides = [net.pick([1, 2]) for _ in size]
    out = [(length - k) // s + 1 for length, k, s in zip(size, kernel, strides, strict=True)]
    op = net.pick(["MaxPool", "AveragePool"])
    net.keep(net.node(op, [x], (n, c, *out), kernel_shape=kernel, strides=strides))


def odd_pool(net: Network, x: str) -> None:
    """Pool with padding, dilations and ceil_mode; a mean of these is an end, positions are too."""
    n, c, *size = net.shapes[x]
    kernel = [net.pick([k for k in (1, 2, 3) if k <= length]) for length in size]
    dilations = [
        net.pick([1, 2]) if (k - 1) * 2 < length else 1
        for k, length in zip(kernel, size, strict=True)
    ]
    pads = [net.pick(range(k)) for k in kernel * 2]
    attrs: dict[str, Any] = {
        "kernel_shape": kernel, "dilations": dilations, "pads": pads,
        "strides": [net.pick([1, 2, 3]) for _ in size], "ceil_mode": net.pick([0, 1]),
    }  # fmt: skip
    out = [pooled_size(length, i, attrs) for i, length in enumerate(size)]
    if net.pick(["MaxPool", "AveragePool"]) == "MaxPool":
        net.keep(net.node("MaxPool", [x], (n, c, *out), **attrs))
        if net.pick([False, False, True]):
            name = f"{net.values[-1]}_positions"
            net.nodes[-1].output.append(name)
            net.shapes[name] = (n, c, *out)
            net.positions.append(name)
    else:
        attrs["count_include_pad"] = net.pick([0, 1])
        net.ends.append(net.node("AveragePool", [x], (n, c, *out), **attrs))


def pooled_size(length: int, axis: int, attrs: dict[str, Any]) -> int:
    """Return a pool's outputs along one axis; no window starts in the padding behind the input."""
    pads, stride = attrs["pads"], attrs["strides"][axis]
    before, after = pads[axis], pads[axis + len(pads) // 2]
    span = (attrs["kernel_shape"][axis] - 1) * attrs["dilations"][axis] + 1
    room = length + before + after - span
    if not attrs["ceil_mode"]:
        return room // stride + 1
    outputs = -(-room // stride) + 1
    return outputs - 1 if (outputs - 1) * stride >= length + before else outputs


def enlarge(net: Network, x: str) -> None:
    shape = net.shapes[x]
    scales = net.constant(np.array([1, 1, *[2] * (len(shape) - 2)], f32))
    grown = (*shape[:2], *(2 * n for n in shape[2:]))
    attrs = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    net.keep(net.node("Resize", [x, "", scales], grown, mode="nearest", **attrs))


def crop(net: Network, x: str) -> None:
    """Resize a part of every spatial axis, by nearest; some of it may lie outside."""
    shape = net.shapes[x]
    spatial = len(shape) - 2
    starts = [net.pick([0.0, 0.1, -0.25]) for _ in range(spatial)]
    ends = [net.pick([1.0, 0.6, 1.25]) for _ in range(spatial)]
    region = net.constant(np.array([0, 0, *starts, 1, 1, *ends], f32))
    resized = (*shape[:2], *(n + net.pick([1, 2]) for n in shape[2:]))
    sizes = net.constant(np.array(resized, np.int64))
    attrs = {"coordinate_transformation_mode": "tf_crop_and_resize", "nearest_mode": "floor"}
    net.keep(net.node("Resize", [x, region, "", sizes], resized, mode="nearest", **attrs))


def choose(net: Network, x: str) -> None:
    """Take one of two values, element by element, as a comparison says."""
    other = net.pick([v for v in net.values if net.shapes[v] == net.shapes[x]])
    op = net.pick(["Greater", "Less", "GreaterOrEqual", "LessOrEqual"])
    condition = net.node(op, [x, other], net.shapes[x])
    net.keep(net.node("Where", [condition, x, other], net.shapes[x]))


STEPS = [
    dense, dilated, depthwise, pointwise, activation, activation, binary, scaled, excite, concat,
    cut, pad, turn, reshape, pool, odd_pool, enlarge, crop, choose,
]  # fmt: skip


def soft_end(net: Network, x: str) -> None:
    net.ends.append(net.node("Softmax", [x], net.shapes[x], axis=net.pick([1, -1])))


def mean_end(net: Network, x: str) -> None:
    shape = list(net.shapes[x])
    axis = net.pick(range(1, len(shape)))
    shape[axis] = 1
    axes = net.constant(np.array([axis], np.int64))
    net.ends.append(net.node("ReduceMean", [x, axes], shape, keepdims=1))


def transposed_end(net: Network, x: str) -> None:
    n, c, *size = net.shapes[x]
    outputs, stride = net.pick([1, 5, 8]), net.pick([1, 2, 3])
    array = net.rng.standard_normal((c, outputs, *[3] * len(size))) / np.sqrt(9 * c)
    grown = [(length - 1) * stride + 3 for length in size]
    inputs = [x, net.constant(array.astype(f32))]
    strides = [stride] * len(size)
    net.ends.append(net.node("ConvTranspose", inputs, (n, outputs, *grown), strides=strides))


def gemm_end(net: Network, x: str) -> None:
    n, *rest = net.shapes[x]
    flat = net.node("Flatten", [x], (n, int(np.prod(rest))))
    outputs = net.pick([1, 10, 37])
    inputs = [flat, net.weights(outputs, net.shapes[flat][1]), net.weights(outputs)]
    net.ends.append(net.node("Gemm", inputs, (n, outputs), transB=1))


def power_end(net: Network, x: str) -> None:
    """Raise every channel to a whole power of its own, or absolute values to any."""
    shape = net.shapes[x]
    column = (shape[1], *[1] * (len(shape) - 2))
    if net.pick([True, False]):
        exponents = net.rng.integers(0, 4, column).astype(net.pick([np.int64, np.int32]))
    else:
        exponents = net.rng.uniform(0.5, 2, column).astype(f32)
        x = net.node("Abs", [x], shape)
    net.ends.append(net.node("Pow", [x, net.constant(exponents)], shape))


def batch_end(net: Network, x: str) -> None:
    """Normalise by the batch's own moments."""
    shape = net.shapes[x]
    inputs = [net.constant(net.rng.uniform(0.5, 1.5, shape[1]).astype(f32)) for _ in range(4)]
    attrs = {"training_mode": 1, "epsilon": 0.1, "momentum": 0.8}
    name = net.node("BatchNormalization", [x, *inputs], shape, **attrs)
    net.nodes[-1].output.extend([f"{name}_mean", f"{name}_variance"])
    net.ends.append(name)


ENDS = [soft_end, mean_end, transposed_end, gemm_end, power_end, batch_end]


def grow(pick: Pick, count: int) -> Network:
    """Return a network of about `count` nodes."""
    net = Network(pick)
    while len(net.nodes) < count:
        x = net.pick(net.values[-3:])
        end = net.pick([False] * 7 + [True])
        step = net.pick(ENDS if end else STEPS)
        too_large = np.prod(net.shapes[x]) > LARGEST // 4
        (pool if too_large and step in (enlarge, concat) else step)(net, x)
        if np.prod(net.shapes[net.values[-1]]) > LARGEST:
            pool(net, net.values[-1])
    return net
