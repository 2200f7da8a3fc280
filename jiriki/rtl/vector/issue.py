"""Issue: steps meet the scratchpad and the chain; who waits for what is decided here.

Concept: the present step asks for the words still missing, stream by stream, level by level. When a
beat has all and the chain has a place (Room, Order) it is sent; one whose result takes more cycles
then occupies the unit for these. The rules are those of "VX" in docs/reference/timing.md: a ring of
P places remembers in which cycles something goes round, two countdowns how far the last beat is
from the reduction and from the end, a counter the results that are not written.
In: steps, `go`. Out: requests, beats sent, results expected, the unit's state.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from jiriki.rtl.interfaces import Level, State, read_signature
from jiriki.rtl.vector.fp import named
from jiriki.rtl.vector.records import (
    COUNT_BITS,
    Shape,
    format_layout,
    sent_layout,
)
from jiriki.rtl.vector.works import MORE_BITS, STREAMS, first_lanes, step_layout

INPUTS = STREAMS - 1


def fetch_layout(shape: Shape, index: int) -> data.StructLayout:
    """Return what is read of a stream in a cycle: which words, and from which columns."""
    lanes = shape.slots if index else first_lanes(shape)
    columns = ceil_log2(shape.chip.columns)
    return data.StructLayout({"lanes": lanes, "columns": data.ArrayLayout(columns, lanes)})


def form_layout(shape: Shape) -> data.StructLayout:
    """Return how the words of a beat become values: stream by stream."""
    return data.StructLayout(
        {
            "formats": data.ArrayLayout(format_layout(), INPUTS),
            "inside": data.ArrayLayout(shape.pixels, INPUTS),
        }
    )


def expected_layout(shape: Shape) -> data.StructLayout:
    """Return where a result will be written: the first word of each pixel."""
    return data.StructLayout(
        {
            "words": data.ArrayLayout(shape.word, shape.pixels),
            "wants": shape.pixels,
            "shift": 2,
            "last": 1,
        }
    )


class Issue(wiring.Component):
    """See the module."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        chip = shape.chip
        super().__init__(
            {
                "step": In(stream.Signature(step_layout(shape))),
                "want": Out(1),
                "work": Out(1),
                "go": In(1),
                "state": Out(State),
                **{f"r{i}": Out(read_signature(chip)) for i in range(INPUTS)},
                **{f"fetch{i}": Out(fetch_layout(shape, i)) for i in range(INPUTS)},
                "parameters": Out(1),  # what r0 reads are parameters
                "acc_enable": Out(1),
                "acc_row": Out(shape.row),
                "sent": Out(sent_layout(shape)),
                "before": Out(COUNT_BITS),
                "form": Out(form_layout(shape)),
                "expected": Out(stream.Signature(expected_layout(shape), always_ready=True)),
                "written": In(1),  # a result was written in this cycle
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        step = self.step.payload
        active, begun = Signal(), Signal()  # the step is under way; it was before this cycle
        started, folding = Signal(), Signal(MORE_BITS)
        m.d.comb += [
            self.work.eq(step.is_work),
            self.want.eq(self.step.valid & step.first & ~started),
            active.eq(self.step.valid & step.is_work & (~step.first | started | self.go)),
        ]
        beat = named(m, "beat", active & ~step.parameters)
        credit = Signal(range(self.shape.results + 1))
        result = named(m, "result", step.completes & step.job.writes & ~step.parameters)
        held = named(m, "held", active & result & ~begun & (credit == self.shape.results))
        asks = named(m, "asks", active & ~held & (folding == 0))
        complete = self._requests(m, step, asks, begun)
        goes_on = named(m, "goes_on", step.completes & (step.job.after != 0) & beat)
        room, order = self._room(m), self._order(m)
        sends = named(m, "sends", asks & complete & ~step.parameters & room & order)
        more = Mux(step.completes, step.job.more_last, step.job.more)
        folds = named(m, "folds", (folding != 0) & ((folding != 1) | room | ~goes_on))
        ends = named(m, "ends", (sends & (more == 0)) | (folds & (folding == 1)))
        leaves = named(m, "leaves", ends | (asks & complete & step.parameters))
        m.d.comb += self.step.ready.eq(leaves | (self.want & ~step.is_work & self.go))
        m.d.sync += started.eq(active & ~leaves & (step.first | started))
        m.d.sync += begun.eq(asks & ~leaves & ~sends)
        with m.If(sends):
            m.d.sync += folding.eq(more)
        with m.Elif(folds):
            m.d.sync += folding.eq(folding - 1)
        m.d.sync += credit.eq(credit + (ends & result) - self.written)
        self._note(m, sends, ends, goes_on)
        self._send(m, sends, ends, goes_on, more, result)
        with m.If(active):
            with m.If(held):
                m.d.comb += self.state.eq(State.WRITE)
            with m.Elif(leaves | sends | folds):
                m.d.comb += self.state.eq(State.BUSY)
            with m.Elif((folding != 0) | complete):
                m.d.comb += self.state.eq(State.CHAIN)
            with m.Else():
                m.d.comb += self.state.eq(State.BANK)
        return m

    def _requests(self, m: Module, step: Value, asks: Value, begun: Value) -> Value:
        """Ask for the next levels; return whether nothing is missing after this cycle."""
        chip, complete = self.shape.chip, []
        for i in range(INPUTS):
            port, fetch = getattr(self, f"r{i}"), getattr(self, f"fetch{i}")
            words, wants = step[f"words{i}"], step[f"wants{i}"]
            lanes = len(wants)
            m.submodules[f"level{i}"] = level = Level(chip, lanes)
            left = Signal(lanes, name=f"left{i}")
            pending = named(m, f"pending{i}", Mux(begun, left, wants))
            served = named(m, f"served{i}", Mux(port.grant & asks, level.served, 0))
            after = named(m, f"after{i}", pending & ~served)
            m.d.sync += left.eq(after)
            m.d.comb += [
                level.pending.eq(pending),
                level.words.eq(words),
                port.valid.eq(Mux(asks, level.valid, 0)),
                port.lines.eq(level.lines),
                fetch.lanes.eq(served),
            ]
            m.d.comb += [
                fetch.columns[j].eq(words[j][: len(fetch.columns[j])]) for j in range(lanes)
            ]
            complete.append(after == 0)
        m.d.comb += [
            self.parameters.eq(step.parameters),
            self.acc_enable.eq(asks & step.rows & ~step.parameters),
            self.acc_row.eq(step.row),
        ]
        return named(m, "complete", complete[0] & complete[1] & complete[2])

    def _room(self, m: Module) -> Value:
        """Return whether nothing goes round in this cycle."""
        passes = self.shape.passes
        self.ring = [Signal(COUNT_BITS + 1, name=f"round{i}") for i in range(passes)]
        return named(m, "room", self.ring[0] == 0)

    def _order(self, m: Module) -> Value:
        """Return whether the present beat would overtake none."""
        step = self.step.payload
        self.reach, self.leave = (
            Signal.like(step.reach, name="reach"),
            Signal.like(step.leave, name="leave"),
        )
        return named(m, "order", (step.reach > self.reach) & (step.leave > self.leave))

    def _note(self, m: Module, sends: Value, ends: Value, goes_on: Value) -> None:
        """Remember when what is sent goes round, and how far it is."""
        step, ring = self.step.payload, self.ring
        job = step.job
        onward = Mux(ring[0] == 0, 0, ring[0] - 1)
        onward = Mux(sends, job.before - 1, onward)
        onward = Mux(ends & goes_on, job.before + job.after, onward)
        m.d.sync += [slot.eq(ring[i + 1]) for i, slot in enumerate(ring[:-1])]
        m.d.sync += ring[-1].eq(onward)
        for left, distance in ((self.reach, step.reach), (self.leave, step.leave)):
            with m.If(ends):
                m.d.sync += left.eq(distance - 1)
            with m.Elif(left != 0):
                m.d.sync += left.eq(left - 1)

    def _send(
        self, m: Module, sends: Value, ends: Value, goes_on: Value, more: Value, result: Value
    ) -> None:
        """Tell the chain of a beat, or of a carrier at the end of a long result."""
        step, sent = self.step.payload, self.sent
        job = step.job
        carries = named(m, "carries", ends & ~sends & goes_on)
        m.d.comb += [
            sent.valid.eq(sends | carries),
            sent.carrier.eq(carries),
            sent.line.eq(job.line),
            sent.context.eq(job.context),
            sent.place.eq(step.place),
            sent.pixels.eq(step.pixels),
            sent.first.eq(step.starts),
            sent.completes.eq(step.completes),
            sent.rides.eq(goes_on & (more == 0)),
            sent.last.eq(step.last),
            self.before.eq(job.before),
            self.form.formats.eq(job.formats),
            self.form.inside.eq(step.inside),
            self.expected.valid.eq(ends & result),
            self.expected.payload.words.eq(step.out_words),
            self.expected.payload.wants.eq(step.out_wants),
            self.expected.payload.shift.eq(job.out_shift),
            self.expected.payload.last.eq(step.last),
        ]
