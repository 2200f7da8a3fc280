"""The functions of an F stage against numerics: every segment boundary, corners, random ones."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from jiriki import numerics
from jiriki.isa.words import MicroOp
from jiriki.numerics import Format, Lut8, SegmentTable
from jiriki.rtl.simulate.vectors import Vectors
from jiriki.rtl.vector.function_lane import FUNCTION_CONTROL
from jiriki.rtl.vector.function_stage import FUNCTION_STAGE, FunctionStage
from jiriki.rtl.vector.records import Shape
from tests.rtl.vector.chips import tiny_chip
from tests.rtl.vector.operands import pairs

COUNT = 1_000_000  # random operands of each function, after all corners
CHIP = replace(tiny_chip(), table_slots=16)
LANES = CHIP.vx_lanes
FUNCTIONS = {
    MicroOp.EXP2: numerics.exp2, MicroOp.LOG2: numerics.log2, MicroOp.RECIP: numerics.recip,
    MicroOp.RSQRT: numerics.rsqrt,
}  # fmt: skip


@pytest.fixture(scope="module")
def stage() -> Vectors:
    return Vectors(FunctionStage(Shape(CHIP)), "vector-function-stage")


def boundaries() -> NDArray[np.uint32]:
    """Return both sides of every segment's edge, in octaves small, near one and large."""
    edges = np.arange(129, dtype=np.int64) << 16
    octaves = np.array([1, 2, 63, 100, 120, *range(124, 136), 150, 253, 254], np.int64) << 23
    bits = octaves[:, None] + edges
    bits = (bits[..., None] + np.array([-1, 0, 1])).ravel()
    fixed = np.arange(-150 * 128, 150 * 128)  # EXP2: x = n/128
    of_exp2 = (fixed / 128).astype(np.float32).view(np.uint32).astype(np.int64)
    bits = np.concatenate([bits, of_exp2, of_exp2 + 1, of_exp2 - 1])
    bits = bits[(bits >= 0) & (bits < 1 << 32)]
    return np.concatenate([bits, bits | 1 << 31]).astype(np.uint32)


def arguments(seed: int) -> NDArray[np.uint32]:
    v = np.concatenate([pairs(seed, COUNT)[0], boundaries()])
    return np.concatenate([v, np.zeros(-len(v) % LANES, np.uint32)])


def control(op: MicroOp) -> int:
    return 1 << list(FUNCTION_CONTROL.members).index(op.name.lower())


def packed(**fields: int) -> int:
    """Return the bits of a control record of the stage."""
    bits = 0
    for name, value in fields.items():
        bits |= value << FUNCTION_STAGE[name].offset
    return bits


