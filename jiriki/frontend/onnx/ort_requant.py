"""Parameters for qadd and qmul that give ONNX Runtime's result on every pair of int8 values.

In: the scales and zero points of a QLinearAdd or QLinearMul. Out: attributes of our operation,
and on how many of the 65,536 input pairs it would differ from ONNX Runtime (0 nearly always).
ONNX Runtime's x86-64 QLinearAdd fuses multiply and add (`fma(a, ra, fma(b, rb, fixed))`), which
the chip does not; near a rounding tie the two may part. So the constants are searched in steps of
one ulp around the plain choice until all pairs agree: agreement is proven by exhaustion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np

f32 = np.float32
F64 = np.float64
LEVELS = np.arange(-128, 128)
NEAR_TIE = 1e-3  # output steps; the nudges move a value by less


@dataclass(frozen=True)
class QParam:
    """Scale and zero point of one tensor, the zero point shifted to int8."""

    scale: float
    zero_point: int
    shift: int  # 128 when the model's type is uint8, else 0

    @property
    def raw_zero_point(self) -> int:
        """The zero point in the model's own type."""
        return self.zero_point + self.shift


@dataclass(frozen=True)
class AddMatch:
    """Attributes of a qadd; `differing` counts the pairs that differ from ONNX Runtime."""

    ra: float
    rb: float
    fixed: float
    differing: int
    swapped: bool = False  # the operands change places: b is the qadd's first


@dataclass(frozen=True)
class MulMatch:
    """The scale of a qmul; `differing` counts the pairs that differ from ONNX Runtime."""

    scale: float
    differing: int


def _round8(value: np.ndarray, shift: int = 0) -> np.ndarray:
    return np.clip(np.rint(value) - shift, -128, 127).astype(np.int8)


def _fma(a: np.ndarray, b: np.floating, c: np.ndarray) -> np.ndarray:
    """float32 fused multiply-add; exact in float64 for 8-bit a."""
    return (a.astype(F64) * F64(b) + c.astype(F64)).astype(f32)


def onnxruntime_add(a: QParam, b: QParam, c: QParam) -> np.ndarray:
    """Return ONNX Runtime's QLinearAdd of every pair, int8 [256 of a, 256 of b]."""
    ra, rb = f32(a.scale) / f32(c.scale), f32(b.scale) / f32(c.scale)
    za, zb, zc = (f32(p.raw_zero_point) for p in (a, b, c))
    both = _fma(np.asarray(za), ra, np.asarray(rb * zb))
    fixed = np.asarray(zc - both, f32)
    left = (LEVELS + a.shift).astype(f32)[:, None]
    right = (LEVELS + b.shift).astype(f32)[None, :]
    return _round8(_fma(left, ra, _fma(right, rb, fixed)), c.shift)


def onnxruntime_mul(a: QParam, b: QParam, c: QParam) -> np.ndarray:
    """Return ONNX Runtime's QLinearMul of every pair, int8 [256 of a, 256 of b]."""
    ratio = f32(a.scale) * f32(b.scale) / f32(c.scale)
    pairs = np.multiply.outer(LEVELS - a.zero_point, LEVELS - b.zero_point)
    return _round8(pairs.astype(f32) * ratio + f32(c.raw_zero_point), c.shift)


def _nudges(value: np.floating, reach: int) -> list[np.floating]:
    """Return the value, then its neighbours 1, -1, 2, -2, ... ulps away."""
    out, up, down = [value], value, value
    for _ in range(reach):
        up, down = np.nextafter(up, f32(np.inf)), np.nextafter(down, f32(-np.inf))
        out += [up, down]
    return out


def _add_candidates(
    ra: np.floating, rb: np.floating, fixed: np.floating
) -> Iterator[tuple[np.floating, np.floating, np.floating]]:
    for nudged in _nudges(fixed, 8):
        yield ra, rb, nudged
    for a, b, nudged in product(_nudges(ra, 2), _nudges(rb, 2), _nudges(fixed, 48)):
        yield a, b, nudged


