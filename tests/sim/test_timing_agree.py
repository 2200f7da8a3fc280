"""The kernel against the naive stepper: every event, counter and beat of random programs.

Random programs are legal streams for all units. Waits take only tokens that are given earlier in
the program and each semaphore has one consuming unit, so that none deadlocks.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from random import Random

import pytest

from jiriki.chip import ChipConfig, load_chip
from jiriki.isa.control import Fence, Halt, Loop, Nop, Sig, Wait
from jiriki.isa.dma.instructions import Dim, Gidx, Ld, St
from jiriki.isa.fields import Instruction, Sync, Unit
from jiriki.isa.matrix.instructions import Conv, Dw, Gemm, Gemv, Gstr, Ldw
from jiriki.isa.resolve import Work, resolve
from jiriki.isa.sequence import unroll_instructions
from jiriki.isa.vector.instructions import Chain, Ldt, Red, Strm, Vrun
from jiriki.isa.windows import Wina, Winb
from jiriki.isa.words import DmaMode, DType, MicroOp, RedOp, Reduce
from jiriki.sim.naive.tile import NaiveTile
from jiriki.sim.timing import layout as at
from jiriki.sim.timing.engine import TIMED, counters_of, simulate_works, spent_cycles

NANO = load_chip("nano")
CRAMPED = replace(
    NANO, name="cramped", dram_latency_cycles=20, dram_bursts_in_flight=4, queue_depth=4,
    vx_latency_cycles=18, vx_contexts=2, banks=2, scratchpad_bytes=16384,
)  # fmt: skip
ODD_DRAM = replace(
    NANO, name="odd-dram", dram_bytes_per_cycle=8, dram_burst_bytes=32, dram_latency_cycles=7
)
CHIPS = [CRAMPED, ODD_DRAM, NANO, *(load_chip(name) for name in ("e256", "vta256", "os256"))]


def both(chip: ChipConfig, seed: int, length: int) -> tuple[dict[str, object], dict[str, object]]:
    """Run a random program on the naive stepper and on the kernel."""
    code = random_program(Random(seed), chip, length)
    works = resolve(unroll_instructions(code))
    tile = NaiveTile(works, len(code), chip)
    slow = {
        "cycles": tile.run(),
        "lives": [[i.issue, i.start, i.end] for i in tile.items],
        "beats": [tile.beats[name] for name in ("ld", "st", "fetch")],
        "counters": tile.counters,
    }
    memory = simulate_works(works, range(len(code)), chip)
    counters = {unit: counters_of(memory, unit) for unit in TIMED}
    fast = {
        "cycles": int(memory.m[at.CLOCK]),
        "lives": memory.records[:, [at.R_ISSUE, at.R_START, at.R_END]].tolist(),
        "beats": memory.m[[at.LOAD_BEATS, at.STORE_BEATS, at.FETCH_BEATS]].tolist(),
        "counters": {
            u: dict(c.reasons) | ({"busy": c.busy} if c.busy else {}) for u, c in counters.items()
        },
    }
    return slow, fast


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
@pytest.mark.parametrize("seed", range(20))
def test_kernel_equals_naive_stepper(chip: ChipConfig, seed: int) -> None:
    slow, fast = both(chip, seed, 1 + seed % 12)
    assert fast == slow


class WatchedTile(NaiveTile):
    """The naive stepper, that notes in which cycle each unit did what."""

    def __init__(self, works: list[Work], words: int, chip: ChipConfig) -> None:
        super().__init__(works, words, chip)
        self.states: list[tuple[int, Unit, str]] = []

    def count(self, unit: Unit, reason: str) -> None:
        super().count(unit, reason)
        self.states.append((self.t, unit, reason))

    def spent(self, unit: Unit) -> list[dict[str, int]]:
        """Give each state to the instruction last started; a wait to the one that it waits for."""
        starts = [item.start for item in self.items if item.work.instruction.unit is unit]
        spent = [dict[str, int]() for _ in [*starts, None]]
        for t, of, reason in self.states:
            if of is unit:
                begun = bisect_right(starts, t)
                own = begun if reason in WAITS else begun - 1
                spent[own][reason] = spent[own].get(reason, 0) + 1
        return spent[:-1]


WAITS = ("instruction", "semaphore", "completion")


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
@pytest.mark.parametrize("seed", range(3))
def test_every_instruction_is_told_its_own_cycles(chip: ChipConfig, seed: int) -> None:
    code = random_program(Random(seed), chip, 12)
    works = resolve(unroll_instructions(code))
    tile = WatchedTile(works, len(code), chip)
    tile.run()
    spent = spent_cycles(works, simulate_works(works, range(len(code)), chip, marks=True))
    for unit in TIMED:
        own = [i for i, work in enumerate(works) if work.instruction.unit is unit]
        assert [spent[i] for i in own] == tile.spent(unit)


@pytest.mark.full
@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
@pytest.mark.parametrize("seed", range(100, 400))
def test_kernel_equals_naive_stepper_at_length(chip: ChipConfig, seed: int) -> None:
    slow, fast = both(chip, seed, 4 + seed % 40)
    assert fast == slow


# Random programs -----------------------------------------------------------------------------


def random_program(rng: Random, chip: ChipConfig, length: int) -> list[Instruction]:
    """Return about `length` pieces of work for all units, with descriptors and semaphores."""
    out: list[Instruction] = [Chain.new(slot=0, half=0, op0=MicroOp.ABS)]
    tokens = dict.fromkeys(range(4), 0)
    consumers: dict[int, Unit] = dict(enumerate((Unit.LD, Unit.ST, Unit.MX, Unit.VX)))
    makers = (_dma, _dma, _array, _dw, _gemv, _vector, _vector, _other)
    for _ in range(length):
        for instruction in rng.choice(makers)(rng, chip):
            if instruction.unit is not Unit.CTL:
                _synchronise(rng, instruction, tokens, consumers)
            out.append(instruction)
        if rng.random() < 0.05:
            body = rng.randint(1, min(len(out), 6))
            if all(i.wait is None and i.signal is None for i in out[-body:]) and not any(
                isinstance(i, Loop) for i in out[-body - 1 :]
            ):
                out.insert(len(out) - body, Loop.new(count=rng.randint(0, 3), body=body))
    return [*_bare_loops(out), Halt.new()]


def _bare_loops(out: list[Instruction]) -> list[Instruction]:
    """Never skip descriptors: a loop of count 0 becomes one of count 1."""
    for instruction in out:
        if isinstance(instruction, Loop):
            instruction.values["count"] = max(1, instruction.values["count"])
    return out


def _synchronise(
    rng: Random, instruction: Instruction, tokens: dict[int, int], consumers: dict[int, Unit]
) -> None:
    for semaphore, unit in consumers.items():
        if unit is instruction.unit and tokens[semaphore] and rng.random() < 0.5:
            count = rng.randint(1, tokens[semaphore])
            tokens[semaphore] -= count
            instruction.wait = Sync(semaphore, count)
    if rng.random() < 0.4:
        semaphore, count = rng.randrange(4), rng.randint(1, 3)
        if tokens[semaphore] < 40:
            tokens[semaphore] += count
            instruction.signal = Sync(semaphore, count)


def _dma(rng: Random, chip: ChipConfig) -> list[Instruction]:
    store = rng.random() < 0.5
    unit = Unit.ST if store else Unit.LD
    mode = rng.choice([DmaMode.COPY] * 4 + list(DmaMode))
    run = rng.choice([1, 3, 4, 12, 16, 20, 64, 100, 256])
    ndims = rng.randint(1 if mode is DmaMode.GATHER else 0, 3)
    out: list[Instruction] = []
    extent = run
    for i in range(ndims):
        count = rng.randint(1, 3)
        dense = rng.random() < 0.5
        sp = extent if dense else extent + 4 * rng.randint(0, 9)
        dram = extent if rng.random() < 0.5 else extent + rng.randint(0, 70)
        out.append(Dim.new(unit, dim=i, count=count, dram_stride=dram, sp_stride=sp))
        extent = max(sp, dram) * count
    if mode is DmaMode.SCATTER_BYTES:
        out.append(Dim.new(unit, dim=3, count=1, sp_stride=rng.choice([4, 4, 8, 64, 128, 3, 1])))
    if mode is DmaMode.GATHER:
        out.append(Gidx.new(unit, base=4 * rng.randrange(chip.scratchpad_bytes // 8)))
    kind = St if store else Ld
    sp = rng.randrange(chip.scratchpad_bytes // 2)
    values = {"dram": rng.randrange(1 << 16), "sp": sp, "run": run, "ndims": ndims, "mode": mode}
    return [*out, kind.new(**values)]


def _window(rng: Random, chip: ChipConfig, unit: Unit, idx: int) -> list[Instruction]:
    w, h = rng.randint(1, 14), rng.randint(1, 6)
    pitch = w + rng.choice([0, 0, 1, 3])
    plane = rng.choice([0, h * pitch, h * pitch + 1, chip.columns, 5])
    wina = Wina.new(
        unit, idx=idx, plane=plane, pitch=pitch, h=h, w=w, ow=rng.choice([w, w, rng.randint(1, 9)])
    )
    winb = Winb.new(
        unit, idx=idx, sy=rng.randint(0, 2), sx=rng.choice([0, 1, 1, 1, 2, 4]),
        dy=rng.randint(0, 2), dx=rng.randint(0, 2), py=rng.randint(-1, 1), px=rng.randint(-1, 2),
        kh=rng.randint(1, 3), kw=rng.randint(1, 5),
    )  # fmt: skip
    return [wina, winb]


def _word(rng: Random, chip: ChipConfig) -> int:
    """Return a word, often in a bank of its own or at the end of one."""
    bank = rng.randrange(chip.banks - 1)
    near_end = rng.random() < 0.3
    offset = chip.bank_words - rng.randint(1, 40) if near_end else rng.randrange(64)
    return bank * chip.bank_words + offset


def _array(rng: Random, chip: ChipConfig) -> list[Instruction]:
    w4 = rng.random() < 0.3
    if rng.random() < 0.4:
        m = rng.randint(1, 3 * chip.mu)
        strides = Gstr.new(
            a_plane=rng.choice([m, m + 1, chip.columns, 0]), b_kstride=rng.choice([chip.nu, 3]),
            b_nstride=rng.choice([chip.nu * 4, 7]), acc_stride=1,
        )  # fmt: skip
        gemm = Gemm.new(
            a=_word(rng, chip), m=m, steps=rng.randint(1, 9), b=_word(rng, chip),
            n_tiles=rng.randint(1, 3), w4=w4,
        )  # fmt: skip
        return [strides, gemm]
    conv = Conv.new(
        a=_word(rng, chip), win=1, p=rng.randint(1, 3 * chip.mu + 1), groups=rng.randint(1, 4),
        b=_word(rng, chip), n_tiles=rng.randint(1, 2), w4=w4,
    )  # fmt: skip
    return [*_window(rng, chip, Unit.MX, 1), conv]


def _dw(rng: Random, chip: ChipConfig) -> list[Instruction]:
    dw = Dw.new(
        a=_word(rng, chip), win=2, p=rng.randint(1, 2 * chip.mu + 1), tiles=rng.randint(1, 2)
    )
    lines = Ldw.new(b=_word(rng, chip), lines=rng.randint(1, 6))
    return [lines, *_window(rng, chip, Unit.MX, 2), dw]


def _gemv(rng: Random, chip: ChipConfig) -> list[Instruction]:
    return [
        Gemv.new(
            b=_word(rng, chip),
            steps=rng.randint(1, 9),
            n_tiles=rng.randint(1, 5),
            w4=rng.random() < 0.3,
        )
    ]


def _vector(rng: Random, chip: ChipConfig) -> list[Instruction]:
    out: list[Instruction] = []
    reduce = rng.choice([Reduce.NONE, Reduce.NONE, *Reduce])
    uses = rng.randrange(32) | (1 if reduce is Reduce.WINDOW else 0)
    types = [DType.I8, DType.I16, DType.I32, DType.F32, DType.BF16]
    for idx in (0, 1, 2, 3):
        out += _window(rng, chip, Unit.VX, idx)
        dtype = rng.choice(types)
        if idx == 0 and reduce is not Reduce.WINDOW and rng.random() < 0.4:
            dtype = DType.ACC
        if idx == 3:
            dtype = DType.F32 if rng.random() < 0.5 else DType.BF16
        out.append(Strm.new(idx=idx, base=_word(rng, chip), dtype=dtype))
    out.append(Strm.new(idx=4, base=_word(rng, chip)))
    out += _chain(rng)
    out.append(Red.new(reduce=reduce, channels=4, redop=rng.choice([RedOp.SUM, RedOp.MAX])))
    vrun = Vrun.new(
        in0=_word(rng, chip), in1=_word(rng, chip), out=_word(rng, chip),
        p=rng.randint(1, 4 * chip.beat_pixels + 1), groups=rng.randint(1, 4), slot=0, uses=uses,
    )  # fmt: skip
    return [*out, vrun]


def _chain(rng: Random) -> list[Instruction]:
    """Return a chain of 0 to 10 micro-ops, often with functions, often with RED inside."""
    micros = [
        rng.choice([MicroOp.ABS, MicroOp.NEG, MicroOp.EXP2]) for _ in range(rng.randint(0, 9))
    ]
    if rng.random() < 0.5:
        micros.insert(rng.randint(0, len(micros)), MicroOp.RED)
    micros += [MicroOp.END] * (10 - len(micros))
    out: list[Instruction] = []
    for half in range(2 if micros[5] is not MicroOp.END else 1):
        ops = {f"op{i}": int(micros[5 * half + i]) for i in range(5)}
        out.append(Chain.new(None, wait=None, signal=None, slot=0, half=half, **ops))
    return out


def _other(rng: Random, chip: ChipConfig) -> list[Instruction]:
    unit = rng.choice([Unit.LD, Unit.ST, Unit.MX, Unit.VX])
    return [
        rng.choice(
            [
                Sig.new(unit),
                Wait.new(unit),
                Nop.new(),
                Fence.new(),
                Ldt.new(base=_word(rng, chip), slot=0, kind=rng.random() < 0.2),
            ]
        )
    ]
