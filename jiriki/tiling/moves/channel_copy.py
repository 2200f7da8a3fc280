"""Copies that only move channels, where the channel groups of source and target do not align.

In: a target tensor and, for each source, which of its channels go to which of the target's; pixels
stay as they are. Out: per block of pixels, loads into rows of the scratchpad that hold all channels
of one pixel in the target's order (short lanes of a word scattered as needed), and stores of whole
words. DRAM sees whole words on both sides, where a direct copy would move single lanes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jiriki.tiling.builder import Builder, Placed
from jiriki.tiling.moves.move import End, Loop, copy_loops
from jiriki.tiling.moves.nests import axis_offsets, loop_nests
from jiriki.tiling.tile_program import Area

MAX_NESTS = 64  # loads a block; more irregular maps are left to plain copies
SMALL_BLOCK, BLOCKS = 8_192, 4


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """Channel src[i] of x becomes channel dst[i] of the target."""

    x: Placed
    src: np.ndarray
    dst: np.ndarray


def copy_channels(b: Builder, maps: Sequence[ChannelMap], y: Placed) -> bool:
    """Copy where every tensor is in DRAM and the map is regular enough; return whether it was."""
    layout, ku = y.layout, y.layout.ku
    if y.resident or any(m.x.resident or m.x.layout.pixels != layout.pixels for m in maps):
        return False
    row = layout.groups * layout.group_bytes
    nests = []
    for m in maps:
        source = axis_offsets(m.x, _axis(m.x), m.src)
        nests.append(loop_nests(source, m.dst * layout.width))
    if sum(map(len, nests)) > MAX_NESTS or row > b.available // 2:
        return False
    budget = min(b.available // 2, max(SMALL_BLOCK, layout.bytes // BLOCKS))
    step = max(1, budget // row)
    for p0 in range(0, layout.pixels, step):
        p = min(step, layout.pixels - p0)
        buffer = b.scratch("channels", p * row)
        middle = End(buffer, 0, Area(buffer))
        for m, parts in zip(maps, nests, strict=True):
            source = End(m.x.buffer, p0 * m.x.layout.group_bytes, Area(m.x.buffer))
            pixels = Loop(p, m.x.layout.group_bytes, row)
            for s, d, loops in parts:
                ends = source.moved(s), middle.moved(d)
                copy_loops(b, *ends, [pixels, *loops], layout.width)
        store = [
            Loop(layout.groups, layout.group_bytes, y.plane * layout.group_bytes),
            Loop(p, row, layout.group_bytes),
            Loop(ku, layout.width, layout.width),
        ]
        target = End(y.buffer, p0 * layout.group_bytes, Area(y.buffer))
        copy_loops(b, middle, target, store, layout.width)
    return True


def _axis(tensor: Placed) -> int:
    assert tensor.layout.axis is not None, "a tensor whose channels move has a channel axis"
    return tensor.layout.axis
