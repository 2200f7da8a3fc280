"""int8 element-wise planners against the NumPy references, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiling.cases import ELEMENTWISE
from tests.tiling.harness import reference, run_node


@pytest.mark.parametrize("chip", ["nano", "vta256"])
@pytest.mark.parametrize("where", ["dram", "in", "both"])
@pytest.mark.parametrize("case", ELEMENTWISE)
def test_bit_exact(case: str, where: str, chip: str) -> None:
    op, inputs, attrs, constants = ELEMENTWISE[case]
    held = [k for k in inputs if k not in constants]
    resident = {"dram": [], "in": held, "both": [*held, "y"]}[where]
    got = run_node(op, inputs, attrs, constants, chip=chip, resident=resident)
    assert np.array_equal(got, reference(op, inputs, attrs))


@pytest.mark.parametrize("case", ELEMENTWISE)
def test_small_scratchpad_cuts_into_blocks(case: str) -> None:
    op, inputs, attrs, constants = ELEMENTWISE[case]
    got = run_node(op, inputs, attrs, constants, available=300)
    assert np.array_equal(got, reference(op, inputs, attrs))
