"""Expand operations into single bursts, runs, steps and beats, as the naive stepper reads them.

In: a resolved operation and a chip. Out: its bursts, scratchpad runs, matrix steps or vector
beats, each with the very words it touches. Slow and plain; the kernel shares none of it.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jiriki.chip.config import ChipConfig
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.matrix.operations import ConvOp, DwOp, GemmOp, GemvOp, LdwOp
from jiriki.isa.operations import Operation
from jiriki.isa.vector.operations import Stream, VrunOp
from jiriki.isa.words import DmaMode, DType, RedOp, Reduce, Window

Cell = tuple[int, int]  # bank, column
Level = frozenset[Cell]


def levels(words: Sequence[int], chip: ChipConfig) -> list[Level]:
    """Return the accesses that fetch all words: the k-th distinct word of a column in access k."""
    by_column: dict[int, int] = {}
    out: list[set[Cell]] = []
    for word in dict.fromkeys(words):
        cell = (word // chip.bank_words % chip.banks, word % chip.columns)
        k = by_column.get(cell[1], 0)
        by_column[cell[1]] = k + 1
        if k == len(out):
            out.append(set())
        out[k].add(cell)
    return [frozenset(level) for level in out]


def element_words(
    window: Window, base: int, width: int, g: int, tap: tuple[int, int], p: int
) -> list[int]:
    """Return the words of one element group, none outside the window."""
    ky, kx = tap
    oy, ox = divmod(p, window.ow)
    iy = oy * window.sy + ky * window.dy - window.py
    ix = ox * window.sx + kx * window.dx - window.px
    if not (0 <= iy < window.h and 0 <= ix < window.w):
        return []
    word = base + (g * window.plane + iy * window.pitch + ix) * width
    return list(range(word, word + width))


class Bytes:
    """Byte addresses of both sides of a DMA, in order, with the ends of its runs."""

    def __init__(self, op: DmaOp) -> None:
        self.runs: list[tuple[int, int]] = []  # first byte in DRAM and in the scratchpad
        dims = list(op.dims)
        places = [(op.dram, op.sp)]
        for dim in reversed(dims):
            places = [
                (dram + i * dim.dram_stride, sp + i * dim.sp_stride)
                for dram, sp in places
                for i in range(dim.count)
            ]
        self.runs = places
        self.run = op.run

    def folded(self, side: int, op: DmaOp, *, fold: bool) -> list[tuple[int, int]]:
        """Return (address, bytes) of the runs of one side, dense inner dimensions merged."""
        strides = [(d.count, (d.dram_stride, d.sp_stride)[side]) for d in op.dims]
        run, merged = op.run, 1
        while fold and strides and (strides[0][0] == 1 or strides[0][1] == run):
            count = strides.pop(0)[0]
            run, merged = run * count, merged * count
        return [(place[side], run) for place in self.runs[::merged]]


@dataclass
class Request:
    """A burst that LD may request or ST may send."""

    address: int
    bytes: int
    gathered: bool  # the first burst of a run whose address needs an index
    index: int  # byte address of that index


def bursts(op: DmaOp, chip: ChipConfig) -> deque[Request]:
    """Cut the DRAM side into requests: runs, at the edges of aligned blocks."""
    size = chip.dram_burst_bytes
    gather = op.mode is DmaMode.GATHER
    out: deque[Request] = deque()
    for number, (start, n) in enumerate(Bytes(op).folded(0, op, fold=not gather)):
        address, end = start, start + n
        inner = number % op.dims[0].count if gather else 0
        while address < end:
            stop = min(end, (address // size + 1) * size)
            first = gather and address == start
            index = (op.index or 0) + 4 * inner
            out.append(Request(address, stop - address, first, index))
            address = stop
    return out


def sp_runs(op: DmaOp) -> deque[list[int]]:
    """Return the scratchpad side: the byte addresses of each run."""
    if op.mode is DmaMode.SCATTER_BYTES:
        return deque([sp + j * op.byte_stride for j in range(op.run)] for _, sp in Bytes(op).runs)
    if op.mode is DmaMode.FILL and op.store:
        return deque([list(range(op.bytes))])
    return deque(list(range(sp, sp + n)) for sp, n in Bytes(op).folded(1, op, fold=True))


def chunk(runs: deque[list[int]], op: DmaOp, chip: ChipConfig) -> list[int]:
    """Return the next bytes that one access may move."""
    most = chip.dram_bytes_per_cycle
    return runs[0][: min(8, most) if op.mode is DmaMode.SCATTER_BYTES else most]


def drop(runs: deque[list[int]], n: int) -> None:
    """Take n bytes off the first run."""
    runs[0] = runs[0][n:]
    if not runs[0]:
        runs.popleft()


Step = tuple[list[int], list[int], bool]  # words of A, words of B, last step of a tile


def matrix_steps(op: Operation, chip: ChipConfig) -> Iterator[Step]:
    """Yield every step of an MX instruction, in order."""
    if isinstance(op, ConvOp | GemmOp):
        yield from _dense_steps(op, chip)
    elif isinstance(op, DwOp):
        yield from _dw_steps(op, chip)
    elif isinstance(op, LdwOp):
        for i in range(op.lines):
            yield [], [op.b + i * chip.nu + j for j in range(chip.nu)], False
    else:
        assert isinstance(op, GemvOp), f"{type(op).__name__} is no MX operation"
        n = chip.nu // 2 if op.w4 else chip.nu
        for tile in range(0, op.n_tiles, 2):
            for s in range(op.steps):
                lines = [
                    [op.b + (t * op.steps + s) * n + j for j in range(n)]
                    for t in range(tile, min(tile + 2, op.n_tiles))
                ]
                yield lines[0], lines[1] if len(lines) == 2 else [], s == op.steps - 1


def _dense_steps(op: ConvOp | GemmOp, chip: ChipConfig) -> Iterator[Step]:
    n = chip.nu // 2 if op.w4 else chip.nu
    pixels = op.m if isinstance(op, GemmOp) else op.p
    for tile in range(op.n_tiles):
        for first in range(0, pixels, chip.mu):
            rows = range(first, min(first + chip.mu, pixels))
            for s in range(op.steps):
                if isinstance(op, GemmOp):
                    a = [op.a + s * op.a_plane + row for row in rows]
                    line = op.b + tile * op.b_nstride + s * op.b_kstride
                else:
                    t, g = divmod(s, op.groups)
                    tap = divmod(t, op.window.kw)
                    a = [w for p in rows for w in element_words(op.window, op.a, 1, g, tap, p)]
                    line = op.b + (tile * op.steps + s) * n
                yield a, [line + j for j in range(n)], s == op.steps - 1


def _dw_steps(op: DwOp, chip: ChipConfig) -> Iterator[Step]:
    groups, window, ku = chip.nu // chip.ku, op.window, chip.ku
    for tile in range(op.tiles):
        for first in range(0, op.p, chip.mu):
            pixels = range(first, min(first + chip.mu, op.p))
            for step in range(op.steps(ku)):
                ky, c = divmod(step, op.chunks(ku))
                taps = [(ky, kx) for kx in range(c * ku, min(window.kw, c * ku + ku))]
                ports: list[list[int]] = []
                for g in range(tile * groups, (tile + 1) * groups):
                    words = [
                        w
                        for tap in taps
                        for p in pixels
                        for w in element_words(window, op.a, 1, g, tap, p)
                    ]
                    ports.append(words)
                for i in range(0, groups, 2):
                    last = step == op.steps(ku) - 1 and i + 2 >= groups
                    yield ports[i], ports[i + 1] if i + 1 < groups else [], last


@dataclass
class Beat:
    """One cycle or more of VX's front: what is fetched, how long it folds, what is written."""

    streams: list[list[int]]  # words
    more: int = 0  # cycles after the first: steps of the reduction, halvings
    result: list[int] | None = None  # words written, None: no result
    last: bool = False
    sent: bool = True  # into the chain; parameters are not
    completes: bool = False  # a result, written or not


