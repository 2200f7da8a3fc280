"""Define the records between the stages of LD and ST: requests at the DRAM port, instructions.

In: a chip. Out: sizes, layouts and signatures. A record has a side in DRAM and one in the
scratchpad, each as runs of bytes over at most four dimensions, dense dimensions already folded
(docs/reference/timing.md, "Runs").
"""

from dataclasses import dataclass

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from jiriki.chip import ChipConfig
from jiriki.isa.dma.instructions import Dim, Ld
from jiriki.rtl.errors import RtlError
from jiriki.rtl.memory.axi import BOUNDARY, LONGEST_BURST

DIMS = 4
SCATTER_LANES = 8  # bytes a cycle of SCATTER_BYTES
STORE_BURSTS = 4  # bursts that ST's buffer holds
DRAM_BITS = Ld.LAYOUT["dram"].bits
COUNT_BITS = Dim.LAYOUT["count"].bits
INDEX_BYTES = 4


@dataclass(frozen=True)
class Sizes:
    """Sizes that follow from the chip, in bytes unless they end in bits or beats."""

    chip: ChipConfig

    def __post_init__(self) -> None:
        chip = self.chip
        if not 4 <= self.beat <= 128 or self.block > BOUNDARY or self.block_beats > LONGEST_BURST:
            raise RtlError(
                f"chip {chip.name}: bursts of {self.block} bytes in beats of {self.beat} are not "
                f"built: at most {BOUNDARY} bytes and {LONGEST_BURST} beats of 4 to 128; change "
                "the TOML"
            )
        if self.beat // chip.ku + 1 > chip.columns:
            raise RtlError(
                f"chip {chip.name}: columns = {chip.columns} does not hold a beat of "
                f"{self.beat} bytes at any address, {self.beat // chip.ku + 1} words; use more"
            )

    @property
    def beat(self) -> int:
        return self.chip.dram_bytes_per_cycle

    @property
    def beat_bits(self) -> int:
        """Bits of a byte's place in a beat."""
        return exact_log2(self.beat)

    @property
    def block(self) -> int:
        return self.chip.dram_burst_bytes

    @property
    def block_bits(self) -> int:
        """Bits of a byte's place in an aligned block."""
        return exact_log2(self.block)

    @property
    def block_beats(self) -> int:
        return self.block // self.beat

    @property
    def ring(self) -> int:
        """Bytes of one line of all columns."""
        return self.chip.columns * self.chip.ku

    @property
    def ring_bits(self) -> int:
        return exact_log2(self.ring)

    @property
    def sp_bits(self) -> int:
        """Bits of a scratchpad byte address."""
        return ceil_log2(self.chip.scratchpad_bytes)

    @property
    def lanes(self) -> int:
        """Bytes a cycle of SCATTER_BYTES on this chip."""
        return min(SCATTER_LANES, self.beat)


def burst_members(sizes: Sizes) -> dict[str, wiring.Member]:
    """Return how LD and ST ask the port for a burst, from their point of view."""
    return {
        "valid": Out(1),  # a burst is wanted in this cycle
        "beats": Out(range(sizes.block_beats + 1)),
        "grant": In(1),  # the port takes it in this cycle (combinational)
        "address": Out(DRAM_BITS),  # in the cycle after the grant; any byte of the first beat
    }


def load_port_signature(chip: ChipConfig) -> wiring.Signature:
    """Return LD's side of the DRAM port."""
    sizes = Sizes(chip)
    return wiring.Signature(
        {
            **burst_members(sizes),
            "beat_valid": In(1),  # a beat of LD's bursts arrives in this cycle, in order
            "beat": In(8 * sizes.beat),
        }
    )


def store_port_signature(chip: ChipConfig) -> wiring.Signature:
    """Return ST's side of the DRAM port."""
    sizes = Sizes(chip)
    return wiring.Signature(
        {
            **burst_members(sizes),
            "take": In(1),  # the next beat is taken in this cycle, beat 0 at the grant at earliest
            "last": In(1),  # ... and it is the burst's last
            "data": Out(8 * sizes.beat),  # in the cycle after take
            "strobe": Out(sizes.beat),
        }
    )


def walk_layout(address_bits: int, run_bits: int) -> data.StructLayout:
    """Return runs of bytes: `top` is a dimension's count - 1, 0 for one that is not there."""
    return data.StructLayout(
        {
            "address": address_bits,
            "run": run_bits,
            "top": data.ArrayLayout(COUNT_BITS, DIMS),
            "stride": data.ArrayLayout(address_bits, DIMS),
        }
    )


def dram_layout(sizes: Sizes) -> data.StructLayout:
    """Return the side in DRAM. With gather, stride[0] is 0 and gather_stride scales the index."""
    return data.StructLayout(
        {
            "walk": walk_layout(DRAM_BITS, DRAM_BITS),
            "gather": 1,
            "gather_stride": DRAM_BITS,
            "index": sizes.sp_bits,  # byte address of the index list
        }
    )


def sp_layout(sizes: Sizes) -> data.StructLayout:
    """Return the side in the scratchpad.

    ST's FILL has one run of `walk.run` * `times` bytes, `first` of them in its first chunk.
    """
    return data.StructLayout(
        {
            "walk": walk_layout(sizes.sp_bits, DRAM_BITS),
            "scatter": 1,
            "byte_stride": sizes.sp_bits,
            "fill": 1,
            "fill_byte": 8,
            "times": COUNT_BITS,
            "first": range(sizes.beat + 1),
        }
    )
