"""A compiled tile under the control of Python: memory, registers, the log of its trace.

In: a chip. Out: `TileSimulation`, whose `run` starts a program that lies in memory and goes on to
HALT. The library is built once a configuration (`verilate.py` keeps it by content).
"""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from jiriki.chip import ChipConfig
from jiriki.isa.fields import Unit
from jiriki.rtl.build.verilate import build_library, with_cells
from jiriki.rtl.build.verilog_cache import tile_modules
from jiriki.rtl.build.waveform import with_marks
from jiriki.rtl.control import mailbox
from jiriki.rtl.control.sequencer import UNITS
from jiriki.rtl.dma.port import PORT_CYCLES
from jiriki.rtl.errors import RtlError

OPTIMISE = "-O1"  # of the compiler; -O2 runs 1.3 times as fast and compiles for twice as long
QUIET_CYCLES = 200_000  # without an event: the program hangs
LISTS = ("sent", "started", "completed")


@dataclass(frozen=True)
class Log:
    """Cycles of every event of a run, in order: of control instructions, and of each unit's."""

    control: np.ndarray  # [instructions] uint32
    sent: Mapping[Unit, np.ndarray]
    started: Mapping[Unit, np.ndarray]
    completed: Mapping[Unit, np.ndarray]  # of those that work or signal


def tile_library(chip: ChipConfig) -> Path:
    """Build, or find, the simulation of a chip's tile."""
    driver = Path(str(resources.files("jiriki.rtl.simulate") / "tile_driver.cpp"))
    return build_library(
        _simulated(chip), f"tile-{chip.name}", [driver], trace=True, optimise=OPTIMISE,
        defines={"JIRIKI_BEAT": chip.dram_bytes_per_cycle},
    )  # fmt: skip


@cache
def _simulated(chip: ChipConfig) -> str:
    """Return the whole tile as it is compiled: every simulation looks its library up by it."""
    return with_marks(with_cells(tile_modules(chip)))


