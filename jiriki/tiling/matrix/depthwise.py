"""Depthwise convolution, alone or streamed into the 1x1 convolution that follows it.

In: a depthwise conv node (one input channel per output channel), and optionally a dense 1x1
convolution that alone reads its output. Out: per stripe of output rows, depthwise tiles into a
scratchpad block, then (streamed) the dense tiles that read the block: the wide tensor between the
two never goes to DRAM. The next stripe's depthwise tiles come before this stripe's dense tiles, so
that the matrix unit works while the vector unit finishes a block.
"""

from dataclasses import dataclass

import numpy as np

from jiriki.chip.config import ChipConfig
from jiriki.tiling.builder import Builder, Placed, View, spread_plane
from jiriki.tiling.errors import TileError
from jiriki.tiling.matrix.conv import (
    Dense,
    Geometry,
    acc_rows_of,
    acc_stride_of,
    dense_tile,
    load_weights,
)
from jiriki.tiling.matrix.epilogue import Epilogue, LoadedEpilogue, finish_tile, load_epilogue
from jiriki.tiling.tile_program import Area, Buffer, DepthwiseTile, Reserve, TileOp, WeightFile

# What the choice of a cut adds to the cycles of the busiest unit (set by bench/planner_weights.py).
TRAFFIC_SHARE = 0.1  # of the cycles of DRAM traffic: it is rarely hidden as a whole
START_SHARE = 0.5  # of the cycles of the first loads, which the layer before hides in part
CALL_CYCLES = 24  # of one tile: issue, and loading the weight file
TILE_CYCLES = 4  # of one accumulator tile of the product that follows


