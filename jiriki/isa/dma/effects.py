"""Effects of LD and ST: the regions that each operation reads and writes.

In: a resolved operation and the chip. Out: `Effects`. A region is never smaller than what is
touched; it is larger only where the mode is GATHER (any byte of DRAM).
"""

from jiriki.chip.config import ChipConfig
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.regions import Effects, Region, Space, region
from jiriki.isa.words import DmaMode


def dma_effects(op: DmaOp, chip: ChipConfig) -> Effects:
    """Return what LD or ST touches on both sides."""
    reads: list[Region] = []
    dram = region(Space.DRAM, op.dram, op.run, ((d.dram_stride, d.count) for d in op.dims))
    if op.mode is DmaMode.GATHER:
        dram = Region(Space.DRAM, 0, chip.dram_bytes)
        assert op.index is not None, "resolve gives every GATHER its index list"
        reads.append(Region(Space.SP, op.index, 4 * op.dims[0].count))
    near = [(d.sp_stride, d.count) for d in op.dims]
    if op.mode is DmaMode.SCATTER_BYTES:
        sp = region(Space.SP, op.sp, 1, [*near, (op.byte_stride, op.run)])
    else:
        sp = region(Space.SP, op.sp, op.run, near)
    source, target = (sp, dram) if op.store else (dram, sp)
    if op.mode is not DmaMode.FILL:
        reads.append(source)
    return Effects(tuple(reads), (target,))
