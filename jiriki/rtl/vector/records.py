"""Records that pass between the parts of the vector unit, and the sizes they follow from.

In: a chip. Out: layouts; `Shape` holds the derived numbers under their names.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from dataclasses import dataclass

from amaranth.hdl import Value, signed
from amaranth.lib import data
from amaranth.utils import ceil_log2

from jiriki.chip import ChipConfig
from jiriki.isa.vector.instructions import Qpar, Red, Vrun
from jiriki.isa.words import DType, MicroOp, RedOp, Reduce, Src, TableKind
from jiriki.rtl.errors import RtlError
from jiriki.rtl.interfaces import word_bits
from jiriki.rtl.vector.alu import QUANTISER

PIXEL_BITS = Vrun.LAYOUT["p"].bits
GROUP_BITS = Vrun.LAYOUT["groups"].bits
PLACE_BITS = 21  # of iy and ix, signed: |32767 * 31 + 126 * 127 + 2048| < 2**20
MICRO_OPS = 10  # of a chain register
COUNT_BITS = 4  # counts up to MICRO_OPS + 2: passes, positions in a chain, rounds
ENTRY_CYCLES = 3  # from a beat's sending to its place at the head of the chain
PARAMETER_WORDS = 8
LUT_BYTES = TableKind.LUT8.image_bytes
SEGMENT_ROWS = TableKind.SEGMENT.image_bytes // 16  # the header, then the segments
SLOT_BITS = 4
LEAST_LANES = 4  # a row of a segment table must fit a line


@dataclass(frozen=True)
class Shape:
    """Numbers of one chip's vector unit. Raises RtlError for a chip that it cannot be built for."""

    chip: ChipConfig

    def __post_init__(self) -> None:
        if self.lanes < LEAST_LANES:
            raise RtlError(
                f"chip {self.chip.name}: vx_lanes = {self.lanes} is less than {LEAST_LANES}, a row "
                "of a segment table in the gates' vector unit; change the chip's TOML"
            )

    @property
    def lanes(self) -> int:
        return self.chip.vx_lanes

    @property
    def ku(self) -> int:
        return self.chip.ku

    @property
    def pixels(self) -> int:
        """Pixels of a beat."""
        return self.chip.beat_pixels

    @property
    def slots(self) -> int:
        """Words that a stream may ask for in a beat: four a pixel, of the widest type."""
        return 4 * self.pixels

    @property
    def word(self) -> int:
        """Bits of a word address; sums of addresses are taken modulo 2**word."""
        return word_bits(self.chip)

    @property
    def row(self) -> int:
        """Bits of an accumulator row."""
        return ceil_log2(self.chip.acc_rows)

    @property
    def passes(self) -> int:
        """Cycles of one pass through the chain: P of docs/reference/timing.md."""
        return self.chip.vx_pass_cycles

    @property
    def stages(self) -> str:
        return self.chip.vx_stages

    @property
    def contexts(self) -> int:
        """Instructions known at a time: those in work, one armed, one being decoded."""
        return self.chip.vx_contexts + 2

    @property
    def context(self) -> int:
        """Bits of a context's number."""
        return ceil_log2(self.contexts)

    @property
    def channel(self) -> int:
        """Bits of a channel's number in its group."""
        return ceil_log2(self.ku)

    @property
    def results(self) -> int:
        """Results that may be not written."""
        return self.chip.vx_latency_cycles + 4

    @property
    def table_rows(self) -> int:
        """Rows of 16 bytes in a line of a table."""
        return self.lanes // 4


MICRO = data.StructLayout({"op": MicroOp, "src": 5})


def is_among(op: Value, kinds: tuple[MicroOp, ...]) -> Value:
    """Say whether a micro-op is one of `kinds`."""
    among = op == kinds[0]
    for kind in kinds[1:]:
        among = among | (op == kind)
    return among


def lanes_layout(shape: Shape) -> data.ArrayLayout:
    """Return a value in every lane."""
    return data.ArrayLayout(32, shape.lanes)


def beat_layout(shape: Shape) -> data.StructLayout:
    """Return the values of a beat as they travel: v, t, and the operands that do not change."""
    return data.StructLayout(
        {"v": lanes_layout(shape), "t": lanes_layout(shape), "side": side_layout(shape)}
    )


def side_layout(shape: Shape) -> data.StructLayout:
    """Return the operands of a beat: streams 1 and 2, and the channel parameters."""
    return data.StructLayout(
        {
            "in1": lanes_layout(shape),
            "in2": lanes_layout(shape),
            "pb": data.ArrayLayout(32, shape.ku),
            "ps": data.ArrayLayout(32, shape.ku),
        }
    )


def sent_layout(shape: Shape) -> data.StructLayout:
    """Return what the front says of a beat that it sends into the chain."""
    return data.StructLayout(
        {
            "valid": 1,
            "carrier": 1,  # no beat: it brings the operands for a result that is being halved
            "line": 1,  # a line of a table
            "context": shape.context,
            "place": GROUP_BITS,  # channel group; of a line its number
            "pixels": shape.pixels,  # which of them exist
            "first": 1,  # the first beat of a result
            "completes": 1,  # its last one
            "rides": 1,  # ... of one cycle, whose result goes on into the after-passes
            "last": 1,  # the last of the instruction
        }
    )


def tag_layout(shape: Shape) -> data.StructLayout:
    """Return what travels beside the values of a beat in the chain."""
    return data.StructLayout(
        {
            "beat": sent_layout(shape),
            "still": COUNT_BITS,  # rounds, this one included, in which it is only carried round
            "beyond": 1,  # it is beyond the reduction
            "next": COUNT_BITS,  # the micro-op to be done next, in the context's chain
        }
    )


def context_layout(shape: Shape) -> data.StructLayout:
    """Return what is kept of a VRUN or LDT while it is in work."""
    return data.StructLayout(
        {
            "micros": data.ArrayLayout(MICRO, MICRO_OPS + 1),  # the last is END
            "after": data.ArrayLayout(COUNT_BITS, MICRO_OPS),  # which micro-op follows each
            "start": COUNT_BITS,
            "resume": COUNT_BITS,  # the first beyond RED
            "reduce": Reduce,
            "redop": RedOp,
            "channels": Red.LAYOUT["channels"].bits,
            "goes_on": 1,  # there are micro-ops beyond RED
            "konst": data.ArrayLayout(32, 1 + max(Src) - Src.K0),
            "quantisers": data.ArrayLayout(qpar_layout(), 4),
            "out": out_layout(),
            "table_slot": SLOT_BITS,
            "is_segment": 1,
        }
    )


def qpar_layout() -> data.StructLayout:
    """Return a quantiser as QPAR sets it."""
    return data.StructLayout(
        {name: signed(Qpar.LAYOUT[name].bits) for name in ("zero_point", "lo", "hi")}
    )


def out_layout() -> data.StructLayout:
    """Return what stream 3 does with a result."""
    return data.StructLayout({"writes": 1, "dtype": DType, "quantiser": QUANTISER})


def format_layout() -> data.StructLayout:
    """Return how the elements of an input stream become values."""
    return data.StructLayout({"dtype": DType, "splat": 1, "used": 1, "fill": 32})
