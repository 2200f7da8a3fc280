"""TileProgram: work cut to fit one chip, before instructions and addresses are chosen.

A list of tile operations in an order that respects every dependency. Operations name buffers, not
addresses; each says exactly which areas of which buffers it reads and writes, from which emit/
derives all synchronisation. Loads may be moved earlier by emit/, nothing else moves.

Offsets and strides are bytes for scratchpad and DRAM, rows for accumulators. An `Area` is a
rectangle of a buffer: channel groups [g0, g1) x pixels [p0, p1) in whatever units the buffer's
users agree on; two areas of one buffer conflict when the rectangles meet.
"""

from dataclasses import dataclass, field
from enum import Enum

from jiriki.isa.words import DmaMode, DType, MicroOp, Quantiser, RedOp, Reduce, Src, Window


class Space(Enum):
    """Where a buffer lives."""

    SCRATCHPAD = "scratchpad"
    ACC = "accumulators"
    DRAM = "dram"


@dataclass(frozen=True, eq=False, slots=True)
class Buffer:
    """A block of memory; identity is the object itself.

    `high`: prefer the upper end of the scratchpad (weights), so that the two operands of the
    matrix unit sit in different banks. `data`: initial contents of a DRAM constant.
    """

    name: str
    space: Space
    size: int  # bytes; rows for ACC
    high: bool = False
    data: bytes | None = None


ALL = 1 << 30


@dataclass(frozen=True, slots=True)
class Area:
    """Part of a buffer: groups [g0, g1) x pixels [p0, p1)."""

    buffer: Buffer
    g0: int = 0
    g1: int = ALL
    p0: int = 0
    p1: int = ALL

    def meets(self, other: "Area") -> bool:
        """Return whether both name a common element of one buffer."""
        return (
            self.buffer is other.buffer
            and self.g0 < other.g1
            and other.g0 < self.g1
            and self.p0 < other.p1
            and other.p0 < self.p1
        )


def flat_window(plane: int, pixels: int) -> Window:
    """Return the window that walks `pixels` contiguous element groups a channel group."""
    return Window(plane=plane, pitch=0, h=1, w=pixels, ow=max(1, pixels), sy=0)


def repeat_window(plane: int) -> Window:
    """Return the window that repeats one element group over all pixels."""
    return Window(plane=plane, pitch=0, h=1, w=1, ow=1, sy=0, sx=0)


@dataclass(frozen=True, slots=True)
class Stream:
    """One operand of the vector unit: a place, a walk and an element type.

    Of dtype ACC the offset is a row and window.plane rows of a group.
    """

    buffer: Buffer
    offset: int
    window: Window
    dtype: DType
    splat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TileOp:
    """Base: which layer it serves and which areas it touches."""

    layer: int
    reads: tuple[Area, ...] = ()
    writes: tuple[Area, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve(TileOp):
    """Give the written buffers their addresses now, before smaller ones cut the memory up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(TileOp):
    """DMA between DRAM and scratchpad: `run` bytes over dims of (count, dram, sp strides).

    Dims are innermost first.
    """

    load: bool  # True: into the scratchpad
    dram: Buffer | None  # None for a fill of the scratchpad
    dram_offset: int = 0
    sp: Buffer | None = None  # None for a fill of DRAM
    sp_offset: int = 0
    run: int
    dims: tuple[tuple[int, int, int], ...] = ()
    mode: DmaMode = DmaMode.COPY
    fill: int = 0
    index: Buffer | None = None  # gather: int32 row numbers in the scratchpad


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvTile(TileOp):
    """Convolution of p output pixels and n_tiles * nu channels into accumulators."""

    a: Buffer
    a_offset: int
    window: Window
    p: int
    groups: int
    b: Buffer
    b_offset: int
    n_tiles: int
    acc: Buffer
    acc_stride: int
    accumulate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmTile(TileOp):
    """C = A @ B with explicit strides in bytes: for operands that are both activations."""

    a: Buffer
    a_offset: int
    a_plane: int
    m: int
    steps: int
    b: Buffer
    b_offset: int
    b_kstride: int
    b_nstride: int
    n_tiles: int
    acc: Buffer
    acc_stride: int
    accumulate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile(TileOp):
    """Fill the matrix unit's register file with `lines` lines."""

    b: Buffer
    b_offset: int
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthwiseTile(TileOp):
    """Depthwise convolution of `tiles` tiles of nu channels, weights in the register file."""

    a: Buffer
    a_offset: int
    window: Window
    p: int
    tiles: int
    acc: Buffer
    acc_stride: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class Constant:
    """An fp32 constant that a chain reads; emit/ gives it a scalar register."""

    value: float


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One micro-op of a chain, its operand not yet in a register or slot.

    operand: of an `Operand.VALUE` a Src or a Constant, of QNT its Quantiser, of TBL and LUT the
    scratchpad buffer of the table.
    """

    op: MicroOp
    operand: Src | Constant | Quantiser | Buffer | None = None


PASS = (ChainStep(MicroOp.MOV, Src.V),)  # the chain that leaves v as it is
RED = ChainStep(MicroOp.RED)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorTile(TileOp):
    """One run of a micro-op chain; see the ISA's VX for the meaning of every part.

    A chain holds at most 8 constants and 4 quantisers, out_quant included. `params` is the
    channel-parameter stream's place: (buffer, byte offset).
    """

    in0: Stream
    in1: Stream | None = None
    in2: Stream | None = None
    params: tuple[Buffer, int] | None = None
    out: Stream
    out_quant: Quantiser | None = None
    chain: tuple[ChainStep, ...]
    p: int
    groups: int
    reduce: Reduce = Reduce.NONE
    redop: RedOp = RedOp.SUM
    channels: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableTile(TileOp):
    """Make the table image in scratchpad buffer `table` usable by VectorTiles that name it."""

    table: Buffer
    segment: bool  # False: 256-entry table


@dataclass(frozen=True, slots=True)
class Layer:
    """What a tile operation's `layer` index refers to."""

    name: str
    op: str
    macs: int


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """A graph input or output: where it lies in DRAM."""

    name: str
    buffer: Buffer


@dataclass(frozen=True, slots=True)
class TileProgram:
    """The whole network as tile operations, with its inputs and outputs in DRAM."""

    name: str
    ops: tuple[TileOp, ...]
    layers: tuple[Layer, ...]
    inputs: tuple[TensorPlace, ...]
    outputs: tuple[TensorPlace, ...]
    meta: dict[str, str] = field(default_factory=dict)
