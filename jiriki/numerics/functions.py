"""EXP2, LOG2, RECIP and RSQRT: the vector unit's built-in function tables.

Concept: split an fp32 argument into sign, exponent e and 23-bit fraction f (or, for EXP2, into a
whole part and a 27-bit fraction), look the fraction up in a table of piecewise quadratics
(`segments.py`, coefficients in units of 2^-30), put the exponent back, round once to fp32.
In: fp32 arrays. Out: fp32 arrays. Subnormal arguments count as zero, NaN gives the canonical NaN.

| function | segments          | t bits | error bound (measured over every fraction) |
|----------|-------------------|-------:|--------------------------------------------|
| EXP2     | 128 over [0, 1)   |     20 | 0.62 ulp                                   |
| LOG2     | 128 over [1, 2)   |     16 | 1.02 ulp for |result| >= 1/8, else 2^-26   |
| RECIP    | 128 over [1, 2)   |     16 | 0.77 ulp                                   |
| RSQRT    | 2 x 128, [1, 4)   |     16 | 0.61 ulp                                   |

All four are monotonic over an octave. The EXP2 bound holds for every argument: it is checked for
all 2^27 fractions together with what rounding the argument down to 2^-27 can lose.
Rounding to fp32 is to nearest even at 24 significant bits with the exponent unbounded; only then
does a result below 2^-126 become zero of its sign, and one of 2^128 or more infinity. Powers of
two in, powers of two out: exact. Coefficients come from decimal arithmetic, not from a C library,
so every machine builds the same tables.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jiriki.numerics.fp32 import CANONICAL_NAN, F32, blockwise
from jiriki.numerics.segments import DIGITS, Coefficients, chebyshev_quadratic, evaluate_segments

VALUE_BITS = 30  # one unit of a coefficient or table value is 2^-30
SEGMENT_BITS = 7  # 128 segments per octave
FRACTION_BITS = 23
T_BITS = FRACTION_BITS - SEGMENT_BITS
EXP2_T_BITS = 20
EXP2_FRACTION_BITS = SEGMENT_BITS + EXP2_T_BITS

EXP2_MAX_ULP = 0.62
RECIP_MAX_ULP = 0.77
RSQRT_MAX_ULP = 0.61
LOG2_MAX_ULP = 1.02  # where |log2 x| >= LOG2_ULP_FROM
LOG2_ULP_FROM = 0.125
LOG2_MAX_ABSOLUTE = 2.0**-26  # below that

_ONE = Decimal(1)
_LN2 = Decimal("0.693147180559945309417232121458176568075500134360255254120680")


def exp2(x: ArrayLike) -> F32:
    """Return 2^x. x >= 128 gives +inf; a result below 2^-126 gives +0; 2^±0 = 1."""
    return blockwise(_exp2_block, np.float32, x)


def log2(x: ArrayLike) -> F32:
    """Return log2(x). ±0 gives -inf, +inf gives +inf, a negative x gives NaN; log2(1) = +0."""
    return blockwise(_log2_block, np.float32, x)


def recip(x: ArrayLike) -> F32:
    """Return 1/x with the sign of x. ±0 gives ±inf, ±inf gives ±0; tiny results give ±0."""
    return blockwise(_recip_block, np.float32, x)


def rsqrt(x: ArrayLike) -> F32:
    """Return 1/sqrt(x). ±0 gives ±inf, +inf gives +0, a negative x gives NaN."""
    return blockwise(_rsqrt_block, np.float32, x)


@cache
def exp2_coefficients() -> Coefficients:
    """Return the [128, 3] coefficients of 2^f, f in [0, 1)."""
    return _frozen(_octave(lambda f: (f * _LN2).exp(), Decimal(0), _ONE))


@cache
def log2_coefficients() -> Coefficients:
    """Return the [128, 3] coefficients of log2(m), m in [1, 2); log2(1) is held at exactly 0."""
    table = _octave(lambda m: m.ln() / _LN2, _ONE, _ONE)
    table[0] = _log2_first_segment()
    return _frozen(table)


@cache
def recip_coefficients() -> Coefficients:
    """Return the [128, 3] coefficients of 1/m, m in [1, 2)."""
    return _frozen(_octave(lambda m: 1 / m, _ONE, _ONE))


@cache
def rsqrt_coefficients() -> Coefficients:
    """Return the [256, 3] coefficients of 1/sqrt(m): 128 for m in [1, 2), 128 for [2, 4)."""

    def function(m: Decimal) -> Decimal:
        return 1 / m.sqrt()

    halves = [_octave(function, _ONE, _ONE), _octave(function, Decimal(2), Decimal(2))]
    return _frozen(np.concatenate(halves))


def _octave(function: Callable[[Decimal], Decimal], left: Decimal, width: Decimal) -> Coefficients:
    """Fit 128 equal segments over [left, left + width), coefficients in units of 2^-30."""
    count = 1 << SEGMENT_BITS
    step = width / count
    rows = [chebyshev_quadratic(function, left + step * i, step) for i in range(count)]
    return np.array([[_units(c) for c in row] for row in rows], dtype=np.int64)


def _units(value: Decimal) -> int:
    return int((value * (1 << VALUE_BITS)).to_integral_value())


def _frozen(table: Coefficients) -> Coefficients:
    table.flags.writeable = False
    return table


def _log2_first_segment() -> tuple[int, int, int]:
    """Fit log2(1 + u/128) = c1 u + c2 u^2 through u = 0 and the two points that balance the error.

    The nodes are the roots of the degree-3 Chebyshev polynomial stretched so that its first root
    falls on 0.
    """
    with localcontext() as context:
        context.prec = DIGITS
        cosine = Decimal(3).sqrt() / 2  # roots at -cosine, 0, cosine on [-cosine, 1]
        u1, u2 = cosine / (1 + cosine), 2 * cosine / (1 + cosine)
        g1, g2 = (((1 + u / (1 << SEGMENT_BITS)).ln() / _LN2) / u for u in (u1, u2))
        c2 = (g2 - g1) / (u2 - u1)
        c1 = g1 - c2 * u1
        return 0, _units(c1), _units(c2)


def _split(x: F32) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the unbiased exponent and the 23-bit fraction; the sign is ignored."""
    bits = x.view(np.int32) & np.int32(0x7FFFFFFF)
    exponent = (bits >> np.int32(FRACTION_BITS)).astype(np.int64) - 127
    return exponent, (bits & np.int32(0x7FFFFF)).astype(np.int64)


