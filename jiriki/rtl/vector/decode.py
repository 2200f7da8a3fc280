"""Decode: instruction words -> `work_layout` records, with the descriptors in force filled in.

In: words in program order. Out: for each a record, one cycle after it was taken. Descriptors are
applied while they stand in the one word register, so a later instruction, when it stands there,
sees them; what is derived of them (a window's products, a chain's passes) is ready then too. A VRUN
or LDT gets its context when it is taken on.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from types import SimpleNamespace

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from jiriki.isa.vector.instructions import Chain, Konst, Ldt, Qpar, Red, Strm, Vrun
from jiriki.isa.windows import Wina, Winb
from jiriki.isa.words import DType, MicroOp, RedOp, Reduce, TableKind
from jiriki.numerics import Format
from jiriki.rtl.layouts import WORD_BITS, is_kind, payload
from jiriki.rtl.vector.context import Contexts
from jiriki.rtl.vector.fp import MINUS_INF, named, small_int_to_fp32
from jiriki.rtl.vector.passes import PROGRESS, counts, dealt
from jiriki.rtl.vector.records import (
    COUNT_BITS,
    LUT_BYTES,
    MICRO,
    MICRO_OPS,
    SEGMENT_ROWS,
    Shape,
    qpar_layout,
)
from jiriki.rtl.vector.steering import prepared
from jiriki.rtl.vector.works import STREAMS, products_layout, window_layout, work_layout

CHAINS = 4
HALF = MICRO_OPS // 2
SUM_CYCLES = 3


class Decode(wiring.Component):
    """See the module."""

    def __init__(self, shape: Shape, contexts: Contexts) -> None:
        self.shape, self.contexts = shape, contexts
        super().__init__(
            {
                "word": In(stream.Signature(WORD_BITS)),
                "work": Out(stream.Signature(work_layout(shape))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        word, valid = Signal(WORD_BITS), Signal()
        m.d.comb += [self.word.ready.eq(~valid | self.work.ready), self.work.valid.eq(valid)]
        with m.If(self.word.ready):
            m.d.sync += [valid.eq(self.word.valid), word.eq(self.word.payload)]
        self.vrun = named(m, "is_vrun", valid & is_kind(Vrun, word))
        self.ldt = named(m, "is_ldt", valid & is_kind(Ldt, word))
        self._registers(m, word, valid)
        self._windows(m, word, valid)
        self._chains(m, word, valid)
        self._work(m, payload(Vrun, word), payload(Ldt, word))
        number = Signal(self.shape.context)
        taken = named(m, "taken", (self.vrun | self.ldt) & self.work.ready)
        with m.If(taken):
            m.d.sync += number.eq(Mux(number == self.shape.contexts - 1, 0, number + 1))
        m.d.comb += self.work.payload.job.context.eq(number)
        self._context(m, taken, number, payload(Vrun, word), payload(Ldt, word))
        return m

    def _registers(self, m: Module, word: Value, valid: Value) -> None:
        """Apply KONST, QPAR, STRM and RED."""
        self.konst = Array(Signal(32, name=f"konst{i}") for i in range(8))
        self.quantisers = Array(Signal(qpar_layout(), name=f"quantiser{i}") for i in range(4))
        self.streams = [Signal(_strm_layout(), name=f"stream{i}") for i in range(5)]
        self.red = Signal(_red_layout())
        konst, qpar = payload(Konst, word), payload(Qpar, word)
        strm, red = payload(Strm, word), payload(Red, word)
        with m.If(valid & is_kind(Konst, word)):
            m.d.sync += self.konst[konst.k].eq(konst.bits)
        with m.If(valid & is_kind(Qpar, word)):
            m.d.sync += [
                self.quantisers[qpar.idx][name].eq(getattr(qpar, name))
                for name in ("zero_point", "lo", "hi")
            ]
        for i, register in enumerate(self.streams):
            with m.If(valid & is_kind(Strm, word) & (strm.idx == i)):
                m.d.sync += [
                    register[name].eq(getattr(strm, name)) for name in Strm.LAYOUT if name != "idx"
                ]
        with m.If(valid & is_kind(Red, word)):
            m.d.sync += [self.red[name].eq(getattr(red, name)) for name in Red.LAYOUT]

    def _windows(self, m: Module, word: Value, valid: Value) -> None:
        """Apply WINA and WINB; multiply what both say of a window."""
        self.windows = Array(Signal(window_layout(), name=f"window{i}") for i in range(STREAMS))
        layout = products_layout(self.shape)
        self.products = Array(Signal(layout, name=f"products{i}") for i in range(STREAMS))
        index = payload(Wina, word).idx[:2]
        window = Signal(window_layout(), name="changed")
        m.d.comb += window.eq(self.windows[index])
        either = Signal()
        for kind in (Wina, Winb):
            fields = payload(kind, word)
            with m.If(valid & is_kind(kind, word)):
                m.d.comb += either.eq(1)
                m.d.comb += [
                    window[name].eq(getattr(fields, name)) for name in kind.LAYOUT if name != "idx"
                ]
        products = Signal(layout)
        m.d.comb += [
            products.row.eq(window.sy * window.pitch),
            products.corner.eq(window.py * window.pitch + window.px),
            products.tap_row.eq(window.dy * window.pitch),
            products.line.eq(window.ow * window.sx),
        ]
        with m.If(either), m.Switch(index):
            for i in range(STREAMS):
                with m.Case(i):
                    m.d.sync += [self.windows[i].eq(window), self.products[i].eq(products)]

    def _chains(self, m: Module, word: Value, valid: Value) -> None:
        """Apply CHAIN, and count its passes."""
        chains = [[Signal(MICRO, name=f"chain{s}_{i}") for i in range(MICRO_OPS)]
                  for s in range(CHAINS)]  # fmt: skip
        names = ("split", "plain")
        middle = {n: Array(Signal(PROGRESS, name=f"{n}_mid{s}") for s in range(CHAINS))
                  for n in names}  # fmt: skip
        whole = {n: Array(Signal(PROGRESS, name=f"{n}_all{s}") for s in range(CHAINS))
                 for n in names}  # fmt: skip
        f = payload(Chain, word)
        ops = [getattr(f, f"op{i}") for i in range(HALF)]
        sources = [getattr(f, f"src{i}") for i in range(HALF)]
        applies = named(m, "is_chain", valid & is_kind(Chain, word))
        reached = {}
        for name in names:
            start = Signal(PROGRESS, name=f"{name}_start")
            m.d.comb += start.eq(Mux(f.half, middle[name][f.slot], 0))
            reached[name] = dealt(m, name, self.shape.stages, ops, start, split=name == "split")
        for s, micros in enumerate(chains):
            with m.If(applies & (f.slot == s)):
                for i in range(HALF):
                    with m.If(f.half):
                        m.d.sync += [
                            micros[HALF + i].op.eq(ops[i]),
                            micros[HALF + i].src.eq(sources[i]),
                        ]
                    with m.Else():
                        m.d.sync += [micros[i].op.eq(ops[i]), micros[i].src.eq(sources[i])]
                        m.d.sync += micros[HALF + i].op.eq(MicroOp.END)
                for name in names:
                    m.d.sync += whole[name][s].eq(reached[name])
                    with m.If(~f.half):
                        m.d.sync += middle[name][s].eq(reached[name])
        slot = payload(Vrun, word).slot
        self.micros = [Array(chain[i] for chain in chains)[slot] for i in range(MICRO_OPS)]
        self.progress = {name: whole[name][slot] for name in names}

    def _work(self, m: Module, f: SimpleNamespace, ldt: SimpleNamespace) -> None:
        work, shape = self.work.payload, self.shape
        reduce = named(m, "reduce", Mux(self.vrun, self.red.reduce, Reduce.NONE))
        self.reduce = reduce
        over = {kind: named(m, f"over_{kind.name.lower()}", reduce == kind) for kind in Reduce}
        taps = over[Reduce.WINDOW]
        table_lines = Mux(
            ldt.kind == TableKind.SEGMENT,
            -(-16 * SEGMENT_ROWS // (4 * shape.lanes)),
            -(-LUT_BYTES // (4 * shape.lanes)),
        )
        m.d.comb += [
            work.is_work.eq(self.vrun | self.ldt),
            work.p.eq(Mux(self.ldt, table_lines * shape.pixels, f.p)),
            work.groups.eq(Mux(self.ldt, 1, f.groups)),
            work.kh.eq(Mux(taps, self.windows[0].kh, 1)),
            work.kw.eq(Mux(taps, self.windows[0].kw, 1)),
            work.over_window.eq(taps),
            work.over_pixels.eq(over[Reduce.PIXELS]),
            work.over_channels.eq(over[Reduce.CHANNELS]),
            work.parameters.eq(self.vrun & f.uses[4]),
            work.parameter_base.eq(self.streams[4].base),
        ]
        bases = (f.in0, f.in1, self.streams[2].base, f.out)
        for i, base in enumerate(bases):
            place = work.places[i]
            dtype = self.streams[i].dtype
            m.d.comb += [
                place.used.eq(self.vrun & f.uses[i]),
                place.rows.eq(dtype == DType.ACC),
                place.shift.eq(_width_shift(dtype)),
                place.base.eq(base),
                place.window.eq(self.windows[i]),
                place.products.eq(self.products[i]),
            ]
        with m.If(self.ldt):
            self._line_place(m, work.places[0], ldt.base)
        self._result_place(m, work.places[3].window, work.places[3].products, over)
        self._job(m, f, over)

    def _line_place(self, m: Module, place: Value, base: Value) -> None:
        """Let stream 0 read the lines of a table: int32, one after another."""
        m.d.comb += [
            place.used.eq(1),
            place.rows.eq(0),
            place.shift.eq(2),
            place.base.eq(base),
            place.window.eq(0),
            place.window.h.eq(1),
            place.window.w.eq(-1),
            place.window.ow.eq(-1),
            place.window.sx.eq(1),
            place.products.eq(0),
        ]

    def _result_place(
        self, m: Module, window: Value, products: Value, over: dict[Reduce, Value]
    ) -> None:
        """Results over channels lie in group 0, those over pixels at pixel 0."""
        with m.If(over[Reduce.CHANNELS]):
            m.d.comb += window.plane.eq(0)
        with m.If(over[Reduce.PIXELS]):
            m.d.comb += [window.sx.eq(0), window.sy.eq(0), products.row.eq(0), products.line.eq(0)]

    def _job(self, m: Module, f: SimpleNamespace, over: dict[Reduce, Value]) -> None:
        job = self.work.payload.job
        before, after = counts(self.progress["split"])
        plain, _ = counts(self.progress["plain"])
        reduces = named(m, "reduces", self.reduce != Reduce.NONE)
        passes = named(m, "passes", Mux(self.ldt, 1, Mux(reduces, before, plain)))
        self.after = named(m, "after", Mux(reduces, after, 0))
        sums = reduces & (self.red.redop == RedOp.SUM)
        halvings = Mux(
            over[Reduce.PIXELS],
            exact_log2(self.shape.pixels),
            Mux(over[Reduce.CHANNELS], exact_log2(self.shape.ku), 0),
        )
        m.d.comb += [
            job.line.eq(self.ldt),
            job.before.eq(passes),
            job.after.eq(self.after),
            job.rounds.eq(passes + Mux(reduces, after + 1, 0)),
            job.more.eq(Mux(sums, SUM_CYCLES - 1, 0)),
            job.more_last.eq(Mux(sums, SUM_CYCLES * (halvings + 1) - 1, halvings)),
            job.writes.eq(self.vrun & f.uses[3]),
            job.out_shift.eq(_width_shift(self.streams[3].dtype)),
        ]
        for i in range(STREAMS - 1):
            form, stream = job.formats[i], self.streams[i]
            value = self.windows[i].fill
            filled = small_int_to_fp32(m, f"fill{i}", value)
            is_float = (stream.dtype == DType.F32) | (stream.dtype == DType.BF16)
            filled = Mux(is_float & (value == -128), MINUS_INF, filled)
            m.d.comb += [
                form.dtype.eq(stream.dtype),
                form.splat.eq(stream.splat),
                form.used.eq(self.vrun & f.uses[i]),
                form.fill.eq(Mux(stream.dtype == DType.I32, value, filled)),
            ]
        with m.If(self.ldt):
            m.d.comb += [
                job.formats[0].dtype.eq(DType.I32),
                job.formats[0].splat.eq(0),
                job.formats[0].used.eq(1),
            ]

    def _context(
        self, m: Module, taken: Value, number: Value, f: SimpleNamespace, ldt: SimpleNamespace
    ) -> None:
        """Fill in the context of an instruction as it is taken on."""
        context = Signal.like(self.contexts.signals[0], name="made")
        after, start, resume = _order(m, self.micros, self.reduce != Reduce.NONE)
        out, stream = context.out, self.streams[3]
        m.d.comb += [
            context.start.eq(start),
            context.resume.eq(resume),
            context.reduce.eq(self.reduce),
            context.redop.eq(self.red.redop),
            context.channels.eq(self.red.channels),
            context.goes_on.eq(self.after != 0),
            context.konst.eq(Cat(self.konst)),
            context.quantisers.eq(Cat(self.quantisers)),
            context.table_slot.eq(ldt.slot),
            context.is_segment.eq(ldt.kind),
            context.micros[MICRO_OPS].op.eq(MicroOp.END),
            out.writes.eq(self.vrun & f.uses[3]),
            out.dtype.eq(stream.dtype),
        ]
        for i in range(MICRO_OPS):
            m.d.comb += [context.micros[i].eq(self.micros[i]), context.after[i].eq(after[i])]
        q = self.quantisers[stream.quant]
        limited = Signal(qpar_layout())
        m.d.comb += limited.zero_point.eq(q.zero_point)
        for name in ("lo", "hi"):
            value = named(m, f"out_{name}", q[name])
            is_byte = stream.dtype == DType.I8
            low = Mux(is_byte, Format.INT8.spec.min, Format.INT16.spec.min)
            high = Mux(is_byte, Format.INT8.spec.max, Format.INT16.spec.max)
            m.d.comb += limited[name].eq(Mux(value < low, low, Mux(value > high, high, value)))
        m.d.comb += [out.quantiser[name].eq(value) for name, value in prepared(limited).items()]
        with m.If(taken), m.Switch(number):
            for i, slot in enumerate(self.contexts.signals):
                with m.Case(i):
                    m.d.sync += slot.eq(context)


def _strm_layout() -> data.StructLayout:
    fields = {name: spec.bits for name, spec in Strm.LAYOUT.items() if name != "idx"}
    return data.StructLayout({**fields, "dtype": DType})


def _red_layout() -> data.StructLayout:
    fields = {name: spec.bits for name, spec in Red.LAYOUT.items()}
    return data.StructLayout({**fields, "reduce": Reduce, "redop": RedOp})


def _width_shift(dtype: Value) -> Value:
    """Return log2 of the words of an element group; an accumulator row counts as one."""
    is_half = (dtype == DType.I16) | (dtype == DType.BF16)
    return Mux((dtype == DType.I8) | (dtype == DType.ACC), 0, Mux(is_half, 1, 2))


def _order(m: Module, micros: list[Value], splits: Value) -> tuple[list[Value], Value, Value]:
    """Pass over every RED but, with a reduction, the first.

    Return (which micro-op follows each, which is the first, which the first beyond RED).
    """
    is_red = [named(m, f"red{i}", micro.op == MicroOp.RED) for i, micro in enumerate(micros)]
    passed, met = [], ~splits
    for red in is_red:
        passed.append(red & met)
        met = met | red
    follows: list[Value] = []
    at: Value | int = MICRO_OPS
    resume: Value | int = MICRO_OPS
    for i in reversed(range(MICRO_OPS)):
        follows.insert(0, named(m, f"follows{i}", at, COUNT_BITS))
        resume = Mux(is_red[i] & ~passed[i], follows[0], resume)
        at = Mux(passed[i], at, i)
    return follows, named(m, "first_micro", at, COUNT_BITS), named(m, "resume", resume, COUNT_BITS)
