"""float32 operators against ONNX Runtime, within a stated relative tolerance."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.frontend import import_onnx, reference_outputs
from jiriki.graph import evaluate
from tests.frontend.nets import feeds_of, model, node

f32 = np.float32
TOLERANCE = 2e-5  # relative and absolute: ONNX Runtime's own exp, tanh, erf are approximations

CASES = {
    op: [node(op, "x")]
    for op in [
        "Sigmoid",
        "Tanh",
        "HardSwish",
        "HardSigmoid",
        "LeakyRelu",
        "Elu",
        "Selu",
        "Celu",
        "Erf",
        "Exp",
        "Relu",
        "Softplus",
        "Softsign",
        "Mish",
        "Abs",
        "Neg",
        "Sign",
        "Floor",
        "Ceil",
        "Round",
        "ThresholdedRelu",
        "Reciprocal",
        "Softmax",
        "LogSoftmax",
        "GlobalAveragePool",
        "GlobalMaxPool",
    ]
} | {
    "Sqrt": [node("Abs", "x", "a"), node("Sqrt", "a")],
    "Log": [node("Abs", "x", "a"), node("Log", "a")],
    "Gelu": [node("Gelu", "x")],
    "Gelu tanh": [node("Gelu", "x", approximate="tanh")],
    "PRelu": [node("PRelu", ["x", "slope"])],
    "Clip": [node("Clip", ["x", "low", "high"])],
    "Pow": [node("Pow", ["x", "two"])],
    "Pow of tensors": [node("Abs", "x", "a"), node("Pow", "az")],
    "Pow, whole exponents": [node("Pow", ["x", "powers"])],
    "Pow, unsigned exponents": [node("Pow", ["x", "unsigned"])],
    **{op: [node(op, "xz")] for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean")},
    "Greater": [node("Greater", "xz", "g"), node("Cast", "g", to=1)],
    "LessOrEqual": [node("LessOrEqual", "xz", "g"), node("Cast", "g", to=1)],
    "Where": [node("Greater", "xz", "g"), node("Where", "gxz")],
    "ReduceMean": [node("ReduceMean", ["x", "axes"], keepdims=0)],
    "ReduceSum": [node("ReduceSum", ["x", "axes"])],
    "ReduceMax": [node("ReduceMax", ["x", "axes"])],
    "ReduceMin": [node("ReduceMin", ["x", "axes"])],
    "ReduceL2": [node("ReduceL2", ["x", "axes"])],
    "ReduceSumSquare": [node("ReduceSumSquare", ["x", "axes"])],
    "AveragePool": [node("AveragePool", "x", kernel_shape=[3, 2], pads=[1, 0, 1, 1])],
    "MaxPool": [node("MaxPool", "x", kernel_shape=[3, 2], dilations=[2, 1])],
    "BatchNormalization": [node("BatchNormalization", ["x", "c1", "c2", "c3", "c4"])],
    "InstanceNormalization": [node("InstanceNormalization", ["x", "c1", "c2"])],
    "LayerNormalization": [node("LayerNormalization", ["x", "row", "row"])],
    "GroupNormalization": [node("GroupNormalization", ["x", "g1", "g2"], num_groups=2)],
    "linear": [node("Resize", ["x", "", "scales"], mode="linear")],
    "cubic": [node("Resize", ["x", "", "scales"], mode="cubic")],
    "Tile": [node("Tile", ["x", "repeats"])],
    "Expand": [node("Expand", ["row", "shape"], "e"), node("Add", "xe")],
    "Gather": [node("Gather", ["x", "indices"], axis=1)],
    "SpaceToDepth": [node("SpaceToDepth", "x", blocksize=2)],
    "Identity": [node("Identity", "x", "i"), node("Dropout", "i", "d"), node("Neg", "d")],
    "shape arithmetic": [
        node("Shape", "x", "s"),
        node("Gather", ["s", "zero"], "n"),
        node("Concat", ["n", "minus"], "t", axis=0),
        node("Reshape", "xt"),
    ],
}
CONSTANTS = {
    "slope": np.array([[[0.1]], [[0.2]], [[0.3]], [[0.4]]], f32),
    "low": f32(-0.5),
    "high": f32(0.7),
    "two": f32(2),
    "unsigned": np.array([0, 1, 2, 3, 4, 1, 2, 5], np.uint32),
    "powers": np.array([0, 1, 2, 3, 4, -1, -2, 5]),
    "axes": np.array([1, 3]),
    **{f"c{i}": np.array([0.5, 1.5, 0.7, 0.2], f32) for i in range(1, 5)},
    "g1": np.array([0.5, 1.5], f32),
    "g2": np.array([0.1, -0.2], f32),
    "row": np.linspace(-1, 1, 8).astype(f32),
    "scales": np.array([1, 1, 1.7, 2], f32),
    "repeats": np.array([1, 2, 1, 3]),
    "shape": np.array([2, 4, 6, 8]),
    "indices": np.array([[0, -1], [2, 2]]),
    "zero": np.array([0]),
    "minus": np.array([-1]),
}


@pytest.mark.parametrize("case", CASES)
def test_float_operator_agrees_with_onnxruntime(case):
    rng = np.random.default_rng(30)
    used = {name for n in CASES[case] for name in n.input}
    inputs = {name: (2, 4, 6, 8) for name in ("x", "z") if name in used}
    constants = {name: array for name, array in CONSTANTS.items() if name in used}
    opset = 18 if "Group" in case else 20
    net = model(CASES[case], inputs, constants, opset)
    (feeds,) = feeds_of(net, rng, 1)
    ours = evaluate(import_onnx(net), feeds)["y"]
    np.testing.assert_allclose(
        ours, reference_outputs(net, feeds)["y"], rtol=TOLERANCE, atol=TOLERANCE
    )