def _look_up(
    table: Coefficients, fraction: NDArray[np.int64], base: int | NDArray[np.int64] = 0
) -> NDArray[np.int64]:
    index = (fraction >> T_BITS) + base
    return evaluate_segments(table, index, fraction & ((1 << T_BITS) - 1), T_BITS)


def _assemble(y: NDArray[np.int64], exponent: NDArray[np.int64]) -> F32:
    """Round y * 2^(exponent - 30), y > 0, to fp32: once, then flush or overflow."""
    bits = y.astype(np.float32).view(np.int32).astype(np.int64)
    biased = (bits >> FRACTION_BITS) + exponent - VALUE_BITS
    out = (bits & 0x7FFFFF) | (biased << FRACTION_BITS)
    out = np.where(biased < 1, 0, np.where(biased > 254, 0x7F800000, out))
    return out.astype(np.uint32).view(np.float32)


def _exp2_block(x: F32) -> F32:
    # Beyond ±256 the result is known; clipping there keeps the fixed-point value small.
    bounded = np.clip(np.where(np.isnan(x), np.float32(0), x), np.float32(-256), np.float32(256))
    fixed = np.floor(bounded.astype(np.float64) * (1 << EXP2_FRACTION_BITS)).astype(np.int64)
    whole = fixed >> EXP2_FRACTION_BITS
    fraction = fixed & ((1 << EXP2_FRACTION_BITS) - 1)
    t = fraction & ((1 << EXP2_T_BITS) - 1)
    y = evaluate_segments(exp2_coefficients(), fraction >> EXP2_T_BITS, t, EXP2_T_BITS)
    return np.where(np.isnan(x), CANONICAL_NAN, _assemble(y, whole))


def _log2_block(x: F32) -> F32:
    exponent, fraction = _split(x)
    fixed = (exponent << VALUE_BITS) + _look_up(log2_coefficients(), fraction)
    out = fixed.astype(np.float32) * np.float32(2.0**-VALUE_BITS)
    out = np.where(x == 0, np.float32(-np.inf), np.where(np.isinf(x), x, out))
    return np.where((x < 0) | np.isnan(x), CANONICAL_NAN, out)


def _recip_block(x: F32) -> F32:
    exponent, fraction = _split(x)
    out = _assemble(_look_up(recip_coefficients(), fraction), -exponent)
    out = np.where(x == 0, np.float32(np.inf), np.where(np.isinf(x), np.float32(0), out))
    return np.where(np.isnan(x), CANONICAL_NAN, np.copysign(out, x))


def _rsqrt_block(x: F32) -> F32:
    exponent, fraction = _split(x)
    base = (exponent & 1) << SEGMENT_BITS
    out = _assemble(_look_up(rsqrt_coefficients(), fraction, base), -(exponent >> 1))
    out = np.where(np.isinf(x), np.float32(0), out)
    out = np.where(x == 0, np.copysign(np.float32(np.inf), x), out)
    return np.where((x < 0) | np.isnan(x), CANONICAL_NAN, out)
