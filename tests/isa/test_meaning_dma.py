"""LD and ST against byte-by-byte loops written from the sentence in `dma.py`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiriki.chip.catalogue import load_chip
from jiriki.isa.dma.operations import DmaDim, DmaOp
from jiriki.isa.errors import IsaError
from jiriki.isa.machine import Machine
from jiriki.isa.operations import execute
from jiriki.isa.words import DmaMode

DRAM_BYTES = 4096


def machine(seed: int = 0) -> Machine:
    rng = np.random.default_rng(seed)
    m = Machine(load_chip("nano"), rng.integers(0, 256, DRAM_BYTES, dtype=np.uint8))
    m.sp[:] = rng.integers(0, 256, m.sp.size, dtype=np.uint8)
    return m


def expected(op: DmaOp, m: Machine) -> tuple[np.ndarray, np.ndarray]:
    dram, sp = m.dram.copy(), m.sp.copy()
    dims = [*op.dims, *(DmaDim(1, 0, 0),) * (4 - len(op.dims))]
    index = None
    if op.index is not None:
        index = m.sp[op.index : op.index + 4 * dims[0].count].copy().view(np.int32)
    for i3 in range(dims[3].count):
        for i2 in range(dims[2].count):
            for i1 in range(dims[1].count):
                for i0 in range(dims[0].count):
                    at = (i0, i1, i2, i3)
                    near = op.sp + sum(i * d.sp_stride for i, d in zip(at, dims, strict=True))
                    steps = (int(index[i0]) if index is not None else i0, i1, i2, i3)
                    far = op.dram + sum(i * d.dram_stride for i, d in zip(steps, dims, strict=True))
                    for j in range(op.run):
                        here = near + j * op.byte_stride
                        if op.mode is DmaMode.FILL:
                            (dram if op.store else sp)[far + j if op.store else here] = op.fill
                        elif op.store:
                            dram[far + j] = m.sp[here]
                        else:
                            sp[here] = m.dram[far + j]
    return dram, sp


strides = st.sampled_from([0, 1, 3, 4, 7, 16, 40, -1, -5, -16])
dims = st.lists(st.builds(DmaDim, st.integers(1, 4), strides, strides), max_size=3)


@given(
    store=st.booleans(),
    mode=st.sampled_from(DmaMode),
    dims=dims,
    run=st.integers(1, 9),
    byte_stride=st.sampled_from([1, 2, 8]),
)
def test_every_mode_moves_the_bytes_of_the_sentence(store, mode, dims, run, byte_stride):
    if mode is DmaMode.GATHER and not dims:
        dims = [DmaDim(3, 5, 11)]
    m = machine()
    index = 20000 if mode is DmaMode.GATHER else None
    if index is not None:
        m.sp[index : index + 16].view(np.int32)[:] = [3, -2, 7, 0]
    stride = byte_stride if mode is DmaMode.SCATTER_BYTES else 1
    op = DmaOp(store, 2000, 1000, run, mode, 0xA5, tuple(dims), index, stride)
    dram, sp = expected(op, m)

    execute(op, m)

    assert np.array_equal(m.dram, dram)
    assert np.array_equal(m.sp, sp)


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize(("dram", "sp"), [(DRAM_BYTES - 3, 0), (0, 65536 - 3)])
def test_an_address_beyond_a_memory_is_refused_before_anything_moves(store, dram, sp):
    m = machine()
    before = m.dram.copy(), m.sp.copy()
    op = DmaOp(store, dram, sp, 4, DmaMode.COPY, 0, (), None, 1)

    with pytest.raises(IsaError, match=r"bytes \d+\.\.\d+ lie outside"):
        execute(op, m)

    assert np.array_equal(m.dram, before[0])
    assert np.array_equal(m.sp, before[1])
