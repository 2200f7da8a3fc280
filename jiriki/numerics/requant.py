"""Quantising: from accumulators and fp32 values to small integers.

Concept: `clamp(rne(v) + zero_point, lo, hi)`, the form of ONNX QuantizeLinear, where `rne(v)` is
the saturating fp32 -> int32 conversion (NaN -> 0) and the addition saturates, never wraps.
In: int32 accumulators with fp32 scales, or fp32 values. Out: integers of a narrow format.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jiriki.numerics.errors import NumericsError
from jiriki.numerics.formats import Format
from jiriki.numerics.fp32 import as_fp32

_BLOCK_ELEMENTS = 1 << 16


def quantise(
    values: ArrayLike,
    zero_point: int = 0,
    lo: int | None = None,
    hi: int | None = None,
    target: Format = Format.INT8,
) -> NDArray[Any]:
    """Return `clamp(rne(values) + zero_point, lo, hi)` as `target.dtype`.

    values: fp32, any shape. lo and hi default to the limits of `target` (int4, int8 or int16).
    Raises NumericsError when lo, hi or zero_point do not fit the target.
    """
    lo, hi = _check_limits(zero_point, lo, hi, target)
    array = as_fp32(values)
    out = np.empty(array.shape, dtype=target.dtype)
    flat, flat_out = array.reshape(-1), out.reshape(-1)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, _BLOCK_ELEMENTS):
            stop = start + _BLOCK_ELEMENTS
            flat_out[start:stop] = _clamp(flat[start:stop].copy(), zero_point, lo, hi)
    return out


def requantise(
    acc: NDArray[np.int32],
    scale: ArrayLike,
    zero_point: int = 0,
    lo: int | None = None,
    hi: int | None = None,
    target: Format = Format.INT8,
) -> NDArray[Any]:
    """Return `clamp(rne(f32(acc) * scale) + zero_point, lo, hi)` as `target.dtype`.

    acc: int32 [..., n]. scale: fp32, one number or anything that broadcasts to acc's shape
    (per output channel: [n]). The product is an fp32 multiplication: flushing subnormals cannot
    show, because |product| < 2^-126, and |acc * subnormal scale| < 2^-95, round to 0 either way.
    Raises NumericsError when acc is not int32, scale does not broadcast or a limit does not fit.
    """
    lo, hi = _check_limits(zero_point, lo, hi, target)
    acc, factors = np.asarray(acc), as_fp32(scale)
    if acc.dtype != np.int32:
        raise NumericsError(f"requantise.acc is {acc.dtype}, not int32; accumulate in int32")
    try:
        factors = np.broadcast_to(factors, acc.shape)
    except ValueError as error:
        raise NumericsError(
            f"requantise.scale of shape {factors.shape} does not broadcast to the accumulator's "
            f"{acc.shape}; pass one scale, or one per output channel on the last axis"
        ) from error
    out = np.empty(acc.shape, dtype=target.dtype)
    rows = acc.reshape(-1, acc.shape[-1]) if acc.ndim > 1 else acc.reshape(1, -1)
    with np.errstate(all="ignore"):
        _requantise_rows(rows, factors, out, (zero_point, lo, hi))
    return out


def _requantise_rows(
    rows: NDArray[np.int32],
    factors: NDArray[np.float32],
    out: NDArray[Any],
    limits: tuple[int, int, int],
) -> None:
    """Requantise [r, n] accumulators block by block into `out` (same element order)."""
    count, width = rows.shape
    if rows.size == 0:
        return
    flat_out = out.reshape(count, width)
    one_row = all(stride == 0 for stride in factors.strides[:-1])
    if one_row and factors.ndim > 1:  # the same [n] for every row
        factors = np.broadcast_to(factors[(0,) * (factors.ndim - 1)], (count, width))
    else:
        factors = factors.reshape(count, width)
    step = max(1, _BLOCK_ELEMENTS // width)
    for start in range(0, count, step):
        block = rows[start : start + step].astype(np.float32)
        block *= factors[start : start + step]
        flat_out[start : start + step] = _clamp(block, *limits)


def _check_limits(
    zero_point: int, lo: int | None, hi: int | None, target: Format
) -> tuple[int, int]:
    if target not in (Format.INT4, Format.INT8, Format.INT16):
        raise NumericsError(f"quantise.target = {target.value}; use int4, int8 or int16")
    lo = int(target.min) if lo is None else int(lo)
    hi = int(target.max) if hi is None else int(hi)
    if not target.min <= lo <= hi <= target.max:
        raise NumericsError(
            f"quantise clamp [{lo}, {hi}] must be ordered and inside {target.value} "
            f"[{target.min}, {target.max}]"
        )
    if not target.min <= zero_point <= target.max:
        raise NumericsError(f"quantise.zero_point = {zero_point} is outside {target.value}")
    return lo, hi


def _clamp(values: NDArray[np.float32], zero_point: int, lo: int, hi: int) -> NDArray[Any]:
    """Quantise a block that may be overwritten.

    Clamping to [lo - zero_point, hi - zero_point] before adding equals saturating to int32,
    adding and clamping: both bounds are integers below 2^24 and rounding is monotonic.
    """
    np.rint(values, out=values)
    np.clip(values, np.float32(lo - zero_point), np.float32(hi - zero_point), out=values)
    if values.size and np.isnan(values.min()):
        # a NaN counts as 0 before the zero point is added, and is clamped like any 0
        stand_in = np.float32(min(max(zero_point, lo), hi) - zero_point)
        values[np.isnan(values)] = stand_in
    values += np.float32(zero_point)
    return values
