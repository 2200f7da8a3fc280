"""Storage formats against hand-written bytes, struct and exact rounding."""

from __future__ import annotations

import struct
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from jiriki.numerics import (
    Format,
    NumericsError,
    bf16_to_fp32,
    fp32_to_bf16,
    pack_int4,
    unpack_int4,
)


@pytest.mark.parametrize(
    ("name", "bits", "low", "high"),
    [("int4", 4, -8, 7), ("int8", 8, -128, 127), ("int16", 16, -32768, 32767),
     ("int32", 32, -2147483648, 2147483647)],
)  # fmt: skip
def test_integer_formats_have_their_textbook_limits(
    name: str, bits: int, low: int, high: int
) -> None:
    form = Format(name)
    assert (form.bits, form.min, form.max, form.is_float) == (bits, low, high, False)


def test_float_formats_have_their_textbook_limits() -> None:
    assert Format.FP32.max == struct.unpack("<f", bytes.fromhex("ffff7f7f"))[0]
    assert Format.BF16.max == struct.unpack("<f", bytes.fromhex("00007f7f"))[0]
    assert (Format.BF16.bits, Format.BF16.dtype) == (16, np.dtype(np.uint16))


def test_bytes_for_rounds_half_bytes_up() -> None:
    assert [Format.INT4.bytes_for(n) for n in (0, 1, 2, 3)] == [0, 1, 1, 2]
    assert Format.INT32.bytes_for(3) == 12


def test_int4_is_packed_low_nibble_first() -> None:
    values = np.array([[1, -1, 7, -8], [0, 2, -3, 4]], dtype=np.int8)
    assert pack_int4(values).tolist() == [[0xF1, 0x87], [0x20, 0x4D]]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 16])
def test_int4_survives_packing(count: int, rng: np.random.Generator) -> None:
    values = rng.integers(-8, 8, (3, count)).astype(np.int8)
    assert np.array_equal(unpack_int4(pack_int4(values), count), values)


def test_odd_int4_rows_end_in_a_zero_nibble() -> None:
    assert pack_int4(np.array([-1, -1, -1], dtype=np.int8)).tolist() == [0xFF, 0x0F]


def test_int4_out_of_range_is_refused() -> None:
    with pytest.raises(NumericsError, match="holds 8, outside int4"):
        pack_int4(np.array([0, 8], dtype=np.int8))
    with pytest.raises(NumericsError, match="count = 2 does not match 4"):
        unpack_int4(np.zeros(2, dtype=np.uint8), 2)


def test_every_bf16_pattern_widens_to_its_struct_value() -> None:
    patterns = np.arange(1 << 16, dtype=np.uint16)
    got = bf16_to_fp32(patterns).view(np.uint32)
    for pattern, bits in zip(patterns.tolist(), got.tolist(), strict=True):
        exponent, fraction = (pattern >> 7) & 0xFF, pattern & 0x7F
        if exponent == 255 and fraction:
            assert bits == 0x7FC00000
        elif exponent == 0:
            assert bits == (pattern >> 15) << 31
        else:
            assert bits == pattern << 16


def _round_to_bf16(bits: int, exact: ModuleType) -> int:
    """Round by exact fractions: a bf16 is an integer below 2^8 times a power of two."""
    sign, magnitude = exact.decode(bits)
    if magnitude == exact.NAN:
        return 0x7FC0
    if magnitude == exact.INF:
        return (sign << 15) | 0x7F80
    if magnitude == 0:
        return sign << 15
    exponent = ((bits >> 23) & 0xFF) - 127
    units = exact.nearest_even(magnitude / exact.Fraction(2) ** (exponent - 7))
    return (sign << 15) | (((exponent + 127) << 7) + units - 128)


def test_fp32_rounds_to_the_nearest_even_bf16(
    exact: ModuleType, corner_bits: NDArray[np.uint32], rng: np.random.Generator
) -> None:
    ties = (rng.integers(0, 1 << 16, 2000, dtype=np.uint32) << np.uint32(16)) | np.uint32(0x8000)
    others = rng.integers(0, 1 << 32, 4000, dtype=np.uint32)
    bits = np.concatenate((corner_bits, ties, ties ^ np.uint32(1), ties - np.uint32(1), others))
    want = [_round_to_bf16(int(b), exact) for b in bits]
    assert fp32_to_bf16(bits.view(np.float32)).tolist() == want


def test_bf16_conversions_refuse_other_types() -> None:
    with pytest.raises(NumericsError, match="float64"):
        fp32_to_bf16(np.zeros(2))  # type: ignore[arg-type]
    with pytest.raises(NumericsError, match="float32, not uint16"):
        bf16_to_fp32(np.zeros(2, dtype=np.float32))  # type: ignore[arg-type]
