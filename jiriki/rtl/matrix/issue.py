"""Issue: the levels of a step on both ports; start, state and end of instructions.

In: `step_record`s. Out: reads of this cycle, what their data is for (in registers, with the
data), and the wires to the unit's front. A step's first level is asked for in the cycle in which
its record is here: the first of an instruction with `go`, the last of a register tile not before
the results of the tile before it have left the shadow. Port A is never refused.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from jiriki.rtl.interfaces import State, read_signature
from jiriki.rtl.matrix.gather import Gather
from jiriki.rtl.matrix.records import Record, Shape, arrival_record, handed, step_record


class Issue(wiring.Component):
    """See the module. Latency: none; `arrival` is of the cycle before."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        super().__init__(
            {
                "step": In(handed(step_record(shape))),
                "a": Out(read_signature(shape.chip)),
                "b": Out(read_signature(shape.chip)),
                "arrival": Out(arrival_record(shape)),
                "want": Out(1),
                "work": Out(1),
                "go": In(1),
                "done": Out(1),
                "state": Out(State),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: one step in work, its levels, the drain's clock."""
        m = Module()
        step = self.step.payload
        running = Signal()  # the instruction of the step has started in an earlier cycle
        inside = Signal()  # the step has begun in an earlier cycle
        draining = Signal(range(self.shape.drain_most + 1))  # cycles for which a last step waits
        stepping, ends, held = Signal(), Signal(), Signal()
        starts = self.want & self.go
        m.d.comb += [
            self.want.eq(self.step.valid & ~running),
            self.work.eq(step.work),
            held.eq(step.work & step.sum.last & ~inside & (draining != 0)),
            stepping.eq(self.step.valid & step.work & (running | starts) & ~held),
            self.step.ready.eq(ends | (starts & ~step.work)),
        ]
        self._read(m, stepping, ends, inside)
        with m.If(stepping):
            m.d.sync += inside.eq(~ends)
        with m.If(starts & step.work):
            m.d.sync += running.eq(1)
        with m.If(ends & step.final):
            m.d.sync += running.eq(0)
        chip = self.shape.chip
        drain = Mux(step.gemv, self.shape.gemv_drain, chip.drain_cycles)
        with m.If(ends & step.sum.last):
            m.d.sync += draining.eq(drain - 1)
        with m.Elif(draining != 0):
            m.d.sync += draining.eq(draining - 1)
        with m.If(stepping):
            m.d.comb += self.state.eq(Mux(ends, State.BUSY, State.BANK))
        with m.Elif(held & (running | starts)):
            m.d.comb += self.state.eq(State.DRAIN)
        own = Mux(step.ldw, 0, drain) + chip.mx_latency_cycles
        self._finish(m, ends & step.final, own)
        return m

    def _read(self, m: Module, stepping: Value, ends: Value, inside: Value) -> None:
        """Ask for a level on each port; end the step when nothing is left."""
        shape, step = self.shape, self.step.payload
        served, odd_served = Signal(shape.lanes), Signal(shape.lanes)  # in earlier cycles
        got_b = Signal()  # the line of port B, in an earlier cycle
        pending = step.read & ~served
        odd = Mux(step.dw, step.read & ~odd_served, 0) if shape.groups > 1 else Const(0)
        now = _gather(m, shape, "level", stepping, pending, step.words, self.a)
        odd_now = Const(0, shape.lanes)
        if shape.groups > 1:
            odd_now = _gather(m, shape, "odd_level", stepping, odd, step.odd_words, self.b)
        with m.If(step.use_a):
            _line(m, shape, stepping & ~inside, step.line_a, step.w4, self.a)
        with m.If(step.use_b):
            _line(m, shape, stepping & ~got_b, step.line_b, step.w4 & ~step.ldw, self.b)
        odd_left = Mux(self.b.grant, odd & ~odd_now, odd)
        all_a = ~(pending & ~now).any()
        all_b = ~odd_left.any() & (~step.use_b | got_b | self.b.grant)
        m.d.comb += ends.eq(stepping & all_a & all_b)
        with m.If(ends):
            m.d.sync += [served.eq(0), odd_served.eq(0), got_b.eq(0)]
        with m.Elif(stepping):
            m.d.sync += served.eq(served | now)
            with m.If(self.b.grant):
                m.d.sync += [odd_served.eq(odd_served | odd_now), got_b.eq(1)]
        self._arrive(m, stepping, ends, now, odd_now & self.b.grant.replicate(shape.lanes))
        m.d.sync += [
            self.arrival.got_a.eq(stepping & ~inside & step.use_a),
            self.arrival.got_b.eq(stepping & ~got_b & step.use_b & self.b.grant),
        ]

    def _arrive(self, m: Module, stepping: Value, ends: Value, now: Value, odd_now: Value) -> None:
        """Say with the data what it is."""
        shape, step, arrival = self.shape, self.step.payload, self.arrival
        m.d.sync += [arrival.active.eq(stepping), arrival.end.eq(ends)]
        with m.If(stepping):
            m.d.sync += [
                *[getattr(arrival, name).eq(getattr(step, name)) for name in _COPIED],
                arrival.served.eq(now),
                arrival.odd_served.eq(odd_now),
                arrival.unread.eq(~step.read),
                arrival.shift_a.eq(step.line_a),
                arrival.shift_b.eq(step.line_b),
            ]
            for tap in range(shape.chip.ku):
                with m.If(step.dw if tap else Const(1)):
                    for lane in range(tap * shape.chip.mu, (tap + 1) * shape.chip.mu):
                        m.d.sync += arrival.columns[lane].eq(step.words[lane])
                        m.d.sync += arrival.odd_columns[lane].eq(step.odd_words[lane])

    def _finish(self, m: Module, ends: Value, own: Value) -> None:
        """Pulse done `own` cycles after an instruction's last step, in order, one a cycle."""
        most = self.shape.drain_most + self.shape.chip.mx_latency_cycles
        due = Signal(most)  # bit i: a pulse i cycles from now
        behind = Signal(range(most + 1))  # cycles from now to the last pulse due
        place = Signal(range(most + 1))
        m.d.comb += [
            self.done.eq(due[0]),
            place.eq(Mux(own > behind, own, behind + 1)),
        ]
        m.d.sync += due.eq(due >> 1)
        with m.If(ends):
            m.d.sync += [
                due.eq((due >> 1) | (Const(1) << place)[1 : most + 1]),
                behind.eq(place - 1),
            ]
        with m.Elif(behind != 0):
            m.d.sync += behind.eq(behind - 1)


_COPIED = ("dw", "gemv", "ldw", "w4", "outside", "fill", "file", "file_word", "sum")


def _gather(
    m: Module, shape: Shape, name: str, stepping: Value, pending: Value, words: Record, port: Record
) -> Value:
    """Ask for the next level of pending lanes; return the lanes it serves."""
    m.submodules[name] = gather = Gather(shape)
    m.d.comb += gather.pending.eq(pending)
    m.d.comb += [to.eq(word) for to, word in zip(gather.words, words, strict=True)]
    m.d.comb += [port.lines[c].eq(line) for c, line in enumerate(gather.lines)]
    with m.If(stepping):
        m.d.comb += port.valid.eq(gather.valid)
    return gather.served


def _line(m: Module, shape: Shape, wants: Value, word: Value, w4: Value, port: Record) -> None:
    """Ask for the words of a line: nu, or half as many of packed weights, from `word` on."""
    columns, nu = shape.chip.columns, shape.chip.nu
    first, line = word[: shape.column], word[shape.column :]
    run, after = Signal(2 * columns), Signal(len(line))
    m.d.comb += [
        run.eq(Mux(w4, (1 << nu // 2) - 1, (1 << nu) - 1) << first),
        after.eq(line + 1),
    ]
    for c in range(columns):
        m.d.comb += port.lines[c].eq(Mux(first > c, after, line))
    with m.If(wants):
        m.d.comb += port.valid.eq(run[:columns] | run[columns:])
