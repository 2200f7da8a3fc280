"""Copies by the vector unit: whole words along windows, inside the scratchpad or staged through it.

In: two `End`s and loops of (count, source stride, target stride) in bytes. Out: VectorTiles that
move words (as int8, which keeps every byte); False when elements, not words, must move, or when a
plain DMA does as well.
"""

from collections.abc import Iterator, Sequence
from math import prod

from jiriki.isa.words import DType, Quantiser, Window
from jiriki.numerics import Format
from jiriki.tiling.builder import Builder
from jiriki.tiling.moves.move import End, Loop, copy_block, merge_loops
from jiriki.tiling.tile_program import PASS, Area, Stream, VectorTile

MAX_P = 32_767
MAX_STEP = 31
MAX_PLANE = (1 << 18) - 1
MAX_GROUPS = (1 << 14) - 1
MAX_TILES = 64  # more VectorTiles than this: DMA is the better way
MIN_WORDS = 64  # words that a VectorTile should move at least, where several are needed
MIN_STAGE = 2_048  # bytes that a stage should move at least
LONG_RUN = 32  # bytes: with such runs a DMA is as fast
MAX_WASTE = 4  # bytes loaded per byte that is used


def vector_copy(b: Builder, src: End, dst: End, loops: Sequence[Loop], width: int) -> bool:
    """Copy with the vector unit if every loop moves whole words; return whether it did."""
    word = b.chip.ku
    rest = merge_loops(loops)
    run = width
    if rest and rest[-1].src == run == rest[-1].dst:
        run *= rest.pop().count
    if run % word or src.offset % word or dst.offset % word:
        return False
    if any(x.src % word or x.dst % word or x.src < 0 or x.dst < 0 for x in rest):
        return False
    rest = [Loop(n, s // word, d // word) for n, s, d in rest]
    words = Loop(run // word, 1, 1)
    plans = _windows([*rest, words])
    if plans is None:
        return False
    for src_by, dst_by, groups, p, pair in plans:
        window_in, window_out = pair
        b.emit(
            VectorTile(
                layer=b.layer, chain=PASS, p=p, groups=groups,
                in0=Stream(src.buffer, src.offset + src_by * word, window_in, DType.I8),
                out=Stream(dst.buffer, dst.offset + dst_by * word, window_out, DType.I8),
                out_quant=Quantiser.saturating(Format.INT8), reads=(src.area,), writes=(dst.area,),
            )
        )  # fmt: skip
    return True


def staged_copy(b: Builder, src: End, dst: End, loops: Sequence[Loop], width: int) -> bool:
    """Copy DRAM to DRAM as contiguous loads, rearranging in the scratchpad, contiguous stores.

    Worth it, and done, only where a DMA would move short runs; returns whether it was done.
    """
    rest = merge_loops(loops)
    if any(x.src < 0 or x.dst < 0 for x in rest) or _joint_run(rest, width) >= LONG_RUN:
        return False
    start, whole = len(b.ops), width * prod(x.count for x in rest)
    for src_by, dst_by, part in _stages(rest, width, b.available // 2):
        reach = [sum((x.count - 1) * x[side] for x in part) + width for side in (1, 2)]
        moved = width * prod(x.count for x in part)
        small = len(b.ops) == start and moved < min(whole, MIN_STAGE)
        waste = reach[1] != moved or reach[0] > MAX_WASTE * moved
        if small or waste or sum(reach) > b.available:
            b.take_ops(start)
            return False
        buffers = [b.scratch("stage", -(-size // b.chip.ku) * b.chip.ku) for size in reach]
        here, there = (End(x, 0, Area(x)) for x in buffers)
        copy_block(b, True, src.moved(src_by), here, reach[0])
        if not vector_copy(b, here, there, part, width):
            b.take_ops(start)
            return False
        copy_block(b, False, dst.moved(dst_by), there, reach[1])
    return True


def _joint_run(loops: Sequence[Loop], width: int) -> int:
    """Bytes that are contiguous on both sides."""
    run = width
    for loop in reversed(loops):
        if loop.src == run == loop.dst:
            run *= loop.count
    return run


def _stages(loops: list[Loop], width: int, budget: int) -> Iterator[tuple[int, int, list[Loop]]]:
    """Cut the outermost loops until what a part reaches on both sides fits `budget`."""
    reach = sum((x.count - 1) * (x.src + x.dst) for x in loops) + 2 * width
    size = width * prod(x.count for x in loops)
    wish = min(budget, max(8_192, 2 * size // 4))
    if reach <= wish or not loops:
        yield 0, 0, loops
        return
    head, rest = loops[0], loops[1:]
    each = reach - (head.count - 1) * (head.src + head.dst)
    step = max(1, min(head.count, (wish - each) // (head.src + head.dst) + 1))
    step = -(-head.count // -(-head.count // step))  # parts of one size
    for i in range(0, head.count, step):
        part = Loop(min(step, head.count - i), head.src, head.dst)
        if step > 1:
            yield i * head.src, i * head.dst, [part, *rest]
            continue
        for src_by, dst_by, block in _stages(rest, width, budget):
            yield i * head.src + src_by, i * head.dst + dst_by, block


Plan = tuple[int, int, int, int, tuple[Window, Window]]


def _windows(loops: list[Loop]) -> list[Plan] | None:
    """Map word loops (outermost first) onto groups, rows and columns; the rest are iterated."""
    fit = [x for x in loops if _steps(x)]
    columns = max(fit, key=lambda x: x.count, default=None)
    if columns is None:
        return None
    rest = sorted((x for x in loops if x is not columns), key=lambda x: -x.count)
    group = next((x for x in rest if _planes(x)), Loop(1, 0, 0))
    rest = [x for x in rest if x is not group]
    rows = next((x for x in rest if _lines(x)), Loop(1, 0, 0))
    rest = [x for x in rest if x is not rows]
    points = [(0, 0)]
    for loop in rest:
        points = [
            (s + i * loop.src, d + i * loop.dst) for s, d in points for i in range(loop.count)
        ]
    per = max(1, min(rows.count, MAX_P // columns.count))
    tiles = len(points) * -(-rows.count // per)
    if tiles > MAX_TILES or (tiles > 1 and prod(x.count for x in loops) < tiles * MIN_WORDS):
        return None
    plans: list[Plan] = []
    for s, d in points:
        for r in range(0, rows.count, per):
            n = min(per, rows.count - r)
            pair = (
                _window(group.src, rows.src, columns.src, n, columns.count),
                _window(group.dst, rows.dst, columns.dst, n, columns.count),
            )
            at = s + r * rows.src, d + r * rows.dst
            plans.append((*at, group.count, n * columns.count, pair))
    return plans


def _planes(loop: Loop) -> bool:
    """Whether a loop can be the groups of a vector run."""
    return min(loop.src, loop.dst) >= 0 and (
        max(loop.src, loop.dst) <= MAX_PLANE and loop.count <= MAX_GROUPS
    )


def _lines(loop: Loop) -> bool:
    """Whether a loop can be the rows of a window on both sides."""
    return max(loop.src, loop.dst) < 1 << 15 and loop.count < 1 << 13


def _steps(loop: Loop) -> bool:
    """Whether a loop can be the columns of a window on both sides."""
    return (
        loop.count <= MAX_P
        and max(loop.src, loop.dst) <= MAX_STEP
        and loop.count * max(loop.src, loop.dst) < 1 << 15
    )


def _window(plane: int, pitch: int, step: int, rows: int, columns: int) -> Window:
    return Window(
        plane=plane, pitch=pitch, h=rows, w=(columns - 1) * step + 1, ow=columns,
        sy=1, sx=step,
    )  # fmt: skip
