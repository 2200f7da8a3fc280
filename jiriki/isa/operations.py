"""Operations: what a unit is asked to do, with every descriptor it depends on filled in.

In: an instruction and the queue-local registers in force when it runs (`resolve.py` joins them).
Out: one frozen value a piece of work, shared by the meanings, the effects, the static checker and
the timing simulator. Numbers are as in the instruction: DMA in bytes, the rest in words of ku
bytes and accumulator rows.
"""

from dataclasses import dataclass

from jiriki.isa.dma import DmaMode
from jiriki.isa.vector import DType, MicroOp, RedOp, Reduce, TableKind


@dataclass(frozen=True, slots=True)
class Window:
    """A window register (WINA and WINB together); meaning in `windows.py`."""

    plane: int
    pitch: int
    h: int
    w: int
    ow: int
    fill: int
    sy: int
    sx: int
    dy: int
    dx: int
    py: int
    px: int
    kh: int
    kw: int

    @property
    def taps(self) -> int:
        return self.kh * self.kw


@dataclass(frozen=True, slots=True)
class DmaDim:
    """One strided dimension: iterations, and bytes between them on both sides."""

    count: int
    dram_stride: int
    sp_stride: int


@dataclass(frozen=True, slots=True)
class DmaOp:
    """LD (store False) or ST."""

    store: bool
    dram: int
    sp: int
    run: int
    mode: DmaMode
    fill: int
    dims: tuple[DmaDim, ...]  # innermost first
    index: int | None  # GATHER: byte address of the int32 list in the scratchpad
    byte_stride: int  # SCATTER_BYTES: scratchpad bytes between the bytes of a run; else 1

    @property
    def runs(self) -> int:
        total = 1
        for dim in self.dims:
            total *= dim.count
        return total

    @property
    def bytes(self) -> int:
        return self.runs * self.run


@dataclass(frozen=True, slots=True)
class GemmOp:
    """GEMM with the strides of GSTR."""

    a: int
    m: int
    steps: int
    b: int
    n_tiles: int
    acc: int
    accumulate: bool
    w4: bool
    a_plane: int
    b_kstride: int
    b_nstride: int
    acc_stride: int


@dataclass(frozen=True, slots=True)
class ConvOp:
    """CONV with its window; acc is in rows."""

    a: int
    window: Window
    p: int
    groups: int
    b: int
    n_tiles: int
    acc: int
    acc_stride: int
    accumulate: bool
    w4: bool

    @property
    def steps(self) -> int:
        return self.window.taps * self.groups


@dataclass(frozen=True, slots=True)
class LdwOp:
    """LDW."""

    b: int
    lines: int


@dataclass(frozen=True, slots=True)
class DwOp:
    """DW with its window."""

    a: int
    window: Window
    p: int
    tiles: int
    acc: int
    acc_stride: int
    accumulate: bool
    line: int

    def chunks(self, ku: int) -> int:
        """Return the steps of one kernel row: taps in chunks of ku."""
        return -(-self.window.kw // ku)

    def steps(self, ku: int) -> int:
        """Return the register file lines of one channel tile."""
        return self.window.kh * self.chunks(ku)


@dataclass(frozen=True, slots=True)
class GemvOp:
    """GEMV."""

    b: int
    steps: int
    n_tiles: int
    acc: int
    acc_stride: int
    accumulate: bool
    w4: bool


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of VRUN: where it starts, its type, and the window it is walked by."""

    base: int
    dtype: DType
    splat: bool
    window: Window


@dataclass(frozen=True, slots=True)
class Quantiser:
    """QPAR: clamp(rne(v) + zero_point, lo, hi)."""

    zero_point: int
    lo: int
    hi: int


@dataclass(frozen=True, slots=True)
class Micro:
    """One micro-op of a chain; src is a `Src`, or the slot of TBL and LUT, or QNT's quantiser."""

    op: MicroOp
    src: int


@dataclass(frozen=True, slots=True)
class VrunOp:
    """VRUN with its streams, chain, scalars and quantisers. Unused streams are None."""

    p: int
    groups: int
    in0: Stream | None
    in1: Stream | None
    in2: Stream | None
    out: Stream | None
    params: int | None  # word address of stream 4
    before: tuple[Micro, ...]  # the chain up to RED (all of it without a reduction)
    after: tuple[Micro, ...]  # the chain beyond RED
    konst: tuple[int | None, ...]  # fp32 bits of K0..K7, None where never set
    quantisers: tuple[Quantiser | None, ...]
    out_quantiser: Quantiser | None  # of an I8 or I16 output
    reduce: Reduce
    redop: RedOp
    channels: int

    @property
    def taps(self) -> int:
        """Return the beats at one position: the taps of window 0 when reducing over it."""
        if self.reduce is Reduce.WINDOW and self.in0 is not None:
            return self.in0.window.taps
        return 1

    @property
    def result(self) -> tuple[int, int]:
        """Return (pixels, groups) of what is written."""
        pixels = 1 if self.reduce is Reduce.PIXELS else self.p
        return pixels, 1 if self.reduce is Reduce.CHANNELS else self.groups


@dataclass(frozen=True, slots=True)
class LdtOp:
    """LDT."""

    base: int
    slot: int
    kind: TableKind


Operation = DmaOp | GemmOp | ConvOp | LdwOp | DwOp | GemvOp | VrunOp | LdtOp

DTYPE_BYTES = {
    DType.I8: 1, DType.I16: 2, DType.I32: 4, DType.F32: 4, DType.BF16: 2, DType.ACC: 4,
}  # fmt: skip
