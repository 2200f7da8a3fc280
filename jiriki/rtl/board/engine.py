"""BoardEngine: a Program on the gates of an FPGA board, or of a board in simulation.

In: a program for the engine's chip, its inputs, the board's port. Out: Runs with outputs, cycles
and counters; the cycles are true of the board's memory, which is not the memory that `dram_*` of
the chip describes. No port of a real board is needed where `simulation` is given as its name.
"""

import time

import numpy as np
from numpy.typing import NDArray

from jiriki.chip import ChipConfig
from jiriki.program import Engine, Entry, Placement, Program, Run
from jiriki.program.host import Parameters
from jiriki.rtl.board.host import TIMEOUT_S, ByteStream, HostLink, SerialPort
from jiriki.rtl.board.settings import BoardSettings
from jiriki.rtl.control import mailbox
from jiriki.rtl.engine import GatesPlacement
from jiriki.rtl.errors import BoardError

SIMULATION = "simulation"  # the port of a board that is not there
SIMULATED_S = 10e-3  # of its time, in which it answers: its line is faster
LIMIT_S = 3600.0  # that a program may take
RUNNING, OVERFLOW, PENDING, ERROR = 1, 2, 4, 8  # bits of STATUS
FINISHED = 8  # its first bit of the count of runs
OFF = 5e-3  # seconds between two looks at STATUS


