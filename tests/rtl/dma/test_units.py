"""LD, ST and the DRAM port: the meanings' bytes and the contract's cycles."""

from dataclasses import replace

import numpy as np
import pytest

from jiriki.chip import load_chip
from jiriki.isa import Unit
from jiriki.rtl.dma import DramPort, LoadUnit
from jiriki.rtl.errors import RtlError
from tests.rtl.dma.bench import Plain, Trial, rng_of, run_gates
from tests.rtl.dma.streams import trial

WORLDS = [
    {},
    {"gaps": 0.9},
    {"refusals": 0.4},
    {"fetches": 0.3},
    {"gaps": 0.6, "refusals": 0.2, "fetches": 0.05},
]


def assert_as_in_the_contract(case: Trial) -> None:
    plain, machine = Plain(case), case.meaning()
    plain.run(case.limit)
    items = {u: [i for i in plain.items if i.work.instruction.unit is u] for u in plain.log}
    got = run_gates(case, {u: [i.issue for i in items[u]] for u in items})
    for unit in (Unit.LD, Unit.ST):
        assert got.start[unit] == [i.start for i in items[unit]], unit.name
        # the unit tells a FILL of one chunk done as it starts; its front notes that a cycle later
        ends = [
            max(own, i.start + 1) if i.work.op else own
            for own, i in zip(got.own[unit], items[unit], strict=True)
        ]
        assert ends == [i.own if i.work.op else i.start for i in items[unit]], unit.name
        cycles = min(plain.t, got.cycles)
        assert got.states[unit][:cycles] == plain.log[unit][:cycles], unit.name
    assert np.array_equal(got.sp, machine.sp)
    assert np.array_equal(got.dram, machine.dram)


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_random_streams_move_the_bytes_in_the_cycles_of_the_rules(world: dict):
    chip = load_chip("nano")
    for seed in range(6):
        assert_as_in_the_contract(trial(chip, rng_of(seed), 40, exact=True, **world))


OTHERS = {
    "os256": {},
    "vta256": {},
    "nano": {
        "dram_bytes_per_cycle": 8, "dram_burst_bytes": 128, "dram_bursts_in_flight": 3,
        "dram_latency_cycles": 5, "queue_depth": 3,
    },
    "e256": {
        "dram_bytes_per_cycle": 32, "dram_burst_bytes": 32, "dram_bursts_in_flight": 1,
        "dram_latency_cycles": 3, "queue_depth": 2,
    },
}  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("name", OTHERS)
def test_chips_of_other_sizes_do_so_too(name: str):
    chip = replace(load_chip(name), **OTHERS[name])
    for seed in range(25):
        world = WORLDS[seed % len(WORLDS)]
        assert_as_in_the_contract(trial(chip, rng_of(seed), 40, exact=True, **world))


def test_a_chip_beyond_the_bus_is_refused():
    with pytest.raises(RtlError, match="dram_latency_cycles = 2 leaves none"):
        DramPort(replace(load_chip("nano"), dram_latency_cycles=2))
    with pytest.raises(RtlError, match="bursts of 64 bytes in beats of 2"):
        LoadUnit(replace(load_chip("nano"), dram_bytes_per_cycle=2))


def test_any_memory_gives_the_same_bytes():
    chip = load_chip("nano")
    for seed in range(4):
        case = trial(chip, rng_of(100 + seed), 40, exact=False, gaps=0.5, refusals=0.1)
        plain, machine = Plain(case), case.meaning()
        plain.run(case.limit)
        issue = {
            u: [i.issue for i in plain.items if i.work.instruction.unit is u] for u in plain.log
        }
        got = run_gates(case, issue, stall=1 + seed)
        assert np.array_equal(got.sp, machine.sp)
        assert np.array_equal(got.dram, machine.dram)
