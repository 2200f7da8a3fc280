"""A run as a timeline for ui.perfetto.dev: Chrome's trace event format.

Concept: one track a unit, one slice an instruction, named by its layer; counters of DRAM traffic.
Units complete in order but overlap their instructions, and slices of one track must not: a slice
begins where the one before it ended, and its arguments hold the instruction's own cycles.
In: a Program, a Profile with events, the DRAM bytes of each instruction. Out: JSON text.
"""

import json
from collections.abc import Iterator
from typing import Any

from jiriki.isa.assembly import format_instruction
from jiriki.program import Event, Program
from jiriki.report.errors import ReportError
from jiriki.report.profile import Profile

PROCESS = 1
COUNTER_BINS = 2000  # points of the DRAM counters over the whole run


def trace(program: Program, profile: Profile) -> str:
    """Return the trace. Raises ReportError when the run kept no events."""
    if not profile.events:
        raise ReportError(
            f"run of {program.name} kept no events; run the timing engine with events=True"
        )
    events = [*_tracks(profile), *_slices(program, profile), *_counters(profile)]
    document = {
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {
            "model": profile.model,
            "chip": profile.chip.name,
            "program_hash": profile.program_hash,
            "clock_hz": profile.chip.clock_hz,
        },
    }
    return json.dumps(document, separators=(",", ":"))


def _tracks(profile: Profile) -> Iterator[dict[str, Any]]:
    yield _name("process_name", 0, f"{profile.model} on {profile.chip.name}")
    for unit, track in _track_numbers(profile).items():
        yield _name("thread_name", track, unit)
        yield {
            "ph": "M", "pid": PROCESS, "tid": track, "name": "thread_sort_index",
            "args": {"sort_index": track},
        }  # fmt: skip


def _track_numbers(profile: Profile) -> dict[str, int]:
    """Number the counted units first, then any other that has events (the sequencer)."""
    units = dict.fromkeys([*profile.units, *(event.unit for event in profile.events)])
    return {unit: track for track, unit in enumerate(units, 1)}


def _name(kind: str, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "pid": PROCESS, "tid": track, "name": kind, "args": {"name": name}}


def _slices(program: Program, profile: Profile) -> Iterator[dict[str, Any]]:
    tracks = _track_numbers(profile)
    free = dict.fromkeys(tracks, 0)
    texts: dict[int, str] = {}
    for event in sorted(profile.events, key=lambda e: (e.start, e.end)):
        begin = max(event.start, free[event.unit])
        free[event.unit] = max(event.end, begin)
        text = texts.setdefault(event.index, format_instruction(program.instructions[event.index]))
        yield {
            "ph": "X", "pid": PROCESS, "tid": tracks[event.unit],
            "name": _layer(program, event) or text.split(" ", 1)[0], "cat": event.unit,
            "ts": _us(begin, profile), "dur": _us(max(event.end - begin, 0), profile),
            "args": {
                "instruction": text, "index": event.index,
                "issue": event.issue, "start": event.start, "end": event.end,
            },
        }  # fmt: skip


def _layer(program: Program, event: Event) -> str:
    note = program.instructions[event.index].note
    return program.notes[note].layer if note < len(program.notes) else ""


def _counters(profile: Profile) -> Iterator[dict[str, Any]]:
    """Yield how busy the loads and stores are, as a share of each bin of the run."""
    width = max(1, -(-profile.cycles // COUNTER_BINS))
    for unit, label in (("LD", "DRAM loads in flight"), ("ST", "DRAM stores in flight")):
        bins = [0] * (profile.cycles // width + 1)
        for event in profile.events:
            if event.unit == unit:
                _spread(bins, event.start, event.end, width)
        for index, cycles in enumerate(bins):
            yield {
                "ph": "C", "pid": PROCESS, "name": label, "ts": _us(index * width, profile),
                "args": {"mean": round(cycles / width, 3)},
            }  # fmt: skip


def _spread(bins: list[int], start: int, end: int, width: int) -> None:
    """Add an interval's cycles to the bins that it crosses."""
    for index in range(start // width, min(end // width, len(bins) - 1) + 1):
        bins[index] += max(0, min(end, (index + 1) * width) - max(start, index * width))


def _us(cycles: int, profile: Profile) -> float:
    return round(cycles / profile.chip.clock_hz * 1e6, 6)