@dataclass(frozen=True, slots=True)
class Depthwise:
    """A depthwise convolution over all channel groups of x."""

    geometry: Geometry
    x: Placed
    x_zp: int
    weights: Buffer  # DRAM, [tile][ky][chunk][nu][ku]
    epilogue: Epilogue

    def lines(self, ku: int) -> int:
        """Register-file lines of one tile of nu channels."""
        return self.geometry.kh * -(-self.geometry.kw // ku)


def pack_depthwise(w: np.ndarray, ku: int, nu: int) -> np.ndarray:
    """Pack w [c, 1, kh, kw] int8 as [tile][ky][chunk][nu][ku taps]."""
    c, _, kh, kw = w.shape
    tiles, chunks = -(-c // nu), -(-kw // ku)
    full = np.zeros((tiles * nu, kh, chunks * ku), np.int8)
    full[:c, :, :kw] = w[:, 0]
    blocks = full.reshape(tiles, nu, kh, chunks, ku)
    return np.ascontiguousarray(blocks.transpose(0, 2, 3, 1, 4))


@dataclass(frozen=True, slots=True)
class DepthwiseCut:
    """Output rows of a stripe, channel tiles of an accumulator tile, rows of it."""

    stripe: int
    tiles: int
    rows: int


def plan_depthwise(
    b: Builder, d: Depthwise, follow: Dense | None = None, follow_layer: int = 0
) -> None:
    """Emit a depthwise convolution; with `follow`, its output block feeds that convolution.

    With `follow`, d.epilogue.out must be a Placed that nothing else reads; its buffer is not used.
    follow_layer: the layer index of `follow`.
    """
    own_layer = b.layer
    cut = choose_depthwise_cut(b, d, follow)
    geo = d.geometry
    blocks = _reserve_blocks(b, d, cut) if follow else []
    loaded = load_epilogue(b, d.epilogue)
    weights = b.load_constant(d.weights, 0, d.weights.size, high=True)
    next_loaded = load_epilogue(b, follow.epilogue) if follow else None
    dense_weights: tuple[Buffer, ...] = ()
    if follow:
        dense_weights = load_weights(b, follow, 0, _dense_tiles(b.chip, follow))
    pending: list[TileOp] = []
    count = 0
    for image in range(geo.images):
        for r0 in range(0, geo.oh, cut.stripe):
            r1 = min(geo.oh, r0 + cut.stripe)
            block = _block(d, blocks[count % 2], r0, r1) if follow else None
            count += 1
            _depthwise_stripe(b, d, cut, loaded, weights, image, r0, r1, block)
            b.ops.extend(pending)
            pending = []
            if follow and next_loaded and block:
                start = len(b.ops)
                b.layer = follow_layer
                _dense_stripe(b, follow, next_loaded, dense_weights, block, image, r0, r1)
                b.layer = own_layer
                pending = b.take_ops(start)
    b.ops.extend(pending)


def _reserve_blocks(b: Builder, d: Depthwise, cut: DepthwiseCut) -> list[Buffer]:
    """Reserve the two scratchpad blocks that stripes alternate between."""
    out, geo = d.epilogue.out, d.geometry
    per = b.chip.nu // b.chip.ku
    groups = -(-out.layout.groups // per) * per
    size = groups * cut.stripe * geo.ow * out.layout.group_bytes
    count = 2 if geo.images * geo.oh > cut.stripe else 1
    buffers = [b.scratch(out.name, size) for _ in range(count)]
    for buffer in buffers:
        b.emit(Reserve(layer=b.layer, writes=(Area(buffer),)))
    return buffers * (3 - count)


def _block(d: Depthwise, buffer: Buffer, r0: int, r1: int) -> Placed:
    """Return the block for output rows [r0, r1), as a resident tensor of its own."""
    out = d.epilogue.out
    return Placed(out.name, out.layout, buffer, (r1 - r0) * d.geometry.ow, resident=True)


def _depthwise_stripe(
    b: Builder,
    d: Depthwise,
    cut: DepthwiseCut,
    loaded: LoadedEpilogue,
    weights: Buffer,
    image: int,
    r0: int,
    r1: int,
    block: Placed | None,
) -> None:
    chip, geo = b.chip, d.geometry
    per = chip.nu // chip.ku
    groups = d.x.layout.groups
    first, last = geo.input_rows(r0, r1)
    base = image * geo.h * geo.w
    step = cut.tiles * per
    for g0 in range(0, groups, step):
        g1 = min(groups, g0 + step)
        view = b.fetch_rows(
            d.x, g0, g1, base + first * geo.w, base + last * geo.w, geo.pitch(chip), spread=True
        )
        lines = d.lines(chip.ku)
        t0, t1 = g0 // per, -(-g1 // per)
        b.emit(
            WeightFile(
                layer=b.layer, b=weights, b_offset=t0 * lines * chip.nu * chip.ku,
                lines=(t1 - t0) * lines, reads=(Area(weights),),
            )
        )  # fmt: skip
        for y0 in range(r0, r1, cut.rows):
            y1 = min(r1, y0 + cut.rows)
            _depthwise_tile(b, d, loaded, view, image, (first, last), (y0, y1), (g0, g1), block, r0)


def _depthwise_tile(
    b: Builder,
    d: Depthwise,
    loaded: LoadedEpilogue,
    view: View,
    image: int,
    span: tuple[int, int],
    rows: tuple[int, int],
    groups: tuple[int, int],
    block: Placed | None,
    block_row: int,
) -> None:
    chip, geo = b.chip, d.geometry
    (y0, y1), (g0, g1) = rows, groups
    p = (y1 - y0) * geo.ow
    tiles = -(-(g1 - g0) // (chip.nu // chip.ku))
    stride = acc_stride_of(chip, p)
    acc = b.accumulators(acc_rows_of(chip, tiles, p))
    walk = geo.walk(view, *span, y0, 0, geo.ow, d.x_zp)
    b.emit(
        DepthwiseTile(
            layer=b.layer, a=view.buffer, a_offset=view.at(g0, view.p0 + walk.base),
            window=walk.window, p=p, tiles=tiles, acc=acc, acc_stride=stride, writes=(Area(acc),),
            reads=(view.area(g0, g1, view.p0, view.p1),),
        )
    )  # fmt: skip
    if block is None:
        start = (image * geo.oh + y0) * geo.ow
        b.deliver(finish_tile(b, loaded, acc, stride, g0, g1, start, start + p))
        return
    inner = LoadedEpilogue(_with_out(loaded.spec, block), loaded.params, loaded.table)
    start = (y0 - block_row) * geo.ow
    finish_tile(b, inner, acc, stride, g0, g1, start, start + p)


def _with_out(spec: Epilogue, out: Placed) -> Epilogue:
    return Epilogue(
        spec.chain, spec.params, out, spec.out_dtype, spec.out_quant, spec.residual, spec.table
    )


def _dense_tiles(chip: ChipConfig, d: Dense) -> int:
    return -(-(d.go1 - d.go0) // (chip.nu // chip.ku))


def _dense_stripe(
    b: Builder,
    d: Dense,
    loaded: LoadedEpilogue,
    weights: tuple[Buffer, ...],
    block: Placed,
    image: int,
    r0: int,
    r1: int,
) -> None:
    """Emit the 1x1 convolution of rows [r0, r1), whose input is `block`."""
    chip, geo = b.chip, d.geometry
    pixels = (r1 - r0) * geo.ow
    view = b.fetch(block, d.gi0, d.gi1, 0, pixels)
    n_tiles = _dense_tiles(chip, d)
    rows, chunk = _dense_cut(chip, n_tiles, r1 - r0, geo.ow)
    size = d.steps * chip.nu * chip.ku
    for t0 in range(0, n_tiles, chunk):
        t1 = min(n_tiles, t0 + chunk)
        for y0 in range(r0, r1, rows):
            y1 = min(r1, y0 + rows)
            walk = geo.walk(view, r0, r1, y0, 0, geo.ow, d.x_zp)
            dense_tile(
                b, d, loaded, view, walk, weights, image, (y0, y1), (0, geo.ow), t0, t1,
                b_offset=t0 * size, pixels=((y0 - r0) * geo.ow, (y1 - r0) * geo.ow),
            )  # fmt: skip


def _dense_cut(chip: ChipConfig, n_tiles: int, stripe: int, ow: int) -> tuple[int, int]:
    """Choose (rows, n tiles) of an accumulator tile within half the accumulators."""
    half = chip.acc_rows // 2
    best = None
    for parts in range(1, n_tiles + 1):
        chunk = -(-n_tiles // parts)
        fits = [r for r in range(1, stripe + 1) if acc_rows_of(chip, chunk, r * ow) <= half]
        for rows in fits:
            full, rest = divmod(stripe, rows)
            padded = full * -(-rows * ow // chip.mu) + -(-rest * ow // chip.mu)
            calls = parts * -(-stripe // rows)
            cost = padded * chip.mu * n_tiles + TILE_CYCLES * calls
            if best is None or cost < best[0]:
                best = (cost, rows, chunk)
        if fits and len(fits) == stripe:
            break
    if best is None:
        raise TileError(
            f"an output row of {ow} pixels exceeds half the accumulators of chip {chip.name} "
            f"({half} rows); choose a chip with more accumulator rows"
        )
    return best[1], best[2]


def choose_depthwise_cut(b: Builder, d: Depthwise, follow: Dense | None) -> DepthwiseCut:
    """Return the cheapest cut that fits; TileError when none does."""
    best: tuple[float, DepthwiseCut] | None = None
    for parts in range(1, d.geometry.oh + 1):
        stripe = -(-d.geometry.oh // parts)
        cut = _fill(b.chip, d, stripe)
        if cut is None or _footprint(b, d, cut, follow) > b.available:
            continue
        cost = _cost(b.chip, d, cut, follow)
        if best is None or cost < best[0]:
            best = (cost, cut)
    if best is None:
        raise TileError(
            f"layer {b.layers[b.layer].name}: no depthwise tiling fits into {b.available} "
            f"scratchpad bytes of chip {b.chip.name}; choose a chip with a larger scratchpad"
        )
    return best[1]


def _fill(chip: ChipConfig, d: Depthwise, stripe: int) -> DepthwiseCut | None:
    half = chip.acc_rows // 2
    tiles = min(-(-d.x.layout.channels // chip.nu), chip.weight_file_lines // d.lines(chip.ku))
    for rows in range(stripe, 0, -1):
        room = half // acc_rows_of(chip, 1, rows * d.geometry.ow)
        wide = (d.geometry.kw - 1) * d.geometry.dx < 128
        if min(room, tiles) >= min(2, tiles) and tiles and wide:
            return DepthwiseCut(stripe, min(room, tiles), rows)
    return None


def _footprint(b: Builder, d: Depthwise, cut: DepthwiseCut, follow: Dense | None) -> int:
    chip, geo = b.chip, d.geometry
    per = chip.nu // chip.ku
    rows = min(geo.h, (cut.stripe - 1) * geo.sy + (geo.kh - 1) * geo.dy + 1)
    plane = spread_plane(rows * geo.pitch(chip), chip) * d.x.layout.group_bytes
    stripe = 0 if d.x.resident else 2 * cut.tiles * per * plane
    total = stripe + d.weights.size + d.epilogue.params.size
    out_pixels = cut.stripe * geo.ow * d.epilogue.out.layout.group_bytes
    if follow is None:
        tile = cut.tiles * per * cut.rows * geo.ow * d.epilogue.out.layout.group_bytes
        return total + (0 if d.epilogue.out.resident else 2 * tile)
    n_tiles = _dense_tiles(chip, follow)
    blocks = min(2, -(-geo.oh // cut.stripe)) * d.epilogue.out.layout.groups * out_pixels
    dense = n_tiles * follow.steps * chip.nu * chip.ku * len(follow.weights)
    rows_, chunk = _dense_cut(chip, n_tiles, cut.stripe, geo.ow)
    tile = chunk * chip.nu * rows_ * geo.ow * follow.epilogue.width
    out = 0 if follow.epilogue.out.resident else 2 * tile
    residual = follow.epilogue.residual
    other = 0 if residual is None or residual.resident else 2 * tile
    return total + blocks + dense + out + other + follow.epilogue.params.size


def _cost(chip: ChipConfig, d: Depthwise, cut: DepthwiseCut, follow: Dense | None) -> float:
    geo = d.geometry
    groups = d.x.layout.groups
    tiles = -(-groups // (chip.nu // chip.ku))
    stripes = geo.images * -(-geo.oh // cut.stripe)
    full, rest = divmod(cut.stripe, cut.rows)
    pixel_tiles = full * -(-cut.rows * geo.ow // chip.mu) + -(-rest * geo.ow // chip.mu)
    lines = d.lines(chip.ku)
    matrix = stripes * tiles * (pixel_tiles * max(lines, chip.drain_cycles) + lines)
    if follow is not None:
        step = max(follow.steps, chip.drain_cycles)
        n_tiles = _dense_tiles(chip, follow)
        matrix += stripes * n_tiles * -(-cut.stripe * geo.ow // chip.mu) * step
    rows = min(geo.h, (cut.stripe - 1) * geo.sy + (geo.kh - 1) * geo.dy + 1)
    read = 0 if d.x.resident else stripes * rows * geo.w * groups * d.x.layout.group_bytes
    calls = stripes * -(-tiles // cut.tiles) * -(-cut.stripe // cut.rows)
    traffic = read / chip.dram_bytes_per_cycle
    start = read / stripes / chip.dram_bytes_per_cycle
    hidden = max(matrix, traffic)
    return hidden + TRAFFIC_SHARE * traffic + START_SHARE * start + CALL_CYCLES * calls
