"""Dense convolution and matrix product with constant weights, cut for the matrix unit.

In: a conv or matmul node (with fused followers). Out: loads of input stripes and weight chunks,
one accumulator tile after another, each with its epilogue and store. A matmul is a 1x1
convolution whose pixels are the rows of A.

Tiling: output rows are cut into *stripes* (an input stripe is loaded once), channels into *chunks*
of n tiles, and a stripe into accumulator tiles of whole rows. Weights stay in the scratchpad if
they fit; else every stripe streams them. The cheapest cut by `_cost` that fits is taken.
"""

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np

from jiriki.chip.config import ChipConfig
from jiriki.graph.graph import Node
from jiriki.graph.op import integers
from jiriki.isa.words import Window
from jiriki.tiling.builder import Builder, Placed, View, row_pitch
from jiriki.tiling.errors import TileError
from jiriki.tiling.matrix.epilogue import Epilogue, LoadedEpilogue, finish_tile, load_epilogue
from jiriki.tiling.tile_program import Area, Buffer, ConvTile

MOST_GROUPS = 1023  # of input channels, that one CONV sums
LEAST_PAD = -2048  # rows or columns of padding: the window's field
# What the choice of a cut adds to the cycles of the busiest unit (set by bench/planner_weights.py).
TRAFFIC_SHARE = 0.05  # of the cycles of DRAM traffic: it is rarely hidden as a whole
START_SHARE = 0.5  # of the cycles of the first loads, which the layer before hides in part
CALL_CYCLES = 16  # of one accumulator tile: issue, and filling the array
LONGEST_LINE, MIN_LINE = 256, 32  # pixels of a matrix product's line that need no folding


