"""Ideal cycles of MX: register tiles, each drained while the next is computed."""

from jiriki.chip.config import ChipConfig
from jiriki.isa.matrix.operations import ConvOp, DwOp, GemmOp, GemvOp, LdwOp


def _tiles(steps: int, tiles: int, drain: int) -> int:
    """Return the cycles of `tiles` register tiles, each drained while the next is computed."""
    return steps + (tiles - 1) * max(steps, drain)


def gemm_cycles(op: GemmOp, chip: ChipConfig) -> int:
    """Count steps per register tile of mu x nu; at least drain_cycles from the second on."""
    return _tiles(op.steps, op.n_tiles * -(-op.m // chip.mu), chip.drain_cycles)


def conv_cycles(op: ConvOp, chip: ChipConfig) -> int:
    """Count kh * kw * groups per register tile; at least drain_cycles from the second on."""
    return _tiles(op.steps, op.n_tiles * -(-op.p // chip.mu), chip.drain_cycles)


def dw_cycles(op: DwOp, chip: ChipConfig) -> int:
    """Count kh * ceil(kw / ku) * nu / ku / 2 per register tile; at least drain_cycles."""
    pairs = -(-chip.nu // chip.ku // 2)
    return _tiles(op.steps(chip.ku) * pairs, op.tiles * -(-op.p // chip.mu), chip.drain_cycles)


def ldw_cycles(op: LdwOp, chip: ChipConfig) -> int:
    """Count one cycle a line."""
    return op.lines


def gemv_cycles(op: GemvOp, chip: ChipConfig) -> int:
    """Count steps per pair of n tiles; at least 2 * nu / ku from the second pair on."""
    return _tiles(op.steps, -(-op.n_tiles // 2), 2 * chip.nu // chip.ku)
