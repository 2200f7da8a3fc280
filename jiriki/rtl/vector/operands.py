"""Operands: the words of a beat, as they arrive, become the values of its lanes.

Concept: words land in a buffer of the very shape of the elements (four words a pixel), an
accumulator row likewise. In the cycle after the last has arrived a beat's elements are taken from
it: int8 and int16 as their value in fp32, bf16 and fp32 cleaned, int32 raw; elements outside the
window are the stream's fill. Parameters land in a buffer of their own.
In: fetches (of the cycle before), data, and one cycle before a beat enters the chain how to read
it. Out: the beat.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from jiriki.isa.words import DType
from jiriki.rtl.interfaces import accumulator_row
from jiriki.rtl.vector.fp import named, parts, register, small_int_to_fp32
from jiriki.rtl.vector.issue import INPUTS, fetch_layout, form_layout
from jiriki.rtl.vector.records import PARAMETER_WORDS, Shape, beat_layout


class Operands(wiring.Component):
    """See the module. Fetched in cycle c, captured in c + 1, part of the beat in c + 2."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        words = data.ArrayLayout(8 * shape.ku, shape.chip.columns)
        super().__init__(
            {
                **{f"fetch{i}": In(fetch_layout(shape, i)) for i in range(INPUTS)},
                "parameters": In(1),
                "rows": In(1),  # an accumulator row was asked for
                **{f"data{i}": In(words) for i in range(INPUTS)},  # one cycle later
                "row": In(accumulator_row(shape.chip)),  # one cycle later
                "form": In(form_layout(shape)),
                "beat": Out(beat_layout(shape)),  # two cycles later
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        shape = self.shape
        word = 8 * shape.ku
        buffers = [register(f"buffer{i}", word * shape.slots) for i in range(INPUTS)]
        parameters = register("parameters", word * PARAMETER_WORDS)
        is_parameters, is_row = Signal(), Signal()
        m.d.sync += [is_parameters.eq(self.parameters), is_row.eq(self.rows)]
        for i, buffer in enumerate(buffers):
            fetch = getattr(self, f"fetch{i}")
            taken = Signal(fetch.shape(), name=f"taken{i}")
            m.d.sync += taken.eq(fetch)
            arrived = Array(getattr(self, f"data{i}"))
            for slot in range(len(fetch.lanes)):
                with m.If(taken.lanes[slot]):
                    self._capture(m, i, slot, arrived[taken.columns[slot]], buffer, parameters,
                                  is_parameters)  # fmt: skip
        with m.If(is_row):
            m.d.sync += buffers[0].eq(self.row)
        form, forms = self.form, [Signal.like(self.form, name=f"form{i}") for i in (1, 2)]
        m.d.sync += [forms[0].eq(form), forms[1].eq(forms[0])]
        beat = self.beat
        for i, target in enumerate((beat.v, beat.side.in1, beat.side.in2)):
            values = self._values(m, i, buffers[i], forms[1])
            m.d.comb += [target[lane].eq(value) for lane, value in enumerate(values)]
        half = 32 * shape.ku
        m.d.comb += [beat.side.pb.eq(parameters[:half]), beat.side.ps.eq(parameters[half:])]
        return m

    def _capture(
        self,
        m: Module,
        i: int,
        slot: int,
        value: Value,
        buffer: Signal,
        parameters: Signal,
        is_parameters: Value,
    ) -> None:
        """Put a word where it belongs."""
        word = 8 * self.shape.ku
        there = slice(slot * word, (slot + 1) * word)
        if i:
            m.d.sync += buffer[there].eq(value)
            return
        if slot < self.shape.slots:
            with m.If(~is_parameters):
                m.d.sync += buffer[there].eq(value)
        if slot < PARAMETER_WORDS:
            with m.If(is_parameters):
                m.d.sync += parameters[there].eq(value)

    def _values(self, m: Module, i: int, buffer: Value, form: Value) -> list[Value]:
        """Return the values of all lanes of stream i."""
        ku, kind = self.shape.ku, form.formats[i]
        is_raw = named(m, f"is_raw{i}", (kind.dtype == DType.I32) | (kind.dtype == DType.ACC))
        is_float = named(m, f"is_float{i}", (kind.dtype == DType.F32) | (kind.dtype == DType.BF16))
        out = []
        for lane in range(self.shape.lanes):
            pixel, channel = divmod(lane, ku)
            chosen = [_element(buffer, pixel, channel, ku, bits) for bits in (8, 16, 32)]
            splat = [_element(buffer, pixel, 0, ku, bits) for bits in (8, 16, 32)]
            of8, of16, of32 = (
                named(m, f"of{bits}_{i}_{lane}", Mux(kind.splat, shared, own))
                for bits, own, shared in zip((8, 16, 32), chosen, splat, strict=True)
            )
            is_byte = kind.dtype == DType.I8
            whole = named(m, f"int{i}_{lane}", Mux(is_byte, of8.as_signed(), of16.as_signed()))
            number = small_int_to_fp32(m, f"number{i}_{lane}", whole)
            bits = Mux(kind.dtype == DType.BF16, Cat(Const(0, 16), of16), of32)
            clean = parts(m, f"float{i}_{lane}", bits).clean
            value = Mux(is_raw, of32, Mux(is_float, clean, number))
            outside = ~form.inside[i][pixel] & (kind.dtype != DType.ACC)
            value = Mux(outside, kind.fill, value)
            out.append(named(m, f"value{i}_{lane}", Mux(kind.used, value, 0), 32))
        return out


def _element(buffer: Value, pixel: int, channel: int, ku: int, bits: int) -> Value:
    """Return an element of so many bits: a pixel's four words are its own."""
    low = pixel * 32 * ku + channel * bits
    return buffer[low : low + bits]
