"""VectorReduce: the reduction of results, lane by lane and then across lanes.

A beat that comes out of the before-passes is here one cycle later (cycle 0) and joins the running
result of its lane: a sum in 3 cycles (the pipeline of an ALU), the others in one. The last beat of
a result over pixels or channels is followed by halvings. The result is seen in `value` in the
cycle after the last; results that no after-passes follow leave one pass later, as `ended`.
In: beats with what they are part of. Out: the running result, results that ended.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from jiriki.isa.words import MicroOp, RedOp, Reduce
from jiriki.rtl.shared_modules import share
from jiriki.rtl.vector.alu import FIELDS, Alu
from jiriki.rtl.vector.fp import (
    INF,
    MINUS_INF,
    MINUS_ZERO,
    NAN,
    named,
    parts,
    register,
    small_int_to_fp32,
    sort_key,
)
from jiriki.rtl.vector.records import GROUP_BITS, Shape, lanes_layout
from jiriki.rtl.vector.steering import arrival_layout, leaving_layout


def _begun(shape: Shape) -> data.StructLayout:
    """Return what is remembered of a step until its result is there."""
    return data.StructLayout(
        {"valid": 1, "sums": 1, "more": 1, "ends": 1, "last": 1, "context": shape.context}
    )


class VectorReduce(wiring.Component):
    """See the module."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        super().__init__(
            {
                "arrival": In(arrival_layout(shape)),
                "v": In(lanes_layout(shape)),
                "value": Out(lanes_layout(shape)),
                "ended": Out(leaving_layout(shape)),
                "ended_value": Out(lanes_layout(shape)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        shape, self.platform = self.shape, platform
        beat, fresh = Signal(arrival_layout(shape)), Signal()
        v = register("v", lanes_layout(shape))
        m.d.sync += fresh.eq(self.arrival.valid)
        with m.If(self.arrival.valid):
            m.d.sync += [beat.eq(self.arrival), v.eq(self.v)]
        begins, halves, level, begun = self._order(m, beat, fresh)
        self._lanes(m, beat, v, begins, halves, level, begun)
        return m

    def _order(
        self, m: Module, beat: Signal, fresh: Signal
    ) -> tuple[Value, Value, Signal, list[Signal]]:
        """Let the halvings follow; return (a step begins, it is a halving, which, begun)."""
        shape = self.shape
        by_pixel, by_channel = exact_log2(shape.pixels), exact_log2(shape.ku)
        begun = [Signal(_begun(shape), name=f"begun{i}") for i in range(1, 4)]
        level = Signal(range(max(by_pixel, by_channel) + 1))  # halvings begun
        now = Signal(_begun(shape))
        again = named(
            m, "again",
            (begun[0].valid & ~begun[0].sums & begun[0].more)
            | (begun[2].valid & begun[2].sums & begun[2].more),
        )  # fmt: skip
        halvings = Mux(
            beat.reduce == Reduce.PIXELS,
            by_pixel,
            Mux(beat.reduce == Reduce.CHANNELS, by_channel, 0),
        )
        after = named(m, "level_after", Mux(again, level + 1, 0), len(level) + 1)
        more = beat.completes & (after != halvings)
        m.d.comb += [
            now.valid.eq(fresh | again),
            now.sums.eq(beat.redop == RedOp.SUM),
            now.more.eq(more),
            now.ends.eq(beat.ends & ~more),
            now.last.eq(beat.last),
            now.context.eq(beat.context),
        ]
        with m.If(now.valid):
            m.d.sync += level.eq(after)
        m.d.sync += [begun[0].eq(now), begun[1].eq(begun[0]), begun[2].eq(begun[1])]
        return now.valid, again, level, begun

    def _lanes(
        self,
        m: Module,
        beat: Signal,
        v: Signal,
        begins: Value,
        halves: Value,
        level: Signal,
        begun: list[Signal],
    ) -> None:
        shape, ku = self.shape, self.shape.ku
        index_bits = GROUP_BITS + shape.channel
        running = [register(f"running{i}", 32) for i in range(shape.lanes)]
        index = [register(f"index{i}", index_bits) for i in range(shape.lanes)]
        over_pixels = named(m, "over_pixels", beat.reduce == Reduce.PIXELS)
        over_channels = named(m, "over_channels", beat.reduce == Reduce.CHANNELS)
        idle = named(
            m, "idle",
            Mux(beat.redop == RedOp.SUM, MINUS_ZERO, Mux(beat.redop == RedOp.MIN, INF, MINUS_INF)),
        )  # fmt: skip
        for i in range(shape.lanes):
            pixel, channel = divmod(i, ku)
            own_index = Cat(Const(channel, shape.channel), beat.place)
            exists = ~(over_pixels & ~beat.pixels[pixel])
            exists = exists & ~(over_channels & (own_index >= beat.channels))
            partners = _partners(i, shape)
            other = _partner(over_pixels, level, partners, running)
            other_index = _partner(over_pixels, level, partners, index)
            joining = named(m, f"joining{i}", Mux(exists, parts(m, f"v{i}", v[i]).clean, idle))
            b = named(m, f"b{i}", Mux(halves, other, joining))
            b_index = named(m, f"b_index{i}", Mux(halves, other_index, own_index))
            starts = named(m, f"starts{i}", beat.first & ~halves)
            added = self._adder(m, i, Mux(starts, MINUS_ZERO, running[i]), b)
            better, joined = _join(m, i, beat.redop, running[i], index[i], b, b_index)
            with m.If(begun[1].valid & begun[1].sums):
                m.d.sync += running[i].eq(added)
            with m.Elif(begins & (beat.redop != RedOp.SUM)):
                m.d.sync += running[i].eq(Mux(starts, b, joined))
                with m.If(starts | better):
                    m.d.sync += index[i].eq(b_index)
        self._result(m, beat, running, index, begun)

    def _adder(self, m: Module, i: int, a: Value, b: Value) -> Value:
        adder = Alu(self.shape.channel, GROUP_BITS)
        m.submodules[f"adder{i}"] = share(self.platform, adder, adder.module_name)
        add = 1 << list(FIELDS).index(MicroOp.FADD)
        m.d.comb += [adder.v.eq(a), adder.x.eq(b), adder.one.eq(add), adder.two.eq(add)]
        return adder.o

    def _result(
        self,
        m: Module,
        beat: Signal,
        running: list[Signal],
        index: list[Signal],
        begun: list[Signal],
    ) -> None:
        """Show the result as the lanes see it, and delay those that ended."""
        shape, ku = self.shape, self.shape.ku
        spreads, finds = Signal(), Signal()  # of the beat one cycle before
        m.d.sync += [
            spreads.eq(beat.reduce == Reduce.CHANNELS),
            finds.eq(beat.redop == RedOp.ARGMAX),
        ]
        for pixel in range(shape.pixels):
            argmax = small_int_to_fp32(m, f"found{pixel}", index[pixel * ku])
            value = named(m, f"one{pixel}", Mux(finds, argmax, running[pixel * ku]))
            for i in range(pixel * ku, (pixel + 1) * ku):
                m.d.comb += self.value[i].eq(Mux(spreads, value, running[i]))
        ready = Mux(begun[2].valid & begun[2].sums, begun[2], begun[0])
        step = Signal(_begun(shape), name="ready")
        m.d.comb += step.eq(ready)
        ends = (begun[2].valid & begun[2].sums) | (begun[0].valid & ~begun[0].sums)
        self._delay(m, named(m, "ends", ends & step.ends), step)

    def _delay(self, m: Module, ends: Value, step: Value) -> None:
        """Hold back a result for one pass: seen in cycle c, it leaves in c + P - 1."""
        shape = self.shape
        cycles = shape.passes - 2  # from its writing to its reading
        layout = data.StructLayout({"v": lanes_layout(shape), "last": 1, "context": shape.context})
        m.submodules.delay = held = memory.Memory(shape=layout, depth=cycles, init=[])
        write, read = held.write_port(), held.read_port()
        at, ages = Signal(range(cycles)), Signal(cycles + 1)
        m.d.sync += [at.eq(Mux(at == cycles - 1, 0, at + 1)), ages.eq(Cat(ends, ages[:-1]))]
        m.d.comb += [
            write.addr.eq(at),
            write.en.eq(ends),
            write.data.v.eq(self.value),
            write.data.last.eq(step.last),
            write.data.context.eq(step.context),
            read.addr.eq(at),
            read.en.eq(ages[cycles - 1]),
            self.ended.valid.eq(ages[cycles]),
            self.ended.last.eq(read.data.last),
            self.ended.context.eq(read.data.context),
            self.ended_value.eq(read.data.v),
        ]


def _partners(lane: int, shape: Shape) -> tuple[list[int], list[int]]:
    """Return the lanes that halvings over pixels, and over channels, join to a lane."""
    pixel, channel = divmod(lane, shape.ku)
    pixels = [
        (pixel + (shape.pixels >> k + 1)) % shape.pixels * shape.ku + channel
        for k in range(exact_log2(shape.pixels))
    ]
    channels = [
        pixel * shape.ku + (channel + (shape.ku >> k + 1)) % shape.ku
        for k in range(exact_log2(shape.ku))
    ]
    return pixels, channels


def _partner(
    over_pixels: Value, level: Value, partners: tuple[list[int], list[int]], values: list[Signal]
) -> Value:
    pixels, channels = ([values[i] for i in lanes] or [values[0]] for lanes in partners)
    return Mux(over_pixels, Array(pixels)[level], Array(channels)[level])


def _join(
    m: Module, i: int, redop: Value, a: Value, a_index: Value, b: Value, b_index: Value
) -> tuple[Value, Value]:
    """Return (b replaces a, the better of both) for MAX, MIN and ARGMAX."""
    finds, least = redop == RedOp.ARGMAX, redop == RedOp.MIN
    a_parts, b_parts = parts(m, f"left{i}", a), parts(m, f"right{i}", b)
    a_key = sort_key(m, f"left_key{i}", a_parts, zeros_equal=finds)
    b_key = sort_key(m, f"right_key{i}", b_parts, zeros_equal=finds)
    more, same = b_key > a_key, b_key == a_key
    better = named(m, f"better{i}", Mux(least, ~more, more | (finds & same & (b_index < a_index))))
    joined = Mux(better, b, a)
    return better, Mux((a_parts.nan | b_parts.nan) & ~finds, NAN, joined)
