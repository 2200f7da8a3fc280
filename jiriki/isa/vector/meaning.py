"""Meaning of the vector unit: VRUN and LDT (`vector.py` states it).

In: a resolved `VrunOp` or `LdtOp` and the machine. Out: the scratchpad or the tables changed.
A whole VRUN is computed at once on arrays [groups, pixels * ku]; reductions keep the stated order.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from jiriki import numerics
from jiriki.isa.errors import IsaError
from jiriki.isa.machine import Machine
from jiriki.isa.vector import lanes
from jiriki.isa.vector.lanes import Lanes, Value
from jiriki.isa.vector.operations import LdtOp, Stream, VrunOp
from jiriki.isa.walk import Walk, repeat_lanes, stream_walk
from jiriki.isa.words import DType, Micro, MicroOp, Quantiser, RedOp, Reduce, Src, TableKind
from jiriki.numerics import Format, Lut8, SegmentTable

_JOIN = {
    RedOp.SUM: (lanes.add, -0.0),
    RedOp.MAX: (lanes.maximum, -np.inf),
    RedOp.MIN: (lanes.minimum, np.inf),
}
_BF16_MINUS_INF = 0xFF80


def execute_ldt(op: LdtOp, machine: Machine) -> None:
    """Load a table from its image. Raises IsaError for an image that is none."""
    byte = op.base * machine.chip.ku
    if op.kind is TableKind.LUT8:
        image = machine.sp_view(byte, (256,), (1,), np.uint8).tobytes()
        machine.luts[op.slot] = Lut8.from_bytes(image)
        return
    head = machine.sp_view(byte, (16,), (1,), np.uint8)
    if head[6] > 8:
        raise IsaError(f"segment table at word {op.base} claims 2^{head[6]} segments, beyond 2^8")
    size = 16 * (1 + (1 << int(head[6])))
    image = machine.sp_view(byte, (size,), (1,), np.uint8).tobytes()
    try:
        machine.segments[op.slot] = SegmentTable.from_bytes(image)
    except numerics.NumericsError as error:
        raise IsaError(f"segment table at word {op.base}: {error}") from None


def execute_vrun(op: VrunOp, machine: Machine) -> None:
    """Run the chain over all beats, reduce, and write stream 3."""
    run = _Run(op, machine)
    if op.reduce is Reduce.NONE:
        value = run.chain(op.before, run.first(0, 0))
    elif op.reduce is Reduce.WINDOW:
        value = run.chain(op.after, _reduce_window(op, run))
    elif op.reduce is Reduce.PIXELS:
        value = _reduce_pixels(op, machine, lanes.to_float(run.chain(op.before, run.first(0, 0))))
        run.narrow(op.groups, 1)
        value = run.chain(op.after, value)
    else:
        value = _reduce_channels(op, machine, lanes.to_float(run.chain(op.before, run.first(0, 0))))
        run.narrow(1, op.p)
        value = run.chain(op.after, value)
    if op.out is not None:
        _write(op.out, op.out_quantiser, value, run, machine)


class _Run:
    """Operands of one VRUN, fetched when first asked for, and the micro-ops on them."""

    def __init__(self, op: VrunOp, machine: Machine) -> None:
        self.op, self.machine = op, machine
        self.groups, self.p = op.groups, op.p
        self._operands: dict[int, Value] = {}

    def narrow(self, groups: int, p: int) -> None:
        """Go on with the results of a reduction: fewer groups or pixels."""
        self.groups, self.p = groups, p
        for src in (Src.IN1, Src.IN2, Src.PB, Src.PS):
            self._operands.pop(src, None)

    def first(self, ky: int, kx: int) -> Value:
        """Return stream 0 at a tap of its window; +0 when it is not used."""
        if self.op.in0 is None:
            return np.zeros((self.groups, self.p * self.machine.chip.ku), np.int32)
        return _read(self.op.in0, self.groups, self.p, self.machine, ky, kx)

    def chain(self, micros: tuple[Micro, ...], value: Value) -> Value:
        """Run micro-ops one after another."""
        saved: Value = value
        for micro in micros:
            if micro.op is MicroOp.SAVE:
                saved = value
            else:
                value = _MEANING[micro.op](self, micro.src, value, saved)
        return value

    def mov(self, src: int, value: Value, saved: Value) -> Value:
        return self._full(self.operand(src, value, saved))

    def iadd(self, src: int, value: Value, saved: Value) -> Value:
        return lanes.to_raw(value) + lanes.to_raw(self.operand(src, value, saved))

    def i2f(self, src: int, value: Value, saved: Value) -> Value:
        return lanes.int_to_fp32(lanes.to_raw(value))

    def sel(self, src: int, value: Value, saved: Value) -> Value:
        x = lanes.to_float(self.operand(src, value, saved))
        return lanes.select(lanes.to_float(saved), lanes.to_float(value), x)

    def qnt(self, src: int, value: Value, saved: Value) -> Value:
        quantiser = self.op.quantisers[src]
        assert quantiser is not None, "resolve refuses a quantiser never set"
        v = lanes.to_float(value)
        return lanes.quantise(v, quantiser.zero_point, quantiser.lo, quantiser.hi)

    def tbl(self, src: int, value: Value, saved: Value) -> Value:
        table = self.machine.segments[src]
        if table is None:
            raise IsaError(f"TBL uses slot {src}, which no LDT loaded; load it first")
        return lanes.unknown(table(lanes.to_float(value).array))

    def lut(self, src: int, value: Value, saved: Value) -> Value:
        table = self.machine.luts[src]
        if table is None:
            raise IsaError(f"LUT uses slot {src}, which no LDT loaded; load it first")
        codes = numerics.fp32_to_int(lanes.to_float(value).array, Format.INT8)
        return lanes.integers(table(codes).astype(np.float32), 128.0)

    def mask(self, src: int, value: Value, saved: Value) -> Value:
        v, x = lanes.to_float(value), lanes.to_float(self.operand(src, value, saved))
        ku = self.machine.chip.ku
        channel = np.arange(self.groups * ku, dtype=np.float32).reshape(self.groups, ku)
        inside = repeat_lanes(channel, self.p) < x.array
        return lanes.unknown(np.where(inside, v.array, np.float32(-np.inf)))

    def _full(self, value: Value) -> Value:
        """Give a scalar operand every lane."""
        shape = (self.groups, self.p * self.machine.chip.ku)
        if isinstance(value, Lanes):
            array = np.ascontiguousarray(np.broadcast_to(value.array, shape))
            return Lanes(array, value.least, value.most, value.minus_zero)
        return np.ascontiguousarray(np.broadcast_to(value, shape))

    def operand(self, src: int, value: Value, saved: Value) -> Value:
        """Return the operand x of a micro-op."""
        if src == Src.V:
            return value
        if src == Src.T:
            return saved
        if src not in self._operands:
            self._operands[src] = self._fetch(src)
        return self._operands[src]

    def _fetch(self, src: int) -> Value:
        if src >= Src.K0:
            bits = self.op.konst[src - Src.K0]
            assert bits is not None, "resolve refuses a scalar never set"
            return lanes.scalar(bits)
        if src in (Src.PB, Src.PS):
            return self._params(src)
        stream = self.op.in1 if src == Src.IN1 else self.op.in2
        assert stream is not None, "resolve refuses a stream not fetched"
        return _read(stream, self.groups, self.p, self.machine, 0, 0)

    def _params(self, src: int) -> Value:
        ku = self.machine.chip.ku
        assert self.op.params is not None, "resolve refuses parameters not fetched"
        byte = self.op.params * ku + (4 * ku if src == Src.PS else 0)
        shape, strides = (self.groups, ku), (8 * ku, 4)
        raw = self.machine.sp_view(byte, shape, strides, np.int32)
        scale = lanes.from_bits(raw.copy()) if src == Src.PS else raw
        if not isinstance(scale, Lanes):
            return repeat_lanes(raw, self.p)
        return Lanes(repeat_lanes(scale.array, self.p), scale.least, scale.most)


_Meaning = Callable[[_Run, int, Value, Value], Value]  # of (run, src, v, t): the new v


def _unary(of: Callable[[Lanes], Lanes]) -> _Meaning:
    return lambda run, src, value, saved: of(lanes.to_float(value))


def _binary(of: Callable[[Lanes, Lanes], Lanes]) -> _Meaning:
    def meaning(run: _Run, src: int, value: Value, saved: Value) -> Value:
        x = lanes.to_float(run.operand(src, value, saved))
        return of(lanes.to_float(value), x)

    return meaning


_MEANING: dict[MicroOp, _Meaning] = {
    MicroOp.MOV: _Run.mov, MicroOp.IADD: _Run.iadd, MicroOp.I2F: _Run.i2f, MicroOp.SEL: _Run.sel,
    MicroOp.TBL: _Run.tbl, MicroOp.LUT: _Run.lut, MicroOp.QNT: _Run.qnt, MicroOp.MASK: _Run.mask,
    **{op: _unary(of) for op, of in lanes.UNARY.items()},
    **{op: _binary(of) for op, of in lanes.BINARY.items()},
}  # fmt: skip
_DONE = {op for op in MicroOp if not op.is_mark} - {MicroOp.SAVE}  # `chain` itself saves
assert _MEANING.keys() == _DONE, f"no meaning or no row: {_MEANING.keys() ^ _DONE}"


# Streams -------------------------------------------------------------------------------------


def _read(stream: Stream, groups: int, p: int, machine: Machine, ky: int, kx: int) -> Value:
    """Return a stream's elements [groups, p * ku] at one tap."""
    ku = machine.chip.ku
    if stream.dtype is DType.ACC:
        raw = _read_acc(stream, groups, p, machine)
    else:
        walk = stream_walk(stream.window, p, groups, ky, kx)
        raw = _read_elements(stream, walk, groups, p, machine)
    if stream.splat:
        raw = np.repeat(raw[:, ::ku], ku, axis=1)
    return _arrive(stream.dtype, raw)


