"""Issue order and addresses of whole programs, held against the order and sizes of the tiles.

The reference is counted here, element by element of memory, from the operations as they were cut:
an operation that reads after another wrote stays after it, and no two living buffers share a byte.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from jiriki import load_model
from jiriki.chip import ChipConfig, load_chip
from jiriki.emit.schedule import Schedule, schedule
from jiriki.graph import Graph
from jiriki.tiling.cut import Plan, cut_graph
from jiriki.tiling.tile_program import Area, Buffer, Space, TileOp
from tests.agree.networks import random_network

PLANS = (Plan(0, 0), Plan(16384, 16384), Plan(65536, 65536))


def conflicts(earlier: TileOp, later: TileOp) -> bool:
    """Tell whether one of two operations writes elements that the other touches."""

    def meet(ones: Sequence[Area], others: Sequence[Area]) -> bool:
        return any(
            a.buffer is b.buffer
            and max(a.g0, b.g0) < min(a.g1, b.g1)
            and max(a.p0, b.p0) < min(a.p1, b.p1)
            for a in ones
            for b in others
        )

    return meet(earlier.writes, (*later.reads, *later.writes)) or meet(earlier.reads, later.writes)


def check_order(ops: Sequence[TileOp], result: Schedule) -> int:
    """Check that conflicting operations keep their order; return how many pairs there are."""
    place = {id(op): i for i, op in enumerate(result.order)}
    assert len(place) == len(result.order), "an operation is issued twice"
    users: dict[Buffer, list[TileOp]] = defaultdict(list)
    pairs = 0
    for op in ops:
        if id(op) not in place:
            continue
        for buffer in {area.buffer for area in (*op.reads, *op.writes)}:
            for before in users[buffer]:
                if conflicts(before, op):
                    pairs += 1
                    assert place[id(before)] < place[id(op)], f"{op} before {before}"
            users[buffer].append(op)
    return pairs


def check_places(result: Schedule, chip: ChipConfig) -> float:
    """Check that no byte or row has two living owners; return the most that was in use."""
    sizes = {Space.SCRATCHPAD: chip.scratchpad_bytes, Space.ACC: chip.acc_rows}
    life: dict[Buffer, list[int]] = {}
    for now, op in enumerate(result.order):
        for area in (*op.reads, *op.writes):
            if area.buffer.space in sizes:
                life.setdefault(area.buffer, [now, now])[1] = now
    fullest = 0.0
    for space, size in sizes.items():
        owner = np.full(size, -1)
        starts, ends = defaultdict(list), defaultdict(list)
        for index, (buffer, (first, last)) in enumerate(life.items()):
            if buffer.space is space:
                at = result.address[buffer]
                assert at >= 0 and at + buffer.size <= size, f"{buffer.name} leaves the {space}"
                starts[first].append((index, at, at + buffer.size))
                ends[last].append((at, at + buffer.size))
        for now in range(len(result.order)):
            for index, low, high in starts[now]:
                assert (owner[low:high] == -1).all(), f"buffer at {low} is another's at {now}"
                owner[low:high] = index
            fullest = max(fullest, float((owner >= 0).mean()))
            for low, high in ends[now]:
                owner[low:high] = -1
    return fullest


def check_schedule(graph: Graph, chip: ChipConfig, plan: Plan, lookahead: int) -> tuple[int, float]:
    ops = cut_graph(graph, chip, plan).ops
    result = schedule(ops, chip, lookahead)
    return check_order(ops, result), check_places(result, chip)


@pytest.mark.parametrize("chip", ["nano", "e256", "vta256", "os256"])
@pytest.mark.parametrize("seed", range(6))
def test_random_networks_keep_their_order_and_places(chip: str, seed: int) -> None:
    graph = random_network(seed, 1 + seed % 5)
    for plan in PLANS:
        pairs, fullest = check_schedule(graph, load_chip(chip), plan, lookahead=100)
        assert pairs and 0 < fullest <= 1


@pytest.mark.parametrize("seed", range(6))
def test_a_small_scratchpad_is_filled_and_nothing_in_it_lost(seed: int) -> None:
    chip = replace(load_chip("nano"), name="small", scratchpad_bytes=12288)
    _, fullest = check_schedule(random_network(seed, 4), chip, Plan(0, 0), lookahead=200)
    assert fullest > 0.7


@pytest.mark.parametrize("lookahead", [0, 8, 200])
def test_a_zoo_network_keeps_its_order_and_places(lookahead: int) -> None:
    graph = load_model("digits").graph()
    pairs, fullest = check_schedule(graph, load_chip("nano"), PLANS[1], lookahead)
    assert pairs > 20 and fullest > 0


def test_the_checks_see_what_they_are_for() -> None:
    """A schedule with two operations exchanged, and one with two buffers at one place."""
    chip = load_chip("nano")
    ops = cut_graph(random_network(2, 3), chip, PLANS[1]).ops
    result = schedule(ops, chip, 0)
    reversed_order = Schedule(result.order[::-1], result.units, result.reuse, result.address)
    with pytest.raises(AssertionError, match="before"):
        check_order(ops, reversed_order)
    same = Schedule(result.order, result.units, result.reuse, dict.fromkeys(result.address, 0))
    with pytest.raises(AssertionError, match="is another's"):
        check_places(same, chip)
