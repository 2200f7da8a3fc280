"""One random program on the gates beside both simulators: what differs, and where it shows.

In: a seed; the program's values by the functional simulator and its cycles by the timing
simulator, computed once. Out: the ways in which the gates differ, none when all agree. What agrees
with a memory that is always ready is run again with one that holds handshakes back at random:
cycles are others then, memory must be the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from jiriki.agreement import Verification, compare_runs
from jiriki.chip import ChipConfig, load_chip
from jiriki.program import Program, Run
from jiriki.program.host import read_outputs
from jiriki.program.program import MAIN
from jiriki.rtl.engine import GatesEngine, memory_with_words
from jiriki.rtl.errors import RtlError
from jiriki.rtl.simulate.tile import TileSimulation
from jiriki.sim.functional import FunctionalEngine
from jiriki.sim.timing import TimingEngine
from tests.rtl.pieces import PARAMETERS
from tests.rtl.programs import gates_program

NANO = load_chip("nano")
VALUES = tuple(PARAMETERS.values())
PHASES = 2
RARE = (14124,)  # a seed beyond the usual ones: RED of ARGMAX with both tokens, at its first chance
STALLS = (0.2, 0.5, 0.7)  # share of the cycles in which a slow memory holds a handshake back


@dataclass(frozen=True)
class Expected:
    """A program with its inputs, and what the simulators say of it."""

    program: Program
    chip: ChipConfig
    inputs: Mapping[str, Any]
    functional: Run
    timing: Run


def simulated(program: Program, chip: ChipConfig, inputs: Mapping[str, Any]) -> Expected:
    """Run both simulators; `inputs` hold the host's parameters too."""
    functional = FunctionalEngine(chip).run(program, inputs)
    timing = TimingEngine(chip).run(program, inputs, events=True)
    return Expected(program, chip, inputs, functional, timing)


@cache
def expected(seed: int) -> Expected:
    """Return a random program with its values and cycles."""
    return simulated(gates_program(seed, NANO, PHASES), NANO, PARAMETERS)


def compared(reference: Expected) -> Verification:
    """Run on the gates and compare. Raises RtlError for what hangs or leaves its memory."""
    limit = 3 * (reference.timing.cycles or 0)
    gates = GatesEngine(reference.chip).run(
        reference.program, reference.inputs, events=True, max_cycles=limit
    )
    return compare_runs(reference.program, reference.functional, reference.timing, gates)


def verified(
    program: Program, chip: ChipConfig, inputs: Mapping[str, Any] | None = None
) -> Verification:
    """Run the three engines and compare."""
    return compared(simulated(program, chip, inputs or {}))


def differences(seed: int) -> tuple[str, ...]:
    """Return how the gates differ: memory, cycles, counters, or what ended the run."""
    reference = expected(seed)
    try:
        verification = compared(reference)
    except RtlError as error:
        return ("hangs" if "HALT" in str(error) or "nothing" in str(error) else "beyond memory",)
    except IndexError:  # fewer events than instructions
        return ("instructions lost",)
    out = {
        "memory": verification.differing_elements > 0,
        "cycles": verification.instructions_off > 0
        or verification.timing_cycles != verification.rtl_cycles,
        "counters": bool(verification.counters_off),
    }
    names = tuple(name for name, differs in out.items() if differs)
    return names or slow_differences(reference, seed)


def slow_differences(reference: Expected, seed: int) -> tuple[str, ...]:
    """Return how memory differs at the end when it is slow."""
    try:
        same = agrees_when_slow(reference, STALLS[seed % len(STALLS)], seed)
    except RtlError:
        return ("hangs with slow memory",)
    return () if same else ("memory when slow",)


def agrees_when_slow(reference: Expected, share: float, seed: int) -> bool:
    """Say whether a random program's image is right when memory holds back `share` of the time.

    Raises RtlError when HALT is not reached.
    """
    image = reference.program.image()
    memory, addresses = memory_with_words(reference.program, reference.chip, image)
    with TileSimulation(reference.chip) as tile:
        tile.memory(memory)
        tile.stall(share, seed)
        tile.start(addresses[MAIN], len(reference.program.instructions), VALUES)
        if not tile.advance(30 * (reference.timing.cycles or 0)):
            raise RtlError(f"HALT is not reached with slow memory. {tile.state()}")
    right = reference.functional.outputs
    assert right is not None, "the functional engine computes values"
    return np.array_equal(
        read_outputs(reference.program, reference.chip, memory)["memory"], right["memory"]
    )
