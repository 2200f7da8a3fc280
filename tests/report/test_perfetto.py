"""The timeline: whole, exact, and as the trace event format wants it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.isa.assembly import format_instruction
from jiriki.program import Program
from jiriki.report import Profile, ReportError, make_profile
from jiriki.report.perfetto import trace
from jiriki.report.tokens import signallers
from jiriki.sim.timing import TimingEngine
from tests.report.programs import handed_on, loads_and_stores, small_graph

NANO = load_chip("nano")
# What the trace event format asks of each phase, beside `ph`, `pid` and `name`.
ASKED = {
    "M": {"args"}, "X": {"tid", "ts", "dur", "cat", "args"}, "C": {"ts", "args"},
    "s": {"tid", "ts", "id", "cat"}, "f": {"tid", "ts", "id", "cat", "bp"},
}  # fmt: skip


def profiled(program: Program) -> Profile:
    return make_profile("m", program, TimingEngine(NANO).run(program, events=True), NANO)


@pytest.fixture(scope="module", params=["by hand", "compiled"])
def case(request: pytest.FixtureRequest) -> tuple[Program, Profile, list[dict[str, Any]]]:
    program = handed_on() if request.param == "by hand" else compile_graph(small_graph(), NANO)
    profile = profiled(program)
    return program, profile, json.loads(trace(program, profile))["traceEvents"]


def test_every_event_has_what_its_phase_asks_for(case) -> None:
    for event in case[2]:
        assert {"ph", "pid", "name"} | ASKED[event["ph"]] <= event.keys(), event
        assert isinstance(event["pid"], int) and isinstance(event["name"], str)
        assert event.get("ts", 0) >= 0 and event.get("dur", 1) > 0
        if event["ph"] == "C":
            assert all(isinstance(value, int | float) for value in event["args"].values())


def test_slices_of_a_track_follow_each_other(case) -> None:
    ends: dict[tuple[int, int], int] = defaultdict(int)
    for event in sorted(slices(case[2]), key=lambda e: e["ts"]):
        track = event["pid"], event["tid"]
        assert cycles(event["ts"]) >= ends[track]
        ends[track] = cycles(event["ts"] + event["dur"])


def test_every_instruction_is_read_back_with_its_cycles(case) -> None:
    program, profile, events = case
    read = sorted(
        (track_name(events, e)[0], e["args"]["index"], cycles(e["ts"]), cycles(e["ts"] + e["dur"]))
        for e in slices(events)
        if track_name(events, e)[1].startswith("working")
    )
    assert read == sorted((e.unit, e.index, e.start, e.end + 1) for e in profile.events)
    texts = {e["args"]["index"]: e["args"]["instruction"] for e in slices(events)
             if "instruction" in e["args"]}  # fmt: skip
    assert texts == {
        e.index: format_instruction(program.instructions[e.index]) for e in profile.events
    }


def test_a_unit_waits_from_its_turn_to_its_start(case) -> None:
    _, profile, events = case
    starts = {(e.unit, e.index, e.start) for e in profile.events}
    waits = [e for e in slices(events) if e["cat"] == "wait"]
    assert waits
    for wait in waits:
        end = cycles(wait["ts"] + wait["dur"])
        assert (track_name(events, wait)[0], wait["args"]["index"], end) in starts


def test_arrows_lead_from_the_end_of_a_signal_to_the_start_of_its_wait(case) -> None:
    program, profile, events = case
    ends = {e["id"]: e for e in events if e["ph"] == "f"}
    begins = {e["id"]: e for e in events if e["ph"] == "s"}
    assert begins.keys() == ends.keys()
    tokens = sum(program.instructions[e.index].wait is not None for e in profile.events)
    assert len(begins) >= tokens > 0
    for number, begin in begins.items():
        giver, taker = around(events, begin), around(events, ends[number])
        signal = program.instructions[giver["args"]["index"]].signal
        wait = program.instructions[taker["args"]["index"]].wait
        assert signal and wait and signal.semaphore == wait.semaphore
        assert taker["ts"] == ends[number]["ts"] > begin["ts"]


def test_layers_stand_on_tracks_of_their_own() -> None:
    program = compile_graph(small_graph(), NANO)
    profile = profiled(program)
    events = json.loads(trace(program, profile))["traceEvents"]
    layers = {e["name"]: cycles(e["dur"]) for e in slices(events) if e["cat"] == "layer"}
    assert layers and layers == {row.name: row.cycles for row in profile.layers}


def test_counters_add_up_to_the_time_in_flight() -> None:
    program = loads_and_stores()
    profile = profiled(program)
    events = json.loads(trace(program, profile))["traceEvents"]
    points = [(cycles(e["ts"]), e["args"]["mean"]) for e in events
              if e["name"] == "DRAM loads in flight"]  # fmt: skip
    ends = [start for start, _ in points[1:]] + [profile.cycles]
    counted = sum(mean * (end - start) for (start, mean), end in zip(points, ends, strict=True))
    assert counted == sum(e.end + 1 - e.start for e in profile.events if e.unit == "LD")


def test_occupancy_rises_with_loads_and_falls_with_the_last_read() -> None:
    program = loads_and_stores()  # 1024 and 512 bytes, each stored once
    profile = profiled(program)
    events = json.loads(trace(program, profile))["traceEvents"]
    held = [sum(e["args"].values()) for e in events if e["name"] == "scratchpad bytes"]
    assert held == [0, 1024, 1536, 512, 0]
    assert profile.scratchpad is not None and profile.scratchpad.peak_bytes == 1536


def test_tokens_are_taken_first_in_first_out() -> None:
    program = handed_on()
    events = TimingEngine(NANO).run(program, events=True).events
    taken = {events[i].index: [events[k].index for k in givers]
             for i, givers in enumerate(signallers(program, events)) if givers}  # fmt: skip
    assert taken == {3: [0], 4: [1, 2]}


def test_a_run_without_events_has_no_timeline() -> None:
    program = loads_and_stores()
    with pytest.raises(ReportError, match="events=True"):
        trace(program, replace(profiled(program), events=()))


# Reading a trace ------------------------------------------------------------------------------


def cycles(time: float) -> int:
    """One nanosecond is one cycle; times are in microseconds."""
    return round(time * 1000)


def slices(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == "X"]


def track_name(events: list[dict[str, Any]], of: dict[str, Any]) -> tuple[str, str]:
    named = {(e["name"], e["pid"], e["tid"]): e["args"].get("name") for e in events
             if e["ph"] == "M"}  # fmt: skip
    return named["process_name", of["pid"], 0], named["thread_name", of["pid"], of["tid"]]


def around(events: list[dict[str, Any]], arrow: dict[str, Any]) -> dict[str, Any]:
    """Return the slice that an end of an arrow lies in: it must be one."""
    (slice_,) = [
        e for e in slices(events)
        if (e["pid"], e["tid"]) == (arrow["pid"], arrow["tid"])
        and cycles(e["ts"]) <= cycles(arrow["ts"]) < cycles(e["ts"] + e["dur"])
    ]  # fmt: skip
    return slice_
