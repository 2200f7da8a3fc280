"""VRUN against an interpreter of single elements, written from the sentences of `vector.py`.

The interpreter walks beats, taps and lanes one by one with NumPy float32 scalars; it shares with
the code under test only the numerics room's functions of one value (tables, EXP2 and so on).
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest

from jiriki import numerics
from jiriki.chip.catalogue import load_chip
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Unit
from jiriki.isa.machine import Machine
from jiriki.isa.operations import execute
from jiriki.isa.resolve import QueueState
from jiriki.isa.vector.instructions import Chain, Konst, Qpar, Red, Strm, Vrun
from jiriki.isa.vector.operations import LdtOp
from jiriki.isa.windows import Wina, Winb
from jiriki.isa.words import DType, MicroOp, RedOp, Reduce, Src, TableKind
from jiriki.numerics import Format, Lut8, SegmentTable

F = np.float32
TINY = F(2.0**-126)
NAN = np.array([0x7FC00000], np.uint32).view(np.float32)[0]
TANH = SegmentTable.fit(np.tanh, -4.0, 4.0, segments=64, below=-1.0, above=1.0)
SIZES = {DType.I8: 1, DType.I16: 2, DType.I32: 4, DType.F32: 4, DType.BF16: 2}


def clean(x) -> np.float32:
    x = F(x)
    if np.isnan(x):
        return NAN
    return np.copysign(F(0), x) if abs(x) < TINY else x


def raw(x) -> int:
    return int(np.array(x, F).view(np.int32)) if isinstance(x, np.floating) else int(x)


def fp(x) -> np.float32:
    return clean(x if isinstance(x, np.floating) else np.array(x, np.int32).view(F)[()])


def larger(a, b):
    if np.isnan(a) or np.isnan(b):
        return NAN
    if a == b == 0:
        return a if not np.signbit(a) else b
    return max(a, b)


def smaller(a, b):
    return -larger(-a, -b) if not (np.isnan(a) or np.isnan(b)) else NAN


def rne(x) -> int:
    if np.isnan(x):
        return 0
    if np.isinf(x):
        return 2**31 - 1 if x > 0 else -(2**31)
    return max(-(2**31), min(2**31 - 1, round(float(x))))


def single(function, x):
    return function(np.array([x], F))[0]


JOIN = {
    RedOp.SUM: (lambda a, b: clean(a + b), F(-0.0)),
    RedOp.MAX: (larger, F(-np.inf)),
    RedOp.MIN: (smaller, F(np.inf)),
}


@dataclass
class Interpreter:
    """One VRUN described by plain values, run element by element."""

    m: Machine
    p: int
    groups: int
    streams: dict[int, dict]
    out: dict
    params: int  # word address
    konst: list[int]  # bits
    quantisers: list[tuple[int, int, int]]
    chain: list[tuple[MicroOp, int]]
    reduce: Reduce
    redop: RedOp
    count: int  # channels

    @property
    def ku(self) -> int:
        return self.m.chip.ku

    @property
    def beat(self) -> int:
        return self.m.chip.beat_pixels

    def element(self, stream: dict, g: int, ky: int, kx: int, p: int, lane: int):
        w, dtype = stream["window"], stream["dtype"]
        lane = 0 if stream.get("splat") else lane
        if dtype is DType.ACC:
            row = stream["base"] + g * w["plane"] + p // self.beat
            return int(self.m.acc[row, (p % self.beat) * self.ku + lane])
        iy = p // w["ow"] * w["sy"] + ky * w["dy"] - w["py"]
        ix = p % w["ow"] * w["sx"] + kx * w["dx"] - w["px"]
        if not (0 <= iy < w["h"] and 0 <= ix < w["w"]):
            fill = w["fill"]
            if dtype in (DType.F32, DType.BF16):
                return F(-np.inf) if fill == -128 else F(fill)
            return fill if dtype is DType.I32 else F(fill)
        group = g * w["plane"] + iy * w["pitch"] + ix
        size = SIZES[dtype]
        at = (stream["base"] + group * size) * self.ku + lane * size
        data = self.m.sp[at : at + size]
        if dtype is DType.F32:
            return clean(data.view(F)[0])
        if dtype is DType.BF16:
            return clean(np.array([int(data.view(np.uint16)[0]) << 16], np.uint32).view(F)[0])
        value = int(data.view({1: np.int8, 2: np.int16, 4: np.int32}[size])[0])
        return value if dtype is DType.I32 else F(value)

    def operand(self, src: int, v, t, place):
        g, p, lane = place
        if src == Src.V:
            return v
        if src == Src.T:
            return t
        if src >= Src.K0:
            return int(np.array(self.konst[src - Src.K0], np.uint32).view(np.int32))
        if src in (Src.PB, Src.PS):
            at = (self.params + g * 8) * self.ku + 4 * lane + (4 * self.ku if src == Src.PS else 0)
            return int(self.m.sp[at : at + 4].view(np.int32)[0])
        return self.element(self.streams[1 if src == Src.IN1 else 2], g, 0, 0, p, lane)

    def beat_of(self, chain, values: list, places: list):
        """Run a chain on the lanes of one beat; lanes 2i and 2i + 1 may exchange values."""
        saved = list(values)
        for op, src in chain:
            if op is MicroOp.SAVE:
                saved = list(values)
            elif op is MicroOp.ROT:
                v = [fp(x) for x in values]
                values = [clean(-v[i + 1]) if i % 2 == 0 else v[i - 1] for i in range(len(v))]
            else:
                values = [
                    self.micro(op, src, v, t, place)
                    for v, t, place in zip(values, saved, places, strict=True)
                ]
        return values

    def micro(self, op, src, v, t, place):
        if op is MicroOp.QNT:
            zero, lo, hi = self.quantisers[src]
            return F(min(max(rne(fp(v)) + zero, lo), hi))
        if op is MicroOp.LUT:
            code = max(-128, min(127, rne(fp(v))))
            return F(np.frombuffer(self.m.luts[src].image, np.int8)[code & 255])
        if op is MicroOp.TBL:
            return single(self.m.segments[src], fp(v))
        if op is MicroOp.I2F:
            return F(raw(v))
        functions = {
            MicroOp.EXP2: numerics.exp2, MicroOp.LOG2: numerics.log2,
            MicroOp.RECIP: numerics.recip, MicroOp.RSQRT: numerics.rsqrt,
        }  # fmt: skip
        if op in functions:
            return single(functions[op], fp(v))
        plain = {
            MicroOp.NEG: lambda a: clean(-a), MicroOp.ABS: lambda a: clean(abs(a)),
            MicroOp.FLOOR: np.floor, MicroOp.RND: np.rint,
        }  # fmt: skip
        if op in plain:
            return F(plain[op](fp(v)))
        x = self.operand(src, v, t, place)
        if op is MicroOp.MOV:
            return x
        if op is MicroOp.IADD:
            return (raw(v) + raw(x) + 2**31) % 2**32 - 2**31
        a, b = fp(v), fp(x)
        if op is MicroOp.SEL:
            return a if fp(t) != 0 else b
        if op is MicroOp.MASK:
            return a if place[0] * self.ku + place[2] < b else F(-np.inf)
        with np.errstate(all="ignore"):
            return {
                MicroOp.FADD: lambda: clean(a + b), MicroOp.FSUB: lambda: clean(a - b),
                MicroOp.FRSB: lambda: clean(b - a), MicroOp.FMUL: lambda: clean(a * b),
                MicroOp.FMAX: lambda: larger(a, b), MicroOp.FMIN: lambda: smaller(a, b),
                MicroOp.GT: lambda: F(a > b), MicroOp.GE: lambda: F(a >= b),
                MicroOp.EQ: lambda: F(a == b),
            }[op]()  # fmt: skip

    def run(self) -> dict[tuple[int, int, int], object]:
        """Return the results by (group, pixel, lane)."""
        before = [c for c in self.chain if c[0] is not MicroOp.RED]
        after = []
        if self.reduce is not Reduce.NONE and (MicroOp.RED, 0) in self.chain:
            cut = self.chain.index((MicroOp.RED, 0))
            before, after = self.chain[:cut], self.chain[cut + 1 :]
        lanes = range(self.ku)
        w = self.streams[0]["window"]
        taps = [(0, 0)]
        if self.reduce is Reduce.WINDOW:
            taps = list(product(range(w["kh"]), range(w["kw"])))
        values: dict[tuple[int, int, int], Any] = {}
        for g, p in product(range(self.groups), range(self.p)):
            places = [(g, p, lane) for lane in lanes]
            total: list[Any] = []
            for ky, kx in taps:
                start = [self.element(self.streams[0], g, ky, kx, p, lane) for lane in lanes]
                got = self.beat_of(before, start, places)
                if self.reduce is Reduce.WINDOW:
                    got = [fp(x) for x in got]
                    join = JOIN[self.redop][0]
                    if total:
                        got = [join(a, b) for a, b in zip(total, got, strict=True)]
                total = got
            values.update(zip(places, total, strict=True))
        values = self.reduced(values)
        out = {}
        for g, p in sorted({key[:2] for key in values}):
            places = [(g, p, lane) for lane in lanes]
            got = self.beat_of(after, [values[q] for q in places], places)
            out.update(dict(zip(places, got, strict=True)))
        return out

    def reduced(self, values):
        if self.reduce is Reduce.PIXELS:
            return {
                (g, 0, lane): self.pixels(values, g, lane)
                for g, lane in product(range(self.groups), range(self.ku))
            }
        if self.reduce is Reduce.CHANNELS:
            return {
                (0, p, lane): self.channels(values, p)
                for p, lane in product(range(self.p), range(self.ku))
            }
        return values

    def pixels(self, values, g, lane):
        join, idle = JOIN[self.redop]
        beats = -(-self.p // self.beat)
        column: list[Any] = [None] * self.beat
        for b, i in product(range(beats), range(self.beat)):
            q = b * self.beat + i
            x = fp(values[g, q, lane]) if q < self.p else idle
            column[i] = x if column[i] is None else join(column[i], x)
        return self.halve(column, join)

    def channels(self, values, p):
        if self.redop is RedOp.ARGMAX:
            row = [fp(values[c // self.ku, p, c % self.ku]) for c in range(self.count)]
            best = 0
            for c, x in enumerate(row):
                better = np.isnan(x) and not np.isnan(row[best])
                if better or (x > row[best] and not np.isnan(row[best])):
                    best = c
            return F(best)
        join, idle = JOIN[self.redop]
        column: list[Any] = [None] * self.ku
        for g, lane in product(range(-(-self.count // self.ku)), range(self.ku)):
            x = fp(values[g, p, lane]) if g * self.ku + lane < self.count else idle
            column[lane] = x if column[lane] is None else join(column[lane], x)
        return self.halve(column, join)

    @staticmethod
    def halve(column, join):
        n = len(column) // 2
        while n:
            column = [join(column[i], column[i + n]) for i in range(n)]
            n //= 2
        return column[0]

    def stored(self, value) -> bytes:
        """Return the bytes of one output element."""
        dtype = self.out["dtype"]
        if dtype is DType.F32:
            return np.array(raw(value), np.int32).tobytes()
        v = fp(value)
        if dtype is DType.I32:
            return np.array(rne(v), np.int32).tobytes()
        if dtype is DType.BF16:
            return numerics.fp32_to_bf16(np.array([v], F)).tobytes()
        zero, lo, hi = self.quantisers[self.out["quant"]]
        kind = {DType.I8: np.int8, DType.I16: np.int16}[dtype]
        whole = min(max(rne(v) + zero, lo), hi)
        info = np.iinfo(kind)
        return np.array(min(max(whole, info.min), info.max), kind).tobytes()

    def scratchpad(self) -> np.ndarray:
        """Return the scratchpad after the VRUN."""
        sp, w, size = self.m.sp.copy(), self.out["window"], SIZES[self.out["dtype"]]
        for (g, p, lane), value in self.run().items():
            iy = p // w["ow"] * w["sy"] - w["py"]
            ix = p % w["ow"] * w["sx"] - w["px"]
            if 0 <= iy < w["h"] and 0 <= ix < w["w"]:
                group = g * w["plane"] + iy * w["pitch"] + ix
                at = (self.out["base"] + group * size) * self.ku + lane * size
                sp[at : at + size] = np.frombuffer(self.stored(value), np.uint8)
        return sp


def emit(spec: Interpreter):
    """Return the operation that real instructions with the same meaning resolve to."""
    state = QueueState()
    uses = 0
    for idx, stream in {**spec.streams, 3: spec.out}.items():
        extent = {k: v for k, v in stream["window"].items() if k in Wina.LAYOUT}
        steps = {k: v for k, v in stream["window"].items() if k in Winb.LAYOUT}
        state.apply(Wina.new(Unit.VX, idx=idx, **extent))
        state.apply(Winb.new(Unit.VX, idx=idx, **steps))
        state.apply(Strm.new(
            idx=idx, base=stream["base"], dtype=stream["dtype"], splat=stream.get("splat", 0),
            quant=stream.get("quant", 0),
        ))  # fmt: skip
        uses |= 1 << idx
    state.apply(Strm.new(idx=4, base=spec.params))
    for k, bits in enumerate(spec.konst):
        state.apply(Konst.new(k=k, bits=bits))
    for idx, (zero, lo, hi) in enumerate(spec.quantisers):
        state.apply(Qpar.new(idx=idx, zero_point=zero, lo=lo, hi=hi))
    padded = [*spec.chain, *[(MicroOp.END, 0)] * (10 - len(spec.chain))]
    for half in (0, 1):
        fields = {}
        for i, (op, src) in enumerate(padded[5 * half : 5 * half + 5]):
            fields |= {f"op{i}": op, f"src{i}": src}
        state.apply(Chain.new(slot=1, half=half, **fields))
    state.apply(Red.new(reduce=spec.reduce, redop=spec.redop, channels=spec.count))
    op = state.apply(Vrun.new(
        in0=spec.streams[0]["base"], in1=spec.streams[1]["base"], out=spec.out["base"], p=spec.p,
        groups=spec.groups, slot=1, uses=uses | 16,
    ))  # fmt: skip
    assert op is not None
    return op


def machine(name: str) -> Machine:
    rng = np.random.default_rng(7)
    m = Machine(load_chip(name), np.zeros(16, np.uint8))
    m.sp[:] = rng.integers(0, 256, m.sp.size, dtype=np.uint8)
    floats = m.sp[16384:32768].view(F)  # fp32 of every sort
    floats[:] = rng.normal(size=floats.size).astype(F) * F(2) ** rng.integers(-8, 8, floats.size)
    specials = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-39, 3e38, 1.5 * 2.0**-126]
    floats[rng.integers(0, floats.size, 400)] = rng.choice(np.array(specials, F), 400)
    calm = m.sp[32768:49152].view(F)  # and moderate ones
    calm[:] = rng.normal(size=calm.size).astype(F)
    m.acc[:] = rng.integers(-(2**31), 2**31, m.acc.shape)
    m.acc[: len(m.acc) // 2] //= 2**14
    for slot in range(m.chip.table_slots):
        m.luts[slot] = Lut8.from_values(rng.integers(-128, 128, 256).astype(np.int8))
        m.segments[slot] = TANH
    return m


def window(rng, p: int, size: int = 9) -> dict[str, int]:
    ow = int(rng.integers(1, p + 1))
    return {
        "plane": int(rng.integers(0, 60)), "pitch": size, "h": int(rng.integers(1, size)),
        "w": int(rng.integers(1, size)), "ow": ow, "fill": int(rng.integers(-128, 128)),
        "sy": int(rng.integers(0, 3)), "sx": int(rng.integers(0, 3)),
        "dy": int(rng.integers(0, 3)), "dx": int(rng.integers(0, 3)),
        "py": int(rng.integers(-2, 3)), "px": int(rng.integers(-2, 3)),
        "kh": int(rng.integers(1, 4)), "kw": int(rng.integers(1, 4)),
    }  # fmt: skip


def dense(p: int) -> dict[str, int]:
    return {
        "plane": p, "pitch": p, "h": 1, "w": p, "ow": p, "fill": 0, "sy": 0, "sx": 1, "dy": 0,
        "dx": 0, "py": 0, "px": 0, "kh": 1, "kw": 1,
    }  # fmt: skip


def stream(rng, m: Machine, p: int, groups: int, acc: bool) -> dict:
    kinds = [DType.I8, DType.I16, DType.I32, DType.F32, DType.BF16]
    dtype = DType(rng.choice([*kinds, DType.ACC, DType.ACC, DType.ACC] if acc else kinds))
    shape = dense(p) if rng.random() < 0.4 else window(rng, p)
    byte = int(rng.integers(16384, 40000)) // 64 * 64
    if dtype is DType.ACC:
        shape = dense(p) | {"plane": -(-p // m.chip.beat_pixels)}
        return {"dtype": dtype, "window": shape, "base": int(rng.integers(0, 400))}
    return {
        "dtype": dtype, "window": shape, "base": byte // m.chip.ku,
        "splat": int(rng.random() < 0.2),
    }  # fmt: skip


TABLED = (MicroOp.TBL, MicroOp.LUT, MicroOp.QNT)
INSIDE = [op for op in MicroOp if op not in (MicroOp.END, MicroOp.RED)]


def chain(rng, ku: int, reduce: Reduce) -> list[tuple[MicroOp, int]]:
    """Return a random chain whose operands exist where they are used."""
    length, out, saved, past = int(rng.integers(1, 9)), [], False, False
    for _ in range(length):
        if reduce is not Reduce.NONE and not past and rng.random() < 0.2:
            out.append((MicroOp.RED, 0))
            past, saved = True, False
            continue
        op = MicroOp(rng.choice(INSIDE))
        if (op is MicroOp.ROT and ku < 2) or (op is MicroOp.SEL and not saved):
            op = MicroOp.SAVE
        saved = saved or op is MicroOp.SAVE
        lost = {Src.T} if not saved else set()
        if past and reduce in (Reduce.PIXELS, Reduce.CHANNELS):
            lost |= {Src.IN1, Src.IN2}
        if past and reduce is Reduce.CHANNELS:
            lost |= {Src.PB, Src.PS}
        usable = [s for s in Src if s not in lost]
        out.append((op, int(rng.integers(0, 4)) if op in TABLED else int(rng.choice(usable))))
    return out


def random_case(name: str, seed: int, reduce: Reduce) -> Interpreter:
    rng = np.random.default_rng([seed, reduce])
    m = machine(name)
    p, groups = int(rng.integers(1, 14)), int(rng.integers(1, 4))
    redops = list(JOIN) + ([RedOp.ARGMAX] if reduce is Reduce.CHANNELS else [])
    out = {
        "dtype": DType(rng.choice([DType.I8, DType.I16, DType.I32, DType.F32, DType.BF16])),
        "window": dense(p) if rng.random() < 0.6 else window(rng, p),
        "base": 50000 // m.chip.ku, "quant": int(rng.integers(0, 4)),
    }  # fmt: skip
    bits = [np.array(x, F).view(np.uint32) for x in (0.5, -3.25, 1e-3, 0.0, np.nan, np.inf, 1e30)]
    return Interpreter(
        m, p=p, groups=groups, streams={
            0: stream(rng, m, p, groups, reduce is not Reduce.WINDOW),
            1: stream(rng, m, p, groups, False), 2: stream(rng, m, p, groups, False),
        },
        out=out, params=int(rng.integers(30000, 40000)) // 64 * 64 // m.chip.ku,
        konst=[*map(int, bits), int(rng.integers(0, 100))],
        quantisers=[(0, -128, 127), (5, -100, 90), (-7, -32768, 32767), (128, 0, 255)],
        chain=chain(rng, m.chip.ku, reduce), reduce=reduce,
        redop=RedOp(rng.choice(redops)), count=int(rng.integers(1, groups * m.chip.ku + 3)),
    )  # fmt: skip


def bounded(case: Interpreter) -> Interpreter:
    case.count = min(case.count, case.groups * case.ku)
    return case


@pytest.mark.parametrize("name", ["nano", "e256", "vta256", "os256"])
@pytest.mark.parametrize("reduce", list(Reduce))
def test_random_vruns_give_the_interpreter_s_scratchpad(name, reduce):
    for seed in range(12):
        case = bounded(random_case(name, seed, reduce))
        with np.errstate(all="ignore"):
            want = case.scratchpad()

        execute(emit(case), case.m)

        different = np.flatnonzero(case.m.sp != want)
        assert different.size == 0, (seed, case.chain, case.out, different[:8])


@pytest.mark.full
@pytest.mark.parametrize("name", ["nano", "e256", "vta256", "os256"])
@pytest.mark.parametrize("reduce", list(Reduce))
def test_many_random_vruns_give_the_interpreter_s_scratchpad(name, reduce):
    for seed in range(100, 180):
        case = bounded(random_case(name, seed, reduce))
        with np.errstate(all="ignore"):
            want = case.scratchpad()
        execute(emit(case), case.m)
        assert np.array_equal(case.m.sp, want), seed


def test_tables_are_loaded_from_their_images():
    m = machine("e256")
    lut = Lut8.from_values(np.arange(-128, 128, dtype=np.int8)[::-1].copy())
    table = SegmentTable.fit(np.exp, -2.0, 2.0, segments=64)
    m.sp[:256] = np.frombuffer(lut.to_bytes(), np.uint8)
    image = np.frombuffer(table.to_bytes(), np.uint8)
    m.sp[256 : 256 + image.size] = image

    execute(LdtOp(0, 3, TableKind.LUT8), m)
    execute(LdtOp(64, 3, TableKind.SEGMENT), m)

    assert m.luts[3] == lut
    assert m.segments[3] == table


def test_a_broken_table_image_is_refused():
    m = machine("e256")
    m.sp[:16] = 255

    with pytest.raises(IsaError, match="segment table at word 0"):
        execute(LdtOp(0, 3, TableKind.SEGMENT), m)


def test_a_table_never_loaded_is_refused():
    case = random_case("e256", 0, Reduce.NONE)
    case.chain = [(MicroOp.LUT, 2)]
    case.m.luts[2] = None

    with pytest.raises(IsaError, match="LUT uses slot 2"):
        execute(emit(case), case.m)


def test_formats_of_numerics_hold_what_streams_hold():
    assert {d.name for d in SIZES} == {"I8", "I16", "I32", "F32", "BF16"}
    assert [Format.INT8.bits, Format.INT16.bits, Format.BF16.bits] == [8, 16, 16]
