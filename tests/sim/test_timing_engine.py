"""TimingEngine on whole programs: runs, reports, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from jiriki.chip import load_chip
from jiriki.program import Program, ProgramError
from jiriki.sim.errors import SimError
from jiriki.sim.timing import TimingEngine

NANO = load_chip("nano")
CODE = """
WINA.MX idx=0 plane=8 pitch=8 h=1 w=8 ow=8
WINB.MX idx=0 sy=1 sx=1 dy=1 dx=1 kh=1 kw=1
WINA.VX idx=0 plane=4 pitch=0 h=1 w=1 ow=1
STRM.VX idx=0 dtype=ACC
WINA.VX idx=3 plane=8 pitch=8 h=1 w=8 ow=8
WINB.VX idx=3 sx=1 kh=1 kw=1
STRM.VX idx=3 dtype=I8
STRM.VX idx=4 base=32
QPAR.VX zero_point=3 lo=-128 hi=127
CHAIN.VX op0=IADD src0=PB op1=I2F op2=FMUL src2=PS
LD.LD sp=0 dram=0 run=192 signal=0:1
CONV.MX p=8 groups=2 b=16 n_tiles=2 acc_stride=4 wait=0:1 signal=1:1
VRUN.VX in0=0 out=48 p=8 groups=2 uses=25 wait=1:1 signal=2:1
ST.ST sp=192 dram=192 run=64 wait=2:1
HALT.CTL
"""


def test_program_gives_cycles_traffic_and_events(make_program: Callable[[str], Program]) -> None:
    program = make_program(CODE)
    run = TimingEngine(NANO).run(program, events=True)
    by_index = {event.index: event for event in run.events}
    load, conv, vrun, store = (by_index[i] for i in (10, 11, 12, 13))
    # 192 bytes: 3 bursts, 12 beats, a beat a cycle after the latency.
    assert load.end - load.start == 100 + 12
    # 2 n tiles x 2 pixel tiles x 2 steps, drain 2, latency 8; A and B share a bank and columns.
    assert conv.start == load.end + 1
    assert vrun.start == conv.end + 1
    # 2 groups x (parameters + 4 beats of 2 pixels), the last written 32 later; the stages AAF take
    # the chain of three in two passes of 10 cycles.
    assert vrun.end - vrun.start == 9 + 32 + 10
    # 64 bytes: read in 4 cycles, sent in 4.
    assert store.end - store.start == 7
    assert run.cycles == store.end + 2
    fetched = 16 * len(program.instructions)
    assert (run.dram_read_bytes, run.dram_write_bytes) == (192 + fetched, 64)
    assert (run.engine, run.program_hash, run.outputs) == ("timing", program.content_hash(), None)


def test_counters_account_for_every_cycle(make_program: Callable[[str], Program]) -> None:
    run = TimingEngine(NANO).run(make_program(CODE))
    assert set(run.units) == {"LD", "ST", "MX", "VX"}
    assert {c.busy + c.starved + c.blocked for c in run.units.values()} == {run.cycles}


def test_layer_spans_its_matrix_and_vector_work(make_program: Callable[[str], Program]) -> None:
    run = TimingEngine(NANO).run(make_program(CODE), events=True)
    by_index = {event.index: event for event in run.events}
    assert run.layer_cycles == {"conv": by_index[12].end - by_index[11].start + 1}


def test_two_runs_are_equal(make_program: Callable[[str], Program]) -> None:
    engine, program = TimingEngine(NANO), make_program(CODE)
    first, second = (replace(engine.run(program, events=True), wall_s=0.0) for _ in range(2))
    assert first == second


def test_deadlock_names_what_each_queue_waits_for(make_program: Callable[[str], Program]) -> None:
    program = make_program("LD.LD run=64\nWAIT.MX wait=3:2\nSIG.MX signal=3:2\nHALT.CTL")
    with pytest.raises(SimError, match=r"MX at instruction 1 waits on semaphore 3 for 2"):
        TimingEngine(NANO).run(program)


def test_semaphore_overflow_is_refused(make_program: Callable[[str], Program]) -> None:
    program = make_program("LOOP.CTL count=86 body=1\nSIG.MX signal=3:3\nHALT.CTL")
    with pytest.raises(SimError, match=r"instruction 1.*semaphore 3 beyond 255"):
        TimingEngine(NANO).run(program)


def test_program_of_another_chip_is_refused(make_program: Callable[[str], Program]) -> None:
    with pytest.raises(ProgramError, match="compile it for this chip"):
        TimingEngine(load_chip("e256")).run(make_program("HALT.CTL"))


def test_chip_with_too_many_columns_is_refused() -> None:
    wide = replace(NANO, columns=128, banks=1)
    with pytest.raises(SimError, match="columns = 128 exceeds 64"):
        TimingEngine(wide)
