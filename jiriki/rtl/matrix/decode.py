"""Decode: instruction words -> `work_record`s, with the descriptors in force filled in.

In: words in program order. Out: one record an instruction, one cycle later, and (combinationally)
the products of the window it names. Descriptors are applied as they are taken: whoever comes later
sees them, whoever came before has its copy. A window's products are there two cycles after WINA or
WINB was taken, which is when the record of the next instruction is looked at.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from types import SimpleNamespace

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from jiriki.isa.matrix.instructions import Conv, Dw, Gemm, Gemv, Gstr, Ldw
from jiriki.isa.windows import Wina, Winb
from jiriki.rtl.layouts import WORD_BITS, is_kind, payload
from jiriki.rtl.matrix.records import (
    Record,
    Shape,
    copied,
    gstr_record,
    handed,
    indexed,
    products_record,
    window_record,
    work_record,
)

WINDOWS = 4


class Decode(wiring.Component):
    """See the module. Latency: one cycle."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        super().__init__(
            {
                "word": In(stream.Signature(WORD_BITS)),
                "work": Out(handed(work_record(shape))),
                "products": Out(products_record(shape)),  # of work's window
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: one record register, four windows, one set of multipliers."""
        m = Module()
        windows = [window_record().create(path=(f"window{i}",)) for i in range(WINDOWS)]
        strides = gstr_record().create(path=("strides",))
        word = self.word.payload
        m.d.comb += self.word.ready.eq(~self.work.valid | self.work.ready)
        with m.If(self.word.ready):
            m.d.sync += self.work.valid.eq(self.word.valid)
        with m.If(self.word.ready & self.word.valid):
            _set_descriptors(m, word, windows, strides)
            _decode(m, self.shape, word, self.work.payload, windows, strides)
        self._products(m, windows)
        return m

    def _products(self, m: Module, windows: list[Record]) -> None:
        """Multiply for the window that a descriptor has just changed."""
        all_products = [
            products_record(self.shape).create(path=(f"products{i}",)) for i in range(WINDOWS)
        ]
        changed, index = Signal(), Signal(range(WINDOWS))
        word = self.word.payload
        m.d.sync += [
            changed.eq(self.word.valid & (is_kind(Wina, word) | is_kind(Winb, word))),
            index.eq(payload(Wina, word).idx),
        ]
        window = indexed(m, "window", index, windows)
        with m.If(changed), m.Switch(index):
            for i, products in enumerate(all_products):
                with m.Case(i):
                    m.d.sync += [
                        products.row.eq(window.sy * window.pitch),
                        products.corner.eq(window.py * window.pitch + window.px),
                        products.tap_row.eq(window.dy * window.pitch),
                        products.line.eq(window.ow * window.sx),
                    ]
        m.d.comb += copied(self.products, indexed(m, "chosen", self.work.payload.win, all_products))


def _set_descriptors(m: Module, word: Value, windows: list[Record], strides: Record) -> None:
    for kind in (Wina, Winb):
        fields = payload(kind, word)
        for i, window in enumerate(windows):
            with m.If(is_kind(kind, word) & (fields.idx == i)):
                m.d.sync += [
                    getattr(window, name).eq(getattr(fields, name))
                    for name in kind.LAYOUT
                    if name != "idx"
                ]
    with m.If(is_kind(Gstr, word)):
        gstr = payload(Gstr, word)
        m.d.sync += [getattr(strides, name).eq(getattr(gstr, name)) for name in Gstr.LAYOUT]


def _decode(
    m: Module, shape: Shape, word: Value, work: Record, windows: list[Record], strides: Record
) -> None:
    """Set the record of `word`; the fields that its kind does not use keep any value."""
    line = shape.chip.nu
    gemm, conv, dw = payload(Gemm, word), payload(Conv, word), payload(Dw, word)
    window = indexed(m, "named", Mux(is_kind(Dw, word), dw.win, conv.win), windows)
    m.d.sync += [
        work.gemm.eq(is_kind(Gemm, word)),
        work.conv.eq(is_kind(Conv, word)),
        work.dw.eq(is_kind(Dw, word)),
        work.gemv.eq(is_kind(Gemv, word)),
        work.ldw.eq(is_kind(Ldw, word)),
        work.w4.eq(0),
        work.file.eq(0),
    ]
    with m.If(is_kind(Gemm, word)):
        _one_row(m, work.window)
        _dense(m, work, gemm)
        m.d.sync += [
            work.pixels.eq(gemm.m),
            work.inner.eq(gemm.steps),
            work.inner_step.eq(strides.a_plane),
            work.line_step.eq(strides.b_kstride),
            work.tile_step.eq(strides.b_nstride),
            work.row.eq(gemm.acc),
            work.row_step.eq(strides.acc_stride),
        ]
    with m.If(is_kind(Conv, word)):
        _dense(m, work, conv)
        m.d.sync += [
            *copied(work.window, window),
            work.win.eq(conv.win),
            work.pixels.eq(conv.p),
            work.inner.eq(conv.groups),
            work.inner_step.eq(window.plane),
            work.line_step.eq(Mux(conv.w4, line // 2, line)),
            work.row.eq(conv.acc << 2),
            work.row_step.eq(conv.acc_stride),
        ]
    with m.If(is_kind(Dw, word)):
        m.d.sync += [
            *copied(work.window, window),
            work.win.eq(dw.win),
            work.a.eq(dw.a),
            work.pixels.eq(dw.p),
            work.inner.eq(shape.pairs),
            work.inner_step.eq(window.plane << 1),
            work.tiles.eq(dw.tiles),
            work.row.eq(dw.acc),
            work.row_step.eq(dw.acc_stride),
            work.accumulate.eq(dw.accumulate),
            work.file.eq(dw.line),
        ]
    _decode_rows(m, line, word, work)


def _decode_rows(m: Module, line: int, word: Value, work: Record) -> None:
    """Do the same for GEMV and LDW, which read lines and no pixels."""
    gemv, ldw = payload(Gemv, word), payload(Ldw, word)
    with m.If(is_kind(Gemv, word)):
        _once(m, work)
        m.d.sync += [
            work.b.eq(gemv.b),
            work.w4.eq(gemv.w4),
            work.accumulate.eq(gemv.accumulate),
            work.inner.eq(gemv.steps),
            work.tiles.eq(gemv.n_tiles),
            work.line_step.eq(Mux(gemv.w4, line // 2, line)),
            work.row.eq(gemv.acc),
            work.row_step.eq(gemv.acc_stride),
        ]
    with m.If(is_kind(Ldw, word)):
        _once(m, work)
        m.d.sync += [
            work.b.eq(ldw.b),
            work.inner.eq(ldw.lines),
            work.tiles.eq(1),
            work.line_step.eq(line),
        ]


def _dense(m: Module, work: Record, fields: SimpleNamespace) -> None:
    """Copy what GEMM and CONV have in common."""
    names = ("a", "b", "w4", "accumulate")
    m.d.sync += [getattr(work, name).eq(getattr(fields, name)) for name in names]
    m.d.sync += work.tiles.eq(fields.n_tiles)


def _once(m: Module, work: Record) -> None:
    """Go once through the loops over pixels and taps."""
    m.d.sync += [work.pixels.eq(1), work.window.kh.eq(1), work.window.kw.eq(1)]


def _one_row(m: Module, window: Record) -> None:
    """Set the window of GEMM: pixel p lies p words after a, all within."""
    m.d.sync += [getattr(window, name).eq(0) for name in ("sy", "dy", "dx", "py", "px")]
    m.d.sync += [getattr(window, name).eq(1) for name in ("sx", "kh", "kw", "h")]
    m.d.sync += [getattr(window, name).eq(-1) for name in ("ow", "w")]
