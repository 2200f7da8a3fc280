"""`jiriki verify`: the three engines on one program: same bits, same cycles.

In: a model or program, a chip, an input. Out: elements and instructions that differ, the first of
each with its layer and the window of the waveform to look at. With --layers the model is compiled
so that the result of every layer is an output. Exit code 1 when anything differs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import typer
from rich.console import RenderableType

from jiriki.agreement import PATIENCE, Verification, compare_runs, run_with_states
from jiriki.chip import ChipConfig
from jiriki.cli.accuracy import accuracy_payload, accuracy_tables, float_session, layer_payload
from jiriki.cli.errors import CliError
from jiriki.cli.extras import need_extra
from jiriki.cli.run import START, Feed, Start, check_names, one_input, start_rows
from jiriki.cli.screen import Screen
from jiriki.frontend import run_reference
from jiriki.models import Built, Model, Reading, build, check_read_program, open_model
from jiriki.program import Run
from jiriki.report.tables import Sheet, rich_table
from jiriki.sim.functional import FunctionalEngine
from jiriki.sim.timing import TimingEngine


@dataclass(frozen=True)
class Request:
    """The arguments of the command."""

    model: str
    reading: Reading = field(default_factory=Reading)
    chip: str | None = None
    effort: int = 1
    input: Path | None = None
    vcd: Path | None = None
    window: str | None = None
    layers: bool = False
    start: Start = START


def verify(request: Request, as_json: bool) -> None:
    """Run all three engines, compare, print."""
    screen = Screen("verify", as_json)
    need_extra("rtl")
    window = _window(request)
    _can_build(request.vcd)
    model = open_model(request.model, request.reading, screen)
    label, feed = one_input(model, request.input, request.start)
    built = build(model, request.chip, request.effort, screen, every_layer=request.layers)
    entry = request.start.entry
    check_names(built.program, [(label, feed)], entry)
    check_read_program(model, built, feed, entry)
    with screen.step(f"running {model.name} on the simulators"):
        functional = run_with_states(FunctionalEngine(built.chip), built.program, feed, entry=entry)
        timing = TimingEngine(built.chip).run(built.program, feed, entry=entry, events=True)
    build_s = _build_gates(built.chip, screen)
    gates, rtl_s = _run_gates(built, feed, request, window, timing.cycles or 0, screen)
    verification = compare_runs(built.program, functional, timing, gates)
    payload = {
        "model": model.name,
        "chip": built.chip.name,
        "input": label,
        "entry": functional.entry,
        "parameters": dict(functional.parameters),
        "layers": len(built.program.outputs) if request.layers else None,
        "elements": verification.elements,
        "differing_elements": verification.differing_elements,
        "cycles": {"timing": verification.timing_cycles, "rtl": verification.rtl_cycles},
        "instructions": verification.instructions,
        "instructions_off": verification.instructions_off,
        "counters_off": list(verification.counters_off),
        "first": _first(verification),
        "agrees": verification.agrees,
        "accuracy": _accuracy(model, feed, gates),
        "wall_s": {"build": build_s, "rtl": rtl_s},
    }
    if request.layers:
        payload["layer_accuracy"] = layer_payload(model, [feed], screen)
    screen.result(payload, lambda: _tables(payload, verification, request))
    if not verification.agrees:
        raise typer.Exit(1)


def _window(request: Request) -> tuple[int, int]:
    """Return the cycles to write as waveform."""
    if request.window is None:
        return 0, 2000
    first, _, end = request.window.partition(":")
    if not (first.isdigit() and end.isdigit() and int(first) < int(end)):
        raise CliError(f"--window {request.window!r} is not FIRST:END with FIRST < END, in cycles")
    if request.vcd is None:
        raise CliError("--window says what --vcd writes; give --vcd FILE too")
    return int(first), int(end)


def _can_build(vcd: Path | None) -> None:
    """Refuse before the work what would fail after it: no compiler, no place for the waveform."""
    from jiriki.rtl.build.verilate import find_compiler

    find_compiler()
    if vcd is not None and not vcd.absolute().parent.is_dir():
        raise CliError(f"--vcd {vcd}: there is no folder {vcd.parent}; choose one that exists")


def _build_gates(chip: ChipConfig, screen: Screen) -> float:
    from jiriki.rtl.simulate.tile import tile_library

    began = perf_counter()
    with screen.step(f"compiling the gates of {chip.name} (kept for the next time)"):
        tile_library(chip)
    return perf_counter() - began


def _run_gates(
    built: Built,
    feed: Feed,
    request: Request,
    window: tuple[int, int],
    cycles: int,
    screen: Screen,
) -> tuple[Run, float]:
    from jiriki.rtl.engine import GatesEngine
    from jiriki.rtl.simulate.tile import QUIET_CYCLES

    began = perf_counter()
    waveform = None if request.vcd is None else (request.vcd, *window)
    with screen.progress("running the gates", cycles, "cycles") as tell:
        run = run_with_states(
            GatesEngine(built.chip), built.program, feed, entry=request.start.entry, events=True,
            waveform=waveform, progress=tell, max_cycles=PATIENCE * cycles + 2 * QUIET_CYCLES,
        )  # fmt: skip
    return run, perf_counter() - began


def _accuracy(model: Model, feed: Feed, gates: Run) -> dict[str, Any] | None:
    """Compare the gates' outputs with the float model's."""
    session = float_session(model)
    if session is None or gates.outputs is None:
        return None
    return accuracy_payload([(gates.outputs, run_reference(session, feed))])


def _first(verification: Verification) -> dict[str, Any] | None:
    if verification.first_off is None:
        return None
    off = verification.first_off
    return {
        "index": off.index, "instruction": off.text, "layer": off.layer,
        "predicted": list(off.predicted), "found": list(off.actual), "window": list(off.window),
    }  # fmt: skip


def _tables(
    payload: Mapping[str, Any], verification: Verification, request: Request
) -> Iterable[RenderableType]:
    seconds = payload["wall_s"]
    speed = verification.rtl_cycles / max(seconds["rtl"], 1e-9)
    rows = (
        *start_rows(payload),
        ("elements that differ from the functional simulator",
         f"{verification.differing_elements:,} of {verification.elements:,}"),
        ("cycles predicted by the timing simulator", f"{verification.timing_cycles:,}"),
        ("cycles of the gates", f"{verification.rtl_cycles:,}"),
        ("instructions in other cycles than predicted",
         f"{verification.instructions_off:,} of {verification.instructions:,}"),
        ("counters that differ", f"{len(verification.counters_off)}"),
        ("compiling the gates", f"{seconds['build']:.1f} s"),
        ("running them", f"{seconds['rtl']:.1f} s, {speed:,.0f} cycles/s"),
    )  # fmt: skip
    what = f", all {payload['layers']} layers" if payload["layers"] else ""
    title = f"{payload['model']} on the gates of {payload['chip']}{what}"
    yield rich_table(Sheet(title, ("", ">"), rows))
    yield from accuracy_tables(payload["accuracy"], payload.get("layer_accuracy"))
    if verification.wrong is not None:
        wrong = verification.wrong
        place = ", ".join(map(str, wrong.place))
        yield (
            f"first wrong element: {wrong.output}[{place}] is {wrong.actual}, the "
            f"functional simulator says {wrong.expected}"
        )
    if verification.first_off is not None:
        off = verification.first_off
        yield (
            f"first instruction off: {off.index} of layer {off.layer}: {off.text}\n"
            f"  issue, start, end predicted {off.predicted}, found {off.actual}\n"
            f"  waveform: jiriki verify {request.model} --chip {payload['chip']}"
            f"{' --layers' if request.layers else ''} --vcd off.vcd "
            f"--window {off.window[0]}:{off.window[1]}"
        )
    yield from verification.counters_off
    if request.vcd is not None:
        yield f"waveform in {request.vcd}"
