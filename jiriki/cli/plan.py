"""`jiriki plan`: a fleet month by month for a demand that grows, as tables, JSON and a page.

In: a demand's TOML. Out: the plan; the page where a path for it is given.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import RenderableType

from jiriki.cli.screen import Screen
from jiriki.plan.fleet.demand import load_demand
from jiriki.plan.fleet.fleet import Plan, plan_fleet
from jiriki.plan.fleet.page import plan_page
from jiriki.plan.fleet.tables import (
    bindings_sheet,
    dependence_sheet,
    events_sheet,
    fleet_sheet,
    money_sheet,
    payload,
    purchases_sheet,
    services_sheet,
    story,
    summary_sheet,
    supplies_sheet,
)
from jiriki.report import write_text
from jiriki.report.origin import origin_of
from jiriki.report.tables import rich_table


def plan(demand: Path, out: Path | None, as_json: bool) -> None:
    """Plan the fleet, write the page where asked, print."""
    screen = Screen("plan", as_json)
    with screen.step(f"planning {demand.name}"):
        fleet_plan = plan_fleet(load_demand(demand))
    files = {}
    if out is not None:
        files["report"] = str(write_text(out, plan_page(fleet_plan, origin_of(sys.argv))))
    screen.result({**payload(fleet_plan), "files": files}, lambda: _page(fleet_plan, files))


def _page(fleet_plan: Plan, files: Mapping[str, str]) -> Iterable[RenderableType]:
    base = fleet_plan.base
    yield rich_table(summary_sheet(fleet_plan))
    yield from story(fleet_plan)
    yield ""
    for sheet in (
        fleet_sheet(base), purchases_sheet(base), services_sheet(base),
        dependence_sheet(base, "vendor"), dependence_sheet(base, "made_in"), money_sheet(base),
        bindings_sheet(base), supplies_sheet(fleet_plan, base), events_sheet(fleet_plan),
    ):  # fmt: skip
        if sheet.rows:
            yield rich_table(sheet)
    for key, path in files.items():
        yield f"{key:<16} {path}"
