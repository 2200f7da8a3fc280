"""Effects: what each operation reads and writes, as strided regions.

In: a resolved operation and the chip. Out: `Effects`, regions of DRAM and scratchpad bytes,
accumulator rows, register file lines and table slots. A region is never smaller than what is
touched; it is larger only where noted: a window whose taps skip rows or columns unevenly, GATHER
(any byte of DRAM), and LDT of a segment table (the greatest image).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise
from math import gcd

import numpy as np
from numpy.typing import NDArray

from jiriki.chip.config import ChipConfig
from jiriki.isa.dma import DmaMode
from jiriki.isa.operations import (
    DTYPE_BYTES,
    ConvOp,
    DmaOp,
    DwOp,
    GemmOp,
    GemvOp,
    LdtOp,
    LdwOp,
    Operation,
    Stream,
    VrunOp,
    Window,
)
from jiriki.isa.vector import DType, MicroOp, TableKind

SEGMENT_IMAGE_BYTES = 16 * 257
LUT_IMAGE_BYTES = 256


class Space(IntEnum):
    """A memory of the tile; its unit of address."""

    DRAM = 0  # bytes
    SP = 1  # bytes
    ACC = 2  # rows
    WEIGHTS = 3  # lines
    TABLE = 4  # slots: 0..15 LUT8, 16..31 SEGMENT


@dataclass(frozen=True, slots=True)
class Region:
    """`run` units at base + sum(i_d * stride_d), i_d < count_d; normal form of `region`."""

    space: Space
    base: int
    run: int
    dims: tuple[tuple[int, int], ...] = ()  # (stride, count), greatest stride first

    @property
    def end(self) -> int:
        """Return the first unit beyond the bounding interval."""
        return self.base + sum(stride * (count - 1) for stride, count in self.dims) + self.run


@dataclass(frozen=True, slots=True)
class Effects:
    """Regions an operation reads and writes."""

    reads: tuple[Region, ...]
    writes: tuple[Region, ...]


def region(space: Space, base: int, run: int, dims: Iterable[tuple[int, int]]) -> Region:
    """Return the normal form: positive strides, adjacent runs merged, greatest stride first."""
    kept = []
    for stride, count in dims:
        if stride < 0:
            base, stride = base + stride * (count - 1), -stride
        if count > 1 and stride:
            kept.append((stride, count))
    kept.sort()
    while kept and kept[0][0] <= run:
        stride, count = kept.pop(0)
        run += stride * (count - 1)
    return Region(space, base, run, tuple(reversed(kept)))


def overlap(a: Region, b: Region) -> bool:
    """Tell whether two regions share a unit, exactly."""
    if a.space is not b.space or a.end <= b.base or b.end <= a.base:
        return False
    if not a.dims and not b.dims:
        return True
    return _overlap(b.base - a.base, a.run, a.dims, b.run, b.dims)


@lru_cache(maxsize=1 << 14)
def _overlap(
    shift: int,
    run_a: int,
    dims_a: tuple[tuple[int, int], ...],
    run_b: int,
    dims_b: tuple[tuple[int, int], ...],
) -> bool:
    a, b = _starts(dims_a), _starts(dims_b) + shift
    nearest = np.searchsorted(a, b + run_b) - 1  # the last run of a that starts before b's end
    return bool(((nearest >= 0) & (a[np.maximum(nearest, 0)] + run_a > b)).any())


@lru_cache(maxsize=1 << 12)
def _starts(dims: tuple[tuple[int, int], ...]) -> NDArray[np.int64]:
    starts = np.zeros(1, np.int64)
    for stride, count in dims:
        starts = (starts[:, None] + np.arange(count, dtype=np.int64) * stride).reshape(-1)
    return np.sort(starts)


def effects(op: Operation, chip: ChipConfig) -> Effects:
    """Return what `op` touches on `chip`."""
    if isinstance(op, DmaOp):
        return _dma(op, chip)
    if isinstance(op, VrunOp):
        return _vrun(op, chip)
    if isinstance(op, LdwOp):
        lines = region(Space.SP, op.b * chip.ku, op.lines * chip.nu * chip.ku, ())
        return Effects((lines,), (Region(Space.WEIGHTS, 0, op.lines),))
    if isinstance(op, LdtOp):
        return _ldt(op, chip)
    return _matrix(op, chip)


def _dma(op: DmaOp, chip: ChipConfig) -> Effects:
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


MatrixOp = ConvOp | GemmOp | DwOp | GemvOp


def result_rows(op: MatrixOp, chip: ChipConfig) -> tuple[int, int, int]:
    """Return (rows between channel groups, channel groups, rows of each) of the results."""
    tiles = op.tiles if isinstance(op, DwOp) else op.n_tiles
    pixels, tile = 1, 1
    if isinstance(op, GemmOp):
        pixels, tile = op.m, chip.mu
    elif not isinstance(op, GemvOp):
        pixels, tile = op.p, chip.mu
    whole = -(-pixels // tile) * tile
    return op.acc_stride, tiles * chip.nu // chip.ku, -(-whole // chip.beat_pixels)


def _matrix(op: MatrixOp, chip: ChipConfig) -> Effects:
    stride, groups, rows = result_rows(op, chip)
    target = region(Space.ACC, op.acc, rows, [(stride, groups)])
    if isinstance(op, GemmOp):
        reads = _gemm_reads(op, chip)
    elif isinstance(op, GemvOp):
        lines = Region(Space.WEIGHTS, 0, -(-op.steps // chip.nu))
        reads = (_packed_weights(op.b, op.n_tiles * op.steps, op.w4, chip), lines)
    else:
        count = op.groups if isinstance(op, ConvOp) else groups
        a = window_regions(op.a * chip.ku, chip.ku, op.window, op.p, count, taps=True)
        if isinstance(op, ConvOp):
            b = _packed_weights(op.b, op.n_tiles * op.steps, op.w4, chip)
        else:
            b = Region(Space.WEIGHTS, op.line, op.tiles * op.steps(chip.ku))
        reads = (*a, b)
    return Effects((*reads, target) if op.accumulate else reads, (target,))


def _packed_weights(b: int, lines: int, w4: bool, chip: ChipConfig) -> Region:
    return Region(Space.SP, b * chip.ku, lines * chip.nu * chip.ku // (2 if w4 else 1))


def _gemm_reads(op: GemmOp, chip: ChipConfig) -> tuple[Region, ...]:
    ku = chip.ku
    line = chip.nu * ku // (2 if op.w4 else 1)
    steps, tiles = (op.b_kstride * ku, op.steps), (op.b_nstride * ku, op.n_tiles)
    return (
        region(Space.SP, op.a * ku, op.m * ku, [(op.a_plane * ku, op.steps)]),
        region(Space.SP, op.b * ku, line, [steps, tiles]),
    )


def _ldt(op: LdtOp, chip: ChipConfig) -> Effects:
    lut = op.kind is TableKind.LUT8
    base = op.base * chip.ku
    size = LUT_IMAGE_BYTES if lut else min(SEGMENT_IMAGE_BYTES, chip.scratchpad_bytes - base)
    slot = op.slot + (0 if lut else 16)
    return Effects((Region(Space.SP, base, size),), (Region(Space.TABLE, slot, 1),))


def _vrun(op: VrunOp, chip: ChipConfig) -> Effects:
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


def window_regions(
    byte: int, item: int, window: Window, p: int, groups: int, *, taps: bool
) -> tuple[Region, ...]:
    """Return the bytes of the inside element groups of `item` bytes that a window visits."""
    return tuple(
        Region(r.space, r.base + byte, r.run, r.dims)
        for r in _window_regions(item, window, p, groups, taps)
    )


@lru_cache(maxsize=1 << 12)
def _window_regions(
    item: int, window: Window, p: int, groups: int, taps: bool
) -> tuple[Region, ...]:
    kh, kw = (window.kh, window.kw) if taps else (1, 1)
    full, rest = divmod(p, window.ow)
    parts = [(0, full, window.ow)] if full else []
    parts += [(full, full + 1, rest)] if rest else []
    out = []
    for first, last, columns in parts:
        rows = _visited(range(first, last), window.sy, kh, window.dy, window.py, window.h)
        across = _visited(range(columns), window.sx, kw, window.dx, window.px, window.w)
        if rows is None or across is None:
            continue
        base = (rows[0] * window.pitch + across[0]) * item
        dims = [
            (window.plane * item, groups),
            (rows[1] * window.pitch * item, rows[2]),
            (across[1] * item, across[2]),
        ]
        out.append(region(Space.SP, base, item, dims))
    return tuple(out)


def _visited(
    outputs: range, step: int, kernel: int, dilation: int, padding: int, size: int
) -> tuple[int, int, int] | None:
    """Return (first, stride, count) that covers the input positions inside 0..size - 1."""
    inside = {
        i
        for o in outputs
        for k in range(kernel)
        if 0 <= (i := o * step + k * dilation - padding) < size
    }
    if not inside:
        return None
    ordered = sorted(inside)
    stride = gcd(*(b - a for a, b in pairwise(ordered))) or 1
    return ordered[0], stride, (ordered[-1] - ordered[0]) // stride + 1
