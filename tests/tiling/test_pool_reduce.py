"""Pooling, reductions and softmax against the NumPy references."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiling.harness import reference, run_node
from tests.tiling.test_relayout import f32, i8

Q = {"x_zp": -7, "out_zp": 5, "lo": -128, "hi": 127}
POOL = {"kernel": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1), "dilations": (1, 1)}
ODD = {"kernel": (3, 2), "strides": (1, 2), "pads": (0, 1, 2, 0), "dilations": (1, 1)}

EXACT = {
    "global": ("qavgpool_global", i8(2, 10, 7, 7), {**Q, "multiplier": 0.021}),
    "maxpool": ("maxpool", i8(2, 10, 11, 13), POOL),
    "maxpool f32": ("maxpool", f32(1, 6, 9, 8), {**ODD, "dilations": (2, 1)}),
    "maxpool far": (
        "maxpool", i8(1, 5, 70, 75),
        {"kernel": (2, 3), "strides": (33, 35), "pads": (0, 1, 0, 0), "dilations": (1, 1)},
    ),
    "maxpool tall": (
        "maxpool", i8(1, 5, 70, 9),
        {"kernel": (2, 3), "strides": (33, 1), "pads": (0, 1, 0, 0), "dilations": (1, 1)},
    ),
    "maxpool wide": (
        "maxpool", i8(2, 5, 3, 400),
        {"kernel": (2, 3), "strides": (1, 2), "pads": (1, 2, 0, 3), "dilations": (1, 2)},
    ),
    "avgpool": ("avgpool", f32(1, 6, 9, 8), {**ODD, "counted": (0,) * 4}),
    "avgpool include": ("avgpool", f32(2, 6, 9, 8), {**POOL, "counted": (1,) * 4}),
    "avgpool dilated": (
        "avgpool", f32(1, 6, 13, 12), {**POOL, "dilations": (3, 2), "counted": (1, 1, 0, 1)}
    ),
    "qavgpool": ("qavgpool", i8(1, 6, 9, 8), {**POOL, **Q, "counted": (0,) * 4, "ratio": 1.3}),
    "qavgpool dilated": (
        "qavgpool", i8(2, 6, 13, 12),
        {**ODD, **Q, "dilations": (2, 5), "counted": (0, 1, 1, 0), "ratio": 1.3},
    ),
    "qavgpool plain": (
        "qavgpool", i8(2, 6, 9, 8),
        {**POOL, "kernel": (2, 2), "pads": (0,) * 4, **Q, "counted": (0,) * 4, "ratio": 0.9},
    ),
    "reduce max channels": ("reduce_max", f32(2, 7, 3, 5), {"axes": (1,), "keepdims": 1}),
    "reduce min pixels": ("reduce_min", f32(2, 7, 3, 5), {"axes": (2, 3), "keepdims": 0}),
}  # fmt: skip


@pytest.mark.parametrize("chip", ["nano", "vta256", "os256"])
@pytest.mark.parametrize("where", ["dram", "both", "small"])
@pytest.mark.parametrize("case", EXACT)
def test_bit_exact(case: str, where: str, chip: str) -> None:
    op, x, attrs = EXACT[case]
    resident = ["x", "y"] if where == "both" else []
    available = 2000 if where == "small" else 1 << 30
    got = run_node(op, {"x": x}, attrs, chip=chip, resident=resident, available=available)
    assert np.array_equal(got, reference(op, {"x": x}, attrs))


def test_a_global_sum_beyond_fp32_stays_exact() -> None:
    x = np.full((1, 2, 260, 260), 127, np.int8)
    x[0, 1] = i8(260, 260)
    attrs = {"x_zp": -128, "multiplier": 3e-6, "out_zp": -60, "lo": -128, "hi": 127}
    got = run_node("qavgpool_global", {"x": x}, attrs)
    assert np.array_equal(got, reference("qavgpool_global", {"x": x}, attrs))


REDUCE = [
    ((2, 7, 3, 5), (2, 3), 1), ((2, 7, 3, 5), (2, 3), 0), ((2, 7, 3, 5), (1,), 0),
    ((2, 7, 3, 5), (2,), 1), ((2, 7, 3, 5), (0, 3), 0), ((2, 7, 3, 5), (0, 1, 2, 3), 0),
    ((2, 7, 3, 5), (1, 2), 1), ((2, 5, 9), (2,), 1), ((2, 5, 9), (1,), 0), ((2, 5, 9), (0,), 1),
    ((6, 17), (1,), 0), ((6, 17), (0,), 0), ((1, 17), (0,), 0), ((33,), (0,), 0),
]  # fmt: skip


@pytest.mark.parametrize("op", ["mean", "sum", "max", "min", "l2", "sumsq"])
@pytest.mark.parametrize(("shape", "axes", "keep"), REDUCE)
def test_reduce(op: str, shape: tuple[int, ...], axes: tuple[int, ...], keep: int) -> None:
    x, attrs = f32(*shape), {"axes": axes, "keepdims": keep}
    for chip, available in (("nano", 1 << 30), ("nano", 256), ("vta256", 1 << 30)):
        got = run_node(f"reduce_{op}", {"x": x}, attrs, chip=chip, available=available)
        want = reference(f"reduce_{op}", {"x": x}, attrs)
        np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)


SOFTMAX = [((1, 1000), 1), ((3, 5, 11), 2), ((3, 5, 11), 1), ((2, 6, 3, 4), 1), ((2, 6, 3, 4), 3)]


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("shape", "axis"), SOFTMAX)
@pytest.mark.parametrize("where", ["dram", "both", "small"])
def test_softmax(op: str, shape: tuple[int, ...], axis: int, where: str) -> None:
    x = f32(*shape) * 6
    resident = ["x", "y"] if where == "both" else []
    available = 700 if where == "small" else 1 << 30
    got = run_node(op, {"x": x}, {"axis": axis}, resident=resident, available=available)
    wide = np.exp(x.astype(np.float64))
    want = wide / wide.sum(axis=axis, keepdims=True)
    want = want if op == "softmax" else np.log(want)
    np.testing.assert_allclose(got, want, rtol=4e-6, atol=1e-7 if op == "softmax" else 5e-7)
