"""`jiriki diff`: what changed between two profiles.

In: two files of `jiriki profile --json`, or models or programs that are profiled now, on chips.
Out: cycles, DRAM traffic and energy of both, and the layers that changed, largest change first.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from jiriki.cli.errors import CliError
from jiriki.cli.profile import count_cycles
from jiriki.cli.screen import Screen
from jiriki.models import Reading, build, open_model
from jiriki.report.payload import profile_payload
from jiriki.report.profile_diff import (
    ProfileDiff,
    changes_sheet,
    diff_payload,
    diff_profiles,
    read_profile,
    totals_sheet,
)
from jiriki.report.tables import rich_table

MOST = 20  # layers in the table; --json holds all


def diff(before: str, after: str, chips: Sequence[str], effort: int, as_json: bool) -> None:
    """Read or count both profiles, print what changed."""
    screen = Screen("diff", as_json)
    if len(chips) > 2:
        raise CliError(
            f"--chip is given {len(chips)} times; give it once for both, or once for each"
        )
    pair = (chips[0], chips[-1]) if chips else (None, None)
    held = [
        _profile(name, chip, effort, screen)
        for name, chip in zip((before, after), pair, strict=True)
    ]
    change = diff_profiles(*held)
    screen.result(diff_payload(change), lambda: _tables(change))


def _profile(name: str, chip: str | None, effort: int, screen: Screen) -> dict[str, Any]:
    if name.endswith(".json"):
        return read_profile(Path(name))
    model = open_model(name, Reading(), screen)
    profile, _ = count_cycles(model, build(model, chip, effort, screen), screen)
    return profile_payload(profile)


def _tables(change: ProfileDiff) -> Iterable[RenderableType]:
    yield rich_table(totals_sheet(change))
    sheet = changes_sheet(change, MOST)
    yield rich_table(sheet) if sheet.rows else sheet.title
