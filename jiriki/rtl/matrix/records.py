"""Records that pass between the parts of the matrix unit, and the sizes they follow from.

In: a chip. Out: signatures of records (one signal a field or a lane, which simulates several times
faster than one wide signal) and `Shape`, which holds the derived numbers under their names.
"""

# pyright: reportAttributeAccessIssue=false

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, Value, signed, unsigned
from amaranth.hdl import Shape as HdlShape
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from jiriki.chip import ChipConfig
from jiriki.isa.fields import Field, Instruction
from jiriki.isa.matrix.instructions import Conv, Gemm, Gstr, Ldw
from jiriki.isa.windows import Wina, Winb
from jiriki.rtl.errors import RtlError
from jiriki.rtl.interfaces import word_bits

LEAST_LATENCY_CYCLES = 7  # unit.py counts them
PIXEL_BITS = Conv.LAYOUT["p"].bits
STEP_BITS = Gemm.LAYOUT["steps"].bits  # the longest innermost loop
TILE_BITS = Gemm.LAYOUT["n_tiles"].bits
PLACE_BITS = 21  # iy and ix, exactly: |32767 * 31 + 126 * 127 + 2048| < 2**20, and a sign


@dataclass(frozen=True)
class Shape:
    """Numbers of one chip's matrix unit."""

    chip: ChipConfig

    def __post_init__(self) -> None:
        if self.chip.mx_latency_cycles < LEAST_LATENCY_CYCLES:
            raise RtlError(
                f"chip {self.chip.name}: mx_latency_cycles = {self.chip.mx_latency_cycles} is less "
                f"than the {LEAST_LATENCY_CYCLES} stages of the gates' matrix unit; change the "
                "chip's TOML"
            )

    @property
    def word(self) -> int:
        """Bits of a word address; sums of addresses are taken modulo 2**word."""
        return word_bits(self.chip)

    @property
    def column(self) -> int:
        """Bits of a column number."""
        return ceil_log2(self.chip.columns)

    @property
    def row(self) -> int:
        """Bits of an accumulator row."""
        return ceil_log2(self.chip.acc_rows)

    @property
    def file_line(self) -> int:
        """Bits of a line of the weight register file."""
        return ceil_log2(self.chip.weight_file_lines)

    @property
    def lanes(self) -> int:
        """Words a gather may ask for: tap by tap, in a tap pixel by pixel."""
        return self.chip.mu * self.chip.ku

    @property
    def groups(self) -> int:
        """Channel groups of ku in a tile of nu."""
        return self.chip.nu // self.chip.ku

    @property
    def pairs(self) -> int:
        """Pairs of channel groups in a tile of nu (one group alone counts)."""
        return max(1, self.groups // 2)

    @property
    def rows(self) -> int:
        """Rows of the array: mu, and two for GEMV."""
        return max(2, self.chip.mu)

    @property
    def beats(self) -> int:
        """Accumulator rows of one channel group of a register tile."""
        return self.chip.mu // self.chip.beat_pixels

    @property
    def gemv_drain(self) -> int:
        """Cycles in which the 2 nu results of GEMV drain."""
        return 2 * self.groups

    @property
    def drain_most(self) -> int:
        return max(self.gemv_drain, self.chip.drain_cycles)


# Records ---------------------------------------------------------------------------------------


Record = wiring.PureInterface | wiring.FlippedInterface


def handed(record: wiring.Signature) -> wiring.Signature:
    """Return a stream of records."""
    return wiring.Signature({"valid": Out(1), "ready": In(1), "payload": Out(record)})


def copied(target: Record, source: Record) -> list[Any]:
    """Return the assignments that copy a record."""
    pairs = zip(_leaves(target), _leaves(source), strict=True)
    return [to.eq(what) for to, what in pairs]


def either(m: Module, name: str, first: Value, yes: Record, no: Record) -> Record:
    """Return the record `yes` where `first` holds, else `no`."""
    out = yes.signature.create(path=(name,))
    for to, a, b in zip(_leaves(out), _leaves(yes), _leaves(no), strict=True):
        m.d.comb += to.eq(Mux(first, a, b))
    return out


def indexed(m: Module, name: str, index: Value, records: list[Record]) -> Record:
    """Return records[index]."""
    out = records[0].signature.create(path=(name,))
    for to, *what in zip(_leaves(out), *map(_leaves, records), strict=True):
        m.d.comb += to.eq(Array(what)[index])
    return out


def _leaves(record: Record) -> Iterator[Signal]:
    return (value for _, _, value in record.signature.flatten(record))


def window_record() -> wiring.Signature:
    """Return a window register: the fields of WINA and WINB but the index."""
    return _record({**_fields(Wina, "idx"), **_fields(Winb, "idx")})


def gstr_record() -> wiring.Signature:
    """Return the register of GSTR."""
    return _record(_fields(Gstr))


def _record(fields: dict[str, Any]) -> wiring.Signature:
    return wiring.Signature({name: Out(shape) for name, shape in fields.items()})


def _fields(kind: type[Instruction], *but: str) -> dict[str, HdlShape]:
    return {name: _shape(spec) for name, spec in kind.LAYOUT.items() if name not in but}


def _shape(spec: Field) -> HdlShape:
    return signed(spec.bits) if spec.signed else unsigned(spec.bits)


def products_record(shape: Shape) -> wiring.Signature:
    """Return what is multiplied once for a window: addresses modulo 2**word, ix exactly."""
    return _record(
        {
            "row": shape.word,  # sy * pitch: words from one output row to the next
            "corner": shape.word,  # py * pitch + px: words from base back to the first pixel
            "tap_row": shape.word,  # dy * pitch: words from one kernel row to the next
            "line": PLACE_BITS,  # ow * sx: input columns of an output row
        }
    )


def work_record(shape: Shape) -> wiring.Signature:
    """Return an instruction as the walk takes it. No kind is set: a descriptor, WAIT or SIG."""
    return _record(
        {
            "gemm": 1,
            "conv": 1,
            "dw": 1,
            "gemv": 1,
            "ldw": 1,
            "w4": 1,
            "accumulate": 1,
            "win": 2,
            "window": window_record(),  # for GEMM one row of pixels
            "a": shape.word,
            "b": shape.word,
            "pixels": PIXEL_BITS,
            "inner": STEP_BITS,  # innermost loop: groups, pairs, k steps or lines
            "inner_step": shape.word,  # words of A from one to the next
            "tiles": TILE_BITS,  # outermost loop
            "line_step": shape.word,  # words of B from one step to the next
            "tile_step": shape.word,  # GEMM: words of B from one tile to the next
            "row": shape.row,  # first accumulator row
            "row_step": shape.row,  # rows from one channel group to the next
            "file": Ldw.LAYOUT["lines"].bits,  # first line of the register file
        }
    )


def job_layout(shape: Shape) -> data.StructLayout:
    """Return where the results of a register tile go."""
    return data.StructLayout(
        {
            "row": shape.row,
            "row_step": shape.row,
            "accumulate": 1,
            "gemv": 1,
            "odd": 1,  # GEMV: there is an odd tile
        }
    )


def sum_layout(shape: Shape) -> data.StructLayout:
    """Return what the array does with a step once its operands are there."""
    return data.StructLayout(
        {
            "clear": 1,  # sums start with this step
            "last": 1,  # and end with it: results move to the shadow
            "dw": 1,
            "pair": range(shape.pairs),  # DW: pair of channel groups that takes part
            "job": job_layout(shape),
        }
    )


def step_record(shape: Shape) -> wiring.Signature:
    """Return one step of the nest: what it reads and what becomes of it."""
    words = Out(shape.word).array(shape.lanes)
    return wiring.Signature(
        {
            "work": Out(1),  # 0: a descriptor, WAIT or SIG
            "final": Out(1),  # last step of its instruction
            "dw": Out(1),
            "gemv": Out(1),
            "ldw": Out(1),
            "w4": Out(1),
            "words": words,  # gather of port A
            "odd_words": words,  # DW: gather of port B
            "read": Out(shape.lanes),  # lanes of the gather that are read
            "outside": Out(shape.lanes),  # lanes that get `fill`; the rest is 0
            "fill": Out(8),
            "use_a": Out(1),  # port A reads a line from line_a
            "line_a": Out(shape.word),
            "use_b": Out(1),  # port B reads a line from line_b
            "line_b": Out(shape.word),
            "file": Out(shape.file_line),  # line of the register file
            "file_word": Out(range(shape.chip.nu)),  # GEMV: word of that line
            "sum": Out(sum_layout(shape)),
        }
    )


def arrival_record(shape: Shape) -> wiring.Signature:
    """Return what a port's data of the next cycle is for (a cycle of a step)."""
    columns = Out(shape.column).array(shape.lanes)
    return wiring.Signature(
        {
            "active": Out(1),  # a step was in work
            "end": Out(1),  # and has all its words with this
            "dw": Out(1),
            "gemv": Out(1),
            "ldw": Out(1),
            "w4": Out(1),
            "served": Out(shape.lanes),  # lanes whose word comes on port A
            "columns": columns,  # and where
            "odd_served": Out(shape.lanes),  # DW: the same on port B
            "odd_columns": columns,
            "unread": Out(shape.lanes),  # lanes without a word:
            "outside": Out(shape.lanes),  # fill or 0
            "fill": Out(8),
            "got_a": Out(1),  # a line comes on port A, from column shift_a on
            "shift_a": Out(shape.column),
            "got_b": Out(1),
            "shift_b": Out(shape.column),
            "file": Out(shape.file_line),
            "file_word": Out(range(shape.chip.nu)),
            "sum": Out(sum_layout(shape)),
        }
    )