def chain(op: VrunOp, chip: ChipConfig) -> tuple[int, int, int]:
    """Return the passes before and beyond the reduction, and the rounds in all."""

    def passes(names: list[str]) -> int:
        stages, used = list(chip.vx_stages), list[str]()
        functions = {"EXP2", "LOG2", "RECIP", "RSQRT", "TBL", "LUT"}
        rest = ["F" if name in functions else "A" for name in names]
        count = 0
        while rest:
            count, used = count + 1, [*stages]
            while used:
                if used.pop(0) == rest[0]:
                    rest.pop(0)
                if not rest:
                    break
        return count

    before = max(1, passes([micro.op.name for micro in op.before]))
    if op.reduce is Reduce.NONE:
        return before, 0, before
    after = passes([micro.op.name for micro in op.after])
    return before, after, before + 1 + after


def vector_beats(op: VrunOp, chip: ChipConfig) -> list[Beat]:
    """Return all beats of a VRUN, parameter fetches among them."""
    beat, out = chip.beat_pixels, list[Beat]()
    places = range(0, op.p, beat)
    if op.reduce is Reduce.CHANNELS:
        order = [(g, p0) for p0 in places for g in range(op.groups)]
    else:
        order = [(g, p0) for g in range(op.groups) for p0 in places]
    before: int | None = None
    for g, p0 in order:
        if op.params is not None and g != before:
            out.append(Beat([[op.params + 8 * g + j for j in range(8)]], sent=False))
        before = g
        n = min(beat, op.p - p0)
        for tap in range(op.taps):
            taps = ((op.in0, tap), (op.in1, 0), (op.in2, 0))
            reads = [_stream_words(s, g, at, op, p0, n) for s, at in taps]
            halvings, result, completes = _result(op, chip, g, p0, tap, n)
            step = 3 if op.reduce is not Reduce.NONE and op.redop is RedOp.SUM else 1
            more = step * (1 + halvings) - 1
            out.append(Beat(reads, more, result, completes=completes))
    out[-1].last = True
    return out


