"""LD, ST and the port as one compiled bench, and the plain model of time beside it."""

# pyright: reportAttributeAccessIssue=false

import ctypes
import random
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from jiriki.chip import ChipConfig
from jiriki.isa import Instruction, Unit, Work, resolve
from jiriki.isa.control import Halt
from jiriki.isa.encoding import encode_program
from jiriki.isa.machine import Machine
from jiriki.isa.operations import execute
from jiriki.isa.sequence import Step
from jiriki.rtl.build.verilate import build_library
from jiriki.rtl.dma import PORT_CYCLES, DramPort, LoadUnit, StoreUnit
from jiriki.rtl.interfaces import (
    State,
    fetch_signature,
    line_bits,
    read_signature,
    unit_signature,
    write_signature,
)
from jiriki.rtl.memory.axi import axi4_signature
from jiriki.sim.naive.tile import NaiveTile

STATES = {"busy": State.BUSY, "bank": State.BANK, "dram": State.DRAM, "data": State.DATA}


class Bench(wiring.Component):
    """The three units wired together, everything else outside."""

    def __init__(self, chip: ChipConfig) -> None:
        self.chip = chip
        super().__init__({
            "ld_unit": Out(unit_signature()), "st_unit": Out(unit_signature()),
            "ld_w": Out(write_signature(chip)), "ld_index": Out(read_signature(chip)),
            "st_r": Out(read_signature(chip)), "st_index": Out(read_signature(chip)),
            "fetch": In(fetch_signature(chip)),
            "axi": Out(axi4_signature(32, 8 * chip.dram_bytes_per_cycle)),
            "outstanding": Out(16), "fetch_beats": Out(8), "load_beats": Out(8),
            "store_beats": Out(8),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ld = ld = LoadUnit(self.chip)
        m.submodules.st = st = StoreUnit(self.chip)
        m.submodules.port = port = DramPort(self.chip)
        outside = wiring.flipped
        wiring.connect(m, ld.port, port.load)
        wiring.connect(m, st.port, port.store)
        for mine, theirs in (
            (self.ld_unit, ld.unit), (self.ld_w, ld.w), (self.ld_index, ld.index),
            (self.st_unit, st.unit), (self.st_r, st.r), (self.st_index, st.index),
            (self.fetch, port.fetch), (self.axi, port.axi),
        ):  # fmt: skip
            wiring.connect(m, outside(mine), theirs)
        m.d.comb += [
            self.outstanding.eq(port.outstanding), self.fetch_beats.eq(port.fetch_beats),
            self.load_beats.eq(port.load_beats), self.store_beats.eq(port.store_beats),
        ]  # fmt: skip
        return m


@cache
def library(chip: ChipConfig, *, trace: bool = False) -> ctypes.CDLL:
    """Compile the bench of a chip."""
    defines = {
        "COLUMNS": chip.columns, "KU": chip.ku, "LINE_BITS": line_bits(chip),
        "BANK_WORDS": chip.bank_words, "SP_BYTES": chip.scratchpad_bytes,
        "BEAT": chip.dram_bytes_per_cycle, "LATENCY": chip.dram_latency_cycles - PORT_CYCLES,
        "DEPTH": chip.queue_depth, "BURST": chip.dram_burst_bytes,
    }  # fmt: skip
    source = Path(__file__).with_name("bench.cpp")
    path = build_library(Bench(chip), "dma", [source], defines=defines, trace=trace, optimise="-O1")
    bench = ctypes.CDLL(str(path))
    bench.bench_run.restype = ctypes.c_int64
    return bench


@dataclass
class Trial:
    """Instructions of both queues in program order, memories, and what the world does when."""

    chip: ChipConfig
    instructions: list[Instruction]
    sp: NDArray[np.uint8]
    dram: NDArray[np.uint8]
    seed: int
    gaps: float = 0.0  # share of cycles in which nothing is sent
    refusals: float = 0.0  # share in which no scratchpad read is granted
    fetches: float = 0.0  # share in which instruction fetch wants the port
    limit: int = 60_000
    works: list[Work] = field(init=False)

    def __post_init__(self) -> None:
        halted = [*self.instructions, Halt.new()]
        self.works = resolve(Step(i, instruction) for i, instruction in enumerate(halted))
        rng = np.random.default_rng(self.seed)
        self.refuse = (rng.random(self.limit) < self.refusals).astype(np.uint8)
        self.fetch = (rng.random(self.limit) < self.fetches).astype(np.uint8)
        self.send = rng.random(self.limit) >= self.gaps

    def meaning(self) -> Machine:
        """Execute the instructions one by one."""
        machine = Machine(self.chip, self.dram.copy())
        machine.sp[:] = self.sp
        for work in self.works:
            if work.op is not None:
                execute(work.op, machine)
        return machine


class Plain(NaiveTile):
    """The naive stepper with a schedule of sending, refusals and fetches."""

    def __init__(self, trial: Trial) -> None:
        super().__init__(trial.works, 0, trial.chip)
        self.trial = trial
        self.log: dict[Unit, list[int]] = {Unit.LD: [], Unit.ST: []}
        cells = [(b, c) for b in range(trial.chip.banks) for c in range(trial.chip.columns)]
        self.everything = set(cells)

    def count(self, unit: Unit, reason: str) -> None:
        if unit in self.log:
            self.log[unit].append(STATES.get(reason, State.IDLE))

    def _sequence(self) -> None:
        self.fetched = {self.items[self.next].work.index: -1}
        self.fetch_next = self.next
        if self.trial.send[self.t]:
            super()._sequence()

    def _fetch(self) -> bool:
        if not self.trial.fetch[self.t]:
            return False
        self.beats["fetch"] += self.take_port(0, self.chip.dram_burst_bytes)
        return True

    def grant(self, level: frozenset[tuple[int, int]], taken: set[tuple[int, int]]) -> bool:
        if self.trial.refuse[self.t] and taken is self.reads and level:
            return False
        return super().grant(level, taken)


@dataclass
class Result:
    """What the gates did."""

    cycles: int
    start: dict[Unit, list[int]]
    own: dict[Unit, list[int]]
    states: dict[Unit, list[int]]
    sp: NDArray[np.uint8]
    dram: NDArray[np.uint8]
    beats: list[int]


def run_gates(trial: Trial, issue: dict[Unit, list[int]], stall: int = 0, *, trace: bool = False):
    """Run the compiled bench; a stall other than 0 seeds random waits on every AXI channel."""
    queues = {u: [i for i in trial.instructions if i.unit is u] for u in (Unit.LD, Unit.ST)}
    arrays: list[NDArray] = []

    def at(array: NDArray) -> ctypes.c_void_p:
        arrays.append(array)
        return ctypes.c_void_p(array.ctypes.data)

    sp, dram = trial.sp.copy(), trial.dram.copy()
    out = {u: (np.full(len(q), -1), np.full(len(q), -1)) for u, q in queues.items()}
    states = {u: np.zeros(trial.limit, np.uint8) for u in queues}
    beats, arguments = np.zeros(3, np.uint64), []
    for u, queue in queues.items():
        words = encode_program(queue) if queue else np.zeros((0, 2), np.uint64)
        arguments += [at(words), at(np.array(issue[u], np.int64)), ctypes.c_int64(len(queue))]
    lives = [at(a) for u in queues for a in out[u]]
    cycles = library(trial.chip, trace=trace).bench_run(
        at(sp), at(dram), ctypes.c_uint64(dram.size), *arguments, *lives, at(trial.refuse),
        at(trial.fetch), at(states[Unit.LD]), at(states[Unit.ST]), ctypes.c_int64(trial.limit),
        ctypes.c_uint32(stall), at(beats),
    )  # fmt: skip
    return Result(
        cycles,
        {u: out[u][0].tolist() for u in out},
        {u: out[u][1].tolist() for u in out},
        {u: states[u][:cycles].tolist() for u in out},
        sp, dram, beats.tolist(),
    )  # fmt: skip


def small(chip: ChipConfig, **changes: int) -> ChipConfig:
    """Return the chip with other sizes."""
    return replace(chip, name=f"{chip.name}-x", **changes)


def rng_of(seed: int) -> random.Random:
    """Return a generator whose seed is printed when a test fails."""
    print(f"seed {seed}")
    return random.Random(seed)
