"""A run as a timeline for ui.perfetto.dev: Chrome's trace event format, as JSON.

Time: one nanosecond of the time axis is one cycle, whatever the clock, so that every start and end
is exact (the format counts in microseconds: cycle 1234 is `ts` 1.234). An instruction that starts
in cycle s and completes in cycle e fills s to e + 1.

| group | tracks |
|---|---|
| layers | the span of each layer's matrix and vector work |
| a unit | `waiting`: the head of its queue, until it starts; `working`: its instructions |
| counters | DRAM loads and stores in flight, bytes held in the scratchpad |

A unit works on several instructions at once; those that overlap lie on further `working` tracks.
Arrows lead from an instruction that signals to those that waited for its tokens.
In: a Program, a Profile with events. Out: JSON text.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jiriki.isa.assembly import format_instruction
from jiriki.program import Event, Program
from jiriki.program.layer_names import with_layer_names
from jiriki.report.errors import ReportError
from jiriki.report.profile import Profile
from jiriki.report.scratchpad import SAMPLES, Content

COUNTER_BINS = 2000  # points of the DRAM counters over the whole run
WAITS = ("instruction", "semaphore", "completion")  # reasons before the start
LAYERS, COUNTERS = "layers", "counters"
_CONTENT = {
    Content.CONSTANT: "constants", Content.LOADED: "loaded", Content.COMPUTED: "computed",
}  # fmt: skip
Json = dict[str, Any]


def trace(program: Program, profile: Profile) -> str:
    """Return the trace. Raises ReportError when the run kept no events."""
    if not profile.events:
        raise ReportError(
            f"run of {program.name} kept no events; run the timing engine with events=True"
        )
    program, tracks = with_layer_names(program), _Tracks()
    body = [
        *_layer_slices(profile, tracks),
        *_unit_slices(program, profile, tracks),
        *_counters(profile, tracks),
        *_occupancy(profile, tracks),
    ]
    document = {
        "traceEvents": [*tracks.names(), *body],
        "displayTimeUnit": "ns",
        "otherData": {
            "model": profile.model,
            "chip": profile.chip.name,
            "program_hash": profile.program_hash,
            "clock_hz": profile.chip.clock_hz,
            "cycles": profile.cycles,
            "time_axis": "1 ns is 1 cycle",
        },
    }
    return json.dumps(document, separators=(",", ":"))


@dataclass
class _Tracks:
    """Numbers of groups (processes) and of tracks (threads), given in the order of asking."""

    groups: dict[str, int] = field(default_factory=dict)
    tracks: dict[tuple[str, str], int] = field(default_factory=dict)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)

    def group(self, group: str) -> int:
        return self.groups.setdefault(group, len(self.groups) + 1)

    def track(self, group: str, name: str) -> Json:
        """Return the fields that put an event on a track."""
        tid = self.tracks.setdefault((group, name), len(self.tracks) + 1)
        return {"pid": self.group(group), "tid": tid}

    def free_track(self, group: str, name: str, start: int, end: int) -> Json:
        """Return the first of a row of tracks that is free from `start` on, and take it."""
        lane = 0
        while self.ends.get((group, lane), 0) > start:
            lane += 1
        self.ends[group, lane] = end
        return self.track(group, name if lane == 0 else f"{name}, {lane + 1} at once")

    def names(self) -> Iterator[Json]:
        for group, pid in self.groups.items():
            yield _meta("process_name", pid, 0, {"name": group})
            yield _meta("process_sort_index", pid, 0, {"sort_index": pid})
        order = sorted(self.tracks.items(), key=lambda item: (item[0][0], _place(item[0][1])))
        for place, ((group, name), tid) in enumerate(order):
            yield _meta("thread_name", self.groups[group], tid, {"name": name})
            yield _meta("thread_sort_index", self.groups[group], tid, {"sort_index": place})


def _place(track: str) -> tuple[bool, int, str]:
    return track != "waiting", len(track), track


def _meta(kind: str, pid: int, tid: int, args: Json) -> Json:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": args}


def _slice(track: Json, name: str, category: str, start: int, end: int, args: Json) -> Json:
    return {
        "ph": "X", **track, "name": name, "cat": category, "ts": _us(start),
        "dur": _us(end - start), "args": args,
    }  # fmt: skip


def _layer_slices(profile: Profile, tracks: _Tracks) -> Iterator[Json]:
    for row in sorted(profile.layers, key=lambda row: row.start):
        end = row.start + row.cycles
        track = tracks.free_track(LAYERS, "layers", row.start, end)
        args = {
            "op": row.op, "cycles": row.cycles, "macs": row.macs, "dram_bytes": row.dram_bytes,
            "bound": row.bound, "waits": dict(row.waits),
        }  # fmt: skip
        yield _slice(track, row.name, "layer", row.start, end, args)


def _unit_slices(program: Program, profile: Profile, tracks: _Tracks) -> Iterator[Json]:
    """Yield every unit's waits and instructions, then the arrows between them."""
    events = profile.events
    by_unit: dict[str, list[int]] = {}
    for place, event in enumerate(events):
        by_unit.setdefault(event.unit, []).append(place)
    on: dict[int, Json] = {}
    for unit, places in sorted(by_unit.items(), key=lambda item: _unit_place(profile, item[0])):
        head_since = 0
        for place in places:
            event = events[place]
            since = max(event.issue, head_since)
            if since < event.start:
                yield _waiting(program, profile, place, since, tracks.track(unit, "waiting"))
            head_since = event.start
            on[place] = tracks.free_track(unit, "working", event.start, event.end + 1)
            yield _working(program, event, on[place])
    yield from _arrows(events, profile.suppliers, on)


