"""Movement planners against the NumPy references, on the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiling.harness import reference, run_node

RNG = np.random.default_rng(1)


def i8(*shape: int) -> np.ndarray:
    return RNG.integers(-128, 128, shape).astype(np.int8)


def f32(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def i32(*shape: int) -> np.ndarray:
    return RNG.integers(-(2**31), 2**31, shape).astype(np.int32)


CASES = {
    "reshape flatten": ("reshape", [i8(1, 6, 3, 5)], {"shape": (1, 90)}),
    "reshape odd": ("reshape", [i8(6, 10)], {"shape": (4, 15)}),
    "reshape odd f32": ("reshape", [f32(6, 10)], {"shape": (4, 15)}),
    "reshape squeeze": ("reshape", [i8(1, 10, 1, 1)], {"shape": (1, 10)}),
    "reshape heads": ("reshape", [i8(1, 5, 24)], {"shape": (1, 5, 3, 8)}),
    "reshape heads f32": ("reshape", [f32(1, 5, 18)], {"shape": (1, 5, 3, 6)}),
    "reshape scalar": ("reshape", [f32(1, 1)], {"shape": ()}),
    "reshape same": ("reshape", [f32(2, 7, 3)], {"shape": (2, 7, 3)}),
    "transpose nchw": ("transpose", [i8(1, 6, 3, 5)], {"perm": (0, 2, 3, 1)}),
    "transpose nhwc f32": ("transpose", [f32(1, 3, 5, 6)], {"perm": (0, 3, 1, 2)}),
    "transpose pixels": ("transpose", [i8(2, 6, 3, 5)], {"perm": (0, 1, 3, 2)}),
    "transpose 3d": ("transpose", [i32(3, 7, 9)], {"perm": (2, 0, 1)}),
    "slice channels": (
        "slice", [i8(1, 23, 4, 3)],
        {"starts": (0, 5, 0, 0), "ends": (1, 20, 4, 3), "steps": (1, 1, 1, 1)},
    ),
    "slice aligned": (
        "slice", [i8(1, 32, 4, 3)],
        {"starts": (0, 16, 0, 0), "ends": (1, 30, 4, 3), "steps": (1, 1, 1, 1)},
    ),
    "slice steps": (
        "slice", [f32(2, 9, 8, 7)],
        {"starts": (0, 1, 7, 1), "ends": (2, 9, -1, 6), "steps": (1, 3, -2, 2)},
    ),
    "slice pixels": (
        "slice", [i8(1, 8, 9, 9)],
        {"starts": (0, 0, 1, 0), "ends": (1, 8, 9, 9), "steps": (1, 1, 2, 2)},
    ),
    "concat aligned": ("concat", [i8(1, 16, 3, 3), i8(1, 32, 3, 3)], {"axis": 1}),
    "concat odd": ("concat", [i8(1, 5, 3, 3), i8(1, 7, 3, 3), i8(1, 1, 3, 3)], {"axis": 1}),
    "concat f32 rows": ("concat", [f32(3, 5), f32(1, 5)], {"axis": 0}),
    "concat f32 columns": ("concat", [f32(3, 5), f32(3, 6)], {"axis": 1}),
    "concat pixels": ("concat", [i8(1, 5, 3, 3), i8(1, 5, 2, 3)], {"axis": 2}),
    "pad constant": (
        "pad", [i8(1, 5, 3, 4)],
        {"pads": (0, 0, 1, 2, 0, 0, 3, 1), "mode": "constant", "value": -7.0},
    ),
    "pad channels f32": (
        "pad", [f32(1, 5, 3, 4)],
        {"pads": (0, 2, 1, 2, 0, 1, 3, 1), "mode": "constant", "value": 1.5},
    ),
    "pad reflect": (
        "pad", [i8(1, 5, 3, 4)], {"pads": (0, 0, 2, 1, 0, 0, 1, 3), "mode": "reflect", "value": 0.0}
    ),
    "pad edge": (
        "pad", [f32(1, 4, 3, 4)], {"pads": (0, 0, 2, 1, 0, 0, 1, 3), "mode": "edge", "value": 0.0}
    ),
    "expand": ("expand", [f32(3, 1, 5)], {"shape": (2, 3, 4, 5)}),
    "expand channels": ("expand", [i8(1, 1, 3)], {"shape": (2, 6, 3)}),
    "expand scalar": ("expand", [f32()], {"shape": (3, 5)}),
    "gather resize": (
        "gather", [i8(1, 6, 5, 4)], {"axis": 2, "indices": (0, 0, 1, 1, 2, 2, 3, 3, 4, 4)}
    ),
    "gather channels": ("gather", [i8(1, 9, 2, 4)], {"axis": 1, "indices": (8, 0, 3, 3, 1)}),
    "gather irregular": ("gather", [f32(1, 6, 5)], {"axis": 1, "indices": (0, 0, 1, 3, 4, 4, 5)}),
}  # fmt: skip


@pytest.mark.parametrize("chip", ["nano", "vta256"])
@pytest.mark.parametrize("where", ["dram", "in", "out", "both"])
@pytest.mark.parametrize("case", CASES)
def test_movement_is_exact(case: str, where: str, chip: str) -> None:
    op, arrays, attrs = CASES[case]
    inputs = {f"x{i}": a for i, a in enumerate(arrays)}
    resident = {"dram": [], "in": list(inputs), "out": ["y"], "both": [*inputs, "y"]}[where]
    got = run_node(op, inputs, attrs, chip=chip, resident=resident)
    assert np.array_equal(got, reference(op, inputs, attrs))


@pytest.mark.parametrize("case", ["transpose nchw", "reshape odd", "concat odd"])
def test_small_scratchpad_cuts_into_blocks(case: str) -> None:
    op, arrays, attrs = CASES[case]
    inputs = {f"x{i}": a for i, a in enumerate(arrays)}
    got = run_node(op, inputs, attrs, available=128)
    assert np.array_equal(got, reference(op, inputs, attrs))


def test_a_constant_can_be_moved() -> None:
    inputs = {"a": i8(1, 5, 2, 2), "b": i8(1, 6, 2, 2)}
    got = run_node("concat", inputs, {"axis": 1}, constants=["b"])
    assert np.array_equal(got, reference("concat", inputs, {"axis": 1}))
