"""Loadable tables: exactness against Python integers, error against math, images against struct."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from jiriki.numerics import Lut8, NumericsError, SegmentTable, quantise

NAN_BITS = 0x7FC00000


def sigmoid(v: float) -> float:
    return 1 / (1 + math.exp(-v))


def normal_cdf(v: float) -> float:
    return 0.5 * math.erfc(-v / math.sqrt(2))


CURVES = [  # function, lo, hi, asymptotes, bound on |f'''|, bound on |f'|
    (sigmoid, -16, 16, (0.0, 1.0), 0.125, 0.25),
    (math.tanh, -8, 8, (-1.0, 1.0), 2.0, 1.0),
    (normal_cdf, -8, 8, (0.0, 1.0), 0.4, 0.4),
    (math.erf, -4, 4, (-1.0, 1.0), 2.26, 1.13),
    (math.sin, -4, 4, (None, None), 1.0, 1.0),
]


@pytest.mark.parametrize(("curve", "lo", "hi", "ends", "f3", "f1"), CURVES)
def test_fitted_curves_keep_the_stated_error(
    curve: Callable[[float], float],
    lo: int,
    hi: int,
    ends: tuple[float | None, float | None],
    f3: float,
    f1: float,
) -> None:
    table = SegmentTable.fit(curve, lo, hi, 256, *ends)
    x = np.linspace(lo, hi, 40_001, endpoint=False, dtype=np.float32)
    want = np.array([curve(v) for v in x.tolist()])
    width = (hi - lo) / 256
    units = 4 * 2.0 ** table.exponents.max()
    bound = f3 * width**3 / 192 + f1 * width / 2**21 + units + 2.0**-25
    assert np.abs(table(x).astype(np.float64) - want).max() <= bound


def test_outside_the_interval_the_end_values_are_exact() -> None:
    table = SegmentTable.fit(normal_cdf, -8, 8, 256, 0.0, 1.0)
    x = np.array([-8.001, -1e30, -np.inf, 8, 1e30, np.inf], dtype=np.float32)
    assert table(x).tolist() == [0, 0, 0, 1, 1, 1]
    nan = np.array([0xFF812345], dtype=np.uint32).view(np.float32)
    assert table(nan).view(np.uint32).tolist() == [NAN_BITS]


def test_default_ends_are_the_function_at_the_ends() -> None:
    table = SegmentTable.fit(math.sin, -4, 4)
    got = table(np.array([-9, 4], dtype=np.float32))
    assert got.tolist() == np.array([math.sin(-4), math.sin(4)], np.float32).tolist()
    assert (table.lo, table.hi, table.segments) == (-4, 4, 256)


def _by_hand(table: SegmentTable, value: float, exact: ModuleType) -> int:
    """Evaluate one number from the image alone, in Python integers."""
    image = table.to_bytes()
    lo_fixed, in_shift, t_bits, log2_segments, _, below, above = struct.unpack_from(
        "<ibBBBff", image
    )
    q = exact.nearest_even(exact.Fraction(value) * exact.Fraction(2) ** in_shift)
    d = max(-(2**31), min(2**31 - 1, q)) - lo_fixed
    if d < 0:
        return exact.bits_of(below)
    if d >= 1 << (log2_segments + t_bits):
        return exact.bits_of(above)
    index, t = d >> t_bits, d & ((1 << t_bits) - 1)
    c0, c1, c2, exponent = struct.unpack_from("<iiii", image, 16 * (1 + index))
    y = c0 + (((c1 + ((c2 * t) >> t_bits)) * t) >> t_bits)
    return exact.encode(y * exact.Fraction(2) ** exponent)


@pytest.mark.parametrize("segments", [1, 8, 256])
def test_values_equal_the_image_worked_by_hand(
    segments: int, exact: ModuleType, rng: np.random.Generator
) -> None:
    table = SegmentTable.fit(lambda v: math.exp(-v) - 0.25, -2, 6, segments)
    x = np.concatenate((rng.uniform(-3, 7, 500), [-2, 6, 0, 1e-9, 5.9999995, -2.0000002]))
    x = x.astype(np.float32)
    assert table(x).view(np.uint32).tolist() == [_by_hand(table, v, exact) for v in x.tolist()]


def test_a_wide_dynamic_range_keeps_relative_accuracy() -> None:
    table = SegmentTable.fit(math.exp, -32, 0)
    x = np.linspace(-32, 0, 10_000, endpoint=False, dtype=np.float32)
    want = np.exp(x.astype(np.float64))
    assert np.abs(table(x) / want - 1).max() < 2.0**-16.5  # (1/8)^3 / 192


def test_results_below_the_smallest_normal_become_signed_zero() -> None:
    table = SegmentTable.fit(lambda v: -1e-40 * (1 + v), 0, 1, 4)
    assert table(np.float32(0.5)).view(np.uint32) == 0x80000000


def test_a_segment_image_survives_the_round_trip() -> None:
    table = SegmentTable.fit(math.tanh, -8, 8, 64, -1.0, 1.0)
    image = table.to_bytes()
    assert len(image) == 16 * 65
    assert SegmentTable.from_bytes(image) == table
    x = np.linspace(-9, 9, 999, dtype=np.float32)
    assert np.array_equal(SegmentTable.from_bytes(image)(x), table(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((math.sin, 0, 3, 256), "must be a power of two"),
        ((math.sin, 0, 4, 200), "segments = 200"),
        ((math.sin, 4, 0, 256), "finite and not empty"),
        ((lambda v: 1 / (v - 0.5) if v != 0.5 else math.inf, 0, 1, 1), "without the pole"),
        ((math.sin, 100_000, 100_001, 256), "beyond int32"),
        ((math.sin, 1e-9, 1e-9 + 1, 256), "power of two|multiple of"),
    ],
)
def test_bad_intervals_are_refused(
    arguments: tuple[Callable[[float], float], float, float, int], message: str
) -> None:
    with pytest.raises(NumericsError, match=message):
        SegmentTable.fit(*arguments)


def test_broken_images_are_refused() -> None:
    image = SegmentTable.fit(math.sin, 0, 4, 4).to_bytes()
    for broken in (b"", image[:-1], image + b"\0"):
        with pytest.raises(NumericsError, match="table image of"):
            SegmentTable.from_bytes(broken)
    with pytest.raises(NumericsError, match="t_bits = 63"):
        SegmentTable.from_bytes(image[:5] + bytes([63]) + image[6:])
    with pytest.raises(NumericsError, match="255 bytes"):
        Lut8(bytes(255))


def test_lut8_is_addressed_by_the_raw_byte() -> None:
    values = np.arange(-128, 128).astype(np.int8)[::-1].copy()
    lut = Lut8.from_values(values)
    assert lut(np.array([-128, -1, 0, 127], dtype=np.int8)).tolist() == [127, 0, -1, -128]
    assert lut.to_bytes()[0x80] == 0x7F
    assert Lut8.from_bytes(lut.to_bytes()) == lut


def test_lut8_fit_equals_dequantise_function_quantise() -> None:
    lut = Lut8.fit(np.tanh, 0.03, -5, 1 / 128, 3)
    codes = np.arange(-128, 128)
    for code, got in zip(codes, lut(codes.astype(np.int8)).tolist(), strict=True):
        real = math.tanh((int(code) + 5) * float(np.float32(0.03)))
        assert abs(got - max(-128, min(127, real * 128 + 3))) <= 0.5 + 1e-4
    x = (codes.astype(np.float32) + np.float32(5)) * np.float32(0.03)
    assert np.array_equal(lut(codes.astype(np.int8)), quantise(np.tanh(x) / np.float32(1 / 128), 3))


def test_lut8_refuses_other_types_and_bad_scales() -> None:
    with pytest.raises(NumericsError, match="uint8, not int8"):
        Lut8(bytes(256))(np.zeros(3, dtype=np.uint8))  # type: ignore[arg-type]
    with pytest.raises(NumericsError, match="out_scale = 0"):
        Lut8.fit(np.tanh, 0.1, 0, 0.0, 0)
