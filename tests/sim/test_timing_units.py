"""Cycle counts worked out by hand from docs/reference/timing.md, one unit or one pair at a time.

The chip is e256 with a DRAM latency of 100. An instruction at place i of a short program is sent in
cycle 101 + i: its word is fetched from cycle 0 on, and beat i arrives in cycle 100 + i. It can
start 4 cycles later.
"""

from __future__ import annotations

from typing import Any

import pytest

from jiriki.chip import load_chip
from jiriki.isa.control import Fence, Halt, Loop, Nop, Sig
from jiriki.isa.dma.instructions import Dim, Ld, St
from jiriki.isa.fields import Instruction, Sync, Unit
from jiriki.isa.matrix.instructions import Conv, Dw, Gemm, Gemv, Gstr, Ldw
from jiriki.isa.operations import ideal_cycles
from jiriki.isa.resolve import resolve
from jiriki.isa.sequence import unroll_instructions
from jiriki.isa.vector.instructions import Chain, Ldt, Red, Strm, Vrun
from jiriki.isa.windows import Wina, Winb
from jiriki.isa.words import DmaMode, DType, MicroOp, Reduce
from jiriki.program import UnitCounters
from jiriki.sim.timing import layout as at
from jiriki.sim.timing.engine import TIMED, counters_of, simulate_works

CHIP = load_chip("e256")
BANK = CHIP.bank_words  # words of a bank
SENT = 101  # cycle in which instruction 0 is sent
FIRST = SENT + 4  # and that in which it can start
PASS = 19  # cycles of a pass through the stages AAAAFA: 5 of 3 and one of 4
Life = tuple[int, int, int]


def run(*code: Instruction) -> tuple[list[Life], dict[str, UnitCounters], int]:
    """Return issue, start and end of each dynamic instruction, counters by unit, cycles."""
    works = resolve(unroll_instructions([*code, Halt.new()]))
    memory = simulate_works(works, range(len(code) + 1), CHIP)
    records = memory.records[:, [at.R_ISSUE, at.R_START, at.R_END]].tolist()
    counters = {unit.name: counters_of(memory, unit) for unit in TIMED}
    return [tuple(r) for r in records], counters, int(memory.m[at.CLOCK])


def lines(w: int, unit: Unit = Unit.MX, idx: int = 0, **steps: int) -> list[Instruction]:
    """Set a window over one row of w pixels, in planes of w."""
    values: dict[str, Any] = {"sy": 1, "sx": 1, "dy": 1, "dx": 1, "kh": 1, "kw": 1} | steps
    plane = values.pop("plane", w)
    ow = values.pop("ow", w)
    wina = Wina.new(unit, idx=idx, plane=plane, pitch=w, h=1, w=w, ow=ow)
    return [wina, Winb.new(unit, idx=idx, **values)]


def test_halt_alone_waits_for_its_word() -> None:
    lives, _, cycles = run()
    assert (lives[-1], cycles) == ((SENT, SENT, SENT), SENT + 1)


def test_loop_of_few_instructions_runs_from_the_buffer_one_a_cycle() -> None:
    lives, _, _ = run(Loop.new(count=10, body=2), Nop.new(), Nop.new())
    assert [issue for issue, _, _ in lives] == list(range(SENT, SENT + 22))


def test_loop_beyond_the_buffer_is_fetched_again() -> None:
    lives, _, _ = run(Loop.new(count=2, body=80), *[Nop.new()] * 80)
    first, second = lives[1][0], lives[81][0]
    assert second - first > 80 + 100


# DMA -----------------------------------------------------------------------------------------


def test_load_of_one_burst() -> None:
    # Granted as it starts (105); beats arrive 205..208; written 206..209.
    lives, counters, _ = run(Ld.new(dram=0, sp=0, run=64))
    assert lives[0] == (SENT, FIRST, FIRST + 104)
    assert counters["LD"].busy == 1 + 4


def test_load_that_straddles_a_block_takes_two_bursts() -> None:
    # 48..63 and 64..79: one beat each, granted 105 and 106, written 206 and 207.
    lives, _, _ = run(Ld.new(dram=48, sp=0, run=32))
    assert lives[0][2] == FIRST + 102


