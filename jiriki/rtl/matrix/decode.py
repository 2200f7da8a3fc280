"""Decode: instruction words -> `work_layout` records, with the descriptors in force filled in.

In: words in program order. Out: one record an instruction, one cycle later, and (combinationally)
the products of the window it names. Descriptors are applied as they are taken: whoever comes later
sees them, whoever came before has its copy. A window's products are there two cycles after WINA or
WINB was taken, which is when the record of the next instruction is looked at.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from types import SimpleNamespace

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from jiriki.isa.matrix import Conv, Dw, Gemm, Gemv, Gstr, Ldw
from jiriki.isa.windows import Wina, Winb
from jiriki.rtl.layouts import WORD_BITS, is_kind, payload
from jiriki.rtl.matrix.records import (
    Shape,
    gstr_layout,
    products_layout,
    window_layout,
    work_layout,
)

WINDOWS = 4


class Decode(wiring.Component):
    """See the module. Latency: one cycle."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        super().__init__(
            {
                "word": In(stream.Signature(WORD_BITS)),
                "work": Out(stream.Signature(work_layout(shape))),
                "products": Out(products_layout(shape)),  # of work's window
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: one record register, four windows, one set of multipliers."""
        m = Module()
        windows = Array(Signal(window_layout(), name=f"window{i}") for i in range(WINDOWS))
        strides = Signal(gstr_layout())
        word = self.word.payload
        m.d.comb += self.word.ready.eq(~self.work.valid | self.work.ready)
        with m.If(self.word.ready):
            m.d.sync += self.work.valid.eq(self.word.valid)
        with m.If(self.word.ready & self.word.valid):
            _set_descriptors(m, word, windows, strides)
            m.d.sync += self.work.payload.eq(0)
            _decode(m, self.shape, word, self.work.payload, windows, strides)
        self._products(m, windows)
        return m

    def _products(self, m: Module, windows: Array) -> None:
        products = Array(Signal(products_layout(self.shape), name=f"p{i}") for i in range(WINDOWS))
        changed, index = Signal(), Signal(range(WINDOWS))
        word = self.word.payload
        m.d.sync += [
            changed.eq(self.word.valid & (is_kind(Wina, word) | is_kind(Winb, word))),
            index.eq(payload(Wina, word).idx),
        ]
        window = Signal(window_layout())
        m.d.comb += window.eq(windows[index])
        with m.If(changed), m.Switch(index):
            for i in range(WINDOWS):
                with m.Case(i):
                    m.d.sync += [
                        products[i].row.eq(window.sy * window.pitch),
                        products[i].corner.eq(window.py * window.pitch + window.px),
                        products[i].tap_row.eq(window.dy * window.pitch),
                        products[i].line.eq(window.ow * window.sx),
                    ]
        m.d.comb += self.products.eq(products[self.work.payload.win])


def _set_descriptors(m: Module, word: Value, windows: Array, strides: Value) -> None:
    extent, steps, gstr = payload(Wina, word), payload(Winb, word), payload(Gstr, word)
    for kind, fields in ((Wina, extent), (Winb, steps)):
        for i in range(WINDOWS):
            with m.If(is_kind(kind, word) & (fields.idx == i)):
                m.d.sync += [
                    windows[i][name].eq(getattr(fields, name))
                    for name in kind.LAYOUT
                    if name != "idx"
                ]
    with m.If(is_kind(Gstr, word)):
        m.d.sync += [strides[name].eq(getattr(gstr, name)) for name in Gstr.LAYOUT]


def _decode(
    m: Module, shape: Shape, word: Value, work: Value, windows: Array, strides: Value
) -> None:
    """Set the record of `word`; what is not set stays 0."""
    line = shape.chip.nu
    with m.If(is_kind(Gemm, word)):
        f = payload(Gemm, word)
        _one_row(m, work.window)
        _both(m, work, f)
        m.d.sync += [
            work.gemm.eq(1),
            work.pixels.eq(f.m),
            work.inner.eq(f.steps),
            work.inner_step.eq(strides.a_plane),
            work.line_step.eq(strides.b_kstride),
            work.tile_step.eq(strides.b_nstride),
            work.row.eq(f.acc),
            work.row_step.eq(strides.acc_stride),
        ]
    with m.Elif(is_kind(Conv, word)):
        f = payload(Conv, word)
        window = windows[f.win]
        _both(m, work, f)
        m.d.sync += [
            work.conv.eq(1),
            work.win.eq(f.win),
            work.window.eq(window),
            work.pixels.eq(f.p),
            work.inner.eq(f.groups),
            work.inner_step.eq(window.plane),
            work.line_step.eq(Mux(f.w4, line // 2, line)),
            work.row.eq(f.acc << 2),
            work.row_step.eq(f.acc_stride),
        ]
    with m.Elif(is_kind(Dw, word)):
        f = payload(Dw, word)
        _depthwise(m, shape, f, work, windows[f.win])
    with m.Elif(is_kind(Gemv, word)):
        f = payload(Gemv, word)
        _both(m, work, f, a=False)
        _once(m, work)
        m.d.sync += [
            work.gemv.eq(1),
            work.inner.eq(f.steps),
            work.line_step.eq(Mux(f.w4, line // 2, line)),
            work.row.eq(f.acc),
            work.row_step.eq(f.acc_stride),
        ]
    with m.Elif(is_kind(Ldw, word)):
        f = payload(Ldw, word)
        _once(m, work)
        m.d.sync += [
            work.ldw.eq(1),
            work.b.eq(f.b),
            work.inner.eq(f.lines),
            work.tiles.eq(1),
            work.line_step.eq(line),
        ]


def _depthwise(m: Module, shape: Shape, f: SimpleNamespace, work: Value, window: Value) -> None:
    m.d.sync += [
        work.dw.eq(1),
        work.win.eq(f.win),
        work.window.eq(window),
        work.a.eq(f.a),
        work.pixels.eq(f.p),
        work.inner.eq(shape.pairs),
        work.inner_step.eq(window.plane << 1),
        work.tiles.eq(f.tiles),
        work.row.eq(f.acc),
        work.row_step.eq(f.acc_stride),
        work.accumulate.eq(f.accumulate),
        work.file.eq(f.line),
    ]


def _both(m: Module, work: Value, f: SimpleNamespace, *, a: bool = True) -> None:
    """Copy what GEMM, CONV and (but a) GEMV have in common."""
    names = ["b", "w4", "accumulate"] + (["a"] if a else [])
    m.d.sync += [work[name].eq(getattr(f, name)) for name in names]
    m.d.sync += work.tiles.eq(f.n_tiles)


def _once(m: Module, work: Value) -> None:
    """Go once through the loops over pixels and taps."""
    m.d.sync += [work.pixels.eq(1), work.window.kh.eq(1), work.window.kw.eq(1)]


def _one_row(m: Module, window: Value) -> None:
    """Set the window of GEMM: pixel p lies p words after a, all within."""
    m.d.sync += [window[name].eq(1) for name in ("sx", "kh", "kw", "h")]
    m.d.sync += [window[name].eq(-1) for name in ("ow", "w")]
