"""Walk: an instruction -> its steps, one a cycle: beats, lines, reads of parameters.

In: `work_layout` records. Out: `step_layout` records, registered; the next instruction's first step
follows the last one's last without a gap. The order is that of "VX" in docs/reference/timing.md.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from jiriki.isa.windows import Winb
from jiriki.rtl.vector.fp import named
from jiriki.rtl.vector.records import GROUP_BITS, PARAMETER_WORDS, PIXEL_BITS, Shape
from jiriki.rtl.vector.stream_walk import StreamWalk
from jiriki.rtl.vector.works import STREAMS, first_lanes, job_layout, step_layout, work_layout


class Walk(wiring.Component):
    """See the module. Latency: two cycles from a record to its first step."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        super().__init__(
            {
                "work": In(stream.Signature(work_layout(shape))),
                "step": Out(stream.Signature(step_layout(shape))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        self._state(m)
        self._position(m)
        self._advance(m)
        self._streams(m)
        self._emit(m)
        return m

    def _state(self, m: Module) -> None:
        """Hold an instruction until its last step is emitted."""
        work, new = self.work, self.work.payload
        self.active, self.is_work = Signal(), Signal()
        self.emits, self.loads, self.done = Signal(), Signal(), Signal()
        self.job = Signal(job_layout(self.shape))
        self.over_window, self.over_pixels, self.over_channels = (Signal() for _ in range(3))
        self.has_parameters, self.used = Signal(), Signal(STREAMS)
        self.rows, self.shifts = Signal(), [Signal(2, name=f"shift{i}") for i in range(STREAMS)]
        m.d.comb += [
            self.emits.eq(self.active & (~self.step.valid | self.step.ready)),
            work.ready.eq(~self.active | (self.emits & self.done)),
            self.loads.eq(work.valid & work.ready),
        ]
        with m.If(work.ready):
            m.d.sync += self.active.eq(work.valid)
        with m.If(self.loads):
            m.d.sync += [
                self.is_work.eq(new.is_work),
                self.job.eq(new.job),
                self.over_window.eq(new.over_window),
                self.over_pixels.eq(new.over_pixels),
                self.over_channels.eq(new.over_channels),
                self.has_parameters.eq(new.parameters),
                self.used.eq(Cat(place.used for place in new.places)),
                self.rows.eq(new.places[0].rows),
                *(s.eq(p.shift) for s, p in zip(self.shifts, new.places, strict=True)),
            ]

    def _position(self, m: Module) -> None:
        """Keep counters: what is left of pixels, groups and taps."""
        bits = Winb.LAYOUT["kh"].bits
        self.left, self.p = Signal(PIXEL_BITS, name="left"), Signal(PIXEL_BITS)
        self.groups_left, self.groups = Signal(GROUP_BITS), Signal(GROUP_BITS, name="groups")
        self.group, self.line = Signal(GROUP_BITS), Signal(GROUP_BITS, name="line_number")
        self.rows_left, self.kh = Signal(bits, name="rows_left"), Signal(bits, name="kh")
        self.taps_left, self.kw = Signal(bits, name="taps_left"), Signal(bits, name="kw")
        self.due, self.began = Signal(), Signal()  # parameters to be read; a step was emitted
        self.first_tap, self.first_pixel = Signal(), Signal()
        row_end = named(m, "row_end", self.taps_left == 1)
        self.row_end = row_end
        self.last_tap = named(m, "last_tap", row_end & (self.rows_left == 1))
        self.last_pixel = named(m, "last_pixel", self.left <= self.shape.pixels)
        self.last_group = named(m, "last_group", self.groups_left == 1)
        ends = self.last_tap & self.last_pixel & self.last_group & ~self.due
        m.d.comb += self.done.eq(~self.is_work | ends)

    def _advance(self, m: Module) -> None:
        beat = named(m, "beat", self.emits & self.is_work & ~self.due)
        turn = named(m, "turn", beat & self.last_tap)  # the last tap of a position
        inner_end = Mux(self.over_channels, self.last_group, self.last_pixel)
        self.tap_on = named(m, "tap_on", beat & ~self.row_end)
        self.tap_row_on = named(m, "tap_row_on", beat & self.row_end & ~self.last_tap)
        self.tap_back = turn
        self.pixel_on = named(m, "pixel_on", turn & Mux(self.over_channels, inner_end, ~inner_end))
        self.pixel_back = named(m, "pixel_back", turn & ~self.over_channels & inner_end)
        self.group_on = named(m, "group_on", turn & Mux(self.over_channels, ~inner_end, inner_end))
        self.group_back = named(m, "group_back", turn & self.over_channels & inner_end)
        moves = self.group_on | (self.group_back & (self.groups != 1))
        new = self.work.payload
        with m.If(self.emits):
            m.d.sync += [self.began.eq(1), self.due.eq(moves & self.has_parameters)]
        with m.If(self.tap_on):
            m.d.sync += [self.taps_left.eq(self.taps_left - 1), self.first_tap.eq(0)]
        with m.If(self.tap_row_on):
            m.d.sync += [
                self.taps_left.eq(self.kw), self.rows_left.eq(self.rows_left - 1),
                self.first_tap.eq(0),
            ]  # fmt: skip
        with m.If(self.tap_back):
            m.d.sync += [
                self.taps_left.eq(self.kw), self.rows_left.eq(self.kh), self.first_tap.eq(1),
            ]  # fmt: skip
        with m.If(self.pixel_on):
            m.d.sync += [
                self.left.eq(self.left - self.shape.pixels), self.line.eq(self.line + 1),
                self.first_pixel.eq(0),
            ]  # fmt: skip
        with m.If(self.pixel_back):
            m.d.sync += [self.left.eq(self.p), self.first_pixel.eq(1)]
        with m.If(self.group_on):
            m.d.sync += [
                self.group.eq(self.group + 1), self.groups_left.eq(self.groups_left - 1),
            ]  # fmt: skip
        with m.If(self.group_back):
            m.d.sync += [self.group.eq(0), self.groups_left.eq(self.groups)]
        with m.If(self.loads):
            m.d.sync += [
                self.left.eq(new.p), self.p.eq(new.p),
                self.groups_left.eq(new.groups), self.groups.eq(new.groups),
                self.rows_left.eq(new.kh), self.kh.eq(new.kh),
                self.taps_left.eq(new.kw), self.kw.eq(new.kw),
                self.group.eq(0), self.line.eq(0), self.due.eq(new.parameters), self.began.eq(0),
                self.first_tap.eq(1), self.first_pixel.eq(1),
            ]  # fmt: skip

    def _streams(self, m: Module) -> None:
        """Walk the four streams, and the parameters."""
        self.walks = []
        for i in range(STREAMS):
            walk = StreamWalk(self.shape, f"stream{i}", taps=i == 0)
            m.submodules[f"stream{i}"] = walk
            m.d.comb += [walk.load.eq(self.loads), walk.place.eq(self.work.payload.places[i])]
            m.d.comb += [
                getattr(walk, name).eq(getattr(self, name))
                for name in ("pixel_on", "pixel_back", "group_on", "group_back", "tap_on",
                             "tap_row_on", "tap_back")
            ]  # fmt: skip
            self.walks.append(walk)
        word = self.shape.word
        self.parameters = Signal(word, name="parameter_words")
        base = Signal(word, name="parameter_base")
        with m.If(self.loads):
            start = self.work.payload.parameter_base
            m.d.sync += [self.parameters.eq(start), base.eq(start)]
        with m.Elif(self.group_back):
            m.d.sync += self.parameters.eq(base)
        with m.Elif(self.group_on):
            m.d.sync += self.parameters.eq(self.parameters + PARAMETER_WORDS)

    def _emit(self, m: Module) -> None:
        """Put the present step into the step register."""
        shape, step, job = self.shape, self.step.payload, self.job
        pixels = shape.pixels
        exist = named(m, "exist", Cat(self.left > j for j in range(pixels)))
        over = self.over_window | self.over_pixels | self.over_channels
        starts = Mux(self.over_window, self.first_tap,
                     Mux(self.over_pixels, self.first_pixel, self.group == 0))  # fmt: skip
        completes = Mux(self.over_window, self.last_tap,
                        Mux(self.over_pixels, self.last_pixel, self.last_group))  # fmt: skip
        with m.If(~self.step.valid | self.step.ready):
            m.d.sync += self.step.valid.eq(self.active)
        with m.If(self.emits):
            m.d.sync += [
                step.is_work.eq(self.is_work),
                step.first.eq(~self.began),
                step.last.eq(self.done),
                step.parameters.eq(self.due),
                step.job.eq(job),
                step.reach.eq(job.before * shape.passes),
                step.leave.eq(job.rounds * shape.passes),
                step.rows.eq(self.rows & self.used[0]),
                step.row.eq(self.walks[0].words[0]),
                step.place.eq(Mux(job.line, self.line, self.group)),
                step.pixels.eq(exist),
                step.starts.eq(~over | starts),
                step.completes.eq(~over | completes),
                step.out_words.eq(self.walks[3].words),
                step.out_wants.eq(self.walks[3].inside & Mux(self.over_pixels, 1, exist)),
            ]
            self._words(m, exist)

    def _words(self, m: Module, exist: Value) -> None:
        shape, step = self.shape, self.step.payload
        for i in range(STREAMS - 1):
            walk, shift = self.walks[i], self.shifts[i]
            inside = walk.inside & exist
            asks = self.used[i] & (~self.rows if i == 0 else 1)
            words, wants = step[f"words{i}"], step[f"wants{i}"]
            m.d.sync += step.inside[i].eq(walk.inside)
            for j in range(shape.pixels):
                for k in range(4):
                    slot, there = 4 * j + k, asks & inside[j]
                    there = there & ((1 << shift) > k if k else 1)
                    if i == 0:
                        there = there & ~self.due
                    m.d.sync += [wants[slot].eq(there), words[slot].eq(walk.words[j] + k)]
        for slot in range(first_lanes(shape)):
            if slot >= shape.slots:
                m.d.sync += step.wants0[slot].eq(0)
            if slot < PARAMETER_WORDS:
                with m.If(self.due):
                    m.d.sync += [
                        step.wants0[slot].eq(1), step.words0[slot].eq(self.parameters + slot),
                    ]  # fmt: skip
        with m.If(self.due):
            m.d.sync += [step.wants1.eq(0), step.wants2.eq(0)]
