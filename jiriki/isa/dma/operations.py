"""Operations of LD and ST: what the unit is asked to do, with every descriptor filled in.

In: an instruction and the queue-local registers in force when it runs (`isa/resolve.py` joins
them). Out: one frozen value a piece of work. Numbers are as in the instruction: bytes.
"""

from dataclasses import dataclass

from jiriki.isa.words import DmaMode


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
