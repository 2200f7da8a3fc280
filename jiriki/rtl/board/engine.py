"""BoardEngine: a Program on the gates of an FPGA board, or of a board in simulation.

In: a Program for the engine's chip, its inputs, the board's port. Out: a `Run` with outputs, cycles
and counters; the cycles are true of the board's memory, which is not the memory that `dram_*` of
the chip describes. No port of a real board is needed where `simulation` is given as its name.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from jiriki.chip import ChipConfig
from jiriki.program import Program, Run
from jiriki.program.binding import binding_bytes
from jiriki.program.host import Inputs, host_image
from jiriki.rtl.board.host import TIMEOUT_S, ByteStream, HostLink, SerialPort
from jiriki.rtl.board.settings import BoardSettings
from jiriki.rtl.control import mailbox
from jiriki.rtl.engine import GatesEngine
from jiriki.rtl.errors import BoardError

SIMULATION = "simulation"  # the port of a board that is not there
SIMULATED_S = 10e-3  # of its time, in which it answers: its line is faster
LIMIT_S = 3600.0  # that a program may take
RUNNING, OVERFLOW, PENDING, ERROR = 1, 2, 4, 8  # bits of STATUS
FINISHED = 8  # its first bit of the count of runs
OFF = 5e-3  # seconds between two looks at STATUS


class BoardEngine(GatesEngine):
    """Runs programs on a board; its image of memory is that of the simulated gates."""

    name = "board"

    def __init__(
        self, chip: ChipConfig, port: str | None = None, stream: ByteStream | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:  # fmt: skip
        super().__init__(chip)
        self.port, self.stream, self.timeout_s = port, stream, timeout_s
        self.repeats = 0  # requests of the last run that were sent again

    def run(
        self, program: Program, inputs: Inputs | None = None,
        limit_s: float = LIMIT_S,
    ) -> Run:  # fmt: skip
        """Return outputs, cycles and counters.

        Raises ProgramError for what `program/host.py` refuses; BoardError when there is no board,
        it holds another chip, or it does not halt.
        """
        began = time.perf_counter()
        image, parameters = host_image(program, self.chip, inputs)
        memory, address = self.memory(program, image)
        with self._open() as link:
            self._greet(link, memory.size)
            link.write_memory(0, memory.tobytes())
            for i, value in enumerate(parameters.values()):
                link.write_register(mailbox.PARAMETER + 4 * i, value & 0xFFFFFFFF)
            link.write_register(mailbox.PROGRAM, address)
            link.write_register(mailbox.WORDS, len(program.instructions))
            self._start(link)
            self._finish(link, limit_s)
            for binding in program.outputs:
                self._fetch(link, memory, binding.address, binding_bytes(binding, self.chip.ku))
            done = self._run(program, memory, lambda address: count(link, address))
            self.repeats = link.repeats
        return replace(done, parameters=parameters, wall_s=time.perf_counter() - began)

    @contextmanager
    def _open(self) -> Iterator[HostLink]:
        """Yield the link; a stream that was given stays open."""
        if self.stream is not None:
            yield HostLink(self.stream, "the given stream", self.timeout_s)
            return
        stream, timeout_s = self._connect(), self.timeout_s
        if self.port == SIMULATION:
            timeout_s = min(timeout_s, SIMULATED_S)
        try:
            yield HostLink(stream, str(self.port), timeout_s)
        finally:
            stream.close()

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

    def _greet(self, link: HostLink, size: int) -> None:
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

    def _fetch(self, link: HostLink, memory: np.ndarray, address: int, size: int) -> None:
        """Bring the beats of a range into `memory`."""
        beat = self.chip.dram_bytes_per_cycle
        first, end = address // beat * beat, -(-(address + size) // beat) * beat
        memory[first:end] = np.frombuffer(link.read_memory(first, end - first), np.uint8)


def count(link: HostLink, address: int) -> int:
    """Return a 64-bit count of the mailbox."""
    return link.read_register(address) | link.read_register(address + 4) << 32
