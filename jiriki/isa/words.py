"""Words of the instruction set: the named values and small records that every room may use.

Out: element types, micro-ops and their operands, reductions, tables, DMA modes, windows,
quantisers. Lowest module of the room: planners use these words and know no instruction. What each
means on the chip is said by the instructions that carry it (`dma/`, `matrix/`, `vector/`,
`windows.py`).
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Self

from jiriki.numerics import Format


class DmaMode(IntEnum):
    """What LD and ST do with each run."""

    COPY = 0  # the plain meaning above
    FILL = 1  # the target's bytes become `fill`; the source is not read
    GATHER = 2  # i0 * dram_stride_0 becomes index[i0] * dram_stride_0; index: int32 in scratchpad
    SCATTER_BYTES = 3  # byte j of a run sits at scratchpad offset j * sp_stride_3 (transposer)


class DType(IntEnum):
    """Element type of a stream."""

    format: Format
    meaning: str

    def __new__(cls, code: int, form: Format, meaning: str) -> Self:
        row = int.__new__(cls, code)
        row._value_ = code
        row.format, row.meaning = form, meaning
        return row

    I8 = 0, Format.INT8, "int8"
    I16 = 1, Format.INT16, "int16"
    I32 = 2, Format.INT32, "raw int32 in; out: fp32 rounded to nearest even and saturated"
    F32 = 3, Format.FP32, "fp32; out: the 32 bits of v unchanged"
    BF16 = 4, Format.BF16, "bf16"
    ACC = (
        5,
        Format.INT32,
        "stream 0 only: accumulator rows, raw int32; base is a row, plane rows per group",
    )

    @property
    def bytes(self) -> int:
        """Return the bytes of an element."""
        return self.format.bytes_for(1)


class TableKind(IntEnum):
    """What LDT loads."""

    image_bytes: int  # the largest image; LDT always reads that much
    entry_bytes: int  # read in a look-up
    meaning: str

    def __new__(cls, code: int, image_bytes: int, entry_bytes: int, meaning: str) -> Self:
        row = int.__new__(cls, code)
        row._value_ = code
        row.image_bytes, row.entry_bytes, row.meaning = image_bytes, entry_bytes, meaning
        return row

    LUT8 = 0, 256, 1, "256 entries of int8"
    SEGMENT = 1, 16 * 257, 16, "header and up to 256 segments of 16 bytes"


class Stage(Enum):
    """The kind of stage of the chain that does a micro-op, as `vx_stages` of a chip names it."""

    NONE = ""  # a mark in the chain, done by no stage
    ARITHMETIC = "A"
    FUNCTION = "F"


class Operand(Enum):
    """What the field `src` of a micro-op names."""

    NONE = "-"
    VALUE = "x, a Src"
    LUT8 = "LUT8 slot"
    SEGMENT = "SEGMENT slot"
    QUANTISER = "quantiser"


class Energy(Enum):
    """Which figure of a process the energy of a micro-op follows, a lane."""

    NONE = 0
    MOVE = 1
    ADD = 2  # adds, compares or converts
    MULTIPLY = 3
    FUNCTION = 4


_A, _F, _MARK = Stage.ARITHMETIC, Stage.FUNCTION, Stage.NONE
_NONE, _X, _LUT8 = Operand.NONE, Operand.VALUE, Operand.LUT8
_SEGMENT, _QUANTISER = Operand.SEGMENT, Operand.QUANTISER
_FREE, _MOVE, _ADD = Energy.NONE, Energy.MOVE, Energy.ADD
_MULTIPLY, _FUNCTION = Energy.MULTIPLY, Energy.FUNCTION


class MicroOp(IntEnum):
    """What one stage of the chain does; v is the value, t the saved value, x the operand.

    Stages A and F are those of the chip's `vx_stages`.
    """

    # A row says all of a micro-op but its value on a lane (`vector/lanes.py`) and its gates; every
    # other list of micro-ops is derived from the rows.

    stage: Stage
    operand: Operand
    energy: Energy
    meaning: str
    swapped: str  # name of `exchanged`

    def __new__(
        cls,
        code: int,
        stage: Stage,
        operand: Operand,
        energy: Energy,
        meaning: str,
        swapped: str = "",
    ) -> Self:
        row = int.__new__(cls, code)
        row._value_ = code
        row.stage, row.operand, row.energy = stage, operand, energy
        row.meaning, row.swapped = meaning, swapped
        return row

    # fmt: off
    END   = 0,  _MARK, _NONE,      _FREE,     "chain ends"
    MOV   = 1,  _A,    _X,         _MOVE,     "v = x"
    IADD  = 2,  _A,    _X,         _ADD,      "v = v + x, int32 modulo 2**32", "IADD"
    I2F   = 3,  _A,    _NONE,      _ADD,      "v = fp32 nearest to int32 v"
    FADD  = 4,  _A,    _X,         _ADD,      "v = v + x", "FADD"
    FSUB  = 5,  _A,    _X,         _ADD,      "v = v - x", "FRSB"
    FRSB  = 6,  _A,    _X,         _ADD,      "v = x - v", "FSUB"
    FMUL  = 7,  _A,    _X,         _MULTIPLY, "v = v * x", "FMUL"
    FMAX  = 8,  _A,    _X,         _ADD,      "v = max(v, x)", "FMAX"
    FMIN  = 9,  _A,    _X,         _ADD,      "v = min(v, x)", "FMIN"
    NEG   = 10, _A,    _NONE,      _MOVE,     "v = -v"
    ABS   = 11, _A,    _NONE,      _MOVE,     "v = |v|"
    GT    = 12, _A,    _X,         _ADD,      "v = 1 if v > x else 0"
    GE    = 13, _A,    _X,         _ADD,      "v = 1 if v >= x else 0"
    EQ    = 14, _A,    _X,         _ADD,      "v = 1 if v == x else 0", "EQ"
    SEL   = 15, _A,    _X,         _MOVE,     "v = v if t != 0 else x (a NaN is not 0)"
    EXP2  = 16, _F,    _NONE,      _FUNCTION, "v = 2 ** v"
    LOG2  = 17, _F,    _NONE,      _FUNCTION, "v = logarithm of v to base 2"
    RECIP = 18, _F,    _NONE,      _FUNCTION, "v = 1 / v"
    RSQRT = 19, _F,    _NONE,      _FUNCTION, "v = 1 / square root of v"
    FLOOR = 20, _A,    _NONE,      _ADD,      "v = floor(v); like RND it keeps the sign of a zero"
    RND   = 21, _A,    _NONE,      _ADD,      "v = v rounded half to even, to an integer"
    TBL   = 22, _F,    _SEGMENT,   _FUNCTION, "v = SEGMENT table of the slot at v"
    LUT   = 23, _F,    _LUT8,      _FUNCTION, "v = LUT8 table of the slot at v as int8, saturated"
    QNT   = 24, _A,    _QUANTISER, _ADD,      "v = clamp(rne(v) + zero_point, lo, hi), as fp32"
    SAVE  = 25, _A,    _NONE,      _MOVE,     "t = v"
    RED   = 26, _MARK, _NONE,      _FREE,     "ends the part that runs before the reduction"
    ROT   = 27, _A,    _NONE,      _MOVE,     "channels (2i, 2i+1) = (-v[2i+1], v[2i]); ku >= 2"
    MASK  = 28, _A,    _X,         _MOVE,     "v = v if channel (g*ku + lane) < x else -infinity"
    # fmt: on

    @property
    def table(self) -> TableKind | None:
        """Return the kind of table it looks up, if any."""
        return _TABLES.get(self.operand)

    @property
    def names_slot(self) -> bool:
        """Tell that `src` is the number of a table's slot or of a quantiser."""
        return self.operand not in (Operand.NONE, Operand.VALUE)

    @property
    def is_mark(self) -> bool:
        """Tell that no stage does it: it stands for a place in the chain."""
        return self.stage is Stage.NONE

    @property
    def exchanged(self) -> "MicroOp | None":
        """Return the micro-op that computes the same with v and x exchanged, if any."""
        return MicroOp[self.swapped] if self.swapped else None


_TABLES = {Operand.LUT8: TableKind.LUT8, Operand.SEGMENT: TableKind.SEGMENT}


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


@dataclass(frozen=True, slots=True)
class Window:
    """A window register (WINA and WINB together); meaning in `windows.py`."""

    plane: int
    pitch: int
    h: int
    w: int
    ow: int
    fill: int = 0
    sy: int = 1
    sx: int = 1
    dy: int = 1
    dx: int = 1
    py: int = 0
    px: int = 0
    kh: int = 1
    kw: int = 1

    @property
    def taps(self) -> int:
        return self.kh * self.kw


@dataclass(frozen=True, slots=True)
class Quantiser:
    """QPAR: clamp(rne(v) + zero_point, lo, hi)."""

    zero_point: int
    lo: int
    hi: int

    @classmethod
    def saturating(cls, form: Format) -> Self:
        """Return the one that only saturates to an integer format."""
        return cls(0, int(form.min), int(form.max))


@dataclass(frozen=True, slots=True)
class Micro:
    """One micro-op of a chain; src is a `Src`, or the slot of TBL and LUT, or QNT's quantiser."""

    op: MicroOp
    src: int