def test_rows_contiguous_in_dram_are_one_run() -> None:
    # 16 rows of 4 bytes: one burst; each row is a chunk of its own in the scratchpad.
    lives, _, _ = run(
        Dim.new(dim=0, count=16, dram_stride=4, sp_stride=8), Ld.new(dram=0, sp=0, run=4, ndims=1)
    )
    start = lives[1][1]
    # Rows 0..3 arrive in start + 100 and are written from the next cycle on, one a cycle.
    assert lives[1][2] == start + 101 + 15


def test_fill_writes_a_beat_a_cycle_without_dram() -> None:
    lives, counters, _ = run(Ld.new(dram=0, sp=0, run=1600, mode=DmaMode.FILL))
    assert lives[0][2] - lives[0][1] == 99
    assert counters["LD"].busy == 100


@pytest.mark.parametrize("stride", [1, 3, 4])
def test_scatter_moves_eight_bytes_a_cycle(stride: int) -> None:
    lives, _, _ = run(
        Dim.new(dim=3, count=1, sp_stride=stride),
        Ld.new(dram=0, sp=0, run=64, mode=DmaMode.SCATTER_BYTES),
    )
    start = lives[1][1]
    assert lives[1][2] == start + 101 + 7


def test_store_reads_a_burst_then_sends_it() -> None:
    # Read 105..108, sent 109..112.
    lives, _, _ = run(St.new(dram=0, sp=0, run=64))
    assert lives[0] == (SENT, FIRST, FIRST + 7)


def test_copy_reaches_the_dram_bandwidth() -> None:
    size = 1 << 15
    code = [Ld.new(dram=i * size, sp=0, run=size) for i in range(8)]
    _, _, cycles = run(*code)
    assert 8 * size / cycles >= 0.97 * CHIP.dram_bytes_per_cycle


def test_loads_and_stores_share_the_port_in_turn() -> None:
    size = 1 << 13
    lives, _, _ = run(
        Ld.new(dram=0, sp=0, run=size), St.new(dram=1 << 20, sp=4 * 4 * BANK, run=size)
    )
    spans = [end - start for _, start, end in lives[:2]]
    alone = size // CHIP.dram_bytes_per_cycle
    assert all(2 * alone - 8 <= span <= 2 * alone + 120 for span in spans)


# MX ------------------------------------------------------------------------------------------


def gemm(**values: int) -> list[Instruction]:
    strides = Gstr.new(a_plane=64, b_kstride=8, b_nstride=128, acc_stride=4)
    sizes: dict[str, Any] = {"a": 0, "m": 8, "steps": 16, "b": BANK, "n_tiles": 1} | values
    return [strides, Gemm.new(**sizes)]


def test_gemm_takes_a_cycle_a_step() -> None:
    # 2 row tiles x 3 column tiles x 16 steps; then drain 4 and latency 8.
    lives, counters, _ = run(*gemm(m=16, n_tiles=3))
    assert lives[1] == (SENT + 1, FIRST + 1, FIRST + 1 + 95 + 4 + 8)
    assert (counters["MX"].busy, counters["MX"].blocked) == (96 + 1, 0)


def test_short_tiles_wait_for_the_drain() -> None:
    # One step a tile, drain 4: tiles end 0, 4, 8 after the start.
    lives, counters, _ = run(*gemm(m=24, steps=1))
    assert lives[1][2] - lives[1][1] == 8 + 4 + 8
    assert counters["MX"].reasons["drain"] == 6


def test_operands_in_the_same_columns_take_two_cycles() -> None:
    # A at words 0..7 of step s plus 32 s, B at words 32 s plus 64 * 16: all in columns 0..7.
    strides = Gstr.new(a_plane=32, b_kstride=32, b_nstride=0, acc_stride=4)
    same = Gemm.new(a=0, m=8, steps=16, b=1024, n_tiles=1)
    lives, counters, _ = run(strides, same)
    assert counters["MX"].reasons["bank"] == 16
    assert lives[1][2] - lives[1][1] == 31 + 12


def test_gather_of_words_in_two_columns_takes_a_cycle_for_each_four() -> None:
    # Stride 16 words: the 8 pixels of a tile lie in two of the 32 columns.
    code = [*lines(256, sx=16, ow=8), Conv.new(win=0, p=8, groups=1, b=BANK, n_tiles=1)]
    lives, counters, _ = run(*code)
    assert lives[2][2] - lives[2][1] == 3 + 12
    assert counters["MX"].reasons["bank"] == 3


