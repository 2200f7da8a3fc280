"""fp32 arithmetic against exact fractions and plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jiriki.numerics import Comparison, Format, NumericsError, fp32

NAN_BITS = 0x7FC00000


def floats(bits: NDArray[np.uint32]) -> NDArray[np.float32]:
    return np.asarray(bits, dtype=np.uint32).view(np.float32)


def bits(x: NDArray[np.float32]) -> NDArray[np.uint32]:
    return np.asarray(x).view(np.uint32)


def all_pairs(values: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    a, b = np.meshgrid(values, values)
    return a.ravel(), b.ravel()


@pytest.mark.parametrize("name", ["add", "mul"])
def test_every_pair_of_corners_equals_exact_fractions(
    exact: ModuleType, name: str, corner_bits: NDArray[np.uint32]
) -> None:
    a, b = all_pairs(corner_bits)
    got = bits(getattr(fp32, name)(floats(a), floats(b)))
    want = [getattr(exact, name)(int(x), int(y)) for x, y in zip(a, b, strict=True)]
    assert got.tolist() == want


@pytest.mark.parametrize("name", ["add", "mul"])
def test_random_bit_patterns_equal_exact_fractions(
    exact: ModuleType, name: str, rng: np.random.Generator
) -> None:
    a = rng.integers(0, 1 << 32, 4000, dtype=np.uint32)
    near = (a & np.uint32(0x7F800000)) ^ rng.integers(0, 1 << 26, 4000, dtype=np.uint32)
    inverse = np.uint32(0x3F800000) - (a & np.uint32(0x7FFFFFFF))  # product near 2^-126 and 1
    b = np.where(np.arange(4000) % 2, near, inverse)
    got = bits(getattr(fp32, name)(floats(a), floats(b)))
    want = [getattr(exact, name)(int(x), int(y)) for x, y in zip(a, b, strict=True)]
    assert got.tolist() == want


def test_subtraction_is_addition_of_the_negated(
    exact: ModuleType, corner_bits: NDArray[np.uint32]
) -> None:
    a, b = all_pairs(corner_bits)
    want = [exact.add(int(x), int(y) ^ 0x80000000) for x, y in zip(a, b, strict=True)]
    assert bits(fp32.sub(floats(a), floats(b))).tolist() == want


def test_product_just_below_the_smallest_normal_rounds_before_it_is_flushed() -> None:
    half = np.float32(2.0**-126) / np.float32(2)  # NumPy's own subnormal 2^-127
    assert half > 0
    almost_two, almost_one = np.float32(2) - np.float32(2.0**-23), np.float32(1 - 2.0**-24)
    smallest = np.float32(2.0**-126)
    assert fp32.mul(smallest, almost_one) == smallest  # exactly 2^-126 - 2^-150: rounds up
    assert fp32.mul(smallest, almost_one - np.float32(2.0**-24)) == 0
    assert fp32.mul(np.float32(2.0**-64) * almost_two, np.float32(2.0**-63) * almost_one) == 0


def test_ordinary_values_equal_plain_numpy(rng: np.random.Generator) -> None:
    a = rng.standard_normal((300, 257)).astype(np.float32)
    b = rng.standard_normal((300, 257)).astype(np.float32)
    assert np.array_equal(fp32.add(a, b), a + b)
    assert np.array_equal(fp32.sub(a, b), a - b)
    assert np.array_equal(fp32.mul(a, b), a * b)


def test_one_rare_value_in_a_large_array_is_still_cleaned(rng: np.random.Generator) -> None:
    a = rng.standard_normal(200_003).astype(np.float32)
    a[150_001], a[7] = np.float32(1e-40), floats(np.array([0xFFC12345]))[0]
    got = bits(fp32.mul(a, np.float32(1)))
    assert got[150_001] == 0
    assert got[7] == NAN_BITS
    untouched = np.delete(np.arange(a.size), [7, 150_001])
    assert np.array_equal(got[untouched], bits(a)[untouched])


def _order_key(value: int) -> int:
    """Place non-NaN bits on the number line with -0 just below +0."""
    if (value & 0x7FFFFFFF) < 0x00800000:
        value &= 0x80000000
    return -1 - (value & 0x7FFFFFFF) if value >> 31 else value


@pytest.mark.parametrize(("name", "choose"), [("maximum", max), ("minimum", min)])
def test_maximum_and_minimum_order_zeros_and_pass_nan_on(
    name: str, choose: Callable[..., int], corner_bits: NDArray[np.uint32]
) -> None:
    a, b = all_pairs(corner_bits)
    want = []
    for pair in zip(a.tolist(), b.tolist(), strict=True):
        if any((x & 0x7FFFFFFF) > 0x7F800000 for x in pair):
            want.append(NAN_BITS)
        else:
            best = choose(pair, key=_order_key)
            want.append(best & 0x80000000 if (best & 0x7FFFFFFF) < 0x00800000 else best)
    assert bits(getattr(fp32, name)(floats(a), floats(b))).tolist() == want


@pytest.mark.parametrize("relation", list(Comparison))
def test_compare_follows_python_on_flushed_values(
    relation: Comparison, corner_bits: NDArray[np.uint32]
) -> None:
    a, b = all_pairs(corner_bits)
    method = f"__{relation.value}__"
    flushed = [[float(x) if abs(x) >= 2.0**-126 or x != x else 0.0 for x in floats(v).tolist()]
               for v in (a, b)]  # fmt: skip
    want = [float(getattr(x, method)(y)) for x, y in zip(*flushed, strict=True)]
    assert fp32.compare(floats(a), floats(b), relation).tolist() == want


def test_select_takes_the_first_where_the_condition_is_not_zero() -> None:
    condition = floats(np.array([0, 0x80000000, 1, 0x3F800000, 0x7FC00000], dtype=np.uint32))
    a, b = np.arange(5, dtype=np.float32), -np.arange(5, dtype=np.float32)
    assert fp32.select(condition, a, b).tolist() == [0, -1, -2, 3, 4]


def test_neg_and_absolute_change_only_the_sign(corner_bits: NDArray[np.uint32]) -> None:
    nan = (corner_bits & 0x7FFFFFFF) > 0x7F800000
    flushed = np.where((corner_bits & 0x7FFFFFFF) < 0x800000, corner_bits & 0x80000000, corner_bits)
    want_neg = np.where(nan, NAN_BITS, flushed ^ np.uint32(0x80000000))
    want_abs = np.where(nan, NAN_BITS, flushed & np.uint32(0x7FFFFFFF))
    assert np.array_equal(bits(fp32.neg(floats(corner_bits))), want_neg)
    assert np.array_equal(bits(fp32.absolute(floats(corner_bits))), want_abs)


def test_clean_returns_a_new_array() -> None:
    x = np.ones(3, dtype=np.float32)
    fp32.clean(x)[0] = 5
    assert x[0] == 1


def test_flush_keeps_nan_bits_and_clean_does_not() -> None:
    raw = floats(np.array([0x80000001, 0x007FFFFF, 0xFFC12345, 0x3F800000], dtype=np.uint32))
    assert bits(fp32.flush(raw)).tolist() == [0x80000000, 0, 0xFFC12345, 0x3F800000]
    assert bits(fp32.clean(raw)).tolist() == [0x80000000, 0, NAN_BITS, 0x3F800000]


@pytest.mark.parametrize("target", [Format.INT4, Format.INT8, Format.INT16, Format.INT32])
def test_fp32_to_int_rounds_half_to_even_and_saturates(
    target: Format, corner_bits: NDArray[np.uint32], rng: np.random.Generator
) -> None:
    halves = np.arange(-40, 40, dtype=np.float32) / np.float32(2)
    wide = (rng.standard_normal(500) * 2.0 ** rng.integers(-3, 34, 500)).astype(np.float32)
    x = np.concatenate((floats(corner_bits), halves, wide))
    want = [0 if v != v else int(min(max(v, -1e30), 1e30) // 1) for v in x.tolist()]
    for i, v in enumerate(x.tolist()):
        if v == v and abs(v) < 2**31:
            want[i] = round(v)  # Python rounds half to even
    want = [int(min(max(v, target.min), target.max)) for v in want]
    got = fp32.fp32_to_int(x, target)
    assert got.dtype == target.dtype
    assert got.tolist() == want


def test_int_to_fp32_rounds_to_nearest_even(exact: ModuleType, rng: np.random.Generator) -> None:
    wide = rng.integers(-(2**31), 2**31, 2000)
    x = np.concatenate((wide, [2**24 + 1, 2**24 + 3, -(2**24) - 1, 2**31 - 1, -(2**31)]))
    want = [exact.encode(exact.Fraction(int(v))) for v in x]
    assert bits(fp32.int_to_fp32(x.astype(np.int32))).tolist() == want


def test_small_large_and_scalar_calls_agree(
    corner_bits: NDArray[np.uint32], rng: np.random.Generator
) -> None:
    column, row = floats(corner_bits)[:, None], floats(rng.permutation(corner_bits))
    for operation in (fp32.add, fp32.sub, fp32.mul, fp32.maximum, fp32.minimum):
        whole = bits(operation(column, row))
        by_row = [bits(operation(value, row)) for value in column]  # one small call each
        by_scalar = [bits(operation(value[0], np.tile(row, 40))) for value in column]  # large
        assert np.array_equal(whole, by_row)
        assert np.array_equal(np.tile(whole, 40), by_scalar)


@pytest.mark.parametrize("shapes", [((3, 1, 5), (4, 1)), ((0, 4), (4,)), ((), (2,)), ((), ())])
def test_operands_broadcast_like_numpy(shapes: tuple[Any, Any]) -> None:
    a, b = (np.full(s, 1.5, dtype=np.float32) for s in shapes)
    for operation in (fp32.add, fp32.maximum, fp32.minimum):
        result = operation(a, b)
        assert isinstance(result, np.ndarray)
        assert result.shape == np.broadcast_shapes(*shapes)


def test_strided_and_scalar_operands_give_the_same_result(rng: np.random.Generator) -> None:
    a = rng.standard_normal((64, 96)).astype(np.float32)
    assert np.array_equal(fp32.mul(a.T[::3], 0.1), a.T[::3] * np.float32(0.1))


def test_an_operand_of_another_type_is_refused() -> None:
    with pytest.raises(NumericsError, match="float64, not float32"):
        fp32.add(np.zeros(3), np.zeros(3))
    with pytest.raises(NumericsError, match="int64"):
        fp32.int_to_fp32(np.zeros(3, dtype=np.int64))
    with pytest.raises(NumericsError, match="bf16 is not an integer format"):
        fp32.fp32_to_int(np.float32(1), Format.BF16)