def _stream_words(
    stream: Stream | None, g: int, tap: int, op: VrunOp, p0: int, n: int
) -> list[int]:
    if stream is None or stream.dtype is DType.ACC:
        return []
    window, width = stream.window, stream.dtype.bytes
    kw = op.in0.window.kw if op.taps > 1 and op.in0 is not None else 1
    ky, kx = divmod(tap, kw)
    words: list[int] = []
    for p in range(p0, p0 + n):
        words += element_words(window, stream.base, width, g, (ky, kx), p)
    return words


def _result(
    op: VrunOp, chip: ChipConfig, g: int, p0: int, tap: int, n: int
) -> tuple[int, list[int] | None, bool]:
    """Return halvings, words of the result that a beat completes, and whether it completes one."""
    fold, at_g, at_p, many = 0, g, p0, n
    if op.reduce is Reduce.WINDOW and tap < op.taps - 1:
        return 0, None, False
    if op.reduce is Reduce.PIXELS:
        if p0 + chip.beat_pixels < op.p:
            return 0, None, False
        fold, at_p, many = chip.beat_pixels.bit_length() - 1, 0, 1
    if op.reduce is Reduce.CHANNELS:
        if g < op.groups - 1:
            return 0, None, False
        fold, at_g = chip.ku.bit_length() - 1, 0
    if op.out is None:
        return fold, None, True
    window, width, words = op.out.window, op.out.dtype.bytes, list[int]()
    for p in range(at_p, at_p + many):
        words += element_words(window, op.out.base, width, at_g, (0, 0), p)
    return fold, words, True
