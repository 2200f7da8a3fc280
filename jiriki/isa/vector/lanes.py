"""Values on the vector unit's lanes, with bounds that prove when no clean-up is needed.

Concept: the chip's fp32 is IEEE with subnormals flushed and NaN canonical (`numerics.fp32`).
NumPy float32 computes the same wherever no subnormal and no NaN can arise. So every value carries
`least` and `most`: each element is zero, or `least` <= |element| <= `most`, and a finite `most`
means that there is no NaN. From them each operation proves its result's bounds; where the proof
fails the numerics room computes the operation instead.
In: arrays [groups, lanes] (or scalars). Out: values of the same kind. `UNARY` and `BINARY` say
what each micro-op makes of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import inf

import numpy as np
from numpy.typing import NDArray

from jiriki import numerics
from jiriki.isa.words import MicroOp
from jiriki.numerics import Comparison

_NORMAL = 2.0**-125  # twice the least normal number, so that rounding cannot pass below it
_HUGE = 2.0**127
_ULP = 2.0**-24  # x has no bit below |x| * 2^-24


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """Clean fp32 elements and their bounds; `minus_zero` tells whether -0 may be among them."""

    array: NDArray[np.float32]
    least: float
    most: float
    minus_zero: bool = True

    @property
    def proven(self) -> bool:
        """Tell that no element is a NaN or an infinity."""
        return self.most < inf


Value = Lanes | NDArray[np.int32]  # raw bits, or fp32 with bounds


def unknown(array: NDArray[np.float32]) -> Lanes:
    """Wrap clean fp32 of which nothing is known."""
    return Lanes(array, 2.0**-126, inf)


def integers(array: NDArray[np.float32], most: float) -> Lanes:
    """Wrap whole numbers of magnitude at most `most` without -0."""
    return Lanes(array, 1.0, most, minus_zero=False)


@cache
def scalar(bits: int) -> Value:
    """Wrap one register given by its bits."""
    return from_bits(np.array(bits, np.uint32).view(np.int32))


def from_bits(raw: NDArray[np.int32]) -> Value:
    """Wrap few raw bits: as measured fp32 where they are clean fp32, else as they are."""
    cleaned = np.asarray(numerics.clean(raw.view(np.float32)))
    return measured(cleaned) if np.array_equal(cleaned.view(np.int32), raw) else raw


def measured(array: NDArray[np.float32]) -> Lanes:
    """Wrap clean fp32 and look for its bounds."""
    size = np.abs(array)
    most = float(size.max(initial=0))
    if not most < inf:
        return unknown(array)
    nonzero = size[size > 0]
    return Lanes(array, float(nonzero.min()) if nonzero.size else most or 1.0, most)


def to_float(value: Value) -> Lanes:
    """Read as fp32: raw bits are reinterpreted, and cleaned as any operand is."""
    if isinstance(value, Lanes):
        return value
    return unknown(numerics.clean(value.view(np.float32)))


def to_raw(value: Value) -> NDArray[np.int32]:
    """Read as 32 raw bits."""
    return value.array.view(np.int32) if isinstance(value, Lanes) else value


def int_to_fp32(raw: NDArray[np.int32]) -> Lanes:
    """Round int32 to the nearest fp32, ties to even."""
    return integers(raw.astype(np.float32), 2.0**31)


def add(a: Lanes, b: Lanes) -> Lanes:
    """Add. Both are multiples of min(least) * 2^-24, so a result is 0 or at least that."""
    least, most = min(a.least, b.least) * _ULP, a.most + b.most
    if least >= _NORMAL and most < _HUGE:
        minus_zero = a.minus_zero and b.minus_zero
        return Lanes(a.array + b.array, least, most, minus_zero)
    return unknown(numerics.add(a.array, b.array))


def sub(a: Lanes, b: Lanes) -> Lanes:
    """Subtract b from a."""
    least, most = min(a.least, b.least) * _ULP, a.most + b.most
    if least >= _NORMAL and most < _HUGE:
        return Lanes(a.array - b.array, least, most, a.minus_zero)
    return unknown(numerics.sub(a.array, b.array))


def mul(a: Lanes, b: Lanes) -> Lanes:
    """Multiply; the half ulp of rounding is covered by the factors 1 -+ 2^-20."""
    least, most = a.least * b.least * (1 - 2.0**-20), a.most * b.most * (1 + 2.0**-20)
    if least >= _NORMAL and most < _HUGE:
        return Lanes(a.array * b.array, least, most)
    return unknown(numerics.mul(a.array, b.array))


def maximum(a: Lanes, b: Lanes) -> Lanes:
    """Take the larger; without NaN and -0 NumPy's is the chip's."""
    if a.proven and b.proven and not (a.minus_zero or b.minus_zero):
        least, most = min(a.least, b.least), max(a.most, b.most)
        return Lanes(np.maximum(a.array, b.array), least, most, minus_zero=False)
    return _pick(numerics.maximum(a.array, b.array), a, b)


def minimum(a: Lanes, b: Lanes) -> Lanes:
    """Take the smaller."""
    if a.proven and b.proven and not (a.minus_zero or b.minus_zero):
        least, most = min(a.least, b.least), max(a.most, b.most)
        return Lanes(np.minimum(a.array, b.array), least, most, minus_zero=False)
    return _pick(numerics.minimum(a.array, b.array), a, b)


def _pick(array: NDArray[np.float32], a: Lanes, b: Lanes) -> Lanes:
    """Wrap elements each of which is one of a's or b's (or a NaN where most is infinite)."""
    return Lanes(array, min(a.least, b.least), max(a.most, b.most))


def select(condition: Lanes, a: Lanes, b: Lanes) -> Lanes:
    """Take a where the condition is not zero, else b."""
    return _pick(np.where(condition.array != 0, a.array, b.array), a, b)


def negate(a: Lanes) -> Lanes:
    """Flip the sign; a NaN stays canonical."""
    array = np.negative(a.array) if a.proven else numerics.neg(a.array)
    return Lanes(array, a.least, a.most)


def absolute(a: Lanes) -> Lanes:
    """Clear the sign."""
    array = np.abs(a.array) if a.proven else numerics.absolute(a.array)
    return Lanes(array, a.least, a.most, minus_zero=False)


def whole(a: Lanes, rounded: NDArray[np.float32]) -> Lanes:
    """Wrap `rounded`, the elements of a rounded in some way to whole numbers; zeros keep signs."""
    return Lanes(rounded, 1.0, a.most + 1)


def quantise(a: Lanes, zero_point: int, low: int, high: int) -> Lanes:
    """Return clamp(rne(a) + zero_point, low, high), a NaN counting as 0.

    Clamping to [low - zero_point, high - zero_point] before adding is the same: the bounds are
    whole numbers below 2^18 and rounding is monotonic.
    """
    rounded = np.rint(a.array)
    if not a.proven:
        rounded = np.where(np.isnan(rounded), np.float32(0), rounded)
    rounded = np.maximum(rounded, np.float32(low - zero_point))
    np.minimum(rounded, np.float32(high - zero_point), out=rounded)
    rounded += np.float32(zero_point)  # also turns a -0 into +0
    return integers(rounded, float(max(abs(low), abs(high))))


def compare(relation: Comparison) -> Callable[[Lanes, Lanes], Lanes]:
    """Return the function that gives 1 where the relation holds, else 0."""
    return lambda a, b: integers(numerics.compare(a.array, b.array, relation), 1.0)


def floor(a: Lanes) -> Lanes:
    """Round towards minus infinity."""
    return whole(a, np.floor(a.array))


def round_even(a: Lanes) -> Lanes:
    """Round half to even, to an integer."""
    return whole(a, np.rint(a.array))


def rotate(a: Lanes) -> Lanes:
    """Turn each pair of lanes (x, y) into (-y, x)."""
    pairs = a.array.reshape(*a.array.shape[:-1], -1, 2)
    turned = np.stack((negate(unknown(pairs[..., 1])).array, pairs[..., 0]), axis=-1)
    return Lanes(turned.reshape(a.array.shape), a.least, a.most)


def function(
    of: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> Callable[[Lanes], Lanes]:
    """Return a function of numerics on lanes."""
    return lambda a: unknown(of(a.array))


# What a micro-op does to v alone, and to v and x; `meaning` has those that need more than lanes.
UNARY: dict[MicroOp, Callable[[Lanes], Lanes]] = {
    MicroOp.NEG: negate,
    MicroOp.ABS: absolute,
    MicroOp.EXP2: function(numerics.exp2),
    MicroOp.LOG2: function(numerics.log2),
    MicroOp.RECIP: function(numerics.recip),
    MicroOp.RSQRT: function(numerics.rsqrt),
    MicroOp.FLOOR: floor,
    MicroOp.RND: round_even,
    MicroOp.ROT: rotate,
}
BINARY: dict[MicroOp, Callable[[Lanes, Lanes], Lanes]] = {
    MicroOp.FADD: add,
    MicroOp.FSUB: sub,
    MicroOp.FRSB: lambda v, x: sub(x, v),
    MicroOp.FMUL: mul,
    MicroOp.FMAX: maximum,
    MicroOp.FMIN: minimum,
    MicroOp.GT: compare(Comparison.GT),
    MicroOp.GE: compare(Comparison.GE),
    MicroOp.EQ: compare(Comparison.EQ),
}
