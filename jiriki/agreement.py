"""Three engines on one Program, side by side: values element by element, cycles by instruction.

In: a Program and inputs to run it on; or the Runs of the functional simulator (values), the timing
simulator (cycles) and the gates (both), with events. Out: a `Verification`: what differs, and the
first place where it does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from jiriki.chip import ChipConfig
from jiriki.errors import JirikiError
from jiriki.isa.assembly import format_instruction
from jiriki.numerics.accuracy import Accuracy, Outputs, output_accuracy
from jiriki.program import Engine, Event, Program, Run
from jiriki.program.host import Inputs
from jiriki.program.layer_names import with_layer_names
from jiriki.sim.functional import FunctionalEngine
from jiriki.sim.timing import TimingEngine

PATIENCE = 4  # times the predicted cycles: gates that take longer do not end
WINDOW_BEFORE, WINDOW_AFTER = 200, 100  # cycles of waveform around a difference


class VerifyError(JirikiError):
    """Runs that lack what is to be compared."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first instruction whose life is not the predicted one."""

    index: int  # position in the program
    text: str  # in assembly
    layer: str
    predicted: tuple[int, int, int]  # cycles of issue, start, end by the timing simulator
    actual: tuple[int, int, int]  # on the gates

    @property
    def window(self) -> tuple[int, int]:
        """Return the cycles of the waveform to look at: first, end."""
        at = min(*self.predicted, *self.actual)
        return max(0, at - WINDOW_BEFORE), max(*self.predicted, *self.actual) + WINDOW_AFTER


@dataclass(frozen=True, slots=True)
class Wrong:
    """The first element of an output that is not the functional simulator's."""

    output: str
    place: tuple[int, ...]
    expected: float
    actual: float


@dataclass(frozen=True, slots=True)
class Verification:
    """What a comparison of the functional simulator, the timing simulator and the gates says."""

    elements: int  # of all outputs
    differing_elements: int  # whose bits on the gates are not the functional simulator's
    wrong: Wrong | None  # the first of them
    timing_cycles: int  # predicted
    rtl_cycles: int  # of the gates
    instructions: int  # executed
    instructions_off: int  # issue, start or end in another cycle than predicted
    first_off: Difference | None  # the first of them
    counters_off: tuple[str, ...]  # "UNIT reason: predicted n, found m"
    accuracy: Mapping[str, Accuracy] = field(default_factory=dict)  # of outputs against float

    def __repr__(self) -> str:
        """Return one line: what agrees, or how much does not."""
        if self.agrees:
            return (
                f"<Verification agrees: {self.elements:,} elements, {self.rtl_cycles:,} cycles, "
                f"{self.instructions:,} instructions>"
            )
        return (
            f"<Verification differs: {self.differing_elements:,} of {self.elements:,} elements, "
            f"{self.rtl_cycles:,} cycles for {self.timing_cycles:,}, {self.instructions_off:,} of "
            f"{self.instructions:,} instructions, {len(self.counters_off)} counters>"
        )

    @property
    def agrees(self) -> bool:
        """Tell that every element and every cycle is as it should be."""
        return not (
            self.differing_elements
            or self.instructions_off
            or self.counters_off
            or self.timing_cycles != self.rtl_cycles
        )


def run_engines(
    program: Program,
    chip: ChipConfig,
    inputs: Inputs,
    exact: Outputs | None = None,
    *,
    entry: str | None = None,
) -> Verification:
    """Run the two simulators and the gates on the same inputs, and compare.

    exact: outputs of the float model, for `Verification.accuracy`.
    Needs the packages of the extra `rtl`; the first use of a chip compiles its gates. Raises
    ProgramError for inputs that are not the program's, RtlError for gates that do not end.
    """
    from jiriki.rtl.engine import GatesEngine
    from jiriki.rtl.simulate.tile import QUIET_CYCLES

    functional = run_with_states(FunctionalEngine(chip), program, inputs, entry=entry)
    timing = TimingEngine(chip).run(program, inputs, entry=entry, events=True)
    limit = PATIENCE * (timing.cycles or 0) + 2 * QUIET_CYCLES
    gates = run_with_states(
        GatesEngine(chip), program, inputs, entry=entry, events=True, max_cycles=limit
    )  # fmt: skip
    verification = compare_runs(program, functional, timing, gates)
    pairs = [] if exact is None else [(gates.outputs or {}, exact)]
    return replace(verification, accuracy=output_accuracy(pairs))


def run_with_states(
    engine: Engine,
    program: Program,
    inputs: Inputs,
    **options: Any,  # noqa: ANN401
) -> Run:
    """Run once; the states after it stand among the outputs, each as "state NAME"."""
    with engine.load(program) as session:
        run = session.run(inputs, **options)
        states = {f"state {each.name}": session.read(each.name) for each in program.states}
    return replace(run, outputs={**(run.outputs or {}), **states})


def compare_runs(program: Program, functional: Run, timing: Run, gates: Run) -> Verification:
    """Compare. Raises VerifyError when a Run lacks what is compared."""
    if functional.outputs is None or gates.outputs is None:
        raise VerifyError("values can be compared only of engines that compute them")
    if timing.cycles is None or gates.cycles is None or not (timing.events and gates.events):
        raise VerifyError("cycles can be compared only of Runs with events; run with events=True")
    off = [(a, b) for a, b in zip(timing.events, gates.events, strict=True) if _life(a) != _life(b)]
    elements, differing, wrong = _values(functional, gates)
    return Verification(
        elements, differing, wrong, timing.cycles, gates.cycles, len(timing.events), len(off),
        _difference(program, off), _counters(timing, gates),
    )  # fmt: skip


def _life(event: Event) -> tuple[int, int, int]:
    return event.issue, event.start, event.end


def _values(functional: Run, gates: Run) -> tuple[int, int, Wrong | None]:
    """Count elements whose bits differ; name the first."""
    elements, differing, wrong = 0, 0, None
    for name, expected in (functional.outputs or {}).items():
        actual = (gates.outputs or {})[name]
        unlike = _bits(expected) != _bits(actual)
        elements += expected.size
        differing += int(unlike.sum())
        if wrong is None and unlike.any():
            place = tuple(int(i) for i in np.argwhere(unlike)[0])
            wrong = Wrong(name, place, float(expected[place]), float(actual[place]))
    return elements, differing, wrong


def _bits(values: np.ndarray) -> np.ndarray:
    """Return the bits of each element, so that NaN equals NaN and -0 is not +0."""
    whole = np.ascontiguousarray(values)
    return whole.view(f"u{whole.dtype.itemsize}").reshape(values.shape)


def _difference(program: Program, off: Sequence[tuple[Event, Event]]) -> Difference | None:
    if not off:
        return None
    predicted, actual = min(off, key=lambda pair: min(*_life(pair[0]), *_life(pair[1])))
    instruction = program.instructions[predicted.index]
    notes = with_layer_names(program).notes
    layer = notes[instruction.note].layer if instruction.note < len(notes) else "-"
    text = format_instruction(instruction)
    return Difference(predicted.index, text, layer, _life(predicted), _life(actual))


def _counters(timing: Run, gates: Run) -> tuple[str, ...]:
    out = []
    for unit, expected in timing.units.items():
        actual = gates.units[unit]
        a = {"busy": expected.busy, **expected.reasons}
        b = {"busy": actual.busy, **actual.reasons}
        out += [
            f"{unit} {name}: predicted {a.get(name, 0)}, found {b.get(name, 0)}"
            for name in sorted(a.keys() | b.keys())
            if a.get(name, 0) != b.get(name, 0)
        ]
    return tuple(out)
