"""Offsets of the blocked form along one axis, and how lists of offsets become nested loops.

In: paired byte offsets, source and target. Out: loops (`move.Loop`) that visit every pair once.
"""

from math import prod

import numpy as np

from jiriki.tiling.builder import Placed
from jiriki.tiling.moves.move import Loop

Nest = tuple[int, int, tuple[Loop, ...]]  # first source and target offset, loops


# -- loops out of offset lists -------------------------------------------------------------


def loop_nests(src: np.ndarray, dst: np.ndarray) -> list[Nest]:
    """Break paired offsets [n] into nested loops that visit every pair once, in any order."""
    starts = np.stack([src, dst], axis=1).astype(np.int64)
    clusters: dict[tuple[Loop, ...], np.ndarray] = {(): starts}
    while True:
        grown: dict[tuple[Loop, ...], list[np.ndarray]] = {}
        for loops, points in clusters.items():
            for first, count, step in _runs(points):
                more = (Loop(count, int(step[0]), int(step[1])),) if count > 1 else ()
                grown.setdefault(more + loops, []).append(first)
        if sum(map(len, grown.values())) == sum(map(len, clusters.values())):
            break
        clusters = {loops: np.array(firsts) for loops, firsts in grown.items()}
    return [
        (int(s), int(d), loops) for loops, points in clusters.items() for s, d in points.tolist()
    ]


def _runs(points: np.ndarray) -> list[tuple[np.ndarray, int, np.ndarray]]:
    """Cut points [n, 2] into maximal runs of constant step: (first, count, step)."""
    runs, i, n = [], 0, len(points)
    steps = np.diff(points, axis=0)
    turns = np.flatnonzero((steps[1:] != steps[:-1]).any(axis=1)) + 1  # steps[t] starts anew
    while i < n:
        if i == n - 1:
            runs.append((points[i], 1, np.zeros(2, np.int64)))
            break
        turn = int(np.searchsorted(turns, i, side="right"))
        j = int(turns[turn]) + 1 if turn < len(turns) else n
        runs.append((points[i], j - i, steps[i]))
        i = j
    return runs


# -- offsets of one axis -------------------------------------------------------------------


def axis_offsets(tensor: Placed, axis: int, index: np.ndarray) -> np.ndarray:
    """Byte offsets that `index` along `axis` contributes in the blocked form."""
    layout, group_bytes = tensor.layout, tensor.layout.group_bytes
    if axis == layout.axis:
        return index // layout.ku * tensor.plane * group_bytes + index % layout.ku * layout.width
    after = prod(n for i, n in enumerate(layout.shape) if i > axis and i != layout.axis)
    return index * after * group_bytes
