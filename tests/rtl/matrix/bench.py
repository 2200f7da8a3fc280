"""MX by itself: random programs of its instructions, the gates in a bench, what to expect of them.

In: a chip and a seed. Out: a `Case` (scratchpad image, instructions, when each is sent and may
start, in which cycles port B is refused), what the gates make of it, and what the meanings of the
ISA and the rules of timing.md say.
"""

import ctypes
from dataclasses import dataclass, field, replace
from functools import cache
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jiriki.chip import ChipConfig
from jiriki.chip.catalogue import load_chip
from jiriki.isa.control import Wait
from jiriki.isa.encoding import encode_program
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Instruction, Unit
from jiriki.isa.machine import Machine
from jiriki.isa.matrix.instructions import Conv, Dw, Gemm, Gemv, Gstr, Ldw
from jiriki.isa.matrix.operations import DwOp, GemmOp, GemvOp, LdwOp
from jiriki.isa.operations import Operation, execute
from jiriki.isa.resolve import resolve
from jiriki.isa.sequence import Step
from jiriki.isa.windows import Wina, Winb
from jiriki.rtl.build.verilate import build_library
from jiriki.rtl.interfaces import State, line_bits
from jiriki.rtl.matrix import MatrixUnit
from jiriki.sim.naive.work import levels, matrix_steps

LIMIT = 60_000


@dataclass
class Case:
    """A program of MX instructions and how it is driven."""

    chip: ChipConfig
    sp: NDArray[np.uint8]
    instructions: list[Instruction]
    sent: NDArray[np.int64]
    gate: NDArray[np.int64]
    refuse: NDArray[np.uint8]


@dataclass
class Result:
    """Cycles of starts and of own ends of works, states of all cycles, accumulators."""

    start: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    busy: int = 0
    bank: int = 0
    drain: int = 0
    acc: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 0), np.int32))


def shaped(mu: int, nu: int, ku: int, vx_lanes: int) -> ChipConfig:
    """Return nano with another array: small, so that it is built in seconds."""
    return replace(
        load_chip("nano"), name=f"{mu}x{nu}x{ku}", mu=mu, nu=nu, ku=ku, vx_lanes=vx_lanes,
        scratchpad_bytes=8192 * ku, columns=max(mu, nu, 8, 4 * vx_lanes // ku), acc_rows=256,
        weight_file_lines=32,
    )  # fmt: skip


@cache
def library(chip: ChipConfig) -> ctypes.CDLL:
    """Build the gates of a chip's matrix unit with the bench around them."""
    path = build_library(
        MatrixUnit(chip),
        f"matrix-{chip.name}",
        [Path(__file__).with_name("bench.cpp")],
        optimise="-O1" if chip.macs_per_cycle > 64 else "-O0",
        defines={
            "COLUMNS": chip.columns,
            "WORD_BYTES": chip.ku,
            "LINE_BITS": line_bits(chip),
            "BANK_WORDS": chip.bank_words,
            "LANES": chip.vx_lanes,
        },
    )
    loaded = ctypes.CDLL(str(path))
    loaded.run.restype = ctypes.c_int64
    return loaded


def run_gates(case: Case, rows: list[int] | None = None) -> Result:
    """Run a case; then read the accumulators, `rows` first, from the cycle after the last end."""
    chip = case.chip
    first = rows or []
    order = np.array(first + [r for r in range(chip.acc_rows) if r not in {*first}], np.int64)
    n = len(case.instructions)
    words = encode_program(case.instructions)
    start, done = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    state, acc = np.zeros(LIMIT, np.uint8), np.zeros((chip.acc_rows, chip.vx_lanes), np.int32)
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (case.sp, words)]
    timing = [a.ctypes.data_as(ctypes.c_void_p) for a in (case.sent, case.gate, case.refuse)]
    out = [a.ctypes.data_as(ctypes.c_void_p) for a in (start, done, state, acc)]
    count = ctypes.c_int64
    ended = library(chip).run(
        *pointers, count(n), *timing, count(LIMIT), count(1), *out, count(len(order)),
        order.ctypes.data_as(ctypes.c_void_p),
    )  # fmt: skip
    counts = np.bincount(state, minlength=8)
    return Result(
        start.tolist(), done[:ended].tolist(), int(counts[State.BUSY]), int(counts[State.BANK]),
        int(counts[State.DRAIN]), acc,
    )  # fmt: skip


