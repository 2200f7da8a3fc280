"""Synchronisation: what must be ordered is, what is implied costs nothing, tokens balance."""

from collections import Counter
from dataclasses import replace

import pytest

from jiriki.chip import load_chip
from jiriki.emit import OutOfMemory, emit
from jiriki.emit.schedule import schedule
from jiriki.emit.sync import semaphore_of, synchronise
from jiriki.isa.fields import Unit
from jiriki.program.check import check
from jiriki.tiling.cut import Plan, cut_graph
from jiriki.tiling.tile_program import Area, Buffer, Move, Space, TableTile, TileOp
from tests.agree.networks import random_network

CHIP, NANO = load_chip("e256"), load_chip("nano")


def move(load: bool, dram: Buffer, sp: Buffer) -> Move:
    reads, writes = (Area(dram),), (Area(sp),)
    if not load:
        reads, writes = writes, reads
    return Move(layer=0, load=load, dram=dram, sp=sp, run=16, reads=reads, writes=writes)


def test_a_store_waits_for_the_load_it_forwards_and_the_next_load_for_the_store() -> None:
    dram, sp = Buffer("d", Space.DRAM, 16), Buffer("s", Space.SCRATCHPAD, 16)
    ops: tuple[TileOp, ...] = (move(True, dram, sp), move(False, dram, sp), move(True, dram, sp))
    tokens = synchronise(schedule(ops, CHIP, lookahead=0), CHIP)
    forward, back = semaphore_of(Unit.LD, Unit.ST), semaphore_of(Unit.ST, Unit.LD)
    assert [t.waits for t in tokens] == [(), (forward,), (back,)]
    assert [t.signals for t in tokens] == [(forward,), (back,), ()]


def test_independent_moves_carry_no_tokens() -> None:
    ops = tuple(
        move(i == 0, Buffer("d", Space.DRAM, 16), Buffer("s", Space.SCRATCHPAD, 16))
        for i in range(2)
    )
    assert all(not t.waits and not t.signals for t in synchronise(schedule(ops, CHIP, 0), CHIP))


@pytest.mark.parametrize("seed", range(8))
def test_every_token_given_is_taken(seed: int) -> None:
    graph = random_network(seed, 1 + seed % 5)
    tokens = synchronise(schedule(cut_graph(graph, CHIP, Plan(65536, 65536)).ops, CHIP, 100), CHIP)
    signalled = Counter(s for t in tokens for s in t.signals)
    assert signalled == Counter(s for t in tokens for s in t.waits)


def test_prefetch_issues_loads_early_and_keeps_the_order_of_the_rest() -> None:
    ops = cut_graph(random_network(3, 4), CHIP, Plan(0, 0)).ops
    early = schedule(ops, CHIP, lookahead=50).order
    late = [op for op in ops if not (isinstance(op, Move) and op.load)]
    rest = [op for op in early if not (isinstance(op, Move) and op.load)]
    assert [op for op in late if op in rest] == rest
    loads = [early.index(op) for op in early if isinstance(op, Move) and op.load]
    plain = schedule(ops, CHIP, lookahead=0).order
    without = [plain.index(op) for op in plain if isinstance(op, Move) and op.load]
    assert sum(loads) < sum(without), "prefetch moved no load forward"


def test_what_cannot_live_together_is_refused() -> None:
    size = CHIP.scratchpad_bytes
    dram = Buffer("d", Space.DRAM, size)
    first, second = (Buffer("s", Space.SCRATCHPAD, size) for _ in range(2))
    ops = (move(True, dram, first), move(True, dram, second), move(False, dram, first))
    with pytest.raises(OutOfMemory, match="scratchpad bytes beside"):
        schedule(ops, CHIP, 0)


@pytest.mark.parametrize("semaphores", [2, 3, 8, 15])
@pytest.mark.parametrize("most", [1, 2, 15])
@pytest.mark.parametrize("queue_depth", [1, 32])
def test_few_and_small_semaphores_still_order_everything(
    semaphores: int, most: int, queue_depth: int
) -> None:
    """The static checker, which knows nothing of the compiler, finds no race and no overflow."""
    chip = replace(
        NANO, name="few", semaphores=semaphores, semaphore_max=most, queue_depth=queue_depth
    )
    for seed in (0, 3, 5):
        graph = random_network(seed, 1 + seed % 4)
        check(emit(cut_graph(graph, chip, Plan(16384, 16384)), graph, chip), chip)


def test_enough_semaphores_need_no_fence() -> None:
    ops = cut_graph(random_network(5, 4), CHIP, Plan(65536, 65536)).ops
    assert not any(tokens.fence for tokens in synchronise(schedule(ops, CHIP, 400), CHIP))


def test_a_pair_without_a_semaphore_is_fenced_and_the_most_used_pair_is_not() -> None:
    two = replace(CHIP, name="two", semaphores=2)
    dram, place = Buffer("d", Space.DRAM, 16), Buffer("s", Space.SCRATCHPAD, 16)
    ops: list[TileOp] = [move(i % 2 == 0, dram, place) for i in range(4)]
    elsewhere = Buffer("s2", Space.SCRATCHPAD, 16)
    table = TableTile(
        layer=0, table=place, segment=False, reads=(Area(place),), writes=(Area(elsewhere),)
    )
    tokens = synchronise(schedule((*ops, table), two, lookahead=0), two)
    assert [t.fence for t in tokens] == [False, False, False, False, True]
    assert [t.waits for t in tokens] == [(), (0,), (1,), (0,), ()]
