"""Ideal cycles of VX: beats through the chain's stages, steps of a reduction, lines of a table."""

from collections.abc import Iterable
from dataclasses import dataclass

from jiriki.chip.config import ChipConfig
from jiriki.isa.vector.operations import LdtOp, VrunOp
from jiriki.isa.words import Micro, RedOp, Reduce

SUM_CYCLES = 3  # of a step of a SUM reduction


@dataclass(frozen=True, slots=True)
class Passes:
    """Rounds of a chain: up to RED, and beyond; one more goes through the reduction."""

    before: int
    after: int
    reduces: bool

    @property
    def rounds(self) -> int:
        return self.before + self.after + self.reduces


def table_lines(op: LdtOp, chip: ChipConfig) -> int:
    """Return the lines of vx_lanes * 4 bytes that LDT reads, one a cycle."""
    return -(-op.kind.image_bytes // (4 * chip.vx_lanes))


def fold_steps(op: VrunOp, chip: ChipConfig) -> int:
    """Return the halving steps after each result of a reduction across lanes."""
    lanes = {Reduce.PIXELS: chip.beat_pixels, Reduce.CHANNELS: chip.ku}.get(op.reduce, 1)
    return lanes.bit_length() - 1


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
        wanted = micro.op.stage.value
        while stages[place % len(stages)] != wanted:
            place += 1
        place += 1
    return -(-place // len(stages))


def _sent(beats: int, passes: int, pass_cycles: int) -> int:
    """Return the cycles in which `beats` enter a chain that each goes through `passes` times."""
    whole, rest = divmod(beats - 1, pass_cycles)
    return whole * pass_cycles * passes + rest + 1


def vrun_cycles(op: VrunOp, chip: ChipConfig) -> int:
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


def ldt_cycles(op: LdtOp, chip: ChipConfig) -> int:
    """Count one cycle for every vx_lanes * 4 bytes of the (greatest) image."""
    return table_lines(op, chip)