def _near_ties(value: np.ndarray) -> np.ndarray:
    """Return flat positions whose exact value is so near a half that nudging may decide."""
    return np.flatnonzero(np.abs(value - np.floor(value) - 0.5).reshape(-1) < NEAR_TIE)


@lru_cache(maxsize=512)
def match_add(a: QParam, b: QParam, c: QParam, reverse: bool) -> AddMatch:
    """Find qadd attributes. `reverse`: ONNX Runtime computes b + a (a is the broadcast scalar)."""
    target = onnxruntime_add(b, a, c).T if reverse else onnxruntime_add(a, b, c)
    return _search_add(a, b, c, 1, target)


@lru_cache(maxsize=512)
def match_float_add(a: QParam, b: QParam, c: QParam, sign: int) -> AddMatch:
    """Find qadd attributes for a float a + sign*b between DequantizeLinear and QuantizeLinear."""
    left = (LEVELS - a.zero_point).astype(f32) * f32(a.scale)
    right = (LEVELS - b.zero_point).astype(f32) * f32(b.scale)
    total = left[:, None] + f32(sign) * right[None, :]
    target = _round8(np.rint(total / f32(c.scale)) + c.zero_point)
    return _search_add(a, b, c, sign, target)


def _search_add(a: QParam, b: QParam, c: QParam, sign: int, target: np.ndarray) -> AddMatch:
    """Search the constants of (a*ra + fixed) + b*rb, then of (b*rb + fixed) + a*ra."""
    ra, rb = f32(a.scale) / f32(c.scale), f32(sign) * f32(b.scale) / f32(c.scale)
    exact = F64(c.zero_point) - (F64(ra) * a.zero_point + F64(rb) * b.zero_point)
    best = _search_order(ra, rb, f32(exact), target)
    if best.differing:
        other = _search_order(rb, ra, f32(exact), target.T)
        if other.differing < best.differing:
            best = replace(other, swapped=True)
    return best


def _search_order(
    ra: np.floating, rb: np.floating, fixed: np.floating, target: np.ndarray
) -> AddMatch:
    """Try the candidates on the pairs near a tie; count all pairs for the best of them."""
    left, right = LEVELS.astype(f32)[:, None], LEVELS.astype(f32)[None, :]
    near = _near_ties(left.astype(F64) * F64(ra) + right.astype(F64) * F64(rb) + F64(fixed))
    x, y = left[near // 256, 0], right[0, near % 256]
    wanted = target.reshape(-1)[near]
    best = (near.size + 1, ra, rb, fixed)
    for na, nb, nudged in _add_candidates(ra, rb, fixed):
        differing = int(np.count_nonzero(_round8((x * na + nudged) + y * nb) != wanted))
        if differing < best[0]:
            best = (differing, na, nb, nudged)
        if differing == 0:
            break
    _, na, nb, nudged = best
    differing = int(np.count_nonzero(_round8((left * na + nudged) + right * nb) != target))
    return AddMatch(float(na), float(nb), float(nudged), differing)


@lru_cache(maxsize=512)
def match_mul(a: QParam, b: QParam, c: QParam) -> MulMatch:
    """Find the scale of a qmul."""
    target = onnxruntime_mul(a, b, c)
    ratio = f32(a.scale) * f32(b.scale) / f32(c.scale)
    pairs = np.multiply.outer(LEVELS - a.zero_point, LEVELS - b.zero_point).astype(f32)
    near = _near_ties(pairs.astype(F64) * F64(ratio))
    products, wanted = pairs.reshape(-1)[near], target.reshape(-1)[near]
    best = (near.size + 1, ratio)
    for scale in _nudges(ratio, 200):
        ours = _round8(np.rint(products * scale) + f32(c.zero_point))
        differing = int(np.count_nonzero(ours != wanted))
        if differing < best[0]:
            best = (differing, scale)
        if differing == 0:
            break
    ours = _round8(np.rint(pairs * best[1]) + f32(c.zero_point))
    return MulMatch(float(best[1]), int(np.count_nonzero(ours != target)))
