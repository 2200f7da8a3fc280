"""Products of activations and transposed convolutions against the references, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiling.cases import MATMULS, i8, matmul_attrs, matmul_inputs
from tests.tiling.harness import reference, run_node


@pytest.mark.parametrize("shapes", MATMULS)
@pytest.mark.parametrize("chip", ["nano", "e256", "vta256", "os256"])
@pytest.mark.parametrize("zeros", [(0, 0), (-128, 5), (7, -128)])
def test_matmul(shapes, zeros: tuple[int, int], chip: str) -> None:
    inputs = matmul_inputs(shapes)
    for out, where in (("i8", []), ("i32", ["a", "b", "y"]), ("f32", ["y"])):
        attrs = matmul_attrs(*zeros, out)
        got = run_node("matmul", inputs, attrs, ["bias", "scale"], chip=chip, resident=where)
        assert np.array_equal(got, reference("matmul", inputs, attrs))


def test_matmul_in_many_blocks() -> None:
    inputs, attrs = matmul_inputs(((24, 120), (120, 30))), matmul_attrs(-3, 4, "i8")
    got = run_node("matmul", inputs, attrs, ["bias", "scale"], available=3000)
    assert np.array_equal(got, reference("matmul", inputs, attrs))


def test_matmul_by_a_batched_constant() -> None:
    inputs, attrs = matmul_inputs(((2, 5, 7), (2, 7, 9))), matmul_attrs(-3, 4, "i8")
    got = run_node("matmul", inputs, attrs, ["b", "bias", "scale"])
    assert np.array_equal(got, reference("matmul", inputs, attrs))


TRANSPOSED = {
    "2x2": ((1, 6, 5, 4), (6, 5, 2, 2), (2, 2), (0, 0, 0, 0), (1, 1), (0, 0), 1),
    "4x4": ((2, 5, 4, 3), (5, 7, 4, 4), (2, 2), (1, 1, 1, 1), (1, 1), (0, 0), 1),
    "3x3 extra": ((1, 4, 4, 5), (4, 6, 3, 3), (2, 2), (1, 1, 1, 1), (1, 1), (1, 1), 1),
    "stride 1": ((1, 4, 4, 5), (4, 6, 3, 3), (1, 1), (1, 0, 1, 2), (1, 1), (0, 0), 1),
    "gaps": ((1, 4, 3, 3), (4, 3, 2, 1), (3, 2), (0, 0, 0, 0), (1, 1), (0, 0), 1),
    "dilated": ((1, 4, 5, 4), (4, 3, 3, 3), (2, 3), (1, 2, 0, 1), (2, 2), (1, 0), 1),
    "depthwise": ((1, 6, 4, 4), (6, 1, 4, 4), (2, 2), (1, 1, 1, 1), (1, 1), (0, 0), 6),
    "grouped": ((1, 16, 3, 4), (16, 4, 3, 3), (2, 1), (1, 1, 1, 1), (1, 1), (0, 0), 2),
    "cropped": ((1, 4, 4, 4), (4, 4, 2, 2), (2, 2), (2, 3, 2, 2), (1, 1), (0, 0), 1),
}


@pytest.mark.parametrize("case", TRANSPOSED)
@pytest.mark.parametrize("chip", ["nano", "vta256", "os256"])
def test_conv_transpose(case: str, chip: str) -> None:
    x, w, strides, pads, dilations, extra, group = TRANSPOSED[case]
    outputs = w[1] * group
    rng = np.random.default_rng(2)
    inputs = {
        "x": i8(*x), "w": i8(*w), "bias": rng.integers(-999, 999, outputs).astype(np.int32),
        "scale": (rng.random(outputs) * 5e-3).astype(np.float32),
    }  # fmt: skip
    attrs = {
        "strides": strides, "pads": pads, "dilations": dilations, "output_padding": extra,
        "group": group, "x_zp": -9, "w_zp": 4, "out_zp": 3, "lo": -120, "hi": 127, "out": "i8",
    }  # fmt: skip
    for where in ([], ["x", "y"]):
        got = run_node(
            "conv_transpose", inputs, attrs, ["w", "bias", "scale"], chip=chip, resident=where
        )
        assert np.array_equal(got, reference("conv_transpose", inputs, attrs))
