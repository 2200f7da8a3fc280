"""The whole tile in gates: bits of the functional simulator, cycles of the timing simulator.

Random programs without races (`programs.py`, which says what of their memory is compared when) and
a trained network, on all units at once; what a user sees when something is wrong. One simulation
library a chip, kept by its content.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jiriki.cli.screen import Screen
from jiriki.compiler import compile_graph
from jiriki.isa.control import Fence, Halt, Wait
from jiriki.isa.dma.instructions import Ld
from jiriki.isa.fields import Sync, Unit
from jiriki.models import Reading, open_model
from jiriki.program import Entry, Program, ProgramError
from jiriki.program.check import check
from jiriki.program.program import MAIN
from jiriki.rtl.engine import GatesEngine, memory_with_words
from jiriki.rtl.errors import RtlError
from jiriki.rtl.simulate.tile import TileSimulation
from jiriki.sim.timing import TimingEngine
from tests.rtl.lockstep import NANO, PHASES, RARE, VALUES, agrees_when_slow, simulated, verified
from tests.rtl.pieces import PARAMETERS
from tests.rtl.programs import gates_program


def hand_made(*instructions, dram_bytes: int = 4096) -> Program:
    return Program(
        "hand-made", NANO.name, NANO.content_hash(), (*instructions, Halt.new()), (), dram_bytes,
        (Entry(),),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_agree_in_every_bit_and_cycle(seed: int) -> None:
    program = gates_program(seed, NANO)
    check(program, NANO, PARAMETERS)
    verification = verified(program, NANO, PARAMETERS)
    assert verification.agrees, verification


@pytest.mark.parametrize("seed", RARE)
def test_programs_that_do_what_is_rare_agree(seed: int) -> None:
    verification = verified(gates_program(seed, NANO, PHASES), NANO, PARAMETERS)
    assert verification.agrees, verification


@pytest.mark.full
@pytest.mark.parametrize("block", range(50))
def test_many_random_programs_agree(block: int) -> None:
    for seed in range(1000 + 100 * block, 1100 + 100 * block):
        program = gates_program(seed, NANO, PHASES)
        check(program, NANO, PARAMETERS)
        verification = verified(program, NANO, PARAMETERS)
        assert verification.agrees, (seed, verification)


def test_digits_run_on_the_gates_as_on_the_simulators() -> None:
    model = open_model("digits", Reading(), Screen("test", as_json=True))
    program = compile_graph(model.graph(), NANO)
    assert model.zoo is not None
    for photo in model.zoo.photos()[:3]:
        verification = verified(program, NANO, model.zoo.prepare(photo.data))
        assert verification.agrees and verification.elements == 10, (photo.name, verification)


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_a_slow_memory_changes_no_bit(share: float) -> None:
    reference = simulated(gates_program(77, NANO), NANO, PARAMETERS)
    assert agrees_when_slow(reference, share, seed=5)


def test_a_reset_in_mid_program_leaves_a_tile_that_works() -> None:
    program = gates_program(78, NANO)
    expected = TimingEngine(NANO).run(program, PARAMETERS).cycles
    with TileSimulation(NANO) as tile:
        for stop in (313, 2791):
            memory, addresses = memory_with_words(program, NANO, program.image())
            tile.memory(memory)
            tile.start(addresses[MAIN], len(program.instructions), VALUES)
            assert not tile.advance(stop)
            tile.reset()
        memory, addresses = memory_with_words(program, NANO, program.image())
        tile.memory(memory)
        tile.start(addresses[MAIN], len(program.instructions), VALUES)
        assert tile.advance(1_000_000)
        assert tile.cycles == expected


def test_a_program_that_hangs_is_told_with_queues_and_semaphores() -> None:
    program = hand_made(Wait.new(Unit.MX, wait=Sync(3, 2)), Fence.new())
    with pytest.raises(RtlError, match=r"nothing happens .*MX 1 sent, 0 started \(its next waits"):
        GatesEngine(NANO).run(program)


def test_a_program_beyond_its_memory_is_told() -> None:
    program = hand_made(Ld.new(dram=1 << 20, sp=0, run=64), Fence.new())
    with pytest.raises(RtlError, match="reaches memory byte 1048576 of"):
        GatesEngine(NANO).run(program)


def test_a_program_of_another_chip_is_refused() -> None:
    other = replace(NANO, name="other", acc_rows=256)
    with pytest.raises(ProgramError, match=r"emitted for nano \(.*not for other \("):
        GatesEngine(other).run(hand_made())


def test_an_image_too_large_is_refused() -> None:
    program = hand_made(dram_bytes=(1 << 32) - 8)
    with pytest.raises(RtlError, match="needs 4294967360 bytes of memory"):
        GatesEngine(NANO).run(program)


def test_a_waveform_holds_its_window(tmp_path: Path) -> None:
    program = hand_made(Ld.new(dram=0, sp=0, run=64), Fence.new())
    file = tmp_path / "wave.vcd"
    GatesEngine(NANO).run(program, waveform=(file, 100, 140))
    text = file.read_text()
    assert "$enddefinitions" in text and text.count("\n#") == 80
