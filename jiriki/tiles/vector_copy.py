"""Copies inside the scratchpad by the vector unit: whole words along windows.

In: two `End`s in the scratchpad and loops of (count, source stride, target stride) in bytes.
Out: VectorTiles that move raw 32-bit or int8 words; False when an element, not a word, must move.
"""

from collections.abc import Sequence

from jiriki.tiles.builder import Builder
from jiriki.tiles.move import End, Loop, merge_loops
from jiriki.tiles.tile_program import Stream, VectorTile, Window

MAX_P = 32_767
MAX_STEP = 31
MAX_PLANE = (1 << 18) - 1
MAX_GROUPS = (1 << 14) - 1
MAX_TILES = 64  # more VectorTiles than this: DMA is the better way


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
                layer=b.layer, chain=(("mov", "v"),), p=p, groups=groups,
                in0=Stream(src.buffer, src.offset + src_by * word, window_in, "i8"),
                out=Stream(dst.buffer, dst.offset + dst_by * word, window_out, "i8"),
                out_quant=(0, -128, 127), reads=(src.area,), writes=(dst.area,),
            )
        )  # fmt: skip
    return True


Plan = tuple[int, int, int, int, tuple[Window, Window]]


def _windows(loops: list[Loop]) -> list[Plan] | None:
    """Map word loops (outermost first) onto groups, rows and columns; the rest are iterated."""
    columns = loops[-1]
    if columns.count == 1 and len(loops) > 1 and _steps(loops[-2]):
        loops = [*loops[:-2], loops[-2]]
        columns = loops[-1]
    if columns.count > MAX_P:
        return None
    rest = loops[:-1]
    group = rest.pop(0) if rest else Loop(1, 0, 0)
    rows = rest.pop() if rest else Loop(1, 0, 0)
    if max(group.src, group.dst) > MAX_PLANE or group.count > MAX_GROUPS:
        return None
    if max(rows.src, rows.dst) >= 1 << 15 or rows.count >= 1 << 13:
        return None
    points = [(0, 0)]
    for loop in rest:
        points = [
            (s + i * loop.src, d + i * loop.dst) for s, d in points for i in range(loop.count)
        ]
    per = max(1, min(rows.count, MAX_P // columns.count))
    if len(points) * -(-rows.count // per) > MAX_TILES:
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


def _steps(loop: Loop) -> bool:
    """Whether a loop can be the columns of a window on both sides."""
    return all(0 <= s <= MAX_STEP for s in (loop.src, loop.dst)) and (
        loop.count * max(loop.src, loop.dst) < 1 << 15
    )


def _window(plane: int, pitch: int, step: int, rows: int, columns: int) -> Window:
    return Window(
        plane=plane, pitch=pitch, h=rows, w=(columns - 1) * step + 1, ow=columns,
        sy=1, sx=step,
    )  # fmt: skip
