"""Pooling, reductions and softmax against the NumPy references."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiling.cases import POOLS, f32, i8
from tests.tiling.harness import reference, run_node


@pytest.mark.parametrize("chip", ["nano", "vta256", "os256"])
@pytest.mark.parametrize("where", ["dram", "both", "small"])
@pytest.mark.parametrize("case", POOLS)
def test_bit_exact(case: str, where: str, chip: str) -> None:
    op, x, attrs = POOLS[case]
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
