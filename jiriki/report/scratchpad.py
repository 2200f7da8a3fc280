"""What lies in the scratchpad over a run: its occupancy and its map.

In: a Program, the events of its run, the chip. Out: a `ScratchpadUse`. A block of the scratchpad
holds a value from the start of the instruction that writes it until the end of the last one that
reads it; a value that nothing reads ends with its write. Blocks are `block_bytes` long and belong
wholly to what touches them; the state is sampled at equal distances in time.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from jiriki.chip import ChipConfig
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.operations import Operation, effects
from jiriki.isa.regions import Region, Space
from jiriki.isa.words import DmaMode
from jiriki.program import Event, Program
from jiriki.program.stream import work_of

BLOCKS = 4096  # of the scratchpad, at most
ROWS, COLUMNS = 64, 480  # cells of the map
SAMPLES = 1920  # of the occupancy; a multiple of COLUMNS


class Content(IntEnum):
    """What a block holds."""

    CONSTANT = 0  # loaded from the program's own data: weights, parameters, tables
    LOADED = 1  # loaded from elsewhere in DRAM: inputs, spilled tensors
    COMPUTED = 2  # written by VX or by a FILL


@dataclass(frozen=True, slots=True)
class ScratchpadUse:
    """Occupancy and map, sampled; sample i is the state at cycle i * cycles / SAMPLES."""

    cycles: int
    capacity_bytes: int
    block_bytes: int
    occupied_bytes: NDArray[np.int64]  # [Content, SAMPLES]
    cells: NDArray[np.float64]  # [Content, ROWS, COLUMNS], share of the cell's bytes

    @property
    def peak_bytes(self) -> int:
        """Return the greatest sampled occupancy."""
        return int(self.occupied_bytes.sum(axis=0).max())


def scratchpad_use(
    program: Program,
    events: Sequence[Event],
    cycles: int,
    chip: ChipConfig,
    parameters: Mapping[str, int] | None = None,
    entry: str | None = None,
) -> ScratchpadUse:
    """Follow every block through a run whose events are in the order of the sequencer.

    `parameters` are the host's values with which the run of `entry` was made.
    """
    block = max(chip.ku, chip.scratchpad_bytes // BLOCKS)
    follow = _Follower(program, chip, block)
    works = work_of(program, chip, parameters, entry=entry)
    for place in sorted(range(len(events)), key=lambda i: events[i].start):
        work = works[place]
        if work.op is not None:
            follow.operation(work.op, events[place], work.instruction.note)
    blocks, begins, ends, contents = follow.values()
    return ScratchpadUse(
        cycles=cycles,
        capacity_bytes=chip.scratchpad_bytes,
        block_bytes=block,
        occupied_bytes=_occupied(begins, ends, contents, cycles) * block,
        cells=_cells(blocks, begins, ends, contents, cycles, chip.scratchpad_bytes // block),
    )


class _Follower:
    """The value that each block holds, and the values that it held."""

    def __init__(self, program: Program, chip: ChipConfig, block: int) -> None:
        self.chip, self.block = chip, block
        segments = sorted((s.address, s.address + len(s.data)) for s in program.segments)
        self.starts, self.ends = [s for s, _ in segments], [e for _, e in segments]
        count = chip.scratchpad_bytes // block
        self.begin = np.full(count, -1, np.int64)  # -1: nothing yet
        self.last = np.zeros(count, np.int64)
        self.was_read = np.zeros(count, bool)
        self.content = np.zeros(count, np.int64)
        self.layer = np.full(count, -1, np.int64)
        self.held: list[NDArray[np.int64]] = []  # [4, values]: block, begin, end, content

    def operation(self, op: Operation, event: Event, layer: int) -> None:
        touched = effects(op, self.chip)
        for place in touched.reads:
            if place.space is Space.SP:
                blocks = _blocks(place, self.block)
                self.last[blocks] = np.maximum(self.last[blocks], event.end + 1)
                self.was_read[blocks] = True
        for place in touched.writes:
            if place.space is Space.SP:
                self._write(_blocks(place, self.block), event, layer, self._content_of(op))

    def _content_of(self, op: Operation) -> Content:
        if not isinstance(op, DmaOp) or op.mode is DmaMode.FILL:
            return Content.COMPUTED
        segment = bisect_right(self.starts, op.dram) - 1
        inside = segment >= 0 and op.dram < self.ends[segment]
        return Content.CONSTANT if inside else Content.LOADED

    def _write(self, blocks: NDArray[np.int64], event: Event, layer: int, content: Content) -> None:
        """Begin new values, but go on with those that a layer writes piece by piece."""
        goes_on = ~self.was_read[blocks] & (self.layer[blocks] == layer)
        self._close(blocks[~goes_on], event.start)
        new = blocks[~goes_on]
        self.begin[new], self.last[new], self.was_read[new] = event.start, 0, False
        self.layer[new], self.content[new] = layer, content
        self.last[blocks] = np.maximum(self.last[blocks], event.end + 1)

    def _close(self, blocks: NDArray[np.int64], now: int) -> None:
        old = blocks[self.begin[blocks] >= 0]
        ends = np.minimum(self.last[old], now)
        self.held.append(np.stack((old, self.begin[old], ends, self.content[old])))

    def values(self) -> NDArray[np.int64]:
        """Return all values [4, values]: block, begin, end, content."""
        self._close(np.arange(len(self.begin)), np.iinfo(np.int64).max)
        return np.concatenate(self.held, axis=1)


@lru_cache(maxsize=1 << 12)
def _blocks(place: Region, block: int) -> NDArray[np.int64]:
    """Return the blocks that a region touches, each once."""
    starts = np.full(1, place.base, np.int64)
    for stride, count in place.dims:
        starts = (starts[:, None] + np.arange(count, dtype=np.int64) * stride).reshape(-1)
    first, last = starts // block, (starts + place.run - 1) // block
    longest = int((last - first).max()) + 1
    spread = first[:, None] + np.arange(longest)
    return np.unique(spread[spread <= last[:, None]])


def _samples(cycle: NDArray[np.int64], cycles: int, samples: int) -> NDArray[np.int64]:
    """Return the first sample at or after each cycle."""
    return np.minimum(-(-cycle * samples // cycles), samples)


def _occupied(
    begins: NDArray[np.int64], ends: NDArray[np.int64], contents: NDArray[np.int64], cycles: int
) -> NDArray[np.int64]:
    change = np.zeros((len(Content), SAMPLES + 1), np.int64)
    np.add.at(change, (contents, _samples(begins, cycles, SAMPLES)), 1)
    np.add.at(change, (contents, _samples(ends, cycles, SAMPLES)), -1)
    return change.cumsum(axis=1)[:, :SAMPLES]


def _cells(
    blocks: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64],
    contents: NDArray[np.int64], cycles: int, count: int,
) -> NDArray[np.float64]:  # fmt: skip
    rows = min(ROWS, count)
    row = blocks * rows // count
    change = np.zeros((len(Content), rows, COLUMNS + 1), np.int64)
    np.add.at(change, (contents, row, _samples(begins, cycles, COLUMNS)), 1)
    np.add.at(change, (contents, row, _samples(ends, cycles, COLUMNS)), -1)
    whole = np.bincount(np.arange(count) * rows // count, minlength=rows)
    return change.cumsum(axis=2)[:, :, :COLUMNS] / whole[None, :, None]