def test_convolution_reads_nothing_in_the_padding() -> None:
    # Rows of 8 pixels, 3 taps along x, padding 1: 3 steps a tile, none slower.
    lives, counters, _ = run(
        *lines(8, kw=3, px=1), Conv.new(a=0, win=0, p=8, groups=4, b=BANK, n_tiles=1)
    )
    assert lives[2][2] - lives[2][1] == 11 + 12
    assert counters["MX"].blocked == 0


def test_depthwise_reads_two_groups_a_cycle_when_columns_differ() -> None:
    # 8 pixels x 3 taps are 10 words; planes of 16 put the second group in other columns.
    code = [*lines(16, kw=3, ow=8), Ldw.new(b=BANK, lines=1), Dw.new(a=0, win=0, p=8, tiles=4)]
    lives, counters, _ = run(*code)
    assert counters["MX"].reasons.get("bank", 0) == 0
    # 4 tiles of one step; each waits for the drain of 4 before it.
    assert lives[3][2] - lives[3][1] == 12 + 12


def test_depthwise_groups_in_the_same_columns_take_turns() -> None:
    code = [*lines(16, kw=3, plane=32, ow=8), Dw.new(a=0, win=0, p=8, tiles=1)]
    lives, counters, _ = run(*code)
    assert counters["MX"].reasons["bank"] == 1
    assert lives[2][2] - lives[2][1] == 1 + 12


def test_gemv_reads_two_lines_a_cycle() -> None:
    # Pairs of tiles 8 * 5 = 40 words apart: columns 0..7 and 8..15.
    lives, counters, _ = run(Gemv.new(b=0, steps=5, n_tiles=4, acc_stride=1))
    assert lives[0][2] - lives[0][1] == 9 + 4 + 8
    assert counters["MX"].reasons.get("bank", 0) == 0


def test_gemv_lines_in_the_same_columns_take_two_cycles() -> None:
    lives, _, _ = run(Gemv.new(b=0, steps=4, n_tiles=2, acc_stride=1))
    assert lives[0][2] - lives[0][1] == 7 + 4 + 8


def test_next_instruction_follows_without_a_gap() -> None:
    lives, _, _ = run(*gemm(), gemm()[1])
    assert lives[2][1] - lives[1][1] == 16


# VX ------------------------------------------------------------------------------------------


def stream(idx: int, base: int, dtype: DType, w: int = 64) -> list[Instruction]:
    window = lines(w, Unit.VX, idx)
    return [*window, Strm.new(idx=idx, base=base, dtype=dtype)]


CHAIN = Chain.new(op0=MicroOp.ABS)


def vrun(*setup: Instruction, **values: int) -> tuple[Life, dict[str, UnitCounters]]:
    """Run one VRUN; return its life and the counters."""
    sizes: dict[str, Any] = {"in0": 0, "out": 4 * BANK, "p": 32, "groups": 2, "uses": 9} | values
    vrun_ = Vrun.new(**sizes)
    lives, counters, _ = run(CHAIN, *setup, vrun_)
    return lives[-2], counters


COPY = [*stream(0, 0, DType.I8), *stream(3, 0, DType.F32)]


def test_vrun_takes_a_cycle_a_beat() -> None:
    # 2 groups x 8 beats; the last is written 32 cycles after it was read.
    (_, start, end), counters = vrun(*COPY)
    assert end - start == 15 + 32
    assert counters["VX"].blocked == 0


def test_parameters_take_a_cycle_a_group() -> None:
    (_, start, end), _ = vrun(*COPY, Strm.new(idx=4, base=BANK), uses=25)
    assert end - start == 15 + 2 + 32


def test_streams_in_the_same_columns_take_turns() -> None:
    # in0 and in1 are the same words' columns in one bank.
    (_, start, end), counters = vrun(*COPY, *stream(1, 0, DType.I8), in1=1024, uses=11)
    assert end - start == 31 + 32
    assert counters["VX"].reasons["bank"] == 16


def test_window_reduction_takes_a_beat_a_tap() -> None:
    code = [*lines(64, Unit.VX, 0, kw=3), COPY[2], *COPY[3:]]
    # A step of a sum takes 3 cycles; one round more goes through the reduction.
    (_, start, end), _ = vrun(*code, Red.new(reduce=Reduce.WINDOW), groups=1)
    assert end - start == 3 * 8 * 3 - 1 + 32 + PASS


def test_reduction_over_pixels_halves_once_a_group() -> None:
    # 8 beats and 2 halvings (4 pixels a beat) of 3 cycles, twice.
    (_, start, end), _ = vrun(*COPY, Red.new(reduce=Reduce.PIXELS))
    assert end - start == 3 * 2 * (8 + 2) - 1 + 32 + PASS


