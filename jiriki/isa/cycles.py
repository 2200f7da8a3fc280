"""Ideal cycles: how long one operation occupies its unit, alone and with no column collision.

In: a resolved operation and a chip. Out: cycles. A lower bound of what `sim.timing` counts
between an instruction's start and the start of the next, for a cost model and for tests; latencies
(DRAM, MX, VX) are not in it. The rules are those of docs/reference/timing.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch

from jiriki.chip.config import ChipConfig
from jiriki.isa.dma import DmaMode
from jiriki.isa.operations import (
    ConvOp,
    DmaOp,
    DwOp,
    GemmOp,
    GemvOp,
    LdtOp,
    LdwOp,
    Micro,
    Operation,
    VrunOp,
)
from jiriki.isa.vector import MicroOp, RedOp, Reduce, TableKind

LUT8_BYTES = 256
SEGMENT_BYTES = 16 * 257  # the largest image; LDT always reads that much
SCATTER_BYTES = 8  # bytes a cycle of SCATTER_BYTES
SUM_CYCLES = 3  # of a step of a SUM reduction
FUNCTIONS = frozenset(
    (MicroOp.EXP2, MicroOp.LOG2, MicroOp.RECIP, MicroOp.RSQRT, MicroOp.TBL, MicroOp.LUT)
)  # micro-ops done by the F stages of the chain; all others by the A stages


@dataclass(frozen=True, slots=True)
class Passes:
    """Rounds of a chain: up to RED, and beyond; one more goes through the reduction."""

    before: int
    after: int
    reduces: bool

    @property
    def rounds(self) -> int:
        return self.before + self.after + self.reduces


def ideal_cycles(op: Operation, chip: ChipConfig) -> int:
    """Return the cycles the operation occupies its unit when nothing is in its way."""
    return _ideal(op, chip)


def cycle_rule(kind: type) -> str:
    """Return the rule of a kind of operation in words."""
    return (_ideal.dispatch(kind).__doc__ or "").removeprefix("Count ")


def dma_beats(op: DmaOp, chip: ChipConfig) -> int:
    """Return the beats of the DRAM port that an LD or ST takes (GATHER: as if index[i] = i)."""
    if op.mode is DmaMode.FILL and not op.store:
        return 0
    bpc, burst = chip.dram_bytes_per_cycle, chip.dram_burst_bytes
    dims = [(d.count, d.dram_stride) for d in op.dims]
    run = op.run
    while dims and op.mode is not DmaMode.GATHER and (dims[0][0] == 1 or dims[0][1] == run):
        run *= dims.pop(0)[0]
    at = {op.dram % burst: 1}  # how many runs begin at each place in a burst
    for count, stride in dims:
        at = _spread(at, count, stride, burst)
    return sum(n * ((place % bpc + run + bpc - 1) // bpc) for place, n in at.items())


def _spread(at: dict[int, int], count: int, stride: int, burst: int) -> dict[int, int]:
    """Return the places after one more strided dimension."""
    steps: dict[int, int] = {}
    for i in range(min(count, burst)):  # i * stride modulo burst repeats after `burst` iterations
        place = i * stride % burst
        steps[place] = steps.get(place, 0) + (count - i + burst - 1) // burst
    out: dict[int, int] = {}
    for place, n in at.items():
        for step, times in steps.items():
            to = (place + step) % burst
            out[to] = out.get(to, 0) + n * times
    return out


def dma_chunks(op: DmaOp, chip: ChipConfig) -> int:
    """Return the scratchpad accesses of an LD or ST: pieces of a run, at most a beat long."""
    bpc = chip.dram_bytes_per_cycle
    if op.mode is DmaMode.SCATTER_BYTES:
        return op.runs * -(-op.run // min(SCATTER_BYTES, bpc))
    if op.mode is DmaMode.FILL and op.store:
        return -(-op.bytes // bpc)
    run, runs = op.run, op.runs
    for dim in op.dims:
        if dim.count > 1 and dim.sp_stride != run:
            break
        run, runs = run * dim.count, runs // dim.count
    return runs * -(-run // bpc)


def table_lines(op: LdtOp, chip: ChipConfig) -> int:
    """Return the lines of vx_lanes * 4 bytes that LDT reads, one a cycle."""
    size = LUT8_BYTES if op.kind is TableKind.LUT8 else SEGMENT_BYTES
    return -(-size // (4 * chip.vx_lanes))


def fold_steps(op: VrunOp, chip: ChipConfig) -> int:
    """Return the halving steps after each result of a reduction across lanes."""
    lanes = {Reduce.PIXELS: chip.beat_pixels, Reduce.CHANNELS: chip.ku}.get(op.reduce, 1)
    return lanes.bit_length() - 1


def _tiles(steps: int, tiles: int, drain: int) -> int:
    """Return the cycles of `tiles` register tiles, each drained while the next is computed."""
    return steps + (tiles - 1) * max(steps, drain)


def step_cycles(op: VrunOp) -> int:
    """Return the cycles of a step of the reduction, which every beat takes."""
    return SUM_CYCLES if op.reduce is not Reduce.NONE and op.redop is RedOp.SUM else 1


def chain_passes(op: VrunOp, chip: ChipConfig) -> Passes:
    """Return how often a beat and a result go through the chain's stages."""
    return Passes(
        max(1, _passes(op.before, chip.vx_stages)),
        _passes(op.after, chip.vx_stages),
        op.reduce is not Reduce.NONE,
    )


