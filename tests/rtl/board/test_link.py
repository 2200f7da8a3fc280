"""The real host against the gates of a board, bit by bit over the serial line.

The board's tile has no MX and no VX here (`mover.py`): programs of LD and ST run for real.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jiriki.chip import load_chip
from jiriki.isa.control import Fence, Halt, Wait
from jiriki.isa.dma.instructions import Ld, St
from jiriki.isa.fields import Sync, Unit
from jiriki.program import Binding, Entry, Program, Segment, State
from jiriki.rtl.board.engine import BoardEngine
from jiriki.rtl.board.frames import Code, request
from jiriki.rtl.board.host import HostLink
from jiriki.rtl.board.simulate import FAST, BoardSimulation, core_library
from jiriki.rtl.control import mailbox
from jiriki.rtl.errors import BoardError
from jiriki.sim.functional import FunctionalEngine
from tests.rtl.board.mover import Mover

CHIP = load_chip("ulx3s")
TIMEOUT_S = 10e-3  # of the board's time; 1 KiB takes 3.3 ms


@pytest.fixture(scope="module")
def library() -> Path:
    return core_library(Mover(CHIP, FAST), "test-board-mover")


@pytest.fixture
def board(library: Path) -> Iterator[BoardSimulation]:
    with BoardSimulation(CHIP, library=library) as simulation:
        yield simulation


class Noise:
    """A byte stream that damages bytes: `change` sees each byte's number since the start."""

    def __init__(self, board: BoardSimulation, sent=lambda i, b: [b], heard=lambda i, b: [b]):
        self.board, self.sent, self.heard = board, sent, heard
        self.n_sent = self.n_heard = 0

    def write(self, data: bytes) -> None:
        out = b"".join(bytes(self.sent(self.n_sent + i, b)) for i, b in enumerate(data))
        self.n_sent += len(data)
        self.board.write(out)

    def read(self, n: int, timeout_s: float) -> bytes:
        data = self.board.read(n, timeout_s)
        out = b"".join(bytes(self.heard(self.n_heard + i, b)) for i, b in enumerate(data))
        self.n_heard += len(data)
        return out

    def close(self) -> None:
        self.board.close()


def link(stream: BoardSimulation | Noise) -> HostLink:
    return HostLink(stream, "the simulation", TIMEOUT_S)


