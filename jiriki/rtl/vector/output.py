"""Output: results become elements of stream 3 and are written, in order, each when its time is.

Concept: a result leaves the chain a fixed time before it may be written. Meanwhile it is rounded to
integers (two cycles: align, then add and clamp) or cut to bf16, packed into words, and waits in a
queue beside the places that the front has named for it. The oldest is the head: its words are
written level by level. An instruction is done with the write of its last result; without output,
when that would be written.
In: results, places. Out: writes, `written`, `done`.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from jiriki.isa.words import DType
from jiriki.rtl.interfaces import Level, write_signature
from jiriki.rtl.vector.alu import QUANTISED_BITS
from jiriki.rtl.vector.context import Contexts
from jiriki.rtl.vector.fp import BIAS, named, parts, register, shifted_right
from jiriki.rtl.vector.issue import expected_layout
from jiriki.rtl.vector.records import ENTRY_CYCLES, Shape, lanes_layout, out_layout
from jiriki.rtl.vector.steering import leaving_layout

_WHOLE = 31  # bits of an integer's magnitude
_MOST = _WHOLE + 2


class VectorOutput(wiring.Component):
    """See the module."""

    def __init__(self, shape: Shape, contexts: Contexts) -> None:
        self.shape, self.contexts = shape, contexts
        super().__init__(
            {
                "leaving": In(leaving_layout(shape)),  # from the chain; registered here
                "v": In(lanes_layout(shape)),
                "ended": In(leaving_layout(shape)),  # from the reduction, one cycle later
                "ended_value": In(lanes_layout(shape)),
                "expected": In(stream.Signature(expected_layout(shape), always_ready=True)),
                "w": Out(write_signature(shape.chip)),
                "written": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        result, v = self._result(m)
        form = Signal(out_layout())
        m.d.comb += form.eq(self.contexts[result.context].out)
        arrives, words = self._convert(m, result, v, form)
        ready, last_unwritten = self._time(m, result, form)
        self._write(m, arrives, words, ready, last_unwritten)
        return m

    def _result(self, m: Module) -> tuple[Signal, Signal]:
        """Take a result from the chain or from the reduction."""
        left, left_value = Signal.like(self.leaving, name="left"), register("kept", self.v.shape())
        result, v = Signal.like(self.leaving, name="result"), Signal.like(self.v, name="value")
        m.d.sync += left.eq(self.leaving)
        with m.If(self.leaving.valid):
            m.d.sync += left_value.eq(self.v)
        m.d.comb += [result.eq(left), v.eq(left_value)]
        with m.If(self.ended.valid):
            m.d.comb += [result.eq(self.ended), v.eq(self.ended_value)]
        return result, v

    def _time(self, m: Module, result: Value, form: Value) -> tuple[Value, Value]:
        """Count to the time of writing; return (a result's time comes, that of a last without)."""
        shape = self.shape
        wait = shape.chip.vx_latency_cycles - shape.passes - ENTRY_CYCLES - 1
        comes, ends = Signal(wait), Signal(wait)
        m.d.sync += [
            comes.eq(Cat(result.valid & form.writes, comes[:-1])),
            ends.eq(Cat(result.valid & result.last, ends[:-1])),
        ]
        # whether the last has output travels with it
        silent = Signal(wait)
        m.d.sync += silent.eq(Cat(~form.writes, silent[:-1]))
        return comes[-1], Cat(ends[-1], silent[-1])

    def _convert(self, m: Module, result: Value, v: Value, form: Value) -> tuple[Signal, Signal]:
        """Make elements; return (a result is there, its words), two cycles later."""
        shape = self.shape
        layout = data.ArrayLayout(8 * shape.ku, shape.slots)
        arrives, words = Signal(), register("words", layout)
        first, kind = Signal(), Signal(out_layout(), name="kind")
        m.d.sync += [first.eq(result.valid & form.writes), arrives.eq(first), kind.eq(form)]
        elements = [self._element(m, i, v[i], kind) for i in range(shape.lanes)]
        size = 32 * shape.ku
        for pixel in range(shape.pixels):
            own = elements[pixel * shape.ku : (pixel + 1) * shape.ku]
            low = pixel * size
            bytes_, halves, wholes = (Cat(e[:bits] for e in own) for bits in (8, 16, 32))
            is_half = (kind.dtype == DType.I16) | (kind.dtype == DType.BF16)
            packed = Mux(kind.dtype == DType.I8, bytes_, Mux(is_half, halves, wholes))
            with m.If(first):
                m.d.sync += words.as_value()[low : low + size].eq(packed)
        return arrives, words

    def _element(self, m: Module, i: int, bits: Value, kind: Value) -> Value:
        """Round a value in two cycles; return it as an element in the second."""
        v = parts(m, f"v{i}", bits)
        top = BIAS + _WHOLE - 1
        amount = named(m, f"amount{i}", top - v.exponent, signed(10))
        clipped = Mux(amount > _MOST, _MOST, amount[:6])
        mantissa = Mux(v.zero | v.special, 0, v.mantissa)
        moved, below = shifted_right(m, f"whole{i}", mantissa, clipped, _WHOLE + 1, _MOST)
        whole, nearest = register(f"int{i}", _WHOLE), register(f"up{i}")
        huge, sign = register(f"huge{i}"), register(f"sign{i}")
        raw, clean = register(f"raw{i}", 32), register(f"clean{i}", 32)
        m.d.sync += [
            whole.eq(moved[1:]),
            nearest.eq(moved[0] & ((below != 0) | moved[1])),
            huge.eq((amount < 0) & ~v.nan),
            sign.eq(v.sign & ~v.nan),
            raw.eq(bits),
            clean.eq(v.clean),
        ]
        q = kind.quantiser
        turned = Cat(whole ^ sign.replicate(_WHOLE), sign).as_signed()
        carry = named(m, f"carry{i}", sign ^ nearest)
        width = signed(_WHOLE + 3)
        value = named(m, f"q_value{i}", turned + q.zero_point + carry, width)
        above_lo = named(m, f"q_lo{i}", turned + q.to_lo + carry, width)
        above_hi = named(m, f"q_hi{i}", turned + q.to_hi + carry, width)
        is_low = Mux(huge, sign, above_lo[-1])
        is_high = Mux(huge, ~sign, ~above_hi[-1])
        small = Mux(is_low, q.lo, Mux(is_high, q.hi, value[:QUANTISED_BITS].as_signed()))
        limit = Mux(sign, 0x80000000, 0x7FFFFFFF)
        full = Mux(huge, limit, (turned + carry)[:32])
        short = _bf16(m, i, clean)
        out = Mux(kind.dtype == DType.I32, full, small)
        out = Mux(kind.dtype == DType.BF16, short, out)
        return named(m, f"element{i}", Mux(kind.dtype == DType.F32, raw, out), 32)

    def _write(self, m: Module, arrives: Value, words: Value, ready: Value, last: Value) -> None:
        """Queue results, and write the oldest."""
        shape, w = self.shape, self.w
        depth = shape.results
        m.submodules.results = results = memory.Memory(shape=words.shape(), depth=depth, init=[])
        m.submodules.places = places = memory.Memory(
            shape=expected_layout(shape), depth=depth, init=[]
        )
        put, get = results.write_port(), results.read_port(domain="comb")
        put_place, get_place = places.write_port(), places.read_port(domain="comb")
        tail, place_tail, at = (Signal(range(depth), name=n) for n in ("tail", "place_tail", "at"))
        waiting = Signal(range(depth + 1))
        head_valid, last_of = Signal(), Signal()
        pending, head = Signal(shape.slots), Signal.like(words, name="head")
        targets = Signal(data.ArrayLayout(shape.word, shape.slots))
        due = Signal(range(depth + 1))  # results whose time has come
        m.submodules.level = level = Level(shape.chip, shape.slots)
        may = named(m, "may", head_valid & (due != 0))
        served = Mux(may & w.grant, level.served, 0)
        left = named(m, "left_over", pending & ~served)
        finishes = named(m, "finishes", may & (left == 0))
        takes = named(m, "takes", (waiting != 0) & (~head_valid | finishes))
        place = get_place.data
        m.d.comb += [
            put.addr.eq(tail), put.data.eq(words), put.en.eq(arrives), get.addr.eq(at),
            put_place.addr.eq(place_tail), put_place.data.eq(self.expected.payload),
            put_place.en.eq(self.expected.valid), get_place.addr.eq(at),
            level.pending.eq(pending), level.words.eq(targets),
            w.valid.eq(Mux(may, level.valid, 0)), w.lines.eq(level.lines),
            self.written.eq(finishes),
        ]  # fmt: skip
        for pointer, step in ((tail, arrives), (place_tail, self.expected.valid), (at, takes)):
            with m.If(step):
                m.d.sync += pointer.eq(Mux(pointer == depth - 1, 0, pointer + 1))
        m.d.sync += [
            waiting.eq(waiting + arrives - takes),
            due.eq(due + ready - finishes),
        ]
        with m.If(takes):
            m.d.sync += [head_valid.eq(1), head.eq(get.data), last_of.eq(place.last)]
            for j in range(shape.pixels):
                for k in range(4):
                    there = place.wants[j] & ((1 << place.shift) > k if k else 1)
                    slot = 4 * j + k
                    m.d.sync += [targets[slot].eq(place.words[j] + k), pending[slot].eq(there)]
        with m.Else():
            m.d.sync += [head_valid.eq(head_valid & ~finishes), pending.eq(left)]
        self._columns(m, level, targets, head)
        self._done(m, named(m, "last_written", finishes & last_of), last)

    def _columns(self, m: Module, level: Level, targets: Value, head: Value) -> None:
        """Give every column its word: of equal words that of the highest pixel."""
        columns = self.shape.chip.columns
        bits = (columns - 1).bit_length()
        for c in range(columns):
            word = head[0]
            for slot in range(1, self.shape.slots):
                here = level.served[slot] & (targets[slot][:bits] == c)
                word = Mux(here, head[slot], word)
            m.d.comb += [self.w.data[c].eq(word), self.w.bytes[c].eq(-1)]

    def _done(self, m: Module, last_written: Value, last: Value) -> None:
        """Say in order, one a cycle, which instructions are done."""
        size = self.shape.contexts + 1
        silent = Signal(size)  # of the instructions whose last result's time has come, in order
        count, written = Signal(range(size + 1)), Signal(range(size + 1))
        comes = last[0]
        has_written = named(m, "has_written", last_written | (written != 0))
        oldest_silent = silent[0]
        pops = named(m, "pops", (count != 0) & (oldest_silent | has_written))
        m.d.comb += self.done.eq(pops)
        after = named(m, "after_pop", Mux(pops, silent >> 1, silent))
        place = named(m, "place_after", count - pops, range(size + 1))
        m.d.sync += [
            silent.eq(Mux(comes, after | (last[1] << place), after)),
            count.eq(count + comes - pops),
            written.eq(written + last_written - (pops & ~oldest_silent)),
        ]


def _bf16(m: Module, i: int, clean: Value) -> Value:
    """Round clean fp32 to bf16; infinities and the NaN stay."""
    special = clean[23:31] == 0xFF
    up = named(m, f"bf16_{i}", clean + 0x7FFF + clean[16], 32)
    return Mux(special, clean[16:], up[16:])
