"""GatesEngine: a Program on the simulated gates; values and cycles, the third engine.

In: a Program for the engine's chip and its inputs. Out: a `Run` with outputs, cycles, counters and
events. The program's words are placed behind its image, at a multiple of a burst.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jiriki.chip import ChipConfig
from jiriki.isa.encoding import encode_program
from jiriki.isa.fields import Unit
from jiriki.program import Event, Program, Run
from jiriki.program.host import Inputs, Parameters, host_image, read_outputs
from jiriki.program.stream import work_of
from jiriki.rtl.control import mailbox
from jiriki.rtl.control.mailbox import Count, port_beats, unit_counters
from jiriki.rtl.control.sequencer import UNITS
from jiriki.rtl.errors import RtlError
from jiriki.rtl.simulate.tile import Log, TileSimulation

STEP_CYCLES = 50_000  # between two reports of progress
MAX_CYCLES = 4_000_000_000


class GatesEngine:
    """Runs programs on the gates of one chip, compiled once (the first use takes a while)."""

    name = "rtl"

    def __init__(self, chip: ChipConfig) -> None:
        self.chip = chip

    def run(
        self,
        program: Program,
        inputs: Inputs | None = None,
        events: bool = False,
        waveform: tuple[Path, int, int] | None = None,
        max_cycles: int = MAX_CYCLES,
        progress: Callable[[int], None] = lambda cycles: None,
    ) -> Run:
        """Return outputs, cycles and counters; with `events` every instruction's life.

        waveform: VCD file, first cycle, end. Raises ProgramError for what `program/host.py`
        refuses, RtlError for a program that hangs (with the state of its queues) or passes
        max_cycles.
        """
        began = time.perf_counter()
        image, parameters = host_image(program, self.chip, inputs)
        memory, address = self.memory(program, image)
        with TileSimulation(self.chip) as tile:
            tile.memory(memory)
            if waveform is not None:
                tile.dump(*waveform)
            tile.start(address, len(program.instructions), list(parameters.values()))
            self._finish(tile, max_cycles, progress)
            log = tile.log() if events else None
            done = self._run(program, memory, tile.register)
        return replace(
            done,
            parameters=parameters,
            events=events_of(program, self.chip, log, parameters) if log else (),
            wall_s=time.perf_counter() - began,
        )

    def memory(self, program: Program, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
        """Return the memory with the host's image and the program's words, and their address."""
        burst = self.chip.dram_burst_bytes
        address = -(-program.dram_bytes // burst) * burst
        words = encode_program(program.instructions).view(np.uint8).reshape(-1)
        size = -(-(address + words.size) // burst) * burst
        if size > self.chip.dram_bytes:
            raise RtlError(
                f"program {program.name} needs {size} bytes of memory, the chip has "
                f"{self.chip.dram_bytes}; choose a smaller batch or a chip with more"
            )
        memory = np.zeros(size, np.uint8)
        memory[: program.dram_bytes] = image
        memory[address : address + words.size] = words
        return memory, address

    def _finish(
        self, tile: TileSimulation, max_cycles: int, progress: Callable[[int], None]
    ) -> None:
        done = 0
        while not tile.advance(min(max_cycles - done, STEP_CYCLES)):
            done += STEP_CYCLES
            progress(done)
            if done >= max_cycles:
                raise RtlError(
                    f"the program has not reached HALT after {max_cycles} cycles. {tile.state()}"
                )

    def _run(self, program: Program, memory: np.ndarray, count: Count) -> Run:
        """Return what memory and the mailbox's counts say after a run."""
        beat, beats = self.chip.dram_bytes_per_cycle, port_beats(count)
        return Run(
            engine=self.name,
            program_hash=program.content_hash(),
            outputs=read_outputs(program, self.chip, memory),
            cycles=count(mailbox.CYCLES),
            dram_read_bytes=beat * (beats["ld"] + beats["fetch"]),
            dram_write_bytes=beat * beats["st"],
            units=unit_counters(count),
        )


def events_of(
    program: Program, chip: ChipConfig, log: Log, parameters: Parameters
) -> tuple[Event, ...]:
    """Join the log with the dynamic stream: each unit's events come in the stream's order."""
    works = work_of(program, chip, parameters)
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