def _unit_place(profile: Profile, unit: str) -> int:
    order = list(profile.units)
    return order.index(unit) if unit in order else -1


def _waiting(program: Program, profile: Profile, place: int, since: int, track: Json) -> Json:
    event = profile.events[place]
    reasons = {name: cycles for name, cycles in event.spent.items() if name in WAITS}
    busy = event.start - since - sum(reasons.values())
    if busy > 0:
        reasons["unit at work"] = busy
    why = max(reasons, key=lambda name: reasons[name]) if reasons else "queue"
    units = {profile.events[i].unit: None for i in profile.suppliers[place]}
    name = f"semaphore of {', '.join(units)}" if why == "semaphore" and units else why
    args = {"index": event.index, "layer": _layer(program, event), "reasons": reasons}
    return _slice(track, name, "wait", since, event.start, args)


def _working(program: Program, event: Event, track: Json) -> Json:
    text = format_instruction(program.instructions[event.index])
    args = {
        "instruction": text, "index": event.index, "issue": event.issue, "start": event.start,
        "end": event.end, "cycles": dict(event.spent),
    }  # fmt: skip
    name = _layer(program, event) or text.split(" ", 1)[0]
    return _slice(track, name, event.unit, event.start, event.end + 1, args)


def _layer(program: Program, event: Event) -> str:
    note = program.instructions[event.index].note
    return program.notes[note].layer if note < len(program.notes) else ""


def _arrows(
    events: Sequence[Event], suppliers: Sequence[Sequence[int]], on: Mapping[int, Json]
) -> Iterator[Json]:
    """Yield the two ends of an arrow for each signaller of each wait."""
    number = 0
    for place, givers in enumerate(suppliers):
        for giver in givers:
            number += 1
            same = {"cat": "semaphore", "name": "token", "id": number}
            yield {"ph": "s", **on[giver], **same, "ts": _us(events[giver].end)}
            yield {"ph": "f", "bp": "e", **on[place], **same, "ts": _us(events[place].start)}


def _counters(profile: Profile, tracks: _Tracks) -> Iterator[Json]:
    """Yield how many loads and stores are in flight: the mean over each bin of the run."""
    width = max(1, -(-profile.cycles // COUNTER_BINS))
    for unit, label in (("LD", "DRAM loads in flight"), ("ST", "DRAM stores in flight")):
        bins = [0] * (profile.cycles // width + 1)
        for event in profile.events:
            if event.unit == unit:
                _spread(bins, event.start, event.end + 1, width)
        values = ({"mean": round(cycles / width, 3)} for cycles in bins)
        yield from _counter(label, (i * width for i in range(len(bins))), values, tracks)


def _spread(bins: list[int], start: int, end: int, width: int) -> None:
    """Add an interval's cycles to the bins that it crosses."""
    for index in range(start // width, min(end // width, len(bins) - 1) + 1):
        bins[index] += max(0, min(end, (index + 1) * width) - max(start, index * width))


def _occupancy(profile: Profile, tracks: _Tracks) -> Iterator[Json]:
    """Yield the bytes held in the scratchpad, by what they are."""
    use = profile.scratchpad
    if use is None:
        return
    samples = use.occupied_bytes.T.tolist()
    times = (i * profile.cycles // SAMPLES for i in range(SAMPLES))
    values = ({_CONTENT[Content(k)]: n for k, n in enumerate(sample)} for sample in samples)
    yield from _counter("scratchpad bytes", times, values, tracks)


def _counter(
    name: str, times: Iterable[int], values: Iterable[Json], tracks: _Tracks
) -> Iterator[Json]:
    """Yield a counter's points; those that repeat the one before are left out."""
    pid, before = tracks.group(COUNTERS), None
    for time, args in zip(times, values, strict=True):
        if args != before:
            yield {"ph": "C", "pid": pid, "name": name, "ts": _us(time), "args": args}
        before = args


def _us(cycles: int) -> float:
    return cycles / 1000
