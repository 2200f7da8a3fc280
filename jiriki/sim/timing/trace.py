"""From a program's dynamic stream to the arrays the kernel works on.

In: the resolved works of a Program and the chip. Out: the kernel's `Memory` at cycle 0. Strided
dimensions that continue each other are folded here, on each side of a DMA by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jiriki.chip.config import ChipConfig
from jiriki.isa.control import Fence, Halt, Loop
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.fields import Instruction
from jiriki.isa.matrix.operations import ConvOp, DwOp, GemmOp, GemvOp, LdwOp
from jiriki.isa.operations import Operation, by_operation
from jiriki.isa.resolve import Work
from jiriki.isa.vector.cycles import chain_passes, fold_steps, step_cycles, table_lines
from jiriki.isa.vector.operations import LdtOp, Stream, VrunOp
from jiriki.isa.words import DmaMode, DType, Reduce, Window
from jiriki.sim.timing import layout as at

FETCH_WORDS = 64  # instructions held by the fetch buffer
FETCH_BYTES = 16
ST_BUFFER_BURSTS = 4  # bursts that ST's buffer holds
VX_SLACK = 4  # results VX holds beyond those in its pipeline
SCATTER_BYTES = 8  # bytes a cycle of SCATTER_BYTES
MAX_TILES = 1 << 15  # pixel tiles of one instruction: p and m have at most 15 bits
_WINDOW_FIELDS = (
    "plane", "pitch", "h", "w", "ow", "sy", "sx", "dy", "dx", "py", "px", "kh", "kw",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Memory:
    """The kernel's two arrays and where the trace begins."""

    m: np.ndarray  # int64
    b: np.ndarray  # uint64
    trace: int  # place of record 0
    count: int

    @property
    def records(self) -> np.ndarray:
        """Return the trace [count, ROW] int64."""
        return self.m[self.trace : self.trace + self.count * at.ROW].reshape(-1, at.ROW)

    @property
    def marks(self) -> np.ndarray:
        """Return the counters kept at each start [count, COUNTERS] int64, where they are kept."""
        place = int(self.m[at.AREA_MARKS])
        assert place, "the memory was built without marks"
        return self.m[place : place + self.count * at.COUNTERS].reshape(-1, at.COUNTERS)