def apply(stage: Vectors, op: MicroOp, v: NDArray[np.uint32], slot: int = 0) -> NDArray:
    """Send v through the lanes; t and side are zero."""
    i = np.zeros((len(v) // LANES, stage_words(stage, "i")), np.uint32)
    i[:, :LANES] = v.reshape(-1, LANES)
    record = packed(valid=15, slot=slot, one=control(op), two=control(op))
    inputs = {"i": i, "control": record}
    return np.ascontiguousarray(stage.run(inputs, latency=4)["o"][:, :LANES]).ravel()


def stage_words(stage: Vectors, name: str) -> int:
    return next(port.words for port in stage.ports if port.name == name)


def load(stage: Vectors, image: bytes, slot: int, is_segment: bool) -> None:
    """Send a table's lines, its image filled up to the longest."""
    size = 4112 if is_segment else 256
    words = np.frombuffer(image.ljust(size, b"\xa5"), np.uint32)
    words = np.concatenate([words, np.zeros(-len(words) % LANES, np.uint32)]).reshape(-1, LANES)
    i = np.zeros((len(words) + 1, stage_words(stage, "i")), np.uint32)
    i[:-1, :LANES] = words
    records = [packed(valid=15)]  # a line is in cycle 1 one cycle after it enters
    records += [packed(valid=15, load=1, is_segment=is_segment, number=n, load_slot=slot)
                for n in range(len(words))]  # fmt: skip
    stage.run({"i": i, "control": np.array(records, np.uint64)})


def assert_same(got: NDArray, expected: NDArray, v: NDArray) -> None:
    expected = np.ascontiguousarray(expected).view(np.uint32)
    wrong = np.flatnonzero(got != expected)
    if wrong.size:
        i = wrong[0]
        pytest.fail(f"{wrong.size} differ; f({v[i]:#010x}) = {got[i]:#x}, not {expected[i]:#x}")


@pytest.mark.parametrize("op", FUNCTIONS, ids=lambda op: op.name)
def test_function_is_that_of_numerics(stage: Vectors, op: MicroOp):
    v = arguments(int(op))
    assert_same(apply(stage, op, v), FUNCTIONS[op](v.view(np.float32)), v)


TABLES: dict[str, Callable[[], SegmentTable]] = {
    "tanh": lambda: SegmentTable.fit(np.tanh, -8, 8, below=-1.0, above=1.0),
    "steep": lambda: SegmentTable.fit(lambda x: float(np.exp(x * 40)), -2, 2, 64),
    "tiny": lambda: SegmentTable.fit(lambda x: float(np.exp2(x - 140)), 0, 16, 128, below=0.0),
    "single": lambda: SegmentTable.fit(lambda x: x * x, 1, 2, 1),
    "small in": lambda: SegmentTable.fit(lambda x: x * 2.0**90, 0, 2.0**-99, 256),
    "large in": lambda: SegmentTable.fit(lambda x: x, 0, 2.0**126, 256),
    "coarse": lambda: odd_table(1, 8, 0, 0),
    "finest": lambda: odd_table(24, 4, -5, -(1 << 26)),
    "wild": lambda: odd_table(20, 8, 3, 12345),
}


def odd_table(t_bits: int, log2_segments: int, in_shift: int, lo: int) -> SegmentTable:
    """Return a table of random coefficients and wild exponents."""
    rng, n = np.random.default_rng(t_bits), 1 << log2_segments
    coefficients = rng.integers(-(1 << 31), 1 << 31, (n, 3))
    exponents = rng.choice([-(1 << 31), -600, -150, -40, 0, 90, 97, 130, (1 << 31) - 1], n)
    ends = np.float32(1e-39), np.float32(np.inf)
    return SegmentTable(lo, in_shift, t_bits, numerics.clean(ends[0])[()], ends[1], coefficients,
                        exponents)  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_segment_table_is_that_of_numerics(stage: Vectors, name: str):
    table, slot = TABLES[name](), list(TABLES).index(name) + 3
    load(stage, table.to_bytes(), slot, is_segment=True)
    edges = (
        table.lo_fixed + (np.arange(table.segments + 1) << table.t_bits)
    ) * 2.0**-table.in_shift
    with np.errstate(all="ignore"):
        edge_bits = edges.astype(np.float32).view(np.uint32)
        spread = np.random.default_rng(9).uniform(table.lo, table.hi, COUNT).astype(np.float32)
    v = np.concatenate([arguments(2), edge_bits, edge_bits + 1, edge_bits - 1,
                        spread.view(np.uint32)])  # fmt: skip
    v = v[: len(v) // LANES * LANES]
    assert_same(apply(stage, MicroOp.TBL, v, slot), table(v.view(np.float32)), v)


def test_byte_table_is_that_of_numerics(stage: Vectors):
    rng = np.random.default_rng(4)
    tables = {slot: Lut8(rng.bytes(256)) for slot in (0, 5, 15)}
    for slot, table in tables.items():
        load(stage, table.to_bytes(), slot, is_segment=False)
    v = np.concatenate([arguments(6), np.arange(-200, 200, 0.25, "f4").view(np.uint32)])
    for slot, table in tables.items():
        expected = table(numerics.fp32_to_int(v.view(np.float32), Format.INT8)).astype(np.float32)
        assert_same(apply(stage, MicroOp.LUT, v, slot), expected, v)
