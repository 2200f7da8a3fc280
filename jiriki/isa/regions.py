"""Regions: the places that an operation reads and writes, as strided runs of units.

Out: `Region`, `Effects`, the exact test whether two regions share a unit, and the bytes that a
window visits. Each unit's `effects.py` says which regions its operations touch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise
from math import gcd

import numpy as np
from numpy.typing import NDArray

from jiriki.isa.words import Window

TABLE_SLOTS = 16  # of each kind, as numbered in Space.TABLE


class Space(IntEnum):
    """A memory of the tile; its unit of address."""

    DRAM = 0  # bytes
    SP = 1  # bytes
    ACC = 2  # rows
    WEIGHTS = 3  # lines
    TABLE = 4  # slots: 0..15 LUT8, 16..31 SEGMENT


@dataclass(frozen=True, slots=True)
class Region:
    """`run` units at base + sum(i_d * stride_d), i_d < count_d; normal form of `region`."""

    space: Space
    base: int
    run: int
    dims: tuple[tuple[int, int], ...] = ()  # (stride, count), greatest stride first

    @property
    def end(self) -> int:
        """Return the first unit beyond the bounding interval."""
        return self.base + sum(stride * (count - 1) for stride, count in self.dims) + self.run


@dataclass(frozen=True, slots=True)
class Effects:
    """Regions an operation reads and writes."""

    reads: tuple[Region, ...]
    writes: tuple[Region, ...]


def region(space: Space, base: int, run: int, dims: Iterable[tuple[int, int]]) -> Region:
    """Return the normal form: positive strides, adjacent runs merged, greatest stride first."""
    remaining = []
    for stride, count in dims:
        if stride < 0:
            base, stride = base + stride * (count - 1), -stride
        if count > 1 and stride:
            remaining.append((stride, count))
    remaining.sort()
    while remaining and remaining[0][0] <= run:
        stride, count = remaining.pop(0)
        run += stride * (count - 1)
    return Region(space, base, run, tuple(reversed(remaining)))


def overlap(a: Region, b: Region) -> bool:
    """Tell whether two regions share a unit, exactly."""
    if a.space is not b.space or a.end <= b.base or b.end <= a.base:
        return False
    if not a.dims and not b.dims:
        return True
    return _overlap(b.base - a.base, a.run, a.dims, b.run, b.dims)


@lru_cache(maxsize=1 << 14)
def _overlap(
    shift: int,
    run_a: int,
    dims_a: tuple[tuple[int, int], ...],
    run_b: int,
    dims_b: tuple[tuple[int, int], ...],
) -> bool:
    a, b = _starts(dims_a), _starts(dims_b) + shift
    nearest = np.searchsorted(a, b + run_b) - 1  # the last run of a that starts before b's end
    return bool(((nearest >= 0) & (a[np.maximum(nearest, 0)] + run_a > b)).any())


@lru_cache(maxsize=1 << 12)
def _starts(dims: tuple[tuple[int, int], ...]) -> NDArray[np.int64]:
    starts = np.zeros(1, np.int64)
    for stride, count in dims:
        starts = (starts[:, None] + np.arange(count, dtype=np.int64) * stride).reshape(-1)
    return np.sort(starts)


def window_regions(
    byte: int, item: int, window: Window, p: int, groups: int, *, taps: bool
) -> tuple[Region, ...]:
    """Return the bytes of the inside element groups of `item` bytes that a window visits."""
    return tuple(
        Region(r.space, r.base + byte, r.run, r.dims)
        for r in _window_regions(item, window, p, groups, taps)
    )


@lru_cache(maxsize=1 << 12)
def _window_regions(
    item: int, window: Window, p: int, groups: int, taps: bool
) -> tuple[Region, ...]:
    kh, kw = (window.kh, window.kw) if taps else (1, 1)
    full, rest = divmod(p, window.ow)
    parts = [(0, full, window.ow)] if full else []
    parts += [(full, full + 1, rest)] if rest else []
    out = []
    for first, last, columns in parts:
        rows = _visited(range(first, last), window.sy, kh, window.dy, window.py, window.h)
        across = _visited(range(columns), window.sx, kw, window.dx, window.px, window.w)
        if rows is None or across is None:
            continue
        base = (rows[0] * window.pitch + across[0]) * item
        dims = [
            (window.plane * item, groups),
            (rows[1] * window.pitch * item, rows[2]),
            (across[1] * item, across[2]),
        ]
        out.append(region(Space.SP, base, item, dims))
    return tuple(out)


def _visited(
    outputs: range, step: int, kernel: int, dilation: int, padding: int, size: int
) -> tuple[int, int, int] | None:
    """Return (first, stride, count) that covers the input positions inside 0..size - 1."""
    inside = {
        i
        for o in outputs
        for k in range(kernel)
        if 0 <= (i := o * step + k * dilation - padding) < size
    }
    if not inside:
        return None
    ordered = sorted(inside)
    stride = gcd(*(b - a for a, b in pairwise(ordered))) or 1
    return ordered[0], stride, (ordered[-1] - ordered[0]) // stride + 1