def test_reduction_over_channels_halves_once_a_pixel_beat() -> None:
    (_, start, end), _ = vrun(*COPY, Red.new(reduce=Reduce.CHANNELS, channels=8))
    assert end - start == 3 * 8 * (2 + 2) - 1 + 32 + PASS


def test_table_is_read_a_line_a_cycle() -> None:
    lives, _, _ = run(Ldt.new(base=0, slot=0))
    assert lives[0][2] - lives[0][1] == 3 + 32


def test_matrix_unit_goes_first_at_a_column() -> None:
    # MX reads columns 0..7 of bank 0 (A) and bank 1 (B) in each of 64 cycles; VX wants columns
    # 0..3 of bank 0 and is served when MX is done.
    strides = Gstr.new(a_plane=32, b_kstride=8, b_nstride=0, acc_stride=4)
    same = Gemm.new(a=0, m=8, steps=64, b=BANK, n_tiles=1, signal=Sync(0, 1))
    vector = Vrun.new(in0=0, out=4 * BANK, p=4, groups=1, uses=9)
    lives, counters, _ = run(CHAIN, *COPY, strides, same, vector)
    mx_last = lives[-3][2] - 12
    assert lives[-2][2] == mx_last + 1 + 32
    assert counters["VX"].reasons["bank"] > 50


# Pairs ---------------------------------------------------------------------------------------


def test_consumer_starts_the_cycle_after_its_producer_ends() -> None:
    load = Ld.new(dram=0, sp=0, run=4096, signal=Sync(0, 1))
    strides, product = gemm()
    product.wait, product.signal = Sync(0, 1), Sync(1, 1)
    store = St.new(dram=0, sp=0, run=64, wait=Sync(1, 1))
    lives, counters, _ = run(load, strides, product, store)
    assert lives[2][1] == lives[0][2] + 1
    assert lives[3][1] == lives[2][2] + 1
    assert counters["MX"].reasons["semaphore"] == lives[2][1] - lives[1][1] - 1


def test_second_signal_of_a_cycle_comes_the_cycle_after() -> None:
    load = Ld.new(dram=0, sp=0, run=64)
    sig = Sig.new(Unit.LD, signal=Sync(0, 1))
    lives, _, _ = run(load, sig, Sig.new(Unit.LD, signal=Sync(0, 1)))
    assert [end - lives[0][2] for _, _, end in lives[1:3]] == [1, 2]


def test_fence_holds_what_follows() -> None:
    lives, _, _ = run(Ld.new(dram=0, sp=0, run=64), Fence.new(), St.new(dram=0, sp=0, run=64))
    assert lives[1][0] == lives[0][2] + 1
    assert lives[2][0] == lives[1][0] + 1


def test_counters_account_for_every_cycle() -> None:
    _, counters, cycles = run(Ld.new(dram=0, sp=0, run=999), *gemm(m=50), St.new(run=300))
    assert {c.busy + c.starved + c.blocked for c in counters.values()} == {cycles}
    assert all(sum(c.reasons.values()) == c.starved + c.blocked for c in counters.values())


@pytest.mark.parametrize(
    "code",
    [
        gemm(m=40, n_tiles=3, steps=3),
        [*lines(64, kw=3), Conv.new(a=0, win=0, p=60, groups=5, b=BANK, n_tiles=2)],
        [Ldw.new(b=0, lines=9)],
        [Gemv.new(b=0, steps=5, n_tiles=5, acc_stride=1)],
        [*lines(16, kw=3, ow=8), Dw.new(a=0, win=0, p=8, tiles=4)],
        [CHAIN, *COPY, Vrun.new(in0=0, out=4 * BANK, p=30, groups=3, slot=0, uses=9)],
        [Ldt.new(base=0, slot=0, kind=1)],
    ],
    ids=["gemm", "conv", "ldw", "gemv", "dw", "vrun", "ldt"],
)
def test_ideal_cycles_are_those_of_an_instruction_alone(code: list[Instruction]) -> None:
    # A one-cycle instruction behind it starts when the front is free again.
    unit = code[-1].unit
    lives, _, _ = run(*code, Sig.new(unit))
    op = resolve(unroll_instructions([*code, Halt.new()]))[-2].op
    assert op is not None
    assert ideal_cycles(op, CHIP) == lives[-2][1] - lives[-3][1]
