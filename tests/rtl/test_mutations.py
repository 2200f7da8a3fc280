"""Planted bugs are caught: in every unit of the tile, by a few random programs.

All mutants are in one simulation (`planting.py`), which is compiled once: in `make test-full`.
`make test` looks that each still finds its place in the design. `python -m bench.gates_mutants`
prints which program catches which, and by what.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from amaranth.hdl import Fragment

from jiriki.rtl.simulate import tile
from jiriki.rtl.tile import Tile
from tests.rtl.lockstep import NANO, differences
from tests.rtl.mutations import MUTATIONS, SEEDS
from tests.rtl.planting import choose, mutants_library, planted

UNITS = (
    "sequencer", "fetch", "front", "semaphores", "scratchpad", "LD", "ST", "port", "MX decode",
    "MX walk", "MX pixels", "MX gather", "MX issue", "MX operands", "MX element", "MX drain",
    "VX walk", "VX operands", "VX alu", "VX function", "VX reduce", "VX output", "VX steering",
    "counters", "mailbox",
)  # fmt: skip


@pytest.fixture
def mutant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Let the gates be a mutant."""
    library = mutants_library(NANO, MUTATIONS)
    monkeypatch.setattr(tile, "tile_library", lambda chip: library)
    choose(library, request.param)
    yield request.param
    choose(library, 0)


def test_every_unit_has_its_mutants() -> None:
    assert {mutation.unit for mutation in MUTATIONS} == set(UNITS)


def test_every_mutation_has_its_place_in_the_design() -> None:
    """And what stands in for it there can be evaluated."""
    with planted(MUTATIONS):
        Fragment.get(Tile(NANO), None)


@pytest.mark.full
@pytest.mark.parametrize("mutant", [0], indirect=True)
def test_without_a_mutation_the_programs_find_nothing(mutant: int) -> None:
    assert [seed for seed in range(SEEDS) if differences(seed)] == []


@pytest.mark.full
@pytest.mark.parametrize("mutant", range(1, len(MUTATIONS) + 1), indirect=True)
def test_random_programs_catch_the_mutant(mutant: int) -> None:
    caught = any(differences(seed) for seed in range(SEEDS))
    assert caught, f"{MUTATIONS[mutant - 1]} is not caught by {SEEDS} programs"
