"""Effects of VX: the regions that each operation reads and writes.

In: a resolved operation and the chip. Out: `Effects`. A region is never smaller than what is
touched; it is larger only where a window's taps skip rows or
columns unevenly and for LDT of a segment table (the greatest image).
"""

from jiriki.chip.config import ChipConfig
from jiriki.isa.regions import TABLE_SLOTS, Effects, Region, Space, region, window_regions
from jiriki.isa.vector.operations import LdtOp, Stream, VrunOp
from jiriki.isa.words import DType, TableKind


def ldt_effects(op: LdtOp, chip: ChipConfig) -> Effects:
    """Return what LDT touches."""
    base, size = op.base * chip.ku, op.kind.image_bytes
    if op.kind is TableKind.SEGMENT:
        size = min(size, chip.scratchpad_bytes - base)
    return Effects((Region(Space.SP, base, size),), (_table(op.kind, op.slot),))


def _table(kind: TableKind, slot: int) -> Region:
    return Region(Space.TABLE, slot + TABLE_SLOTS * kind, 1)


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
        if micro.op.table is not None:
            reads.append(_table(micro.op.table, micro.src))
    if op.out is None:
        return Effects(tuple(reads), ())
    return Effects(tuple(reads), stream_regions(op.out, *op.result, chip))


def stream_regions(
    stream: Stream, p: int, groups: int, chip: ChipConfig, *, taps: bool = False
) -> tuple[Region, ...]:
    """Return the scratchpad bytes that a VX stream walks."""
    item = chip.ku * stream.dtype.bytes
    return window_regions(stream.base * chip.ku, item, stream.window, p, groups, taps=taps)
