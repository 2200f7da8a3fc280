"""Allocation: buffers never overlap while alive, and a new one knows who used its memory."""

import numpy as np

from jiriki.emit.memory import Memory
from jiriki.tiling.tile_program import Buffer, Space


def buffer(size: int, high: bool = False) -> Buffer:
    return Buffer("b", Space.SCRATCHPAD, size, high)


def test_new_buffer_waits_for_the_users_of_all_memory_it_takes() -> None:
    memory = Memory(256, 32)
    first, second, both = buffer(128), buffer(128), buffer(256)
    memory.allocate(first, 0, dense=True)
    memory.allocate(second, 0, dense=True)
    memory.release(first, {1: 5, 3: 7}, 8)
    memory.release(second, {1: 9}, 10)
    assert memory.allocate(both, 11, dense=True) == (0, {1: 9, 3: 7})


def test_high_buffers_come_from_the_upper_end() -> None:
    memory = Memory(256, 32)
    placed = memory.allocate(buffer(40, high=True), 0, dense=True)
    assert placed == (192, {})


def test_short_lived_buffers_rotate_instead_of_reusing_what_was_just_freed() -> None:
    memory = Memory(256, 32)
    first = buffer(64)
    memory.allocate(first, 0, dense=False)
    memory.release(first, {4: 1}, 1)
    assert memory.allocate(buffer(64), 2, dense=False) == (64, {})


def test_no_place_is_none() -> None:
    memory = Memory(64, 32)
    memory.allocate(buffer(33), 0, dense=True)
    assert memory.allocate(buffer(1), 1, dense=True) is None


def test_living_buffers_never_overlap() -> None:
    rng = np.random.default_rng(7)
    memory, alive = Memory(4096, 32), {}
    for now in range(2000):
        if alive and rng.random() < 0.5:
            gone = list(alive)[int(rng.integers(len(alive)))]
            memory.release(gone, {int(rng.integers(1, 5)): now}, now)
            del alive[gone]
            continue
        fresh = buffer(int(rng.integers(1, 600)), high=bool(rng.integers(2)))
        placed = memory.allocate(fresh, now, dense=bool(rng.integers(2)))
        if placed is None:
            continue
        start, end = placed[0], placed[0] + fresh.size
        assert start >= 0 and end <= 4096
        assert all(end <= s or start >= s + b.size for b, s in alive.items()), f"at {now}"
        alive[fresh] = start
    assert sum(s.end - s.start for s in memory.spans) == 4096
