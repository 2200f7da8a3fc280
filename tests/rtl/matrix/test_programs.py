"""Random programs of MX: every accumulator bit, every start, end and counted cycle."""

import numpy as np
import pytest

from jiriki.chip import ChipConfig
from jiriki.chip.catalogue import load_chip
from tests.rtl.matrix.bench import expect, last_rows, random_case, run_gates, shaped

# one pair of channel groups a tile and one pixel; two pairs, and two beats of two pixels
SHAPES = ((1, 8, 4, 4), (4, 8, 2, 4))
CHIPS = ("nano", "e256", "vta256", "os256")


@pytest.mark.parametrize("shape", SHAPES)
def test_small_arrays_run_random_programs(shape):
    for seed in range(40):
        check(shaped(*shape), seed, 30)


@pytest.mark.full
@pytest.mark.parametrize("name", CHIPS)
def test_chips_of_the_catalogue_run_random_programs(name):
    for seed in range(200):
        check(load_chip(name), seed, 40)


def check(chip: ChipConfig, seed: int, works: int) -> None:
    """Run one program; the rows of its last tile are read as early as VX may."""
    case = random_case(chip, seed, works)
    want, got = expect(case), run_gates(case, last_rows(case))
    where = f"{chip.name}, seed {seed}"
    assert got.start == want.start, where
    assert got.done == want.done, where
    assert (got.busy, got.bank, got.drain) == (want.busy, want.bank, want.drain), where
    assert np.array_equal(got.acc, want.acc), f"{where}: {np.argwhere(got.acc != want.acc)[:5]}"
