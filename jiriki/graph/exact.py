"""Exact arithmetic that the references share.

In: integer arrays. Out: int32 accumulators and requantised values, per the numerics contract:
float32 products and sums rounded one by one to nearest even, no FMA, subnormals flushed.
"""

from __future__ import annotations

import numpy as np

from jiriki.graph.op import Attrs, integer, text

F32_EXACT = 2**24  # float32 holds every integer up to here
TINY = np.finfo(np.float32).tiny


def flush(x: np.ndarray) -> np.ndarray:
    """Return float32 x with subnormals replaced by zero of the same sign."""
    x = np.asarray(x, np.float32)
    return np.where(np.abs(x) < TINY, np.copysign(np.float32(0), x), x)


def exact_matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a @ b as int32, exactly, for int16 a [..., m, k] and b [..., k, n].

    BLAS is exact here because no partial sum can leave the integers that the format holds: the
    bound k * max|a| * max|b| is below 2^24 for float32, and (int16 inputs) 2^53 for float64.
    """
    if 0 in a.shape or 0 in b.shape:
        return np.matmul(a.astype(np.int32), b.astype(np.int32))
    column = np.abs(b.astype(np.int64)).sum(axis=-2).max()
    bound = int(column) * int(np.abs(a).max())
    work = np.float32 if bound < F32_EXACT else np.float64
    return np.matmul(a.astype(work), b.astype(work)).astype(np.int32)


def round_clamp(value: np.ndarray, zero_point: int, lo: int, hi: int) -> np.ndarray:
    """Return clamp(rne(value) + zero_point, lo, hi) as int8; NaN becomes 0 before the sum."""
    rounded = np.nan_to_num(np.rint(value.astype(np.float64)), nan=0.0, posinf=2e9, neginf=-2e9)
    return np.clip(rounded + zero_point, lo, hi).astype(np.int8)


def requantise(acc: np.ndarray, multiplier: np.ndarray, attrs: Attrs) -> np.ndarray:
    """Apply the epilogue `out` of conv and matmul to an int32 accumulator."""
    out = text(attrs, "out")
    if out == "i32":
        return acc.astype(np.int32)
    scaled = flush(acc.astype(np.float32) * flush(multiplier))
    if out == "f32":
        return scaled
    zero_point = integer(attrs, "out_zp")
    return round_clamp(scaled, zero_point, integer(attrs, "lo"), integer(attrs, "hi"))
