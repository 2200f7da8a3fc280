"""The rows of a sweep: one a candidate, kept in files, from which a stopped sweep goes on.

In: a Graph and candidates. Out: one `Row` a candidate. A row's file is whole or absent and named by
everything that it depends on, the compiler's own sources too.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jiriki.files import sources_hash
from jiriki.files.write import write_text
from jiriki.plan.sweep.grid import Candidate
from jiriki.plan.sweep.measure import Row, Task
from jiriki.plan.sweep.workers import ROOMS, Workers, measure_all


def sweep(
    task: Task,
    chosen: Sequence[Candidate],
    jobs: int | None,
    progress: Callable[[int], None],
    workers: Workers = Workers.PROCESSES,
) -> list[Row]:
    """Return the rows in the order of the candidates; `progress` is told how many are done.

    jobs: chips measured at once at most; as many as the workers have cores for if None.
    """
    rows: dict[int, Row] = {}
    for i, candidate in enumerate(chosen):
        row = _kept(task, candidate)
        if row is not None:
            rows[i] = row
    progress(len(rows))
    left = {i: candidate for i, candidate in enumerate(chosen) if i not in rows}
    for i, row in measure_all(task, left, jobs, workers):
        _keep(task, left[i], row)
        rows[i] = row
        progress(len(rows))
    return [rows[i] for i in range(len(chosen))]


def _keep(task: Task, candidate: Candidate, row: Row) -> None:
    path = _path(task, candidate)
    if path is not None:
        write_text(path, json.dumps(asdict(row)))


def _path(task: Task, candidate: Candidate) -> Path | None:
    """Return the file of a row: all that it depends on is in its name."""
    if candidate.chip is None:
        return None
    parts = (
        sources_hash(ROOMS), task.graph.content_hash(), task.effort, task.process,
        dict(candidate.values), asdict(candidate.chip) | {"name": ""},
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
        return None  # half a file, or not ours: measured again and replaced
