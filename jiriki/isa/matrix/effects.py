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
    tiles = op.tiles if isinstance(op, DwOp) else op.n_tiles
    pixels, tile = 1, 1
    if isinstance(op, GemmOp):
        pixels, tile = op.m, chip.mu
    elif not isinstance(op, GemvOp):
        pixels, tile = op.p, chip.mu
    whole = -(-pixels // tile) * tile
    return op.acc_stride, tiles * chip.nu // chip.ku, -(-whole // chip.beat_pixels)


def matrix_effects(op: MatrixOp, chip: ChipConfig) -> Effects:
    """Return what GEMM, CONV, DW or GEMV touches."""
    stride, groups, rows = result_rows(op, chip)
    target = region(Space.ACC, op.acc, rows, [(stride, groups)])
    if isinstance(op, GemmOp):
        reads = _gemm_reads(op, chip)
    elif isinstance(op, GemvOp):
        lines = Region(Space.WEIGHTS, 0, -(-op.steps // chip.nu))
        reads = (_packed_weights(op.b, op.n_tiles * op.steps, op.w4, chip), lines)
    else:
        count = op.groups if isinstance(op, ConvOp) else groups
        a = window_regions(op.a * chip.ku, chip.ku, op.window, op.p, count, taps=True)
        if isinstance(op, ConvOp):
            b = _packed_weights(op.b, op.n_tiles * op.steps, op.w4, chip)
        else:
            b = Region(Space.WEIGHTS, op.line, op.tiles * op.steps(chip.ku))
        reads = (*a, b)
    return Effects((*reads, target) if op.accumulate else reads, (target,))


def _packed_weights(b: int, lines: int, w4: bool, chip: ChipConfig) -> Region:
    return Region(Space.SP, b * chip.ku, lines * chip.nu * chip.ku // (2 if w4 else 1))


def _gemm_reads(op: GemmOp, chip: ChipConfig) -> tuple[Region, ...]:
    ku = chip.ku
    line = chip.nu * ku // (2 if op.w4 else 1)
    steps, tiles = (op.b_kstride * ku, op.steps), (op.b_nstride * ku, op.n_tiles)
    return (
        region(Space.SP, op.a * ku, op.m * ku, [(op.a_plane * ku, op.steps)]),
        region(Space.SP, op.b * ku, line, [steps, tiles]),
    )


def ldw_effects(op: LdwOp, chip: ChipConfig) -> Effects:
    """Return what LDW touches."""
    lines = region(Space.SP, op.b * chip.ku, op.lines * chip.nu * chip.ku, ())
    return Effects((lines,), (Region(Space.WEIGHTS, 0, op.lines),))