def _read_acc(stream: Stream, groups: int, p: int, machine: Machine) -> NDArray[np.int32]:
    rows = -(-p // machine.chip.beat_pixels)
    view = machine.acc_view(stream.base, groups, stream.window.plane, rows)
    return view.reshape(groups, -1)[:, : p * machine.chip.ku].copy()


def _read_elements(
    stream: Stream, walk: Walk, groups: int, p: int, machine: Machine
) -> NDArray[np.generic]:
    ku, kind = machine.chip.ku, stream.dtype.format.dtype
    size = ku * kind.itemsize
    byte = stream.base * ku
    _check_reach(stream, walk, size, machine)
    if walk.start is not None:
        shape, strides = (groups, p * ku), (stream.window.plane * size, kind.itemsize)
        return machine.sp_view(byte + walk.start * size, shape, strides, kind)
    count = max(1, (machine.sp.size - byte) // size)
    items = machine.sp_view(byte, (count,), (size,), f"V{size}").take(walk.offsets)
    if walk.outside is not None:
        items.reshape(-1)[walk.outside] = _fill(stream, ku).view(f"V{size}")[0]
    return items.view(kind).reshape(groups, p * ku)


def _check_reach(stream: Stream, walk: Walk, size: int, machine: Machine) -> None:
    end = stream.base * machine.chip.ku + (walk.last + 1) * size
    if end > machine.sp.size:
        raise IsaError(
            f"stream at word {stream.base} reaches scratchpad byte {end - 1}, beyond its "
            f"{machine.sp.size}; correct the base or the window"
        )


def _fill(stream: Stream, ku: int) -> NDArray[np.generic]:
    """Return the element group that stands for everything outside the window."""
    fill, kind = stream.window.fill, stream.dtype.format.dtype
    if stream.dtype is DType.F32:
        return np.full(ku, -np.inf if fill == -128 else fill, kind)
    if stream.dtype is DType.BF16:
        bits = numerics.fp32_to_bf16(np.array([fill], np.float32))[0]
        return np.full(ku, _BF16_MINUS_INF if fill == -128 else bits, kind)
    return np.full(ku, fill, kind)


def _arrive(dtype: DType, raw: NDArray) -> Value:
    """Turn elements into what the lanes receive."""
    if dtype is DType.I8:
        return lanes.integers(raw.astype(np.float32), 128.0)
    if dtype is DType.I16:
        return lanes.integers(raw.astype(np.float32), 32768.0)
    if dtype is DType.F32:
        return lanes.unknown(numerics.clean(raw))
    if dtype is DType.BF16:
        return lanes.unknown(numerics.bf16_to_fp32(raw))
    return np.ascontiguousarray(raw)


def _write(
    stream: Stream, quantiser: Quantiser | None, value: Value, run: _Run, machine: Machine
) -> None:
    """Write results [groups, p * ku] to stream 3; what falls outside its window is dropped."""
    ku, kind = machine.chip.ku, stream.dtype.format.dtype
    size = ku * kind.itemsize
    walk = stream_walk(stream.window, run.p, run.groups)
    _check_reach(stream, walk, size, machine)
    out = np.ascontiguousarray(_leave(stream.dtype, quantiser, value))
    byte = stream.base * ku
    plane = stream.window.plane
    if walk.start is not None and (run.groups == 1 or plane >= run.p):
        shape, strides = (run.groups, run.p * ku), (plane * size, kind.itemsize)
        machine.sp_view(byte + walk.start * size, shape, strides, kind)[...] = out
        return
    offsets, items = walk.offsets.reshape(-1), out.view(f"V{size}").reshape(-1)
    if walk.inside is not None:
        offsets, items = offsets[walk.inside], items[walk.inside]
    count = max(1, (machine.sp.size - byte) // size)
    machine.sp_view(byte, (count,), (size,), f"V{size}")[offsets] = items


def _leave(dtype: DType, quantiser: Quantiser | None, value: Value) -> NDArray:
    """Turn lanes into elements of the output's type."""
    if dtype is DType.F32:
        return lanes.to_raw(value).view(np.float32)
    v = lanes.to_float(value)
    if dtype is DType.BF16:
        return numerics.fp32_to_bf16(v.array)
    if dtype is DType.I32:
        return numerics.fp32_to_int(v.array, Format.INT32)
    kind = dtype.format.dtype
    assert quantiser is not None, "resolve gives every small integer output its quantiser"
    low, high = int(dtype.format.min), int(dtype.format.max)
    lo, hi = min(max(quantiser.lo, low), high), min(max(quantiser.hi, low), high)
    return lanes.quantise(v, quantiser.zero_point, lo, hi).array.astype(kind)


# Reductions ----------------------------------------------------------------------------------


def _reduce_window(op: VrunOp, run: _Run) -> Value:
    """Combine the taps of window 0, ky then kx."""
    assert op.in0 is not None, "resolve refuses WINDOW without stream 0"
    join, _ = _JOIN[op.redop]
    total: Lanes | None = None
    for ky in range(op.in0.window.kh):
        for kx in range(op.in0.window.kw):
            v = lanes.to_float(run.chain(op.before, run.first(ky, kx)))
            total = v if total is None else join(total, v)
    assert total is not None, "resolve refuses a window without taps"
    return total


def _reduce_pixels(op: VrunOp, machine: Machine, v: Lanes) -> Value:
    """Combine [groups, p * ku] over pixels to [groups, ku]."""
    chip = machine.chip
    join, idle = _JOIN[op.redop]
    beats = -(-op.p // chip.beat_pixels)
    short = (beats * chip.beat_pixels - op.p) * chip.ku
    array = v.array
    if short:
        array = np.concatenate((array, np.full((op.groups, short), idle, np.float32)), axis=1)
    array = array.reshape(op.groups, beats, chip.beat_pixels, chip.ku)
    parts = [array[:, i] for i in range(beats)]
    return _halve(_combine(op, parts, v), join, 1)


def _reduce_channels(op: VrunOp, machine: Machine, v: Lanes) -> Value:
    """Combine [groups, p * ku] over channels to [1, p * ku], every lane of a pixel alike."""
    ku = machine.chip.ku
    array = v.array.reshape(op.groups, op.p, ku)
    if op.redop is RedOp.ARGMAX:
        flat = array.transpose(1, 0, 2).reshape(op.p, -1)[:, : op.channels]
        best = numerics.argmax(flat).astype(np.float32)
        return lanes.integers(np.repeat(best, ku)[None], 2.0**18)
    join, idle = _JOIN[op.redop]
    whole, rest = divmod(min(op.channels, op.groups * ku), ku)
    parts = [array[g] for g in range(whole)]
    if rest:
        last = array[whole].copy()
        last[:, rest:] = idle
        parts.append(last)
    joined = _combine(op, parts, v)
    halved = _halve(joined, join, 1)
    return Lanes(np.repeat(halved.array.reshape(-1), ku)[None], halved.least, halved.most)


def _combine(op: VrunOp, parts: list[NDArray[np.float32]], v: Lanes) -> Lanes:
    """Combine arrays one after another.

    The bounds leave out idle lanes (-0, or an infinity that every later join discards).
    """
    join, _ = _JOIN[op.redop]
    known = v if v.proven else lanes.measured(v.array)
    least, most = known.least, known.most
    if op.redop is RedOp.SUM and least * 2.0**-24 >= 2.0**-125 and most * len(parts) < 2.0**127:
        total = parts[0].copy()
        for part in parts[1:]:
            total += part
        return Lanes(total, least * 2.0**-24, most * len(parts))
    result = Lanes(parts[0], least, most, v.minus_zero)
    for part in parts[1:]:
        result = join(result, Lanes(part, least, most, v.minus_zero))
    return result


def _halve(v: Lanes, join: Callable[[Lanes, Lanes], Lanes], axis: int) -> Lanes:
    """Join along `axis` by x[i] = x[i] op x[i + n/2] until one is left; that axis goes."""
    while (n := v.array.shape[axis]) > 1:
        low, high = np.split(v.array, [n // 2], axis=axis)
        v = join(
            Lanes(low, v.least, v.most, v.minus_zero), Lanes(high, v.least, v.most, v.minus_zero)
        )
    return Lanes(np.squeeze(v.array, axis), v.least, v.most, v.minus_zero)
