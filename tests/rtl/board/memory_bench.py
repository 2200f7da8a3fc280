"""The memory side of a board as one compiled bench: AXI4 slave, arbiter, SDRAM controller."""

import ctypes
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from jiriki.rtl.board.memory import Arbiter, AxiMemory, port_signature
from jiriki.rtl.board.sdram import Sdram, pins_signature
from jiriki.rtl.board.settings import BoardSettings, SdramSettings
from jiriki.rtl.board.simulate import SHEET_NS
from jiriki.rtl.build.verilate import build_library
from jiriki.rtl.memory.axi import axi4_signature

SMALL = SdramSettings(row_bits=11)  # 8 MiB


class MemoryBench(wiring.Component):
    """The three wired together."""

    def __init__(self, settings: BoardSettings, beat_bytes: int) -> None:
        self.settings, self.beat = settings, beat_bytes
        super().__init__({
            "axi": In(axi4_signature(32, 8 * beat_bytes)), "port": In(port_signature(beat_bytes)),
            "pins": Out(pins_signature(settings)), "initialised": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m, size = Module(), self.settings.sdram.memory_bytes
        m.submodules.axi = axi = AxiMemory(self.beat, size)
        m.submodules.arbiter = arbiter = Arbiter(self.beat)
        m.submodules.sdram = sdram = Sdram(self.settings, self.beat)
        connect(m, axi.axi, flipped(self.axi))
        connect(m, axi.memory, arbiter.ports[0])
        connect(m, flipped(self.port), arbiter.ports[1])
        connect(m, arbiter.memory, sdram.port)
        connect(m, sdram.pins, flipped(self.pins))
        m.d.comb += self.initialised.eq(sdram.initialised)
        return m


@dataclass(frozen=True)
class Outcome:
    """What a run of the bench says."""

    fault: str  # empty: none
    beats: int
    beyond: int  # beats and bursts answered with DECERR
    refreshes: int


def run(
    settings: BoardSettings, beat_bytes: int, seed: int, cycles: int, stall: float,
    sheet_ns: tuple[float, ...] = SHEET_NS,
) -> Outcome:  # fmt: skip
    """Run random traffic; `sheet_ns` are the times that the model insists on."""
    model = Path(str(resources.files("jiriki.rtl.board"))) / "sdram_model.h"
    library = build_library(
        MemoryBench(settings, beat_bytes), "test-board-memory",
        [Path(__file__).with_suffix(".cpp"), model], defines={"JIRIKI_BEAT": beat_bytes},
    )  # fmt: skip
    bench = ctypes.CDLL(str(library)).bench_run
    bench.restype = ctypes.c_char_p
    u32, u64, handle = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
    bench.argtypes = [u64, u32, u64, handle, ctypes.c_double, u32, u32, u32, handle]
    times, out = (ctypes.c_double * len(sheet_ns))(*sheet_ns), (u64 * 3)()
    sdram = settings.sdram
    fault = bench(
        seed, int(256 * stall), cycles, times, 1e9 / settings.clock_hz, sdram.bank_bits,
        sdram.row_bits, sdram.column_bits, out,
    ).decode()  # fmt: skip
    return Outcome(fault, *out)


def board(clock_hz: int, **sdram: float) -> BoardSettings:
    """Return settings with a small SDRAM."""
    return BoardSettings(clock_hz=clock_hz, baud=clock_hz // 8, sdram=replace(SMALL, **sdram))
