"""Random programs for a whole tile that are free of races: every unit works in regions of its own.

A program is a row of phases, kept apart by FENCE. In a phase each unit may do a few pieces of work,
at the same time as the others, in scratchpad regions and accumulator rows that no other unit of the
phase writes; so the result is one, whatever the timing, while banks, port and queues contend. At
the end scratchpad and accumulators are stored, so that memory shows all that happened.
In: a seed and a chip. Out: a Program without inputs whose one output, `memory`, is the whole image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import permutations
from random import Random

import numpy as np

from jiriki.chip import ChipConfig
from jiriki.isa.control import Fence, Halt, Loop, Setr, Sig, Wait
from jiriki.isa.dma import Dim, DmaMode, Gidx, Ld, St
from jiriki.isa.fields import Instruction, Sync, Unit
from jiriki.isa.matrix import Conv, Dw, Gemm, Gemv, Gstr, Ldw
from jiriki.isa.vector import (
    Chain,
    DType,
    Konst,
    Ldt,
    MicroOp,
    Qpar,
    Red,
    RedOp,
    Reduce,
    Src,
    Strm,
    TableKind,
    Vrun,
)
from jiriki.isa.windows import Wina, Winb
from jiriki.numerics import Lut8, SegmentTable
from jiriki.program import Binding, Program, Segment

REGIONS = 8
SOURCE_BYTES = 1 << 16  # random data at DRAM address 0; stores go behind it
INDEX_ENTRIES = 64
BYTES = {DType.I8: 1, DType.I16: 2, DType.I32: 4, DType.F32: 4, DType.BF16: 2}
PLAIN = (
    MicroOp.FADD, MicroOp.FSUB, MicroOp.FRSB, MicroOp.FMUL, MicroOp.FMAX, MicroOp.FMIN, MicroOp.GT,
    MicroOp.GE, MicroOp.EQ, MicroOp.SEL, MicroOp.MOV, MicroOp.IADD, MicroOp.MASK,
)  # fmt: skip
LONE = (
    MicroOp.I2F, MicroOp.NEG, MicroOp.ABS, MicroOp.FLOOR, MicroOp.RND, MicroOp.SAVE, MicroOp.EXP2,
    MicroOp.LOG2, MicroOp.RECIP, MicroOp.RSQRT,
)  # fmt: skip


def gates_program(seed: int, chip: ChipConfig, phases: int = 6) -> Program:
    """Return a random program that ends and has no races."""
    return _Builder(Random(seed), chip).build(seed, phases)


@dataclass
class _Phase:
    """What a phase may use: regions by unit, and which half of the accumulators MX writes."""

    regions: list[int]
    mx_low: bool
    gathers: Unit | None  # the only DMA unit of the phase, which may use GATHER (any address)


@dataclass
class _Builder:
    rng: Random
    chip: ChipConfig
    out: list[Instruction] = field(default_factory=list)
    stored: int = SOURCE_BYTES  # next DRAM address for stores

    def build(self, seed: int, phases: int) -> Program:
        chip = self.chip
        self.words = chip.scratchpad_words // REGIONS
        self.image = bytearray(np.random.default_rng(seed).bytes(SOURCE_BYTES))
        self._tables()
        self._begin()
        for _ in range(phases):
            self._phase()
        self._finish()
        size = self.stored
        binding = Binding("memory", 0, (size,), None, "int8", "int8")
        # A binding without a channel axis is stored with ku bytes an element: bind rows instead.
        binding = Binding("memory", 0, (size // chip.ku, chip.ku), 1, "int8", "int8")
        return Program(
            f"random-{seed}", chip.name, chip.content_hash(), tuple(self.out),
            (Segment(0, bytes(self.image)),), size, (), (binding,),
        )  # fmt: skip

    def _tables(self) -> None:
        """Put tables and an index list into the source: the last of its 64 KiB."""
        rng = self.rng
        lut = Lut8.from_values(
            np.random.default_rng(rng.randrange(1 << 30)).integers(-128, 128, 256).astype(np.int8)
        )
        table = SegmentTable.fit(lambda x: x * abs(x) / 8 - x, -8.0, 8.0, 32)
        index = np.array([rng.randrange(32) for _ in range(INDEX_ENTRIES)], "<i4")
        self.at = {"lut": SOURCE_BYTES - 512, "table": SOURCE_BYTES - 5120}
        self.at["index"] = SOURCE_BYTES - 6144
        for name, data in (
            ("lut", lut.to_bytes()), ("table", table.to_bytes()), ("index", index.tobytes())
        ):  # fmt: skip
            self.image[self.at[name] : self.at[name] + len(data)] = data

    def _begin(self) -> None:
        """Fill the scratchpad, load tables and weights, set all registers once."""
        chip, out = self.chip, self.out
        self.index_base = (REGIONS - 1) * self.words * chip.ku  # the last region stays as it is
        self.table_base = self.index_base + 4 * INDEX_ENTRIES
        for r in range(REGIONS - 1):
            left, at = self.words * chip.ku, r * self.words * chip.ku
            while left:
                run = min(left, 32768)
                dram = self.rng.randrange(0, SOURCE_BYTES - run - 6144 + 1, 4)
                out.append(Ld.new(dram=dram, sp=at, run=run))
                left, at = left - run, at + run
        line = 4 * chip.vx_lanes
        self.lut_base = -(-(self.table_base + 4112 + 2 * line) // line) * line
        out.append(Ld.new(dram=self.at["index"], sp=self.index_base, run=4 * INDEX_ENTRIES))
        self.table_base = -(-self.table_base // line) * line
        out.append(Ld.new(dram=self.at["table"], sp=self.table_base, run=4112))
        out.append(Ld.new(dram=self.at["lut"], sp=self.lut_base, run=256))
        out += [Fence.new(), Ldw.new(b=0, lines=min(8, chip.weight_file_lines))]
        out.append(Ldt.new(base=self.table_base // chip.ku, slot=3, kind=TableKind.SEGMENT))
        out.append(Ldt.new(base=self.lut_base // chip.ku, slot=2, kind=TableKind.LUT8))
        values = [0.0, 1.0, -1.5, 3.0e-5, 7.25, -1.0e20, 0.1, 40.0]
        out += [
            Konst.new(k=k, bits=int(np.float32(v).view(np.uint32))) for k, v in enumerate(values)
        ]
        for idx in range(4):
            low = self.rng.randint(-200, 0)
            out.append(
                Qpar.new(idx=idx, zero_point=self.rng.randint(-20, 20), lo=low, hi=low + 220)
            )
        out += [Setr.new(reg=1, value=0), Fence.new()]
        self._clear_accumulators()

    def _clear_accumulators(self) -> None:
        """Write every accumulator row, so that nothing undefined is read."""
        chip = self.chip
        rows = chip.mu // chip.beat_pixels
        groups = chip.nu // chip.ku
        for first in range(0, chip.acc_rows, rows * groups):
            self.out.append(Gstr.new(a_plane=0, b_kstride=0, b_nstride=0, acc_stride=rows))
            self.out.append(Gemm.new(a=0, m=chip.mu, steps=1, b=0, n_tiles=1, acc=first))
        self.out.append(Fence.new())

    def _phase(self) -> None:
        rng = self.rng
        order = rng.sample(range(REGIONS - 1), REGIONS - 1)
        gathers = rng.choice([None, None, Unit.LD, Unit.ST])
        phase = _Phase(order, rng.random() < 0.5, gathers)
        queues: list[list[Instruction]] = []
        for make in (self._load, self._store, self._matrix, self._vector):
            pieces: list[Instruction] = []
            for _ in range(rng.choice([0, 1, 1, 2, 3])):
                pieces += make(phase)
            queues.append(pieces)
        body = self._shuffle(queues)
        if rng.random() < 0.3 and 0 < len(body) <= 60 and not self._has_tokens(body):
            body = [Loop.new(count=rng.randint(1, 3), body=len(body)), *body]
        self.out += [*body, Fence.new()]

    def _has_tokens(self, body: list[Instruction]) -> bool:
        return any(i.wait or i.signal for i in body)

    def _shuffle(self, queues: list[list[Instruction]]) -> list[Instruction]:
        """Interleave the units' instructions; sometimes order two units by a token."""
        rng, out = self.rng, list[Instruction]()
        queues = [list(queue) for queue in queues if queue]
        while queues:
            queue = rng.choice(queues)
            out.append(queue.pop(0))
            queues = [q for q in queues if q]
        if len(out) > 3 and rng.random() < 0.5:
            giver, taker = rng.sample(list(Unit)[1:], 2)
            at = rng.randrange(len(out))
            semaphore = list(permutations(list(Unit)[1:], 2)).index((giver, taker))  # its own
            count = rng.randint(1, 3)
            out.insert(at, Sig.new(giver, signal=Sync(semaphore, count)))
            later = rng.randint(at + 1, len(out))
            out.insert(later, Wait.new(taker, wait=Sync(semaphore, count)))
        return out

    # Pieces of work --------------------------------------------------------------------------

    def _load(self, phase: _Phase) -> Sequence[Instruction]:
        return self._dma(Unit.LD, phase.regions[0], phase)

    def _store(self, phase: _Phase) -> Sequence[Instruction]:
        return self._dma(Unit.ST, phase.regions[1], phase)

    def _dma(self, unit: Unit, region: int, phase: _Phase) -> Sequence[Instruction]:
        rng, chip = self.rng, self.chip
        if phase.gathers not in (None, unit):
            return []
        mode = rng.choice([DmaMode.COPY] * 4 + list(DmaMode))
        if mode is DmaMode.GATHER and phase.gathers is not unit:
            mode = DmaMode.COPY
        room = self.words * chip.ku
        while True:
            run = rng.choice([1, 2, 3, 4, 7, 12, 16, 20, 33, 64, 100, 256])
            ndims = rng.randint(1 if mode is DmaMode.GATHER else 0, 3)
            dims, sp_reach, dram_reach = [], run, run
            if mode is DmaMode.SCATTER_BYTES:
                scatter = rng.choice([4, 4, 8, 3, chip.ku * chip.columns])
                sp_reach = (run - 1) * scatter + 1
            for d in range(ndims):
                count = rng.randint(1, 4)
                sp = sp_reach if rng.random() < 0.4 else sp_reach + rng.randint(0, 30)
                dram = dram_reach if rng.random() < 0.4 else dram_reach + rng.randint(0, 70)
                if mode is DmaMode.GATHER and d == 0:
                    dram = -(-run // chip.dram_burst_bytes) * chip.dram_burst_bytes
                    dram_reach = 31 * dram + run
                else:
                    dram_reach += (count - 1) * dram
                sp_reach += (count - 1) * sp
                dims.append(Dim.new(unit, dim=d, count=count, dram_stride=dram, sp_stride=sp))
            if sp_reach < room - 64 and dram_reach < 16000:
                break
        out: list[Instruction] = list(dims)
        if mode is DmaMode.SCATTER_BYTES:
            out.append(Dim.new(unit, dim=3, count=1, sp_stride=scatter))
        if mode is DmaMode.GATHER:
            start = rng.randrange(INDEX_ENTRIES - 4)
            out.append(Gidx.new(unit, base=self.index_base + 4 * start))
        sp = region * room + rng.randrange(room - sp_reach)
        values = {"sp": sp, "run": run, "ndims": ndims, "mode": mode, "fill": rng.randrange(256)}
        if unit is Unit.LD:
            dram = rng.randrange(SOURCE_BYTES - 6144 - dram_reach)
            if mode is DmaMode.GATHER:
                dram -= dram % chip.dram_burst_bytes
            return [*out, Setr.new(reg=1, value=dram // 2), Ld.new(
                dram=dram - dram // 2, areg=1, **values
            )]  # fmt: skip
        dram = self.stored + rng.randrange(64)
        if mode is DmaMode.GATHER:
            dram = -(-dram // chip.dram_burst_bytes) * chip.dram_burst_bytes
        self.stored = -(-(dram + dram_reach) // 64) * 64
        return [*out, St.new(dram=dram, **values)]

    def _window(self, unit: Unit, idx: int, width: int, *, writes: bool = False) -> list:
        rng = self.rng
        w, h = rng.randint(1, 11), rng.randint(1, 5)
        pitch = w + rng.choice([0, 0, 1, 3])
        plane = h * pitch + rng.choice([0, 0, 1, 5])
        assert (3 * plane + h * pitch) * width < self.words - 64, "a window fits its region"
        if not writes and rng.random() < 0.1:
            plane = 0
        least = 1 if writes else 0
        sx = rng.choice([1, 1, 1, 2]) if writes else rng.choice([0, 1, 1, 1, 2, 4])
        wina = Wina.new(
            unit, idx=idx, plane=plane, pitch=pitch, h=h, w=w,
            ow=rng.choice([w, w, rng.randint(1, 9)]), fill=rng.choice([0, 3, -128, -7]),
        )  # fmt: skip
        winb = Winb.new(
            unit, idx=idx, sy=rng.randint(least, 2), sx=sx, dy=rng.randint(0, 2),
            dx=rng.randint(0, 2), py=rng.randint(-1, 1), px=rng.randint(-1, 2),
            kh=rng.randint(1, 3), kw=rng.randint(1, 5),
        )  # fmt: skip
        return [wina, winb]

    def _word(self, region: int) -> int:
        return region * self.words + self.rng.randrange(32)

    def _matrix(self, phase: _Phase) -> Sequence[Instruction]:
        rng, chip = self.rng, self.chip
        a, b = self._word(phase.regions[2]), self._word(phase.regions[rng.choice([2, 3])])
        half = chip.acc_rows // 2
        acc = 0 if phase.mx_low else half
        common = {"accumulate": rng.random() < 0.4}
        kind = rng.choice(["gemm", "conv", "conv", "dw", "gemv"])
        if kind == "gemv":
            stride = rng.randint(1, 4)
            steps = rng.randint(1, min(9, chip.nu * 8))
            x = Ldw.new(b=a, lines=-(-steps // chip.nu))
            tiles = rng.randint(1, 3)
            return [x, Gemv.new(
                b=b, steps=steps, n_tiles=tiles, acc=acc, acc_stride=stride, w4=rng.random() < 0.3,
                **common,
            )]  # fmt: skip
        p = rng.randint(1, 3 * chip.mu + 1)
        rows = -(-p // chip.mu) * chip.mu // chip.beat_pixels
        stride = rows + rng.randint(0, 3)
        if kind == "gemm":
            strides = Gstr.new(
                a_plane=rng.choice([p, p + 1, chip.columns]), b_kstride=rng.choice([chip.nu, 3]),
                b_nstride=rng.choice([chip.nu * 4, 7]), acc_stride=stride,
            )  # fmt: skip
            return [strides, Gemm.new(
                a=a, m=p, steps=rng.randint(1, 9), b=b, n_tiles=rng.randint(1, 3), acc=acc,
                w4=rng.random() < 0.3, **common,
            )]  # fmt: skip
        windows = self._window(Unit.MX, rng.randrange(4), 1)
        win = windows[0].values["idx"]
        if kind == "conv":
            return [*windows, Conv.new(
                a=a, win=win, p=p, groups=rng.randint(1, 4), b=b, n_tiles=rng.randint(1, 2),
                acc=acc // 4, acc_stride=stride, w4=rng.random() < 0.3, **common,
            )]  # fmt: skip
        steps = windows[1].values["kh"] * -(-windows[1].values["kw"] // chip.ku)
        tiles = 1
        windows[0].values["plane"] = min(windows[0].values["plane"], self.words // (4 * chip.nu))
        if tiles * steps > chip.weight_file_lines:
            return []
        lines = Ldw.new(b=b, lines=tiles * steps)
        return [lines, *windows, Dw.new(
            a=a, win=win, p=p, tiles=tiles, acc=acc, acc_stride=stride, **common
        )]  # fmt: skip

    def _vector(self, phase: _Phase) -> Sequence[Instruction]:
        rng, chip = self.rng, self.chip
        reduce = rng.choice([Reduce.NONE, Reduce.NONE, Reduce.NONE, *Reduce])
        uses = rng.randrange(32) | 8 | (1 if reduce is Reduce.WINDOW else 0)
        types = [DType.I8, DType.I8, DType.I16, DType.I32, DType.F32, DType.BF16]
        out: list[Instruction] = []
        acc = reduce is not Reduce.WINDOW and rng.random() < 0.4
        groups, p = rng.randint(1, 4), rng.randint(1, 4 * chip.beat_pixels + 1)
        for idx in range(4):
            dtype = rng.choice(types)
            width = BYTES[dtype]
            out += self._window(Unit.VX, idx, width, writes=idx == 3)
            if idx == 0 and acc:
                dtype = DType.ACC
                out[-2].values["plane"] = rng.randint(1, 20)
            base = self._word(phase.regions[4 if idx < 3 else 5])
            out.append(
                Strm.new(
                    idx=idx, base=base, dtype=dtype, splat=idx < 3 and rng.random() < 0.2,
                    quant=rng.randrange(4),
                )
            )  # fmt: skip
        out.append(Strm.new(idx=4, base=self._word(phase.regions[4])))
        out += self._chain(reduce, uses)
        redop = rng.choice([RedOp.SUM, RedOp.MAX, RedOp.MIN])
        if reduce is Reduce.CHANNELS and rng.random() < 0.3:
            redop = RedOp.ARGMAX
        channels = rng.randint(1, groups * chip.ku)
        out.append(Red.new(reduce=reduce, redop=redop, channels=channels))
        half = chip.acc_rows // 2
        in0 = (half if phase.mx_low else 0) if acc else self._word(phase.regions[4])
        out.append(
            Vrun.new(
                in0=in0, in1=self._word(phase.regions[4]), out=self._word(phase.regions[5]),
                p=p, groups=groups, slot=1, uses=uses,
            )
        )  # fmt: skip
        return out

    def _chain(self, reduce: Reduce, uses: int) -> Sequence[Instruction]:
        """Return a chain of up to ten micro-ops with the operands that are there."""
        rng = self.rng
        before = [self._micro(uses, None) for _ in range(rng.randint(0, 6))]
        if any(op is MicroOp.SEL or src == Src.T for op, src in before):
            before.insert(0, (MicroOp.SAVE, 0))
        micros = list(before)
        if reduce is not Reduce.NONE:
            micros.append((MicroOp.RED, 0))
            micros += [self._micro(uses, reduce) for _ in range(rng.randint(0, 3))]
        micros += [(MicroOp.END, 0)] * (10 - len(micros))
        halves = range(2 if micros[5][0] is not MicroOp.END else 1)
        return [
            Chain.new(
                slot=1, half=half,
                **{f"op{i}": micros[5 * half + i][0] for i in range(5)},
                **{f"src{i}": micros[5 * half + i][1] for i in range(5)},
            )
            for half in halves
        ]  # fmt: skip

    def _micro(self, uses: int, after: Reduce | None) -> tuple[MicroOp, int]:
        """Return one micro-op; after a reduction only operands that have one value."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.35:
            ops = LONE if after is None else tuple(op for op in LONE if op is not MicroOp.SAVE)
            return rng.choice(ops), 0
        if kind < 0.5:
            return rng.choice([(MicroOp.TBL, 3), (MicroOp.LUT, 2), (MicroOp.QNT, rng.randrange(4))])
        if kind < 0.55 and self.chip.ku > 1:
            return MicroOp.ROT, 0
        sources = [Src.V, *(Src(Src.K0 + k) for k in range(8))]
        if after is None:
            sources.append(Src.T)
        if after in (None, Reduce.WINDOW):
            sources += [s for bit, s in ((1, Src.IN1), (2, Src.IN2)) if uses >> bit & 1]
        if after is not Reduce.CHANNELS and uses >> 4 & 1:
            sources += [Src.PB, Src.PS]
        op = rng.choice([o for o in PLAIN if after is None or o is not MicroOp.SEL])
        return op, int(rng.choice(sources))

    def _finish(self) -> None:
        """Store the scratchpad, then the accumulators through it."""
        chip = self.chip
        half = chip.scratchpad_bytes // 2
        self._store_all(0, chip.scratchpad_bytes)
        groups = chip.acc_rows * chip.vx_lanes * 4 // half
        rows = chip.acc_rows // max(1, groups)
        plain = [Wina.new(Unit.VX, idx=i, plane=0, pitch=0, h=1, w=32767, ow=32767) for i in (0, 3)]
        steps = [Winb.new(Unit.VX, idx=i, sy=1, sx=1, kh=1, kw=1) for i in (0, 3)]
        self.out += [*plain, *steps, Strm.new(idx=0, dtype=DType.ACC), Red.new()]
        self.out += [Strm.new(idx=3, dtype=DType.F32), Chain.new(slot=1)]
        for first in range(0, chip.acc_rows, rows):
            count = min(rows, chip.acc_rows - first)
            p = count * chip.beat_pixels
            self.out += [Vrun.new(in0=first, out=0, p=p, groups=1, slot=1, uses=9), Fence.new()]
            self._store_all(0, count * chip.vx_lanes * 4)
        self.out.append(Halt.new())

    def _store_all(self, sp: int, size: int) -> None:
        for at in range(0, size, 32768):
            run = min(32768, size - at)
            self.out.append(St.new(dram=self.stored, sp=sp + at, run=run))
            self.stored += run
        self.out.append(Fence.new())
