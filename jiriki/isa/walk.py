"""Walks: the element groups a window register visits, as index arrays.

In: a window, output pixels, groups and a tap. Out: offsets in element groups from the stream's
base, per (group, pixel), and which of them fall outside. Arrays are built once per shape and kept
(up to a byte budget), because a layer repeats the same few walks thousands of times.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jiriki.isa.words import Window

CACHE_BYTES = 256 << 20


@dataclass(frozen=True, eq=False, slots=True)
class Walk:
    """Offsets of one walk; an outside element has offset 0 and its flat position in `outside`."""

    offsets: NDArray[np.int64]  # [groups, pixels] of a stream, [pixels, steps] of CONV
    outside: NDArray[np.int64] | None
    inside: NDArray[np.int64] | None  # flat positions of the others, when some are outside
    last: int  # greatest offset read, -1 when everything is outside
    start: int | None  # the walk of every group is this + 0, 1, 2, ... (and g * plane)

    @property
    def nbytes(self) -> int:
        extra = [a.nbytes for a in (self.outside, self.inside) if a is not None]
        return self.offsets.nbytes + sum(extra)


class _Cache:
    """Walks by key, emptied when they pass the budget."""

    def __init__(self) -> None:
        self.walks: dict[tuple[Any, ...], Walk] = {}
        self.held = 0

    def get(self, key: tuple[Any, ...], build: Callable[[], Walk]) -> Walk:
        walk = self.walks.get(key)
        if walk is None:
            walk = build()
            if self.held + walk.nbytes > CACHE_BYTES:
                self.walks.clear()
                self.held = 0
            self.walks[key] = walk
            self.held += walk.nbytes
        return walk


_CACHE = _Cache()


def stream_walk(window: Window, p: int, groups: int, ky: int = 0, kx: int = 0) -> Walk:
    """Return the walk of a VX stream at one tap: offsets [groups, p]."""
    return _CACHE.get((window, p, groups, ky, kx), lambda: _stream_walk(window, p, groups, ky, kx))


def conv_walk(window: Window, p: int, groups: int) -> Walk:
    """Return the walk of CONV: offsets [p, kh * kw * groups], steps as (ky, kx, group)."""
    return _CACHE.get((window, p, groups), lambda: _conv_walk(window, p, groups))


def pixel_offsets(
    window: Window, p: int, ky: NDArray[np.int64], kx: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return offsets within a group and insideness, [p, taps], for taps (ky, kx)."""
    pixel = np.arange(p, dtype=np.int64)
    iy = (pixel // window.ow * window.sy)[:, None] + (ky * window.dy - window.py)
    ix = (pixel % window.ow * window.sx)[:, None] + (kx * window.dx - window.px)
    inside = (iy >= 0) & (iy < window.h) & (ix >= 0) & (ix < window.w)
    return np.where(inside, iy * window.pitch + ix, 0), inside


def _stream_walk(window: Window, p: int, groups: int, ky: int, kx: int) -> Walk:
    offset, inside = pixel_offsets(window, p, np.array([ky]), np.array([kx]))
    offset, inside = offset[:, 0], inside[:, 0]
    plane = np.arange(groups, dtype=np.int64)[:, None] * window.plane
    offsets = plane + offset
    in_order = bool(inside.all()) and bool((np.diff(offset) == 1).all())
    everywhere = np.broadcast_to(inside, offsets.shape)
    return _walk(offsets, everywhere, int(offset[0]) if in_order else None)


def _conv_walk(window: Window, p: int, groups: int) -> Walk:
    ky, kx = np.divmod(np.arange(window.taps, dtype=np.int64), window.kw)
    offset, inside = pixel_offsets(window, p, ky, kx)
    plane = np.arange(groups, dtype=np.int64) * window.plane
    offsets = (offset[:, :, None] + plane).reshape(p, -1)
    everywhere = np.broadcast_to(inside[:, :, None], (p, window.taps, groups))
    return _walk(offsets, everywhere.reshape(p, -1), None)


def _walk(offsets: NDArray[np.int64], inside: NDArray[np.bool_], start: int | None) -> Walk:
    if inside.all():
        return Walk(offsets, None, None, int(offsets.max()), start)
    within = np.flatnonzero(inside)
    last = int(offsets.reshape(-1)[within].max()) if within.size else -1
    offsets[~inside] = 0
    return Walk(offsets, np.flatnonzero(~inside), within, last, None)


def repeat_lanes(values: NDArray, p: int) -> NDArray:
    """Repeat [groups, ku] over p pixels: [groups, p * ku], by doubling copies."""
    groups, ku = values.shape
    out = np.empty((groups, p * ku), values.dtype)
    out[:, :ku] = values
    done, size = ku, p * ku
    while done < size:
        step = min(done, size - done)
        out[:, done : done + step] = out[:, :step]
        done += step
    return out
