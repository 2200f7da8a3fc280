"""int8 element-wise planners against the NumPy references, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiling.harness import reference, run_node
from tests.tiling.test_relayout import f32, i8, i32

QADD = {"ra": 0.37, "rb": -1.21, "fixed": 3.5, "lo": -100, "hi": 127}
QMUL = {"a_zp": 3, "b_zp": -128, "scale": 0.0123, "out_zp": -5, "lo": -128, "hi": 90}

CASES = {
    "lut": ("lut", {"x": i8(1, 10, 5, 7), "table": i8(256)}, {}, ["table"]),
    "qadd": ("qadd", {"a": i8(1, 10, 5, 7), "b": i8(1, 10, 5, 7)}, QADD, []),
    "qadd constant channel": ("qadd", {"a": i8(1, 10, 5, 7), "b": i8(10, 1, 1)}, QADD, ["b"]),
    "qmul squeeze": ("qmul", {"a": i8(2, 10, 5, 7), "b": i8(2, 10, 1, 1)}, QMUL, []),
    "qmul pixel": ("qmul", {"a": i8(2, 10, 5, 7), "b": i8(2, 1, 5, 7)}, QMUL, []),
    "qmul row": ("qmul", {"a": i8(2, 10, 5, 7), "b": i8(1, 10, 5, 1)}, QMUL, []),
    "qmul column": ("qmul", {"a": i8(2, 10, 5, 7), "b": i8(2, 1, 1, 7)}, QMUL, []),
    "qmul outer": ("qmul", {"a": i8(2, 1, 5, 1), "b": i8(1, 10, 1, 7)}, QMUL, []),
    "qmul rank": ("qmul", {"a": i8(2, 10, 5, 7), "b": i8(7)}, QMUL, []),
    "qmul rank 3": ("qmul", {"a": i8(2, 10, 5, 7), "b": i8(10, 1, 7)}, QMUL, []),
    "qmul scalar": ("qmul", {"a": i8(4, 9), "b": i8(1)}, QMUL, ["b"]),
    "qmul many levels": ("qmul", {"a": i8(2, 3, 2, 3, 6), "b": i8(2, 1, 2, 1, 6)}, QMUL, []),
    "quantize": (
        "quantize", {"x": f32(3, 4, 9) * 9}, {"inv_scale": 7.3, "zp": 3, "lo": -128, "hi": 127}, []
    ),
    "dequantize": ("dequantize", {"x": i8(1, 6, 4, 4), "s": np.array(0.11, np.float32)},
                   {"zp": 4, "axis": -1}, ["s"]),
    "dequantize channel": ("dequantize", {"x": i8(1, 6, 4, 4), "s": f32(6)},
                           {"zp": 4, "axis": 1}, ["s"]),
    "dequantize row": ("dequantize", {"x": i8(1, 6, 4, 3), "s": f32(4)},
                       {"zp": 4, "axis": 2}, ["s"]),
    "cast f32 i8": ("cast", {"x": f32(3, 7) * 200}, {"to": "i8"}, []),
    "cast f32 i32": ("cast", {"x": f32(3, 7) * 1e9}, {"to": "i32"}, []),
    "cast i32 f32": ("cast", {"x": i32(3, 7)}, {"to": "f32"}, []),
    "cast i32 i8": ("cast", {"x": i32(3, 7) >> 22}, {"to": "i8"}, []),
    "cast i8 i32": ("cast", {"x": i8(3, 7)}, {"to": "i32"}, []),
    "cast i8 f32": ("cast", {"x": i8(3, 7)}, {"to": "f32"}, []),
    "cast i32 i32": ("cast", {"x": i32(3, 7)}, {"to": "i32"}, []),
}  # fmt: skip


@pytest.mark.parametrize("chip", ["nano", "vta256"])
@pytest.mark.parametrize("where", ["dram", "in", "both"])
@pytest.mark.parametrize("case", CASES)
def test_bit_exact(case: str, where: str, chip: str) -> None:
    op, inputs, attrs, constants = CASES[case]
    held = [k for k in inputs if k not in constants]
    resident = {"dram": [], "in": held, "both": [*held, "y"]}[where]
    got = run_node(op, inputs, attrs, constants, chip=chip, resident=resident)
    assert np.array_equal(got, reference(op, inputs, attrs))


@pytest.mark.parametrize("case", CASES)
def test_small_scratchpad_cuts_into_blocks(case: str) -> None:
    op, inputs, attrs, constants = CASES[case]
    got = run_node(op, inputs, attrs, constants, available=300)
    assert np.array_equal(got, reference(op, inputs, attrs))
