"""Pieces of work of random programs: what one unit does in a phase, descriptors first.

In: the ground (random numbers, the chip, where things lie) and the regions a piece may use. Out:
instructions of one unit, and SETR, ADDR, PARM of the sequencer before them where an address goes
through a register. Every field that chooses a way through the gates is drawn; a piece run twice
(by a LOOP) does the same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from jiriki.chip import ChipConfig
from jiriki.isa.control import Addr, Parm, Setr, Sig, Wait
from jiriki.isa.dma.instructions import Dim, Gidx, Ld, St
from jiriki.isa.fields import Instruction, Sync, Unit
from jiriki.isa.matrix.instructions import Conv, Dw, Gemm, Gemv, Gstr, Ldw
from jiriki.isa.vector.instructions import Chain, Konst, Ldt, Qpar, Red, Strm, Vrun
from jiriki.isa.windows import Wina, Winb
from jiriki.isa.words import DmaMode, DType, MicroOp, Operand, RedOp, Reduce, Src, TableKind

SOURCE_BYTES = 1 << 16  # random data at DRAM address 0; stores go behind it
TABLE_BYTES = 8192  # of it, at its end: tables and the index list
INDEX_ENTRIES = 64
INDEX_LOW, INDEX_HIGH = -8, 23
BYTES = {DType.I8: 1, DType.I16: 2, DType.I32: 4, DType.F32: 4, DType.BF16: 2}
OFTEN = (  # drawn twice as often as the others
    MicroOp.FADD, MicroOp.FSUB, MicroOp.FRSB, MicroOp.FMUL, MicroOp.FMAX, MicroOp.FMIN,
    MicroOp.EQ, MicroOp.EXP2,
)  # fmt: skip
DRAWN = [op for op in MicroOp if not op.is_mark for _ in range(1 + (op in OFTEN))]
PLAIN = [op for op in DRAWN if op.operand is Operand.VALUE]
LONE = [op for op in DRAWN if op.operand is Operand.NONE and op is not MicroOp.ROT]
_FINE = (DType.F32, DType.F32, DType.BF16, DType.I16)  # results of these differ in fine detail
KONSTS = (
    1.0,
    0.5,
    -1.5,
    3.0e-5,
    7.25,
    0.1,
    2.0,
    40.0,
    0.0,
    -0.0,
    -1.0e20,
    float("inf"),
    float("nan"),
)
PARAMETERS = {"seven": 7, "many": 123_456, "less": -4_000, "most": 0x7FFF_FFFF}


@dataclass
class Phase:
    """What a phase may use: regions by unit and side, and the accumulator rows of MX and VX."""

    load: int  # LD writes
    store: int  # ST reads
    a: int  # MX reads
    b: int
    reads: int  # VX
    writes: int
    mx_row: int  # first of the half that MX writes
    vx_row: int  # first of the half that VX reads
    gathers: Unit | None  # the only DMA unit of the phase, which may use GATHER (any address)
    order: list[Unit]  # units that share a region or accumulators: one after the other
    fresh: int | None = None  # DRAM address of the region that ST, before LD in the order, stored


@dataclass
class Ground:
    """Random numbers, sizes and places."""

    rng: Random
    chip: ChipConfig
    words: int  # from one region to the next
    used: int  # words of a region
    indices: int = 0  # scratchpad byte addresses of the index list, and of the tables
    tables: tuple[int, ...] = ()
    luts: tuple[int, ...] = ()
    stored: int = SOURCE_BYTES  # next DRAM address for stores
    rows: int = 1  # accumulator rows, of a half, that MX may have written
    registers: dict[Unit, int] = field(default_factory=dict)  # used last, by unit

    @property
    def room(self) -> int:
        """Bytes of a region."""
        return self.used * self.chip.ku

    def place(self, region: int) -> int:
        """Return the scratchpad byte address of a region."""
        return region * self.words * self.chip.ku

    def word(self, region: int) -> int:
        """Return a word address near the beginning of a region."""
        return region * self.words + self.rng.randrange(32)

    def word_of(self, region: int, reach: int) -> int:
        """Return a word address from which `reach` words lie in a region."""
        return region * self.words + self.rng.randrange(self.used - reach)

    def through(self, instruction: Instruction) -> list[Instruction]:
        """Return the instruction, sometimes with its address partly in a register."""
        rng, name = self.rng, instruction.RELOCATES
        if name is None or rng.random() < 0.6:
            return [instruction]
        unit = instruction.unit
        self.registers[unit] = (self.registers.get(unit, 0) + 1) % 7
        register = 1 + 7 * (unit - Unit.LD) + self.registers[unit]
        mask = (1 << instruction.LAYOUT[name].bits) - 1
        makers = [self._set, self._set_and_step, self._parameter]
        setting, offset = rng.choice(makers)(register)
        instruction.values[name] = (instruction.values[name] - offset) & mask
        instruction.areg = register
        return [*setting, instruction]

    def _set(self, register: int) -> tuple[list[Instruction], int]:
        value = self.rng.choice([self.rng.randrange(1 << 16), self.rng.randrange(-(1 << 31), 0)])
        return [Setr.new(reg=register, value=value)], value

    def _set_and_step(self, register: int) -> tuple[list[Instruction], int]:
        setting, value = self._set(register)
        step = self.rng.randrange(-(1 << 31), 1 << 31)
        return [*setting, Addr.new(reg=register, step=step)], value + step

    def _parameter(self, register: int) -> tuple[list[Instruction], int]:
        index = self.rng.randrange(len(PARAMETERS))
        return [Parm.new(reg=register, index=index)], list(PARAMETERS.values())[index]


# DMA ------------------------------------------------------------------------------------------


def load(g: Ground, phase: Phase) -> list[Instruction]:
    """LD into its region; of what ST has stored just before, if LD comes after it."""
    if phase.fresh is not None and g.rng.random() < 0.8:
        run = g.rng.choice([g.room, 16, 64])  # the whole, or what was written last
        dram = phase.fresh + g.room - run
        return g.through(Ld.new(dram=dram, sp=g.place(phase.load), run=run))
    return _dma(g, Unit.LD, phase.load, phase)


def store(g: Ground, phase: Phase) -> list[Instruction]:
    """ST from its region; the whole of it when others work there too."""
    alone = phase.gathers is not Unit.LD  # which may read any address
    if alone and Unit.ST in phase.order and g.rng.random() < 0.6:
        later = phase.order[phase.order.index(Unit.ST) :]
        phase.fresh = g.stored if Unit.LD in later else None
        return keep(g, g.place(phase.store), g.room)
    return _dma(g, Unit.ST, phase.store, phase)


def keep(g: Ground, sp: int, size: int) -> list[Instruction]:
    """Store `size` bytes of the scratchpad where nothing else is stored."""
    out: list[Instruction] = []
    while size:
        run = min(size, 32768)
        out.append(St.new(dram=g.stored, sp=sp, run=run))
        g.stored, sp, size = g.stored + run, sp + run, size - run
    return out


@dataclass
class _Shape:
    """Dimensions of a DMA instruction, and the bytes it touches before and behind its base."""

    dims: list[tuple[int, int, int]]  # count, DRAM stride, scratchpad stride
    dram: list[int]  # [least, end] from the base
    sp: list[int]


def _dma(g: Ground, unit: Unit, region: int, phase: Phase) -> list[Instruction]:
    rng = g.rng
    if phase.gathers not in (None, unit):
        return []
    mode = rng.choice([DmaMode.COPY] * 3 + list(DmaMode))
    if mode is DmaMode.GATHER and phase.gathers is not unit:
        mode = DmaMode.COPY
    line = g.chip.ku * g.chip.columns
    scatter = rng.choice([4, 8, 3, 1, line // 2, line, line])
    while True:
        run = rng.choice([1, 2, 3, 4, 7, 12, 16, 20, 33, 64, 100, 256, 700])
        shape = _dimensions(g, unit, mode, run, scatter)
        if shape.sp[1] - shape.sp[0] < g.room - 64 and shape.dram[1] - shape.dram[0] < 16000:
            break
    out: list[Instruction] = [
        Dim.new(unit, dim=d, count=count, dram_stride=dram, sp_stride=sp)
        for d, (count, dram, sp) in enumerate(shape.dims)
    ]
    if mode is DmaMode.SCATTER_BYTES:
        out.append(Dim.new(unit, dim=3, count=1, sp_stride=scatter))
    if mode is DmaMode.GATHER:
        out.append(Gidx.new(unit, base=g.indices + 4 * rng.randrange(INDEX_ENTRIES - 4)))
    sp = g.place(region) + rng.randrange(g.room - (shape.sp[1] - shape.sp[0])) - shape.sp[0]
    values = {
        "sp": sp, "run": run, "ndims": len(shape.dims), "mode": mode, "fill": rng.randrange(256),
    }  # fmt: skip
    dram = _dram_base(g, unit, mode, shape)
    transfer = Ld.new(dram=dram, **values) if unit is Unit.LD else St.new(dram=dram, **values)
    return [*out, *g.through(transfer)]


def _dimensions(g: Ground, unit: Unit, mode: DmaMode, run: int, scatter: int) -> _Shape:
    """Draw dimensions: dense, apart, backwards, or (LD) over one another."""
    rng, burst = g.rng, g.chip.dram_burst_bytes
    most = 3 if mode is DmaMode.SCATTER_BYTES else rng.choice([3, 3, 4])
    spread = (run - 1) * scatter + 1 if mode is DmaMode.SCATTER_BYTES else run
    shape = _Shape([], [0, run], [0, spread])
    for d in range(rng.randint(1 if mode is DmaMode.GATHER else 0, most)):
        count = rng.randint(1, 4 if d < 3 else 2)
        strides = []
        for side, reach in (("dram", shape.dram), ("sp", shape.sp)):
            stride = reach[1] - reach[0]
            if side == "dram" and mode is DmaMode.GATHER and d == 0:
                stride = -(-run // burst) * burst
                reach[0], reach[1] = INDEX_LOW * stride, INDEX_HIGH * stride + run
                strides.append(stride)
                continue
            if rng.random() < 0.6:
                stride += rng.randint(0, 70 if side == "dram" else 30)
            if unit is Unit.LD and rng.random() < 0.1:
                stride = rng.randint(0, stride)
            if rng.random() < 0.15:
                stride = -stride
            reach[0] += min(0, (count - 1) * stride)
            reach[1] += max(0, (count - 1) * stride)
            strides.append(stride)
        shape.dims.append((count, strides[0], strides[1]))
    return shape


def _dram_base(g: Ground, unit: Unit, mode: DmaMode, shape: _Shape) -> int:
    """Return an address in the source (LD), or behind what is stored (ST)."""
    burst = g.chip.dram_burst_bytes if mode is DmaMode.GATHER else 1
    low, high = shape.dram
    if unit is Unit.LD:
        base = g.rng.randrange(-low, SOURCE_BYTES - TABLE_BYTES - high)
        return -(-base // burst) * burst
    base = -(-(g.stored + g.rng.randrange(64) - low) // burst) * burst
    g.stored = -(-(base + high) // 64) * 64
    return base


# Windows --------------------------------------------------------------------------------------


def _window(g: Ground, unit: Unit, idx: int, width: int) -> list:
    rng = g.rng
    w, h = rng.choice([0, *range(1, 12)]), rng.choice([0, *range(1, 6)])
    pitch = w + rng.choice([0, 0, 1, 3])
    below = width == 1 and rng.random() < 0.2  # pixels below each other meet in a column
    if below:
        pitch, h = g.chip.columns, 5
    plane = h * pitch + rng.choice([0, 0, 1, 5])
    assert (3 * plane + h * pitch) * width < g.used - 64, "a window fits its region"
    if rng.random() < 0.1:
        plane = 0
    wina = Wina.new(
        unit, idx=idx, plane=plane, pitch=pitch, h=h, w=w,
        ow=rng.choice([1, 2] if below else [w or 1, w or 2, rng.randint(1, 9)]),
        fill=rng.choice([0, 1, 3, -128, -7]),
    )  # fmt: skip
    winb = Winb.new(
        unit, idx=idx, sy=rng.randint(0, 2), sx=rng.choice([0, 1, 1, 1, 2, 4]),
        dy=rng.randint(0, 2), dx=rng.randint(0, 2), py=rng.randint(-1, 2), px=rng.randint(-1, 2),
        kh=rng.randint(1, 3), kw=rng.randint(1, 5),
    )  # fmt: skip
    return [wina, winb]


def _whole_window(g: Ground, idx: int) -> list:
    """Return a window of dense rows in which most results lie."""
    w, h = g.rng.randint(4, 11), g.rng.randint(2, 5)
    return [
        Wina.new(Unit.VX, idx=idx, plane=w * h, pitch=w, h=h, w=w, ow=w),
        Winb.new(Unit.VX, idx=idx, sy=1, sx=1, kh=1, kw=1),
    ]


def _slow_window(g: Ground, idx: int) -> list:
    """Return a window of one row, rewritten again and again, whose words meet in columns."""
    columns = g.chip.columns // 4
    pixels = (g.used - 64) // g.chip.columns - 1
    return [
        Wina.new(
            Unit.VX, idx=idx, plane=0, pitch=columns * pixels, h=1, w=columns * pixels, ow=pixels
        ),
        Winb.new(Unit.VX, idx=idx, sy=0, sx=columns, kh=1, kw=1),
    ]


# MX -------------------------------------------------------------------------------------------


def matrix(g: Ground, phase: Phase) -> list[Instruction]:
    """One product of any kind, with what it needs before it."""
    kind = g.rng.choice([_gemm, _conv, _conv, _dw, _gemv])
    a, b = g.word(phase.a), g.word(g.rng.choice([phase.a, phase.b]))
    return kind(g, a, b, phase.mx_row + g.rng.choice([0, 0, 1, 2, 4, 5]))


def _stride(g: Ground, groups: int, p: int) -> int:
    """Return a distance of channel groups for p pixels, any for one group; note the rows."""
    rows = -(-p // g.chip.mu) * g.chip.mu // g.chip.beat_pixels
    stride = rows + g.rng.randint(0, 3)
    g.rows = max(g.rows, 5 + groups * stride)  # from the place it may begin at
    return stride if groups > 1 else g.rng.choice([stride, 0, 1, 2])


def _flags(g: Ground) -> dict[str, int]:
    return {"accumulate": g.rng.random() < 0.4, "w4": g.rng.random() < 0.3}


def _gemv(g: Ground, a: int, b: int, acc: int) -> list[Instruction]:
    rng, chip = g.rng, g.chip
    steps, tiles = rng.randint(1, min(9, chip.nu * 8)), rng.randint(1, 3)
    x = Ldw.new(b=a, lines=-(-steps // chip.nu))
    stride = _stride(g, tiles * chip.nu // chip.ku, 1)
    product = Gemv.new(b=b, steps=steps, n_tiles=tiles, acc=acc, acc_stride=stride, **_flags(g))
    return [*g.through(x), *g.through(product)]


def _gemm(g: Ground, a: int, b: int, acc: int) -> list[Instruction]:
    rng, chip = g.rng, g.chip
    p, tiles = rng.randint(1, 3 * chip.mu + 1), rng.randint(1, 3)
    strides = Gstr.new(
        a_plane=rng.choice([p, p + 1, chip.columns]), b_kstride=rng.choice([chip.nu, 3, 1]),
        b_nstride=rng.choice([chip.nu * 4, 7, 1]),
        acc_stride=_stride(g, tiles * chip.nu // chip.ku, p),
    )  # fmt: skip
    product = Gemm.new(a=a, m=p, steps=rng.randint(1, 9), b=b, n_tiles=tiles, acc=acc, **_flags(g))
    return [strides, *g.through(product)]


def _conv(g: Ground, a: int, b: int, acc: int) -> list[Instruction]:
    rng, chip = g.rng, g.chip
    p, tiles = rng.randint(1, 3 * chip.mu + 1), rng.randint(1, 2)
    windows = _window(g, Unit.MX, rng.randrange(4), 1)
    product = Conv.new(
        a=a, win=windows[0].values["idx"], p=p, groups=rng.randint(1, 4), b=b, n_tiles=tiles,
        acc=acc // 4, acc_stride=_stride(g, tiles * chip.nu // chip.ku, p), **_flags(g),
    )  # fmt: skip
    return [*windows, *g.through(product)]


def _dw(g: Ground, a: int, b: int, acc: int) -> list[Instruction]:
    rng, chip = g.rng, g.chip
    p, tiles = rng.randint(1, 3 * chip.mu + 1), rng.randint(1, 2)
    windows = _window(g, Unit.MX, rng.randrange(4), 1)
    wina, winb = windows[0].values, windows[1].values
    wina["plane"] = min(wina["plane"], g.used // (8 * chip.nu))
    lines = tiles * winb["kh"] * -(-winb["kw"] // chip.ku)
    if lines > chip.weight_file_lines:
        return []
    first = rng.randint(0, chip.weight_file_lines - lines)
    weights = Ldw.new(b=b, lines=min(first + lines, chip.weight_file_lines))
    product = Dw.new(
        a=a, win=wina["idx"], p=p, tiles=tiles, acc=acc, line=first,
        acc_stride=_stride(g, tiles * chip.nu // chip.ku, p),
        accumulate=rng.random() < 0.4,
    )  # fmt: skip
    return [*g.through(weights), *windows, *g.through(product)]


# Any unit -------------------------------------------------------------------------------------


def flurry(unit: Unit, semaphore: int, count: int) -> list[Instruction]:
    """Signal in a row more often than a unit may have incomplete; then take all tokens."""
    signals: list[Instruction] = [Sig.new(unit, signal=Sync(semaphore, 1)) for _ in range(count)]
    return [*signals, Wait.new(unit, wait=Sync(semaphore, count))]


# VX -------------------------------------------------------------------------------------------


def vector(g: Ground, phase: Phase) -> list[Instruction]:
    """VRUNs with all their descriptors; sometimes a constant, a quantiser or a table first.

    Half of them are plain: numbers of moderate size, a short chain, results that can be told apart.
    """
    rng, slow, plain = g.rng, g.rng.random() < 0.08, g.rng.random() < 0.5
    reduce = Reduce.NONE if slow else rng.choice([Reduce.NONE, Reduce.NONE, Reduce.WINDOW, *Reduce])
    uses = rng.randrange(32) | (8 if slow or rng.random() < 0.9 else 0)
    uses |= 11 if plain else 1 if reduce is Reduce.WINDOW or rng.random() < 0.6 else 0
    acc = bool(reduce is not Reduce.WINDOW and uses & 1 and rng.random() < 0.3)
    slot, groups = rng.randrange(4), rng.randint(1, 4)
    p = rng.choice([rng.randint(1, 4 * g.chip.beat_pixels + 1)] * 3 + [rng.randint(1, 60)])
    streams, reach = _streams(g, phase, acc, plain)
    if slow:
        streams += [*_slow_window(g, 3), Strm.new(idx=3, dtype=DType.F32)]
        groups, p, reach[3] = 1, 80 * g.chip.beat_pixels, g.used - 64
    out = [*_settings(g), *streams, *_chain(g, slot, reduce, uses, acc, plain)]
    redop = rng.choice([RedOp.SUM, RedOp.MAX, RedOp.MIN])
    if reduce is Reduce.CHANNELS and rng.random() < 0.4:
        redop = RedOp.ARGMAX
    channels = rng.randint(1, groups * g.chip.ku)
    out.append(Red.new(reduce=reduce, redop=redop, channels=channels))
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        run = Vrun.new(
            in0=phase.vx_row if acc else g.word_of(phase.reads, reach[0]),
            in1=g.word_of(phase.reads, reach[1]), out=g.word_of(phase.writes, reach[3]),
            p=p, groups=groups, slot=slot, uses=uses,
        )  # fmt: skip
        out += g.through(run)
    return out


def _settings(g: Ground) -> list[Instruction]:
    """Sometimes change a constant, a quantiser, a table, while earlier VRUNs may be under way."""
    rng, out = g.rng, list[Instruction]()
    if rng.random() < 0.2:
        out.append(konst(rng.randrange(8), rng.choice(KONSTS)))
    if rng.random() < 0.3:
        out.append(quantiser(g, rng.randrange(4)))
    if rng.random() < 0.2:
        out += g.through(table(g, rng.randrange(g.chip.table_slots), rng.choice(list(TableKind))))
    return out


def konst(k: int, value: float) -> Instruction:
    """Return KONST of a value."""
    return Konst.new(k=k, bits=int(np.float32(value).view(np.uint32)))


def quantiser(g: Ground, idx: int) -> Instruction:
    """Return QPAR: an int8 range, or a wide one."""
    rng = g.rng
    low, high = rng.choice([(-128, 127), (rng.randint(-200, 9), rng.randint(9, 200)), (-40_000, 0),
                            (-5, -2), (0, 0), (1, 1), (2, 60_000)])  # fmt: skip
    return Qpar.new(idx=idx, zero_point=rng.randint(-20, 20), lo=low, hi=high)


def table(g: Ground, slot: int, kind: TableKind) -> Ldt:
    """Return LDT of one of the images of a kind."""
    at = g.rng.choice(g.tables if kind is TableKind.SEGMENT else g.luts)
    return Ldt.new(base=at // g.chip.ku, slot=slot, kind=kind)


def _streams(
    g: Ground, phase: Phase, acc: bool, plain: bool
) -> tuple[list[Instruction], list[int]]:
    """Return the descriptors of all streams, and the words that each of 0 to 3 may reach."""
    rng, out, reach = g.rng, list[Instruction](), list[int]()
    types = [DType.I8, DType.I8, DType.I16, DType.I32, DType.F32, DType.F32, DType.BF16]
    for idx in range(4):
        dtype = rng.choice(types if idx < 3 else list(BYTES))
        if plain and idx != 2:
            dtype = rng.choice(_FINE if idx else (DType.I8, DType.I16, *_FINE))
        whole = rng.random() < (0.7 if idx == 3 or plain else 0.3)
        out += _whole_window(g, idx) if whole else _window(g, Unit.VX, idx, BYTES[dtype])
        window = out[-2].values
        reach.append((3 * window["plane"] + window["h"] * window["pitch"]) * BYTES[dtype])
        if idx == 0 and acc:
            dtype, window["plane"] = DType.ACC, rng.randint(1, 20)
        out.append(
            Strm.new(
                idx=idx, base=g.word_of(phase.reads if idx < 3 else phase.writes, reach[idx]),
                dtype=dtype, splat=idx < 3 and rng.random() < 0.3, quant=rng.randrange(4),
            )
        )  # fmt: skip
    return [*out, Strm.new(idx=4, base=g.word(phase.reads))], reach


def _chain(
    g: Ground, slot: int, reduce: Reduce, uses: int, acc: bool, plain: bool
) -> Sequence[Instruction]:
    """Return a chain of up to ten micro-ops with the operands that are there."""
    rng = g.rng
    length = rng.choice([0, 1, 1, 1, 2] if plain else [0, 1, 1, 2, 2, 3, 5])
    micros = _saved([_micro(g, uses, None) for _ in range(length)])
    if plain and rng.random() < 0.1:  # of 0: infinity less itself
        micros = [(MicroOp.RECIP, 0), (MicroOp.FSUB, int(Src.V))]
    if acc and rng.random() < 0.5:
        micros.insert(0, (MicroOp.I2F, 0))
    if rng.random() < (0.1 if reduce is Reduce.NONE else 0.9):
        after = None if reduce is Reduce.NONE else reduce
        length = rng.choice([0, 1] if plain else [0, 1, 2, rng.randint(0, 8 - len(micros))])
        more = _saved([_micro(g, uses, after) for _ in range(min(length, 8 - len(micros)))])
        micros += [(MicroOp.RED, 0), *more]
    micros += [(MicroOp.END, 0)] * (10 - len(micros))
    halves = range(2 if micros[5][0] is not MicroOp.END else 1)
    return [
        Chain.new(
            slot=slot, half=half,
            **{f"op{i}": micros[5 * half + i][0] for i in range(5)},
            **{f"src{i}": micros[5 * half + i][1] for i in range(5)},
        )
        for half in halves
    ]  # fmt: skip


def _saved(micros: list[tuple[MicroOp, int]]) -> list[tuple[MicroOp, int]]:
    """Begin with SAVE where what was saved is used."""
    uses = any(op is MicroOp.SEL or (op in PLAIN and src == Src.T) for op, src in micros)
    return [(MicroOp.SAVE, 0), *micros] if uses else micros


def _micro(g: Ground, uses: int, after: Reduce | None) -> tuple[MicroOp, int]:
    """Return one micro-op; after a reduction only operands that have one value."""
    rng, slots = g.rng, g.chip.table_slots
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(LONE), 0
    if kind < 0.5:
        tables = [(MicroOp.TBL, rng.randrange(slots)), (MicroOp.LUT, rng.randrange(slots))]
        return rng.choice([*tables, (MicroOp.QNT, rng.randrange(4))])
    if kind < 0.55 and g.chip.ku > 1:
        return MicroOp.ROT, 0
    sources = [Src.V, Src.V, Src.V, Src.T, *(Src(Src.K0 + k) for k in range(8))]
    if after in (None, Reduce.WINDOW):
        sources += [s for bit, s in ((1, Src.IN1), (2, Src.IN2)) if uses >> bit & 1] * 3
    if after is not Reduce.CHANNELS and uses >> 4 & 1:
        sources += [Src.PB, Src.PS]
    return rng.choice(PLAIN), int(rng.choice(sources))