def moves(seed: int, size: int = 1024) -> Program:
    """A program that copies pieces of its first half into its second, through the scratchpad."""
    rng = np.random.default_rng(seed)
    code = []
    for _ in range(8):
        run = int(rng.integers(1, 200))
        at, to = (int(rng.integers(0, size // 2 - run)) for _ in range(2))
        code += [Ld.new(dram=at, sp=256, run=run), Fence.new()]
        code += [St.new(dram=size // 2 + to, sp=256, run=run), Fence.new()]
    image = rng.integers(0, 256, size // 2).astype(np.uint8).tobytes()
    output = Binding("moved", 0, (size // CHIP.ku, CHIP.ku), 1, "int8", "int8")
    return program(*code, segments=(Segment(0, image),), size=size, outputs=(output,))


def program(*code, segments=(), size: int = 64, outputs=()) -> Program:
    return Program(
        "moves", CHIP.name, CHIP.content_hash(), (*code, Halt.new()), segments, size,
        (Entry(outputs=outputs),),
    )  # fmt: skip


def moved(program: Program) -> np.ndarray:
    """What the functional simulator makes of it."""
    outputs = FunctionalEngine(CHIP).run(program).outputs
    assert outputs is not None
    return outputs["moved"]


def engine(stream: BoardSimulation | Noise) -> BoardEngine:
    return BoardEngine(CHIP, stream=stream, timeout_s=TIMEOUT_S)


@pytest.mark.parametrize("line_error", [0.0, 0.02, -0.02])
def test_memory_keeps_what_the_host_writes(library: Path, line_error: float) -> None:
    data = np.random.default_rng(1).integers(0, 256, 1024).astype(np.uint8).tobytes()
    with BoardSimulation(CHIP, library=library, line_error=line_error) as board:
        host = link(board)
        for address in (0x12340, FAST.sdram.memory_bytes - len(data)):
            host.write_memory(address, data)
            assert host.read_memory(address, len(data)) == data
            assert board.cells()[address : address + len(data)].tobytes() == data
        assert host.repeats == 0


def test_a_board_says_who_it_is(board: BoardSimulation) -> None:
    identity = link(board).ping()
    assert (identity.memory_bytes, identity.clock_hz) == (32 * 1024 * 1024, 25_000_000)
    assert identity.chip_hash == CHIP.content_hash()


@pytest.mark.parametrize("seed", range(3))
def test_programs_run_on_the_board_as_on_the_functional_simulator(
    board: BoardSimulation, seed: int
) -> None:
    run = engine(board).run(moves(seed))
    assert run.outputs is not None and np.array_equal(run.outputs["moved"], moved(moves(seed)))
    assert run.cycles is not None and run.cycles > 100
    assert board.lights & 0b11111 == 0b10010  # halted, memory initialised, no error


@pytest.mark.parametrize("at", [0, 1, 3, 5, 9, 300, 1033])
@pytest.mark.parametrize("kind", ["changed", "lost", "doubled"])
def test_a_byte_damaged_on_its_way_to_the_board_changes_nothing(
    board: BoardSimulation, at: int, kind: str
) -> None:
    def damage(i: int, byte: int) -> list[int]:
        kinds = {"changed": [byte ^ 4], "lost": [], "doubled": [byte, byte]}
        return kinds[kind] if i == at else [byte]

    data = bytes(range(256)) * 4
    host = link(Noise(board, sent=damage))
    host.write_memory(0x400, data)
    assert host.repeats == 1 or (kind, at) == ("doubled", 0)
    cells = board.cells()
    assert cells[0x400:0x800].tobytes() == data
    assert not cells[:0x400].any() and not cells[0x800:].any()


@pytest.mark.parametrize("at", [0, 2, 3, 4, 5, 300, 1030])
def test_a_byte_damaged_on_its_way_to_the_host_is_asked_for_again(
    board: BoardSimulation, at: int
) -> None:
    data = bytes(reversed(range(256))) * 4
    link(board).write_memory(0, data)
    host = link(Noise(board, heard=lambda i, byte: [byte ^ 1] if i == at else [byte]))
    assert host.read_memory(0, len(data)) == data
    assert host.repeats == 1


def test_a_line_that_damages_everything_is_told(board: BoardSimulation) -> None:
    host = link(Noise(board, sent=lambda i, byte: [byte ^ 0x10] if i % 13 == 6 else [byte]))
    with pytest.raises(BoardError, match="4 requests in a row arrived damaged; check the cable"):
        host.ping()


def test_a_start_whose_reply_is_lost_is_not_repeated(board: BoardSimulation) -> None:
    image, stream = moves(5), Noise(board)
    starts = []

    def lose(i: int, byte: int) -> list[int]:
        return [byte ^ 1] if starts and i < starts[0] + 10 else [byte]

    def watch(host: HostLink, write=HostLink.write_register) -> None:
        def noted(address: int, value: int, repeatable: bool = True) -> None:
            if address == mailbox.CONTROL:
                starts.append(stream.n_heard)
            write(host, address, value, repeatable)

        host.write_register = noted

    stream.heard = lose
    gates = engine(stream)
    greet = gates.greet
    gates.greet = lambda host, size: (watch(host), greet(host, size))[1]
    run = gates.run(image)
    assert run.outputs is not None and np.array_equal(run.outputs["moved"], moved(image))
    assert len(starts) == 1 and link(board).read_register(mailbox.STATUS) >> 8 == 1


@pytest.mark.parametrize(
    ("code", "address", "length"),
    [
        (Code.READ_MEMORY, 0, 1028), (Code.READ_MEMORY, 2, 16), (Code.READ_MEMORY, 0, 6),
        (Code.READ_MEMORY, 32 << 20, 16), (Code.READ_MEMORY, (32 << 20) - 16, 32),
        (Code.READ_REGISTER, 2, 0), (Code.READ_REGISTER, 4096, 0), (0x07, 0, 0),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused(
    board: BoardSimulation, code: int, address: int, length: int
) -> None:
    board.write(request(9, code, address, length=length))
    assert board.read(9, TIMEOUT_S)[:5] == bytes([0x5A, 9, 3, 0, 0])
    assert board.lights & 8
    assert link(board).ping().version == 1


def test_a_board_with_another_chip_is_refused(board: BoardSimulation) -> None:
    other = replace(CHIP, name="other", acc_rows=256)
    program = Program("p", "other", other.content_hash(), (Halt.new(),), (), 64, (Entry(),))
    with pytest.raises(BoardError, match=rf"hash {CHIP.content_hash()[:8]}, not other \("):
        BoardEngine(other, stream=board, timeout_s=TIMEOUT_S).run(program)


def test_a_program_that_hangs_is_told_and_the_next_one_runs(board: BoardSimulation) -> None:
    hangs = program(Wait.new(Unit.LD, wait=Sync(3, 2)), Fence.new())
    with pytest.raises(BoardError, match=r"has not reached HALT within 0.2 s \([0-9,]+ cycles\)"):
        engine(board).run(hangs, limit_s=0.2)
    assert board.lights & 1
    run = engine(board).run(moves(1))
    assert run.outputs is not None and np.array_equal(run.outputs["moved"], moved(moves(1)))


def test_a_program_beyond_memory_is_told_and_the_next_one_runs(board: BoardSimulation) -> None:
    with pytest.raises(BoardError, match="the program reached beyond memory"):
        engine(board).run(program(Ld.new(dram=32 << 20, sp=0, run=64), Fence.new()))
    assert board.lights & 4
    run = engine(board).run(moves(2))
    assert run.outputs is not None and np.array_equal(run.outputs["moved"], moved(moves(2)))
    assert not board.lights & 4


def test_the_button_resets_a_board_in_mid_program(board: BoardSimulation) -> None:
    hangs = program(Wait.new(Unit.LD, wait=Sync(3, 2)), Fence.new())
    with pytest.raises(BoardError, match="has not reached HALT"):
        engine(board).run(hangs, limit_s=0.01)
    board.press(True)
    board.wait(1e-5)
    assert board.lights == 0b10000  # memory goes on
    board.press(False)
    board.wait(1e-5)
    run = engine(board).run(moves(3))
    assert run.outputs is not None and np.array_equal(run.outputs["moved"], moved(moves(3)))


def test_a_silent_port_is_told() -> None:
    class Silence:
        def write(self, data: bytes) -> None: ...
        def read(self, n: int, timeout_s: float) -> bytes:
            return b""

        def close(self) -> None: ...

    with pytest.raises(BoardError, match=r"no answer within 0.01 s; is it powered"):
        HostLink(Silence(), "/dev/ttyUSB0", TIMEOUT_S).ping()


def test_no_port_is_told() -> None:
    with pytest.raises(BoardError, match="pass --port, such as /dev/ttyUSB0"):
        BoardEngine(CHIP).run(moves(0))


def test_states_stay_on_the_board_and_move_out_for_another_program(board: BoardSimulation) -> None:
    """`shift` keeps eight bytes and gives those before; `moves` takes the board's memory."""
    code = (
        Ld.new(dram=8, sp=0, run=8), Ld.new(dram=0, sp=8, run=8), Fence.new(),
        St.new(dram=24, sp=0, run=8), St.new(dram=8, sp=8, run=8), Fence.new(), Halt.new(),
    )  # fmt: skip
    x, state, before = (
        Binding(name, at, (2, 4), 1, "int8", "int8")
        for name, at in (("x", 0), ("last", 8), ("before", 24))
    )
    shift = Program(
        "shift", CHIP.name, CHIP.content_hash(), code, (), 36, (Entry((x,), (before,)),),
        (State(state, bytes(range(8))),),
    )  # fmt: skip
    rows = np.arange(24, dtype=np.int8).reshape(3, 2, 4)
    fpga = engine(board)
    with fpga.load(shift) as session, fpga.load(moves(4)) as other:
        seen = [session.run({"x": rows[0]}).outputs, session.run({"x": rows[1]}).outputs]
        assert np.array_equal((other.run().outputs or {})["moved"], moved(moves(4)))
        seen.append(session.run({"x": rows[2]}).outputs)
        assert np.array_equal(session.read("last"), rows[2])
    expected = [np.arange(8, dtype=np.int8).reshape(2, 4), rows[0], rows[1]]
    assert all(np.array_equal(a["before"], b) for a, b in zip(seen, expected, strict=True) if a)
    assert fpga.link is None
