"""Random programs of MX: every accumulator bit, every start, end and counted cycle."""

import numpy as np
import pytest

from jiriki.chip.catalogue import load_chip
from tests.rtl.matrix.bench import expect, random_case, run_gates

CHIPS = ("nano", "e256", "vta256", "os256")


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("seed", range(10))
def test_random_programs(name, seed):
    case = random_case(load_chip(name), seed, 40)
    want, got = expect(case), run_gates(case)
    assert got.start == want.start
    assert got.done == want.done
    assert (got.busy, got.bank, got.drain) == (want.busy, want.bank, want.drain)
    assert np.array_equal(got.acc, want.acc)
