"""Matrix products of two activations (and of batched or oddly laid out constants).

In: a matmul node. a is blocked along k; b is copied to [n, k] blocked along k: the form of B tiles.
Zero points are taken out exactly:
    sum (a - a_zp)(b - b_zp) = sum a*b + column[n] + row[m]
    column[n] = bias[n] + k*a_zp*b_zp - a_zp * sum_k b[k, n]      row[m] = -b_zp * sum_k a[m, k]
The sums are products with one constant row or one constant B tile, added as int32 on the way out.
Lanes beyond k are zero in b and in the constant tile, so that a's may hold anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from jiriki.graph.graph import Node
from jiriki.isa.words import DType, MicroOp, Quantiser, Src, Window
from jiriki.tiling.builder import Builder, Placed, View
from jiriki.tiling.errors import TileError
from jiriki.tiling.layout import Layout
from jiriki.tiling.matrix.conv import acc_rows_of, acc_stride_of
from jiriki.tiling.matrix.epilogue import channel_params
from jiriki.tiling.moves.move import End, fill
from jiriki.tiling.moves.relayout import as_axis, copy_axes, identity_axes, temporary
from jiriki.tiling.tile_program import (
    PASS,
    Area,
    Buffer,
    ChainStep,
    GemmTile,
    Space,
    Stream,
    VectorTile,
    flat_window,
    repeat_window,
)
from jiriki.tiling.vector.int8 import quantiser

MAX_M, MAX_STEPS, MAX_TILES = 8_192, 4_095, 1_023


@dataclass(frozen=True, slots=True)
class Product:
    """One batched product: a [batch, m, k], b [batch, n padded, k], out [batch, m, n]."""

    m: int
    n: int
    k: int
    a: Placed
    b: Placed
    a_zp: int
    b_zp: int
    params: Buffer  # DRAM: bias + k*a_zp*b_zp and multiplier per output channel
    chain: tuple[ChainStep, ...]
    out: Placed
    dtype: DType
    quant: Quantiser | None


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows of a, n tiles, and k groups of one block."""

    rows: int
    tiles: int
    groups: int


def plan_matmul(b: Builder, node: Node) -> None:
    """Bring the operands into form, multiply each batch element, bring the result into form."""
    x, out = b.operand(node.inputs[0]), b.placed[node.outputs[0]]
    shape, rank = out.layout.shape, len(out.layout.shape)
    a_shape, b_shape = (b.graph.tensors[name].shape for name in node.inputs[:2])
    rows = as_axis(b, x, len(a_shape) - 1)
    target = out
    if out.layout.axis != rank - 1:
        target = temporary(b, f"{node.name}.rows", shape, rank - 1, out.layout.width)
    p = _product(b, node, rows, _transposed(b, node), target)
    batch = shape[:-2]
    for i, (ia, ib) in enumerate(zip(_picks(a_shape, batch), _picks(b_shape, batch), strict=True)):
        _plan_one(b, p, ia, ib, i)
    if target is not out:
        copy_axes(b, target, out, identity_axes(shape))


def _picks(shape: tuple[int, ...], batch: tuple[int, ...]) -> list[int]:
    """Which matrix of an operand each element of the broadcast batch takes."""
    own = shape[:-2]
    index = np.arange(prod(own)).reshape((1,) * (len(batch) - len(own)) + own)
    return np.broadcast_to(index, batch).reshape(-1).tolist()


def _product(b: Builder, node: Node, a: Placed, right: Placed, out: Placed) -> Product:
    attrs = node.attrs
    a_zp, b_zp = int(attrs["a_zp"]), int(attrs["b_zp"])  # type: ignore[arg-type]
    m, k = a.layout.shape[-2:]
    bias, multiplier = (b.graph.constants[name] for name in node.inputs[2:4])
    total = (bias.astype(np.int64) + k * a_zp * b_zp).astype(np.int32)
    params = b.constant(f"{node.name}.params", channel_params(total, multiplier, b.chip.ku))
    kind = str(attrs["out"])
    chain: tuple[ChainStep, ...] = (
        () if kind == "i32" else (ChainStep(MicroOp.I2F), ChainStep(MicroOp.FMUL, Src.PS))
    )
    quant = quantiser(node, "out_zp") if kind == "i8" else None
    dtype = DType.I8 if kind == "i8" else DType.F32  # raw int32 leaves as 32 bits
    n = out.layout.shape[-1]
    return Product(m, n, k, a, right, a_zp, b_zp, params, chain, out, dtype, quant)


