"""`jiriki diff`: what changed between two profiles.

In: two files of `jiriki profile --json`, or models or programs that are profiled now, on chips.
Out: cycles, DRAM traffic and energy of both, and the layers that changed, largest change first; the
page where a path for it is given.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from jiriki.cli.errors import CliError
from jiriki.cli.profile import count_cycles
from jiriki.cli.screen import Screen
from jiriki.models import Reading, build, open_model
from jiriki.report import write_text
from jiriki.report.origin import origin_of
from jiriki.report.payload import profile_payload
from jiriki.report.profile_diff import (
    ProfileDiff,
    changes_sheet,
    diff_payload,
    diff_profiles,
    read_profile,
    totals_sheet,
)
from jiriki.report.profile_diff_page import diff_page
from jiriki.report.tables import rich_table

MOST = 20  # layers in the table; --json holds all


def diff(
    before: str, after: str, chips: Sequence[str], effort: int, out: Path | None, as_json: bool
) -> None:
    """Read or count both profiles, write the page where asked, print what changed."""
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
    files = {}
    if out is not None:
        files["report"] = str(write_text(out, diff_page(change, origin_of(sys.argv))))
    screen.result({**diff_payload(change), "files": files}, lambda: _tables(change, files))


def _profile(name: str, chip: str | None, effort: int, screen: Screen) -> dict[str, Any]:
    if name.endswith(".json"):
        return read_profile(Path(name))
    model = open_model(name, Reading(), screen)
    profile, _ = count_cycles(model, build(model, chip, effort, screen), screen)
    return profile_payload(profile)


def _tables(change: ProfileDiff, files: Mapping[str, str]) -> Iterable[RenderableType]:
    yield rich_table(totals_sheet(change))
    sheet = changes_sheet(change, MOST)
    yield rich_table(sheet) if sheet.rows else sheet.title
    for key, path in files.items():
        yield f"{key:<16} {path}"