def expect(case: Case) -> Result:
    """Say what must come: values by the ISA's meanings, cycles by the rules, step by step."""
    chip, result = case.chip, Result()
    machine = Machine(chip, np.zeros(16, np.uint8))
    machine.sp[:] = case.sp
    works = resolve([Step(i, ins) for i, ins in enumerate(case.instructions)])
    t = drained = ended = 0
    for work, sent, gate in zip(works, case.sent.tolist(), case.gate.tolist(), strict=True):
        t = max(t, sent + 4, gate)
        result.start.append(t)
        if work.op is None:
            t += 1
            continue
        execute(work.op, machine)
        t, drained = _steps(case, work.op, t, drained, result)
        own = drained if not isinstance(work.op, LdwOp) else t - 1
        ended = max(own + chip.mx_latency_cycles, ended + 1)
        result.done.append(ended)
    result.acc = machine.acc
    return result


def _steps(case: Case, op: Operation, t: int, drained: int, result: Result) -> tuple[int, int]:
    """Walk an instruction; return the cycle after its last step and the end of its drain."""
    chip = case.chip
    drain = 2 * chip.nu // chip.ku if isinstance(op, GemvOp) else chip.drain_cycles
    for a, b, last in matrix_steps(op, chip):
        while last and t < drained:
            result.drain += 1
            t += 1
        left_a, left_b = levels(a, chip), levels(b, chip)
        while True:
            taken = left_a.pop(0) if left_a else frozenset()
            if left_b and not case.refuse[t] and not taken & left_b[0]:
                left_b.pop(0)
            t += 1
            if not left_a and not left_b:
                break
            result.bank += 1
        result.busy += 1
        if last:
            drained = t - 1 + drain
    return t, drained


def random_case(chip: ChipConfig, seed: int, works: int, refusals: float = 0.2) -> Case:
    """Make a program of `works` random instructions that do work, with their descriptors."""
    rng = np.random.default_rng(seed)
    sp = rng.integers(0, 256, chip.scratchpad_bytes, dtype=np.uint8)
    maker = _Maker(chip, rng)
    instructions = maker.ldw(chip.weight_file_lines)
    while works:
        chunk = maker.any()
        try:
            trial = instructions + chunk
            machine = Machine(chip, np.zeros(16, np.uint8))
            work = resolve([Step(i, ins) for i, ins in enumerate(trial)])[-1]
            assert work.op is not None
            execute(work.op, machine)
        except IsaError:
            continue
        instructions, works = trial, works - 1
    n = len(instructions)
    gaps = rng.choice([1, 1, 1, 1, 2, 9], n)
    sent = np.cumsum(gaps) if rng.random() < 0.7 else np.arange(n)
    sent[20:] += rng.integers(0, 2000)
    gate = np.where(rng.random(n) < 0.1, sent + rng.integers(0, 60, n), 0)
    refuse = (rng.random(LIMIT) < refusals).astype(np.uint8)
    return Case(chip, sp, instructions, sent.astype(np.int64), gate.astype(np.int64), refuse)


