"""What bounds each layer, and what its units waited for.

In: a Program, the events of its run with the cycles spent, whose tokens each took, the DRAM beats
of each layer. Out: a `LayerBound` a layer. A resource's claim on a layer is the cycles that it
worked for the layer, or those that the matrix or vector unit waited for it, whichever is more:

| bound | claim |
|---|---|
| compute | MX at work and draining; VX waiting for MX |
| vector | VX at work, its chain and its results; MX waiting for VX |
| DRAM | the layer's own bytes at the port's full rate; MX or VX waiting for LD or ST |
| banks | MX or VX refused by a scratchpad bank |
| sequencer | MX or VX without an instruction or a place to complete it |

The greatest claim names the bound. Neighbouring layers overlap, so claims may exceed the span.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jiriki.program import Event, Program

COMPUTE, VECTOR, DRAM, BANKS, SEQUENCER = "compute", "vector", "DRAM", "banks", "sequencer"
OWN_WORK = {"MX": ("busy", "drain"), "VX": ("busy", "chain", "write")}
_SUPPLIER = {"LD": DRAM, "ST": DRAM, "MX": COMPUTE, "VX": VECTOR}
_REASON = {"bank": BANKS, "instruction": SEQUENCER, "completion": SEQUENCER}


@dataclass(frozen=True, slots=True)
class LayerBound:
    """A layer's bound, and the cycles that its matrix and vector work waited."""

    bound: str = ""
    waits: Mapping[str, int] = field(default_factory=dict)  # "MX for LD", "VX bank" -> cycles
    start: int = 0  # cycle of its first matrix or vector work


def layer_bounds(
    program: Program,
    events: Sequence[Event],
    suppliers: Sequence[Sequence[int]],
    beats: Mapping[str, int],
) -> dict[str, LayerBound]:
    """Return the bound of every layer that has matrix or vector work; none without events.

    suppliers: of each event, as in `tokens.signallers`; beats: of each layer on the DRAM port.
    """
    spent: dict[str, dict[tuple[str, str], int]] = {}
    starts: dict[str, int] = {}
    for place, event in enumerate(events):
        note = program.instructions[event.index].note
        if event.unit not in OWN_WORK or note >= len(program.notes):
            continue
        layer = program.notes[note].layer
        starts[layer] = min(event.start, starts.get(layer, event.start))
        by_cause = spent.setdefault(layer, {})
        for cause, cycles in causes(events, suppliers, place):
            by_cause[event.unit, cause] = by_cause.get((event.unit, cause), 0) + cycles
    return {
        layer: LayerBound(_bound(by_cause, beats.get(layer, 0)), _waits(by_cause), starts[layer])
        for layer, by_cause in spent.items()
        if by_cause
    }


def causes(
    events: Sequence[Event], suppliers: Sequence[Sequence[int]], place: int
) -> Iterator[tuple[str, int]]:
    """Yield an event's reasons and cycles; a semaphore is told as the unit that gave last."""
    for reason, cycles in events[place].spent.items():
        if reason == "semaphore" and suppliers[place]:
            last = max(suppliers[place], key=lambda i: events[i].end)
            yield f"for {events[last].unit}", cycles
        else:
            yield reason, cycles


def unit_causes(
    events: Sequence[Event], suppliers: Sequence[Sequence[int]]
) -> dict[str, dict[str, int]]:
    """Return, for each unit, its cycles by cause; what follows its last instruction is not told."""
    by_unit: dict[str, dict[str, int]] = {}
    for place, event in enumerate(events):
        own = by_unit.setdefault(event.unit, {})
        for cause, cycles in causes(events, suppliers, place):
            own[cause] = own.get(cause, 0) + cycles
    return by_unit


def _bound(by_cause: Mapping[tuple[str, str], int], beats: int) -> str:
    claims = {COMPUTE: 0, VECTOR: 0, DRAM: beats, BANKS: 0, SEQUENCER: 0}
    for unit, own in (("MX", COMPUTE), ("VX", VECTOR)):
        work = sum(by_cause.get((unit, reason), 0) for reason in OWN_WORK[unit])
        claims[own] = max(claims[own], work)
        waited: dict[str, int] = {}
        for (of, cause), cycles in by_cause.items():
            resource = _SUPPLIER.get(cause.removeprefix("for ")) or _REASON.get(cause)
            if of == unit and resource:
                waited[resource] = waited.get(resource, 0) + cycles
        for resource, cycles in waited.items():
            claims[resource] = max(claims[resource], cycles)
    return max(claims, key=lambda name: claims[name])


def _waits(by_cause: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Return what is no work, most cycles first."""
    waits = {
        f"{unit} {cause}": cycles
        for (unit, cause), cycles in by_cause.items()
        if cause != "busy" and cycles
    }
    return dict(sorted(waits.items(), key=lambda item: (-item[1], item[0])))
