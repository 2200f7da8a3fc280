"""Operations of VX: what the unit is asked to do, with every descriptor filled in.

In: an instruction and the queue-local registers in force when it runs (`isa/resolve.py` joins
them). Out: one frozen value a piece of work. Numbers are as in the instruction: words of ku
bytes and accumulator rows.
"""

from dataclasses import dataclass

from jiriki.isa.words import DType, Micro, Quantiser, RedOp, Reduce, TableKind, Window


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of VRUN: where it starts, its type, and the window it is walked by."""

    base: int
    dtype: DType
    splat: bool
    window: Window


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
