"""Movement planners against the NumPy references, on the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiling.cases import MOVES, i8
from tests.tiling.harness import reference, run_node


@pytest.mark.parametrize("chip", ["nano", "vta256"])
@pytest.mark.parametrize("where", ["dram", "in", "out", "both"])
@pytest.mark.parametrize("case", MOVES)
def test_movement_is_exact(case: str, where: str, chip: str) -> None:
    op, arrays, attrs = MOVES[case]
    inputs = {f"x{i}": a for i, a in enumerate(arrays)}
    resident = {"dram": [], "in": list(inputs), "out": ["y"], "both": [*inputs, "y"]}[where]
    got = run_node(op, inputs, attrs, chip=chip, resident=resident)
    assert np.array_equal(got, reference(op, inputs, attrs))


@pytest.mark.parametrize("case", ["transpose nchw", "reshape odd", "concat odd"])
def test_small_scratchpad_cuts_into_blocks(case: str) -> None:
    op, arrays, attrs = MOVES[case]
    inputs = {f"x{i}": a for i, a in enumerate(arrays)}
    got = run_node(op, inputs, attrs, available=128)
    assert np.array_equal(got, reference(op, inputs, attrs))


def test_a_constant_can_be_moved() -> None:
    inputs = {"a": i8(1, 5, 2, 2), "b": i8(1, 6, 2, 2)}
    got = run_node("concat", inputs, {"axis": 1}, constants=["b"])
    assert np.array_equal(got, reference("concat", inputs, {"axis": 1}))