class Walk(NamedTuple):
    """A window, and how many element groups its base lies beyond the view's first.

    Rows and columns above and left of what is read are left out of a window where their number
    exceeds its field.
    """

    window: Window
    base: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of a convolution over images of h x w, oh x ow outputs."""

    images: int
    h: int
    w: int
    oh: int
    ow: int
    kh: int = 1
    kw: int = 1
    sy: int = 1
    sx: int = 1
    dy: int = 1
    dx: int = 1
    top: int = 0
    left: int = 0

    def input_rows(self, r0: int, r1: int) -> tuple[int, int]:
        """Input rows [first, last) that exist and that output rows [r0, r1) read."""
        first = r0 * self.sy - self.top
        last = (r1 - 1) * self.sy - self.top + (self.kh - 1) * self.dy + 1
        first = min(max(0, first), self.h - 1)
        return first, min(self.h, max(first + 1, last))

    def is_sampling(self) -> bool:
        """Return whether only every sy-th row and sx-th column is read at all."""
        unpadded = self.top == self.left == 0 and self.kh == self.kw == 1
        inside = (self.oh - 1) * self.sy < self.h and (self.ow - 1) * self.sx < self.w
        return unpadded and self.sy * self.sx > 1 and inside

    def pitch(self, chip: ChipConfig) -> int:
        """Element groups between input rows in the scratchpad."""
        return row_pitch(self.w, self.ow, self.sx, chip)

    def walk(self, view: View, first: int, last: int, r0: int, c0: int, c1: int, fill: int) -> Walk:
        """Walk output rows from r0, columns [c0, c1), over a view of rows [first, last)."""
        pitch = view.pitch or self.w
        py, px = self.top - (r0 * self.sy - first), self.left - c0 * self.sx
        rows, columns = (-pad if pad < LEAST_PAD else 0 for pad in (py, px))
        window = Window(
            plane=view.plane, pitch=pitch, h=last - first - rows, w=self.w - columns, ow=c1 - c0,
            fill=fill, sy=self.sy, sx=self.sx, dy=self.dy, dx=self.dx, py=py + rows,
            px=px + columns, kh=self.kh, kw=self.kw,
        )  # fmt: skip
        return Walk(window, rows * pitch + columns)


def conv_geometry(node: Node, x: Placed, w_shape: tuple[int, ...], oh: int, ow: int) -> Geometry:
    """Read the geometry of a conv node; x is [n, c, h, w]."""
    (sy, sx), (dy, dx) = integers(node.attrs, "strides"), integers(node.attrs, "dilations")
    top, left, _, _ = integers(node.attrs, "pads")
    n, _, h, w = x.layout.shape
    _, _, kh, kw = w_shape
    return Geometry(n, h, w, oh, ow, kh, kw, sy, sx, dy, dx, top, left)


def matmul_geometry(rows: int) -> Geometry:
    """One line of pixels; a long one is folded, where it divides, so that it can be cut."""
    width = rows
    if rows > LONGEST_LINE:
        width = next((w for w in range(LONGEST_LINE, MIN_LINE, -1) if rows % w == 0), rows)
    return Geometry(1, rows // width, width, rows // width, width)


@dataclass(frozen=True, slots=True)
class Dense:
    """One dense convolution: input groups [gi0, gi1) to output groups [go0, go0 + ...)."""

    geometry: Geometry
    x: Placed
    x_zp: int
    gi0: int
    gi1: int
    go0: int
    go1: int
    weights: tuple[Buffer, ...]  # DRAM, packed B tiles; two when a weight exceeds int8
    epilogue: Epilogue
    sample: tuple[int, int] | None = None  # take every n-th row and column of x while loading

    @property
    def steps(self) -> int:
        return self.geometry.kh * self.geometry.kw * (self.gi1 - self.gi0)


def pack_weights(w: np.ndarray, ku: int, nu: int) -> np.ndarray:
    """Pack w [o, c, kh, kw] int8 as B tiles [n tile][ky][kx][group][nu][ku]."""
    o, c, kh, kw = w.shape
    tiles, groups = -(-o // nu), -(-c // ku)
    full = np.zeros((tiles * nu, groups * ku, kh, kw), np.int8)
    full[:o, :c] = w
    blocks = full.reshape(tiles, nu, groups, ku, kh, kw)
    return np.ascontiguousarray(blocks.transpose(0, 4, 5, 2, 1, 3))


def split_weights(w: np.ndarray) -> list[np.ndarray]:
    """Return int8 arrays that add up to w (int16 values of -255..255): 255 takes three."""
    parts, rest = [], w
    while not parts or rest.any():
        parts.append(np.clip(rest, -128, 127).astype(np.int8))
        rest = rest - parts[-1]
    return parts


@dataclass(frozen=True, slots=True)
class Cut:
    """A choice of tiling."""

    stripe: int  # output rows an input stripe serves
    chunk: int  # n tiles a weight chunk holds
    rows: int  # output rows of an accumulator tile
    columns: int  # output columns of an accumulator tile
    keep: bool  # weights stay for all stripes


def acc_rows_of(chip: ChipConfig, tiles: int, pixels: int) -> int:
    """Accumulator rows that n `tiles` x `pixels` take."""
    return tiles * (chip.nu // chip.ku) * acc_stride_of(chip, pixels)


def acc_stride_of(chip: ChipConfig, pixels: int) -> int:
    return -(-pixels // chip.mu) * (chip.mu // chip.beat_pixels)


def plan_dense(b: Builder, d: Dense) -> None:
    """Emit the tile operations of one dense convolution."""
    cut = choose_cut(b, d)
    chip, geo = b.chip, d.geometry
    loaded = load_epilogue(b, d.epilogue)
    n_tiles = -(-(d.go1 - d.go0) // (chip.nu // chip.ku))
    weights_held: dict[int, tuple[Buffer, ...]] = {}
    for image in range(geo.images):
        for r0 in range(0, geo.oh, cut.stripe):
            r1 = min(geo.oh, r0 + cut.stripe)
            first, last = geo.input_rows(r0, r1)
            base = image * geo.h * geo.w
            if d.sample:
                size = (geo.h, geo.w)
                view = b.fetch_sampled(d.x, d.gi0, d.gi1, image, (first, last), size, d.sample)
            else:
                columns = d.x.layout.columns
                pitch = geo.pitch(chip) if geo.w == columns else columns  # a folded line is dense
                view = b.fetch_rows(
                    d.x, d.gi0, d.gi1, base + first * geo.w, base + last * geo.w, pitch
                )
            for t0 in range(0, n_tiles, cut.chunk):
                t1 = min(n_tiles, t0 + cut.chunk)
                weights = weights_held.get(t0) or load_weights(b, d, t0, t1)
                if cut.keep:
                    weights_held[t0] = weights
                span, rows = (first, last), (r0, r1)
                _stripe_tiles(b, d, cut, loaded, view, weights, image, span, rows, t0, t1)


def load_weights(b: Builder, d: Dense, t0: int, t1: int) -> tuple[Buffer, ...]:
    """Load the weights of n tiles [t0, t1)."""
    size = d.steps * b.chip.nu * b.chip.ku
    return tuple(b.load_constant(w, t0 * size, (t1 - t0) * size, high=True) for w in d.weights)


def _stripe_tiles(
    b: Builder,
    d: Dense,
    cut: Cut,
    loaded: LoadedEpilogue,
    view: View,
    weights: tuple[Buffer, ...],
    image: int,
    span: tuple[int, int],
    rows: tuple[int, int],
    t0: int,
    t1: int,
) -> None:
    geo = d.geometry
    for r0 in range(rows[0], rows[1], cut.rows):
        r1 = min(rows[1], r0 + cut.rows)
        for c0 in range(0, geo.ow, cut.columns):
            c1 = min(geo.ow, c0 + cut.columns)
            walk = geo.walk(view, *span, r0, c0, c1, d.x_zp)
            dense_tile(b, d, loaded, view, walk, weights, image, (r0, r1), (c0, c1), t0, t1)


def dense_tile(
    b: Builder,
    d: Dense,
    loaded: LoadedEpilogue,
    view: View,
    walk: Walk,
    weights: tuple[Buffer, ...],
    image: int,
    rows: tuple[int, int],
    columns: tuple[int, int],
    t0: int,
    t1: int,
    b_offset: int = 0,
    pixels: tuple[int, int] | None = None,
) -> None:
    """Emit one accumulator tile: n tiles [t0, t1) of the given output rows and columns.

    pixels: the pixels of the view that are read, where they are not those of the input rows.
    """
    chip, geo = b.chip, d.geometry
    p = (rows[1] - rows[0]) * (columns[1] - columns[0])
    stride = acc_stride_of(chip, p)
    acc = b.accumulators(acc_rows_of(chip, t1 - t0, p))
    pixels = pixels or _pixels_read(geo, view, image, rows)
    for i, (weight, g) in enumerate(product(weights, range(d.gi0, d.gi1, MOST_GROUPS))):
        end = min(d.gi1, g + MOST_GROUPS)
        b.emit(
            ConvTile(
                layer=b.layer, a=view.buffer, a_offset=view.at(g, view.p0 + walk.base),
                window=walk.window, p=p, groups=end - g, b=weight,
                b_offset=b_offset + (g - d.gi0) * chip.nu * chip.ku,
                n_tiles=t1 - t0, acc=acc, acc_stride=stride, accumulate=i > 0,
                reads=(view.area(g, end, *pixels), Area(weight)),
                writes=(Area(acc),),
            )
        )  # fmt: skip
    per = chip.nu // chip.ku
    g0, g1 = d.go0 + t0 * per, min(d.go1, d.go0 + t1 * per)
    start = (image * geo.oh + rows[0]) * geo.ow + columns[0]
    done = finish_tile(b, loaded, acc, stride, g0, g1, start, start + p)
    b.deliver(done)


def _pixels_read(geo: Geometry, view: View, image: int, rows: tuple[int, int]) -> tuple[int, int]:
    first, last = geo.input_rows(*rows)
    base = image * geo.h * geo.w
    return max(view.p0, base + first * geo.w), min(view.p1, base + last * geo.w)


# -- choosing the cut --------------------------------------------------------------------


def choose_cut(b: Builder, d: Dense) -> Cut:
    """Return the cheapest cut that fits into the scratchpad bytes available to this operation."""
    if not _chunk_candidates(b.chip, d):
        raise TileError(
            f"layer {b.layers[b.layer].name}: a kernel of {d.geometry.kh}x{d.geometry.kw} over "
            f"{(d.gi1 - d.gi0) * b.chip.ku} input channels exceeds {MOST_GROUPS * b.chip.ku}, the "
            f"most that one CONV of chip {b.chip.name} sums; split the channels in the model, or "
            "choose a chip with a larger ku"
        )
    cut = _cheapest(b, d, buffers=2) or _cheapest(b, d, buffers=1)
    if cut is None:
        raise TileError(
            f"layer {b.layers[b.layer].name}: no tiling fits into {b.available} scratchpad bytes "
            f"of chip {b.chip.name}; choose a chip with a larger scratchpad"
        )
    return cut


def _cheapest(b: Builder, d: Dense, buffers: int) -> Cut | None:
    """Return the cheapest cut that fits with double (2) or single (1) buffers of what streams."""
    best: tuple[float, Cut] | None = None
    for stripe in _stripe_candidates(d):
        for chunk in _chunk_candidates(b.chip, d):
            for keep in (True, False):
                cut = _fill_rows(b.chip, d, stripe, chunk, keep)
                if cut is None or _footprint(b, d, cut, buffers) > b.available:
                    continue
                cost = _cost(b.chip, d, cut)
                if best is None or cost < best[0]:
                    best = (cost, cut)
    return best[1] if best else None


def _stripe_candidates(d: Dense) -> list[int]:
    oh = d.geometry.oh
    if d.x.resident:
        return [oh]
    return sorted({-(-oh // parts) for parts in range(1, oh + 1)})


def _chunk_candidates(chip: ChipConfig, d: Dense) -> list[int]:
    n_tiles = -(-(d.go1 - d.go0) // (chip.nu // chip.ku))
    most = min(n_tiles, 255)
    if d.gi1 - d.gi0 > MOST_GROUPS:  # the sum is split, which the order of weights allows by tile
        return [1] if d.geometry.kh == d.geometry.kw == 1 else []
    return sorted({-(-n_tiles // parts) for parts in range(-(-n_tiles // most), n_tiles + 1)})


def _fill_rows(chip: ChipConfig, d: Dense, stripe: int, chunk: int, keep: bool) -> Cut | None:
    """Choose the accumulator tile: as many whole rows as half the accumulators hold."""
    geo, half = d.geometry, chip.acc_rows // 2
    if acc_rows_of(chip, chunk, geo.ow) > half:
        pixels = half // (chunk * (chip.nu // chip.ku)) // (chip.mu // chip.beat_pixels) * chip.mu
        return Cut(stripe, chunk, 1, min(pixels, 8192), keep) if pixels else None
    fits = [
        rows
        for rows in range(1, stripe + 1)
        if acc_rows_of(chip, chunk, rows * geo.ow) <= half and rows * geo.ow <= 8192
    ]
    if not fits:
        return None
    waste = {rows: _padded_pixels(chip, stripe, rows, geo.ow) for rows in fits}
    least = min(waste.values())
    return Cut(stripe, chunk, max(r for r in fits if waste[r] == least), geo.ow, keep)


def _padded_pixels(chip: ChipConfig, stripe: int, rows: int, ow: int) -> int:
    full, rest = divmod(stripe, rows)
    padded = full * -(-rows * ow // chip.mu)
    return (padded + -(-rest * ow // chip.mu)) * chip.mu


def _footprint(b: Builder, d: Dense, cut: Cut, buffers: int) -> int:
    """Scratchpad bytes the cut wants with `buffers` buffers of everything that streams."""
    chip, geo = b.chip, d.geometry
    groups, width = d.gi1 - d.gi0, d.x.layout.group_bytes
    first, last = geo.input_rows(0, min(geo.oh, cut.stripe))
    rows = min(geo.h, max(last - first, (cut.stripe - 1) * geo.sy + (geo.kh - 1) * geo.dy + 1))
    stripes = geo.images * -(-geo.oh // cut.stripe)
    pitch = geo.pitch(chip)
    stripe = 0 if d.x.resident else rows * pitch * groups * width * min(buffers, stripes)
    n_tiles = -(-(d.go1 - d.go0) // (chip.nu // chip.ku))
    chunk = cut.chunk * d.steps * chip.nu * chip.ku * len(d.weights)
    chunks = -(-n_tiles // cut.chunk)
    weights = chunks * chunk if cut.keep else min(buffers, chunks) * chunk
    tile = cut.chunk * chip.nu * cut.rows * cut.columns * d.epilogue.width
    out = 0 if d.epilogue.out.resident else buffers * tile
    residual = d.epilogue.residual
    other = 0 if residual is None or residual.resident else buffers * tile
    table = 256 if d.epilogue.table is not None else 0
    return stripe + weights + out + other + d.epilogue.params.size + table


def _cost(chip: ChipConfig, d: Dense, cut: Cut) -> float:
    """Estimate cycles: the larger of compute and traffic, plus what cannot overlap."""
    geo, beat = d.geometry, chip.dram_bytes_per_cycle
    n_tiles = -(-(d.go1 - d.go0) // (chip.nu // chip.ku))
    stripes = -(-geo.oh // cut.stripe)
    per_stripe = _tile_pixels(chip, cut, geo)
    step = max(d.steps * len(d.weights), chip.drain_cycles)
    matrix = geo.images * stripes * n_tiles * per_stripe // chip.mu * step
    vector = geo.images * geo.oh * geo.ow * (d.go1 - d.go0) / chip.beat_pixels
    calls = geo.images * stripes * -(-n_tiles // cut.chunk) * -(-cut.stripe // cut.rows)
    calls *= -(-geo.ow // cut.columns)
    weight = n_tiles * d.steps * chip.nu * chip.ku * len(d.weights)
    groups, width = d.gi1 - d.gi0, d.x.layout.group_bytes
    first, last = geo.input_rows(0, min(geo.oh, cut.stripe))
    stripe = (last - first) * geo.w * groups * width
    inputs = 0 if d.x.resident else stripe * stripes * geo.images
    passes = 1 if cut.keep else stripes * geo.images
    out_bytes = prod(d.epilogue.out.layout.shape) * d.epilogue.width
    outputs = 0 if d.epilogue.out.resident else out_bytes
    residual = d.epilogue.residual
    outputs += 0 if residual is None or residual.resident else out_bytes
    traffic = (inputs + weight * passes + outputs) / beat
    start = (0 if d.x.resident else stripe) / beat + weight / beat * cut.chunk / n_tiles
    tail = vector / calls
    hidden = max(matrix, vector, traffic)
    return hidden + TRAFFIC_SHARE * traffic + START_SHARE * start + tail + CALL_CYCLES * calls


def _tile_pixels(chip: ChipConfig, cut: Cut, geo: Geometry) -> int:
    """Padded pixels of one stripe."""
    if cut.columns < geo.ow:
        full, rest = divmod(geo.ow, cut.columns)
        row = (full * -(-cut.columns // chip.mu) + -(-rest // chip.mu)) * chip.mu
        return row * cut.stripe
    return _padded_pixels(chip, cut.stripe, cut.rows, geo.ow)
