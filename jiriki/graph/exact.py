"""Exact arithmetic that the references share.

In: integer arrays. Out: int32 accumulators and requantised values; every float32 operation is
that of `jiriki.numerics`.
"""

from __future__ import annotations

import numpy as np

from jiriki import numerics
from jiriki.graph.op import Attrs, integer, text

F32_EXACT = 2**24  # float32 holds every integer up to here


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


def requantise(acc: np.ndarray, multiplier: np.ndarray, attrs: Attrs) -> np.ndarray:
    """Apply the epilogue `out` of conv and matmul to an int32 accumulator."""
    out = text(attrs, "out")
    if out == "i32":
        return acc
    if out == "f32":
        return numerics.mul(numerics.int_to_fp32(acc), multiplier)
    zero_point, lo, hi = (integer(attrs, key) for key in ("out_zp", "lo", "hi"))
    return numerics.requantise(acc, multiplier, zero_point, lo, hi)
