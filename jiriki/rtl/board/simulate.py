"""A board in simulation: the whole design with its link, and an SDRAM that checks its times.

In: a chip, settings. Out: `BoardSimulation`, a byte stream like a serial port: what the host writes
goes bit by bit over the line to the gates, time passes while the host waits for bytes. A time that
the SDRAM's data sheet forbids raises RtlError.
"""

import ctypes
from functools import cache
from importlib import resources
from pathlib import Path
from types import TracebackType

import numpy as np

from jiriki.chip import ChipConfig
from jiriki.rtl.board.core import BoardCore
from jiriki.rtl.board.settings import BoardSettings
from jiriki.rtl.build.verilate import build_library
from jiriki.rtl.errors import RtlError

OPTIMISE = "-O1"  # of the compiler, as of the tile's library
# A line of 8 cycles a bit, a frame ends after 4096 quiet cycles: fewer cycles, the same gates.
FAST = BoardSettings(baud=3_125_000, quiet_s=4096 / 25e6)
BIT_UNITS = 1 << 16  # of a cycle
# What the data sheet of an IS42S16160G-7 asks for, in ns: its own statement, not the controller's.
# power up, RCD, RP, RAS, RC, RFC, WR, RRD, refresh interval
SHEET_NS = (100_000.0, 20.0, 20.0, 45.0, 67.5, 67.5, 14.0, 14.0, 7812.5)
POWER_UP_S = 4e-6  # until the reset is over; the SDRAM takes longer
STEP_CYCLES = 20_000


@cache
def board_library(chip: ChipConfig, settings: BoardSettings) -> Path:
    """Build, or find, the simulation of a board with a chip."""
    return core_library(BoardCore(chip, settings), f"board-{chip.name}")


def core_library(core: BoardCore, name: str) -> Path:
    """Build, or find, the simulation of a board's design."""
    folder = Path(str(resources.files("jiriki.rtl.board")))
    sources = [folder / "board_driver.cpp", folder / "sdram_model.h"]
    return build_library(core, name, sources, optimise=OPTIMISE)


class BoardSimulation:
    """A board under power; `write` and `read` are the host's serial port."""

    def __init__(
        self, chip: ChipConfig, settings: BoardSettings = FAST, *,
        library: Path | None = None, line_error: float = 0.0,
    ) -> None:  # fmt: skip
        """Power it up; `library` is of a design that was changed for a test.

        line_error: how much faster the host's line is than the board's.
        """
        library = library or board_library(chip, settings)
        self.settings, self._lib = settings, ctypes.CDLL(str(library))
        self._declare()
        sdram = settings.sdram
        bit = round(settings.divisor / (1 + line_error) * BIT_UNITS)
        self._board = self._lib.board_new(
            bit, (ctypes.c_double * len(SHEET_NS))(*SHEET_NS), 1e9 / settings.clock_hz,
            sdram.bank_bits, sdram.row_bits, sdram.column_bits,
        )  # fmt: skip
        self.wait(POWER_UP_S)

    def _declare(self) -> None:
        handle, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
        table = {
            "board_new": (handle, [u64, handle, ctypes.c_double, u32, u32, u32]),
            "board_free": (None, [handle]),
            "board_send": (None, [handle, ctypes.c_char_p, u64]),
            "board_run": (u64, [handle, u64, u64]), "board_take": (u64, [handle, handle, u64]),
            "board_button": (None, [handle, ctypes.c_int]), "board_lights": (u32, [handle]),
            "board_cycle": (u64, [handle]), "board_refreshes": (u64, [handle]),
            "board_cells": (handle, [handle]), "board_fault": (ctypes.c_char_p, [handle]),
        }  # fmt: skip
        for name, (result, arguments) in table.items():
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments

    def __enter__(self) -> "BoardSimulation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Free it."""
        if self._board:
            self._lib.board_free(self._board)
            self._board = None

    def write(self, data: bytes) -> None:
        """Put bytes on the line; they travel while time passes."""
        self._lib.board_send(self._board, data, len(data))

    def read(self, n: int, timeout_s: float) -> bytes:
        """Return n bytes from the line, fewer when the board's time passes first."""
        left = self.settings.cycles(timeout_s)
        while self._lib.board_run(self._board, n, min(left, STEP_CYCLES)) < n and left > 0:
            left -= STEP_CYCLES
            self._look()
        self._look()
        buffer = ctypes.create_string_buffer(n)
        taken = self._lib.board_take(self._board, buffer, n)
        return buffer.raw[:taken]

    def wait(self, seconds: float) -> None:
        """Let time pass on the board."""
        self._lib.board_run(self._board, 1 << 62, self.settings.cycles(seconds))
        self._look()

    def _look(self) -> None:
        fault = self._lib.board_fault(self._board).decode()
        if fault:
            raise RtlError(f"simulated board: {fault}")

    def press(self, pressed: bool) -> None:
        """Press or release the reset button."""
        self._lib.board_button(self._board, int(pressed))

    @property
    def lights(self) -> int:
        return self._lib.board_lights(self._board)

    @property
    def cycle(self) -> int:
        """Cycles since power-up."""
        return self._lib.board_cycle(self._board)

    @property
    def refreshes(self) -> int:
        return self._lib.board_refreshes(self._board)

    def cells(self) -> np.ndarray:
        """Return a copy of the SDRAM's cells, [memory_bytes] uint8, by the board's addresses."""
        size = self.settings.sdram.memory_bytes
        raw = (ctypes.c_uint8 * size).from_address(self._lib.board_cells(self._board))
        return np.frombuffer(raw, np.uint8).copy()
