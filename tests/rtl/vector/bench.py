"""VX by itself: random programs of its instructions, the gates in a bench, what to expect of them.

In: a chip and a seed. Out: a `Case` (scratchpad image, instructions, when each is sent and may
start, in which cycles a port is refused), what the gates make of it, and what the meanings of the
ISA and the rules of time say. Results go to the upper quarter of the scratchpad, which no stream
reads, because VRUNs are not ordered through the scratchpad.
"""

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jiriki.chip import ChipConfig
from jiriki.isa.encoding import encode_program
from jiriki.isa.fields import Instruction
from jiriki.isa.machine import Machine
from jiriki.isa.operations import execute
from jiriki.isa.resolve import Work, resolve
from jiriki.isa.sequence import Step
from jiriki.rtl.build.verilate import build_library
from jiriki.rtl.interfaces import line_bits
from jiriki.rtl.vector.unit import VectorUnit
from tests.rtl.vector.model import Model, Times

LIMIT = 100_000


@dataclass
class Case:
    """A program of VX instructions and how it is driven."""

    chip: ChipConfig
    sp: NDArray[np.uint8]
    acc: NDArray[np.int32]
    instructions: list[Instruction]
    sent: NDArray[np.int64]
    gate: NDArray[np.int64]
    refuse: NDArray[np.uint8]  # of each cycle: bits 0, 1, 2 the read ports, bit 3 the write port

    def works(self) -> list[Work]:
        return resolve([Step(i, ins) for i, ins in enumerate(self.instructions)])


@dataclass
class Outcome:
    """Cycles and the scratchpad at the end."""

    times: Times
    sp: NDArray[np.uint8]


@cache
def library(chip: ChipConfig) -> ctypes.CDLL:
    """Build the gates of a chip's vector unit with the bench around them."""
    path = build_library(
        VectorUnit(chip),
        f"vector-{chip.name}",
        [Path(__file__).with_name("bench.cpp")],
        optimise="-O1",
        defines={
            "COLUMNS": chip.columns,
            "WORD_BYTES": chip.ku,
            "LINE_BITS": line_bits(chip),
            "BANK_WORDS": chip.bank_words,
            "LANES": chip.vx_lanes,
            "CONTEXTS": chip.vx_contexts,
        },
    )
    loaded = ctypes.CDLL(str(path))
    loaded.run.restype = ctypes.c_int64
    return loaded


def run_gates(case: Case) -> Outcome:
    """Run a case on the gates."""
    n = len(case.instructions)
    sp, words = case.sp.copy(), encode_program(case.instructions)
    start, done = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    state = np.zeros(LIMIT, np.uint8)
    inputs = (sp, case.acc, words)
    timing = (case.sent, case.gate, case.refuse)
    pointer = ctypes.c_void_p
    ended = library(case.chip).run(
        *(a.ctypes.data_as(pointer) for a in inputs), ctypes.c_int64(n),
        *(a.ctypes.data_as(pointer) for a in timing), ctypes.c_int64(LIMIT),
        *(a.ctypes.data_as(pointer) for a in (start, done, state)),
    )  # fmt: skip
    return Outcome(Times(start.tolist(), done[:ended].tolist(), state.tolist()), sp)


def expect(case: Case, cycles: int) -> Outcome:
    """Say what must come: values by the ISA's meanings, cycles by the rules."""
    machine = Machine(case.chip, np.zeros(16, np.uint8))
    machine.sp[:] = case.sp
    machine.acc[:] = case.acc
    works = case.works()
    for work in works:
        if work.op is not None:
            execute(work.op, machine)
    timing = [a.tolist() for a in (case.sent, case.gate, case.refuse)]
    return Outcome(Model(case.chip, works, *timing).run(cycles), machine.sp)