def _transposed(b: Builder, node: Node) -> Placed:
    """Return b as [..., n, k] blocked along k, n padded to whole tiles, zero beyond k."""
    name = node.inputs[1]
    shape, ku = b.graph.tensors[name].shape, b.chip.ku
    k, n = shape[-2:]
    padded = -(-n // b.chip.nu) * b.chip.nu
    full = (*shape[:-2], padded, k)
    layout = Layout(full, len(full) - 1, 1, ku)
    if name in b.graph.constants:
        array = np.zeros((*full[:-1], layout.groups * ku), np.int8)
        array[..., :n, :k] = np.swapaxes(b.graph.constants[name], -1, -2)
        blocks = array.reshape(-1, layout.groups, ku).transpose(1, 0, 2)
        return Placed(name, layout, b.constant(f"{node.name}.b", blocks), layout.pixels, False)
    y = Placed(name, layout, Buffer(f"{name}.t", Space.DRAM, layout.bytes), layout.pixels, False)
    if k % ku:
        fill(b, End(y.buffer, 0, Area(y.buffer)), layout.bytes, 0)
    x = b.operand(name)
    lead = len(shape) - 2
    axes = identity_axes(shape, [*range(lead), lead + 1, lead])
    copy_axes(b, x, y, axes, exact=True)
    return y


# -- one matrix product --------------------------------------------------------------------


def _plan_one(b: Builder, p: Product, ia: int, ib: int, io: int) -> None:
    cut = choose_cut(b, p)
    per = b.chip.nu // b.chip.ku
    n_tiles = -(-p.n // b.chip.nu)
    groups = p.a.layout.groups
    spans = [(g, min(groups, g + cut.groups)) for g in range(0, groups, cut.groups)]
    work = _Work(b, p, spans)
    for t0 in range(0, n_tiles, cut.tiles):
        t1 = min(n_tiles, t0 + cut.tiles)
        columns = ib * p.b.layout.shape[-2] + t0 * b.chip.nu, (t1 - t0) * b.chip.nu
        work.take_columns(columns, t0 * per, min(p.out.layout.groups, t1 * per))
        for m0 in range(0, p.m, cut.rows):
            m1 = min(p.m, m0 + cut.rows)
            work.tile(ia * p.m + m0, m1 - m0, io * p.m + m0)


def choose_cut(b: Builder, p: Product) -> Cut:
    """Halve the larger side until accumulators and scratchpad hold a block; then cut k."""
    chip, groups = b.chip, p.a.layout.groups
    rows, tiles = min(p.m, MAX_M), min(-(-p.n // chip.nu), MAX_TILES)
    terms = acc_rows_of(chip, 1, rows)

    def fits(k_groups: int) -> bool:
        here = (rows + tiles * chip.nu) * k_groups * chip.ku
        out = rows * tiles * chip.nu * p.out.layout.width
        fixed = p.params.size + chip.nu * k_groups * chip.ku
        extra = (rows + tiles * chip.nu) * 4 * chip.ku
        return 2 * (here + out + extra) + fixed <= b.available

    while acc_rows_of(chip, tiles, rows) + terms > chip.acc_rows // 2 or not fits(groups):
        if rows <= chip.mu and tiles == 1:
            break
        if rows > max(chip.mu, tiles * chip.nu) or tiles == 1:
            rows = -(-rows // 2)
        else:
            tiles = -(-tiles // 2)
        terms = acc_rows_of(chip, 1, rows)
    k_groups = min(groups, MAX_STEPS)
    while k_groups > 1 and not fits(k_groups):
        k_groups = -(-k_groups // 2)
    if not fits(k_groups):
        raise TileError(
            f"layer {b.layers[-1].name}: a block of {rows} rows does not fit into {b.available} "
            f"scratchpad bytes of chip {chip.name}; choose a chip with a larger scratchpad"
        )
    return Cut(rows, tiles, k_groups)


def int8_parts(value: int) -> list[int]:
    """Split -128..128 into int8 numbers that add up to it; 0 needs none."""
    if value == 0:
        return []
    return [value] if value <= 127 else [64, value - 64]


class _Work:
    """Emits the tiles of one matrix product; holds what the current columns share."""

    def __init__(self, b: Builder, p: Product, spans: list[tuple[int, int]]) -> None:
        self.b, self.p, self.spans = b, p, spans
        self.params = b.load_constant(p.params, 0, p.params.size)
        self.row_tiles = [self._row_tile(part) for part in int8_parts(-p.b_zp)]
        self.ones = [self._word(part) for part in int8_parts(-p.a_zp)]
        self.columns = (0, 0)
        self.groups = (0, 0)
        self.held: View | None = None
        self.column_term: Buffer | None = None

    def _word(self, value: int) -> Buffer:
        """One word whose bytes all hold `value`."""
        data = np.full(self.b.chip.ku, value, np.int8).tobytes()
        return self.b.load_constant(self.b.constant("constant row", data), 0, len(data))

    def _row_tile(self, value: int) -> list[Buffer]:
        """A B tile of `value` per k span, zero beyond k."""
        chip = self.b.chip
        tiles = []
        for g0, g1 in self.spans:
            k = np.arange(g0 * chip.ku, g1 * chip.ku).reshape(-1, 1, chip.ku)
            data = np.where(k < self.p.k, value, 0).astype(np.int8)
            data = np.broadcast_to(data, (g1 - g0, chip.nu, chip.ku))
            constant = self.b.constant("constant tile", np.ascontiguousarray(data))
            tiles.append(self.b.load_constant(constant, 0, constant.size, high=True))
        return tiles

    def take_columns(self, columns: tuple[int, int], g0: int, g1: int) -> None:
        """Turn to other columns (first pixel of b, count) and output groups."""
        self.columns, self.groups = columns, (g0, g1)
        self.held = self._fetch_b(self.spans[0]) if len(self.spans) == 1 else None
        self.column_term = self._column_term() if self.ones else None

    def _fetch_b(self, span: tuple[int, int]) -> View:
        first, count = self.columns
        return self.b.fetch(self.p.b, *span, first, first + count)

    def _right_sides(self) -> Iterator[tuple[tuple[int, int], View]]:
        for span in self.spans:
            yield span, self.held or self._fetch_b(span)

    def _gemm(
        self, a: tuple[Buffer, int, int, Area], m: int, steps: int,
        right: tuple[Buffer, int, int, int, Area], n_tiles: int, acc: Buffer, accumulate: bool,
    ) -> None:  # fmt: skip
        """a: (buffer, offset, plane bytes, area); right: (buffer, offset, k and n stride, area)."""
        self.b.emit(
            GemmTile(
                layer=self.b.layer, a=a[0], a_offset=a[1], a_plane=a[2], m=m, steps=steps,
                b=right[0], b_offset=right[1], b_kstride=right[2], b_nstride=right[3],
                n_tiles=n_tiles, acc=acc, acc_stride=acc_stride_of(self.b.chip, m),
                accumulate=accumulate, reads=(a[3], right[4]), writes=(Area(acc),),
            )
        )  # fmt: skip

    def _right(self, view: View) -> tuple[Buffer, int, int, int, Area]:
        word, (first, count) = self.b.chip.ku, self.columns
        area = view.area(view.g0, view.g1, first, first + count)
        return view.buffer, view.at(view.g0, first), view.plane * word, self.b.chip.nu * word, area

    def _column_term(self) -> Buffer:
        """int32 [groups][1][ku]: bias and -a_zp * sum of b's columns."""
        b, (g0, g1) = self.b, self.groups
        n_tiles = self.columns[1] // b.chip.nu
        acc = b.accumulators(acc_rows_of(b.chip, n_tiles, 1))
        started = False
        for span, view in self._right_sides():
            for word in self.ones:
                a = word, 0, 0, Area(word)
                self._gemm(a, 1, span[1] - span[0], self._right(view), n_tiles, acc, started)
                started = True
        term = b.scratch("column term", (g1 - g0) * 4 * b.chip.ku)
        stride = acc_stride_of(b.chip, 1)
        self._add_out(acc, stride, 1, g1 - g0, (ChainStep(MicroOp.IADD, Src.PB),), term)
        return term

    def _row_term(self, views: list[View], p0: int, m: int) -> Buffer:
        """int32 [1][m][ku]: -b_zp * sum of a's rows, in every lane."""
        b, word = self.b, self.b.chip.ku
        acc = b.accumulators(acc_rows_of(b.chip, 1, m))
        started = False
        for i, view in enumerate(views):
            for tiles in self.row_tiles:
                right = tiles[i], 0, b.chip.nu * word, 0, Area(tiles[i])
                steps = view.g1 - view.g0
                self._gemm(self._left(view, p0, m), m, steps, right, 1, acc, started)
                started = True
        term = b.scratch("row term", m * 4 * word)
        self._add_out(acc, acc_stride_of(b.chip, m), m, 1, PASS, term)
        return term

    def _add_out(
        self,
        acc: Buffer,
        stride: int,
        p: int,
        groups: int,
        chain: tuple[ChainStep, ...],
        term: Buffer,
    ) -> None:
        b, reads, params = self.b, [Area(acc)], None
        if chain[0].operand is Src.PB:
            params = (self.params, self.groups[0] * 8 * b.chip.ku)
            reads.append(Area(self.params))
        b.emit(
            VectorTile(
                layer=b.layer, in0=Stream(acc, 0, Window(stride, 0, 1, p, p), DType.ACC),
                params=params, chain=chain, p=p, groups=groups, reads=tuple(reads),
                out=Stream(term, 0, flat_window(p, p), DType.F32), writes=(Area(term),),
            )
        )  # fmt: skip

    def _left(self, view: View, p0: int, m: int) -> tuple[Buffer, int, int, Area]:
        area = view.area(view.g0, view.g1, p0, p0 + m)
        return view.buffer, view.at(view.g0, p0), view.plane * self.b.chip.ku, area

    def tile(self, p0: int, m: int, out0: int) -> None:
        """Multiply rows [p0, p0 + m) of a with the current columns; deliver to pixels from out0."""
        b, p = self.b, self.p
        n_tiles = self.columns[1] // b.chip.nu
        acc = b.accumulators(acc_rows_of(b.chip, n_tiles, m))
        lefts = []
        for i, (span, right) in enumerate(self._right_sides()):
            view = b.fetch(p.a, *span, p0, p0 + m)
            lefts.append(view)
            left = self._left(view, p0, m)
            self._gemm(left, m, span[1] - span[0], self._right(right), n_tiles, acc, i > 0)
        row = self._row_term(lefts, p0, m) if self.row_tiles else None
        self._finish(acc, m, out0, row)

    def _finish(self, acc: Buffer, m: int, out0: int, row: Buffer | None) -> None:
        b, p, (g0, g1) = self.b, self.p, self.groups
        reads, in1, in2 = [Area(acc), Area(self.params)], None, None
        chain: list[ChainStep] = []
        if self.column_term is not None:
            in1 = Stream(self.column_term, 0, repeat_window(1), DType.I32)
            reads.append(Area(self.column_term))
        chain.append(ChainStep(MicroOp.IADD, Src.PB if in1 is None else Src.IN1))
        if row is not None:
            in2 = Stream(row, 0, flat_window(0, m), DType.I32)
            reads.append(Area(row))
            chain.append(ChainStep(MicroOp.IADD, Src.IN2))
        target = b.target(p.out, g0, g1, out0, out0 + m)
        stride = acc_stride_of(b.chip, m)
        b.emit(
            VectorTile(
                layer=b.layer, in0=Stream(acc, 0, Window(stride, 0, 1, m, m), DType.ACC), in1=in1,
                in2=in2, params=(self.params, g0 * 8 * b.chip.ku), chain=(*chain, *p.chain), p=m,
                groups=g1 - g0, out=target.stream(g0, out0, flat_window(target.plane, m), p.dtype),
                out_quant=p.quant, reads=tuple(reads),
                writes=(target.area(g0, g1, out0, out0 + m),),
            )
        )  # fmt: skip
        b.deliver(target)


PLANNERS = {"matmul": plan_matmul}
