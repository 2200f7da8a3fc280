"""Every micro-op of an ALU lane against numerics: corner operands and random ones, bit for bit."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from jiriki import numerics
from jiriki.isa.vector import lanes
from jiriki.isa.words import MicroOp
from jiriki.numerics import Comparison
from jiriki.rtl.simulate.vectors import Vectors
from jiriki.rtl.vector.alu import FIELDS, QUANTISED_BITS, Alu
from tests.rtl.vector.operands import pairs

COUNT = 1_000_000  # random operands of each micro-op, after all corners
LANE, PLACE = 1, 77
F32 = NDArray[np.float32]


@pytest.fixture(scope="module")
def alu() -> Vectors:
    return Vectors(Alu(2, 14), "vector-alu")


def _iadd(v: F32, x: F32) -> F32:
    return (v.view(np.uint32) + x.view(np.uint32)).view(np.float32)


def _rot(_: F32, x: F32) -> F32:
    return numerics.clean(x)  # an odd lane takes its neighbour's value


def _mask(v: F32, x: F32) -> F32:
    inside = np.float32(PLACE * 4 + LANE) < numerics.clean(x)
    return np.where(inside, numerics.clean(v), np.float32(-np.inf))


MEANINGS: dict[MicroOp, Callable[[F32, F32], F32]] = {
    MicroOp.MOV: lambda v, x: x,
    MicroOp.IADD: _iadd,
    MicroOp.I2F: lambda v, x: v.view(np.int32).astype(np.float32),
    MicroOp.FADD: numerics.add,
    MicroOp.FSUB: numerics.sub,
    MicroOp.FRSB: lambda v, x: numerics.sub(x, v),
    MicroOp.FMUL: numerics.mul,
    MicroOp.FMAX: numerics.maximum,
    MicroOp.FMIN: numerics.minimum,
    MicroOp.NEG: lambda v, x: numerics.neg(v),
    MicroOp.ABS: lambda v, x: numerics.absolute(v),
    MicroOp.GT: lambda v, x: numerics.compare(v, x, Comparison.GT),
    MicroOp.GE: lambda v, x: numerics.compare(v, x, Comparison.GE),
    MicroOp.EQ: lambda v, x: numerics.compare(v, x, Comparison.EQ),
    MicroOp.FLOOR: lambda v, x: np.floor(numerics.clean(v)),
    MicroOp.RND: lambda v, x: np.rint(numerics.clean(v)),
    MicroOp.ROT: _rot,
    MicroOp.MASK: _mask,
}


def control(op: MicroOp) -> int:
    return 1 << list(FIELDS).index(op)


def assert_same(got: NDArray, expected: F32, *operands: NDArray) -> None:
    """Compare bits and show the first difference."""
    wrong = np.flatnonzero(got != np.ascontiguousarray(expected).view(np.uint32))
    if wrong.size:
        i = wrong[0]
        shown = ", ".join(f"{operand[i]:#010x}" for operand in operands)
        expected_bits = np.ascontiguousarray(expected).view(np.uint32)[i]
        pytest.fail(f"{wrong.size} differ; f({shown}) = {got[i]:#010x}, not {expected_bits:#010x}")


@pytest.mark.parametrize("op", MEANINGS, ids=lambda op: op.name)
def test_micro_op_computes_its_meaning(alu: Vectors, op: MicroOp):
    v, x = pairs(int(op), COUNT)
    inputs = {
        "v": v,
        "x": x,
        "one": control(op),
        "two": control(op),
        "place": PLACE,
        "channel": LANE,
    }
    got = alu.run(inputs, latency=2)["o"]
    with np.errstate(all="ignore"):
        expected = MEANINGS[op](v.view(np.float32), x.view(np.float32))
    assert_same(got, expected, v, x)


def test_sel_takes_v_where_t_is_not_zero(alu: Vectors):
    v, x = pairs(1, COUNT)
    t = np.roll(x, 7)
    inputs = {"v": v, "x": x, "t_exponent": (t >> 23) & 0xFF, "one": control(MicroOp.SEL)}
    got = alu.run(inputs, latency=2)["o"]
    expected = numerics.select(*(a.view(np.float32) for a in (t, v, x)))
    assert_same(got, expected, t, v, x)


QUANTISERS = [(0, -128, 127), (-128, -128, 127), (7, 0, 100), (65535, -65536, 65535),
              (-65536, -65536, -65536), (300, -32768, 32767), (5, 0, 0)]  # fmt: skip


@pytest.mark.parametrize("quantiser", QUANTISERS, ids=str)
def test_qnt_rounds_shifts_and_clamps(alu: Vectors, quantiser: tuple[int, int, int]):
    v = pairs(2, COUNT)[0]
    got = alu.run({"v": v, "one": control(MicroOp.QNT), "two": control(MicroOp.QNT),
                   "quantiser": packed_quantiser(*quantiser)}, latency=2)["o"]  # fmt: skip
    value = lanes.unknown(numerics.clean(v.view(np.float32)))
    assert_same(got, lanes.quantise(value, *quantiser).array, v)


def packed_quantiser(zero_point: int, lo: int, hi: int) -> int:
    """Return the bits of the gates' quantiser record."""
    bits, low = 0, 0
    for value, width in ((zero_point, QUANTISED_BITS), (lo, QUANTISED_BITS), (hi, QUANTISED_BITS),
                         (zero_point - lo, QUANTISED_BITS + 2),
                         (zero_point - hi - 1, QUANTISED_BITS + 2)):  # fmt: skip
        bits |= (value & ((1 << width) - 1)) << low
        low += width
    return bits


def test_without_a_micro_op_v_passes(alu: Vectors):
    v, x = pairs(3, 1000)
    assert np.array_equal(alu.run({"v": v, "x": x}, latency=2)["o"], v)
