"""Operations of MX: what the unit is asked to do, with every descriptor filled in.

In: an instruction and the queue-local registers in force when it runs (`isa/resolve.py` joins
them). Out: one frozen value a piece of work. Numbers are as in the instruction: words of ku
bytes and accumulator rows.
"""

from dataclasses import dataclass

from jiriki.isa.words import Window


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

    def written(self, mu: int) -> tuple[int, int]:
        """Return (pixels written, up to whole register tiles of mu; tiles of nu channels)."""
        return -(-self.m // mu) * mu, self.n_tiles


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

    def written(self, mu: int) -> tuple[int, int]:
        """Return (pixels written, up to whole register tiles of mu; tiles of nu channels)."""
        return -(-self.p // mu) * mu, self.n_tiles


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

    def written(self, mu: int) -> tuple[int, int]:
        """Return (pixels written, up to whole register tiles of mu; tiles of nu channels)."""
        return -(-self.p // mu) * mu, self.tiles


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

    def written(self, mu: int) -> tuple[int, int]:
        """Return (pixels written: one row has no register tile; tiles of nu channels)."""
        return 1, self.n_tiles
