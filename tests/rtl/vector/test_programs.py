"""Random programs of VX: every byte written, every start, end and state of a cycle."""

import numpy as np
import pytest

from jiriki.chip import ChipConfig
from jiriki.chip.catalogue import load_chip
from jiriki.rtl.errors import RtlError
from jiriki.rtl.interfaces import State
from jiriki.rtl.vector.records import Shape
from tests.rtl.vector.bench import expect, run_gates
from tests.rtl.vector.chips import tiny_chip
from tests.rtl.vector.programs import random_case


def agree(chip: ChipConfig, seed: int, works: int) -> set[int]:
    """Run a random program on the gates and by the rules; return the states that were seen."""
    case = random_case(chip, seed, works)
    got = run_gates(case)
    cycles = got.times.done[-1] + 1
    want = expect(case, cycles + 50)
    assert got.times.start == want.times.start
    assert got.times.done == want.times.done
    assert got.times.state[:cycles] == want.times.state[:cycles]
    assert np.array_equal(got.sp, want.sp)
    return set(got.times.state)


def test_random_programs_are_done_as_they_mean_when_the_rules_say():
    seen = set[int]()
    for seed in range(15):
        seen |= agree(tiny_chip(), seed, 40)
    assert seen == {State.IDLE, State.BUSY, State.BANK, State.WRITE, State.CHAIN}


@pytest.mark.full
@pytest.mark.parametrize("name", ["nano", "e256", "vta256", "os256", "e1024"])
def test_random_programs_on_chips_of_the_catalogue(name: str):
    for seed in range(100, 120):
        agree(load_chip(name), seed, 40)


def test_a_chip_of_too_few_lanes_is_refused():
    chip = load_chip("nano")
    values = {name: getattr(chip, name) for name in chip.__slots__}
    narrow = ChipConfig(**{**values, "name": "narrow", "ku": 1, "nu": 4, "vx_lanes": 2})
    with pytest.raises(RtlError, match="chip narrow: vx_lanes = 2 is less than 4"):
        Shape(narrow)
