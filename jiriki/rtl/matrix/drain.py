"""Drain: shadows -> accumulator rows, one a cycle, and VX's read port.

In: the shadows and, in the cycle they are taken, the job. Out: the accumulator memory. A row goes
through three cycles: it is chosen from the shadows and the old row is read; the old row arrives;
both are added and written. Rows may repeat at once (a k split of one row): a read sees the write
of its own cycle, and what is written the cycle after replaces what it read.

Order: channel group by channel group, in a group beat by beat; GEMV: even tile, odd tile.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In
from amaranth.utils import exact_log2

from jiriki.rtl.interfaces import accumulator_read_signature, accumulator_row
from jiriki.rtl.matrix.records import Shape, job_layout


class Drain(wiring.Component):
    """See the module. Latency: the first row is written at the end of the third cycle after."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        super().__init__(
            {
                "shadow": In(signed(32)).array(shape.rows, shape.chip.nu),
                "start": In(1),  # the shadow is there from the next cycle on
                "job": In(job_layout(shape)),
                "acc": In(accumulator_read_signature(shape.chip)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: the walk over rows, the choice of a row, read, add, write."""
        m = Module()
        chip = self.shape.chip
        row = accumulator_row(chip)
        m.submodules.rows = rows = Memory(shape=row, depth=chip.acc_rows, init=[])
        write = rows.write_port()
        old = rows.read_port(transparent_for=(write,))
        vx = rows.read_port()
        m.d.comb += [vx.en.eq(self.acc.enable), vx.addr.eq(self.acc.row), self.acc.data.eq(vx.data)]
        job, place, address, valid = self._walk(m)
        chosen, stored = Signal(row), Signal(row)
        self._choose(m, job, place, chosen)
        m.d.comb += [old.en.eq(valid & job.accumulate), old.addr.eq(address)]
        first = Signal(data.StructLayout({"valid": 1, "accumulate": 1, "row": self.shape.row}))
        second = Signal(first.shape())
        new, now = Signal(row), Signal(row)
        m.d.sync += first.valid.eq(valid)
        with m.If(valid):
            m.d.sync += [
                first.accumulate.eq(job.accumulate), first.row.eq(address), new.eq(chosen),
            ]  # fmt: skip
        total, again = Signal(row), Signal()
        m.d.comb += again.eq(second.valid & (second.row == first.row))
        m.d.sync += second.eq(first)
        with m.If(first.valid):
            m.d.sync += now.eq(new)
            with m.If(~first.accumulate):
                m.d.sync += stored.eq(0)
            with m.Else():
                m.d.sync += stored.eq(Mux(again, total, old.data))
        m.d.comb += [total[i].eq(stored[i] + now[i]) for i in range(chip.vx_lanes)]
        m.d.comb += [
            write.en.eq(second.valid),
            write.addr.eq(second.row),
            write.data.eq(total),
        ]
        return m

    def _walk(self, m: Module) -> tuple[Value, Value, Value, Value]:
        """Return the job, the row's place in it, its address, and whether there is one."""
        shape = self.shape
        job, left = Signal(job_layout(shape)), Signal(range(shape.drain_most + 1))
        place, address = Signal(range(shape.drain_most)), Signal(shape.row)
        group = Signal(shape.row)  # row of the group's first beat
        beats = exact_log2(shape.beats)
        crosses = Const(1) if beats == 0 else job.gemv | place[:beats].all()
        with m.If(left != 0):
            m.d.sync += [left.eq(left - 1), place.eq(place + 1), address.eq(address + 1)]
            with m.If(crosses):
                m.d.sync += [address.eq(group + job.row_step), group.eq(group + job.row_step)]
        with m.If(self.start):
            m.d.sync += [
                job.eq(self.job),
                place.eq(0),
                address.eq(self.job.row),
                group.eq(self.job.row),
                left.eq(Mux(self.job.gemv, shape.gemv_drain, shape.chip.drain_cycles)),
            ]
        absent = job.gemv & ~job.odd & (place >= shape.groups)
        return job, place, address, (left != 0) & ~absent

    def _choose(self, m: Module, job: Value, place: Value, chosen: Value) -> None:
        """Choose the row at a place of a job."""
        shape, chip = self.shape, self.shape.chip
        with m.If(job.gemv), m.Switch(place):
            for i in range(shape.gemv_drain):
                row, group = 1 - i // shape.groups, i % shape.groups
                with m.Case(i):
                    lanes = self._group(row, group)
                    m.d.comb += chosen.eq(Cat(*lanes))
        with m.Else(), m.Switch(place):
            for i in range(chip.drain_cycles):
                group, beat = divmod(i, shape.beats)
                pixels = range(beat * chip.beat_pixels, (beat + 1) * chip.beat_pixels)
                with m.Case(i):
                    lanes = [lane for p in pixels for lane in self._group(p, group)]
                    m.d.comb += chosen.eq(Cat(*lanes))

    def _group(self, row: int, group: int) -> list[Value]:
        """Return the shadows of a row's channel group."""
        ku = self.shape.chip.ku
        return [self.shadow[row][group * ku + c].as_unsigned() for c in range(ku)]
