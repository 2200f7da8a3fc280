"""Words of the instruction set: the named values and small records that every room may use.

Out: element types, micro-ops and their operands, reductions, tables, DMA modes, windows,
quantisers. Lowest module of the room: planners use these words and know no instruction. What each
means on the chip is said by the instructions that carry it (`dma/`, `matrix/`, `vector/`,
`windows.py`).
"""

from dataclasses import dataclass
from enum import IntEnum


class DmaMode(IntEnum):
    """What LD and ST do with each run."""

    COPY = 0  # the plain meaning above
    FILL = 1  # the target's bytes become `fill`; the source is not read
    GATHER = 2  # i0 * dram_stride_0 becomes index[i0] * dram_stride_0; index: int32 in scratchpad
    SCATTER_BYTES = 3  # byte j of a run sits at scratchpad offset j * sp_stride_3 (transposer)


class DType(IntEnum):
    """Element type of a stream."""

    I8 = 0
    I16 = 1
    I32 = 2  # raw int32 in; out: fp32 rounded to nearest even and saturated
    F32 = 3  # out: the 32 bits of v unchanged
    BF16 = 4
    ACC = 5  # stream 0 only: accumulator rows, raw int32; base is a row, plane rows per group


class MicroOp(IntEnum):
    """What one stage of the chain does; v is the value, t the saved value, x the operand."""

    END = 0  # chain ends
    MOV = 1  # v = x
    IADD = 2  # v = v + x, int32 modulo 2**32
    I2F = 3  # v = fp32 nearest to int32 v
    FADD = 4  # v = v + x
    FSUB = 5  # v = v - x
    FRSB = 6  # v = x - v
    FMUL = 7  # v = v * x
    FMAX = 8  # v = max(v, x)
    FMIN = 9  # v = min(v, x)
    NEG = 10  # v = -v
    ABS = 11  # v = |v|
    GT = 12  # v = 1 if v > x else 0
    GE = 13  # v = 1 if v >= x else 0
    EQ = 14  # v = 1 if v == x else 0
    SEL = 15  # v = v if t != 0 else x (a NaN is not 0)
    EXP2 = 16
    LOG2 = 17
    RECIP = 18
    RSQRT = 19
    FLOOR = 20  # v = floor(v); like RND it keeps the sign of a zero
    RND = 21  # v = v rounded half to even to an integer
    TBL = 22  # v = segment table of slot x at v
    LUT = 23  # v = 256-entry table of slot x at v rounded and saturated to int8
    QNT = 24  # v = clamp(rne(v) + zero_point, lo, hi) with quantiser x, as fp32
    SAVE = 25  # t = v
    RED = 26  # end of the part that runs before the reduction
    ROT = 27  # channels (2i, 2i+1) of v = (-v[2i+1], v[2i]); ku of at least 2
    MASK = 28  # v = v if channel index (g*ku + lane) < x else -infinity


class Src(IntEnum):
    """The operand x of a micro-op (TBL, LUT, QNT: the field is a slot number instead)."""

    V = 0
    T = 1
    IN1 = 2
    IN2 = 3
    PB = 4
    PS = 5
    K0 = 8
    K1 = 9
    K2 = 10
    K3 = 11
    K4 = 12
    K5 = 13
    K6 = 14
    K7 = 15


class Reduce(IntEnum):
    """Over what a VRUN reduces."""

    NONE = 0
    WINDOW = 1
    PIXELS = 2
    CHANNELS = 3


class RedOp(IntEnum):
    """How a reduction combines."""

    SUM = 0
    MAX = 1
    MIN = 2
    ARGMAX = 3  # CHANNELS only: index of the first greatest channel, as fp32


class TableKind(IntEnum):
    """What LDT loads."""

    LUT8 = 0
    SEGMENT = 1


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


DTYPE_BYTES = {
    DType.I8: 1, DType.I16: 2, DType.I32: 4, DType.F32: 4, DType.BF16: 2, DType.ACC: 4,
}  # fmt: skip
