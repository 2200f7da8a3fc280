"""Keep int32 biases far from overflow in a freshly quantised model.

In: the QDQ model and the float model it was made from. Out: the QDQ model in which no bias exceeds
2**30. A channel whose weights are nearly zero gets a tiny scale, and its bias, in units of that
scale, saturates int32 and loses its value. Such a channel's weight scale is raised until the bias
fits; its weights, which contribute next to nothing, are rounded again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import numpy_helper

BIAS_LIMIT = float(1 << 30)


def tame_biases(quantised: onnx.ModelProto, original: onnx.ModelProto) -> None:
    """Raise weight scales in place where the float bias exceeds the int32 headroom."""
    floats = {t.name: t for t in original.graph.initializer}
    values = {t.name: t for t in quantised.graph.initializer}
    makers = {out: node for node in quantised.graph.node for out in node.output}
    before = {node.name: node for node in original.graph.node}
    for node in quantised.graph.node:
        if node.op_type not in ("Conv", "Gemm", "ConvTranspose") or len(node.input) < 3:
            continue
        source = before.get(node.name)
        w, b = makers.get(node.input[1]), makers.get(node.input[2])
        if source is None or w is None or b is None or len(source.input) < 3:
            continue
        if source.input[2] in floats and {"DequantizeLinear"} == {w.op_type, b.op_type}:
            _tame(values, w, b, numpy_helper.to_array(floats[source.input[2]]))


def _tame(
    values: dict[str, onnx.TensorProto], w: onnx.NodeProto, b: onnx.NodeProto, bias: np.ndarray
) -> None:
    weight_scale, bias_scale = (numpy_helper.to_array(values[n.input[1]]) for n in (w, b))
    factor = np.maximum(1.0, np.abs(bias.astype(np.float64)) / bias_scale / BIAS_LIMIT)
    if weight_scale.shape != bias_scale.shape or (factor <= 1.0).all():
        return
    axis = next((a.i for a in w.attribute if a.name == "axis"), 1)
    weights = numpy_helper.to_array(values[w.input[0]])
    shape = [1] * weights.ndim
    shape[axis] = -1
    scaled = np.rint(weights / factor.reshape(shape)).astype(weights.dtype)
    new_scale = (bias_scale * factor).astype(np.float32)
    _replace(values, w.input[0], lambda _: scaled)
    _replace(values, w.input[1], lambda old: (old * factor).astype(np.float32))
    _replace(values, b.input[1], lambda _: new_scale)
    limit = np.iinfo(np.int32)
    rounded = np.clip(np.rint(bias.astype(np.float64) / new_scale), limit.min, limit.max)
    _replace(values, b.input[0], lambda _: rounded.astype(np.int32))


def _replace(
    values: dict[str, onnx.TensorProto], name: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    new = numpy_helper.from_array(change(numpy_helper.to_array(values[name])), name)
    values[name].CopyFrom(new)
