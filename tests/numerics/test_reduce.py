"""Reductions against a lane-by-lane walk over exact fractions."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from jiriki.numerics import (
    NumericsError,
    argmax,
    reduce_max,
    reduce_sum,
    reduce_sum_of_squares,
)

NAN_BITS = 0x7FC00000


def _walk(row: list[int], lanes: int, exact: ModuleType) -> int:
    """Sum fp32 bit patterns as the hardware does, one lane and one beat at a time."""
    running = [0] * lanes
    for position, bits in enumerate(row):
        running[position % lanes] = exact.add(running[position % lanes], bits)
    while len(running) > 1:
        half = len(running) // 2
        running = [exact.add(running[i], running[i + half]) for i in range(half)]
    return running[0]


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100])
def test_sum_follows_beats_then_halves(
    lanes: int, n: int, exact: ModuleType, rng: np.random.Generator
) -> None:
    x = (rng.standard_normal((3, n)) * 2.0 ** rng.integers(-20, 20, (3, n))).astype(np.float32)
    want = [_walk(row, lanes, exact) for row in x.view(np.uint32).tolist()]
    assert reduce_sum(x, lanes).view(np.uint32).tolist() == want


def test_sum_of_corner_values_flushes_at_every_step(
    exact: ModuleType, corner_bits: NDArray[np.uint32], rng: np.random.Generator
) -> None:
    finite = corner_bits[(corner_bits & 0x7FFFFFFF) < 0x7F000000]
    small = rng.integers(0x00800000, 0x01400000, 200, dtype=np.uint32)  # cancel to subnormals
    small |= rng.integers(0, 2, 200, dtype=np.uint32) << np.uint32(31)
    for pool in (finite, corner_bits, small):
        x = rng.choice(pool, (40, 70))
        want = [_walk(row, 16, exact) for row in x.tolist()]
        assert reduce_sum(x.view(np.float32)).view(np.uint32).tolist() == want


def test_sum_order_differs_from_a_plain_sum_where_it_should() -> None:
    x = np.zeros(33, dtype=np.float32)
    x[[0, 16, 32]] = 2.0**24, 1, 1  # one lane: each 1 is lost
    x[[1]] = 1
    assert reduce_sum(x) == 2.0**24
    assert reduce_sum(x[[16, 32, 1, 0]]) == 2.0**24 + 2  # (1 + 1) + (1 + 2^24), lanes 4..15 idle


def test_long_rows_equal_a_beat_by_beat_numpy_loop(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 100_000)).astype(np.float32)
    running = np.zeros((2, 16), dtype=np.float32)
    for beat in range(0, x.shape[1], 16):
        running += x[:, beat : beat + 16]
    for half in (8, 4, 2, 1):
        running = running[:, :half] + running[:, half : 2 * half]
    assert np.array_equal(reduce_sum(x), running[:, 0])


def test_sum_of_squares_rounds_each_square(exact: ModuleType, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 50)).astype(np.float32)
    squares = [[exact.mul(b, b) for b in row] for row in x.view(np.uint32).tolist()]
    want = [_walk(row, 16, exact) for row in squares]
    assert reduce_sum_of_squares(x).view(np.uint32).tolist() == want


def test_max_orders_zeros_and_passes_nan_on() -> None:
    rows = np.array(
        [[-3, -0.0, 0.0], [-0.0, -0.0, -1], [np.nan, np.inf, 1], [-np.inf, -np.inf, -np.inf],
         [1e-40, -0.0, -1]],
        dtype=np.float32,
    )  # fmt: skip
    want = [0, 0x80000000, NAN_BITS, 0xFF800000, 0]
    assert reduce_max(rows).view(np.uint32).tolist() == want
    assert reduce_max(rows[:, :0]).tolist() == [-np.inf] * 5


def test_max_equals_numpy_on_ordinary_rows(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 5, 77)).astype(np.float32)
    assert np.array_equal(reduce_max(x), x.max(axis=-1))


def _argmax_walk(row: list[float], lanes: int) -> int:
    """Follow the hardware's rule: strictly better replaces; the tree keeps the lower index."""

    def better(a: float, b: float) -> bool:
        return a > b or (a != a and b == b)

    best = [(-np.inf, lane) for lane in range(lanes)]
    for i, value in enumerate(row):
        if better(value, best[i % lanes][0]):
            best[i % lanes] = (value, i)
    while len(best) > 1:
        half = len(best) // 2
        for i in range(half):
            low, high = best[i], best[i + half]
            tie = not better(low[0], high[0]) and high[1] < low[1]
            best[i] = high if better(high[0], low[0]) or tie else low
        best = best[:half]
    return best[0][1]


@pytest.mark.parametrize("lanes", [1, 8, 16])
def test_argmax_takes_the_first_best(lanes: int, rng: np.random.Generator) -> None:
    pool = np.array([-np.inf, -1, -0.0, 0.0, 2, 2, np.inf, np.nan], dtype=np.float32)
    for high in (1, 3, 4, 6, 7, 8):
        x = rng.choice(pool[:high], (60, 41))
        want = [_argmax_walk(row, lanes) for row in x.tolist()]
        assert argmax(x, lanes).tolist() == want


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(NumericsError, match="lanes = 12"):
        reduce_sum(np.zeros(3, dtype=np.float32), 12)
    with pytest.raises(NumericsError, match="no element"):
        argmax(np.zeros((2, 0), dtype=np.float32))
    with pytest.raises(NumericsError, match="no axis"):
        reduce_sum(np.float32(1))  # type: ignore[arg-type]
    with pytest.raises(NumericsError, match="no axis"):
        reduce_max(np.float32(1))  # type: ignore[arg-type]
