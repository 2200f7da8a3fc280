"""Weave the operations of a vector-only step into those of the matrix step that feeds it.

In: two runs of tile operations, the second reading from DRAM what the first stores. Out: one run in
which each operation of the second comes as soon as what it reads is stored: a pooling works on the
first rows while the matrix unit still computes the last ones.
"""

from jiriki.tiling.tile_program import Area, Buffer, Space, TileOp


def weave(first: list[TileOp], second: list[TileOp]) -> list[TileOp]:
    """Merge, keeping both orders and every dependency of the second run on the first."""
    stores: dict[Buffer, list[tuple[int, Area]]] = {}
    for i, op in enumerate(first):
        for area in op.writes:
            if area.buffer.space is Space.DRAM:
                stores.setdefault(area.buffer, []).append((i, area))
    woven: list[TileOp] = []
    done = 0
    for op in second:
        ready = max(
            (i + 1 for a in op.reads for i, b in stores.get(a.buffer, ()) if a.meets(b)), default=0
        )
        if ready > done:
            woven += first[done:ready]
            done = ready
        woven.append(op)
    return woven + first[done:]
