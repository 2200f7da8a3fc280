"""What one network takes on each chip of a sweep: cycles, traffic, area, energy.

In: a Graph and candidates. Out: one `Row` a candidate. A row is kept in a file that is whole or
absent, named by everything it depends on: a sweep that was stopped goes on where it was. Chips are
measured in as many processes as asked for.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from jiriki import __version__
from jiriki.compiler import compile_graph
from jiriki.cost.area import tile_area
from jiriki.cost.energy import run_energy
from jiriki.cost.process import load_process
from jiriki.errors import JirikiError
from jiriki.files.write import write_text
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


def sweep(
    task: Task, chosen: Sequence[Candidate], jobs: int, progress: Callable[[int], None]
) -> list[Row]:
    """Return the rows in the order of the candidates; `progress` is told how many are done."""
    rows: dict[int, Row] = {}
    for i, candidate in enumerate(chosen):
        row = _kept(task, candidate)
        if row is not None:
            rows[i] = row
    progress(len(rows))
    left = [i for i in range(len(chosen)) if i not in rows]
    for i, row in _measured(task, [(i, chosen[i]) for i in left], jobs):
        rows[i] = row
        progress(len(rows))
    return [rows[i] for i in range(len(chosen))]


def _measured(
    task: Task, left: Sequence[tuple[int, Candidate]], jobs: int
) -> Iterator[tuple[int, Row]]:
    """Measure in this process, or in several; a row is kept as soon as it is there."""
    if min(jobs, len(left)) <= 1:
        yield from ((i, measure(task, candidate)) for i, candidate in left)
        return
    fresh = get_context("spawn")  # a fork would copy the threads that show the progress
    with ProcessPoolExecutor(min(jobs, len(left)), fresh, _begin, (task,)) as pool:
        futures = {pool.submit(_measure_here, candidate): i for i, candidate in left}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


_here: list[Task] = []  # of a process of the pool: the graph is handed over once


def _begin(task: Task) -> None:
    _here[:] = [task]


def _measure_here(candidate: Candidate) -> Row:
    return measure(_here[0], candidate)


def measure(task: Task, candidate: Candidate) -> Row:
    """Compile, time and estimate one candidate, and keep the row."""
    row = _measure(task, candidate)
    path = _path(task, candidate)
    if path is not None:
        write_text(path, json.dumps(asdict(row)))
    return row


def _measure(task: Task, candidate: Candidate) -> Row:
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


def _path(task: Task, candidate: Candidate) -> Path | None:
    """Return the file of a row: all that it depends on is in its name."""
    if candidate.chip is None:
        return None
    parts = (
        __version__, task.graph.content_hash(), task.effort, task.process, dict(candidate.values),
        asdict(candidate.chip) | {"name": ""},
    )  # fmt: skip
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return task.folder / f"{digest[:32]}.json"


def _kept(task: Task, candidate: Candidate) -> Row | None:
    path = _path(task, candidate)
    if path is None or not path.is_file():
        return None
    try:
        held: dict[str, Any] = json.loads(path.read_text("utf-8"))
        held |= {key: tuple(held[key]) for key in ("area_mm2", "energy_j")}
        return Row(**held)
    except (OSError, ValueError, TypeError, KeyError):
        return None  # of another version, or not ours: measured again and replaced


def pareto_front(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that no other beats in all aims at once, fastest first."""
    good = [row for row in rows if not row.refused]
    front = [row for row in good if not any(_beats(other, row) for other in good)]
    return sorted(front, key=lambda row: [row.aim(name) for name in AIMS])


def _beats(other: Row, row: Row) -> bool:
    """Tell whether the other is nowhere worse and somewhere better."""
    pairs = [(other.aim(name), row.aim(name)) for name in AIMS]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
