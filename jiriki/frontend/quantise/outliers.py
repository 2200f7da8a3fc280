"""Outlier channels of token streams: in float where one scale for all channels loses most of them.

In: a float model and calibration feeds. Out: the same model, changed in place, and the tensors
that stay in float. A few channels of a transformer's residual stream reach 60 times the others
(BERT, GPT, MiniLM); with one step for all, the others keep two or three of 256 levels.

- A tensor is lossy where the median channel keeps less than `LEAST_SQNR_DB` over the step's noise.
- Products that read it read it divided by a factor for each channel, which their weights take
  (SmoothQuant, arXiv 2211.10438, strength 1/2): the same function, and a tensor of even channels.
- All else that reads or writes it computes in float.

Only streams whose last axis holds the channels are looked at: what a product with stored weights
or a LayerNormalization reads, and what elementwise operators connect with that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from jiriki.frontend.onnx.context import int_attribute
from jiriki.frontend.quantise.observe import observe

LEAST_SQNR_DB = 25.0  # of the median channel; even channels keep about 40
STREAMING = frozenset(
    ["Add", "Div", "Erf", "Gelu", "Identity", "Mul", "Pow", "Relu", "Sqrt", "Sub", "Tanh"]
)
NORMALISATIONS = ("LayerNormalization", "RMSNormalization")


@dataclass
class Channels:
    """What the calibration showed of a tensor whose last axis holds the channels."""

    largest: np.ndarray  # float64 [channels], of |x|
    power: np.ndarray  # float64 [channels], the sum of squares
    count: int = 0
    low: float = 0.0
    high: float = 0.0

    def add(self, array: np.ndarray) -> None:
        """Take in one more feed."""
        rows = array.reshape(-1, array.shape[-1]).astype(np.float64)
        self.largest = np.maximum(self.largest, np.abs(rows).max(axis=0, initial=0))
        self.power = self.power + np.square(rows).sum(axis=0)
        self.count += rows.shape[0]
        self.low, self.high = min(self.low, rows.min()), max(self.high, rows.max())

    def median_sqnr_db(self) -> float:
        """Return how far the median channel lies above the noise of 8 bits for all channels."""
        noise = ((self.high - self.low) / 255) ** 2 / 12
        used = self.power[self.power > 0] / max(self.count, 1)
        return float(10 * np.log10(np.median(used) / noise)) if used.size and noise else np.inf


def split_outliers(
    model: onnx.ModelProto, feeds: Iterable[Mapping[str, np.ndarray]]
) -> frozenset[str]:
    """Even out what products read, in place; return the tensors that must stay in float."""
    readers = _readers(model)
    seen = _observed(model, _streams(model, readers), feeds)
    lossy = {
        name: channels
        for name, channels in seen.items()
        if channels.median_sqnr_db() < LEAST_SQNR_DB and _may_float(model, readers.get(name, []))
    }
    for name, channels in lossy.items():
        products = [node for node in readers.get(name, []) if _is_product(model, node)]
        if products:
            _even_out(model, name, products, channels)
    return frozenset(lossy)


def nodes_around(model: onnx.ModelProto, tensors: frozenset[str]) -> list[str]:
    """Return the names of the nodes, products apart, that read or write one of the tensors."""
    return [
        node.name
        for node in model.graph.node
        if tensors.intersection((*node.input, *node.output)) and not _is_product(model, node)
    ]


def release(quantised: onnx.ModelProto, tensors: frozenset[str]) -> None:
    """Take the QuantizeLinear and DequantizeLinear off these tensors, in place."""
    graph = quantised.graph
    back = {node.input[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    for node in [node for node in graph.node if node.op_type == "QuantizeLinear"]:
        pair = back.get(node.output[0])
        if pair is None or not tensors.intersection((node.input[0], pair.output[0])):
            continue
        graph.node.remove(node)
        graph.node.remove(pair)
        held = pair.output[0] in {output.name for output in graph.output}
        old, new = (node.input[0], pair.output[0])[:: 1 if held else -1]
        for other in graph.node:
            other.input[:] = [new if name == old else name for name in other.input]
            other.output[:] = [new if name == old else name for name in other.output]


def _readers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def _is_product(model: onnx.ModelProto, node: onnx.NodeProto) -> bool:
    """Tell whether the node multiplies a tensor, its first input, by stored weights [k, n]."""
    if node.op_type not in ("MatMul", "Gemm") or int_attribute(node, "transA", 0):
        return False
    ranks = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    return node.input[0] not in ranks and ranks.get(node.input[1]) == 2


def _streams(model: onnx.ModelProto, readers: Mapping[str, list[onnx.NodeProto]]) -> set[str]:
    """Return the tensors whose last axis holds channels."""
    stored = {tensor.name for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    waiting = []
    for node in model.graph.node:
        if _is_product(model, node) or node.op_type in NORMALISATIONS:
            waiting += [node.input[0], node.output[0]]
    streams: set[str] = set()
    while waiting:
        name = waiting.pop()
        if not name or name in streams or name in stored:
            continue
        streams.add(name)
        near = [*readers.get(name, []), *([makers[name]] if name in makers else [])]
        for node in near:
            if node.op_type in STREAMING:
                waiting += [*node.input, *node.output]
    return streams


def _observed(
    model: onnx.ModelProto, names: set[str], feeds: Iterable[Mapping[str, np.ndarray]]
) -> dict[str, Channels]:
    seen: dict[str, Channels] = {}
    for values in observe(model, sorted(names), feeds) if names else ():
        for name in names & values.keys():
            array = values[name]
            if array.ndim < 2 or array.dtype != np.float32 or array.shape[-1] < 2 or not array.size:
                continue
            if np.isfinite(array).all():
                zero = np.zeros(array.shape[-1])
                seen.setdefault(name, Channels(zero, zero)).add(array)
    return seen


def _may_float(model: onnx.ModelProto, readers: Iterable[onnx.NodeProto]) -> bool:
    """Tell whether everything that reads the tensor can do so in float, or be evened out."""
    products = ("Conv", "ConvTranspose", "Gemm", "MatMul")
    return all(node.op_type not in products or _is_product(model, node) for node in readers)


def _even_out(
    model: onnx.ModelProto, name: str, products: list[onnx.NodeProto], channels: Channels
) -> None:
    """Divide the tensor by a factor for each channel, and multiply the products' weights by it."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = [numpy_helper.to_array(stored[node.input[1]]) for node in products]
    by_channel = [
        w.T if int_attribute(n, "transB", 0) else w for n, w in zip(products, weights, strict=True)
    ]
    reach = np.max([np.abs(w).max(axis=1) for w in by_channel], axis=0)
    used = (channels.largest > 0) & (reach > 0)
    factor = np.ones(reach.shape)
    factor[used] = np.sqrt(channels.largest[used] / reach[used])
    factor[used] /= np.exp(np.log(factor[used]).mean()) if used.any() else 1
    even = f"{name}/even"
    inverse = numpy_helper.from_array((1 / factor).astype(np.float32), f"{even}/factor")
    model.graph.initializer.append(inverse)
    scale = onnx.helper.make_node("Mul", [name, inverse.name], [even], name=even)
    first = min(i for i, node in enumerate(model.graph.node) if node in products)
    for node, weight in zip(products, by_channel, strict=True):
        raised = (weight * factor[:, None]).astype(weight.dtype)
        turned = raised.T if int_attribute(node, "transB", 0) else raised
        node.input[0], node.input[1] = even, f"{node.input[1]}/of/{node.output[0]}"
        array = np.ascontiguousarray(turned)
        model.graph.initializer.append(numpy_helper.from_array(array, node.input[1]))
    model.graph.node.insert(first, scale)
