"""How a tensor lies in memory: blocked by channel groups of ku.

A tensor of `shape` with channel axis `axis` is stored as [groups][pixels][ku] elements, where
pixels are all other axes in order, and groups = ceil(channels / ku). Missing channels of the last
group are zero in constants and inputs and arbitrary elsewhere.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from jiriki.graph.graph import TensorType


@dataclass(frozen=True, slots=True)
class Layout:
    """Blocked form of one tensor."""

    shape: tuple[int, ...]
    axis: int | None  # None: one channel (scalars)
    width: int  # bytes of an element
    ku: int

    @property
    def channels(self) -> int:
        return 1 if self.axis is None else self.shape[self.axis]

    @property
    def groups(self) -> int:
        return -(-self.channels // self.ku)

    @property
    def pixels(self) -> int:
        return prod(n for i, n in enumerate(self.shape) if i != self.axis)

    @property
    def group_bytes(self) -> int:
        """Bytes of one element group: ku elements of one pixel."""
        return self.ku * self.width

    @property
    def plane_bytes(self) -> int:
        """Bytes from one channel group to the next in the dense (DRAM) form."""
        return self.pixels * self.group_bytes

    @property
    def bytes(self) -> int:
        return self.groups * self.plane_bytes

    @property
    def rows(self) -> int:
        """Pixels as rows x columns: columns are the last axis that is not the channel axis."""
        return self.pixels // self.columns

    @property
    def columns(self) -> int:
        others = [n for i, n in enumerate(self.shape) if i != self.axis]
        return others[-1] if others else 1


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """Choose the channel axis: 1 for images [n, c, h, w], the last one otherwise."""
    if not shape:
        return None
    return 1 if len(shape) == 4 else len(shape) - 1


def layout_of(type_: TensorType, ku: int) -> Layout:
    """Return the blocked layout of a tensor type."""
    return Layout(type_.shape, channel_axis(type_.shape), type_.dtype.bytes, ku)


def pack(array: np.ndarray, ku: int) -> np.ndarray:
    """Return `array` in blocked form, [groups, pixels, ku], zero-filled beyond the last channel."""
    axis = channel_axis(array.shape)
    flat = array.reshape(1, 1) if axis is None else np.moveaxis(array, axis, 0)
    flat = flat.reshape(flat.shape[0], prod(flat.shape[1:]))  # [channels, pixels]
    groups = -(-flat.shape[0] // ku)
    full = np.zeros((groups * ku, flat.shape[1]), array.dtype)
    full[: flat.shape[0]] = flat
    return np.ascontiguousarray(full.reshape(groups, ku, flat.shape[1]).transpose(0, 2, 1))
