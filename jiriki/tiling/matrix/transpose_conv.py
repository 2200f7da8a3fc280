"""Transposed convolution by sub-pixel decomposition: exact, and no multiplication by zeros.

In: a conv_transpose node. Output row oy takes the taps ky with (oy + top - ky*dy) divisible by sy,
so the rows of one phase oy mod sy are a dense stride-1 convolution with the sub-kernel of those
taps. Out: one dense convolution a phase (row phases x column phases), each into a tensor of its
own, whose pixels the vector unit then writes to every sy-th row and sx-th column of the output.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from jiriki.graph.graph import Node
from jiriki.isa.words import DType, Quantiser, Window
from jiriki.numerics import Format
from jiriki.tiling.builder import Builder, Placed
from jiriki.tiling.matrix.conv import Dense, Geometry, pack_weights, plan_dense, split_weights
from jiriki.tiling.matrix.epilogue import make_epilogue
from jiriki.tiling.matrix.grouped import corrected_bias, weight_blocks
from jiriki.tiling.moves.relayout import Axis, copy_axes, temporary
from jiriki.tiling.moves.vector_copy import MAX_P, MAX_STEP
from jiriki.tiling.tile_program import PASS, VectorTile, flat_window
from jiriki.tiling.vector.elementwise import BLOCKS, SMALL_BLOCK

MAX_PITCH = 32_767


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
    result = []
    for first in range(min(stride, size)):
        taps = [k for k in range(kernel) if (first + pad - k * dilation) % stride == 0][::-1]
        offsets = [(first + pad - k * dilation) // stride for k in taps]
        step = offsets[1] - offsets[0] if len(offsets) > 1 else 1
        count = -(-(size - first) // stride)
        result.append(Phase(first, count, tuple(taps), step, -offsets[0] if offsets else 0))
    return result


def plan_conv_transpose(b: Builder, node: Node) -> None:
    x, out = b.operand(node.inputs[0]), b.placed[node.outputs[0]]
    (sy, sx), (dy, dx) = node.attrs["strides"], node.attrs["dilations"]  # type: ignore[misc]
    top, left, _, _ = node.attrs["pads"]  # type: ignore[misc]
    kh, kw = b.graph.constants[node.inputs[1]].shape[2:]
    n, channels, oh, ow = out.layout.shape
    rows, columns = phases(oh, kh, sy, dy, top), phases(ow, kw, sx, dx, left)  # type: ignore[arg-type]
    parts = []
    for row, column in product(rows, columns):
        if (sy, sx) == (1, 1):
            _plan_phase(b, node, x, out, row, column)
            return
        shape = (n, channels, row.count, column.count)
        name = f"{node.name}.{row.first}.{column.first}"
        part = temporary(b, name, shape, 1, out.layout.width)
        _plan_phase(b, node, x, part, row, column)
        parts.append((row, column, part))
    _interleave(b, parts, (sy, sx), out)  # type: ignore[arg-type]


Part = tuple[Phase, Phase, Placed]


def _interleave(b: Builder, parts: list[Part], steps: tuple[int, int], out: Placed) -> None:
    """Write every phase's pixels to their places in the output."""
    (sy, sx), (n, channels, oh, ow) = steps, out.layout.shape
    if sx > MAX_STEP or sy * ow > MAX_PITCH:
        for row, column, part in parts:
            axes = [
                Axis(0, 0, range(n)), Axis(1, 1, range(channels)),
                Axis(2, 2, range(row.count), row.first, sy),
                Axis(3, 3, range(column.count), column.first, sx),
            ]  # fmt: skip
            copy_axes(b, part, out, axes)
        return
    line = ow * out.layout.group_bytes
    budget = min(b.available // 4, max(SMALL_BLOCK, out.layout.bytes // BLOCKS))
    height = max(1, min(-(-oh // sy), budget // (line * sy), MAX_P // ow)) * sy
    groups = max(1, min(out.layout.groups, budget // (line * height)))
    for image in range(n):
        for g0 in range(0, out.layout.groups, groups):
            span = g0, min(out.layout.groups, g0 + groups)
            for y0 in range(0, oh, height):
                _interleave_rows(b, parts, steps, out, image, span, (y0, min(oh, y0 + height)))


def _interleave_rows(
    b: Builder, parts: list[Part], steps: tuple[int, int], out: Placed, image: int,
    groups: tuple[int, int], rows: tuple[int, int],
) -> None:  # fmt: skip
    (sy, sx), (_, _, oh, ow), (g0, g1) = steps, out.layout.shape, groups
    base = image * oh * ow
    target = b.target(out, g0, g1, base + rows[0] * ow, base + rows[1] * ow)
    area = target.area(g0, g1, base + rows[0] * ow, base + rows[1] * ow)
    raw = DType.I32, DType.F32, None
    if out.layout.width == 1:
        raw = DType.I8, DType.I8, Quantiser.saturating(Format.INT8)
    for row, column, part in parts:
        r0, w = rows[0] // sy, column.count
        r1 = min(row.count, -(-(rows[1] - row.first) // sy))
        if r1 <= r0:
            continue
        p0, p1 = (image * row.count + r0) * w, (image * row.count + r1) * w
        view = b.fetch(part, g0, g1, p0, p1)
        to = base + (r0 * sy + row.first) * ow + column.first
        window = Window(
            plane=target.plane, pitch=sy * ow, h=r1 - r0, w=(w - 1) * sx + 1, ow=w, sx=sx
        )
        b.emit(
            VectorTile(
                layer=b.layer, chain=PASS, p=p1 - p0, groups=g1 - g0,
                in0=view.stream(g0, p0, flat_window(view.plane, p1 - p0), raw[0]),
                out=target.stream(g0, to, window, raw[1]), out_quant=raw[2],
                reads=(view.area(g0, g1, p0, p1),), writes=(area,),
            )
        )  # fmt: skip
    b.deliver(target)


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
