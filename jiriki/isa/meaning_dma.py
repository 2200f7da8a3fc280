"""Meaning of LD and ST: bytes moved between DRAM and scratchpad (`dma.py` states it).

In: a resolved `DmaOp` and the machine. Out: the machine's memories changed. Targets that overlap
themselves are written run by run in order, so that the last write stays.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from jiriki.isa.dma import DmaMode
from jiriki.isa.machine import Machine, disjoint, strided
from jiriki.isa.operations import DmaOp


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
    """Run GATHER: one plain move for each entry of the index list."""
    assert op.index is not None, "resolve gives every GATHER its index list"
    first, outer = op.dims[0], op.dims[1:]
    entries = machine.sp_view(op.index, (first.count,), (4,), np.int32).copy()
    shape = (*(d.count for d in reversed(outer)), op.run)
    far = (*(d.dram_stride for d in reversed(outer)), 1)
    near = (*(d.sp_stride for d in reversed(outer)), 1)
    for place, entry in enumerate(entries.tolist()):
        byte = op.dram + entry * first.dram_stride
        dram = strided(machine.dram, "DRAM", byte, shape, far, np.uint8)
        sp = machine.sp_view(op.sp + place * first.sp_stride, shape, near, np.uint8)
        if op.store:
            dram[...] = sp
        else:
            sp[...] = dram