class BoardEngine(Engine):
    """Runs programs on a board; its image of memory is that of the simulated gates.

    The line stays open while there is a session. A board holds one program at a time: when another
    one runs, the states of the former go to the host. A run takes `limit_s`, and raises
    ProgramError for what `program/host.py` refuses; BoardError when there is no board, it holds
    another chip, or it does not halt.
    """

    name = "board"

    def __init__(
        self, chip: ChipConfig, port: str | None = None, stream: ByteStream | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:  # fmt: skip
        super().__init__(chip)
        self.port, self.stream, self.timeout_s = port, stream, timeout_s
        self.repeats = 0  # requests of the last run that were sent again
        self.link: HostLink | None = None
        self.holds: _Board | None = None  # whose image lies in the board's memory

    def place(self, program: Program) -> Placement:
        """Keep the image; it is sent when the program runs."""
        return _Board(program, self)

    def opened(self) -> HostLink:
        """Return the link to the board, opened at the first use."""
        if self.link is None:
            if self.stream is not None:
                self.link = HostLink(self.stream, "the given stream", self.timeout_s)
            else:
                limit = SIMULATED_S if self.port == SIMULATION else self.timeout_s
                timeout_s = min(self.timeout_s, limit)
                self.link = HostLink(self._connect(), str(self.port), timeout_s)
        return self.link

    def closed(self, placement: "_Board") -> None:
        """Forget a placement; the last one closes the line, unless the stream was given."""
        if self.holds is placement:
            self.holds = None
        if not self._placed and self.link is not None:
            if self.stream is None:
                self.link.stream.close()
            self.link = None

    def greet(self, link: HostLink, size: int) -> None:
        """Make sure that the board holds this chip, has the memory, and is at rest."""
        board, wanted = link.ping(), self.chip.content_hash()
        if board.chip_hash != wanted:
            raise BoardError(
                f"board on {link.where} holds a chip with hash {board.chip_hash[:8]}, not "
                f"{self.chip.name} ({wanted[:8]}); load it with the bitstream of: "
                f"jiriki board --chip {self.chip.name}"
            )
        if size > board.memory_bytes:
            raise BoardError(
                f"the program needs {size} bytes of memory, the board on {link.where} has "
                f"{board.memory_bytes}; choose a smaller model"
            )
        if link.read_register(mailbox.STATUS) & (RUNNING | OVERFLOW | PENDING | ERROR):
            link.reset()

    def _connect(self) -> ByteStream:
        if self.port is None:
            raise BoardError(
                "engine board needs the board's serial port; pass --port, such as /dev/ttyUSB0, or "
                f"--port {SIMULATION}"
            )
        if self.port == SIMULATION:
            from jiriki.rtl.board.simulate import BoardSimulation

            return BoardSimulation(self.chip)
        return SerialPort(self.port, BoardSettings().baud)


class _Board(GatesPlacement):
    """A program that lies in a board's memory while it is the one that runs."""

    engine = BoardEngine.name
    options = ("limit_s",)

    def __init__(self, program: Program, board: BoardEngine) -> None:
        super().__init__(program, board.chip)
        self.board, self.lock = board, board.lock  # one line for all programs

    def write(self, address: int, data: NDArray[np.uint8]) -> None:
        """Write bytes of DRAM, in whole beats."""
        link = self._at_hand()
        first, end = self._beats(address, data.size)
        if end - first != data.size:
            whole = np.frombuffer(link.read_memory(first, end - first), np.uint8).copy()
            whole[address - first : address - first + data.size] = data
            data = whole
        link.write_memory(first, data.tobytes())

    def read(self, address: int, size: int) -> NDArray[np.uint8]:
        """Return a copy of bytes of DRAM, which come in whole beats."""
        first, end = self._beats(address, size)
        whole = np.frombuffer(self._at_hand().read_memory(first, end - first), np.uint8)
        return whole[address - first : address - first + size].copy()

    def start(self, entry: Entry, parameters: Parameters, *, limit_s: float = LIMIT_S) -> Run:
        """Run an entry to HALT."""
        link, before = self._at_hand(), self.board.opened().repeats
        for i, value in enumerate(parameters.values()):
            link.write_register(mailbox.PARAMETER + 4 * i, value & 0xFFFFFFFF)
        link.write_register(mailbox.PROGRAM, self.addresses[entry.name])
        link.write_register(mailbox.WORDS, len(self.program.code(entry)))
        try:
            self._start(link)
            self._finish(link, limit_s)
        except BaseException:
            self.board.holds = None  # what memory holds is not known
            raise
        run = self.counted(lambda address: count(link, address))
        self.board.repeats = link.repeats - before
        return run

    def close(self) -> None:
        """Leave the board."""
        self.board.closed(self)

    def _beats(self, address: int, size: int) -> tuple[int, int]:
        beat = self.chip.dram_bytes_per_cycle
        return address // beat * beat, -(-(address + size) // beat) * beat

    def _at_hand(self) -> HostLink:
        """Return the link to a board that holds this program's image, at rest."""
        link, former = self.board.opened(), self.board.holds
        if former is self:
            return link
        if former is not None:
            former.move_out()
        self.board.greet(link, self.memory.size)
        link.write_memory(0, self.memory.tobytes())
        self.board.holds = self
        return link

    def _start(self, link: HostLink) -> None:
        """Start the program once; when the reply is lost, STATUS says whether it began."""
        self.finished = link.read_register(mailbox.STATUS) >> FINISHED
        try:
            link.write_register(mailbox.CONTROL, 1, repeatable=False)
        except BoardError:
            status = link.read_register(mailbox.STATUS)
            if not status & RUNNING and status >> FINISHED == self.finished:
                raise

    def _finish(self, link: HostLink, limit_s: float) -> None:
        """Wait for HALT and for the last write to reach memory."""
        end = time.monotonic() + limit_s
        while True:
            status = link.read_register(mailbox.STATUS)
            for bit, why in (
                (OVERFLOW, "a semaphore overflowed"),
                (ERROR, "the program reached beyond memory"),
            ):
                if status & bit:
                    raise BoardError(f"board on {link.where}: {why}; compile the model again")
            if not status & (RUNNING | PENDING) and status >> FINISHED != self.finished:
                return
            if time.monotonic() > end:
                raise BoardError(
                    f"board on {link.where}: the program has not reached HALT within {limit_s:g} s"
                    f" ({count(link, mailbox.CYCLES):,} cycles)"
                )
            time.sleep(OFF)


def count(link: HostLink, address: int) -> int:
    """Return a 64-bit count of the mailbox."""
    return link.read_register(address) | link.read_register(address + 4) << 32
