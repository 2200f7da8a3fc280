"""The wires between the units of a tile: signatures, and the selection of a request's level.

In: a chip. Out: `wiring.Signature`s, each from the point of view of the unit (In: into the unit).
Widths come from the chip; the meaning of every wire is stated here once.
"""

from enum import IntEnum

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from jiriki.chip import ChipConfig
from jiriki.rtl.layouts import WORD_BITS

DISPATCH_CYCLES = 4  # from the cycle an instruction is sent to the first in which it can start


class State(IntEnum):
    """What a unit says of itself in a cycle; the counters' reasons (docs/reference/timing.md)."""

    IDLE = 0  # no work: the front names the reason
    BUSY = 1
    BANK = 2
    DRAIN = 3
    DRAM = 4
    WRITE = 5
    CHAIN = 6
    DATA = 7


def word_bits(chip: ChipConfig) -> int:
    """Return the bits of a scratchpad word address."""
    return ceil_log2(chip.scratchpad_words)


def line_bits(chip: ChipConfig) -> int:
    """Return the bits of a line address: a word address without its column."""
    return ceil_log2(chip.scratchpad_words // chip.columns)


def unit_signature() -> wiring.Signature:
    """Return the wires between a unit and the front of its queue.

    The unit takes words in order as soon as it likes (it decodes them, at most DISPATCH_CYCLES - 1
    and itself one being armed); it starts the oldest not started in a cycle with want and go.
    """
    return wiring.Signature(
        {
            "word": In(stream.Signature(WORD_BITS)),  # instructions in order, registers added
            "want": Out(1),  # the oldest word taken is armed and the unit is free: it could start
            "work": Out(
                1
            ),  # ... and it is work (not a descriptor, WAIT or SIG, which take one cycle)
            "go": In(1),  # it starts in this cycle (only with want): this is its first cycle
            "done": Out(1),  # own end of the oldest work not done yet (one a cycle, in order)
            "state": Out(State),  # of this cycle; IDLE also in the one cycle of a descriptor
        }
    )


def read_signature(chip: ChipConfig) -> wiring.Signature:
    """Return a read port of the scratchpad: at most one line of every column, all or nothing."""
    lines = data.ArrayLayout(line_bits(chip), chip.columns)
    return wiring.Signature(
        {
            "valid": Out(chip.columns),  # columns asked for; 0: no request
            "lines": Out(lines),
            "grant": In(1),  # all of it is read in this cycle (combinational)
            "data": In(data.ArrayLayout(8 * chip.ku, chip.columns)),  # in the cycle after the grant
        }
    )


def write_signature(chip: ChipConfig) -> wiring.Signature:
    """Return a write port of the scratchpad: at most one line of every column, all or nothing."""
    return wiring.Signature(
        {
            "valid": Out(chip.columns),
            "lines": Out(data.ArrayLayout(line_bits(chip), chip.columns)),
            "data": Out(data.ArrayLayout(8 * chip.ku, chip.columns)),
            "bytes": Out(data.ArrayLayout(chip.ku, chip.columns)),  # byte enables of each word
            "grant": In(1),  # written at the end of this cycle (combinational)
        }
    )


def accumulator_row(chip: ChipConfig) -> data.ArrayLayout:
    """Return the layout of an accumulator row: vx_lanes int32."""
    return data.ArrayLayout(32, chip.vx_lanes)


def accumulator_read_signature(chip: ChipConfig) -> wiring.Signature:
    """Return VX's read port of the accumulators; it is never refused."""
    return wiring.Signature(
        {
            "enable": Out(1),
            "row": Out(ceil_log2(chip.acc_rows)),
            "data": In(accumulator_row(chip)),  # in the cycle after enable
        }
    )


def fetch_signature(chip: ChipConfig) -> wiring.Signature:
    """Return how the sequencer asks the DRAM port for instruction words."""
    beat = 8 * chip.dram_bytes_per_cycle
    return wiring.Signature(
        {
            "valid": Out(1),  # a burst is wanted in this cycle
            "address": Out(32),  # a multiple of 16; the burst stays in its aligned block
            "bytes": Out(range(chip.dram_burst_bytes + 1)),
            "grant": In(1),  # the port takes it in this cycle (combinational)
            "beat_valid": In(1),  # a beat of a fetch burst arrives in this cycle, in order
            "beat": In(beat),
        }
    )


class Level(wiring.Component):
    """Select what a request reads or writes in one cycle (combinational).

    Of the pending words, the first of every column in lane order, and all equal to it. The
    requester clears the served ones from its pending set in the cycle of the grant.
    """

    def __init__(self, chip: ChipConfig, lanes: int) -> None:
        self.chip, self.lanes = chip, lanes
        super().__init__(
            {
                "pending": In(lanes),
                "words": In(data.ArrayLayout(word_bits(chip), lanes)),
                "served": Out(lanes),
                "valid": Out(chip.columns),
                "lines": Out(data.ArrayLayout(line_bits(chip), chip.columns)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: the lowest pending lane of each column leads."""
        m = Module()
        split = ceil_log2(self.chip.columns)
        columns = [self.words[i][:split] for i in range(self.lanes)]
        lines = [self.words[i][split:] for i in range(self.lanes)]
        for c in range(self.chip.columns):
            here = Signal(self.lanes, name=f"here{c}")
            m.d.comb += here.eq(Cat(self.pending[i] & (columns[i] == c) for i in range(self.lanes)))
            line: Value = lines[self.lanes - 1]
            for i in reversed(range(self.lanes - 1)):
                line = Mux(here[i], lines[i], line)
            m.d.comb += [self.valid[c].eq(here.any()), self.lines[c].eq(line)]
        leads = [self.lines[columns[i]] == lines[i] for i in range(self.lanes)]
        m.d.comb += self.served.eq(Cat(self.pending[i] & leads[i] for i in range(self.lanes)))
        return m
