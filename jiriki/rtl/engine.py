"""GatesEngine: a Program on the simulated gates; values and cycles, the third engine.

In: a program for the engine's chip and its inputs. Out: Runs with outputs, cycles, counters and
events. The words of each entry are placed behind the program's image, at a multiple of a burst; the
simulation lives as long as a session of the program.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jiriki.chip import ChipConfig
from jiriki.isa.encoding import WORD_BYTES, encode_program
from jiriki.isa.fields import Unit
from jiriki.program import Engine, Entry, Event, Placement, Program, Run
from jiriki.program.host import Parameters
from jiriki.program.stream import work_of
from jiriki.rtl.control import mailbox
from jiriki.rtl.control.mailbox import Count, port_beats, unit_counters
from jiriki.rtl.control.sequencer import UNITS
from jiriki.rtl.errors import RtlError
from jiriki.rtl.simulate.tile import Log, TileSimulation

STEP_CYCLES = 50_000  # between two reports of progress
MAX_CYCLES = 4_000_000_000


class GatesEngine(Engine):
    """Runs programs on the gates of one chip, compiled once (the first use takes a while).

    A run takes `events=True` (every instruction's life), `waveform` (VCD file, first cycle, end),
    `max_cycles` and `progress`. It raises ProgramError for what `program/host.py` refuses, RtlError
    for a program that hangs (with the state of its queues) or passes max_cycles.
    """

    name = "rtl"

    def place(self, program: Program) -> Placement:
        """Lay image and words into the memory of a new simulation."""
        return _Simulation(program, self.chip)


class GatesPlacement(Placement):
    """What all gates share: the image with the words behind it, and counts that make a Run."""

    engine: ClassVar[str]

    def __init__(self, program: Program, chip: ChipConfig) -> None:
        super().__init__(program, chip)
        self.memory, self.addresses = memory_with_words(program, chip, program.image())

    def counted(self, count: Count) -> Run:
        """Return what the mailbox's counts say after a run."""
        beat, beats = self.chip.dram_bytes_per_cycle, port_beats(count)
        return Run(
            engine=self.engine,
            program_hash=self.program.content_hash(),
            cycles=count(mailbox.CYCLES),
            dram_read_bytes=beat * (beats["ld"] + beats["fetch"]),
            dram_write_bytes=beat * beats["st"],
            units=unit_counters(count),
        )


class _Simulation(GatesPlacement):
    """A simulated tile with the program in its memory."""

    engine = GatesEngine.name
    options = ("events", "waveform", "max_cycles", "progress")

    def __init__(self, program: Program, chip: ChipConfig) -> None:
        super().__init__(program, chip)
        self.tile = TileSimulation(chip)
        self.tile.memory(self.memory)

    def write(self, address: int, data: NDArray[np.uint8]) -> None:
        """Write bytes of DRAM."""
        self.memory[address : address + data.size] = data

    def read(self, address: int, size: int) -> NDArray[np.uint8]:
        """Return a copy of bytes of DRAM."""
        return self.memory[address : address + size].copy()

    def start(
        self,
        entry: Entry,
        parameters: Parameters,
        *,
        events: bool = False,
        waveform: tuple[Path, int, int] | None = None,
        max_cycles: int = MAX_CYCLES,
        progress: Callable[[int], None] = lambda cycles: None,
    ) -> Run:
        """Run the gates to HALT; from a reset, so that a run's time is the same each time."""
        tile, program = self.tile, self.program
        tile.reset()
        if waveform is not None:
            tile.dump(*waveform)
        words = len(program.code(entry))
        tile.start(self.addresses[entry.name], words, list(parameters.values()))
        try:
            _finish(tile, max_cycles, progress)
        finally:
            tile.end_dump()
        run = self.counted(tile.register)
        if not events:
            return run
        return replace(run, events=events_of(program, self.chip, tile.log(), entry, parameters))

    def close(self) -> None:
        """Free the simulation."""
        self.tile.close()


def memory_with_words(
    program: Program, chip: ChipConfig, image: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], dict[str, int]]:
    """Return memory with the image and the words of all entries, and each entry's address.

    Raises RtlError when the chip has less.
    """
    burst = chip.dram_burst_bytes
    addresses, end = {}, program.dram_bytes
    for entry in program.entries:
        addresses[entry.name] = _up(end, burst)
        end = addresses[entry.name] + WORD_BYTES * len(program.code(entry))
    size = _up(end, burst)
    if size > chip.dram_bytes:
        raise RtlError(
            f"program {program.name} needs {size} bytes of memory, the chip has "
            f"{chip.dram_bytes}; choose a smaller batch or a chip with more"
        )
    memory = np.zeros(size, np.uint8)
    memory[: program.dram_bytes] = image
    words = encode_program(program.instructions).view(np.uint8).reshape(-1, WORD_BYTES)
    for entry in program.entries:
        place = program.code(entry)
        code = words[place.start : place.stop].reshape(-1)
        memory[addresses[entry.name] : addresses[entry.name] + code.size] = code
    return memory, addresses


def _up(size: int, burst: int) -> int:
    return -(-size // burst) * burst


def _finish(tile: TileSimulation, max_cycles: int, progress: Callable[[int], None]) -> None:
    done = 0
    while not tile.advance(min(max_cycles - done, STEP_CYCLES)):
        done += STEP_CYCLES
        progress(done)
        if done >= max_cycles:
            raise RtlError(
                f"the program has not reached HALT after {max_cycles} cycles. {tile.state()}"
            )


def events_of(
    program: Program, chip: ChipConfig, log: Log, entry: Entry, parameters: Parameters
) -> tuple[Event, ...]:
    """Join the log with the dynamic stream: each unit's events come in the stream's order."""
    works = work_of(program, chip, parameters, entry=entry.name)
    nth, done = dict.fromkeys((Unit.CTL, *UNITS), 0), dict.fromkeys(UNITS, 0)
    out = []
    for work in works:
        unit = work.instruction.unit
        n = nth[unit]
        nth[unit] += 1
        if unit is Unit.CTL:
            issue = start = end = int(log.control[n])
        else:
            issue, start = int(log.sent[unit][n]), int(log.started[unit][n])
            end = start
            if work.op is not None or work.instruction.signal is not None:
                end = int(log.completed[unit][done[unit]])
                done[unit] += 1
        out.append(Event(work.index, unit.name, issue, start, end))
    return tuple(out)
