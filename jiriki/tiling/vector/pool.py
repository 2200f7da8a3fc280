"""Pooling: windowed reductions over stripes of output rows.

In: maxpool, avgpool, qavgpool nodes. Out: per stripe, a load of input rows, one VectorTile that
reduces over the window's taps (row-major, as the references), and the store. Where padding changes
an average's count from position to position, the sums go through fp32 and are scaled by a map.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from jiriki.graph.graph import Node
from jiriki.graph.op import integers
from jiriki.graph.ops_quant import window_counts
from jiriki.isa.words import DType, MicroOp, Quantiser, RedOp, Reduce
from jiriki.numerics import Format
from jiriki.tiling.builder import Builder, Placed, View
from jiriki.tiling.errors import TileError
from jiriki.tiling.matrix.conv import Geometry
from jiriki.tiling.moves.relayout import temporary
from jiriki.tiling.tile_program import RED, ChainStep, Constant, Stream, VectorTile, flat_window
from jiriki.tiling.vector.elementwise import (
    BLOCKS,
    MAX_P,
    SMALL_BLOCK,
    Operand,
    Result,
    constant_tensor,
    dtype_of,
    plan_map,
)
from jiriki.tiling.vector.expression import source
from jiriki.tiling.vector.int8 import number, quantiser

MAX_STRIDE, MAX_KERNEL = 31, 127


@dataclass(frozen=True, slots=True)
class Pool:
    """A windowed reduction of x: chain before and after, and how it leaves."""

    geometry: Geometry
    x: Placed
    dtype: DType
    fill: int
    redop: RedOp
    before: tuple[ChainStep, ...]
    after: tuple[ChainStep, ...]
    result: Result


@dataclass(frozen=True, slots=True)
class Piece:
    """Groups [g0, g1), output rows [r0, r1) and columns [c0, c1) of one image."""

    image: int
    g0: int
    g1: int
    r0: int
    r1: int
    c0: int
    c1: int


def pool_geometry(node: Node, x: Placed, out: Placed) -> Geometry:
    n, _, h, w = x.layout.shape
    oh, ow = out.layout.shape[2:]
    (kh, kw), (sy, sx) = integers(node.attrs, "kernel"), integers(node.attrs, "strides")
    dy, dx = integers(node.attrs, "dilations")
    top, left, _, _ = integers(node.attrs, "pads")
    if max(kh, kw, dy, dx) > MAX_KERNEL:
        raise TileError(
            f"{node.op} {node.name}: kernel {kh}x{kw}, dilations {dy}, {dx} exceed {MAX_KERNEL}, "
            "the window's field; reduce in several pools"
        )
    return Geometry(n, h, w, oh, ow, kh, kw, sy, sx, dy, dx, top, left)


def plan_pool(b: Builder, pool: Pool) -> None:
    """Emit the reduction piece by piece."""
    for piece in _pieces(b, pool):
        _piece(b, pool, piece)


def _pieces(b: Builder, pool: Pool) -> Iterator[Piece]:
    geo, groups = pool.geometry, pool.x.layout.groups
    rows, columns, step = _cut(b, pool)
    for image in range(geo.images):
        for r0 in range(0, geo.oh, rows):
            for c0 in range(0, geo.ow, columns):
                for g0 in range(0, groups, step):
                    yield Piece(
                        image, g0, min(groups, g0 + step), r0, min(geo.oh, r0 + rows),
                        c0, min(geo.ow, c0 + columns),
                    )  # fmt: skip


def _cut(b: Builder, pool: Pool) -> tuple[int, int, int]:
    """Return (output rows, output columns, channel groups) of a piece."""
    geo, out, groups = pool.geometry, pool.result.tensor, pool.x.layout.groups
    reach = (geo.kw - 1) * geo.dx + 1
    most = min(geo.ow, MAX_P, (MAX_P - reach) // geo.sx + 1)  # a window's row is a field too
    columns = most if geo.sx <= MAX_STRIDE else 1
    rows = min(geo.oh, MAX_P // columns) if geo.sy <= MAX_STRIDE and columns == geo.ow else 1
    total = groups * _bytes(pool, geo.oh, geo.ow) * geo.images
    free = pool.x.resident and out.resident
    budget = min(b.available // 2, max(SMALL_BLOCK, total // BLOCKS)) if not free else 1 << 40
    while rows > 1 and _bytes(pool, rows, columns) > budget:
        rows = -(-rows // 2)
    while columns > 1 and _bytes(pool, rows, columns) > budget:
        columns = -(-columns // 2)
    return rows, columns, max(1, min(groups, budget // max(1, _bytes(pool, rows, columns))))


def _bytes(pool: Pool, rows: int, columns: int) -> int:
    """Scratchpad bytes of one channel group of a piece."""
    geo, out = pool.geometry, pool.result.tensor
    high = min(geo.h, (rows - 1) * geo.sy + (geo.kh - 1) * geo.dy + 1)
    wide = min(geo.w, (columns - 1) * geo.sx + (geo.kw - 1) * geo.dx + 1)
    read = high * (geo.w if columns == geo.ow else wide)
    moving = 0 if pool.x.resident else read * pool.x.layout.group_bytes
    return moving + (0 if out.resident else rows * columns * out.layout.group_bytes)


def _piece(b: Builder, pool: Pool, at: Piece) -> None:
    geo = pool.geometry
    start = (at.image * geo.oh + at.r0) * geo.ow + at.c0
    p = (at.r1 - at.r0) * (at.c1 - at.c0)
    view, stream = _read(b, pool, at)
    target = b.target(pool.result.tensor, at.g0, at.g1, start, start + p)
    b.emit(
        VectorTile(
            layer=b.layer, in0=stream, chain=(*pool.before, RED, *pool.after),
            reduce=Reduce.WINDOW, redop=pool.redop,
            out=target.stream(at.g0, start, flat_window(target.plane, p), pool.result.dtype),
            out_quant=pool.result.quant, p=p, groups=at.g1 - at.g0,
            reads=(view.area(at.g0, at.g1, view.p0, view.p1),),
            writes=(target.area(at.g0, at.g1, start, start + p),),
        )
    )  # fmt: skip
    b.deliver(target)


def _read(b: Builder, pool: Pool, at: Piece) -> tuple[View, Stream]:
    """Fetch what a piece reads: whole rows, or of long rows the columns; return the windows."""
    geo = pool.geometry
    first, last = geo.input_rows(at.r0, at.r1)
    p0, p1 = ((at.image * geo.h + row) * geo.w for row in (first, last))
    left = min(max(0, at.c0 * geo.sx - geo.left), geo.w - 1)  # first column that is read
    if pool.x.resident or at.c1 - at.c0 == geo.ow:
        view = b.fetch(pool.x, at.g0, at.g1, p0, p1)
        columns, pixel = geo.w, p0 + left
    else:
        end = (at.c1 - 1) * geo.sx - geo.left + (geo.kw - 1) * geo.dx + 1
        columns = min(geo.w, max(left + 1, end)) - left
        rows = (at.image * geo.h + first, at.image * geo.h + last)
        view = b.fetch_columns(pool.x, at.g0, at.g1, rows, (left, left + columns))
        pixel = 0
    spaced = replace(view, pitch=columns)
    walk = geo.walk(spaced, first, last, at.r0, 0, at.c1 - at.c0, pool.fill)
    window = replace(
        walk.window, sy=min(geo.sy, MAX_STRIDE), sx=min(geo.sx, MAX_STRIDE),
        w=min(columns, geo.w - left), px=geo.left - at.c0 * geo.sx + left,
    )  # fmt: skip
    return view, view.stream(at.g0, pixel + walk.base, window, pool.dtype)


# -- planners ------------------------------------------------------------------------------


def plan_maxpool(b: Builder, node: Node) -> None:
    x, out = b.operand(node.inputs[0]), b.placed[node.outputs[0]]
    dtype = dtype_of(b, node.inputs[0])
    geometry = pool_geometry(node, x, out)
    quant = Quantiser.saturating(Format.INT8) if dtype is DType.I8 else None
    plan_pool(b, Pool(geometry, x, dtype, -128, RedOp.MAX, (), (), Result(out, dtype, quant)))


def plan_avgpool(b: Builder, node: Node) -> None:
    counts = window_counts(b.operand(node.inputs[0]).layout.shape, node.attrs)
    inverse = np.float32(1) / counts.astype(np.float32)
    _plan_average(b, node, inverse, 0, None)


def plan_qavgpool(b: Builder, node: Node) -> None:
    counts = window_counts(b.operand(node.inputs[0]).layout.shape, node.attrs)
    multiplier = np.float32(number(node, "ratio")) / counts.astype(np.float32)
    _plan_average(b, node, multiplier, int(node.attrs["x_zp"]), quantiser(node, "out_zp"))  # type: ignore[arg-type]


def _plan_average(
    b: Builder, node: Node, multiplier: np.ndarray, zero: int, quant: Quantiser | None
) -> None:
    """Sum the window's taps, then multiply by `multiplier` [oh, ow] and quantise."""
    x, out = b.operand(node.inputs[0]), b.placed[node.outputs[0]]
    dtype, wanted = dtype_of(b, node.inputs[0]), dtype_of(b, node.outputs[0])
    geometry = pool_geometry(node, x, out)
    before: tuple[ChainStep, ...] = (
        (ChainStep(MicroOp.FSUB, Constant(float(zero))),) if quant else ()
    )
    multiplier = multiplier.astype(np.float32)
    if (multiplier == multiplier[0, 0]).all():
        after = (ChainStep(MicroOp.FMUL, Constant(float(multiplier[0, 0]))),)
        result = Result(out, wanted, quant)
        plan_pool(b, Pool(geometry, x, dtype, zero, RedOp.SUM, before, after, result))
        return
    sums = temporary(b, f"{node.name}.sums", out.layout.shape, 1, 4)
    plan_pool(b, Pool(geometry, x, dtype, zero, RedOp.SUM, before, (), Result(sums, DType.F32)))
    scale = constant_tensor(b, f"{node.name}.scale", multiplier[None, None])
    operands = [Operand(sums, DType.F32), Operand(scale, DType.F32)]
    plan_map(b, source(0) * source(1), operands, Result(out, wanted, quant))


PLANNERS = {
    "maxpool": plan_maxpool,
    "avgpool": plan_avgpool,
    "qavgpool": plan_qavgpool,
}
