"""What each layer of a quantised model loses against the float model that it was made from.

In: both models and inputs. Out: a `LayerAccuracy` for every tensor that both compute, in the order
of the float model. The quantised model is run as it is written (QDQ), so that every layer's result
is there; the chip computes the same values but for the rounding of ONNX Runtime's fused kernels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
import onnx

from jiriki.frontend.onnx.reference import plain_session, run_reference
from jiriki.numerics.accuracy import Accuracy, measure

Feed = Mapping[str, np.ndarray]
QUANTISED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")


@dataclass(frozen=True, slots=True)
class LayerAccuracy:
    """How far a layer's result is from the float model's."""

    name: str  # of the tensor, as layers are called everywhere
    operator: str
    accuracy: Accuracy
    loss: float  # share of noise in its power, 0 to 1, less that of its noisiest input


def is_quantised(model: onnx.ModelProto) -> bool:
    """Tell whether any operator of the model quantises or works on quantised values."""
    return any(
        node.op_type in QUANTISED
        or node.op_type.startswith(("QLinear", "QGemm"))
        or node.op_type.endswith("Integer")
        for node in model.graph.node
    )


def layer_accuracies(
    quantised: onnx.ModelProto, original: onnx.ModelProto, feeds: Sequence[Feed]
) -> list[LayerAccuracy]:
    """Return the accuracy of every layer over the feeds. Raises ReferenceRunError."""
    places = _dequantised(quantised)
    computed = {output for node in quantised.graph.node for output in node.output}
    nodes = [node for node in original.graph.node if node.op_type != "Constant"]
    stored = {tensor.name for tensor in original.graph.initializer}
    ports = [value.name for value in original.graph.input if value.name not in stored]
    layers = {output: node for node in nodes for output in node.output if output in computed}
    wanted = {name: places.get(name, name) for name in (*ports, *layers)}
    measured = _measured(quantised, original, wanted, ports, feeds)
    noise = {name: _noise_share(accuracy) for name, accuracy in measured.items()}
    return [
        LayerAccuracy(name, node.op_type, measured[name], _loss(noise, node, name))
        for name, node in layers.items()
        if name in measured
    ]


def _dequantised(model: onnx.ModelProto) -> dict[str, str]:
    """Return, for every tensor that is quantised, the one that holds its values afterwards."""
    codes = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "QuantizeLinear"}
    places: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in codes:
            places.setdefault(codes[node.input[0]], node.output[0])
    return places


def _measured(
    quantised: onnx.ModelProto,
    original: onnx.ModelProto,
    wanted: Mapping[str, str],
    ports: Iterable[str],
    feeds: Sequence[Feed],
) -> dict[str, Accuracy]:
    """Return the accuracy of tensors, called by their name in the float model."""
    inner = [name for name in wanted if name not in ports]
    exact = plain_session(_with_outputs(original, inner))
    coarse = plain_session(
        _with_outputs(quantised, [p for n, p in wanted.items() if p not in ports])
    )
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for feed in feeds:
        wide = {**feed, **run_reference(exact, feed)}
        narrow = {**feed, **run_reference(coarse, feed)}
        for name, place in wanted.items():
            if wide[name].dtype.kind == "f" and wide[name].shape == narrow[place].shape:
                pairs.setdefault(name, []).append((narrow[place], wide[name]))
    return {name: measure(some) for name, some in pairs.items()}


def _with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Return the model with more outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in known)
    return copy


def _noise_share(accuracy: Accuracy) -> float:
    """Return noise / (signal + noise), in power."""
    if accuracy.sqnr_db in (inf, -inf):
        return float(accuracy.sqnr_db < 0)
    return 1 / (1 + 10 ** (accuracy.sqnr_db / 10))


def _loss(noise: Mapping[str, float], node: onnx.NodeProto, name: str) -> float:
    return noise[name] - max((noise.get(source, 0.0) for source in node.input), default=0.0)
