"""Effects of VX: the regions that each operation reads and writes.

In: a resolved operation and the chip. Out: `Effects`. A region is never smaller than what is
touched; it is larger only where a window's taps skip rows or
columns unevenly and for LDT of a segment table (the greatest image).
"""

from jiriki.chip.config import ChipConfig
from jiriki.isa.regions import Effects, Region, Space, region, window_regions
from jiriki.isa.vector.operations import LdtOp, Stream, VrunOp
from jiriki.isa.words import DTYPE_BYTES, DType, MicroOp, TableKind

SEGMENT_IMAGE_BYTES = 16 * 257
LUT_IMAGE_BYTES = 256


def ldt_effects(op: LdtOp, chip: ChipConfig) -> Effects:
    """Return what LDT touches."""
    lut = op.kind is TableKind.LUT8
    base = op.base * chip.ku
    size = LUT_IMAGE_BYTES if lut else min(SEGMENT_IMAGE_BYTES, chip.scratchpad_bytes - base)
    slot = op.slot + (0 if lut else 16)
    return Effects((Region(Space.SP, base, size),), (Region(Space.TABLE, slot, 1),))


def vrun_effects(op: VrunOp, chip: ChipConfig) -> Effects:
    """Return what VRUN touches: its streams, its parameters and its tables."""
    reads: list[Region] = []
    if op.in0 is not None and op.in0.dtype is DType.ACC:
        rows = -(-op.p // chip.beat_pixels)
        reads.append(region(Space.ACC, op.in0.base, rows, [(op.in0.window.plane, op.groups)]))
    elif op.in0 is not None:
        reads += stream_regions(op.in0, op.p, op.groups, chip, taps=op.taps > 1)
    for stream in (op.in1, op.in2):
        if stream is not None:
            reads += stream_regions(stream, op.p, op.groups, chip)
    if op.params is not None:
        reads.append(Region(Space.SP, op.params * chip.ku, 8 * chip.ku * op.groups))
    for micro in (*op.before, *op.after):
        if micro.op in (MicroOp.LUT, MicroOp.TBL):
            slot = micro.src + (16 if micro.op is MicroOp.TBL else 0)
            reads.append(Region(Space.TABLE, slot, 1))
    if op.out is None:
        return Effects(tuple(reads), ())
    return Effects(tuple(reads), stream_regions(op.out, *op.result, chip))


def stream_regions(
    stream: Stream, p: int, groups: int, chip: ChipConfig, *, taps: bool = False
) -> tuple[Region, ...]:
    """Return the scratchpad bytes that a VX stream walks."""
    item = chip.ku * DTYPE_BYTES[stream.dtype]
    return window_regions(stream.base * chip.ku, item, stream.window, p, groups, taps=taps)
