"""Random programs of VX: descriptors and the VRUN or LDT that uses them, as the ISA allows."""

import numpy as np

from jiriki import numerics
from jiriki.chip import ChipConfig
from jiriki.isa.control import Wait
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Instruction, Unit
from jiriki.isa.machine import Machine
from jiriki.isa.operations import Operation, execute
from jiriki.isa.resolve import resolve
from jiriki.isa.sequence import Step
from jiriki.isa.vector.instructions import Chain, Konst, Ldt, Qpar, Red, Strm, Vrun
from jiriki.isa.vector.operations import Stream, VrunOp
from jiriki.isa.windows import Wina, Winb
from jiriki.isa.words import DType, MicroOp, Operand, RedOp, Reduce, Src, TableKind
from jiriki.numerics import SegmentTable
from tests.rtl.vector.bench import LIMIT, Case

SEGMENT_BYTES = 4112
PLAIN = [op for op in MicroOp if not op.is_mark and op.table is None]
SPECIALS = np.array([0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-39, 3e38, 0.5, -2.5], "f4")


class Maker:
    """Makes instructions; some pass a memory's end, which `case` finds out."""

    def __init__(self, chip: ChipConfig, rng: np.random.Generator) -> None:
        self.chip, self.rng = chip, rng
        self.tables = SEGMENT_BYTES // chip.ku * 2  # words at the bottom: one image of each kind
        self.top = chip.scratchpad_words * 3 // 4
        self.kind = int(DType.I8)  # of stream 0

    def n(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def chance(self, part: float) -> bool:
        return bool(self.rng.random() < part)

    def scratchpad(self) -> np.ndarray:
        """Return the image: a table of each kind, then small numbers of every type, and noise."""
        chip, rng = self.chip, self.rng
        sp = rng.integers(0, 256, chip.scratchpad_bytes, dtype=np.uint8)
        floats = (rng.standard_normal(sp.size // 4) * 10).astype("f4")
        where = rng.random(floats.size) < 0.1
        floats[where] = rng.choice(SPECIALS, int(where.sum()))
        half = sp.size // 8 * 4
        sp[half:] = floats.view(np.uint8)[half:]
        table = SegmentTable.fit(np.tanh, -8, 8, 256, below=-1.0, above=1.0).to_bytes()
        sp[: len(table)] = np.frombuffer(table, np.uint8)
        sp[SEGMENT_BYTES : SEGMENT_BYTES + 256] = rng.integers(0, 256, 256)
        return sp

    def ldt(self) -> list[Instruction]:
        kind = TableKind(self.n(0, 1))
        base = SEGMENT_BYTES // self.chip.ku if kind is TableKind.LUT8 else 0
        return [Ldt.new(base=base, slot=self.n(0, 2), kind=kind)]

    def window(self, idx: int, taps: bool) -> list[Instruction]:
        wide = self.chance(0.5)
        wina = Wina.new(
            Unit.VX, idx=idx, plane=self.n(0, 60), pitch=self.n(1, 20), h=self.n(1, 9),
            w=self.n(1, 40) if wide else self.n(1, 6), ow=self.n(1, 40) if wide else self.n(1, 6),
            fill=self.n(-128, 127) if self.chance(0.6) else -128,
        )  # fmt: skip
        near = self.chance(0.5)
        winb = Winb.new(
            Unit.VX, idx=idx, sy=1 if near else self.n(0, 3), sx=1 if near else self.n(0, 3),
            dy=self.n(0, 2), dx=self.n(0, 2), py=0 if near else self.n(-2, 3),
            px=0 if near else self.n(-2, 3), kh=self.n(1, 3) if taps else 1,
            kw=self.n(1, 3) if taps else 1,
        )  # fmt: skip
        return [wina, winb] if self.chance(0.5) else [winb, wina]

    def micro(self, tables: bool) -> tuple[MicroOp, int]:
        op = MicroOp(self.rng.choice(PLAIN))
        if tables and self.chance(0.15):
            return (MicroOp.TBL if self.chance(0.5) else MicroOp.LUT), self.n(0, 2)
        if op is MicroOp.ROT and self.chip.ku < 2:
            op = MicroOp.NEG
        if op is MicroOp.QNT:
            return op, self.n(0, 3)
        if op.operand is Operand.NONE:
            return op, 0
        return op, int(self.rng.choice(list(Src)))

    def chain(self, slot: int, length: int, red: bool) -> list[Instruction]:
        micros = [self.micro(tables=True) for _ in range(length)]
        if red:
            micros.insert(self.n(0, length), (MicroOp.RED, 0))
            if self.chance(0.1):
                micros.insert(self.n(0, length), (MicroOp.RED, 0))
        micros = micros[:10]
        micros += [(MicroOp.END, 0)] * (10 - len(micros))
        halves = []
        for half in (0, 1):
            part = micros[5 * half : 5 * half + 5]
            fields = {f"op{i}": int(op) for i, (op, _) in enumerate(part)}
            fields |= {f"src{i}": src for i, (_, src) in enumerate(part)}
            halves.append(Chain.new(slot=slot, half=half, **fields))
        return halves[:1] if micros[5][0] is MicroOp.END else halves

    def setup(self) -> list[Instruction]:
        """Set every scalar, quantiser, table and stream once."""
        out: list[Instruction] = []
        for k in range(8):
            out.append(self.konst(k))
        out += [self.quantiser(i) for i in range(4)]
        for slot in range(3):
            for kind in TableKind:
                base = SEGMENT_BYTES // self.chip.ku if kind is TableKind.LUT8 else 0
                out.append(Ldt.new(base=base, slot=slot, kind=kind))
        return out

    def konst(self, k: int) -> Instruction:
        value = self.rng.choice(SPECIALS) if self.chance(0.3) else self.rng.standard_normal() * 8
        return Konst.new(k=k, bits=int(np.float32(value).view(np.uint32)))

    def quantiser(self, idx: int) -> Instruction:
        lo = self.n(-200, 100)
        return Qpar.new(idx=idx, zero_point=self.n(-130, 130), lo=lo, hi=lo + self.n(0, 300))

    def stream(self, idx: int, taps: bool = False) -> list[Instruction]:
        kinds = [DType.I8, DType.I16, DType.I32, DType.F32, DType.BF16]
        dtype = DType.ACC if idx == 0 and not taps and self.chance(0.2) else self.rng.choice(kinds)
        base = self.n(self.tables, self.top - 1)
        strm = Strm.new(idx=idx, base=base, dtype=int(dtype), splat=self.chance(0.15) and idx != 3,
                        quant=self.n(0, 3))  # fmt: skip
        return [strm, *self.window(idx, taps)]

    def any(self) -> list[Instruction]:
        """Make an instruction that works, often with the descriptors of the one before."""
        kind = self.rng.choice(3, p=[0.3, 0.6, 0.1])
        chunk = self.vrun() if kind == 0 else [self.another()] if kind == 1 else self.ldt()
        return [Wait.new(Unit.VX), *chunk] if self.chance(0.1) else chunk

    def vrun(self) -> list[Instruction]:
        """Make a VRUN with new descriptors."""
        reduce = Reduce(self.rng.choice(4, p=[0.4, 0.25, 0.2, 0.15]))
        redop = RedOp(self.n(0, 3 if reduce is Reduce.CHANNELS else 2))
        out: list[Instruction] = [
            Red.new(reduce=reduce, redop=redop, channels=self.n(1, 4 * self.chip.ku))
        ]
        for idx in range(3):
            out += self.stream(idx, taps=idx == 0 and reduce is Reduce.WINDOW)
        out += self.stream(3)
        out.append(Strm.new(idx=4, base=self.n(self.tables, self.top - 1)))
        if self.chance(0.4):
            out.append(self.konst(self.n(0, 7)))
        if self.chance(0.4):
            out.append(self.quantiser(self.n(0, 3)))
        slot = self.n(0, 3)
        out += self.chain(
            slot, self.n(0, 9) if self.chance(0.4) else self.n(0, 3), self.chance(0.7)
        )
        uses = 31 if self.chance(0.2) else self.n(0, 31) | 8 * self.chance(0.8)
        self.rng.shuffle(out)
        out.sort(key=lambda ins: isinstance(ins, Chain) and ins.half)
        self.kind = next(ins.dtype for ins in out if isinstance(ins, Strm) and ins.idx == 0)
        return [*out, self.another(slot, uses)]

    def another(self, slot: int | None = None, uses: int | None = None) -> Instruction:
        """Make a VRUN with the descriptors in force."""
        chip = self.chip
        slot = self.n(0, 3) if slot is None else slot
        uses = self.n(0, 31) if uses is None else uses
        is_acc = self.kind == DType.ACC
        return Vrun.new(
            in0=self.n(0, 20) if is_acc else self.n(self.tables, self.top - 1),
            in1=self.n(self.tables, self.top - 1),
            out=self.n(self.top, self.top * 5 // 4),
            p=self.n(1, 6 * chip.beat_pixels + 1),
            groups=self.n(1, 4),
            slot=slot,
            uses=uses,
        )


def reads_below(op: Operation, top: int) -> bool:
    """Tell whether an operation reads words below `top` only."""
    if not isinstance(op, VrunOp):
        return True
    streams = [s for s in (op.in0, op.in1, op.in2) if s is not None and s.dtype is not DType.ACC]
    ends = [_end(stream, op.groups) for stream in streams]
    ends += [op.params + 8 * op.groups] if op.params is not None else []
    return max(ends, default=0) <= top


def _end(stream: Stream, groups: int) -> int:
    """Return a word beyond all that a stream may read."""
    window = stream.window
    places = (groups - 1) * window.plane + (window.h - 1) * window.pitch + window.w
    return stream.base + places * stream.dtype.bytes


def _tried(instructions: list[Instruction], machine: Machine) -> Operation | None:
    """Return what the last instruction does, if the ISA lets it, having done it."""
    try:
        op = resolve([Step(i, ins) for i, ins in enumerate(instructions)])[-1].op
        assert op is not None, "the last instruction works"
        execute(op, machine)
    except (IsaError, numerics.NumericsError):
        return None
    return op


def random_case(chip: ChipConfig, seed: int, works: int, refusals: float = 0.15) -> Case:
    """Make a program of `works` random instructions that do work, with their descriptors."""
    rng = np.random.default_rng(seed)
    maker = Maker(chip, rng)
    sp = maker.scratchpad()
    acc = rng.integers(-(1 << 31), 1 << 31, (chip.acc_rows, chip.vx_lanes)) >> rng.integers(0, 24)
    instructions = maker.setup()
    machine = Machine(chip, np.zeros(16, np.uint8))
    machine.sp[:] = sp
    for work in resolve([Step(i, ins) for i, ins in enumerate(instructions)]):
        if work.op is not None:
            execute(work.op, machine)
    while works:
        kind = maker.kind
        chunk = maker.any()
        op = _tried(instructions + chunk, machine)
        if op is None or not reads_below(op, maker.top):
            maker.kind = kind
            continue
        instructions, works = instructions + chunk, works - 1
    n = len(instructions)
    gaps = rng.choice([1, 1, 1, 1, 2, 9], n)
    sent = np.cumsum(gaps) if rng.random() < 0.5 else np.arange(n)
    gate = np.where(rng.random(n) < 0.05, sent + rng.integers(0, 200, n), 0)
    often = rng.choice([0, refusals, refusals, 0.9], (4, 1), p=[0.3, 0.3, 0.3, 0.1])
    bits = rng.random((4, LIMIT)) < often
    refuse = (bits * np.array([[1], [2], [4], [8]])).sum(axis=0)
    return Case(chip, sp, acc.astype(np.int32), instructions, sent.astype(np.int64),
                gate.astype(np.int64), refuse.astype(np.uint8))  # fmt: skip
