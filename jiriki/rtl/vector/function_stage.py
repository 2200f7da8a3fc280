"""FunctionStage: an F stage of the chain, four cycles, and the tables that LDT loads.

In: a beat (registered here), what the lanes do in cycles 1 and 2, the table slot one cycle ahead.
Out: the beat at the end of cycle 4. In cycle 2 `late` puts a reduction's result in place of v.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from jiriki.rtl.shared_modules import share
from jiriki.rtl.vector.fp import register
from jiriki.rtl.vector.function_lane import FUNCTION_CONTROL, HEADER, FunctionLane
from jiriki.rtl.vector.records import GROUP_BITS, SLOT_BITS, Shape, beat_layout, lanes_layout
from jiriki.rtl.vector.tables import Tables

CYCLES = 4

FUNCTION_STAGE = data.StructLayout(
    {
        "valid": CYCLES,  # a beat enters, or is in cycle 1, 2, 3
        "slot": SLOT_BITS,  # of the micro-op of the beat that enters
        "one": FUNCTION_CONTROL,  # cycle 1
        "load": 1,  # cycle 1: v is a line of a table,
        "is_segment": 1,  # ... of this kind,
        "number": GROUP_BITS,  # ... of this number,
        "load_slot": SLOT_BITS,  # ... for this slot
        "two": FUNCTION_CONTROL,  # cycle 2
        "late": 1,  # cycle 2
    }
)


class FunctionStage(wiring.Component):
    """See the module."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        super().__init__(
            {
                "i": In(beat_layout(shape)),
                "control": In(FUNCTION_STAGE),
                "late_value": In(lanes_layout(shape)),
                "o": Out(beat_layout(shape)),  # combinational, in cycle 4
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        control = self.control
        entry = register("entry", beat_layout(self.shape))
        t, side = entry.t, entry.side
        m.submodules.tables = tables = Tables(self.shape)
        header, slot = Signal(HEADER), Signal(SLOT_BITS)
        m.d.comb += tables.header_slot.eq(control.slot)
        with m.If(control.valid[0]):
            m.d.sync += [entry.eq(self.i), header.eq(tables.header), slot.eq(control.slot)]
        for i in range(1, CYCLES):
            next_t, next_side = register(f"t{i}", t.shape()), register(f"side{i}", side.shape())
            with m.If(control.valid[i]):
                m.d.sync += [next_t.eq(t), next_side.eq(side)]
            t, side = next_t, next_side
        m.d.comb += [self.o.t.eq(t), self.o.side.eq(side)]
        self._tables(m, tables, entry, slot)
        for i in range(self.shape.lanes):
            lane = FunctionLane()
            m.submodules[f"lane{i}"] = share(platform, lane, lane.module_name)
            m.d.comb += [
                lane.v.eq(entry.v[i]),
                lane.one.eq(control.one),
                lane.header.eq(header),
                tables.rom_address[i].eq(lane.rom_address),
                tables.segment[i].eq(lane.segment),
                tables.code[i].eq(lane.code),
                lane.two.eq(control.two),
                lane.rom_row.eq(tables.rom_row[i]),
                lane.segment_row.eq(tables.segment_row[i]),
                lane.code_result.eq(tables.code_result[i]),
                lane.late.eq(control.late),
                lane.late_value.eq(self.late_value[i]),
                self.o.v[i].eq(lane.o),
            ]
        return m

    def _tables(self, m: Module, tables: Tables, entry: Signal, slot: Signal) -> None:
        control, op = self.control, self.control.one
        m.d.comb += [
            tables.line.eq(entry.v),
            tables.load.eq(control.load),
            tables.is_segment.eq(control.is_segment),
            tables.number.eq(control.number),
            tables.slot.eq(slot),
            tables.rom_read.eq(op.exp2 | op.log2 | op.recip | op.rsqrt),
            tables.segment_read.eq(op.tbl),
            tables.code_read.eq(op.lut),
        ]
        with m.If(control.load):
            m.d.comb += tables.slot.eq(control.load_slot)