class TileSimulation:
    """One simulated tile. Use as a context manager, or `close` it."""

    def __init__(self, chip: ChipConfig) -> None:
        self.chip = chip
        self._lib = ctypes.CDLL(str(tile_library(chip)))
        self._declare()
        self._sim = self._lib.sim_new()
        chip_hash = self._lib.sim_read(self._sim, mailbox.CHIP)
        assert chip_hash == int(chip.content_hash()[:8], 16), "the library is of another chip"

    def _declare(self) -> None:
        handle, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
        table = {
            "sim_new": (handle, []), "sim_free": (None, [handle]),
            "sim_memory": (None, [handle, handle, u64, u32]),
            "sim_stall": (None, [handle, u32, u32]),
            "sim_events_on": (None, [handle, ctypes.c_int]),
            "sim_write": (None, [handle, u32, u32]), "sim_read": (u32, [handle, u32]),
            "sim_run": (ctypes.c_int, [handle, u64, u64]), "sim_reset": (None, [handle]),
            "sim_cycle": (u64, [handle]), "sim_outside": (u64, [handle]),
            "sim_at": (u32, [handle]), "sim_waits": (u32, [handle]),
            "sim_semaphores": (None, [handle, handle, u32]),
            "sim_event_count": (u64, [handle, u32]), "sim_event_list": (handle, [handle, u32]),
            "sim_trace_end": (None, [handle]),
            "sim_trace": (ctypes.c_int, [handle, ctypes.c_char_p, u64, u64]),
        }  # fmt: skip
        for name, (result, arguments) in table.items():
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments

    def __enter__(self) -> "TileSimulation":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the simulation."""
        if self._sim:
            self._lib.sim_free(self._sim)
            self._sim = None

    def memory(self, dram: np.ndarray, latency_cycles: int | None = None) -> None:
        """Give the tile its memory: [bytes] uint8, changed in place; kept alive here."""
        assert dram.dtype == np.uint8 and dram.flags.c_contiguous, "memory is contiguous bytes"
        self._dram = dram
        latency = self.chip.dram_latency_cycles if latency_cycles is None else latency_cycles
        self._lib.sim_memory(self._sim, dram.ctypes.data, dram.size, latency - PORT_CYCLES)

    def stall(self, share: float, seed: int) -> None:
        """Hold every memory handshake back at random, in `share` of the cycles."""
        self._lib.sim_stall(self._sim, int(256 * share), seed)

    def reset(self) -> None:
        """Reset the tile, in whatever it is doing."""
        self._lib.sim_reset(self._sim)

    def dump(self, path: Path, first: int, end: int) -> None:
        """Write cycles first .. end - 1 of the next run as VCD, a cycle two units of its time."""
        if not self._lib.sim_trace(self._sim, str(path).encode(), first, end):
            raise RtlError(f"waveform {path} cannot be written; choose a folder that exists")

    def end_dump(self) -> None:
        """Close the VCD; runs after this one do not go into it."""
        self._lib.sim_trace_end(self._sim)

    def start(self, address: int, words: int, parameters: Sequence[int] = ()) -> None:
        """Start the program of `words` instructions at `address`; cycle 0 comes next."""
        for index, value in enumerate(parameters):
            self._lib.sim_write(self._sim, mailbox.PARAMETER + 4 * index, value & 0xFFFFFFFF)
        self._lib.sim_write(self._sim, mailbox.PROGRAM, address)
        self._lib.sim_write(self._sim, mailbox.WORDS, words)
        self._lib.sim_write(self._sim, mailbox.CONTROL, 1)

    def advance(self, most: int, quiet: int = QUIET_CYCLES) -> bool:
        """Go on for at most `most` cycles; return whether HALT was reached.

        Raises RtlError when nothing happens for `quiet` cycles, or memory is exceeded.
        """
        outcome = self._lib.sim_run(self._sim, most, quiet)
        if outcome == 2:
            raise RtlError(f"{self._where()}: nothing happens for {quiet} cycles. {self.state()}")
        if outcome == 3:
            raise RtlError(
                f"{self._where()}: the program reaches memory byte "
                f"{self._lib.sim_outside(self._sim) - 1} of {self._dram.size}; enlarge the image"
            )
        return outcome == 0

    def _where(self) -> str:
        return f"tile {self.chip.name}, cycle {self._lib.sim_cycle(self._sim)}"

    def state(self) -> str:
        """Say what every queue and semaphore holds."""
        waits = self._lib.sim_waits(self._sim)
        bits = self.chip.semaphore_max.bit_length()
        raw = np.zeros(-(-bits * self.chip.semaphores // 8) + 8, np.uint8)
        self._lib.sim_semaphores(self._sim, raw.ctypes.data, bits * self.chip.semaphores // 8)
        packed = int.from_bytes(raw.tobytes(), "little")
        held = {i: packed >> bits * i & ((1 << bits) - 1) for i in range(self.chip.semaphores)}
        log = self.log()
        queues = ", ".join(
            f"{unit.name} {len(log.sent[unit])} sent, {len(log.started[unit])} started"
            + (" (its next waits for tokens)" if waits >> i & 1 else "")
            for i, unit in enumerate(UNITS)
        )
        tokens = ", ".join(f"{i}: {n}" for i, n in held.items() if n) or "none"
        return (
            f"Sequencer at instruction {self._lib.sim_at(self._sim)}; {queues}; "
            f"tokens held: {tokens}"
        )

    def log(self) -> Log:
        """Return the events so far."""
        lists = []
        for i in range(1 + len(LISTS) * len(UNITS)):
            count = self._lib.sim_event_count(self._sim, i)
            data = self._lib.sim_event_list(self._sim, i)
            array = np.zeros(count, np.uint32)
            if count:
                ctypes.memmove(array.ctypes.data, data, 4 * count)
            lists.append(array)
        n = len(UNITS)
        kinds = [dict(zip(UNITS, lists[1 + n * k : 1 + n * k + n], strict=True)) for k in range(3)]
        return Log(lists[0], *kinds)

    def register(self, address: int) -> int:
        """Read a 64-bit count of the mailbox."""
        low, high = (self._lib.sim_read(self._sim, address + i) for i in (0, 4))
        return low | high << 32

    @property
    def cycles(self) -> int:
        """Cycles of the last run, HALT inclusive."""
        return self.register(mailbox.CYCLES)
