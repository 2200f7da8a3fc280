"""uint8 weights far from their zero point, on the chip against exact integer arithmetic.

`x - x_zp` times `w - w_zp` is summed in int64 by NumPy; the chip's products are of int8, so weights
of -255..255 are cut into parts that add up to them.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.frontend import import_onnx
from jiriki.sim.functional import FunctionalEngine

UINT8 = TensorProto.UINT8


def on_chip(op: str, x: np.ndarray, w: np.ndarray, point: int, **attrs) -> np.ndarray:
    """Return the int32 sums that the chip computes of one integer product."""
    stored = {"w": w, "xz": np.uint8(128), "wz": np.uint8(point)}
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w", "xz", "wz"], ["y"], "product", **attrs)],
        "product",
        [helper.make_tensor_value_info("x", UINT8, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT32, None)],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    assert isinstance(model, onnx.ModelProto)
    chip = load_chip("e256")
    outputs = FunctionalEngine(chip).run(compile_graph(import_onnx(model), chip), {"x": x}).outputs
    assert outputs is not None
    return outputs["y"]


def extremes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return random uint8 whose first elements are 0, 255 and their neighbours."""
    array = rng.integers(0, 256, shape).astype(np.uint8)
    array.flat[:4] = (0, 255, 1, 254)
    return array


@pytest.mark.parametrize("point", [0, 1, 127, 128, 254, 255])
def test_matrix_product(point):
    rng = np.random.default_rng(1)
    x, w = extremes(rng, 5, 37), extremes(rng, 37, 9)
    wanted = (x.astype(np.int64) - 128) @ (w.astype(np.int64) - point)
    np.testing.assert_array_equal(on_chip("MatMulInteger", x, w, point), wanted)


@pytest.mark.parametrize("group", [1, 2, 6])
@pytest.mark.parametrize("point", [0, 255])
def test_convolution(point, group):
    rng = np.random.default_rng(2)
    x, w = extremes(rng, 1, 6, 5, 4), extremes(rng, 6, 6 // group, 2, 3)
    wide, taps = x.astype(np.int64) - 128, w.astype(np.int64) - point
    wanted = np.zeros((1, 6, 4, 2), np.int64)
    for o in range(6):
        channels = wide[:, o * group // 6 * (6 // group) :][:, : 6 // group]
        for i in range(2):
            for j in range(3):
                window = channels[:, :, i : i + 4, j : j + 2]
                wanted[:, o] += (window * taps[o, :, i, j][:, None, None]).sum(axis=1)
    np.testing.assert_array_equal(on_chip("ConvInteger", x, w, point, group=group), wanted)
