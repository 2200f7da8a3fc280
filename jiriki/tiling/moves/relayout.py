"""Movement operations: every element of the output is an element of an input at a known index.

In: reshape, transpose, slice, concat, pad, expand, gather nodes. Out: affine copies (`move`).

Where each axis of the output follows its own list of source indices, an element's byte offset is a
sum over axes on both sides, in the blocked form too. Each axis's pair of offset lists is broken
into nested loops (`loop_nests`), and the product over axes is copied nest by nest. Alignment of
channel groups needs no special case: unaligned axes merely break into more, shorter loops.
A reshape whose axes do not split alike goes through a dense row-major buffer.
"""

from collections.abc import Sequence
from itertools import pairwise, product
from math import prod

import numpy as np

from jiriki.graph.graph import Node
from jiriki.tiling.builder import Builder, Placed
from jiriki.tiling.layout import Layout
from jiriki.tiling.moves.channel_copy import ChannelMap, copy_channels
from jiriki.tiling.moves.move import End, Loop, copy_loops, fill
from jiriki.tiling.moves.nests import Nest, axis_offsets, loop_nests
from jiriki.tiling.moves.vector_copy import staged_copy, vector_copy
from jiriki.tiling.tile_program import Area, Buffer, Space


class Axis:
    """One axis of a copy: source positions src[i] go to target positions dst[i]."""

    def __init__(
        self, src_axis: int | None, dst_axis: int, src: Sequence[int] | np.ndarray, dst: int = 0,
        dst_step: int = 1,
    ) -> None:  # fmt: skip
        self.src_axis, self.dst_axis = src_axis, dst_axis
        self.src = np.asarray(src, np.int64)
        self.dst = dst + dst_step * np.arange(len(self.src), dtype=np.int64)

    def nests(self, x: Placed, y: Placed, exact: bool = False) -> list[Nest]:
        src, dst = (self.src, self.dst) if exact else self._whole_words(x, y)
        target = axis_offsets(y, self.dst_axis, dst)
        source = np.zeros_like(target)
        if self.src_axis is not None:
            source = axis_offsets(x, self.src_axis, src)
        return loop_nests(source, target)

    def _whole_words(self, x: Placed, y: Placed) -> tuple[np.ndarray, np.ndarray]:
        """Extend a channel run at the target's end to the whole last word, if both sides align."""
        ku, last = y.layout.ku, y.layout.channels - 1
        src, dst = self.src, self.dst
        channels = self.src_axis == x.layout.axis and self.dst_axis == y.layout.axis
        if not channels or self.src_axis is None or not len(src) or dst[-1] != last:
            return src, dst
        tail = min(len(src), int(dst[-1]) % ku + 1)
        aligned = np.array_equal(src[-tail:] % ku, dst[-tail:] % ku)
        if not aligned or len(set((src[-tail:] // ku).tolist())) != 1:
            return src, dst
        more = np.arange(1, ku - int(dst[-1]) % ku)
        return np.append(src, src[-1] + more), np.append(dst, dst[-1] + more)


def copy_axes(b: Builder, x: Placed, y: Placed, axes: Sequence[Axis], exact: bool = False) -> None:
    """Copy x to y along independent axes (target axes not named must have size 1).

    exact: leave lanes beyond the target's last channel as they are.
    """
    if any(not len(a.src) for a in axes):
        return
    if not exact and _moves_lanes(x, y, axes) and copy_channels(b, [_channel_map(x, y, axes)], y):
        return
    source, target = End(x.buffer, 0, Area(x.buffer)), End(y.buffer, 0, Area(y.buffer))
    width = y.layout.width
    for nests in product(*(a.nests(x, y, exact) for a in axes)):
        src = source.moved(sum(n[0] for n in nests))
        dst = target.moved(sum(n[1] for n in nests))
        loops = [loop for n in nests for loop in n[2]]
        rearrange(b, src, dst, loops, width)


def _moves_lanes(x: Placed, y: Placed, axes: Sequence[Axis]) -> bool:
    """Whether pixels stay, y's channels are all written, and channels leave their lanes."""
    channel = y.layout.axis
    if channel is None or x.layout.axis != channel:
        return False
    for axis in axes:
        if axis.src_axis != axis.dst_axis:
            return False
        whole = np.arange(y.layout.shape[axis.dst_axis])
        if axis.dst_axis != channel and not (
            np.array_equal(axis.src, whole) and np.array_equal(axis.dst, whole)
        ):
            return False
    moved = next(a for a in axes if a.dst_axis == channel)
    aligned = np.array_equal(moved.src % x.layout.ku, moved.dst % y.layout.ku)
    return not aligned and len(moved.dst) == y.layout.channels


def _channel_map(x: Placed, y: Placed, axes: Sequence[Axis]) -> ChannelMap:
    moved = next(a for a in axes if a.dst_axis == y.layout.axis)
    return ChannelMap(x, moved.src, moved.dst)


def rearrange(b: Builder, src: End, dst: End, loops: Sequence[Loop], width: int) -> None:
    """Copy by the vector unit where that is possible and better, else by DMA."""
    if src.in_dram and dst.in_dram:
        done = staged_copy(b, src, dst, loops, width)
    else:
        inside = not src.in_dram and not dst.in_dram
        done = inside and vector_copy(b, src, dst, loops, width)
    if not done:
        copy_loops(b, src, dst, loops, width)


def identity_axes(shape: Sequence[int], perm: Sequence[int] | None = None) -> list[Axis]:
    """Axes of a transpose: target axis i is source axis perm[i]; shape is the source's."""
    order = range(len(shape)) if perm is None else perm
    axes = [Axis(a, i, range(shape[a])) for i, a in enumerate(order)]
    return axes or [Axis(None, 0, [0])]


# -- temporaries ---------------------------------------------------------------------------


def temporary(b: Builder, name: str, shape: Sequence[int], axis: int | None, width: int) -> Placed:
    """Return a DRAM tensor of the planner's own, blocked along `axis`."""
    layout = Layout(tuple(shape), axis, width, b.chip.ku)
    return Placed(name, layout, Buffer(name, Space.DRAM, layout.bytes), layout.pixels, False)


def as_axis(b: Builder, x: Placed, axis: int) -> Placed:
    """Return x, or a copy of it blocked along another axis."""
    if x.layout.axis == axis:
        return x
    y = temporary(b, f"{x.name}.axis{axis}", x.layout.shape, axis, x.layout.width)
    copy_axes(b, x, y, identity_axes(x.layout.shape))
    return y


# -- reshape -------------------------------------------------------------------------------


def copy_reshaped(b: Builder, x: Placed, y: Placed) -> None:
    """Copy x to y, the same elements in row-major order under another shape."""
    digits = common_digits(x.layout.shape, y.layout.shape)
    if digits is not None:
        axes = [_digit_offsets(t, digits) for t in (x, y)]
        if axes[0] is not None and axes[1] is not None:
            _copy_digits(b, x, y, axes[0], axes[1])
            return
    dense = Buffer(f"{y.name}.dense", Space.DRAM, prod(x.layout.shape) * x.layout.width)
    _copy_dense(b, x, dense, out=True)
    _copy_dense(b, y, dense, out=False)


def common_digits(a: Sequence[int], b: Sequence[int]) -> list[int] | None:
    """Return sizes that refine both shapes, or None when there are none."""
    cuts = sorted({prod(s[i:]) for s in (a, b) for i in range(len(s) + 1)})
    if any(high % low for low, high in pairwise(cuts)):
        return None
    return [high // low for low, high in pairwise(cuts)][::-1]


def _digit_offsets(tensor: Placed, digits: Sequence[int]) -> list[np.ndarray] | None:
    """Byte offsets that each digit contributes; None when they do not simply add up."""
    out: list[np.ndarray] = []
    rest = list(digits)
    for axis, size in enumerate(tensor.layout.shape):
        mine: list[int] = []
        while prod(mine) < size:
            mine.append(rest.pop(0))
        full = axis_offsets(tensor, axis, np.arange(size)).reshape(mine)
        parts = []
        for i in range(len(mine)):
            pick = tuple(slice(None) if j == i else 0 for j in range(len(mine)))
            parts.append(full[pick])
        total = np.zeros(mine, np.int64)
        for i, part in enumerate(parts):
            total = total + part.reshape([-1 if j == i else 1 for j in range(len(mine))])
        if not np.array_equal(total, full):
            return None
        out += parts
    return out


def _copy_digits(
    b: Builder, x: Placed, y: Placed, src: list[np.ndarray], dst: list[np.ndarray]
) -> None:
    source, target = End(x.buffer, 0, Area(x.buffer)), End(y.buffer, 0, Area(y.buffer))
    parts = [loop_nests(s, d) for s, d in zip(src, dst, strict=True)]
    for nests in product(*parts):
        loops = [loop for n in nests for loop in n[2]]
        first = source.moved(sum(n[0] for n in nests)), target.moved(sum(n[1] for n in nests))
        rearrange(b, *first, loops, y.layout.width)


def _copy_dense(b: Builder, tensor: Placed, dense: Buffer, out: bool) -> None:
    """Copy between the blocked form and a dense row-major buffer."""
    shape, width = tensor.layout.shape, tensor.layout.width
    blocked, flat = End(tensor.buffer, 0, Area(tensor.buffer)), End(dense, 0, Area(dense))
    parts = []
    for axis, size in enumerate(shape):
        index = np.arange(size)
        here, there = axis_offsets(tensor, axis, index), index * (prod(shape[axis + 1 :]) * width)
        parts.append(loop_nests(here, there) if out else loop_nests(there, here))
    for nests in product(*parts):
        loops = [loop for n in nests for loop in n[2]]
        s, d = sum(n[0] for n in nests), sum(n[1] for n in nests)
        if out:
            copy_loops(b, blocked.moved(s), flat.moved(d), loops, width)
        else:
            copy_loops(b, flat.moved(s), blocked.moved(d), loops, width)


# -- planners ------------------------------------------------------------------------------


def _ends(b: Builder, node: Node) -> tuple[Placed, Placed]:
    return b.operand(node.inputs[0]), b.placed[node.outputs[0]]


def plan_reshape(b: Builder, node: Node) -> None:
    copy_reshaped(b, *_ends(b, node))


def plan_transpose(b: Builder, node: Node) -> None:
    x, y = _ends(b, node)
    perm: tuple[int, ...] = node.attrs["perm"]  # type: ignore[assignment]
    copy_axes(b, x, y, identity_axes(x.layout.shape, perm))


def plan_slice(b: Builder, node: Node) -> None:
    x, y = _ends(b, node)
    starts, ends, steps = (node.attrs[k] for k in ("starts", "ends", "steps"))
    axes = []
    for i, size in enumerate(x.layout.shape):
        end = None if ends[i] < 0 else ends[i]  # type: ignore[index]
        part = slice(starts[i], end, steps[i])  # type: ignore[index]
        axes.append(Axis(i, i, range(*part.indices(size))))
    copy_axes(b, x, y, axes or identity_axes(()))


def plan_concat(b: Builder, node: Node) -> None:
    y, axis = b.placed[node.outputs[0]], int(node.attrs["axis"])  # type: ignore[arg-type]
    if axis == y.layout.axis and _concat_channels(b, [b.operand(n) for n in node.inputs], y):
        return
    done = 0
    for name in node.inputs:
        x = b.operand(name)
        axes = identity_axes(x.layout.shape)
        axes[axis] = Axis(axis, axis, range(x.layout.shape[axis]), done)
        copy_axes(b, x, y, axes)
        done += x.layout.shape[axis]


def _concat_channels(b: Builder, parts: Sequence[Placed], y: Placed) -> bool:
    """Join along the channel axis when some part does not start on a whole word."""
    starts = np.cumsum([0] + [x.layout.channels for x in parts])
    if not (starts[:-1] % y.layout.ku).any():
        return False
    maps = [
        ChannelMap(x, np.arange(x.layout.channels), start + np.arange(x.layout.channels))
        for x, start in zip(parts, starts.tolist(), strict=False)
    ]
    return copy_channels(b, maps, y)


def plan_expand(b: Builder, node: Node) -> None:
    x, y = _ends(b, node)
    copy_axes(b, x, y, expand_axes(x.layout.shape, y.layout.shape))


def expand_axes(src: Sequence[int], dst: Sequence[int]) -> list[Axis]:
    """Axes of a NumPy broadcast of src to dst."""
    lead = len(dst) - len(src)
    axes = [Axis(None, i, [0] * dst[i]) for i in range(lead)]
    for i, size in enumerate(src):
        index = range(size) if size == dst[lead + i] else [0] * dst[lead + i]
        axes.append(Axis(i, lead + i, index))
    return axes or identity_axes(())


def plan_gather(b: Builder, node: Node) -> None:
    x, y = _ends(b, node)
    axis = int(node.attrs["axis"])  # type: ignore[arg-type]
    axes = identity_axes(x.layout.shape)
    axes[axis] = Axis(axis, axis, node.attrs["indices"])  # type: ignore[arg-type]
    copy_axes(b, x, y, axes)


def plan_pad(b: Builder, node: Node) -> None:
    x, y = _ends(b, node)
    pads: tuple[int, ...] = node.attrs["pads"]  # type: ignore[assignment]
    shape, rank = x.layout.shape, len(x.layout.shape)
    if node.attrs["mode"] == "constant":
        _fill_tensor(b, node, y)
        axes = [Axis(i, i, range(shape[i]), pads[i]) for i in range(rank)]
    else:
        mode = "reflect" if node.attrs["mode"] == "reflect" else "edge"
        axes = []
        for i in range(rank):
            index = np.pad(np.arange(shape[i]), (pads[i], pads[rank + i]), mode=mode)
            axes.append(Axis(i, i, index))
    copy_axes(b, x, y, axes or identity_axes(()))


def _fill_tensor(b: Builder, node: Node, y: Placed) -> None:
    """Set every element of y to the node's value."""
    dtype = b.graph.tensors[node.outputs[0]].dtype.numpy
    raw = np.array([node.attrs["value"]]).astype(dtype).tobytes()
    end = End(y.buffer, 0, Area(y.buffer))
    if len(set(raw)) == 1:
        fill(b, end, y.buffer.size, raw[0])
        return
    constant = b.constant(f"{node.name}.value", raw)
    elements = y.buffer.size // len(raw)
    source = End(constant, 0, Area(constant))
    copy_loops(b, source, end, [Loop(elements, 0, len(raw))], len(raw))


PLANNERS = {
    "reshape": plan_reshape,
    "transpose": plan_transpose,
    "slice": plan_slice,
    "concat": plan_concat,
    "expand": plan_expand,
    "gather": plan_gather,
    "pad": plan_pad,
}
