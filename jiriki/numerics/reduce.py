"""Reductions in the vector unit's fixed order.

Concept: a row of n values enters as beats of `lanes` values. Each lane keeps one running result,
updated beat after beat; lanes beyond the end of the last beat keep theirs. Then a halving tree
joins the lanes: lane i takes lane i + lanes/2, then i + lanes/4, … down to lane 0.
A sum starts from +0.0 and a maximum from -infinity in every lane, so an empty row gives those.
In: fp32 [..., n]. Out: fp32 (or int32 indices) [...], the last axis reduced.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jiriki.numerics import fp32
from jiriki.numerics.errors import NumericsError

LANES = 16

_STEP_ELEMENTS = 1 << 14  # running sums worked on at once: a cache's worth
_ACCUMULATE_ELEMENTS = 1 << 18


def reduce_sum(x: NDArray[np.float32], lanes: int = LANES) -> NDArray[np.float32]:
    """Sum [..., n] fp32 over the last axis in beat order, then by the halving tree.

    Bit-exact to the chip for any leading shape. Raises NumericsError unless lanes is a power of 2.
    """
    beats = _to_beats(fp32.clean(x), lanes)
    running = np.zeros((beats.shape[0], lanes), dtype=np.float32)
    rows = max(1, _STEP_ELEMENTS // lanes)
    for start in range(0, beats.shape[0], rows):
        block = beats[start : start + rows]
        add_beats = _step if block.shape[0] * lanes >= _STEP_ELEMENTS // 8 else _accumulate
        running[start : start + rows] = add_beats(running[start : start + rows], block)
    while running.shape[1] > 1:  # the halving tree
        half = running.shape[1] // 2
        running = fp32.add(running[:, :half], running[:, half:])
    return running[:, 0].reshape(np.shape(x)[:-1])


def reduce_sum_of_squares(x: NDArray[np.float32], lanes: int = LANES) -> NDArray[np.float32]:
    """Sum x * x, each square rounded to fp32 first (no fused multiply-add), like reduce_sum."""
    return reduce_sum(fp32.mul(x, x), lanes)


def reduce_max(x: NDArray[np.float32], lanes: int = LANES) -> NDArray[np.float32]:
    """Return the maximum over the last axis; any NaN gives NaN, -0 is less than +0.

    The maximum is associative and commutative under these rules, so the order cannot show.
    """
    _check_lanes(lanes)
    cleaned = fp32.clean(x)
    if cleaned.ndim == 0:
        raise NumericsError("reduce_max.x has no axis to reduce; pass at least 1-D")
    bits = cleaned.view(np.int32)
    # An order-preserving map to int32: the canonical NaN lands above +infinity, -0 just below +0.
    keys = bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))
    lowest = np.int32(-0x7F800001)  # the key of -infinity
    best = keys.max(axis=-1, initial=lowest)
    return np.asarray(best ^ ((best >> np.int32(31)) & np.int32(0x7FFFFFFF))).view(np.float32)


def argmax(x: NDArray[np.float32], lanes: int = LANES) -> NDArray[np.int32]:
    """Return the index of the maximum over the last axis; the first of equals wins.

    A NaN beats every number and the first NaN wins; -0 equals +0. A lane replaces its candidate
    only by a strictly better one and the tree prefers the smaller index among equals, so the
    result is the first best index whatever the lanes. Raises NumericsError for an empty row.
    """
    _check_lanes(lanes)
    cleaned = fp32.clean(x)
    if cleaned.ndim == 0 or cleaned.shape[-1] == 0:
        raise NumericsError(f"argmax.x of shape {cleaned.shape} has no element to choose from")
    return np.asarray(np.argmax(cleaned, axis=-1)).astype(np.int32)


def _check_lanes(lanes: int) -> None:
    if lanes < 1 or lanes & (lanes - 1):
        raise NumericsError(f"lanes = {lanes} must be a power of two; the tree halves it")


def _to_beats(x: NDArray[np.float32], lanes: int) -> NDArray[np.float32]:
    """Reshape [..., n] to [rows, beats, lanes]; idle lanes of the last beat hold +0.

    Adding +0 leaves a running sum unchanged: it starts at +0, so it is never -0.
    """
    _check_lanes(lanes)
    if x.ndim == 0:
        raise NumericsError("reduction operand has no axis to reduce; pass at least 1-D")
    n = x.shape[-1]
    rows = int(np.prod(x.shape[:-1], dtype=np.int64))
    beats = -(-n // lanes)
    if n == beats * lanes:
        return x.reshape(rows, beats, lanes)
    padded = np.zeros((rows, beats * lanes), dtype=np.float32)
    padded[:, :n] = x.reshape(rows, n)
    return padded.reshape(rows, beats, lanes)


def _step(running: NDArray[np.float32], beats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add clean beats [rows, b, lanes] one after another to clean running [rows, lanes]."""
    with np.errstate(all="ignore"):
        for beat in range(beats.shape[1]):
            running = fp32.clean_block(running + beats[:, beat])
    return running


def _accumulate(running: NDArray[np.float32], beats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Do `_step` for few rows and many beats.

    `np.add.accumulate` is defined as that sequence. If none of its partial sums is subnormal,
    flushing was the identity at every step; otherwise the steps are redone one by one. A NaN
    cannot turn back into a number, so cleaning the last partial sum is enough for it.
    """
    size = max(1, _ACCUMULATE_ELEMENTS // max(1, running.size))
    for start in range(0, beats.shape[1], size):
        block = beats[:, start : start + size]
        chain = np.concatenate((running[:, None, :], block), axis=1)
        with np.errstate(all="ignore"):
            partial = np.add.accumulate(chain, axis=1, dtype=np.float32)
        if fp32.is_subnormal(partial).any():
            running = _step(running, block)
        else:
            running = fp32.clean(partial[:, -1])
    return running
