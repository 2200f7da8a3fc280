"""Loadable tables: any fp32 function on an interval (TBL), and any int8 -> int8 function.

Concept: `SegmentTable` cuts [lo, hi) into a power-of-two number of equal segments whose width is
a power of two. The argument becomes the integer q = rne(x * 2^in_shift), saturating to int32; then
d = q - lo_fixed. d < 0 gives `below`, d past the last segment gives `above`, otherwise the top
bits of d pick the segment and the low `t_bits` are t of the rule in `segments.py`. Each segment
has its own power-of-two unit: result = fp32(y) * 2^exponent, rounded once to nearest even at 24
bits with the exponent unbounded, then flushed or overflowed.
In: a Python function (at compile time) or an image. Out: tables, their values, their images.

Image, little endian, 16-byte rows (what the chip loads):
    row 0      : lo_fixed i32 | in_shift i8, t_bits u8, log2(segments) u8, 0 | below f32 | above f32
    row 1 + i  : c0 i32 | c1 i32 | c2 i32 | exponent i32        of segment i
A `Lut8` image is 256 bytes: byte p is the result for the input whose two's complement byte is p.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jiriki.numerics.errors import NumericsError
from jiriki.numerics.formats import Format
from jiriki.numerics.fp32 import CANONICAL_NAN, F32, blockwise, clean, round_block
from jiriki.numerics.requant import quantise
from jiriki.numerics.segments import DIGITS, evaluate_segments, quadratic_through

ROW_BYTES = 16
MAX_SEGMENTS = 256
DEFAULT_T_BITS = 20
LUT8_BYTES = 256

_HEADER = struct.Struct("<ibBBxff")
_INT32_MIN, _INT32_MAX = int(Format.INT32.min), int(Format.INT32.max)


@dataclass(frozen=True, eq=False)
class SegmentTable:
    """A TBL table. Equal tables have equal images.

    coefficients: [segments, 3] int64 with int32 values. exponents: [segments] int64.
    """

    lo_fixed: int
    in_shift: int
    t_bits: int
    below: np.float32
    above: np.float32
    coefficients: NDArray[np.int64] = field(repr=False)
    exponents: NDArray[np.int64] = field(repr=False)

    def __post_init__(self) -> None:
        _check_table(self)
        for array in (self.coefficients, self.exponents):
            array.flags.writeable = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SegmentTable) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    @property
    def segments(self) -> int:
        """Return the number of segments."""
        return len(self.exponents)

    @property
    def lo(self) -> float:
        """Return the left end of the interval."""
        return math.ldexp(self.lo_fixed, -self.in_shift)

    @property
    def hi(self) -> float:
        """Return the right end of the interval (not inside it)."""
        return math.ldexp(self.lo_fixed + (self.segments << self.t_bits), -self.in_shift)

    def __call__(self, x: ArrayLike) -> F32:
        """Evaluate on fp32 [...]; NaN gives the canonical NaN."""
        return blockwise(self._block, np.float32, x)

    def _block(self, x: F32) -> F32:
        scaled = x * np.float32(2.0**self.in_shift)  # exact, or saturates to int32, or rounds to 0
        d = round_block(scaled, Format.INT32).astype(np.int64) - self.lo_fixed
        last = (self.segments << self.t_bits) - 1
        inside = np.clip(d, 0, last)
        index = inside >> self.t_bits
        t = inside & ((1 << self.t_bits) - 1)
        y = evaluate_segments(self.coefficients, index, t, self.t_bits)
        out = _round_scaled(y, self.exponents.take(index))
        out = np.where(d < 0, self.below, np.where(d > last, self.above, out))
        return np.where(np.isnan(x), CANONICAL_NAN, out)

    def to_bytes(self) -> bytes:
        """Return the image: 16 * (1 + segments) bytes, layout in the module's docstring."""
        log2_segments = self.segments.bit_length() - 1
        head = _HEADER.pack(
            self.lo_fixed, self.in_shift, self.t_bits, log2_segments, self.below, self.above
        )
        rows = np.column_stack((self.coefficients, self.exponents))
        return head + rows.astype("<i4").tobytes()

    @classmethod
    def from_bytes(cls, image: bytes) -> SegmentTable:
        """Read an image back. Raises NumericsError when its size or a field breaks the layout."""
        if len(image) < ROW_BYTES:
            raise NumericsError(f"table image of {len(image)} bytes has no {ROW_BYTES}-byte header")
        lo_fixed, in_shift, t_bits, log2_segments, below, above = _HEADER.unpack_from(image)
        expected = ROW_BYTES * (1 + (1 << log2_segments)) if log2_segments <= 8 else -1
        if len(image) != expected:
            raise NumericsError(
                f"table image of {len(image)} bytes does not hold 2^{log2_segments} segments of "
                f"{ROW_BYTES} bytes after its header; load it whole (at most 2^8 segments)"
            )
        rows = np.frombuffer(image, dtype="<i4", offset=ROW_BYTES).reshape(-1, 4).astype(np.int64)
        ends = clean(np.array([below, above], dtype=np.float32))
        return cls(
            lo_fixed, in_shift, t_bits, ends[0], ends[1], rows[:, :3].copy(), rows[:, 3].copy()
        )

    @classmethod
    def fit(
        cls,
        function: Callable[[float], float],
        lo: float,
        hi: float,
        segments: int = MAX_SEGMENTS,
        below: float | None = None,
        above: float | None = None,
    ) -> SegmentTable:
        """Fit `function` on [lo, hi) with one quadratic per segment (Chebyshev nodes).

        segments: a power of two up to 256, with (hi - lo) / segments a power of two and lo a
        multiple of (hi - lo) / segments / 2^20. below and above are the results outside; they
        default to function(lo) and function(hi): give a known asymptote (0.0, 1.0) exactly.
        Error, with w the segment width and f1, f3 the largest first and third derivative in it:
        f3 w^3 / 192 (quadratic) + f1 w / 2^21 (argument) + 4 * 2^exponent + half an fp32 ulp.
        Raises NumericsError when the interval breaks a rule or the function is not finite on it.
        """
        lo_fixed, in_shift = _interval(lo, hi, segments)
        step = (hi - lo) / segments
        fitted = [_fit_segment(function, lo + step * i, step) for i in range(segments)]
        ends = (function(lo) if below is None else below, function(hi) if above is None else above)
        if any(math.isnan(end) for end in ends):
            raise NumericsError(f"table ends {ends} must be numbers; pass below= and above=")
        with np.errstate(over="ignore"):
            below32, above32 = clean(np.array(ends).astype(np.float32))
        coefficients = np.array([row for row, _ in fitted], dtype=np.int64)
        exponents = np.array([exponent for _, exponent in fitted], dtype=np.int64)
        return cls(lo_fixed, in_shift, DEFAULT_T_BITS, below32, above32, coefficients, exponents)


