"""The scales of a quantised model: finite, and positive where something is divided by them.

In: a model as its author wrote it. Out: nothing, or an UnsupportedOperatorError that names the
node and the scale.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from jiriki.frontend.errors import UnsupportedOperatorError
from jiriki.frontend.onnx.context import label

# Where the scales of an operator stand among its inputs; those of weights may be 0.
_SCALES: dict[str, tuple[int, ...]] = {
    "QuantizeLinear": (1,),
    "QLinearConv": (1, 6),
    "QLinearMatMul": (1, 6),
    "QLinearAdd": (1, 4, 6),
    "QLinearMul": (1, 4, 6),
    "QLinearAveragePool": (1, 3),
    "QLinearGlobalAveragePool": (1, 3),
    "QLinearLeakyRelu": (1, 3),
    "QLinearSigmoid": (1, 3),
    "QLinearSoftmax": (1, 3),
    "QGemm": (1, 7),
}
_WEIGHT_SCALES = {"QLinearConv": (4,), "QLinearMatMul": (4,), "QGemm": (4,)}


def stored_tensors(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Return initialisers and Constant nodes by the name of their value."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        for attr in node.attribute if node.op_type == "Constant" else ():
            if attr.name == "value":
                stored[node.output[0]] = attr.t
    return stored


def check_scales(model: onnx.ModelProto) -> None:
    """Raise UnsupportedOperatorError for a stored scale that is not finite, negative, or 0."""
    stored = stored_tensors(model)
    for node in model.graph.node:
        divisors = _SCALES.get(node.op_type, ())
        factors = _WEIGHT_SCALES.get(node.op_type, ())
        if node.op_type == "DequantizeLinear":
            divisors, factors = ((), (1,)) if node.input[0] in stored else ((1,), ())
        for index in (*divisors, *factors):
            if index < len(node.input) and node.input[index] in stored:
                _check(node, stored[node.input[index]], index in divisors)


def _check(node: onnx.NodeProto, tensor: onnx.TensorProto, positive: bool) -> None:
    scales = np.asarray(numpy_helper.to_array(tensor)).astype(np.float64).ravel()
    wrong = scales[~np.isfinite(scales) | (scales < 0) | (positive & (scales == 0))]
    if wrong.size:
        bound = "positive" if positive else "not negative"
        raise UnsupportedOperatorError(
            f"{label(node)}: its scale {tensor.name} is {wrong[0]:g}, and a scale is finite and "
            f"{bound}; calibrate the model again"
        )
