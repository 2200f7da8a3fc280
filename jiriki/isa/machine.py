"""The architectural state of one tile: what instructions read and write.

In: a chip and the DRAM contents. Out: memories as NumPy arrays and bounds-checked strided views
of them. Values only; queues and time belong to the simulators.
"""

from math import prod

import numpy as np
from numpy.typing import DTypeLike, NDArray

from jiriki.chip.config import ChipConfig
from jiriki.isa.errors import IsaError
from jiriki.numerics import Lut8, SegmentTable


class Machine:
    """One tile and its DRAM image."""

    def __init__(self, chip: ChipConfig, dram: NDArray[np.uint8]) -> None:
        self.chip = chip
        self.dram = dram  # [bytes] uint8
        self.sp = np.zeros(chip.scratchpad_bytes, np.uint8)
        self.acc = np.zeros((chip.acc_rows, chip.vx_lanes), np.int32)
        self.weights = np.zeros((chip.weight_file_lines, chip.nu, chip.ku), np.int8)
        self.luts: list[Lut8 | None] = [None] * chip.table_slots
        self.segments: list[SegmentTable | None] = [None] * chip.table_slots

    def sp_view(
        self, byte: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: DTypeLike
    ) -> NDArray:
        """Return a strided view of the scratchpad. Raises IsaError beyond its end."""
        return strided(self.sp, "scratchpad", byte, shape, strides, dtype)

    def acc_view(self, row: int, groups: int, stride: int, rows: int) -> NDArray[np.int32]:
        """Return accumulators as [groups, rows, beat_pixels, ku] int32.

        Raises IsaError beyond the last row, or when the groups overlap.
        """
        chip = self.chip
        last = row + (groups - 1) * stride + rows - 1
        if last >= chip.acc_rows:
            raise IsaError(
                f"accumulator rows {row}..{last} pass the chip's {chip.acc_rows}; use fewer"
            )
        line = chip.vx_lanes * 4
        shape = (groups, rows, chip.beat_pixels, chip.ku)
        return np.ndarray(
            shape, np.int32, self.acc, row * line, (stride * line, line, chip.ku * 4, 4)
        )


def strided(
    memory: NDArray[np.uint8],
    name: str,
    byte: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: DTypeLike,
) -> NDArray:
    """Return a view of `memory` at `byte`. Raises IsaError when any element lies outside."""
    kind = np.dtype(dtype)
    low = high = byte
    for count, stride in zip(shape, strides, strict=True):
        if stride < 0:
            low += (count - 1) * stride
        else:
            high += (count - 1) * stride
    if low < 0 or high + kind.itemsize > memory.size:
        raise IsaError(
            f"{name} bytes {low}..{high + kind.itemsize - 1} lie outside its {memory.size} bytes; "
            "correct the address or the sizes"
        )
    return np.ndarray(shape, kind, memory, byte, strides)


def disjoint(shape: tuple[int, ...], strides: tuple[int, ...], item: int) -> bool:
    """Tell whether elements of `item` bytes provably do not overlap (enough, not necessary)."""
    reach = item
    for stride, count in sorted((abs(s), c) for s, c in zip(strides, shape, strict=True) if c > 1):
        if stride < reach:
            return False
        reach = stride * (count - 1) + reach
    return prod(shape) > 0
