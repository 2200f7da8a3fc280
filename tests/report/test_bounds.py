"""A layer is bounded by what its own units worked at or waited for most."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jiriki.program import Event, Note, Program
from jiriki.report.bounds import LayerBound, layer_bounds, unit_causes
from tests.report.programs import handed_on

NOTES = (Note("one", "conv", 0), Note("two", "conv", 0))
LOAD, LATER = 0, 4  # instructions of the program: a load that signals, a store that waits


def layer_of(events: list[Event], suppliers: list[tuple[int, ...]], beats: int = 0) -> LayerBound:
    program = handed_on()
    return layer_bounds(with_notes(program), events, suppliers, {"two": beats})["two"]


def with_notes(program: Program) -> Program:
    return replace(program, notes=NOTES)


def event(unit: str, **spent: int) -> Event:
    return Event(LATER, unit, 0, 20, 30, spent)


@pytest.mark.parametrize(
    ("spent", "beats", "bound"),
    [
        ({"MX": {"busy": 60, "drain": 5}, "VX": {"busy": 50}}, 30, "compute"),
        ({"MX": {"busy": 40}, "VX": {"busy": 30, "chain": 20}}, 30, "vector"),
        ({"MX": {"busy": 40}, "VX": {"busy": 30}}, 41, "DRAM"),
        ({"MX": {"busy": 40, "bank": 50}}, 0, "banks"),
        ({"MX": {"busy": 40, "instruction": 30, "completion": 20}}, 0, "sequencer"),
    ],
)
def test_the_greatest_claim_names_the_bound(spent: dict, beats: int, bound: str) -> None:
    events = [event(unit, **cycles) for unit, cycles in spent.items()]
    layer = layer_of(events, [()] * len(events), beats)
    assert layer.bound == bound and layer.start == 20


@pytest.mark.parametrize(("giver", "bound"), [("LD", "DRAM"), ("VX", "vector"), ("ST", "DRAM")])
def test_a_wait_counts_for_the_unit_that_gave_the_token(giver: str, bound: str) -> None:
    events = [Event(LOAD, giver, 0, 1, 19), event("MX", semaphore=50, busy=40)]
    layer = layer_of(events, [(), (0,)])
    assert (layer.bound, layer.waits) == (bound, {f"MX for {giver}": 50})


def test_waits_are_told_longest_first_and_work_is_none() -> None:
    layer = layer_of([event("MX", bank=3, busy=90, drain=7), event("VX", chain=5)], [(), ()])
    assert list(layer.waits.items()) == [("MX drain", 7), ("VX chain", 5), ("MX bank", 3)]


def test_a_units_cycles_are_told_by_cause() -> None:
    events = [
        Event(LOAD, "LD", 0, 1, 19, {"busy": 10, "dram": 9}),
        event("MX", semaphore=50, busy=40),
        event("MX", semaphore=5, busy=2, bank=3),
    ]
    assert unit_causes(events, [(), (0,), ()]) == {
        "LD": {"busy": 10, "dram": 9},
        "MX": {"for LD": 50, "busy": 42, "semaphore": 5, "bank": 3},
    }