def _passes(micros: Iterable[Micro], stages: str) -> int:
    """Place micro-ops in order in the next stage that can do them; return the passes."""
    place = 0
    for micro in micros:
        wanted = "F" if micro.op in FUNCTIONS else "A"
        while stages[place % len(stages)] != wanted:
            place += 1
        place += 1
    return -(-place // len(stages))


def _sent(beats: int, passes: int, pass_cycles: int) -> int:
    """Return the cycles in which `beats` enter a chain that each goes through `passes` times."""
    whole, rest = divmod(beats - 1, pass_cycles)
    return whole * pass_cycles * passes + rest + 1


@singledispatch
def _ideal(op: object, chip: ChipConfig) -> int:
    raise AssertionError(f"{type(op).__name__} has no cycle rule; add one in isa/cycles.py")


@_ideal.register
def _(op: DmaOp, chip: ChipConfig) -> int:
    """Count the longer of DRAM port beats and scratchpad pieces (of at most a beat each)."""
    return max(dma_beats(op, chip), dma_chunks(op, chip))


@_ideal.register
def _(op: GemmOp, chip: ChipConfig) -> int:
    """Count steps per register tile of mu x nu; at least drain_cycles from the second on."""
    return _tiles(op.steps, op.n_tiles * -(-op.m // chip.mu), chip.drain_cycles)


@_ideal.register
def _(op: ConvOp, chip: ChipConfig) -> int:
    """Count kh * kw * groups per register tile; at least drain_cycles from the second on."""
    return _tiles(op.steps, op.n_tiles * -(-op.p // chip.mu), chip.drain_cycles)


@_ideal.register
def _(op: DwOp, chip: ChipConfig) -> int:
    """Count kh * ceil(kw / ku) * nu / ku / 2 per register tile; at least drain_cycles."""
    pairs = -(-chip.nu // chip.ku // 2)
    return _tiles(op.steps(chip.ku) * pairs, op.tiles * -(-op.p // chip.mu), chip.drain_cycles)


@_ideal.register
def _(op: LdwOp, chip: ChipConfig) -> int:
    """Count one cycle a line."""
    return op.lines


@_ideal.register
def _(op: GemvOp, chip: ChipConfig) -> int:
    """Count steps per pair of n tiles; at least 2 * nu / ku from the second pair on."""
    return _tiles(op.steps, -(-op.n_tiles // 2), 2 * chip.nu // chip.ku)


@_ideal.register
def _(op: VrunOp, chip: ChipConfig) -> int:
    """Count passes of the chain a beat and tap, one cycle a group for parameters, halvings."""
    places = -(-op.p // chip.beat_pixels)
    beats, step = op.groups * places * op.taps, step_cycles(op)
    sent = _sent(beats, chain_passes(op, chip).before, chip.vx_pass_cycles)
    by_pixel = op.reduce is Reduce.CHANNELS
    results = places if by_pixel else op.groups
    parameters = 0
    if op.params is not None:
        parameters = op.groups * (places if by_pixel and op.groups > 1 else 1)
    return max(step * beats + parameters + results * step * fold_steps(op, chip), sent)


@_ideal.register
def _(op: LdtOp, chip: ChipConfig) -> int:
    """Count one cycle for every vx_lanes * 4 bytes of the (greatest) image."""
    return table_lines(op, chip)