@dataclass(frozen=True)
class Lut8:
    """A table from int8 to int8; `image` is its 256 bytes."""

    image: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.image) != LUT8_BYTES:
            raise NumericsError(f"Lut8.image has {len(self.image)} bytes, not {LUT8_BYTES}")

    def __call__(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """Look up int8 [...]."""
        array = np.asarray(x)
        if array.dtype != np.int8:
            raise NumericsError(f"Lut8 argument is {array.dtype}, not int8")
        return np.frombuffer(self.image, dtype=np.int8).take(array.view(np.uint8))

    def to_bytes(self) -> bytes:
        """Return the 256-byte image."""
        return self.image

    @classmethod
    def from_bytes(cls, image: bytes) -> Lut8:
        """Read an image back."""
        return cls(bytes(image))

    @classmethod
    def from_values(cls, values: NDArray[np.int8]) -> Lut8:
        """Build from the 256 results for inputs -128, -127, … 127."""
        array = np.asarray(values)
        if array.dtype != np.int8 or array.shape != (LUT8_BYTES,):
            raise NumericsError(f"Lut8 values are {array.dtype} {array.shape}, not int8 (256,)")
        return cls(np.roll(array, -128).tobytes())

    @classmethod
    def fit(
        cls,
        function: Callable[[F32], ArrayLike],
        in_scale: float,
        in_zero_point: int,
        out_scale: float,
        out_zero_point: int,
    ) -> Lut8:
        """Build the table of dequantise -> function -> quantise, all in fp32.

        function takes and returns float32 [256]. The form is ONNX's: x = (q - zero_point) * scale
        and rne(y / scale) + zero_point, clamped to int8. Raises NumericsError for a bad scale.
        """
        for name, scale in (("in_scale", in_scale), ("out_scale", out_scale)):
            if not 0 < scale < math.inf:
                raise NumericsError(f"Lut8.{name} = {scale} must be positive and finite")
        codes = np.arange(-128, 128, dtype=np.float32)
        x = (codes - np.float32(in_zero_point)) * np.float32(in_scale)
        with np.errstate(all="ignore"):
            y = np.asarray(function(x)).astype(np.float32) / np.float32(out_scale)
        return cls.from_values(quantise(y, out_zero_point))


def _check_table(table: SegmentTable) -> None:
    count = len(table.exponents)
    total_bits = table.t_bits + count.bit_length() - 1
    integers = (table.coefficients, table.exponents)
    if not 1 <= count <= MAX_SEGMENTS or count & (count - 1):
        raise NumericsError(f"SegmentTable.segments = {count} must be a power of two up to 256")
    if table.coefficients.shape != (count, 3):
        shape = table.coefficients.shape
        raise NumericsError(f"SegmentTable.coefficients has shape {shape}, not ({count}, 3)")
    if not 1 <= table.t_bits <= 24 or not -128 <= table.in_shift <= 127:
        raise NumericsError(
            f"SegmentTable t_bits = {table.t_bits}, in_shift = {table.in_shift} must be in 1..24 "
            "and -128..127"
        )
    last = table.lo_fixed + (1 << total_bits) - 1
    if table.lo_fixed <= _INT32_MIN or last >= _INT32_MAX:
        raise NumericsError(
            f"SegmentTable covers fixed-point {table.lo_fixed}..{last}, beyond int32 (whose two "
            "end values must stay outside, as saturation lands there); narrow or move the interval"
        )
    if any(a.min() < _INT32_MIN or a.max() > _INT32_MAX for a in integers):
        raise NumericsError("SegmentTable coefficients and exponents must fit int32; refit it")


def _interval(lo: float, hi: float, segments: int) -> tuple[int, int]:
    """Return (lo_fixed, in_shift) of a valid interval."""
    if not 1 <= segments <= MAX_SEGMENTS or segments & (segments - 1):
        raise NumericsError(f"fit.segments = {segments} must be a power of two up to 256")
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < hi):
        raise NumericsError(f"fit interval [{lo}, {hi}) must be finite and not empty")
    mantissa, exponent = math.frexp((hi - lo) / segments)
    if mantissa != 0.5:
        raise NumericsError(
            f"fit interval [{lo}, {hi}) / {segments} segments = {(hi - lo) / segments} must be a "
            "power of two; widen the interval"
        )
    in_shift = DEFAULT_T_BITS - (exponent - 1)
    lo_fixed = math.ldexp(lo, in_shift)
    if not lo_fixed.is_integer():
        raise NumericsError(f"fit.lo = {lo} must be a multiple of 2^{-in_shift}")
    return int(lo_fixed), in_shift


