"""Cases of the planners by their names: an operation, its inputs and its attributes.

Each table serves the tests of its own planners, and those that take whole programs through emit.
"""

from __future__ import annotations

import numpy as np

RNG = np.random.default_rng(1)


def i8(*shape: int) -> np.ndarray:
    return RNG.integers(-128, 128, shape).astype(np.int8)


def f32(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def i32(*shape: int) -> np.ndarray:
    return RNG.integers(-(2**31), 2**31, shape).astype(np.int32)


MOVES = {
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

QADD = {"ra": 0.37, "rb": -1.21, "fixed": 3.5, "lo": -100, "hi": 127}
QMUL = {"a_zp": 3, "b_zp": -128, "scale": 0.0123, "out_zp": -5, "lo": -128, "hi": 90}

ELEMENTWISE = {
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

Q = {"x_zp": -7, "out_zp": 5, "lo": -128, "hi": 127}
POOL = {"kernel": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1), "dilations": (1, 1)}
ODD = {"kernel": (3, 2), "strides": (1, 2), "pads": (0, 1, 2, 0), "dilations": (1, 1)}

POOLS = {
    "global": ("qavgpool_global", i8(2, 10, 7, 7), {**Q, "multiplier": 0.021}),
    "maxpool": ("maxpool", i8(2, 10, 11, 13), POOL),
    "maxpool f32": ("maxpool", f32(1, 6, 9, 8), {**ODD, "dilations": (2, 1)}),
    "maxpool far": (
        "maxpool", i8(1, 5, 70, 75),
        {"kernel": (2, 3), "strides": (33, 35), "pads": (0, 1, 0, 0), "dilations": (1, 1)},
    ),
    "maxpool tall": (
        "maxpool", i8(1, 5, 70, 9),
        {"kernel": (2, 3), "strides": (33, 1), "pads": (0, 1, 0, 0), "dilations": (1, 1)},
    ),
    "maxpool wide": (
        "maxpool", i8(2, 5, 3, 400),
        {"kernel": (2, 3), "strides": (1, 2), "pads": (1, 2, 0, 3), "dilations": (1, 2)},
    ),
    "avgpool": ("avgpool", f32(1, 6, 9, 8), {**ODD, "counted": (0,) * 4}),
    "avgpool include": ("avgpool", f32(2, 6, 9, 8), {**POOL, "counted": (1,) * 4}),
    "avgpool dilated": (
        "avgpool", f32(1, 6, 13, 12), {**POOL, "dilations": (3, 2), "counted": (1, 1, 0, 1)}
    ),
    "qavgpool": ("qavgpool", i8(1, 6, 9, 8), {**POOL, **Q, "counted": (0,) * 4, "ratio": 1.3}),
    "qavgpool dilated": (
        "qavgpool", i8(2, 6, 13, 12),
        {**ODD, **Q, "dilations": (2, 5), "counted": (0, 1, 1, 0), "ratio": 1.3},
    ),
    "qavgpool plain": (
        "qavgpool", i8(2, 6, 9, 8),
        {**POOL, "kernel": (2, 2), "pads": (0,) * 4, **Q, "counted": (0,) * 4, "ratio": 0.9},
    ),
    "reduce max channels": ("reduce_max", f32(2, 7, 3, 5), {"axes": (1,), "keepdims": 1}),
    "reduce min pixels": ("reduce_min", f32(2, 7, 3, 5), {"axes": (2, 3), "keepdims": 0}),
}  # fmt: skip

MATMULS = [
    ((7, 13), (13, 10)), ((2, 5, 8), (2, 8, 9)), ((1, 2, 5, 6), (1, 2, 6, 7)),
    ((2, 3, 5, 6), (1, 3, 6, 7)), ((3, 4, 8), (8, 5)), ((1, 70), (70, 33)),
]  # fmt: skip


def matmul_inputs(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> dict[str, np.ndarray]:
    n = shapes[1][-1]
    rng = np.random.default_rng(n)
    bias = rng.integers(-5000, 5000, n).astype(np.int32)
    scale = (rng.random(n) * 1e-3).astype(np.float32)
    return {"a": i8(*shapes[0]), "b": i8(*shapes[1]), "bias": bias, "scale": scale}


def matmul_attrs(a_zp: int, b_zp: int, out: str) -> dict[str, object]:
    return {"a_zp": a_zp, "b_zp": b_zp, "out_zp": 3, "lo": -128, "hi": 127, "out": out}
