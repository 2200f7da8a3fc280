"""`jiriki profile`: a model's cycles on one or more chips, as tables and as pages.

In: a model and chips. Out: the report; `MODEL.html` and a timeline a chip in the folder.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import RenderableType

from jiriki.chip import load_chip
from jiriki.cli.errors import CliError
from jiriki.cli.overwrite import keep_inputs
from jiriki.cli.run import START, Start
from jiriki.cli.screen import Screen
from jiriki.cost.process import DEFAULT_PROCESS, Process, load_process
from jiriki.models import (
    DEFAULT_CHIP,
    Built,
    Model,
    Reading,
    build,
    check_read_program,
    open_model,
    read_arrays,
)  # fmt: skip
from jiriki.report import Profile, make_profile, write_text
from jiriki.report.origin import origin_of
from jiriki.report.payload import profile_payload
from jiriki.report.perfetto import trace
from jiriki.report.profile_page import profile_page
from jiriki.report.tables import (
    energy_sheet,
    layers_sheet,
    rich_table,
    spans_note,
    summary_sheet,
    units_sheet,
)
from jiriki.sim.timing import TimingEngine

SLOWEST = 8
TIMELINE_SITE = "https://ui.perfetto.dev"


def profile(
    name: str,
    reading: Reading,
    chips: Sequence[str],
    effort: int,
    out: Path,
    as_json: bool,
    process_id: str = DEFAULT_PROCESS,
    input: Path | None = None,
    start: Start = START,
) -> None:
    """Compile for every chip, count, write the pages, print the tables.

    The host's parameters of a program that reads some stand in `start`, or in the .npz `input`.
    """
    screen, node = Screen("profile", as_json), load_process(process_id)
    model = open_model(name, reading, screen)
    wanted = chips or ([model.program.chip] if model.program else [DEFAULT_CHIP])
    names = _distinct(wanted)
    keep_inputs(
        (name, reading.calibration, input, *wanted),
        (_page_path(out, model.name), *(_trace_path(out, model.name, chip) for chip in names)),
    )
    feed = start.joined(read_arrays(input) if input else {})
    counted = [
        count_cycles(model, build(model, chip, effort, screen), screen, node, feed, start.entry)
        for chip in wanted
    ]
    profiles = [counts for counts, _ in counted]
    files = write_pages(counted, out, screen)
    payload = {**_payload(profiles), "files": {key: str(path) for key, path in files.items()}}
    screen.result(payload, lambda: _tables(profiles, files))


def _distinct(chips: Sequence[str]) -> list[str]:
    """Return the names of the chips. Raises CliError when two have the same."""
    names = [load_chip(chip).name for chip in chips]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CliError(
            f"--chip: two chips are named {twice}; name every chip once, and give a chip of your "
            "own a name of its own in its TOML"
        )
    return names


def _page_path(out: Path, model: str) -> Path:
    return out / f"{model}.html"


def _trace_path(out: Path, model: str, chip: str) -> Path:
    return out / f"{model}-{chip}.trace.json"


def count_cycles(
    model: Model,
    built: Built,
    screen: Screen,
    node: Process | None = None,
    feed: Mapping[str, Any] | None = None,
    entry: str | None = None,
) -> tuple[Profile, Built]:
    """Time a program; the seconds of `timing` are those of a run that keeps no events.

    `node` is the process of the energy estimate, the default one if None.
    """
    check_read_program(model, built, feed or {}, entry)
    engine = TimingEngine(built.chip)
    with screen.step(f"counting cycles on {built.chip.name}"):
        began = perf_counter()
        engine.run(built.program, feed, entry=entry)
        timing_s = perf_counter() - began
        run = engine.run(built.program, feed, entry=entry, events=True)
    wall_s = {**built.wall_s, "timing": timing_s}
    node = node or load_process(DEFAULT_PROCESS)
    return make_profile(model.name, built.program, run, built.chip, wall_s, node), built


def write_pages(
    counted: Sequence[tuple[Profile, Built]], out: Path, screen: Screen
) -> Mapping[str, Path]:
    """Write the page and the timelines; return where they are."""
    profiles = [profile for profile, _ in counted]
    name = profiles[0].model
    timelines = {chip: _trace_path(out, name, chip) for chip in (p.chip.name for p in profiles)}
    with screen.step(f"writing the report to {out}"):
        names = {chip: path.name for chip, path in timelines.items()}
        page = profile_page(profiles, origin_of(sys.argv), names)
        files = {"report": write_text(_page_path(out, name), page)}
        for profile, built in counted:
            path = timelines[profile.chip.name]
            files[f"timeline {profile.chip.name}"] = write_text(path, trace(built.program, profile))
    return files


def _payload(profiles: Sequence[Profile]) -> dict[str, Any]:
    """Return one profile's object; several chips' objects go under `profiles`."""
    if len(profiles) == 1:
        return profile_payload(profiles[0])
    return {"model": profiles[0].model, "profiles": [profile_payload(p) for p in profiles]}


def _tables(profiles: Sequence[Profile], files: Mapping[str, Path]) -> Iterable[RenderableType]:
    yield rich_table(summary_sheet(profiles))
    for profile in profiles:
        yield rich_table(units_sheet(profile))
        if profile.energy:
            yield rich_table(energy_sheet(profile.energy))
        yield from slowest_layers(profile)
    yield from file_lines(files)


def slowest_layers(profile: Profile) -> Iterable[RenderableType]:
    """Yield the slowest layers as a table, and that their spans overlap where they do."""
    title = f"slowest layers on {profile.chip.name}"
    yield rich_table(layers_sheet(title, profile.slowest(SLOWEST), profile.cycles, profile.energy))
    if note := spans_note(profile):
        yield note


def file_lines(files: Mapping[str, Path]) -> Iterable[str]:
    """Say where the pages are and how to open them."""
    for key, path in files.items():
        hint = f"  (open at {TIMELINE_SITE})" if key.startswith("timeline") else ""
        yield f"{key:<16} {path}{hint}"