def _fit_segment(
    function: Callable[[float], float], left: float, width: float
) -> tuple[tuple[int, int, int], int]:
    """Return integer coefficients and the exponent of their unit for one segment."""
    half_root3 = math.sqrt(3.0) / 2
    nodes = ((1 - half_root3) / 2, 0.5, (1 + half_root3) / 2)
    values = [float(function(left + width * u)) for u in nodes]
    if not all(map(math.isfinite, values)):
        raise NumericsError(
            f"function is {values} on the segment [{left}, {left + width}); a table needs finite "
            "values, so choose an interval without the pole"
        )
    with localcontext() as context:
        context.prec = DIGITS
        exact = quadratic_through([Decimal(u) for u in nodes], [Decimal(v) for v in values])
        exponent = math.frexp(float(max(abs(c) for c in exact)))[1] - 30
        unit = Decimal(2) ** exponent
        c0, c1, c2 = (int((c / unit).to_integral_value()) for c in exact)
    return (c0, c1, c2), exponent


def _round_scaled(y: NDArray[np.int64], exponent: NDArray[np.int64]) -> F32:
    """Round y * 2^exponent to fp32: once, at 24 bits; then flush or overflow. y = 0 gives +0."""
    rounded = y.astype(np.float32)
    bits = rounded.view(np.int32).astype(np.int64)
    sign = (bits >> 31) & 1
    biased = ((bits >> 23) & 0xFF) + exponent
    out = (bits & 0x7FFFFF) | (biased << 23)
    out = np.where((biased < 1) | (y == 0), 0, np.where(biased > 254, 0x7F800000, out))
    return (out | (sign << 31)).astype(np.uint32).view(np.float32)
