"""Element-wise work on whole tensors: an expression applied at every element, with broadcasting.

In: an expression, its operands as placed tensors of one rank, the output. Out: per block, loads,
one VectorTile per stage of the expression, and the store.

The pixels are seen as levels of (size, stride of each operand), joined where all operands run on;
the two innermost levels are a window's rows and columns, further ones are iterated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod

import numpy as np

from jiriki.graph.graph import Node
from jiriki.isa.words import DType, Quantiser, Src, Window
from jiriki.numerics import SegmentTable
from jiriki.tiling.builder import Builder, Placed, View
from jiriki.tiling.layout import Layout, channel_axis, layout_of, pack
from jiriki.tiling.moves.relayout import as_axis, copy_reshaped, temporary
from jiriki.tiling.tile_program import (
    Area,
    Buffer,
    ChainStep,
    Stream,
    TableTile,
    VectorTile,
    flat_window,
)
from jiriki.tiling.vector.expression import (
    Contents,
    Ex,
    Lookup,
    Stage,
    Temporary,
    compile_expression,
)

MAX_P, MAX_GROUPS, MAX_ROWS = 32_767, 16_383, 8_191
SMALL_BLOCK = 8_192  # bytes: blocks below this are not worth cutting for overlap
PER_CHANNEL = (Src.PB, Src.PS)
BLOCKS = 4  # blocks a large tensor is cut into, so that loads and stores overlap the work


@dataclass(frozen=True, slots=True)
class Operand:
    """A placed tensor of the output's rank (missing axes 1) and its element type."""

    tensor: Placed
    dtype: DType


@dataclass(frozen=True, slots=True)
class Result:
    """Where the expression goes: quant is the quantiser of integer outputs."""

    tensor: Placed
    dtype: DType
    quant: Quantiser | None = None


def dtype_of(b: Builder, name: str) -> DType:
    """Return a tensor's element type as a stream has it."""
    return DType[b.graph.tensors[name].dtype.name]


def quant_of(dtype: DType) -> Quantiser | None:
    """Return the quantiser that only saturates."""
    return Quantiser.saturating(dtype.format) if dtype in (DType.I8, DType.I16) else None


# -- operands ------------------------------------------------------------------------------


def broadcast_operand(b: Builder, name: str, out: Layout) -> Operand:
    """Return an operand with as many axes as the output, blocked along the output's axis."""
    dtype, shape = dtype_of(b, name), b.graph.tensors[name].shape
    full = (1,) * (len(out.shape) - len(shape)) + shape
    if name in b.graph.constants:
        return Operand(constant_tensor(b, name, b.graph.constants[name].reshape(full)), dtype)
    x = b.operand(name)
    if full != shape:
        x = reshaped(b, x, full)
    return Operand(as_axis(b, x, out.axis) if out.axis is not None else x, dtype)


def constant_tensor(b: Builder, name: str, array: np.ndarray) -> Placed:
    """Place an array of the planner's own in DRAM, blocked."""
    ku = b.chip.ku
    layout = Layout(array.shape, channel_axis(array.shape), array.itemsize, ku)
    return Placed(name, layout, b.constant(name, pack(array, ku)), layout.pixels, False)


def reshaped(b: Builder, x: Placed, shape: Sequence[int]) -> Placed:
    """Return x under another shape: the same bytes where the blocked form allows, else a copy."""
    axis = channel_axis(tuple(shape))
    layout = Layout(tuple(shape), axis, x.layout.width, x.layout.ku)
    if same_blocks(x.layout, layout):
        return Placed(x.name, layout, x.buffer, x.plane, x.resident)
    y = temporary(b, f"{x.name}.reshaped", shape, axis, x.layout.width)
    copy_reshaped(b, x, y)
    return y


def same_blocks(a: Layout, b: Layout) -> bool:
    """Whether both layouts put every element (in row-major order) at the same place."""
    return a.channels == b.channels and _around(a) == _around(b)


def _around(layout: Layout) -> tuple[int, int]:
    """Elements before and after the channel axis, in row-major order."""
    if layout.axis is None or layout.channels == 1:
        return 1, layout.pixels
    return prod(layout.shape[: layout.axis]), prod(layout.shape[layout.axis + 1 :])


# -- levels --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Level:
    """One loop over pixels: iterations, and element groups each operand advances."""

    count: int
    strides: tuple[int, ...]


def pixel_levels(out: Layout, operands: Sequence[Layout]) -> list[Level]:
    """Return the loops over the output's pixels, outermost first, at least two."""
    levels: list[Level] = []
    for axis, count in enumerate(out.shape):
        if axis == out.axis or count == 1:
            continue
        strides = tuple(_pixel_stride(o, axis) for o in operands)
        if levels and levels[-1].strides == tuple(s * count for s in strides):
            levels[-1] = Level(levels[-1].count * count, strides)
        else:
            levels.append(Level(count, strides))
    none = Level(1, (0,) * len(operands))
    return [none] * (2 - len(levels)) + levels


