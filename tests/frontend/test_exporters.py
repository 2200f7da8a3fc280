"""What two exporters write differently of one network compiles to equally fast programs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.frontend import import_onnx, quantise_onnx
from jiriki.graph import evaluate
from jiriki.sim.timing import TimingEngine
from tests.frontend.nets import f32, model, node, weights

RNG = np.random.default_rng(9)
WEIGHTS = {"w": weights(RNG, 8, 3, 3, 3), "v": weights(RNG, 10, 8)}
X = RNG.standard_normal((1, 3, 8, 8)).astype(f32)
CONV = [node("Conv", ["x", "w"], ["c"], pads=[1] * 4), node("Relu", ["c"], ["r"])]
GEMM = node("Gemm", ["f", "v"], transB=1)
TORCHSCRIPT = [node("GlobalAveragePool", ["r"], ["g"]), node("Flatten", ["g"], ["f"])]
DYNAMO = {
    "kept axes, then a view": (
        [node("ReduceMean", ["r", "axes"], ["g"], keepdims=1), node("Reshape", ["g", "to"], ["f"])],
        {"axes": np.array([-1, -2]), "to": np.array([1, 8])}, 18,
    ),
    "no kept axes": (
        [node("ReduceMean", ["r", "axes"], ["f"], keepdims=0)], {"axes": np.array([2, 3])}, 18,
    ),
    "axes as an attribute": (
        [node("ReduceMean", ["r"], ["f"], keepdims=0, axes=[-1, -2])], {}, 17,
    ),
}  # fmt: skip


def cycles_and_output(middle: list, constants: dict, opset: int) -> tuple[int | None, np.ndarray]:
    net = model([*CONV, *middle, GEMM], {"x": X.shape}, WEIGHTS | constants, opset=opset)
    graph = import_onnx(quantise_onnx(net, [{"x": X}]))
    chip = load_chip("nano")
    (output,) = evaluate(graph, {"x": X}).values()
    return TimingEngine(chip).run(compile_graph(graph, chip)).cycles, output


@pytest.mark.parametrize("form", DYNAMO)
def test_mean_over_an_image_is_as_fast_as_a_global_pool(form):
    cycles, output = cycles_and_output(*DYNAMO[form])
    wanted_cycles, wanted = cycles_and_output(TORCHSCRIPT, {}, 18)
    assert cycles == wanted_cycles
    assert (output == wanted).all()


def test_mean_over_other_axes_stays():
    net = model([node("ReduceMean", ["x"], axes=[1, 3])], {"x": X.shape}, opset=17)
    quantised = quantise_onnx(net, [{"x": X}])
    assert "ReduceMean" in {proto.op_type for proto in quantised.graph.node}
    assert isinstance(quantised, onnx.ModelProto)
