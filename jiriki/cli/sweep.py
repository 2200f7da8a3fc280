"""`jiriki sweep`: one model on many chips; which of them are worth building.

In: a model, a base chip, the fields to vary. Out: the Pareto front of latency, area and energy as
tables and a page; a row a chip in the folder, from which a stopped sweep goes on.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import RenderableType

from jiriki.chip import load_chip
from jiriki.cli.errors import CliError
from jiriki.cli.screen import Screen
from jiriki.cost.process import load_process
from jiriki.files.write import write_text
from jiriki.models import DEFAULT_CHIP, Reading, open_model
from jiriki.plan.sweep import (
    Row,
    Task,
    Workers,
    candidates,
    check_workers,
    pareto_front,
    parse_vary,
    read_grid,
    sweep,
)
from jiriki.plan.sweep.page import refused_sheet, rows_sheet, sweep_page
from jiriki.report.origin import origin_of
from jiriki.report.tables import rich_table


@dataclass(frozen=True)
class Request:
    """The arguments of the command."""

    model: str
    reading: Reading
    chip: str | None
    vary: Sequence[str]
    grid: Path | None
    out: Path
    jobs: int | None
    workers: str
    effort: int
    process: str


def run(request: Request, as_json: bool) -> None:
    """Measure every combination, write the page, print the front."""
    screen = Screen("sweep", as_json)
    if bool(request.vary) == (request.grid is not None):
        raise CliError("sweep needs the fields to vary; give --vary FIELD=V,V or --grid FILE.toml")
    workers = _workers(request.workers)
    grid = read_grid(request.grid) if request.grid else parse_vary(request.vary)
    base = load_chip(request.chip or DEFAULT_CHIP)
    process = load_process(request.process)
    model = open_model(request.model, request.reading, screen)
    if model.program is not None:
        raise CliError(f"{request.model} is compiled for one chip already; sweep the model itself")
    chosen = list(candidates(base, grid))
    task = Task(model.graph(), request.effort, request.process, request.out / "rows")
    with screen.progress(f"sweeping {model.name}", len(chosen), "chips") as tell:
        rows = sweep(task, chosen, request.jobs, tell, workers)
    page = request.out / "sweep.html"
    write_text(page, sweep_page(model.name, process.id, rows, origin_of(sys.argv)))
    front = pareto_front(rows)
    payload = {
        "model": model.name, "base": base.name, "process": process.id,
        "front": [asdict(row) for row in front], "rows": [asdict(row) for row in rows],
        "files": {"report": str(page), "rows": str(task.folder)},
    }  # fmt: skip
    screen.result(payload, lambda: _tables(model.name, rows, front, page))


def _workers(name: str) -> Workers:
    """Return the workers of a name, refused before the work begins where they are not there."""
    if name not in list(Workers):
        raise CliError(f"--workers {name}: no such workers; name one of {', '.join(Workers)}")
    check_workers(Workers(name))
    return Workers(name)


def _tables(
    model: str, rows: Sequence[Row], front: Sequence[Row], page: Path
) -> Iterable[RenderableType]:
    measured = sum(not row.refused for row in rows)
    if front:
        title = f"{model}: {len(front)} of {measured} chips are beaten by none, fastest first"
        yield rich_table(rows_sheet(title, front))
    refused = refused_sheet(rows)
    if refused:
        yield rich_table(refused)
    yield f"{'report':<16} {page}"
