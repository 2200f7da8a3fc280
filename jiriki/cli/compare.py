"""`jiriki compare`: one workload over many chips, as tables, JSON and a page.

In: a workload, chips, a day. Out: the comparison; the page where a path for it is given.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType

from jiriki.cli.errors import CliError
from jiriki.cli.screen import Screen
from jiriki.export_control import known_text
from jiriki.export_control.classify import DISCLAIMER
from jiriki.frontend.zoo import list_models
from jiriki.models import Reading, open_model
from jiriki.plan.compare.compare import Comparison, GraphOf, compare
from jiriki.plan.compare.page import compare_page
from jiriki.plan.compare.tables import (
    checks_sheet,
    economy_sheet,
    missing_sheet,
    payload,
    result_sheet,
    sourcing_sheet,
    summary,
)
from jiriki.products.figure import read_date
from jiriki.report import write_text
from jiriki.report.origin import origin_of
from jiriki.report.tables import rich_table

if TYPE_CHECKING:
    from jiriki.graph import Graph


@dataclass(frozen=True)
class Request:
    """The arguments of the command, as they were typed."""

    workload: str
    chips: str | None
    on: str | None
    mode: str
    batch: int | None
    context: int | None
    out: Path | None


def run(request: Request, as_json: bool) -> None:
    """Compare, write the page where asked, print."""
    screen = Screen("compare", as_json)
    day = date.today() if request.on is None else read_date(request.on, "--on")
    with screen.step(f"comparing chips for {request.workload}"):
        comparison = compare(
            request.workload,
            _names(request.chips),
            on=day,
            mode=request.mode,
            batch=request.batch,
            context=request.context,
            graph=_graph_of(request.workload, screen),
        )
    files = {}
    if request.out is not None:
        files["report"] = str(
            write_text(request.out, compare_page(comparison, origin_of(sys.argv)))
        )
    screen.result({**payload(comparison), "files": files}, lambda: _tables(comparison, files))


def _names(text: str | None) -> list[str]:
    if text is None:
        return []
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise CliError(f"--chips {text}: write ids with commas between, such as h20,hanguang-800")
    return names


def _graph_of(workload: str, screen: Screen) -> GraphOf | None:
    """Return what makes the network's Graph, for workloads that the zoo holds."""
    if workload not in {card.name for card in list_models()}:
        return None

    def make() -> "Graph":
        return open_model(workload, Reading(), screen).graph()

    return make


def _tables(comparison: Comparison, files: Mapping[str, str]) -> Iterable[RenderableType]:
    yield rich_table(result_sheet(comparison))
    yield rich_table(economy_sheet(comparison))
    if comparison.checks:
        yield rich_table(checks_sheet(comparison))
    missing = missing_sheet(comparison)
    if missing:
        yield rich_table(missing)
    yield rich_table(sourcing_sheet(comparison))
    yield summary(comparison)
    yield f"{known_text()}; {DISCLAIMER}."
    for key, path in files.items():
        yield f"{key:<16} {path}"
