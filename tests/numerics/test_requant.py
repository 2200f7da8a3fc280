"""Quantising against exact fractions and against ONNX's QuantizeLinear formula in NumPy."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from jiriki.numerics import Format, NumericsError, quantise, requantise


def _quantise_exactly(bits: int, zero_point: int, lo: int, hi: int, exact: ModuleType) -> int:
    sign, magnitude = exact.decode(bits)
    if magnitude == exact.NAN:
        rounded = 0
    elif magnitude == exact.INF:
        rounded = 2**31 - 1
    else:
        rounded = exact.nearest_even(magnitude)
    rounded = max(-(2**31), min(2**31 - 1, -rounded if sign else rounded))
    return max(lo, min(hi, rounded + zero_point))


@pytest.mark.parametrize(
    ("zero_point", "lo", "hi"), [(0, -128, 127), (-128, -128, 127), (127, -3, 100), (5, 10, 20)]
)
def test_requantise_equals_exact_fractions(
    zero_point: int, lo: int, hi: int, exact: ModuleType, corner_bits: NDArray[np.uint32]
) -> None:
    scale_bits = np.concatenate((corner_bits, [0x3B03126F, 0x38D1B717, 0x3F000000]))
    acc = np.array([0, 1, -1, 3, -5, 127, 12345, -(2**24) - 1, 2**31 - 1, -(2**31)])
    grid_acc, grid_scale = (g.ravel() for g in np.meshgrid(acc, scale_bits))
    got = requantise(
        grid_acc.astype(np.int32), grid_scale.astype(np.uint32).view(np.float32), zero_point, lo, hi
    )
    want = [
        _quantise_exactly(exact.mul(exact.encode(exact.Fraction(a)), s), zero_point, lo, hi, exact)
        for a, s in zip(grid_acc.tolist(), grid_scale.tolist(), strict=True)
    ]
    assert got.dtype == np.int8
    assert got.tolist() == want


def test_quantise_equals_exact_fractions(
    exact: ModuleType, corner_bits: NDArray[np.uint32]
) -> None:
    for zero_point, lo, hi in ((0, -128, 127), (3, 4, 9), (-100, -128, -101)):
        want = [_quantise_exactly(int(b), zero_point, lo, hi, exact) for b in corner_bits]
        assert quantise(corner_bits.view(np.float32), zero_point, lo, hi).tolist() == want


def test_requantise_per_channel_and_per_row_equals_the_onnx_formula(
    rng: np.random.Generator,
) -> None:
    acc = rng.integers(-(2**22), 2**22, (5, 7, 300, 33)).astype(np.int32)
    for shape in ((33,), (300, 1), (5, 7, 300, 33), (), (5, 1, 1, 33)):
        scale = rng.uniform(1e-6, 1e-4, shape).astype(np.float32)
        product = acc.astype(np.float32) * scale
        want = np.clip(np.rint(product).astype(np.int64) - 7, -128, 127)
        assert np.array_equal(requantise(acc, scale, -7), want)


def test_requantise_keeps_strided_and_tiny_shapes() -> None:
    acc = np.arange(24, dtype=np.int32).reshape(4, 6)
    assert requantise(acc.T, np.float32(2)).tolist() == (2 * acc.T).tolist()
    assert requantise(np.array(9, dtype=np.int32), np.float32(2)).tolist() == 18
    assert requantise(acc[:0], np.ones(6, dtype=np.float32)).shape == (0, 6)


def test_int16_and_int4_targets_saturate_at_their_own_limits() -> None:
    values = np.array([-1e9, -40000, 6.5, 7.5, 1e9], dtype=np.float32)
    assert quantise(values, target=Format.INT16).tolist() == [-32768, -32768, 6, 8, 32767]
    assert quantise(values, target=Format.INT4).tolist() == [-8, -8, 6, 7, 7]


def test_bad_arguments_are_refused() -> None:
    acc = np.zeros((2, 3), dtype=np.int32)
    with pytest.raises(NumericsError, match=r"scale of shape \(2,\) does not broadcast"):
        requantise(acc, np.ones(2, dtype=np.float32))
    with pytest.raises(NumericsError, match="int64, not int32"):
        requantise(acc.astype(np.int64), np.float32(1))  # type: ignore[arg-type]
    with pytest.raises(NumericsError, match=r"clamp \[5, 4\]"):
        quantise(np.float32(0), 0, 5, 4)
    with pytest.raises(NumericsError, match="zero_point = 200"):
        quantise(np.float32(0), 200)
    with pytest.raises(NumericsError, match="use int4, int8 or int16"):
        quantise(np.float32(0), target=Format.FP32)
