"""Affine copies: nested loops of byte offsets, carried out by the two DMA units.

In: two `End`s (a buffer, a byte offset, the area touched) and loops of (count, source stride,
target stride) in bytes. Out: `Move`s. DRAM to DRAM goes through scratchpad blocks, scratchpad to
scratchpad through a DRAM buffer; between the two spaces one DMA does it directly.

Both DRAM sides stay contiguous where they can: a block is packed in the order of one side, and
the other side's DMA scatters single bytes (SCATTER_BYTES) or element-wide runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from jiriki.isa.words import DmaMode
from jiriki.tiling.builder import MAX_RUN, Builder
from jiriki.tiling.tile_program import Area, Buffer, Move, Space

MAX_COUNT = 65_535
MAX_DIMS = 4
MANY_MOVES = 32


class Loop(NamedTuple):
    """One loop of a copy: iterations, and bytes each side advances."""

    count: int
    src: int
    dst: int


@dataclass(frozen=True, slots=True)
class End:
    """One side of a copy."""

    buffer: Buffer
    offset: int
    area: Area

    @property
    def in_dram(self) -> bool:
        return self.buffer.space is Space.DRAM

    def moved(self, by: int) -> "End":
        return End(self.buffer, self.offset + by, self.area)


def copy_loops(b: Builder, src: End, dst: End, loops: Sequence[Loop], width: int) -> None:
    """Copy `width` bytes at every point of `loops`, src to dst (areas must not overlap)."""
    loops = merge_loops(loops)
    if src.in_dram and dst.in_dram:
        _dram_to_dram(b, src, dst, loops, width)
    elif src.in_dram:
        _dma(b, True, src, dst, loops, width)
    elif dst.in_dram:
        _dma(b, False, dst, src, [Loop(n, d, s) for n, s, d in loops], width)
    else:
        _through_dram(b, src, dst, loops, width)


def merge_loops(loops: Sequence[Loop]) -> list[Loop]:
    """Drop single iterations and join loops that continue each other; largest target step first."""
    rest = sorted((x for x in loops if x.count > 1), key=lambda x: (abs(x.dst), abs(x.src)))
    merged: list[Loop] = []
    for loop in rest:  # innermost first
        inner = merged[-1] if merged else None
        if inner and (loop.src, loop.dst) == (inner.count * inner.src, inner.count * inner.dst):
            merged[-1] = Loop(inner.count * loop.count, inner.src, inner.dst)
        else:
            merged.append(loop)
    return merged[::-1]


def _through_dram(b: Builder, src: End, dst: End, loops: list[Loop], width: int) -> None:
    """Scratchpad to scratchpad: out to a dense DRAM buffer and back."""
    size = width * prod(x.count for x in loops)
    buffer = Buffer("bounce", Space.DRAM, size)
    middle = End(buffer, 0, Area(buffer))
    strides = _dense_strides([x.count for x in loops], width)
    out = [Loop(x.count, x.src, s) for x, s in zip(loops, strides, strict=True)]
    back = [Loop(x.count, s, x.dst) for x, s in zip(loops, strides, strict=True)]
    copy_loops(b, src, middle, out, width)
    copy_loops(b, middle, dst, back, width)


def _dense_strides(counts: Sequence[int], width: int) -> list[int]:
    """Strides of a dense block whose first loop is outermost."""
    strides = [width] * len(counts)
    for i in range(len(counts) - 2, -1, -1):
        strides[i] = strides[i + 1] * counts[i + 1]
    return strides


# -- DRAM to DRAM --------------------------------------------------------------------------


def _dram_to_dram(b: Builder, src: End, dst: End, loops: list[Loop], width: int) -> None:
    size = width * prod(x.count for x in loops)
    budget = min(max(b.available // 2, 256), max(4096, size // 4))
    for src_by, dst_by, part in _blocks(loops, width, budget):
        _block(b, src.moved(src_by), dst.moved(dst_by), part, width)


def _blocks(loops: list[Loop], width: int, budget: int) -> Iterator[tuple[int, int, list[Loop]]]:
    """Yield (source offset, target offset, loops) of blocks of at most `budget` bytes."""
    size = width * prod(x.count for x in loops)
    if size <= budget or not loops:
        yield 0, 0, loops
        return
    head, rest = loops[0], loops[1:]
    step = max(1, budget // (size // head.count))
    for i in range(0, head.count, step):
        part = Loop(min(step, head.count - i), head.src, head.dst)
        inside = [part, *rest] if step > 1 else rest
        for src_by, dst_by, block in _blocks(inside, width, budget):
            yield i * head.src + src_by, i * head.dst + dst_by, block


def _block(b: Builder, src: End, dst: End, loops: list[Loop], width: int) -> None:
    """Copy one block, packed in the order of the side that leaves the longer runs to the other."""
    by_src = sorted(loops, key=lambda x: -abs(x.src))
    by_dst = sorted(loops, key=lambda x: -abs(x.dst))
    long_src = max((x.count for x in loops if x.src == width), default=1)
    long_dst = max((x.count for x in loops if x.dst == width), default=1)
    order = by_dst if long_src >= long_dst else by_src
    strides = _dense_strides([x.count for x in order], width)
    buffer = b.scratch("copy", width * prod(x.count for x in loops))
    middle = End(buffer, 0, Area(buffer))
    load = [Loop(x.count, x.src, s) for x, s in zip(order, strides, strict=True)]
    store = [Loop(x.count, x.dst, s) for x, s in zip(order, strides, strict=True)]
    _dma(b, True, src, middle, load, width)
    _dma(b, False, dst, middle, store, width)


# -- one DMA -------------------------------------------------------------------------------


def _dma(b: Builder, load: bool, dram: End, sp: End, loops: Sequence[Loop], width: int) -> None:
    """Emit the Moves of one side; loops are (count, DRAM stride, scratchpad stride)."""
    rest = merge_loops([Loop(n, s, d) for n, d, s in loops])  # by DRAM stride, outermost first
    rest = [Loop(n, d, s) for n, s, d in rest]
    run = width
    while True:
        more = next((x for x in rest if x.src == run == x.dst and run * x.count <= MAX_RUN), None)
        if more is None:
            break
        rest.remove(more)
        run *= more.count
    scatter = None
    if run == 1:
        scatter = next((x for x in rest if x.src == 1 and x.count <= MAX_COUNT), None)
    if scatter is not None:
        rest.remove(scatter)
        run = scatter.count
    rest = [part for loop in rest for part in _countable(loop)]
    room = MAX_DIMS if scatter is None else MAX_DIMS - 1
    held = list(range(len(rest)))[-room:]
    if prod(x.count for x in rest[:-room]) > MANY_MOVES:  # iterate the shortest loops here instead
        held = sorted(sorted(range(len(rest)), key=lambda i: -rest[i].count)[:room])
    inner = [rest[i] for i in held]
    outer = [rest[i] for i in range(len(rest)) if i not in held]
    dims = tuple(reversed([tuple(x) for x in inner]))
    for dram_by, sp_by in _points(outer):
        _emit(b, load, dram.moved(dram_by), sp.moved(sp_by), run, dims, scatter)


def _countable(loop: Loop) -> list[Loop]:
    """Split a loop whose count exceeds the field into two loops (and, if prime, iterate)."""
    if loop.count <= MAX_COUNT:
        return [loop]
    inner = next(n for n in range(MAX_COUNT, 0, -1) if loop.count % n == 0)
    outer = Loop(loop.count // inner, loop.src * inner, loop.dst * inner)
    return [*_countable(outer), Loop(inner, loop.src, loop.dst)] if inner > 1 else [outer]


def _points(loops: Sequence[Loop]) -> Iterator[tuple[int, int]]:
    """Yield the offsets of both sides at every point of `loops`."""
    if not loops:
        yield 0, 0
        return
    head, *rest = loops
    for i in range(head.count):
        for src, dst in _points(rest):
            yield i * head.src + src, i * head.dst + dst


def _emit(
    b: Builder,
    load: bool,
    dram: End,
    sp: End,
    run: int,
    dims: tuple[tuple[int, ...], ...],
    scatter: Loop | None,
) -> None:
    mode = DmaMode.COPY
    if scatter is not None:
        mode = DmaMode.SCATTER_BYTES
        dims = (*dims, *[(1, 0, 0)] * (MAX_DIMS - 1 - len(dims)), (1, 0, scatter.dst))
    source, target = (dram, sp) if load else (sp, dram)
    b.emit(
        Move(
            layer=b.layer, load=load, dram=dram.buffer, dram_offset=dram.offset, sp=sp.buffer,
            sp_offset=sp.offset, run=run, dims=dims, mode=mode,  # type: ignore[arg-type]
            reads=(source.area,), writes=(target.area,),
        )
    )  # fmt: skip


def copy_block(b: Builder, load: bool, dram: End, sp: End, size: int) -> None:
    """Move `size` contiguous bytes between DRAM and scratchpad."""
    whole, rest = divmod(size, MAX_RUN)
    if whole:
        _dma(b, load, dram, sp, [Loop(whole, MAX_RUN, MAX_RUN)], MAX_RUN)
    if rest:
        done = whole * MAX_RUN
        _dma(b, load, dram.moved(done), sp.moved(done), [], rest)


def fill(b: Builder, end: End, size: int, value: int) -> None:
    """Set `size` contiguous bytes to `value`."""
    done = 0
    while done < size:
        run = min(MAX_RUN, size - done)
        count = min(MAX_COUNT, (size - done) // run)
        offset = end.offset + done
        b.emit(
            Move(
                layer=b.layer, load=not end.in_dram, dram=end.buffer if end.in_dram else None,
                dram_offset=offset if end.in_dram else 0, sp=None if end.in_dram else end.buffer,
                sp_offset=0 if end.in_dram else offset, run=run, mode=DmaMode.FILL,
                fill=value & 255, dims=((count, run, run),) if count > 1 else (),
                writes=(end.area,),
            )
        )  # fmt: skip
        done += run * count
