"""Effects of MX: the regions that each operation reads and writes.

In: a resolved operation and the chip. Out: `Effects`. A region is never smaller than what is
touched; it is larger only where a window's taps skip rows or columns unevenly.
"""

from jiriki.chip.config import ChipConfig
from jiriki.isa.matrix.operations import ConvOp, DwOp, GemmOp, GemvOp, LdwOp
from jiriki.isa.regions import Effects, Region, Space, region, window_regions

MatrixOp = ConvOp | GemmOp | DwOp | GemvOp


def result_rows(op: MatrixOp, chip: ChipConfig) -> tuple[int, int, int]:
    """Return (rows between channel groups, channel groups, rows of each) of the results."""
    pixels, tiles = op.written(chip.mu)
    return op.acc_stride, tiles * chip.nu // chip.ku, -(-pixels // chip.beat_pixels)


def gemm_effects(op: GemmOp, chip: ChipConfig) -> Effects:
    """Return what GEMM touches."""
    ku = chip.ku
    line = chip.nu * ku // (2 if op.w4 else 1)
    steps, tiles = (op.b_kstride * ku, op.steps), (op.b_nstride * ku, op.n_tiles)
    a = region(Space.SP, op.a * ku, op.m * ku, [(op.a_plane * ku, op.steps)])
    return _accumulates(op, (a, region(Space.SP, op.b * ku, line, [steps, tiles])), chip)


def conv_effects(op: ConvOp, chip: ChipConfig) -> Effects:
    """Return what CONV touches."""
    a = window_regions(op.a * chip.ku, chip.ku, op.window, op.p, op.groups, taps=True)
    return _accumulates(op, (*a, _packed_weights(op, chip)), chip)


def dw_effects(op: DwOp, chip: ChipConfig) -> Effects:
    """Return what DW touches."""
    groups = op.tiles * chip.nu // chip.ku
    a = window_regions(op.a * chip.ku, chip.ku, op.window, op.p, groups, taps=True)
    lines = Region(Space.WEIGHTS, op.line, op.tiles * op.steps(chip.ku))
    return _accumulates(op, (*a, lines), chip)


def gemv_effects(op: GemvOp, chip: ChipConfig) -> Effects:
    """Return what GEMV touches."""
    lines = Region(Space.WEIGHTS, 0, -(-op.steps // chip.nu))
    return _accumulates(op, (_packed_weights(op, chip), lines), chip)


def _accumulates(op: MatrixOp, reads: tuple[Region, ...], chip: ChipConfig) -> Effects:
    """Add the accumulator rows: written, and read where the results are added to them."""
    stride, groups, rows = result_rows(op, chip)
    target = region(Space.ACC, op.acc, rows, [(stride, groups)])
    return Effects((*reads, target) if op.accumulate else reads, (target,))


def _packed_weights(op: ConvOp | GemvOp, chip: ChipConfig) -> Region:
    size = op.n_tiles * op.steps * chip.nu * chip.ku // (2 if op.w4 else 1)
    return Region(Space.SP, op.b * chip.ku, size)


def ldw_effects(op: LdwOp, chip: ChipConfig) -> Effects:
    """Return what LDW touches."""
    lines = region(Space.SP, op.b * chip.ku, op.lines * chip.nu * chip.ku, ())
    return Effects((lines,), (Region(Space.WEIGHTS, 0, op.lines),))
