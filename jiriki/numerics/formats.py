"""Number formats: the one vocabulary, from which every room derives names, sizes and ranges.

Concept: how a number is stored. Integers are two's complement; bf16 is kept as its 16-bit
pattern because NumPy has no such type; int4 is kept one per int8 in arrays and packed two per
byte, low nibble first, in memory images.
In: arrays of values. Out: arrays of storage words, and back.
Contract (docs/numerics.md): rounding is to nearest even, subnormals become signed zero,
every NaN becomes the canonical quiet NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jiriki.numerics.errors import NumericsError

FP32_NAN_BITS = 0x7FC00000
BF16_NAN_BITS = 0x7FC0

_EXPONENT = np.uint32(0x7F800000)
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_SIGN = np.uint32(0x80000000)


@dataclass(frozen=True)
class FormatSpec:
    """Sizes and limits of one format; `min` and `max` are the smallest and largest finite value."""

    bits: int
    min: int | float
    max: int | float
    dtype: np.dtype[Any]
    is_float: bool


def _integer(bits: int, dtype: type) -> FormatSpec:
    return FormatSpec(bits, -(1 << (bits - 1)), (1 << (bits - 1)) - 1, np.dtype(dtype), False)


class Format(Enum):
    """A storage format; its text is the name used in assembly and reports."""

    INT4 = "int4"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    BF16 = "bf16"
    FP32 = "fp32"
    # A model's own inputs and outputs may have these; nothing on the chip has:
    UINT8 = "uint8"
    INT64 = "int64"
    BOOL = "bool"
    FP16 = "fp16"

    @property
    def spec(self) -> FormatSpec:
        """Return the sizes and limits."""
        return _SPECS[self]

    @property
    def bits(self) -> int:
        """Return the width in memory, in bits."""
        return _SPECS[self].bits

    @property
    def min(self) -> int | float:
        """Return the smallest finite value."""
        return _SPECS[self].min

    @property
    def max(self) -> int | float:
        """Return the largest finite value."""
        return _SPECS[self].max

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the NumPy type that holds it: int8 for int4, uint16 patterns for bf16."""
        return _SPECS[self].dtype

    @property
    def is_float(self) -> bool:
        """Tell whether it is a floating-point format."""
        return _SPECS[self].is_float

    def bytes_for(self, count: int) -> int:
        """Return the bytes that `count` elements occupy in memory (int4 rounds up)."""
        return (count * self.bits + 7) // 8


_BF16_MAX = float(np.array([0x7F7F0000], dtype=np.uint32).view(np.float32)[0])
_FP32_MAX = float(np.finfo(np.float32).max)
_SPECS = {
    Format.INT4: _integer(4, np.int8),
    Format.INT8: _integer(8, np.int8),
    Format.INT16: _integer(16, np.int16),
    Format.INT32: _integer(32, np.int32),
    Format.BF16: FormatSpec(16, -_BF16_MAX, _BF16_MAX, np.dtype(np.uint16), True),
    Format.FP32: FormatSpec(32, -_FP32_MAX, _FP32_MAX, np.dtype(np.float32), True),
    Format.UINT8: FormatSpec(8, 0, 255, np.dtype(np.uint8), False),
    Format.INT64: _integer(64, np.int64),
    Format.BOOL: FormatSpec(8, 0, 1, np.dtype(np.bool_), False),
    Format.FP16: FormatSpec(16, -65504.0, 65504.0, np.dtype(np.float16), True),
}


def pack_int4(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Pack int4 values two per byte along the last axis, the earlier one in the low nibble.

    values: [..., n] int8 in -8..7. Returns [..., ceil(n / 2)] uint8; an odd n leaves the last
    high nibble zero. Raises NumericsError when a value is out of range.
    """
    values = np.asarray(values)
    if values.ndim == 0 or values.dtype.kind not in "iu":
        raise NumericsError(
            f"pack_int4.values is {values.ndim}-D {values.dtype}; pass integers, at least 1-D"
        )
    if values.size and (values.min() < -8 or values.max() > 7):
        worst = values.min() if values.min() < -8 else values.max()
        raise NumericsError(f"pack_int4.values holds {worst}, outside int4 -8..7; clamp it first")
    nibbles = values.astype(np.int8).view(np.uint8) & np.uint8(0x0F)
    if values.shape[-1] % 2:
        pad = [(0, 0)] * (values.ndim - 1) + [(0, 1)]
        nibbles = np.pad(nibbles, pad)
    return nibbles[..., 0::2] | (nibbles[..., 1::2] << np.uint8(4))


def unpack_int4(packed: NDArray[np.uint8], count: int | None = None) -> NDArray[np.int8]:
    """Unpack bytes [..., b] into int4 values [..., count] held as int8 (sign-extended).

    `count` defaults to 2 * b. Raises NumericsError when the bytes hold fewer or a whole byte more.
    """
    packed = np.asarray(packed)
    if packed.dtype.itemsize != 1 or packed.ndim == 0:
        raise NumericsError(f"unpack_int4.packed is {packed.dtype}, not bytes; pass uint8, >= 1-D")
    held = 2 * packed.shape[-1]
    wanted = held if count is None else count
    if wanted < 0 or not held - 1 <= wanted <= held:
        raise NumericsError(f"unpack_int4.count = {wanted} does not match {held} packed nibbles")
    signed = np.ascontiguousarray(packed).view(np.int8)
    out = np.empty((*packed.shape[:-1], held), dtype=np.int8)
    out[..., 0::2] = (signed << np.int8(4)) >> np.int8(4)
    out[..., 1::2] = signed >> np.int8(4)
    return out[..., :wanted]


def fp32_to_bf16(x: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round fp32 to bf16 patterns: nearest even, overflow to infinity, FTZ, NaN to 0x7FC0."""
    array = np.asarray(x)
    if array.dtype != np.float32:
        raise NumericsError(f"fp32_to_bf16.x is {array.dtype}, not float32; convert it explicitly")
    bits = array.view(np.uint32)
    magnitude = bits & _MAGNITUDE
    rounded = bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))
    rounded = np.where(magnitude < 0x00800000, bits & _SIGN, rounded)
    high = (rounded >> np.uint32(16)).astype(np.uint16)
    return np.where(magnitude > _EXPONENT, np.uint16(BF16_NAN_BITS), high)


def bf16_to_fp32(patterns: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Widen bf16 patterns to fp32: exact; subnormals become signed zero, NaNs canonical."""
    array = np.asarray(patterns)
    if array.dtype != np.uint16:
        raise NumericsError(f"bf16_to_fp32.patterns is {array.dtype}, not uint16 bit patterns")
    bits = array.astype(np.uint32) << np.uint32(16)
    magnitude = bits & _MAGNITUDE
    bits = np.where(magnitude < 0x00800000, bits & _SIGN, bits)
    return np.where(magnitude > _EXPONENT, np.uint32(FP32_NAN_BITS), bits).view(np.float32)
