"""Transposed convolution by sub-pixel decomposition: exact, and no multiplication by zeros.

In: a conv_transpose node. Output row oy takes the taps ky with (oy + top - ky*dy) divisible by sy,
so the rows of one phase oy mod sy are a dense stride-1 convolution with the sub-kernel of those
taps. Out: one dense convolution a phase (row phases x column phases), each into a tensor of its
own, whose pixels are then copied to every sy-th row and sx-th column of the output.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from jiriki.graph.graph import Node
from jiriki.tiles.builder import Builder, Placed
from jiriki.tiles.conv import Dense, Geometry, pack_weights, plan_dense, split_weights
from jiriki.tiles.epilogue import make_epilogue
from jiriki.tiles.grouped import corrected_bias, weight_blocks
from jiriki.tiles.relayout import Axis, copy_axes, temporary


@dataclass(frozen=True, slots=True)
class Phase:
    """Output positions first, first + stride, ... of one axis, as a stride-1 convolution."""

    first: int
    count: int
    taps: tuple[int, ...]  # kernel positions in the order that the input is walked
    dilation: int
    pad: int


def phases(size: int, kernel: int, stride: int, dilation: int, pad: int) -> list[Phase]:
    """Return the phases of an axis with `size` outputs; those beyond the last output are left out.

    A phase that no tap reaches gets no taps.
    """
    found = []
    for first in range(min(stride, size)):
        taps = [k for k in range(kernel) if (first + pad - k * dilation) % stride == 0][::-1]
        offsets = [(first + pad - k * dilation) // stride for k in taps]
        step = offsets[1] - offsets[0] if len(offsets) > 1 else 1
        count = -(-(size - first) // stride)
        found.append(Phase(first, count, tuple(taps), step, -offsets[0] if offsets else 0))
    return found


def plan_conv_transpose(b: Builder, node: Node) -> None:
    x, out = b.operand(node.inputs[0]), b.placed[node.outputs[0]]
    (sy, sx), (dy, dx) = node.attrs["strides"], node.attrs["dilations"]  # type: ignore[misc]
    top, left, _, _ = node.attrs["pads"]  # type: ignore[misc]
    kh, kw = b.graph.constants[node.inputs[1]].shape[2:]
    n, channels, oh, ow = out.layout.shape
    rows, columns = phases(oh, kh, sy, dy, top), phases(ow, kw, sx, dx, left)  # type: ignore[arg-type]
    for row, column in product(rows, columns):
        if (sy, sx) == (1, 1):
            _plan_phase(b, node, x, out, row, column)
            continue
        shape = (n, channels, row.count, column.count)
        name = f"{node.name}.{row.first}.{column.first}"
        part = temporary(b, name, shape, 1, out.layout.width)
        _plan_phase(b, node, x, part, row, column)
        axes = [
            Axis(0, 0, range(n)), Axis(1, 1, range(channels)),
            Axis(2, 2, range(row.count), row.first, sy),  # type: ignore[arg-type]
            Axis(3, 3, range(column.count), column.first, sx),  # type: ignore[arg-type]
        ]  # fmt: skip
        copy_axes(b, part, out, axes)


def _plan_phase(b: Builder, node: Node, x: Placed, part: Placed, row: Phase, column: Phase) -> None:
    w = _sub_kernel(b, node, row, column)
    zero, ku = int(node.attrs["x_zp"]), b.chip.ku  # type: ignore[arg-type]
    images, _, h, width = x.layout.shape
    geometry = Geometry(
        images, h, width, row.count, column.count, *w.shape[2:], dy=row.dilation,
        dx=column.dilation, top=row.pad, left=column.pad,
    )  # fmt: skip
    bias = corrected_bias(b.graph.constants[node.inputs[2]], w, zero)
    epilogue = make_epilogue(b, node, (), bias, part)
    for i, block in enumerate(weight_blocks(w, int(node.attrs["group"]), ku)):  # type: ignore[arg-type]
        gi, go = -(-block.shape[1] // ku), -(-block.shape[0] // ku)
        packed = tuple(
            b.constant(f"{part.name}.w{i}", pack_weights(piece, ku, b.chip.nu))
            for piece in split_weights(block)
        )
        spans = i * gi, (i + 1) * gi, i * go, (i + 1) * go
        plan_dense(b, Dense(geometry, x, zero, *spans, packed, epilogue))


def _sub_kernel(b: Builder, node: Node, row: Phase, column: Phase) -> np.ndarray:
    """Weights [o, c/group, taps y, taps x] of a phase; one zero tap where there is none."""
    w = b.graph.constants[node.inputs[1]].astype(np.int16) - np.int16(node.attrs["w_zp"])  # type: ignore[arg-type]
    group = int(node.attrs["group"])  # type: ignore[arg-type]
    channels, per, kh, kw = w.shape
    dense = w.reshape(group, channels // group, per, kh, kw).transpose(0, 2, 1, 3, 4)
    dense = dense.reshape(group * per, channels // group, kh, kw)
    if not row.taps or not column.taps:
        return np.zeros((*dense.shape[:2], 1, 1), np.int16)
    return dense[:, :, list(row.taps)][:, :, :, list(column.taps)]


PLANNERS = {"conv_transpose": plan_conv_transpose}
