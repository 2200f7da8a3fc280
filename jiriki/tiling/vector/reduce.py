"""Reductions over channels, over pixels, or both; softmax.

In: reduce_*, qavgpool_global, softmax, log_softmax nodes. Out: VectorTiles with a PIXELS or
CHANNELS reduction. Pixel axes that are not the innermost are moved there first (whole words); the
axis of a softmax becomes the channel axis first.

Sums are fp32 in the vector unit's order: within k/2 ulp of the exact sum of k terms of one sign.
Softmax has a relative error of at most 2e-7 * max(1, max - x), log_softmax of 2e-7, and both that
of the sum besides: (groups + log2 ku) / 2 ulp; in log_softmax it is absolute.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log, log2, prod

import numpy as np

from jiriki.graph.graph import Node
from jiriki.isa.words import DType, MicroOp, Quantiser, RedOp, Reduce, Src, Window
from jiriki.tiling.builder import Builder, Placed, View
from jiriki.tiling.layout import Layout
from jiriki.tiling.moves.relayout import as_axis, copy_axes, copy_reshaped, identity_axes, temporary
from jiriki.tiling.tile_program import (
    PASS,
    RED,
    Area,
    Buffer,
    ChainStep,
    Constant,
    Stream,
    VectorTile,
    flat_window,
)
from jiriki.tiling.vector.elementwise import (
    BLOCKS,
    MAX_GROUPS,
    MAX_P,
    SMALL_BLOCK,
    Operand,
    Result,
    dtype_of,
    plan_map,
    same_blocks,
)
from jiriki.tiling.vector.expression import Ex, source, unary
from jiriki.tiling.vector.int8 import number, quantiser

MAX_TAPS, MAX_ROWS = 127, 8_191  # fields of a window
MAX_OUTER = 256  # windows in a row; beyond that the axis is moved first
EXACT_PIXELS = (1 << 24) // 255  # int8 differences that an fp32 sum holds exactly
LOG2_E, LN_2 = float(np.float32(log2(np.e))), float(np.float32(log(2)))
COMBINE = {RedOp.SUM: MicroOp.FADD, RedOp.MAX: MicroOp.FMAX, RedOp.MIN: MicroOp.FMIN}


@dataclass(frozen=True, slots=True)
class Reduction:
    """What runs before the reduction on each element, how it joins, and what runs after."""

    redop: RedOp
    before: tuple[ChainStep, ...] = ()
    after: tuple[ChainStep, ...] = ()


def budget_of(b: Builder, tensor: Placed) -> int:
    """Bytes a block of `tensor` may take."""
    return min(b.available // 2, max(SMALL_BLOCK, tensor.layout.bytes // BLOCKS))


# -- pixels --------------------------------------------------------------------------------


def reduce_axis(
    b: Builder, x: Operand, outer: int, size: int, r: Reduction, result: Result
) -> None:
    """Reduce the middle of pixels seen as [outer, size, inner], size at most MAX_TAPS.

    A window's taps are the terms, added in order.
    """
    layout = x.tensor.layout
    inner = layout.pixels // (outer * size)
    budget = 1 << 40 if x.tensor.resident else budget_of(b, x.tensor)
    rows = min(outer, MAX_P, MAX_ROWS, budget // (size * layout.group_bytes)) if inner == 1 else 1
    rows = max(1, rows)
    columns = max(1, min(inner, MAX_P, budget // (size * layout.group_bytes)))
    each = size * rows * (inner if inner > 1 else 1) * layout.group_bytes
    step = max(1, min(layout.groups, MAX_GROUPS, budget // each))
    for g0 in range(0, layout.groups, step):
        g1 = min(layout.groups, g0 + step)
        for i in range(0, outer, rows):
            n = min(rows, outer - i)
            for c in range(0, inner, columns):
                wide = min(columns, inner - c)
                _taps(b, x, (g0, g1), (i, n), (c, wide, inner), size, r, result)


def _taps(
    b: Builder, x: Operand, groups: tuple[int, int], rows: tuple[int, int],
    columns: tuple[int, int, int], size: int, r: Reduction, result: Result,
) -> None:  # fmt: skip
    """Reduce rows (first, count) or, in one row, columns (first, count, of all)."""
    (g0, g1), (i, n), (c, wide, inner) = groups, rows, columns
    p0 = i * size * inner + c
    p1 = p0 + (n - 1) * size + (size - 1) * inner + wide
    view = b.fetch(x.tensor, g0, g1, p0, p1)
    if inner == 1:
        window = Window(plane=view.plane, pitch=size, h=n, w=size, ow=1, kw=size)
    else:
        window = Window(plane=view.plane, pitch=inner, h=size, w=wide, ow=wide, kh=size)
    out0, p = i * inner + c, n * wide
    target = b.target(result.tensor, g0, g1, out0, out0 + p)
    b.emit(
        VectorTile(
            layer=b.layer, in0=view.stream(g0, p0, window, x.dtype), p=p, groups=g1 - g0,
            chain=(*r.before, RED, *r.after), reduce=Reduce.WINDOW, redop=r.redop,
            out=target.stream(g0, out0, flat_window(target.plane, p), result.dtype),
            out_quant=result.quant, reads=(view.area(g0, g1, p0, p1),),
            writes=(target.area(g0, g1, out0, out0 + p),),
        )
    )  # fmt: skip
    b.deliver(target)


def reduce_pixels(b: Builder, x: Operand, count: int, r: Reduction, result: Result) -> None:
    """Reduce `count` equal runs of consecutive pixels, each to one pixel of the result."""
    layout = x.tensor.layout
    size = layout.pixels // count
    if count > 1 and size <= MAX_TAPS:
        reduce_axis(b, x, count, size, r, result)
        return
    budget = 1 << 40 if x.tensor.resident else budget_of(b, x.tensor)
    most = max(1, min(MAX_P, budget // layout.group_bytes))
    runs = max(1, min(count, budget // (size * layout.group_bytes)))
    step = max(1, min(layout.groups, MAX_GROUPS, budget // (min(size, most) * layout.group_bytes)))
    if runs > 1:
        step = max(1, min(step, budget // (runs * size * layout.group_bytes)))
    for g0 in range(0, layout.groups, step):
        g1 = min(layout.groups, g0 + step)
        for i in range(0, count, runs):
            j = min(count, i + runs)
            target = b.target(result.tensor, g0, g1, i, j)
            if size <= most:
                view = b.fetch(x.tensor, g0, g1, i * size, j * size)
                for k in range(i, j):
                    out = target.stream(g0, k, flat_window(target.plane, 1), result.dtype)
                    area = target.area(g0, g1, k, k + 1)
                    inside = view.area(g0, g1, k * size, (k + 1) * size)
                    stream = view.stream(g0, k * size, flat_window(view.plane, size), x.dtype)
                    _pixels(b, stream, inside, r, out, area, result.quant, size, g1 - g0)
            else:
                out = target.stream(g0, i, flat_window(target.plane, 1), result.dtype)
                area = target.area(g0, g1, i, i + 1)
                _long_run(b, x, (g0, g1), i * size, size, most, r, result, out, area)
            b.deliver(target)


def _long_run(
    b: Builder, x: Operand, groups: tuple[int, int], start: int, size: int, most: int,
    r: Reduction, result: Result, out: Stream, area: Area,
) -> None:  # fmt: skip
    """Reduce a run in parts, and the parts' results once more."""
    g0, g1 = groups
    parts = -(-size // most)
    width = 4 * b.chip.ku
    partial = b.scratch("partial", (g1 - g0) * parts * width)
    for i in range(parts):
        p0, p1 = start + i * most, start + min(size, (i + 1) * most)
        view = b.fetch(x.tensor, g0, g1, p0, p1)
        here = Stream(partial, i * width, flat_window(parts, 1), DType.F32)
        stream = view.stream(g0, p0, flat_window(view.plane, p1 - p0), x.dtype)
        _pixels(
            b, stream, view.area(g0, g1, p0, p1), replace(r, after=()), here,
            Area(partial), None, p1 - p0, g1 - g0,
        )  # fmt: skip
    again = Stream(partial, 0, flat_window(parts, parts), DType.F32)
    last = replace(r, before=())
    _pixels(b, again, Area(partial), last, out, area, result.quant, parts, g1 - g0)


def _pixels(
    b: Builder, stream: Stream, inside: Area, r: Reduction, out: Stream, area: Area,
    quant: Quantiser | None, p: int, groups: int,
) -> None:  # fmt: skip
    b.emit(
        VectorTile(
            layer=b.layer, in0=stream, out=out, out_quant=quant, p=p, groups=groups,
            chain=(*r.before, RED, *r.after), reduce=Reduce.PIXELS, redop=r.redop,
            reads=(inside,), writes=(area,),
        )
    )  # fmt: skip


def plan_qavgpool_global(b: Builder, node: Node) -> None:
    """Sum all pixels of an image exactly: as fp32 while it is exact, in int32 beyond."""
    x, out = b.operand(node.inputs[0]), b.placed[node.outputs[0]]
    images, _, h, w = x.layout.shape
    before: tuple[ChainStep, ...] = (ChainStep(MicroOp.FSUB, Constant(number(node, "x_zp"))),)
    after: tuple[ChainStep, ...] = (ChainStep(MicroOp.FMUL, Constant(number(node, "multiplier"))),)
    result = Result(out, DType.I8, quantiser(node, "out_zp"))
    if h * w <= EXACT_PIXELS:
        reduce_pixels(b, Operand(x, DType.I8), images, Reduction(RedOp.SUM, before, after), result)
        return
    for image in range(images):
        for g in range(x.layout.groups):
            _exact_sum(b, x, g, image, h * w, before, after, result)


def _exact_sum(
    b: Builder, x: Placed, g: int, image: int, size: int, before: tuple[ChainStep, ...],
    after: tuple[ChainStep, ...], result: Result,
) -> None:  # fmt: skip
    """Sum one image's pixels of one channel group: parts in fp32, their sums in int32."""
    most = max(1, min(MAX_P, b.available // 4 // x.layout.group_bytes))
    target = b.target(result.tensor, g, g + 1, image, image + 1)
    total: Buffer | None = None
    for p0 in range(image * size, (image + 1) * size, most):
        p1 = min((image + 1) * size, p0 + most)
        view = b.fetch(x, g, g + 1, p0, p1)
        part = b.scratch("partial", 4 * b.chip.ku)
        _pixels(
            b, view.stream(g, p0, flat_window(view.plane, p1 - p0), DType.I8),
            view.area(g, g + 1, p0, p1), Reduction(RedOp.SUM, before), _word(part, DType.I32),
            Area(part), None, p1 - p0, 1,
        )  # fmt: skip
        if total is not None:
            joined = b.scratch("partial", 4 * b.chip.ku)
            _word_op(
                b,
                total,
                part,
                (ChainStep(MicroOp.IADD, Src.IN1),),
                _word(joined, DType.F32),
                Area(joined),
                None,
            )
            part = joined
        total = part
    assert total is not None, "an image has pixels"
    out = target.stream(g, image, flat_window(1, 1), DType.I8)
    area = target.area(g, g + 1, image, image + 1)
    _word_op(b, total, None, (ChainStep(MicroOp.I2F), *after), out, area, result.quant)
    b.deliver(target)


def _word(buffer: Buffer, dtype: DType) -> Stream:
    return Stream(buffer, 0, flat_window(1, 1), dtype)


def _word_op(
    b: Builder, left: Buffer, right: Buffer | None, chain: tuple[ChainStep, ...], out: Stream,
    area: Area, quant: Quantiser | None,
) -> None:  # fmt: skip
    reads = (Area(left),) if right is None else (Area(left), Area(right))
    b.emit(
        VectorTile(
            layer=b.layer, in0=_word(left, DType.I32),
            in1=None if right is None else _word(right, DType.I32), out=out, out_quant=quant,
            chain=chain, p=1, groups=1, reads=reads, writes=(area,),
        )
    )  # fmt: skip


# -- channels ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Columns:
    """Pixels [p0, p1) of x over all channels, in chunks of groups that fit the scratchpad."""

    x: Operand
    p0: int
    p1: int
    chunk: int

    @property
    def p(self) -> int:
        return self.p1 - self.p0

    @property
    def spans(self) -> list[tuple[int, int]]:
        groups = self.x.tensor.layout.groups
        return [(g, min(groups, g + self.chunk)) for g in range(0, groups, self.chunk)]


def columns_of(b: Builder, x: Operand, copies: int) -> list[Columns]:
    """Cut x into blocks of pixels; copies: how many blocks like x's live at once."""
    layout = x.tensor.layout
    each = layout.group_bytes * copies
    budget = budget_of(b, x.tensor) if not x.tensor.resident else b.available // 2
    p = max(1, min(layout.pixels, MAX_P, budget // (layout.groups * each)))
    chunk = max(1, min(layout.groups, MAX_GROUPS, budget // (p * each)))
    return [Columns(x, p0, min(layout.pixels, p0 + p), chunk) for p0 in range(0, layout.pixels, p)]


class _ChannelWork:
    """Reductions and maps over the channels of one block of pixels."""

    def __init__(self, b: Builder, at: Columns) -> None:
        self.b, self.at = b, at
        self.held = None if len(at.spans) > 1 else self._fetch(at.spans[0])

    def _fetch(self, span: tuple[int, int]) -> View:
        return self.b.fetch(self.at.x.tensor, *span, self.at.p0, self.at.p1)

    def input(self, span: tuple[int, int]) -> tuple[Stream, Area]:
        view = self.held or self._fetch(span)
        window = flat_window(view.plane, self.at.p)
        stream = view.stream(span[0], self.at.p0, window, self.at.x.dtype)
        return stream, view.area(*span, self.at.p0, self.at.p1)

    def row(self, buffer: Buffer) -> Stream:
        """One value a pixel, the same for every group."""
        return Stream(buffer, 0, flat_window(0, self.at.p), DType.F32)

    def reduce(self, r: Reduction, with_row: Buffer | None = None) -> Buffer:
        """Reduce over all channels; in1 of `r.before` is `with_row`. `r.after` is applied last."""
        b, layout = self.b, self.at.x.tensor.layout
        spans = self.at.spans
        total: Buffer | None = None
        for span in spans:
            stream, area = self.input(span)
            out = self._new_row()
            whole = r.after if len(spans) == 1 else ()
            channels = min(layout.channels, span[1] * layout.ku) - span[0] * layout.ku
            reads = (area,) if with_row is None else (area, Area(with_row))
            b.emit(
                VectorTile(
                    layer=b.layer, in0=stream, in1=self.row(with_row) if with_row else None,
                    out=self.row(out), chain=(*r.before, RED, *whole), p=self.at.p,
                    groups=span[1] - span[0], reduce=Reduce.CHANNELS, redop=r.redop,
                    channels=channels, reads=reads, writes=(Area(out),),
                )
            )  # fmt: skip
            total = out if total is None else self.combine(total, out, COMBINE[r.redop])
        assert total is not None, "a tensor has channels"
        return total if len(spans) == 1 or not r.after else self.finish(total, r.after)

    def combine(self, left: Buffer, right: Buffer, op: MicroOp) -> Buffer:
        out = self._new_row()
        self._row_op(left, right, (ChainStep(op, Src.IN1),), out)
        return out

    def finish(self, row: Buffer, chain: tuple[ChainStep, ...]) -> Buffer:
        out = self._new_row()
        self._row_op(row, None, chain, out)
        return out

    def _row_op(
        self, left: Buffer, right: Buffer | None, chain: tuple[ChainStep, ...], out: Buffer
    ) -> None:
        reads = (Area(left),) if right is None else (Area(left), Area(right))
        self.b.emit(
            VectorTile(
                layer=self.b.layer, in0=self.row(left), in1=self.row(right) if right else None,
                out=self.row(out), chain=chain, p=self.at.p, groups=1, reads=reads,
                writes=(Area(out),),
            )
        )  # fmt: skip

    def _new_row(self) -> Buffer:
        return self.b.scratch("row", self.at.p * 4 * self.b.chip.ku)

    def map(self, chain: tuple[ChainStep, ...], rows: Sequence[Buffer], result: Result) -> None:
        """Write chain(x, rows) of every channel."""
        b, at = self.b, self.at
        for span in at.spans:
            stream, area = self.input(span)
            target = b.target(result.tensor, *span, at.p0, at.p1)
            window = flat_window(target.plane, at.p)
            b.emit(
                VectorTile(
                    layer=b.layer, in0=stream, in1=self.row(rows[0]), in2=self.row(rows[1]),
                    out=target.stream(span[0], at.p0, window, result.dtype),
                    out_quant=result.quant, chain=chain, p=at.p, groups=span[1] - span[0],
                    reads=(area, *(Area(row) for row in rows)),
                    writes=(target.area(*span, at.p0, at.p1),),
                )
            )  # fmt: skip
            b.deliver(target)


def reduce_channels(b: Builder, x: Operand, r: Reduction, result: Result) -> None:
    """Reduce over the channel axis; the result has one channel."""
    for at in columns_of(b, x, 1):
        work = _ChannelWork(b, at)
        row = work.reduce(r)
        target = b.target(result.tensor, 0, 1, at.p0, at.p1)
        b.emit(
            VectorTile(
                layer=b.layer, in0=work.row(row), chain=PASS, p=at.p, groups=1,
                out=target.stream(0, at.p0, flat_window(target.plane, at.p), result.dtype),
                out_quant=result.quant, reads=(Area(row),),
                writes=(target.area(0, 1, at.p0, at.p1),),
            )
        )  # fmt: skip
        b.deliver(target)


# -- softmax -------------------------------------------------------------------------------

_EXP: tuple[ChainStep, ...] = (
    ChainStep(MicroOp.FSUB, Src.IN1),
    ChainStep(MicroOp.FMUL, Constant(LOG2_E)),
    ChainStep(MicroOp.EXP2),
)


def _plan_softmax(
    b: Builder, node: Node, after_sum: tuple[ChainStep, ...], chain: tuple[ChainStep, ...]
) -> None:
    x, out = b.operand(node.inputs[0]), b.placed[node.outputs[0]]
    axis = int(node.attrs["axis"])  # type: ignore[arg-type]
    along = as_axis(b, x, axis)
    target = out
    if out.layout.axis != axis:
        target = temporary(b, f"{node.name}.along", out.layout.shape, axis, 4)
    for at in columns_of(b, Operand(along, DType.F32), 2):
        work = _ChannelWork(b, at)
        top = work.reduce(Reduction(RedOp.MAX))
        total = work.reduce(Reduction(RedOp.SUM, _EXP, after_sum), top)
        work.map(chain, (top, total), Result(target, DType.F32))
    if target is not out:
        copy_axes(b, target, out, identity_axes(out.layout.shape))


def plan_softmax(b: Builder, node: Node) -> None:
    _plan_softmax(b, node, (ChainStep(MicroOp.RECIP),), (*_EXP, ChainStep(MicroOp.FMUL, Src.IN2)))


def plan_log_softmax(b: Builder, node: Node) -> None:
    log_sum: tuple[ChainStep, ...] = (
        ChainStep(MicroOp.LOG2),
        ChainStep(MicroOp.FMUL, Constant(LN_2)),
    )
    _plan_softmax(
        b, node, log_sum, (ChainStep(MicroOp.FSUB, Src.IN1), ChainStep(MicroOp.FSUB, Src.IN2))
    )


# -- reduce_* ------------------------------------------------------------------------------

_SQUARE: tuple[ChainStep, ...] = (ChainStep(MicroOp.FMUL, Src.V),)
_ROOT: tuple[ChainStep, ...] = (ChainStep(MicroOp.RSQRT), ChainStep(MicroOp.RECIP))


def _reduction_of(node: Node, count: int) -> Reduction:
    match node.op:
        case "reduce_mean":
            mean = ChainStep(MicroOp.FMUL, Constant(float(np.float32(1 / count))))
            return Reduction(RedOp.SUM, (), (mean,))
        case "reduce_sum":
            return Reduction(RedOp.SUM)
        case "reduce_max":
            return Reduction(RedOp.MAX)
        case "reduce_min":
            return Reduction(RedOp.MIN)
        case "reduce_l2":
            return Reduction(RedOp.SUM, _SQUARE, _ROOT)
        case _:
            return Reduction(RedOp.SUM, _SQUARE)


def plan_reduce(b: Builder, node: Node) -> None:
    """Reduce pixel axes first, then the channel axis."""
    x, out = b.operand(node.inputs[0]), b.placed[node.outputs[0]]
    shape, channel = x.layout.shape, x.layout.axis
    axes = [a for a in node.attrs["axes"] if shape[a] > 1]  # type: ignore[union-attr]
    reduced_shape = tuple(1 if i in axes else n for i, n in enumerate(shape))
    layout = Layout(reduced_shape, channel, 4, b.chip.ku)
    final = _under(out, layout) if same_blocks(layout, out.layout) else temporary(
        b, f"{node.name}.kept", reduced_shape, channel, 4
    )  # fmt: skip
    pixels = [a for a in axes if a != channel]
    r = _reduction_of(node, prod(shape[a] for a in axes))
    _reduce_axes(b, x, pixels, channel in axes, r, final)
    if final.buffer is not out.buffer:
        copy_reshaped(b, final, out)


def _under(tensor: Placed, layout: Layout) -> Placed:
    """The same bytes under another layout."""
    return Placed(tensor.name, layout, tensor.buffer, tensor.plane, tensor.resident)


def _reduce_axes(
    b: Builder, x: Placed, pixels: list[int], channels: bool, r: Reduction, final: Placed
) -> None:
    dtype = dtype_of(b, x.name) if x.name in b.graph.tensors else DType.F32
    if not pixels and not channels:
        plan_map(b, _as_expression(r), [Operand(x, dtype)], Result(final, DType.F32))
        return
    if pixels and not channels and _middle(x, pixels) is not None:
        outer, size = _middle(x, pixels) or (0, 0)
        reduce_axis(b, Operand(x, dtype), outer, size, r, Result(final, DType.F32))
        return
    if pixels:
        x = _innermost(b, x, pixels)
        size = prod(x.layout.shape[-len(pixels) :])
        count = x.layout.pixels // size
        middle, first = final, r
        if channels:
            shape = x.layout.shape[: -len(pixels)]
            middle = temporary(b, f"{final.name}.pixels", shape, x.layout.axis, 4)
            first = replace(r, after=())
        reduce_pixels(b, Operand(x, dtype), count, first, Result(middle, DType.F32))
        x, r = middle, replace(r, before=())
    if channels:
        reduce_channels(b, Operand(x, DType.F32), r, Result(final, DType.F32))


def _middle(x: Placed, pixels: list[int]) -> tuple[int, int] | None:
    """(outer, size) when the axes are one run of the pixels, short enough for a window's taps."""
    rest = [(i, n) for i, n in enumerate(x.layout.shape) if i != x.layout.axis and n > 1]
    where = [k for k, (i, _) in enumerate(rest) if i in pixels]
    size = prod(rest[k][1] for k in where)
    if where != list(range(where[0], where[-1] + 1)) or size > MAX_TAPS:
        return None
    inner = prod(n for _, n in rest[where[-1] + 1 :])
    if inner > MAX_P or (prod(n for _, n in rest[: where[0]]) > MAX_OUTER and inner > 1):
        return None
    return prod(n for _, n in rest[: where[0]]), size


def _innermost(b: Builder, x: Placed, pixels: list[int]) -> Placed:
    """Return x with the given pixel axes last, in order (moving whole words if they are not)."""
    shape, channel = x.layout.shape, x.layout.axis
    assert channel is not None, "a tensor with pixel axes has a channel axis"
    perm = [i for i in range(len(shape)) if i not in pixels] + pixels
    moved = tuple(shape[i] for i in perm)
    layout = Layout(moved, perm.index(channel), x.layout.width, x.layout.ku)
    big = [i for i in perm if i != channel and shape[i] > 1]
    if big == sorted(big):
        return _under(x, layout)
    y = temporary(b, f"{x.name}.moved", moved, layout.axis, x.layout.width)
    copy_axes(b, x, y, identity_axes(shape, perm))
    return y


def _as_expression(r: Reduction) -> Ex:
    """The elements themselves: a reduction over one element."""
    value = source(0)
    for step in (*r.before, *r.after):
        if step.operand is Src.V:
            value = value * value
        elif step.operand is None:
            value = unary(step.op, value)
        else:
            assert step.op is MicroOp.FMUL and isinstance(step.operand, Constant)
            value = value * step.operand.value
    return value


PLANNERS = {
    "softmax": plan_softmax,
    "log_softmax": plan_log_softmax,
    "qavgpool_global": plan_qavgpool_global,
    **{f"reduce_{name}": plan_reduce for name in ("mean", "sum", "max", "min", "l2", "sumsq")},
}