def _pixel_stride(layout: Layout, axis: int) -> int:
    """Element groups from one index of a pixel axis to the next; 0 where the operand repeats."""
    if layout.shape[axis] == 1:
        return 0
    return prod(n for i, n in enumerate(layout.shape) if i > axis and i != layout.axis)


# -- blocks --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """Groups [g0, g1) of rows x columns pixels; `start` is the first pixel of each operand."""

    g0: int
    g1: int
    rows: int
    columns: int
    start: tuple[int, ...]
    out: int

    @property
    def p(self) -> int:
        return self.rows * self.columns


def _blocks(levels: list[Level], groups: int, elements: int) -> Iterator[Block]:
    """Cut into blocks of at most `elements` element groups (at least one)."""
    *outer, rows, columns = levels
    whole = rows.count * columns.count
    most = max(1, min(elements, MAX_P))
    if columns.count <= most:
        r_step, c_step = min(rows.count, most // columns.count, MAX_ROWS), columns.count
    else:
        r_step, c_step = 1, most
    g_step = max(1, min(groups, elements // (r_step * c_step), MAX_GROUPS))
    for g0 in range(0, groups, g_step):
        g1 = min(groups, g0 + g_step)
        for n, index in enumerate(product(*(range(x.count) for x in outer))):
            for r in range(0, rows.count, r_step):
                for c in range(0, columns.count, c_step):
                    at = (*index, r, c)
                    start = tuple(
                        sum(i * x.strides[k] for i, x in zip(at, levels, strict=True))
                        for k in range(len(rows.strides))
                    )
                    out = n * whole + r * columns.count + c
                    height = min(r_step, rows.count - r)
                    yield Block(g0, g1, height, min(c_step, columns.count - c), start, out)


@dataclass
class _Map:
    """One expression over one set of operands."""

    b: Builder
    stages: list[Stage]
    operands: Sequence[Operand]
    result: Result
    params: Buffer | None
    tables: dict[Contents, Buffer] = field(default_factory=dict)
    views: dict[int, tuple[tuple[int, ...], View]] = field(default_factory=dict)
    loaded_params: Buffer | None = None

    def run(self) -> None:
        b, out = self.b, self.result.tensor.layout
        levels = pixel_levels(out, [o.tensor.layout for o in self.operands])
        self._load_tables()
        if self.params is not None:
            self.loaded_params = b.load_constant(self.params, 0, self.params.size)
        for block in _blocks(levels, out.groups, self._elements()):
            self._block(block, levels)

    def _elements(self) -> int:
        """Element groups of a block: what fits, doubled; large tensors in several blocks."""
        out = self.result.tensor
        moving = [o.tensor for o in self.operands if not o.tensor.resident]
        moving += [] if out.resident else [out]
        temps = sum(stage.result >= 0 for stage in self.stages)
        each = sum(t.layout.group_bytes for t in moving) + temps * 4 * self.b.chip.ku
        if not each:
            return 1 << 40
        fixed = self.params.size if self.params else 0
        room = max(0, self.b.available - fixed) // 2
        total = out.layout.groups * out.layout.pixels * each
        wish = max(SMALL_BLOCK, -(-total // BLOCKS)) if moving else total
        return min(room, wish) // each

    def _load_tables(self) -> None:
        b = self.b
        for stage in self.stages:
            for step in stage.chain:
                if isinstance(step, Lookup) and step.contents not in self.tables:
                    contents = step.contents
                    segment = isinstance(contents, SegmentTable)
                    raw = contents.to_bytes() if isinstance(contents, SegmentTable) else contents
                    constant = b.constant("table", raw)
                    buffer = b.load_constant(constant, 0, constant.size)
                    reads = (Area(buffer),)
                    b.emit(TableTile(layer=b.layer, table=buffer, segment=segment, reads=reads))
                    self.tables[contents] = buffer

    def _block(self, block: Block, levels: list[Level]) -> None:
        target = self.b.target(
            self.result.tensor, block.g0, block.g1, block.out, block.out + block.p
        )
        temps: dict[int, Buffer] = {}
        for stage in self.stages:
            streams, reads = [], []
            for ref in stage.streams:
                if isinstance(ref, Temporary):
                    streams.append(self._temp_stream(temps[ref.number], block))
                    reads.append(Area(temps[ref.number]))
                else:
                    stream, area = self._operand(ref.index, block, levels)
                    streams.append(stream)
                    reads.append(area)
            self._emit(stage, block, target, temps, streams, reads)
        self.b.deliver(target)

    def _emit(
        self,
        stage: Stage,
        block: Block,
        target: View,
        temps: dict[int, Buffer],
        streams: list[Stream],
        reads: list[Area],
    ) -> None:
        b = self.b
        if stage.result < 0:
            window = flat_window(target.plane, block.p)
            out = target.stream(block.g0, block.out, window, self.result.dtype)
            writes = target.area(block.g0, block.g1, block.out, block.out + block.p)
            quant = self.result.quant
        else:
            size = (block.g1 - block.g0) * block.p * 4 * b.chip.ku
            temps[stage.result] = b.scratch("temporary", size)
            out, quant = self._temp_stream(temps[stage.result], block), None
            writes = Area(temps[stage.result])
        chain = tuple(self._with_table(step) for step in stage.chain)
        params = None
        if self.loaded_params is not None and any(s.operand in PER_CHANNEL for s in chain):
            params = (self.loaded_params, block.g0 * 8 * b.chip.ku)
            reads.append(Area(self.loaded_params))
        b.emit(
            VectorTile(
                layer=b.layer, in0=streams[0], in1=streams[1] if len(streams) > 1 else None,
                in2=streams[2] if len(streams) > 2 else None, params=params, out=out,
                out_quant=quant, chain=chain, p=block.p, groups=block.g1 - block.g0,
                reads=tuple(dict.fromkeys(reads)), writes=(writes,),
            )
        )  # fmt: skip

    def _with_table(self, step: ChainStep | Lookup) -> ChainStep:
        if isinstance(step, Lookup):
            return ChainStep(step.op, self.tables[step.contents])
        return step

    def _temp_stream(self, buffer: Buffer, block: Block) -> Stream:
        return Stream(buffer, 0, flat_window(block.p, block.p), DType.F32)

    def _operand(self, i: int, block: Block, levels: list[Level]) -> tuple[Stream, Area]:
        operand, out = self.operands[i], self.result.tensor.layout
        tensor, layout = operand.tensor, operand.tensor.layout
        one_channel = layout.channels == 1 and out.channels > 1
        g0, g1 = (0, 1) if one_channel else (block.g0, block.g1)
        row, column = levels[-2].strides[i], levels[-1].strides[i]
        p0 = block.start[i]
        p1 = p0 + (block.rows - 1) * row + (block.columns - 1) * column + 1
        view = self._view(i, tensor, (g0, g1, p0, p1))
        plane = 0 if one_channel else view.plane
        window = _operand_window(plane, row, column, block)
        stream = view.stream(g0, p0, window, operand.dtype, splat=one_channel)
        return stream, view.area(g0, g1, p0, p1)

    def _view(self, i: int, tensor: Placed, span: tuple[int, int, int, int]) -> View:
        """Fetch, unless the last block of this operand was the same."""
        held = self.views.get(i)
        if held is None or held[0] != span:
            held = span, self.b.fetch(tensor, *span)
            self.views[i] = held
        return held[1]


def _operand_window(plane: int, row: int, column: int, block: Block) -> Window:
    """Window over rows x columns of an operand that advances by (row, column) element groups."""
    if block.rows == 1 or row == block.columns * column:
        return Window(
            plane=plane, pitch=0, h=1, w=block.p if column else 1, ow=block.p, sy=0, sx=column
        )
    return Window(
        plane=plane, pitch=row, h=block.rows if row else 1, w=block.columns if column else 1,
        ow=block.columns, sy=1 if row else 0, sx=column,
    )  # fmt: skip


def plan_map(
    b: Builder,
    expression: Ex,
    operands: Sequence[Operand],
    result: Result,
    params: Buffer | None = None,
) -> None:
    """Emit result = expression(operands) element by element.

    Operands have the output's rank and channel axis; an axis of size 1 repeats. params: DRAM
    constant of channel parameters, as `epilogue.channel_params` lays it out.
    """
    _Map(b, compile_expression(expression), operands, result, params).run()


def plan_node_map(
    b: Builder, node: Node, expression: Ex, names: Sequence[str] | None = None,
    quant: Quantiser | None = None, params: Buffer | None = None,
) -> None:  # fmt: skip
    """Emit a node whose output is `expression` of its inputs (or of `names`)."""
    name = node.outputs[0]
    out = b.placed[name]
    operands = [broadcast_operand(b, x, out.layout) for x in names or node.inputs]
    dtype = dtype_of(b, name)
    plan_map(b, expression, operands, Result(out, dtype, quant or quant_of(dtype)), params)


__all__ = [
    "Operand",
    "Result",
    "broadcast_operand",
    "constant_tensor",
    "layout_of",
    "plan_map",
    "plan_node_map",
    "reshaped",
    "same_blocks",
]
