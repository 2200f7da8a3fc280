"""GatesEngine: a Program on the simulated gates; values and cycles, the third engine.

In: a Program for the engine's chip and its inputs. Out: a `Run` with outputs, cycles, counters and
events. The program's words are placed behind its image, at a multiple of a burst.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jiriki.chip import ChipConfig
from jiriki.isa.encoding import encode_program
from jiriki.isa.fields import Unit
from jiriki.isa.resolve import resolve
from jiriki.isa.sequence import unroll_instructions
from jiriki.program import Event, Program, Run
from jiriki.program.binding import binding_bytes, pack, unpack
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
        inputs: Mapping[str, np.ndarray] | None = None,
        events: bool = False,
        waveform: tuple[Path, int, int] | None = None,
        max_cycles: int = MAX_CYCLES,
        progress: Callable[[int], None] = lambda cycles: None,
    ) -> Run:
        """Return outputs, cycles and counters; with `events` every instruction's life.

        waveform: VCD file, first cycle, end. Raises RtlError for another chip's program, a missing
        input, a program that hangs (with the state of its queues) or passes max_cycles.
        """
        began = time.perf_counter()
        self._check(program)
        memory, address = self.memory(program, dict(inputs or {}))
        parameters = [int(_given(program, name, inputs or {})) for name in program.parameters]
        with TileSimulation(self.chip) as tile:
            tile.memory(memory)
            if waveform is not None:
                tile.dump(*waveform)
            tile.start(address, len(program.instructions), parameters)
            self._finish(tile, max_cycles, progress)
            log = tile.log() if events else None
            done = self._run(program, memory, tile.register)
        return replace(
            done,
            events=events_of(program, log, parameters) if log else (),
            wall_s=time.perf_counter() - began,
        )

    def _check(self, program: Program) -> None:
        if program.chip_hash != self.chip.content_hash():
            raise RtlError(
                f"program {program.name} was made for chip {program.chip} with other sizes than "
                f"{self.chip.name}; compile it for this chip"
            )

    def memory(self, program: Program, given: dict[str, np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the image with inputs and program, and the program's address."""
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
        memory[: program.dram_bytes] = program.image()
        memory[address : address + words.size] = words
        for binding in program.inputs:
            data = pack(binding, _given(program, binding.name, given), self.chip.ku)
            memory[binding.address : binding.address + data.size] = data
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
            outputs={b.name: self._output(memory, b) for b in program.outputs},
            cycles=count(mailbox.CYCLES),
            dram_read_bytes=beat * (beats["ld"] + beats["fetch"]),
            dram_write_bytes=beat * beats["st"],
            units=unit_counters(count),
        )

    def _output(self, memory: np.ndarray, binding: object) -> np.ndarray:
        start = binding.address
        size = binding_bytes(binding, self.chip.ku)
        return unpack(binding, memory[start : start + size].copy(), self.chip.ku)


def _given(program: Program, name: str, given: Mapping[str, np.ndarray]) -> np.ndarray:
    if name not in given:
        raise RtlError(f"program {program.name}: input {name} is missing; pass it")
    return given[name]


def events_of(program: Program, log: Log, parameters: Sequence[int]) -> tuple[Event, ...]:
    """Join the log with the dynamic stream: each unit's events come in the stream's order."""
    works = resolve(unroll_instructions(program.instructions, parameters))
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
