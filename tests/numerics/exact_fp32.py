"""fp32 by exact fractions: an independent, slow reading of the numerics contract.

Nothing here uses NumPy arithmetic: values are `Fraction`s, rounded by integer division.
"""

from __future__ import annotations

import struct
from fractions import Fraction

NAN, INF = "nan", "inf"
NAN_BITS = 0x7FC00000


def decode(bits: int) -> tuple[int, Fraction | str]:
    """Return (sign, magnitude) with subnormals read as zero; magnitude may be NAN or INF."""
    sign, exponent, fraction = bits >> 31, (bits >> 23) & 0xFF, bits & 0x7FFFFF
    if exponent == 255:
        return sign, (NAN if fraction else INF)
    if exponent == 0:
        return sign, Fraction(0)
    return sign, Fraction((1 << 23) | fraction) * Fraction(2) ** (exponent - 150)


def encode(value: Fraction, zero_sign: int = 0) -> int:
    """Round to fp32 bits: nearest even on the IEEE grid (subnormals included), then flush."""
    sign, magnitude = (1, -value) if value < 0 else (0, value)
    if magnitude == 0:
        return zero_sign << 31
    guess = magnitude.numerator.bit_length() - magnitude.denominator.bit_length() - 1
    exponent = max(-126, guess)  # never above floor(log2), at most one below
    while magnitude >= Fraction(2) ** (exponent + 1):
        exponent += 1
    units = nearest_even(magnitude / Fraction(2) ** (exponent - 23))
    if units == 1 << 24:
        units, exponent = 1 << 23, exponent + 1
    if exponent > 127:
        return (sign << 31) | 0x7F800000
    if units < 1 << 23:
        return sign << 31
    return (sign << 31) | ((exponent + 127) << 23) | (units - (1 << 23))


def nearest_even(value: Fraction) -> int:
    """Round a fraction to the nearest integer, ties to even."""
    whole = value.numerator // value.denominator
    rest = value - whole
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2):
        whole += 1
    return whole


def add(a: int, b: int) -> int:
    """Add two fp32 bit patterns."""
    (sa, x), (sb, y) = decode(a), decode(b)
    if NAN in (x, y):
        return NAN_BITS
    if x == INF or y == INF:
        if x == y and sa != sb:
            return NAN_BITS
        return ((sa if x == INF else sb) << 31) | 0x7F800000
    assert isinstance(x, Fraction)
    assert isinstance(y, Fraction)
    total = (-x if sa else x) + (-y if sb else y)
    return encode(total, zero_sign=sa & sb if x == y == 0 else 0)


def mul(a: int, b: int) -> int:
    """Multiply two fp32 bit patterns."""
    (sa, x), (sb, y) = decode(a), decode(b)
    sign = sa ^ sb
    if NAN in (x, y) or (INF in (x, y) and 0 in (x, y)):
        return NAN_BITS
    if INF in (x, y):
        return (sign << 31) | 0x7F800000
    assert isinstance(x, Fraction)
    assert isinstance(y, Fraction)
    product = x * y
    return encode(-product if sign else product, zero_sign=sign)


def bits_of(value: float) -> int:
    """Return the fp32 bit pattern of a Python float that fp32 represents."""
    return struct.unpack("<I", struct.pack("<f", value))[0]
