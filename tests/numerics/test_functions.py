"""EXP2, LOG2, RECIP, RSQRT: error bounds against NumPy float64, meaning against Python integers.

The ordinary suite looks at every 61st fraction; `make test-full` looks at every one.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from jiriki.numerics import exp2, functions, log2, recip, rsqrt
from jiriki.numerics.segments import evaluate_segments

NAN_BITS = 0x7FC00000
STRIDES = [pytest.param(61, id="strided"), pytest.param(1, id="all", marks=pytest.mark.full)]

F64 = NDArray[np.float64]


def binade(exponent: int, stride: int) -> NDArray[np.float32]:
    """Return every stride-th fp32 of [2^exponent, 2^(exponent + 1)), the two ends included."""
    fractions = np.append(np.arange(0, 1 << 23, stride, dtype=np.uint32), np.uint32(0x7FFFFF))
    return ((np.uint32(exponent + 127) << np.uint32(23)) | fractions).view(np.float32)


def worst_ulp(got: NDArray[np.float32], want: F64) -> float:
    ulp = 2.0 ** (np.floor(np.log2(np.abs(want))) - 23)
    return float((np.abs(got.astype(np.float64) - want) / ulp).max())


def is_monotonic(values: NDArray[np.float32]) -> bool:
    steps = np.diff(values)
    return bool((steps >= 0).all() or (steps <= 0).all())


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("exponent", [0, -1, 77, -125])
def test_recip_stays_within_its_bound(exponent: int, stride: int) -> None:
    x = binade(exponent, stride)
    assert worst_ulp(recip(x), 1 / x.astype(np.float64)) <= functions.RECIP_MAX_ULP
    assert is_monotonic(recip(x))
    assert np.array_equal(recip(-x), -recip(x))


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("exponent", [0, 1, -126, 127])
def test_rsqrt_stays_within_its_bound(exponent: int, stride: int) -> None:
    x = binade(exponent, stride)
    assert worst_ulp(rsqrt(x), 1 / np.sqrt(x.astype(np.float64))) <= functions.RSQRT_MAX_ULP
    assert is_monotonic(rsqrt(x))


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("exponent", [-30, -8, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5])
def test_exp2_stays_within_its_bound(exponent: int, stride: int) -> None:
    for x in (binade(exponent, stride), -binade(exponent, stride)):
        assert worst_ulp(exp2(x), np.exp2(x.astype(np.float64))) <= functions.EXP2_MAX_ULP
        assert is_monotonic(exp2(x))


@pytest.mark.parametrize("stride", [pytest.param(977, id="strided"), STRIDES[1]])
def test_exp2_bound_covers_every_27_bit_fraction(stride: int) -> None:
    table, worst = functions.exp2_coefficients(), 0.0
    for segment in range(128):
        t = np.arange(0, 1 << 20, stride, dtype=np.int64)
        y = evaluate_segments(table, np.full_like(t, segment), t, 20).astype(np.float64)
        for lost in (0, 1):  # the argument lies in [fraction, fraction + 2^-27)
            want = np.exp2(30 + ((segment << 20) + t + lost) / 2**27)
            worst = max(worst, float(np.abs(y - want).max()))
    assert 0.5 + worst / 128 <= functions.EXP2_MAX_ULP  # 128 units of 2^-30 are one ulp


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("exponent", [-126, -7, -2, -1, 0, 1, 9, 127])
def test_log2_stays_within_its_bounds(exponent: int, stride: int) -> None:
    x = binade(exponent, stride)
    got, want = log2(x), np.log2(x.astype(np.float64))
    large = np.abs(want) >= functions.LOG2_ULP_FROM
    assert worst_ulp(got[large], want[large]) <= functions.LOG2_MAX_ULP
    near_one = np.abs(got[~large].astype(np.float64) - want[~large])
    assert near_one.max(initial=0.0) <= functions.LOG2_MAX_ABSOLUTE
    assert is_monotonic(got)
    assert (np.sign(got[want != 0]) == np.sign(want[want != 0])).all()


@pytest.mark.full
def test_recip_and_rsqrt_bounds_hold_in_every_binade() -> None:
    for exponent in range(-126, 126):
        x = binade(exponent, 997)
        assert worst_ulp(recip(x), 1 / x.astype(np.float64)) <= functions.RECIP_MAX_ULP
        assert worst_ulp(rsqrt(x), 1 / np.sqrt(x.astype(np.float64))) <= functions.RSQRT_MAX_ULP


def test_powers_of_two_are_exact() -> None:
    whole = np.arange(-126, 128, dtype=np.float32)
    powers = np.ldexp(np.float32(1), whole.astype(np.int32))
    assert np.array_equal(exp2(whole), powers)
    assert np.array_equal(log2(powers), whole)
    assert np.array_equal(recip(powers[:253]), powers[:253][::-1])
    even = powers[::2]
    assert np.array_equal(rsqrt(even), np.ldexp(np.float32(1), (-whole[::2] / 2).astype(np.int32)))


INF = float("inf")
NAN = float("nan")
TINY = 1e-40  # subnormal: counts as zero


@pytest.mark.parametrize(
    ("function", "cases"),
    [
        (recip, {0.0: INF, -TINY: -INF, INF: 0.0, -INF: -0.0, NAN: NAN, 2.0**127: 0.0,
                 -(2.0**127): -0.0, 2.0**126: 2.0**-126, 1.5 * 2.0**126: 0.0}),
        (rsqrt, {TINY: INF, -TINY: -INF, INF: 0.0, -INF: NAN, NAN: NAN, -1.0: NAN, 4.0: 0.5}),
        (exp2, {0.0: 1.0, -TINY: 1.0, INF: INF, -INF: 0.0, NAN: NAN, 128.0: INF, 1e30: INF,
                -126.0: 2.0**-126, -126.5: 0.0, -1e30: 0.0, -1e-30: 1.0}),
        (log2, {0.0: -INF, -TINY: -INF, INF: INF, -INF: NAN, NAN: NAN, -1.0: NAN, 1.0: 0.0}),
    ],
)  # fmt: skip
def test_special_arguments(
    function: Callable[[NDArray[np.float32]], NDArray[np.float32]], cases: dict[float, float]
) -> None:
    got = function(np.array(list(cases), dtype=np.float32)).view(np.uint32)
    want = np.array(list(cases.values()), dtype=np.float32).view(np.uint32)
    want = np.where((want & 0x7FFFFFFF) > 0x7F800000, NAN_BITS, want)
    assert got.tolist() == want.tolist()


def test_minus_zero_keeps_its_sign_through_recip_and_rsqrt() -> None:
    minus_zero = np.array([-0.0], dtype=np.float32)
    assert recip(minus_zero).tolist() == rsqrt(minus_zero).tolist() == [-INF]


def _segment(table: NDArray[np.int64], index: int, t: int, t_bits: int) -> int:
    c0, c1, c2 = table[index].tolist()
    return c0 + (((c1 + ((c2 * t) >> t_bits)) * t) >> t_bits)


def _by_hand(name: str, bits: int, exact: ModuleType) -> int:
    """Evaluate one positive ordinary argument as the gates do, in Python integers."""
    exponent, fraction = ((bits >> 23) & 0xFF) - 127, bits & 0x7FFFFF
    index, t = fraction >> 16, fraction & 0xFFFF
    two = exact.Fraction(2)
    if name == "recip":
        return exact.encode(
            _segment(functions.recip_coefficients(), index, t, 16) * two ** (-exponent - 30)
        )
    if name == "rsqrt":
        index += 128 * (exponent % 2)
        y = _segment(functions.rsqrt_coefficients(), index, t, 16)
        return exact.encode(y * two ** (-(exponent // 2) - 30))
    if name == "log2":
        y = _segment(functions.log2_coefficients(), index, t, 16)
        return exact.encode(((exponent << 30) + y) / two**30)
    fixed = ((1 << 23) | fraction) << 27 << 130 >> (23 - exponent + 130)
    whole, rest = fixed >> 27, fixed & ((1 << 27) - 1)
    y = _segment(functions.exp2_coefficients(), rest >> 20, rest & 0xFFFFF, 20)
    return exact.encode(y * two ** (whole - 30))


@pytest.mark.parametrize("name", ["exp2", "log2", "recip", "rsqrt"])
def test_values_equal_the_integer_rule_worked_by_hand(
    name: str, exact: ModuleType, rng: np.random.Generator
) -> None:
    low, high = (0x30000000, 0x42FE0000) if name == "exp2" else (0x00800000, 0x7E800000)
    bits = rng.integers(low, high, 1500, dtype=np.uint32)
    got = getattr(functions, name)(bits.view(np.float32)).view(np.uint32)
    assert got.tolist() == [_by_hand(name, int(b), exact) for b in bits]


@pytest.mark.parametrize(
    ("name", "true_value", "left", "width"),
    [
        ("exp2", lambda m: mpmath.power(2, m), 0, 1),
        ("log2", lambda m: mpmath.log(m, 2), 1, 1),
        ("recip", lambda m: 1 / mpmath.mpf(m), 1, 1),
        ("rsqrt", lambda m: 1 / mpmath.sqrt(m), 1, 1),
    ],
)
def test_every_segment_is_near_the_function_at_both_ends(
    name: str, true_value: Callable[..., Any], left: int, width: int
) -> None:
    table = getattr(functions, f"{name}_coefficients")()
    for index in range(128):
        for u in (0, 1):
            want = true_value(left + mpmath.mpf(width * (index + u)) / 128) * 2**30
            got = int(table[index, 0]) + u * int(table[index, 1] + table[index, 2])
            assert abs(got - want) < 36  # 2^-30 units: 2^-25


def test_coefficients_fit_the_widths_given_to_the_gates() -> None:
    limits = {
        "exp2": (31, 24, 15),
        "log2": (30, 24, 16),
        "recip": (31, 24, 16),
        "rsqrt": (30, 23, 15),
    }
    for name, widths in limits.items():
        magnitude = np.abs(getattr(functions, f"{name}_coefficients")()).max(axis=0)
        assert (magnitude <= 2 ** np.array(widths)).all(), name
