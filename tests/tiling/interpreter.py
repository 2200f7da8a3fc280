"""A small interpreter of tile operations: every buffer an array, one operation after another.

It knows nothing of emit/ or sim/. Memory starts as noise. It also records which bytes each
operation reads and writes, so that `undeclared_conflicts` can name operations that share bytes
without sharing an Area: what the chip's units could run in the wrong order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from jiriki import numerics as nx
from jiriki.chip.config import ChipConfig
from jiriki.isa.words import DmaMode, DType, MicroOp, RedOp, Reduce, Src
from jiriki.tiling.tile_program import (
    Buffer,
    Constant,
    ConvTile,
    GemmTile,
    Move,
    Reserve,
    Space,
    Stream,
    TableTile,
    TileOp,
    VectorTile,
)

WIDTH = {DType.I8: 1, DType.I16: 2, DType.I32: 4, DType.F32: 4, DType.ACC: 4}
INTEGER = {DType.I8: np.int8, DType.I16: np.int16, DType.I32: np.int32, DType.ACC: np.int32}


@dataclass
class Interpreter:
    chip: ChipConfig
    memory: dict[Buffer, np.ndarray] = field(default_factory=dict)
    touched: list[tuple[TileOp, Buffer, bool, np.ndarray]] = field(default_factory=list)
    tables: dict[Buffer, nx.Lut8 | nx.SegmentTable] = field(default_factory=dict)

    def bytes_of(self, buffer: Buffer) -> np.ndarray:
        if buffer not in self.memory:
            size = buffer.size * (self.chip.vx_lanes * 4 if buffer.space is Space.ACC else 1)
            noise = np.random.default_rng(len(self.memory)).integers(0, 256, size, np.uint8)
            self.memory[buffer] = noise
            if buffer.data is not None:
                self.memory[buffer] = np.frombuffer(buffer.data, np.uint8).copy()
        return self.memory[buffer]

    def run(self, ops: list[TileOp]) -> None:
        for op in ops:
            match op:
                case Reserve():
                    pass
                case Move():
                    self._move(op)
                case VectorTile():
                    self._vector(op)
                case TableTile():
                    kind = nx.SegmentTable if op.segment else nx.Lut8
                    raw = self._read(op, op.table, np.arange(op.table.size)).tobytes()
                    self.tables[op.table] = kind.from_bytes(raw)
                case GemmTile():
                    self._gemm(op)
                case ConvTile():
                    self._conv(op)
                case _:
                    raise NotImplementedError(type(op).__name__)

    def _read(self, op: TileOp, buffer: Buffer, index: np.ndarray) -> np.ndarray:
        self.touched.append((op, buffer, False, np.unique(index)))
        assert index.size == 0 or index.min() >= 0
        return self.bytes_of(buffer)[index]

    def _write(self, op: TileOp, buffer: Buffer, index: np.ndarray, data: Any) -> None:
        self.touched.append((op, buffer, True, np.unique(index)))
        assert index.size == 0 or index.min() >= 0
        self.bytes_of(buffer)[index] = data

    def _move(self, op: Move) -> None:
        scatter = op.mode is DmaMode.SCATTER_BYTES
        assert 1 <= op.run <= 65535 and len(op.dims) <= 4
        dims = op.dims[:3] if scatter else op.dims
        step = list(op.dims)[3][2] if scatter else 1
        dram, sp = np.zeros(1, np.int64), np.zeros(1, np.int64)
        for count, d, s in dims:
            assert 1 <= count <= 65535
            i = np.arange(count)[:, None]
            dram, sp = (dram + i * d).reshape(-1), (sp + i * s).reshape(-1)
        j = np.arange(op.run)
        dram = (op.dram_offset + dram[:, None] + j).reshape(-1)
        sp = (op.sp_offset + sp[:, None] + j * step).reshape(-1)
        ends = [(op.dram, dram), (op.sp, sp)]
        (source, si), (target, ti) = ends if op.load else ends[::-1]
        assert target is not None
        if op.mode is DmaMode.FILL:
            self._write(op, target, ti, np.uint8(op.fill & 255))
            return
        assert source is not None
        self._write(op, target, ti, self._read(op, source, si))

    # -- vector unit -------------------------------------------------------------------

    def _index(self, s: Stream, groups: int, p: int, taps: list[tuple[int, int]]) -> tuple:
        """Element-group numbers [groups, taps, p] from the base, and which are inside."""
        w = s.window
        pixel = np.arange(p)
        ky, kx = (np.array([t[i] for t in taps])[:, None] for i in (0, 1))
        iy = pixel // w.ow * w.sy + ky * w.dy - w.py
        ix = pixel % w.ow * w.sx + kx * w.dx - w.px
        inside = (iy >= 0) & (iy < w.h) & (ix >= 0) & (ix < w.w)
        at = np.arange(groups)[:, None, None] * w.plane + iy * w.pitch + ix
        return at, np.broadcast_to(inside, at.shape)

    def _fetch(self, op: VectorTile, s: Stream, taps: list[tuple[int, int]]) -> np.ndarray:
        ku, width = self.chip.ku, WIDTH[s.dtype]
        if s.dtype is DType.ACC:
            rows = np.arange(op.groups)[:, None] * s.window.plane
            pixel = np.arange(op.p)
            at = (s.offset + rows + pixel // self.chip.beat_pixels) * self.chip.vx_lanes
            at = (at + pixel % self.chip.beat_pixels * ku)[:, None, :]
            inside = np.ones(at.shape, bool)
            first = at * 4
        else:
            assert s.offset % ku == 0
            at, inside = self._index(s, op.groups, op.p, taps)
            first = s.offset + at * width * ku
        lanes = np.zeros(ku, np.int64) if s.splat else np.arange(ku)
        index = first[..., None, None] + (lanes * width)[:, None] + np.arange(width)
        mask = np.broadcast_to(inside[..., None, None], index.shape)
        raw = np.zeros(index.shape, np.uint8)
        raw[mask] = self._read(op, s.buffer, index[mask])
        mask = mask[..., 0]
        if s.dtype is DType.F32:
            value = raw.view(np.float32)[..., 0]
            fill = np.float32(-np.inf if s.window.fill == -128 else s.window.fill)
            return nx.clean(np.where(mask, value, fill))
        value = np.where(mask, raw.view(INTEGER[s.dtype])[..., 0], s.window.fill)
        if s.dtype in (DType.I8, DType.I16):
            return value.astype(np.float32)
        return value.astype(np.int32).view(np.float32)

    def _vector(self, op: VectorTile) -> None:
        assert 1 <= op.p <= 32767 and 1 <= op.groups <= 16383 and len(op.chain) <= 10
        w = op.in0.window
        taps = [(0, 0)]
        if op.reduce is Reduce.WINDOW:
            taps = list(product(range(w.kh), range(w.kw)))
        streams = {Src.IN1: op.in1, Src.IN2: op.in2}
        extra = {k: self._fetch(op, s, taps) for k, s in streams.items() if s is not None}
        if op.params is not None:
            buffer, offset = op.params
            ku = self.chip.ku
            index = offset + np.arange(op.groups * 8 * ku)
            table = self._read(op, buffer, index).view(np.float32).reshape(-1, 2, ku)
            extra[Src.PB], extra[Src.PS] = table[:, None, None, 0], table[:, None, None, 1]
        v = self._fetch(op, op.in0, taps)
        steps = list(op.chain)
        at = next((i for i, step in enumerate(steps) if step.op is MicroOp.RED), None)
        if op.reduce is Reduce.NONE:
            assert at is None
            v = self._chain(steps, v, extra)
        else:
            assert at is not None
            v = self._reduce(op, self._chain(steps[:at], v, extra))
            v = self._chain(steps[at + 1 :], v, {})
        self._store(op, v[:, 0])

    def _chain(self, steps: list, v: np.ndarray, extra: dict[Src, np.ndarray]) -> np.ndarray:
        t = np.zeros_like(v)
        for step in steps:
            x: Any = step.operand
            if x is Src.V:
                x = v
            elif x is Src.T:
                x = t
            elif isinstance(x, Src):
                x = np.broadcast_to(extra[x], v.shape)
            elif isinstance(x, Constant):
                assert isinstance(x.value, float)
                x = np.broadcast_to(np.float32(x.value), v.shape)
            if step.op is MicroOp.SAVE:
                t = v
            elif step.op is MicroOp.SEL:
                v = nx.select(t, v, x)
            else:
                v = self._op(step.op, v, x)
        return np.ascontiguousarray(v, np.float32)

    def _op(self, op: MicroOp, v: np.ndarray, x: Any) -> np.ndarray:
        c = nx.Comparison
        bits = np.ascontiguousarray(v).view(np.int32)
        table = {
            "mov": lambda: np.array(x), "i2f": lambda: nx.int_to_fp32(bits),
            "iadd": lambda: (bits + np.ascontiguousarray(x).view(np.int32)).view(np.float32),
            "fadd": lambda: nx.add(v, x), "fsub": lambda: nx.sub(v, x),
            "frsb": lambda: nx.sub(x, v), "fmul": lambda: nx.mul(v, x),
            "fmax": lambda: nx.maximum(v, x), "fmin": lambda: nx.minimum(v, x),
            "neg": lambda: nx.neg(v), "abs": lambda: nx.absolute(v),
            "gt": lambda: nx.compare(v, x, c.GT), "ge": lambda: nx.compare(v, x, c.GE),
            "eq": lambda: nx.compare(v, x, c.EQ), "exp2": lambda: nx.exp2(v),
            "log2": lambda: nx.log2(v), "recip": lambda: nx.recip(v),
            "rsqrt": lambda: nx.rsqrt(v), "floor": lambda: nx.clean(np.floor(v)),
            "rnd": lambda: nx.clean(np.rint(v)), "tbl": lambda: self.tables[x](v),
            "lut": lambda: self.tables[x](v.astype(np.int8)).astype(np.float32),
            "qnt": lambda: nx.quantise(v, x.zero_point, x.lo, x.hi).astype(np.float32),
        }  # fmt: skip
        with np.errstate(all="ignore"):
            return table[op.name.lower()]()

    def _reduce(self, op: VectorTile, v: np.ndarray) -> np.ndarray:
        join = {RedOp.SUM: nx.add, RedOp.MAX: nx.maximum, RedOp.MIN: nx.minimum}[op.redop]
        idle = np.float32({RedOp.SUM: -0.0, RedOp.MAX: -np.inf, RedOp.MIN: np.inf}[op.redop])
        ku, beat = self.chip.ku, self.chip.beat_pixels
        if op.reduce is Reduce.WINDOW:
            total = v[:, 0]
            for tap in range(1, v.shape[1]):
                total = join(total, v[:, tap])
            return total[:, None]
        v = v[:, 0]  # [groups, p, ku]
        if op.reduce is Reduce.PIXELS:
            beats = -(-op.p // beat)
            padded = np.full((op.groups, beats * beat, ku), idle, np.float32)
            padded[:, : op.p] = v
            lanes = padded.reshape(op.groups, beats, beat, ku)
            total = lanes[:, 0]
            for i in range(1, beats):
                total = join(total, lanes[:, i])
            while total.shape[1] > 1:
                half = total.shape[1] // 2
                total = join(total[:, :half], total[:, half:])
            return total[:, None]  # [groups, 1, 1, ku]
        assert op.reduce is Reduce.CHANNELS and op.channels <= op.groups * ku
        channel = np.arange(op.groups * ku).reshape(op.groups, 1, ku)
        v = np.where(channel < op.channels, v, idle)
        total = v[0]
        for g in range(1, op.groups):
            total = join(total, v[g])
        while total.shape[1] > 1:
            half = total.shape[1] // 2
            total = join(total[:, :half], total[:, half:])
        return np.repeat(total, ku, axis=1)[None, None]  # [1, 1, p, ku]

    def _store(self, op: VectorTile, v: np.ndarray) -> None:
        groups, p, ku = v.shape
        s = op.out
        width = WIDTH[s.dtype]
        assert s.offset % ku == 0
        at, inside = self._index(s, groups, p, [(0, 0)])
        assert inside.all()
        first = s.offset + at[:, 0] * width * ku
        if s.dtype is DType.F32:
            out: np.ndarray = np.ascontiguousarray(v)
        elif s.dtype is DType.I32:
            out = nx.fp32_to_int(v, nx.Format.INT32)
        else:
            assert op.out_quant is not None
            q = op.out_quant
            form = {DType.I8: nx.Format.INT8, DType.I16: nx.Format.INT16}[s.dtype]
            out = nx.quantise(v, q.zero_point, q.lo, q.hi, target=form)
        index = first[..., None, None] + (np.arange(ku) * width)[:, None] + np.arange(width)
        raw = np.ascontiguousarray(out).view(np.uint8).reshape(index.shape)
        self._write(op, s.buffer, index, raw)

    # -- matrix unit -------------------------------------------------------------------

    def _accumulate(self, op: GemmTile | ConvTile, result: np.ndarray) -> None:
        """result int32 [m, n_tiles * nu]."""
        chip, (m, n) = self.chip, result.shape
        rows, channel = np.arange(m)[:, None], np.arange(n)
        row = channel // chip.ku * op.acc_stride + rows // chip.beat_pixels
        lane = rows % chip.beat_pixels * chip.ku + channel % chip.ku
        at = ((row * chip.vx_lanes + lane) * 4)[..., None] + np.arange(4)
        if op.accumulate:
            result = result + self._read(op, op.acc, at).view(np.int32)[..., 0]
        raw = np.ascontiguousarray(result.astype(np.int32))[..., None].view(np.uint8)
        self._write(op, op.acc, at, raw)

    def _gemm(self, op: GemmTile) -> None:
        ku, nu, steps = self.chip.ku, self.chip.nu, op.steps
        assert 1 <= op.m < 1 << 14 and 1 <= steps < 1 << 12 and op.n_tiles < 1 << 10
        lane = np.arange(ku)
        a = op.a_offset + np.arange(steps) * op.a_plane + np.arange(op.m)[:, None] * ku
        tile, column = np.divmod(np.arange(op.n_tiles * nu), nu)
        b = op.b_offset + np.arange(steps) * op.b_kstride
        b = b + (tile * op.b_nstride + column * ku)[:, None]
        left = self._read(op, op.a, a[..., None] + lane).view(np.int8).reshape(op.m, -1)
        right = self._read(op, op.b, b[..., None] + lane).view(np.int8)
        right = right.reshape(op.n_tiles * nu, -1)
        self._accumulate(op, left.astype(np.int32) @ right.astype(np.int32).T)

    def _conv(self, op: ConvTile) -> None:
        ku, nu, w = self.chip.ku, self.chip.nu, op.window
        taps = list(product(range(w.kh), range(w.kw)))
        stream = Stream(op.a, op.a_offset, w, DType.I8)
        at, inside = self._index(stream, op.groups, op.p, taps)
        index = op.a_offset + at[..., None] * ku + np.arange(ku)
        mask = np.broadcast_to(inside[..., None], index.shape)
        x = np.full(index.shape, w.fill, np.int32)
        x[mask] = self._read(op, op.a, index[mask]).view(np.int8)
        steps = len(taps) * op.groups
        x = x.transpose(2, 1, 0, 3).reshape(op.p, steps * ku)
        size = op.n_tiles * steps * nu * ku
        raw = self._read(op, op.b, op.b_offset + np.arange(size)).view(np.int8)
        tiles = raw.reshape(op.n_tiles, steps, nu, ku).transpose(0, 2, 1, 3)
        self._accumulate(op, x @ tiles.reshape(op.n_tiles * nu, -1).astype(np.int32).T)

    # -- declared areas ----------------------------------------------------------------

    def undeclared_conflicts(self) -> list[str]:
        """Pairs of operations that share bytes, one writing, and do not meet in any Area."""
        by_buffer: dict[Buffer, list[tuple[TileOp, bool, np.ndarray]]] = {}
        for op, buffer, writes, index in self.touched:
            by_buffer.setdefault(buffer, []).append((op, writes, index))
        conflicts = []
        for buffer, uses in by_buffer.items():
            for i, (later, later_writes, later_index) in enumerate(uses):
                own = later.writes if later_writes else later.reads + later.writes
                declared = any(a.buffer is buffer for a in own) or buffer.data is not None
                if not declared:
                    conflicts.append(f"{type(later).__name__} does not declare {buffer.name}")
                for earlier, earlier_writes, earlier_index in uses[:i]:
                    if later is earlier or not (later_writes or earlier_writes):
                        continue
                    if not len(np.intersect1d(later_index, earlier_index, assume_unique=True)):
                        continue
                    others = earlier.writes if earlier_writes else earlier.reads + earlier.writes
                    if not any(a.meets(o) for a in own for o in others):
                        conflicts.append(
                            f"{type(earlier).__name__} -> {type(later).__name__} {buffer.name}"
                        )
        return conflicts
