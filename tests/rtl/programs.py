"""Random programs for a whole tile that are free of races, and show all that happened in them.

A program is a row of phases, kept apart by FENCE. In a phase each unit does a few pieces of work
(`pieces.py`) at the same time as the others. By default a unit has scratchpad regions and
accumulator rows of its own; in a phase with an `order` some units work in one region, or MX and VX
on the same accumulators, one after the other by a token that the last instruction of the one gives
and the first of the next takes. So the result is one, whatever the timing, while banks, port and
queues contend; `jiriki.program.check` proves it of every program.

What is compared when: memory is compared at the end of a run, and holds
- after every phase what it may have written: the regions of LD and VX, and the accumulators;
- at a token to ST, in a phase with an order, the region as the unit before it left it (often the
  whole region), so that a token given too early, or not for the bytes it stands for, shows;
- at the end all regions, in a quarter of the programs the whole scratchpad, and all accumulators:
  what went elsewhere shows too.

In: a seed and a chip. Out: a Program whose host parameters are `PARAMETERS`, without other inputs,
and whose one output, `memory`, is the whole image.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random

import numpy as np

from jiriki.chip import ChipConfig
from jiriki.isa.control import QUEUED, Fence, Halt, Loop, Nop, Setr, Sig, Wait
from jiriki.isa.dma.instructions import Ld, St
from jiriki.isa.fields import Instruction, Sync, Unit
from jiriki.isa.matrix.instructions import Conv, Dw, Gemm, Gemv, Gstr, Ldw
from jiriki.isa.vector.instructions import Chain, Ldt, Red, Strm, Vrun
from jiriki.isa.windows import Wina, Winb
from jiriki.isa.words import DType, TableKind
from jiriki.numerics import Lut8, SegmentTable
from jiriki.program import Binding, Entry, Parameter, Program, Segment
from tests.rtl.pieces import (
    INDEX_ENTRIES,
    INDEX_HIGH,
    INDEX_LOW,
    KONSTS,
    PARAMETERS,
    SOURCE_BYTES,
    TABLE_BYTES,
    Ground,
    Phase,
    flurry,
    keep,
    konst,
    load,
    matrix,
    quantiser,
    store,
    table,
    vector,
)

REGIONS = 8
REGION_WORDS = 1280  # used of each, on every chip: the largest window fits
TABLE_AT = (SOURCE_BYTES - 5120, SOURCE_BYTES - 6144)  # DRAM: images of segment tables,
LUT_AT = (SOURCE_BYTES - 512, SOURCE_BYTES - 256)  # of tables of 256 entries,
INDEX_AT = SOURCE_BYTES - TABLE_BYTES  # and the index list
SEGMENT_BYTES = 4112  # what LDT reads of a segment table
WORK = (Ld, St, Gemm, Conv, Dw, Gemv, Ldw, Vrun, Ldt)
PIECES = {Unit.LD: load, Unit.ST: store, Unit.MX: matrix, Unit.VX: vector}
NUMBERS_BYTES = 2048  # of the source, by turns: random, fp32, bf16, int16
SPECIAL = (0.0, -0.0, np.inf, -np.inf, 1.0e-40, 3.0e38, -1.0, 0.5)  # NaN: in random bytes
COUNTS = dict.fromkeys(QUEUED, (0, 1, 1, 2, 3)) | {Unit.VX: (0, 2, 3, 4, 5)}  # pieces a phase
LOOP_REGISTER = 29  # and those above: counts of loops
LONGEST_BODY = 200


def gates_program(seed: int, chip: ChipConfig, phases: int = 6) -> Program:
    """Return a random program that ends and has no races."""
    return _Builder(Random(seed), chip).build(seed, phases)


def _numbers(rng: np.random.Generator) -> tuple[bytes, bytes, bytes]:
    """Return blocks of fp32, bf16 and int16 of moderate size, a few of them special."""
    count = NUMBERS_BYTES // 4
    floats = (rng.standard_normal(2 * count) * 2.0 ** rng.integers(-3, 7, 2 * count)).astype("<f4")
    special = rng.random(2 * count) < 0.1
    floats[special] = rng.choice(np.array(SPECIAL, "<f4"), int(special.sum()))
    few = rng.random(2 * count) < 0.5  # of so few bits that roundings meet halves
    floats[few] = (floats[few].view("<u4") & 0xFFFF8000).view("<f4")
    bf16 = (floats.view("<u4") >> 16).astype("<u2")
    return (
        floats[:count].tobytes(),
        bf16.tobytes(),
        rng.integers(-600, 600, 2 * count, "<i2").tobytes(),
    )


class _Builder:
    """Builds one program."""

    def __init__(self, rng: Random, chip: ChipConfig) -> None:
        self.rng, self.chip = rng, chip
        self.ground = Ground(rng, chip, chip.scratchpad_words // REGIONS, REGION_WORDS)
        self.out: list[Instruction] = []

    def build(self, seed: int, phases: int) -> Program:
        chip = self.chip
        self._begin()
        for _ in range(phases):
            self._phase()
        self._finish()
        size = self.ground.stored
        # A binding without a channel axis is stored with ku bytes an element: bind rows instead.
        binding = Binding("memory", 0, (size // chip.ku, chip.ku), 1, "int8", "int8")
        return Program(
            f"random-{seed}", chip.name, chip.content_hash(), tuple(self.out),
            (Segment(0, self._image(seed)),), size,
            (Entry((), (binding,), tuple(map(Parameter, PARAMETERS))),),
        )  # fmt: skip

    def _image(self, seed: int) -> bytes:
        """Return the source: random bytes and numbers, tables and an index list at the end."""
        rng = np.random.default_rng(seed)
        image = bytearray(rng.bytes(SOURCE_BYTES))
        for at in range(0, SOURCE_BYTES - TABLE_BYTES, 4 * NUMBERS_BYTES):
            for i, numbers in enumerate(_numbers(rng), 1):
                start = at + i * NUMBERS_BYTES
                image[start : start + NUMBERS_BYTES] = numbers
        tables = (
            SegmentTable.fit(lambda x: x * abs(x) / 8 - x, -8.0, 8.0, 32),
            SegmentTable.fit(lambda x: 3 - x / 4, -2.0, 6.0, 16),
        )
        for at, segments in zip(TABLE_AT, tables, strict=True):
            image[at : at + len(segments.to_bytes())] = segments.to_bytes()
        for at in LUT_AT:
            lut = Lut8.from_values(rng.integers(-128, 128, 256).astype(np.int8))
            image[at : at + 256] = lut.to_bytes()
        index = rng.integers(INDEX_LOW, INDEX_HIGH + 1, INDEX_ENTRIES).astype("<i4")
        image[INDEX_AT : INDEX_AT + index.nbytes] = index.tobytes()
        return bytes(image)

    def _begin(self) -> None:
        """Fill the scratchpad, load tables and weights, set all registers once."""
        g, chip, out = self.ground, self.chip, self.out
        for region in range(REGIONS - 1):
            dram = self.rng.randrange(0, SOURCE_BYTES - g.room - TABLE_BYTES + 1, 4)
            out.append(Ld.new(dram=dram, sp=g.place(region), run=g.room))
        self._constants(g.place(REGIONS - 1))
        out += [Fence.new(), Ldw.new(b=0, lines=chip.weight_file_lines)]
        for slot in range(chip.table_slots):
            out += [table(g, slot, kind) for kind in TableKind]
        out += [konst(k, KONSTS[k]) for k in range(8)]
        out += [quantiser(g, idx) for idx in range(4)]
        out.append(Fence.new())
        self._clear_accumulators()

    def _constants(self, base: int) -> None:
        """Load index list and tables into the last region, which stays as it is."""
        g, line = self.ground, 4 * self.chip.vx_lanes
        g.indices = base
        first = base + -(-4 * INDEX_ENTRIES // line) * line
        g.tables = (first, first + 1024)
        second = first + 1024 + -(-SEGMENT_BYTES // line) * line
        g.luts = (second, second + -(-256 // line) * line)
        self.out.append(Ld.new(dram=INDEX_AT, sp=base, run=4 * INDEX_ENTRIES))
        self.out.append(Ld.new(dram=TABLE_AT[1], sp=g.tables[1], run=1024))
        self.out.append(Ld.new(dram=TABLE_AT[0], sp=g.tables[0], run=1024))
        tail = second + 1024 - (g.tables[1] + 1024)  # what LDT reads behind, and the small tables
        self.out.append(Ld.new(dram=0, sp=g.tables[1] + 1024, run=tail))
        self.out += [Ld.new(dram=LUT_AT[i], sp=g.luts[i], run=256) for i in range(2)]

    def _clear_accumulators(self) -> None:
        """Write every accumulator row, so that nothing undefined is read."""
        chip = self.chip
        rows = chip.mu // chip.beat_pixels
        groups = chip.nu // chip.ku
        for first in range(0, chip.acc_rows, rows * groups):
            self.out.append(Gstr.new(a_plane=0, b_kstride=0, b_nstride=0, acc_stride=rows))
            self.out.append(Gemm.new(a=0, m=chip.mu, steps=1, b=0, n_tiles=1, acc=first))
        self.out.append(Fence.new())

    # Phases ----------------------------------------------------------------------------------

    def _phase(self) -> None:
        rng, phase = self.rng, self._regions()
        queues: list[dict[Unit, list[Instruction]]] = [{}, {}]  # one part, or two for loops
        for unit in [*phase.order, *(unit for unit in QUEUED if unit not in phase.order)]:
            for queue in queues:
                queue[unit] = []
            for _ in range(rng.choice(COUNTS[unit])):
                part = 0 if phase.order else rng.randrange(2)
                queues[part][unit] += PIECES[unit](self.ground, phase)
            if rng.random() < 0.05:
                semaphore = self._token(unit, unit).semaphore
                queues[0][unit] += flurry(
                    unit, semaphore, rng.randint(8, self.chip.queue_depth + 8)
                )
        for giver, taker in pairwise(phase.order):
            self._hand_over(giver, queues[0][giver], taker, queues[0][taker])
        body = list[Instruction]()
        for queue in queues:
            part = self._shuffle(queue, phase.order)
            for _ in range(rng.choice([0, 4, 8, 16, 24])):
                self._order_two(part, phase.order)
            body += part if phase.order else self._loops(part, 3)
        self.out += [*(body if phase.order else self._loops(body, 1)), Fence.new()]
        self._show(phase)

    def _regions(self) -> Phase:
        """Give every unit regions, in half of the phases some of them the same ones."""
        rng = self.rng
        load_, store_, a, b, reads, writes, shared = rng.sample(range(REGIONS - 1), 7)
        rows = [0, self.chip.acc_rows // 2]
        rng.shuffle(rows)
        gathers = rng.choice([None, None, Unit.LD, Unit.ST])
        phase = Phase(load_, store_, a, b, reads, writes, rows[0], rows[1], gathers, [])
        if rng.random() < 0.5:
            phase.order = rng.sample(QUEUED, rng.randint(2, 4))
            self._share(phase, shared)
        return phase

    def _share(self, phase: Phase, region: int) -> None:
        """Let the units of the order use one region, or MX and VX the same accumulators."""
        rng, order = self.rng, phase.order
        if Unit.MX in order and Unit.VX in order and rng.random() < 0.6:
            phase.vx_row = phase.mx_row
        if Unit.LD in order:
            phase.load = region
        if Unit.ST in order:
            phase.store = region
        if Unit.MX in order:
            setattr(phase, rng.choice("ab"), region)
        if Unit.VX in order:
            setattr(phase, rng.choice(["reads", "writes"]), region)

    def _hand_over(
        self, giver: Unit, gives: list[Instruction], taker: Unit, takes: list[Instruction]
    ) -> None:
        """Let all of `takes` wait for all of `gives`."""
        rng, token = self.rng, self._token(giver, taker)
        if gives and gives[-1].signal is None and rng.random() < 0.8:
            gives[-1].signal = token
        else:
            gives.append(Sig.new(giver, signal=token))
        first = next((i for i in takes if i.unit is taker), None)
        if first is not None and first.wait is None and rng.random() < 0.8:
            first.wait = token
        else:
            takes.insert(0, Wait.new(taker, wait=token))

    def _token(self, giver: Unit, taker: Unit) -> Sync:
        """Return one to three tokens of the semaphore of two units (or of one with itself)."""
        number = len(QUEUED) * QUEUED.index(giver) + QUEUED.index(taker)
        return Sync(number % self.chip.semaphores, self.rng.randint(1, 3))

    def _shuffle(
        self, queues: dict[Unit, list[Instruction]], order: list[Unit]
    ) -> list[Instruction]:
        """Interleave the units' instructions, those of `order` one unit after the other."""
        out = list[Instruction]()
        while any(queues.values()):
            later = [unit for unit in order if queues[unit]][1:]
            unit = self.rng.choice([u for u, queue in queues.items() if queue and u not in later])
            run = self.rng.choice([1, 1, 2, 40])
            out += queues[unit][:run]
            del queues[unit][:run]
        return out

    def _order_two(self, body: list[Instruction], order: list[Unit]) -> None:
        """Order two instructions of any units by a token, in their headers or beside them.

        Not two that hand over to each other: the token of the one would do for the other.
        """
        rng = self.rng
        queued = [i for i, each in enumerate(body) if each.unit is not Unit.CTL]
        if rng.random() < 0.5:
            queued = [i for i in queued if isinstance(body[i], WORK)]
        if len(queued) < 2:
            return
        first, second = sorted(rng.sample(queued, 2))
        gives, takes = body[first], body[second]
        if (gives.unit, takes.unit) in pairwise(order):
            return
        token = self._token(gives.unit, takes.unit)
        if takes.wait is None and rng.random() < 0.7:
            takes.wait = token
        else:
            body.insert(second, Wait.new(takes.unit, wait=token))
        if gives.signal is None and rng.random() < 0.7:
            gives.signal = token
        else:
            body.insert(first + 1, Sig.new(gives.unit, signal=token))

    def _loops(self, body: list[Instruction], most: int) -> list[Instruction]:
        """Put up to `most` loops around a body whose tokens balance; now and then a skipped one."""
        rng = self.rng
        for _ in range(rng.choice([0, 0, *range(most + 1)])):
            if 0 < len(body) <= LONGEST_BODY:
                body = self._loop(body, rng.randint(1, 2))
        if rng.random() < 0.2:
            body = [Loop.new(count=0, body=2), Halt.new(), Nop.new(), *body]
        if rng.random() < 0.2:
            body = [*body, Nop.new()]
        return body

    def _loop(self, body: list[Instruction], count: int) -> list[Instruction]:
        rng = self.rng
        if rng.random() < 0.6:
            return [Loop.new(count=count, body=len(body)), *body]
        register = LOOP_REGISTER + rng.randrange(3)
        loop = Loop.new(from_reg=1, reg=register, body=len(body))
        between = [Nop.new()] * rng.randrange(2)
        return [Setr.new(reg=register, value=count), *between, loop, *body]

    # What memory shows -----------------------------------------------------------------------

    def _show(self, phase: Phase) -> None:
        """Store what the phase may have written; ST and VX hand over by tokens."""
        g = self.ground
        for region in {phase.load, phase.writes}:
            self.out += keep(g, g.place(region), g.room)
        for first in (0, self.chip.acc_rows // 2):
            self._accumulators(first, min(g.rows, self.chip.acc_rows // 2), g.place(phase.writes))
        self.out.append(Fence.new())

    def _accumulators(self, first: int, rows: int, sp: int) -> None:
        """Store accumulator rows through the scratchpad, once ST has left it."""
        chip = self.chip
        plain = [Wina.new(Unit.VX, idx=i, plane=0, pitch=0, h=1, w=32767, ow=32767) for i in (0, 3)]
        steps = [Winb.new(Unit.VX, idx=i, sy=1, sx=1, kh=1, kw=1) for i in (0, 3)]
        self.out += [*plain, *steps, Strm.new(idx=0, dtype=DType.ACC), Red.new()]
        self.out += [Strm.new(idx=3, dtype=DType.F32), Chain.new(slot=1)]
        left, done = self._token(Unit.ST, Unit.VX), self._token(Unit.VX, Unit.ST)
        self.out += [
            Sig.new(Unit.ST, signal=left),
            Vrun.new(
                in0=first, out=sp // chip.ku, p=rows * chip.beat_pixels, groups=1, slot=1, uses=9,
                wait=left, signal=done,
            ),
            Wait.new(Unit.ST, wait=done),
            *keep(self.ground, sp, rows * chip.vx_lanes * 4),
        ]  # fmt: skip

    def _finish(self) -> None:
        """Store the scratchpad, then the accumulators through it."""
        chip, g = self.chip, self.ground
        if self.rng.random() < 0.25:
            self.out += keep(g, 0, chip.scratchpad_bytes)
        else:
            for region in range(REGIONS - 1):
                self.out += keep(g, g.place(region), g.room)
        rows = min(chip.acc_rows, chip.scratchpad_bytes // (8 * chip.vx_lanes))
        for first in range(0, chip.acc_rows, rows):
            self._accumulators(first, min(rows, chip.acc_rows - first), 0)
        if self.rng.random() < 0.5:
            self.out.append(Fence.new())
        self.out.append(Halt.new())
