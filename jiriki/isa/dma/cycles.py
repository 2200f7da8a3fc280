"""Ideal cycles of LD and ST: beats of the DRAM port and accesses of the scratchpad."""

from jiriki.chip.config import ChipConfig
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.words import DmaMode

SCATTER_BYTES = 8  # bytes a cycle of SCATTER_BYTES


def dma_beats(op: DmaOp, chip: ChipConfig) -> int:
    """Return the beats of the DRAM port that an LD or ST takes (GATHER: as if index[i] = i)."""
    if op.mode is DmaMode.FILL and not op.store:
        return 0
    bpc, burst = chip.dram_bytes_per_cycle, chip.dram_burst_bytes
    dims = [(d.count, d.dram_stride) for d in op.dims]
    run = op.run
    while dims and op.mode is not DmaMode.GATHER and (dims[0][0] == 1 or dims[0][1] == run):
        run *= dims.pop(0)[0]
    at = {op.dram % burst: 1}  # how many runs begin at each place in a burst
    for count, stride in dims:
        at = _spread(at, count, stride, burst)
    return sum(n * ((place % bpc + run + bpc - 1) // bpc) for place, n in at.items())


def _spread(at: dict[int, int], count: int, stride: int, burst: int) -> dict[int, int]:
    """Return the places after one more strided dimension."""
    steps: dict[int, int] = {}
    for i in range(min(count, burst)):  # i * stride modulo burst repeats after `burst` iterations
        place = i * stride % burst
        steps[place] = steps.get(place, 0) + (count - i + burst - 1) // burst
    out: dict[int, int] = {}
    for place, n in at.items():
        for step, times in steps.items():
            to = (place + step) % burst
            out[to] = out.get(to, 0) + n * times
    return out


def dma_chunks(op: DmaOp, chip: ChipConfig) -> int:
    """Return the scratchpad accesses of an LD or ST: pieces of a run, at most a beat long."""
    bpc = chip.dram_bytes_per_cycle
    if op.mode is DmaMode.SCATTER_BYTES:
        return op.runs * -(-op.run // min(SCATTER_BYTES, bpc))
    if op.mode is DmaMode.FILL and op.store:
        return -(-op.bytes // bpc)
    run, runs = op.run, op.runs
    for dim in op.dims:
        if dim.count > 1 and dim.sp_stride != run:
            break
        run, runs = run * dim.count, runs // dim.count
    return runs * -(-run // bpc)


def dma_cycles(op: DmaOp, chip: ChipConfig) -> int:
    """Count the longer of DRAM port beats and scratchpad pieces (of at most a beat each)."""
    return max(dma_beats(op, chip), dma_chunks(op, chip))