class _Maker:
    """Random instructions; some pass a memory's end, which the caller finds out."""

    def __init__(self, chip: ChipConfig, rng: np.random.Generator) -> None:
        self.chip, self.rng = chip, rng

    def n(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def any(self) -> list[Instruction]:
        kinds = [self.gemm, self.conv, self.dw, self.gemv, self.ldw]
        chunk = kinds[self.rng.choice(5, p=[0.25, 0.3, 0.2, 0.15, 0.1])]()
        if self.rng.random() < 0.1:
            chunk.insert(0, Wait.new(Unit.MX))
        return chunk

    def word(self) -> int:
        return self.n(0, self.chip.scratchpad_words - 1)

    def ldw(self, lines: int | None = None) -> list[Instruction]:
        lines = self.n(1, min(4, self.chip.weight_file_lines)) if lines is None else lines
        return [Ldw.new(b=self.word() // 2, lines=lines)]

    def gemm(self) -> list[Instruction]:
        chip, w4 = self.chip, self.n(0, 1)
        m, steps, tiles = self.n(1, 3 * chip.mu + 1), self.n(1, 6), self.n(1, 3)
        strides = Gstr.new(
            a_plane=self.n(0, 50), b_kstride=self.n(0, 2 * chip.nu), b_nstride=self.n(0, 200),
            acc_stride=self.rows(m) + self.n(0, 2),
        )  # fmt: skip
        gemm = Gemm.new(
            a=self.word(), m=m, steps=steps, b=self.word(), n_tiles=tiles, acc=self.row(),
            accumulate=self.n(0, 1), w4=w4,
        )  # fmt: skip
        return [strides, gemm]

    def rows(self, pixels: int) -> int:
        return ceil(pixels / self.chip.mu) * self.chip.mu // self.chip.beat_pixels

    def row(self) -> int:
        return self.n(0, 12)  # few, so that tiles meet each other's rows

    def window(self, idx: int, plane: int | None = None) -> list[Instruction]:
        near = self.rng.random() < 0.5
        wina = Wina.new(
            Unit.MX, idx=idx, plane=self.n(0, 90) if plane is None else plane,
            pitch=self.n(1, 20), h=self.n(1, 12), w=self.n(1, 16), fill=self.n(-128, 127),
            ow=self.n(1, 6) if near else self.n(1, 40),
        )  # fmt: skip
        winb = Winb.new(
            Unit.MX, idx=idx, sy=self.n(0, 3), sx=self.n(0, 3), dy=self.n(0, 3),
            dx=self.n(0, 3), py=self.n(-3, 3), px=self.n(-3, 3), kh=self.n(1, 3), kw=self.n(1, 6),
        )  # fmt: skip
        return [wina, winb] if self.n(0, 1) else [winb, wina]

    def conv(self) -> list[Instruction]:
        chip, win = self.chip, self.n(0, 3)
        p = self.n(1, 4 * chip.mu + 1)
        conv = Conv.new(
            a=self.word(), win=win, p=p, groups=self.n(1, 3), b=self.word(),
            n_tiles=self.n(1, 2), acc=self.n(0, 3), acc_stride=self.rows(p) + self.n(0, 2),
            accumulate=self.n(0, 1), w4=self.n(0, 1),
        )  # fmt: skip
        return [*self.window(win), conv]

    def dw(self) -> list[Instruction]:
        chip, win = self.chip, self.n(0, 3)
        p = self.n(1, 4 * chip.mu + 1)
        dw = Dw.new(
            a=self.word(), win=win, p=p, tiles=self.n(1, 2), acc=self.row(),
            acc_stride=self.rows(p) + self.n(0, 2), accumulate=self.n(0, 1), line=self.n(0, 3),
        )  # fmt: skip
        return [*self.window(win), dw]

    def gemv(self) -> list[Instruction]:
        chip = self.chip
        return [
            Gemv.new(
                b=self.word(),
                steps=self.n(1, 3 * chip.nu),
                n_tiles=self.n(1, 4),
                acc=self.row(),
                acc_stride=self.n(1, 3),
                accumulate=self.n(0, 1),
                w4=self.n(0, 1),
            )
        ]


def last_rows(case: Case) -> list[int]:
    """Return the accumulator rows of the last register tile, the last to drain first."""
    chip = case.chip
    works = resolve([Step(i, ins) for i, ins in enumerate(case.instructions)])
    op = next(w.op for w in reversed(works) if w.op is not None and not isinstance(w.op, LdwOp))
    groups, rows = chip.nu // chip.ku, chip.mu // chip.beat_pixels
    if isinstance(op, GemvOp):
        first = op.acc + (op.n_tiles - 1) * groups * op.acc_stride
        return [first + g * op.acc_stride for g in reversed(range(groups))]
    pixels = op.m if isinstance(op, GemmOp) else op.p
    tiles = op.tiles if isinstance(op, DwOp) else op.n_tiles
    first = op.acc + (tiles - 1) * groups * op.acc_stride + (pixels - 1) // chip.mu * rows
    return [first + g * op.acc_stride + row for g in reversed(range(groups)) for row in range(rows)]
