"""Random chips that ChipConfig accepts run small networks right, or are refused before compiling.

What that means is in `chip_trials.py`; `python -m bench.fuzz_chips` tries 500.
"""

from __future__ import annotations

import pytest

from tests.agree.chip_trials import try_chip


def ran_right(seed: int) -> bool:
    """Try one chip; return whether it ran. Fails on any fault."""
    trial = try_chip(seed)
    assert not trial.fault, (seed, trial.network, trial.fault)
    return not trial.rule


def test_random_chips_run_right_or_are_refused_before_compiling() -> None:
    assert sum(ran_right(seed) for seed in range(24)) >= 12, "most odd chips are usable"


@pytest.mark.full
@pytest.mark.parametrize("first", range(1000, 1500, 50))
def test_five_hundred_random_chips_run_right_or_are_refused(first: int) -> None:
    ran = sum(ran_right(seed) for seed in range(first, first + 50))
    assert ran >= 25, "most odd chips are usable"
