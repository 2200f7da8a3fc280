"""Meaning of LD and ST: bytes moved between DRAM and scratchpad (`dma.py` states it).

In: a resolved `DmaOp` and the machine. Out: the machine's memories changed. Targets that overlap
themselves are written run by run in order, so that the last write stays.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.machine import Machine, disjoint, strided
from jiriki.isa.words import DmaMode


def execute_dma(op: DmaOp, machine: Machine) -> None:
    """Move, fill, gather or transpose. Raises IsaError for an address outside a memory."""
    if op.mode is DmaMode.GATHER:
        _gather(op, machine)
    elif op.mode is DmaMode.FILL:
        _side(op, machine, to_dram=op.store)[...] = op.fill
    else:
        source = _side(op, machine, to_dram=not op.store)
        target = _side(op, machine, to_dram=op.store)
        if disjoint(target.shape, target.strides, 1):
            target[...] = source
        else:
            for place in product(*(range(n) for n in target.shape[:-1])):
                target[place] = source[place]


def _side(op: DmaOp, machine: Machine, *, to_dram: bool) -> NDArray[np.uint8]:
    """Return the DRAM or the scratchpad side as a view [.., count1, count0, run] uint8."""
    shape = (*(d.count for d in reversed(op.dims)), op.run)
    if to_dram:
        strides = (*(d.dram_stride for d in reversed(op.dims)), 1)
        return strided(machine.dram, "DRAM", op.dram, shape, strides, np.uint8)
    strides = (*(d.sp_stride for d in reversed(op.dims)), op.byte_stride)
    return strided(machine.sp, "scratchpad", op.sp, shape, strides, np.uint8)


def _gather(op: DmaOp, machine: Machine) -> None:
    """Run GATHER: a move for each entry of the index list, in run order where that can show."""
    assert op.index is not None, "resolve gives every GATHER its index list"
    first = op.dims[0]
    entries = machine.sp_view(op.index, (first.count,), (4,), np.int32).tolist()
    near = _side(op, machine, to_dram=False)  # [.., count1, count0, run]
    far = [_entry(op, machine, entry) for entry in entries]  # count0 times [.., count1, run]
    outer = near.shape[:-2]
    if not op.store and disjoint(near.shape, near.strides, 1):
        for place, dram in enumerate(far):
            near[..., place, :] = dram
        return
    for where in product(*(range(n) for n in outer)):
        for place, dram in enumerate(far):
            source, target = dram[where], near[(*where, place)]
            if op.store:
                source, target = target, source
            target[...] = source


def _entry(op: DmaOp, machine: Machine, entry: int) -> NDArray[np.uint8]:
    """Return the DRAM side of one index entry."""
    outer = op.dims[1:]
    shape = (*(d.count for d in reversed(outer)), op.run)
    strides = (*(d.dram_stride for d in reversed(outer)), 1)
    byte = op.dram + entry * op.dims[0].dram_stride
    return strided(machine.dram, "DRAM", byte, shape, strides, np.uint8)