class TraceBuilder:
    """Collects records, parameters and windows; places are absolute from `start` on."""

    def __init__(self, chip: ChipConfig, start: int) -> None:
        self.chip = chip
        self.start = start
        self.par: list[int] = []
        self.windows: dict[Window, int] = {}

    def window(self, window: Window) -> int:
        """Return the window's place."""
        place = self.windows.get(window)
        if place is None:
            place = self.windows[window] = self.place
            self.par += [getattr(window, name) for name in _WINDOW_FIELDS]
        return place

    @property
    def place(self) -> int:
        """Return the place of the next parameter."""
        return self.start + len(self.par)

    def records(self, works: Sequence[Work]) -> list[int]:
        """Return the trace records, flat, and collect parameters."""
        out: list[int] = []
        for (index, instruction, op), keep in zip(works, _keeps(works, self.chip), strict=True):
            if op is None:
                kind, par = _control_kind(instruction), 0
            else:
                kind, values = self.operation(op)
                par = self.place
                self.par += values
            wait, signal = instruction.wait, instruction.signal
            out += (
                int(instruction.unit), kind, index, keep,
                -1 if wait is None else wait.semaphore, 0 if wait is None else wait.count,
                -1 if signal is None else signal.semaphore,
                0 if signal is None else signal.count, par, 0, 0, 0,
            )  # fmt: skip
        return out

    def operation(self, op: Operation) -> tuple[int, list[int]]:
        """Return an operation's kind and parameters."""
        kind, parameters = _KINDS[type(op)]
        return kind, parameters(self, op)

    def dma(self, op: DmaOp) -> list[int]:
        return _dma(op, self.chip)

    def gemm(self, op: GemmOp) -> list[int]:
        line = Window(plane=op.a_plane, pitch=0, h=1, w=op.m, ow=op.m, sy=0, sx=1, dy=0, dx=0)
        return [
            self.window(line), op.a, op.m, op.steps, op.b, op.b_kstride, op.b_nstride,
            self._line(op), op.n_tiles, 1, 1,
        ]  # fmt: skip

    def conv(self, op: ConvOp) -> list[int]:
        taps, words = op.window.taps, self._line(op)
        return [
            self.window(op.window), op.a, op.p, op.groups, op.b, words, taps * op.groups * words,
            words, op.n_tiles, taps, 1,
        ]  # fmt: skip

    def dw(self, op: DwOp) -> list[int]:
        chip = self.chip
        pairs = -(-chip.nu // chip.ku // 2)
        taps, chunks = op.steps(chip.ku), op.chunks(chip.ku)
        return [self.window(op.window), op.a, op.p, pairs, 0, 0, 0, 0, op.tiles, taps, chunks]

    def gemv(self, op: GemvOp) -> list[int]:
        words, pairs = self._line(op), -(-op.n_tiles // 2)
        nest = [op.b, words, op.steps * words, words, pairs, 1, 1]
        return [0, 0, op.n_tiles, op.steps, *nest]

    def ldw(self, op: LdwOp) -> list[int]:
        return [0, 0, 1, op.lines, op.b, self.chip.nu, 0, self.chip.nu, 1, 1, 1]

    def ldt(self, op: LdtOp) -> list[int]:
        return [op.base, table_lines(op, self.chip)]

    def _line(self, op: GemmOp | ConvOp | GemvOp) -> int:
        """Return the words of a line of B."""
        return self.chip.nu // 2 if op.w4 else self.chip.nu

    def vrun(self, op: VrunOp) -> list[int]:
        every = {
            Reduce.NONE: at.EVERY_BEAT, Reduce.WINDOW: at.EVERY_WINDOW,
            Reduce.PIXELS: at.EVERY_GROUP, Reduce.CHANNELS: at.EVERY_PIXEL,
        }[op.reduce]  # fmt: skip
        kw = op.in0.window.kw if op.taps > 1 and op.in0 is not None else 1
        uses = (8 if op.out is not None else 0) | (16 if op.params is not None else 0)
        step, passes = step_cycles(op), chain_passes(op, self.chip)
        pass_cycles = self.chip.vx_pass_cycles
        again = passes.before + passes.after if passes.after else 0
        values = [
            op.p, op.groups, op.taps, kw, op.params or 0, int(op.reduce is Reduce.CHANNELS),
            step - 1, step * (1 + fold_steps(op, self.chip)) - 1, passes.before * pass_cycles,
            passes.rounds * pass_cycles, again * pass_cycles, every, uses,
        ]  # fmt: skip
        for stream in (op.in0, op.in1, op.in2, op.out):
            values += self._stream(stream)
        return values

    def _stream(self, stream: Stream | None) -> list[int]:
        if stream is None or stream.dtype is DType.ACC:
            return [0, 0, 0]
        return [stream.base, stream.dtype.bytes, self.window(stream.window)]


# The kernel's kind of each operation, and what gives its parameters.
_KINDS: dict[type, tuple[int, Callable[[TraceBuilder, Any], list[int]]]] = by_operation(
    {
        DmaOp: (at.DMA, TraceBuilder.dma),
        GemmOp: (at.DENSE, TraceBuilder.gemm),
        ConvOp: (at.DENSE, TraceBuilder.conv),
        DwOp: (at.DW, TraceBuilder.dw),
        GemvOp: (at.GEMV, TraceBuilder.gemv),
        LdwOp: (at.LDW, TraceBuilder.ldw),
        VrunOp: (at.VRUN, TraceBuilder.vrun),
        LdtOp: (at.LDT, TraceBuilder.ldt),
    }
)


def _control_kind(instruction: Instruction) -> int:
    if isinstance(instruction, Halt):
        return at.HALT
    return at.FENCE if isinstance(instruction, Fence) else at.ONE


def _keeps(works: Sequence[Work], chip: ChipConfig) -> list[int]:
    """Return, for each work, the oldest instruction that the fetch buffer must not lose."""
    per = max(1, chip.dram_burst_bytes // FETCH_BYTES)
    loops: list[tuple[int, int, int]] = []  # first, end, what to keep
    keeps: list[int] = []
    for index, instruction, _ in works:
        while loops and not loops[-1][0] <= index < loops[-1][1]:
            loops.pop()
        keeps.append(loops[-1][2] if loops and loops[-1][2] >= 0 else index)
        if isinstance(instruction, Loop):
            first = index + 1
            end = first + instruction.values["body"]
            outer = loops[-1][2] if loops else -1
            held = -(-end // per) * per - first <= FETCH_WORDS
            loops.append((first, end, outer if outer >= 0 else first if held else -1))
    return keeps


def _dma(op: DmaOp, chip: ChipConfig) -> list[int]:
    """Return the parameters of an LD or ST."""
    fill, gather = op.mode is DmaMode.FILL, op.mode is DmaMode.GATHER
    scatter = op.mode is DmaMode.SCATTER_BYTES
    bpc = chip.dram_bytes_per_cycle
    dram = [(d.count, d.dram_stride) for d in op.dims]
    sp = [(d.count, d.sp_stride) for d in op.dims]
    low = op.sp + sum(min(0, (count - 1) * stride) for count, stride in sp)
    high = op.sp + sum(max(0, (count - 1) * stride) for count, stride in sp)
    reach = (op.run - 1) * op.byte_stride
    low, high = low + min(0, reach), high + max(0, reach)
    sp_walk = _walk(op.sp, op.run, sp, fold=not scatter)
    if fill and op.store:
        sp_walk, low, high = _walk(0, op.bytes, [], fold=True), 0, -1
    return [
        op.bytes, *_walk(op.dram, op.run, dram, fold=not gather), *sp_walk, op.byte_stride,
        min(SCATTER_BYTES, bpc) if scatter else bpc, int(fill), int(gather), op.index or 0,
        low, high,
    ]  # fmt: skip


def _walk(base: int, run: int, dims: list[tuple[int, int]], *, fold: bool) -> list[int]:
    """Return address, run, four counts and four strides; with `fold`, dense dimensions merge."""
    rest = list(dims)
    while fold and rest and (rest[0][0] == 1 or rest[0][1] == run):
        run *= rest.pop(0)[0]
    rest += [(1, 0)] * (4 - len(rest))
    return [base, run, *(count for count, _ in rest), *(stride for _, stride in rest)]


def build(works: Sequence[Work], words: int, chip: ChipConfig, marks: bool = False) -> Memory:
    """Return the kernel's memory at cycle 0; `words` is the program's length in instructions.

    With `marks` the kernel keeps each unit's counters at the start of every instruction.
    """
    registers, start, b = _registers(chip)
    trace = TraceBuilder(chip, start)
    records = trace.records(works)
    registers[at.PROGRAM_WORDS] = words
    registers[at.AREA_TRACE], registers[at.TRACE_LENGTH] = trace.place, len(works)
    mark_area = np.zeros(len(works) * at.COUNTERS if marks else 0, np.int64)
    registers[at.AREA_MARKS] = trace.place + len(records) if marks else 0
    m = np.concatenate((registers, np.array(trace.par + records, np.int64), mark_area))
    return Memory(m, b, trace.place, len(works))


def _registers(chip: ChipConfig) -> tuple[np.ndarray, int, np.ndarray]:
    """Return registers and empty areas, the place after them, and the sets of columns."""
    depth, banks = chip.queue_depth, chip.banks
    levels = 1 + max(chip.mu * chip.ku, 4 * chip.beat_pixels, SCATTER_BYTES)
    sizes = {
        at.AREA_FETCH_TAGS: FETCH_WORDS,
        at.AREA_FETCH_TIMES: FETCH_WORDS,
        at.AREA_QUEUES: at.UNITS * depth,
        at.AREA_COMPLETIONS: 2 * at.UNITS * depth,
        at.AREA_FLIGHTS: at.FLIGHT * chip.dram_bursts_in_flight,
        at.AREA_PENDING: 2 * (depth + 1),
        at.AREA_TILE_BEFORE: MAX_TILES,
        at.AREA_TILE_LAST: MAX_TILES,
        at.AREA_WORDS: levels,
        at.AREA_SCRATCH: levels,
        at.AREA_OUT: at.OUT * (chip.vx_latency_cycles + VX_SLACK),
        at.AREA_ROUNDS: chip.vx_pass_cycles,
        at.AREA_LOW: at.LEVEL_SETS * levels,
        at.AREA_HIGH: at.LEVEL_SETS * levels,
    }
    m = np.zeros(at.REGISTERS + sum(sizes.values()), np.int64)
    place = at.REGISTERS
    for register, size in sizes.items():
        m[register] = place
        place += size
    m[at.BITS_WRITTEN], m[at.BITS_FLAT], m[at.BITS_LEVELS] = banks, 2 * banks, 2 * banks + levels
    m[at.LEVELS] = levels
    for register, size in _chip_sizes(chip).items():
        m[register] = size
    m[m[at.AREA_FETCH_TAGS] : m[at.AREA_FETCH_TAGS] + FETCH_WORDS] = -1
    m[at.COMPLETION_LAST : at.COMPLETION_LAST + at.UNITS] = -1
    m[m[at.AREA_ROUNDS] : m[at.AREA_ROUNDS] + chip.vx_pass_cycles] = -1
    m[at.PORT_LAST_UNIT] = at.ST
    nothing_yet = [at.HALT_CYCLE, at.MX_LAST, at.GATHER_TILE, at.VX_ROW, at.OUT_LEVELS]
    nothing_yet += [
        unit + side for unit in (at.LD_DMA, at.ST_DMA) for side in (at.NEAR_ROW, at.FAR_ROW)
    ]
    m[nothing_yet] = -1
    return m, place, np.zeros(2 * banks + levels * (1 + at.LEVEL_SETS * banks), np.uint64)


def _chip_sizes(chip: ChipConfig) -> dict[int, int]:
    """Return register -> what the chip is."""
    words, bpc = chip.bank_words, chip.dram_bytes_per_cycle
    return {
        at.CHIP_MU: chip.mu,
        at.CHIP_NU: chip.nu,
        at.CHIP_KU: chip.ku,
        at.CHIP_KU_BITS: chip.ku.bit_length() - 1,
        at.CHIP_BEAT_PIXELS: chip.beat_pixels,
        at.CHIP_BANKS: chip.banks,
        at.CHIP_COLUMNS: chip.columns,
        at.CHIP_BANK_WORDS: words,
        at.CHIP_BANK_BITS: words.bit_length() - 1 if words & (words - 1) == 0 else -1,
        at.CHIP_DRAIN_CYCLES: chip.drain_cycles,
        at.CHIP_MX_LATENCY: chip.mx_latency_cycles,
        at.CHIP_VX_LATENCY: chip.vx_latency_cycles,
        at.CHIP_PASS_CYCLES: chip.vx_pass_cycles,
        at.CHIP_CONTEXTS: chip.vx_contexts,
        at.CHIP_OUT_BEATS: chip.vx_latency_cycles + VX_SLACK,
        at.CHIP_PORT_BYTES: bpc,
        at.CHIP_PORT_BITS: bpc.bit_length() - 1,
        at.CHIP_BURST_BYTES: chip.dram_burst_bytes,
        at.CHIP_DRAM_LATENCY: chip.dram_latency_cycles,
        at.CHIP_BURSTS_IN_FLIGHT: chip.dram_bursts_in_flight,
        at.CHIP_QUEUE_DEPTH: chip.queue_depth,
        at.CHIP_SEMAPHORE_MAX: chip.semaphore_max,
        at.CHIP_FETCH_WORDS: FETCH_WORDS,
        at.CHIP_ST_BUFFER_BYTES: ST_BUFFER_BURSTS * chip.dram_burst_bytes,
    }
