"""Run: what an engine returns.

A Run prints as one line and shows as a small table in a notebook.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from jiriki.numerics.accuracy import Accuracy
from jiriki.program.notebook import html_table
from jiriki.program.program import MAIN


@dataclass(frozen=True, slots=True)
class UnitCounters:
    """Cycles of one unit over a run; busy + starved + blocked = total cycles of the run."""

    busy: int  # doing an instruction's own work
    starved: int  # waiting for an instruction, a semaphore or data
    blocked: int  # having work but refused a resource (bank, DRAM, accumulator drain, full queue)
    reasons: Mapping[str, int] = field(default_factory=dict)  # the starved and blocked, named


@dataclass(frozen=True, slots=True)
class Event:
    """One instruction's life in its unit, in cycles from the start."""

    index: int  # position in Program.instructions
    unit: str
    issue: int  # sent to the unit's queue
    start: int
    end: int  # completed: results visible, semaphore signalled
    spent: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)
    """Its unit's cycles, by what the unit did: waiting for it to start, then at work on it until
    the next one starts. Empty where the engine does not tell. Over a run they add up to the unit's
    counters, but for the wait after its last instruction."""


@dataclass(frozen=True, slots=True)
class Run:
    """Outputs and counts of one execution. Fields an engine cannot know are None or empty.

    >>> import jiriki
    >>> run = jiriki.run(jiriki.compile("digits", chip="nano"), engine="timing")
    >>> run
    <Run timing; program ...; ... cycles>
    >>> run.outputs is None, sorted(run.units)
    (True, ['LD', 'MX', 'ST', 'VX'])
    """

    engine: str  # name of the engine
    program_hash: str  # Program.content_hash()
    entry: str = MAIN  # of the program, that was started
    parameters: Mapping[str, int] = field(default_factory=dict)  # the host's, by name
    outputs: Mapping[str, np.ndarray] | None = None  # by name, in the host's shapes and types
    cycles: int | None = None  # from the start to HALT
    dram_read_bytes: int | None = None  # over the DRAM port
    dram_write_bytes: int | None = None  # over the DRAM port
    units: Mapping[str, UnitCounters] = field(default_factory=dict)  # cycles by unit
    events: tuple[Event, ...] = ()  # an instruction each, when they were asked for
    layer_cycles: Mapping[str, int] = field(default_factory=dict)  # layer -> MX+VX span in cycles
    wall_s: float = 0.0  # seconds that the engine took on this machine
    accuracy: Mapping[str, Accuracy] = field(default_factory=dict)
    """Of each output against the float model, where one was passed to compare with."""

    def __repr__(self) -> str:
        """Return one line without arrays."""
        parts = [self.engine, f"program {self.program_hash[:12]}"]
        if self.cycles is not None:
            parts.append(f"{self.cycles:,} cycles")
        if self.outputs is not None:
            parts.append("outputs " + ", ".join(map(_described, self.outputs.items())))
        return f"<Run {'; '.join(parts)}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the counts, the outputs, the units."""
        counts = (
            ("cycles", self.cycles), ("DRAM bytes read", self.dram_read_bytes),
            ("DRAM bytes written", self.dram_write_bytes),
        )  # fmt: skip
        rows = [("program", self.program_hash[:12])]
        rows += [(name, f"{number:,}") for name, number in counts if number is not None]
        rows += [(f"parameter {name}", f"{value:,}") for name, value in self.parameters.items()]
        outputs = (self.outputs or {}).items()
        rows += [(f"output {name}", f"{v.dtype}{list(v.shape)}") for name, v in outputs]
        rows += [(f"{name} against float", str(of)) for name, of in self.accuracy.items()]
        return html_table(f"Run on engine {self.engine}", ("", ">"), rows) + _units_html(self)


def _described(output: tuple[str, np.ndarray]) -> str:
    name, values = output
    return f"{name} {values.dtype}{list(values.shape)}"


def _units_html(run: Run) -> str:
    """Return the table of the units' cycles, or nothing for an engine without."""
    if not run.units:
        return ""
    rows = [
        (name, f"{unit.busy:,}", f"{unit.starved:,}", f"{unit.blocked:,}")
        for name, unit in run.units.items()
    ]
    return html_table("cycles of the units", ("unit", ">busy", ">starved", ">blocked"), rows)
