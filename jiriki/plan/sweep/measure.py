"""What one network takes on one chip of a sweep: cycles, traffic, area, energy.

In: a Graph and a candidate. Out: its `Row`; of many rows, the Pareto front.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jiriki.compiler import compile_graph
from jiriki.cost.area import tile_area
from jiriki.cost.energy import run_energy
from jiriki.cost.process import load_process
from jiriki.errors import JirikiError
from jiriki.graph import Graph
from jiriki.plan.sweep.grid import Candidate, Value
from jiriki.products.figure import Figure
from jiriki.sim.timing import TimingEngine

AIMS = ("latency_s", "area_mm2", "energy_j")  # all to be small


@dataclass(frozen=True, slots=True)
class Task:
    """What is measured on every chip, and where rows are kept."""

    graph: Graph
    effort: int
    process: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate's figures; ends: low, base, high of an estimate. Refused: nothing but why."""

    values: Mapping[str, Value]
    refused: str = ""
    cycles: int = 0
    latency_s: float = 0.0
    utilisation: float = 0.0
    dram_bytes: int = 0
    area_mm2: tuple[float, float, float] = (0.0, 0.0, 0.0)
    energy_j: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def aim(self, name: str) -> float:
        """Return the figure of an aim, an estimate's base."""
        value = getattr(self, name)
        return value[1] if isinstance(value, tuple) else value


def measure(task: Task, candidate: Candidate) -> Row:
    """Compile, time and estimate one candidate."""
    if candidate.chip is None:
        return Row(candidate.values, candidate.refused)
    chip, process = candidate.chip, load_process(task.process)
    try:
        program = compile_graph(task.graph, chip, effort=task.effort)
        run = TimingEngine(chip).run(program, {})
    except JirikiError as error:
        base, _, _ = chip.name.rpartition("-")
        return Row(candidate.values, str(error).replace(chip.name, base))
    assert run.cycles, "the timing engine counts cycles"
    energy = run_energy(program, run, chip, process)
    return Row(
        values=candidate.values,
        cycles=run.cycles,
        latency_s=run.cycles / chip.clock_hz,
        utilisation=program.macs / (run.cycles * chip.macs_per_cycle),
        dram_bytes=(run.dram_read_bytes or 0) + (run.dram_write_bytes or 0),
        area_mm2=_ends(tile_area(chip, process).total),
        energy_j=_ends(energy.total),
    )


def _ends(figure: Figure) -> tuple[float, float, float]:
    return figure.low, figure.base, figure.high


def pareto_front(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that no other beats in all aims at once, fastest first."""
    good = [row for row in rows if not row.refused]
    front = [row for row in good if not any(_beats(other, row) for other in good)]
    return sorted(front, key=lambda row: [row.aim(name) for name in AIMS])


def _beats(other: Row, row: Row) -> bool:
    """Tell whether the other is nowhere worse and somewhere better."""
    pairs = [(other.aim(name), row.aim(name)) for name in AIMS]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
