"""Effects are the truth: nothing else is written, and nothing else read changes a result."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jiriki.chip.catalogue import load_chip
from jiriki.isa.dma.operations import DmaDim, DmaOp
from jiriki.isa.machine import Machine
from jiriki.isa.matrix.operations import ConvOp, DwOp, GemmOp, GemvOp, LdwOp
from jiriki.isa.operations import effects, execute
from jiriki.isa.regions import Region, Space, overlap, region
from jiriki.isa.vector.operations import Stream, VrunOp
from jiriki.isa.words import DmaMode, DType, Micro, MicroOp, Quantiser, RedOp, Reduce, Src, Window

PADDED = Window(64, 8, 6, 7, 7, -3, 1, 1, 1, 1, 1, 1, 3, 3)
STRIDED = Window(64, 8, 8, 8, 4, 5, 2, 2, 1, 1, 1, 0, 2, 2)
POINT = Window(64, 8, 8, 8, 4, 5, 2, 2, 1, 1, 0, 0, 1, 1)
DENSE = Window(13, 13, 1, 13, 13, 0, 0, 1, 0, 0, 0, 0, 1, 1)
CROPPED = Window(40, 6, 4, 5, 5, 0, 1, 1, 0, 0, 1, 1, 1, 1)
ROWS = Window(14, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1)
Q = Quantiser(0, -128, 127)


def vrun(in0: Stream, out: Stream, reduce: Reduce = Reduce.NONE) -> VrunOp:
    chain = (Micro(MicroOp.I2F, 0),) if in0.dtype is DType.ACC else ()
    chain += (Micro(MicroOp.FMUL, Src.PS), Micro(MicroOp.FADD, Src.IN1))
    in1 = Stream(3000, DType.I8, False, POINT)
    quantiser = Q if out.dtype is DType.I8 else None
    return VrunOp(
        13, 2, in0, in1, None, out, 3500, chain, (), (None,) * 8, (Q,) * 4, quantiser, reduce,
        RedOp.SUM, 8,
    )  # fmt: skip


OPERATIONS = {
    "ld": DmaOp(False, 30, 900, 5, DmaMode.COPY, 0, (DmaDim(3, 7, -20), DmaDim(2, 50, 9)), None, 1),
    "st": DmaOp(True, 30, 900, 5, DmaMode.COPY, 0, (DmaDim(3, 7, 20), DmaDim(2, 50, 3)), None, 1),
    "fill": DmaOp(False, 0, 900, 5, DmaMode.FILL, 7, (DmaDim(3, 7, 20),), None, 1),
    "scatter": DmaOp(False, 0, 900, 9, DmaMode.SCATTER_BYTES, 7, (DmaDim(3, 7, 2),), None, 16),
    "gemm": GemmOp(700, 11, 3, 3000, 2, 7, True, False, 40, 17, 60, 14),
    "conv": ConvOp(500, PADDED, 13, 2, 1200, 2, 8, 14, False, True),
    "conv stride 2": ConvOp(500, STRIDED, 13, 2, 1200, 2, 8, 14, True, False),
    "conv 1x1 stride 2": ConvOp(500, POINT, 13, 2, 1200, 2, 8, 14, False, False),
    "ldw": LdwOp(77, 5),
    "dw": DwOp(500, PADDED, 13, 1, 8, 14, False, 1),
    "gemv": GemvOp(800, 6, 3, 5, 2, False, True),
    "vrun acc": vrun(Stream(8, DType.ACC, False, ROWS), Stream(4000, DType.I8, False, DENSE)),
    "vrun crop": vrun(
        Stream(600, DType.I16, False, STRIDED), Stream(4000, DType.F32, False, CROPPED)
    ),
    "vrun pool": vrun(
        Stream(600, DType.I8, False, PADDED), Stream(4000, DType.I8, False, DENSE), Reduce.WINDOW
    ),
    "vrun pixels": vrun(
        Stream(600, DType.F32, True, PADDED), Stream(4000, DType.BF16, False, DENSE), Reduce.PIXELS
    ),
    "vrun channels": vrun(
        Stream(600, DType.I8, False, PADDED), Stream(4000, DType.F32, False, DENSE), Reduce.CHANNELS
    ),
}


def units(r: Region) -> np.ndarray:
    """Return every address of a region by counting through it."""
    out = []
    for place in product(*(range(count) for _, count in r.dims)):
        start = r.base + sum(i * stride for i, (stride, _) in zip(place, r.dims, strict=True))
        out += range(start, start + r.run)
    return np.array(out)


def state(chip: str) -> Machine:
    rng = np.random.default_rng(0)
    m = Machine(load_chip(chip), rng.integers(0, 256, 400, dtype=np.uint8))
    m.sp[:] = rng.integers(0, 128, m.sp.size, dtype=np.uint8)
    m.acc[:] = rng.integers(-1000, 1000, m.acc.shape)
    m.weights[:] = rng.integers(-128, 128, m.weights.shape)
    return m


def memories(m: Machine) -> dict[Space, np.ndarray]:
    return {Space.DRAM: m.dram, Space.SP: m.sp, Space.ACC: m.acc, Space.WEIGHTS: m.weights}


def marks(m: Machine, regions: tuple[Region, ...]) -> dict[Space, np.ndarray]:
    out = {space: np.zeros(len(memory), bool) for space, memory in memories(m).items()}
    for r in regions:
        out[r.space][units(r)] = True
    return out


@pytest.mark.parametrize("chip", ["nano", "os256", "vta256"])
@pytest.mark.parametrize("op", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_effects_hold_all_that_is_written_and_all_that_matters(chip, op):
    m = state(chip)
    touched = effects(op, m.chip)
    written, read = marks(m, touched.writes), marks(m, touched.reads)
    before = {space: memory.copy() for space, memory in memories(m).items()}

    execute(op, m)

    other = state(chip)  # the same, but different wherever the effects do not say it is read
    for space, memory in memories(other).items():
        memory[~read[space]] ^= 85
    execute(op, other)
    for space, memory in memories(m).items():
        changed = memory != before[space]
        assert not changed.reshape(len(memory), -1).any(axis=1)[~written[space]].any(), space
        assert np.array_equal(memory[written[space]], memories(other)[space][written[space]])
    assert any(w.any() for w in written.values())


@pytest.mark.parametrize("op", [OPERATIONS["conv 1x1 stride 2"], OPERATIONS["st"]])
def test_no_byte_is_claimed_that_is_not_read(op):
    m = state("nano")
    claimed = np.flatnonzero(marks(m, effects(op, m.chip).reads)[Space.SP])
    execute(op, m)
    result = m.acc.copy(), m.dram.copy()

    for byte in claimed:
        other = state("nano")
        other.sp[byte] ^= 1
        execute(op, other)
        same = np.array_equal(other.acc, result[0]) and np.array_equal(other.dram, result[1])
        assert not same, byte


regions = st.builds(
    lambda base, run, dims: region(Space.SP, base, run, dims),
    st.integers(100, 200),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(-30, 30), st.integers(1, 4)), max_size=3),
)


@settings(max_examples=300)
@given(regions, regions)
def test_overlap_is_exact(a, b):
    shared = np.intersect1d(units(a), units(b))

    assert overlap(a, b) == overlap(b, a) == (shared.size > 0)
    assert a.base == units(a).min() and a.end == units(a).max() + 1


def test_other_memories_do_not_overlap():
    assert not overlap(Region(Space.SP, 0, 9), Region(Space.DRAM, 0, 9))
