"""Gates of synthesis beside the area model: every part once, and how far they are apart."""

from __future__ import annotations

import pytest

from jiriki.chip import load_chip
from jiriki.cost.calibration import load_calibration
from jiriki.cost.inventory import inventory
from jiriki.cost.validate.synthesis import checks, load_synthesis

CHIPS = sorted(load_synthesis())


@pytest.mark.parametrize("chip", CHIPS)
def test_every_gate_is_in_one_unit(chip: str) -> None:
    *units, every = checks(load_chip(chip))
    parts = load_synthesis()[chip].values()
    assert sum(unit.logic for unit in units) == every.logic == sum(part.gates for part in parts)
    bits = sum(part.memory_bits for part in parts)
    assert every.memory == pytest.approx(bits * 14 / 4)  # a latch of 14 transistors, NAND2 of 4


@pytest.mark.parametrize("chip", CHIPS)
def test_units_are_those_of_the_model_that_have_logic(chip: str) -> None:
    modelled = inventory(load_chip(chip), load_calibration())
    with_logic = {name for name, unit in modelled.items() if unit.transistors.base}
    assert {check.unit for check in checks(load_chip(chip))} == with_logic | {"all"}


@pytest.mark.parametrize("chip", CHIPS)
def test_model_and_synthesis_are_within_a_factor_of_two_and_a_half(chip: str) -> None:
    apart = {check.unit: check.ratio for check in checks(load_chip(chip))}
    assert [unit for unit, ratio in apart.items() if not 0.4 <= ratio <= 2.5] == []


def test_an_element_of_the_array_is_below_the_one_that_calibrates() -> None:
    """A multiply-accumulate: 1,095 gates as a processing element, less as a quarter of a dot."""
    element = load_synthesis()["nano"]["mx.element"]
    assert 500 < element.gates / element.instances / 4 < 1095
