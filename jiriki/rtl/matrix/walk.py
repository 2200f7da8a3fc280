"""Walk: the nest of an instruction -> one record a step.

In: `work_record`s and the products of their windows. Out: `step_record`s, one a
cycle, in registers. The nest, innermost last: tile of nu (DW: of channels, GEMV: pair of tiles),
register tile of mu pixels, kernel row, tap (DW: chunk of ku taps), inner (groups, DW: pairs of
groups, GEMM and GEMV: k steps, LDW: lines). An instruction's first step leaves in the cycle after
its record was taken; the next record is taken in the cycle in which its last step leaves.

Addresses are kept as sums: a pixel's word + the offset of tap and group, both advanced by adding.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from jiriki.rtl.matrix.pixels import FirstPixels, advance_record, next_tile, pixel_record
from jiriki.rtl.matrix.records import (
    PIXEL_BITS,
    PLACE_BITS,
    STEP_BITS,
    TILE_BITS,
    Record,
    Shape,
    copied,
    either,
    handed,
    products_record,
    step_record,
    work_record,
)


class Walk(wiring.Component):
    """See the module. Latency: two cycles from a record to its first step."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        super().__init__(
            {
                "work": In(handed(work_record(shape))),
                "products": In(products_record(shape)),
                "step": Out(handed(step_record(shape))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: loop counters, pixel and address registers, the record of the step."""
        m = Module()
        self.held = work_record(self.shape).create(path=("held",))  # the instruction walked
        self.busy = Signal()
        self.emit = Signal()  # a step leaves
        self.load = Signal()  # a new instruction is taken
        self.new_tile = Signal()  # the first register tile begins: of an instruction, of a tile
        self._loops(m)
        self._pixels(m)
        self._offsets(m)
        self._lines(m)
        self._rows(m)
        step = self.step.payload
        with m.If(~self.step.valid | self.step.ready):
            m.d.sync += self.step.valid.eq(self.busy)
        with m.If(self.emit):
            self._record(m, step)
        return m

    def _loops(self, m: Module) -> None:
        """Count down; name what ends with this step."""
        held, new = self.held, self.work.payload
        taps = Mux(held.dw, self.shape.chip.ku, 1)
        self.inner, self.kx = Signal(STEP_BITS), Signal(7)
        self.ky, self.pixels, self.tiles = Signal(7), Signal(PIXEL_BITS), Signal(TILE_BITS)
        self.first_tap, self.first_inner = Signal(), Signal()
        last = self.last = SimpleNamespace(
            inner=self.inner == 1,
            kx=self.kx <= taps,
            ky=self.ky == 1,
            pixels=self.pixels <= self.shape.chip.mu,
            tiles=self.tiles <= Mux(held.gemv, 2, 1),
        )
        none = ~Cat(held.gemm, held.conv, held.dw, held.gemv, held.ldw).any()
        ends = self.ends = SimpleNamespace(inner=Signal(), kx=Signal(), sum=Signal(), tile=Signal())
        self.final = Signal()
        m.d.comb += [
            ends.inner.eq(last.inner),
            ends.kx.eq(ends.inner & last.kx),
            ends.sum.eq(ends.kx & last.ky),
            ends.tile.eq(ends.sum & last.pixels),
            self.final.eq(none | (ends.tile & last.tiles)),
            self.emit.eq(self.busy & (~self.step.valid | self.step.ready)),
            self.work.ready.eq(~self.busy | (self.emit & self.final)),
            self.load.eq(self.work.valid & self.work.ready),
            self.new_tile.eq(self.load | (self.emit & ends.tile)),
        ]
        with m.If(self.work.ready):
            m.d.sync += self.busy.eq(self.work.valid)
        with m.If(self.emit):
            m.d.sync += [
                self.inner.eq(Mux(ends.inner, held.inner, self.inner - 1)),
                self.first_inner.eq(ends.inner),
                self.first_tap.eq(Mux(ends.inner, ends.sum, self.first_tap)),
            ]
            with m.If(ends.inner):
                m.d.sync += self.kx.eq(Mux(ends.kx, held.window.kw, self.kx - taps))
            with m.If(ends.kx):
                m.d.sync += self.ky.eq(Mux(ends.sum, held.window.kh, self.ky - 1))
            with m.If(ends.sum):
                left = self.pixels - self.shape.chip.mu
                m.d.sync += self.pixels.eq(Mux(ends.tile, held.pixels, left))
            with m.If(ends.tile):
                m.d.sync += self.tiles.eq(self.tiles - Mux(held.gemv, 2, 1))
        with m.If(self.load):
            m.d.sync += [
                *copied(held, new),
                self.inner.eq(new.inner),
                self.kx.eq(new.window.kw),
                self.ky.eq(new.window.kh),
                self.pixels.eq(new.pixels),
                self.tiles.eq(new.tiles),
                self.first_inner.eq(1),
                self.first_tap.eq(1),
            ]

    def _pixels(self, m: Module) -> None:
        """Keep the places of the register tile's pixels."""
        m.submodules.first = first = FirstPixels(self.shape)
        new, held = self.work.payload, self.held
        products = products_record(self.shape).create(path=("products_held",))
        origin, fresh = Signal(self.shape.word), Signal(self.shape.word)
        opens = Signal()  # a first tile that begins now is a new instruction's
        window = either(m, "window", opens, new.window, held.window)
        m.d.comb += [
            opens.eq(~self.busy | self.final),
            fresh.eq(new.a - Mux(new.gemm, 0, self.products.corner)),
            *copied(first.window, window),
            *copied(first.products, either(m, "using", opens, self.products, products)),
            first.origin.eq(Mux(opens, fresh, origin)),
        ]
        advance = advance_record(self.shape).create(path=("advance",))
        with m.If(self.load):
            m.d.sync += [
                *copied(products, self.products),
                *copied(advance, first.advance),
                origin.eq(fresh),
            ]
        self.tap_row = products.tap_row
        pixel = pixel_record(self.shape)
        self.place = [pixel.create(path=(f"pixel{i}",)) for i in range(self.shape.chip.mu)]
        with m.If(self.new_tile):
            for place, at_first in zip(self.place, first.pixels, strict=True):
                m.d.sync += copied(place, at_first)
        with m.Elif(self.emit & self.ends.sum):
            for place in self.place:
                m.d.sync += next_tile(place, advance)

    def _offsets(self, m: Module) -> None:
        """Keep the words from a pixel to its tap and group, and the tap's place (y, x)."""
        shape, held, ends = self.shape, self.held, self.ends
        self.offset, self.y, self.x = Signal(shape.word), Signal(14), Signal(14)
        group, row, tap = Signal(shape.word), Signal(shape.word), Signal(shape.word)
        along = Mux(held.dw, held.window.dx * shape.chip.ku, held.window.dx)
        next_group = Mux(held.dw, group + (held.window.plane << exact_log2(shape.groups)), group)
        with m.If(self.emit):
            with m.If(~ends.inner):
                m.d.sync += self.offset.eq(self.offset + held.inner_step)
            with m.Elif(~ends.kx):
                m.d.sync += [_all(tap + along, tap, self.offset), self.x.eq(self.x + along)]
            with m.Elif(~ends.sum):
                m.d.sync += _all(row + self.tap_row, row, tap, self.offset)
                m.d.sync += [self.x.eq(0), self.y.eq(self.y + held.window.dy)]
            with m.Else():
                start = Mux(ends.tile, next_group, group)
                m.d.sync += _all(start, group, row, tap, self.offset)
                m.d.sync += [self.x.eq(0), self.y.eq(0)]
        with m.If(self.load):
            m.d.sync += _all(0, group, row, tap, self.offset, self.x, self.y)

    def _lines(self, m: Module) -> None:
        """Keep the addresses of lines of B (GEMV: of both ports) and of the register file."""
        shape, held, new, ends = self.shape, self.held, self.work.payload, self.ends
        self.line_a, self.line_b = Signal(shape.word), Signal(shape.word)
        self.file = Signal(STEP_BITS)
        tile, tile_file = Signal(shape.word), Signal(STEP_BITS)
        after = self.line_b + held.line_step
        wide, narrow = exact_log2(shape.chip.nu), max(exact_log2(shape.chip.nu) - 1, 0)
        span = Mux(held.w4, held.inner << narrow, held.inner << wide)  # GEMV: words of a tile
        with m.If(self.emit):
            m.d.sync += [self.line_a.eq(self.line_a + held.line_step), self.line_b.eq(after)]
            with m.If(ends.sum & ~ends.tile):
                m.d.sync += self.line_b.eq(tile)
            with m.If(ends.tile & held.gemm):
                m.d.sync += _all(tile + held.tile_step, tile, self.line_b)
            with m.If(ends.tile & held.conv):
                m.d.sync += tile.eq(after)
            with m.If(ends.tile & held.gemv):
                m.d.sync += [self.line_a.eq(after), self.line_b.eq(after + span)]
            with m.If(ends.inner | ~held.dw):
                m.d.sync += self.file.eq(self.file + 1)
            with m.If(held.dw & ends.sum):
                start = Mux(ends.tile, self.file + 1, tile_file)
                m.d.sync += _all(start, self.file, tile_file)
            with m.If(held.gemv & ends.sum):
                m.d.sync += self.file.eq(0)
        opening = Mux(new.w4, new.inner << narrow, new.inner << wide)
        with m.If(self.load):
            m.d.sync += [self.line_a.eq(new.b), tile.eq(new.b)]
            m.d.sync += self.line_b.eq(new.b + Mux(new.gemv, opening, 0))
            m.d.sync += _all(new.file, self.file, tile_file)

    def _rows(self, m: Module) -> None:
        """Keep the first accumulator row of the register tile."""
        shape, held, ends = self.shape, self.held, self.ends
        self.row, tile = Signal(shape.row), Signal(shape.row)
        groups = exact_log2(shape.groups)
        step = Mux(held.gemv, held.row_step << (groups + 1), held.row_step << groups)
        with m.If(self.emit & ends.sum):
            m.d.sync += self.row.eq(self.row + shape.beats)
        with m.If(self.emit & ends.tile):
            m.d.sync += _all(tile + step, tile, self.row)
        with m.If(self.load):
            m.d.sync += _all(self.work.payload.row, tile, self.row)

    def _record(self, m: Module, step: Record) -> None:
        """Put the step of this cycle into the output register."""
        shape, held, ends = self.shape, self.held, self.ends
        dense = held.gemm | held.conv
        nu = exact_log2(shape.chip.nu)
        m.d.sync += [
            step.work.eq(dense | held.dw | held.gemv | held.ldw),
            step.final.eq(self.final),
            *[getattr(step, n).eq(getattr(held, n)) for n in ("dw", "gemv", "ldw", "w4")],
            step.fill.eq(held.window.fill),
            step.use_a.eq(held.gemv),
            step.line_a.eq(self.line_a),
            step.use_b.eq(dense | held.ldw | (held.gemv & (self.tiles != 1))),
            step.line_b.eq(self.line_b),
            step.file.eq(Mux(held.gemv, self.file >> nu, self.file)),
            step.file_word.eq(self.file),
            step.sum.clear.eq(self.first_tap & (self.first_inner | held.dw)),
            step.sum.last.eq(ends.sum & ~held.ldw),
            step.sum.dw.eq(held.dw),
            step.sum.pair.eq(held.inner - self.inner),
            step.sum.job.row.eq(self.row),
            step.sum.job.row_step.eq(held.row_step),
            step.sum.job.accumulate.eq(held.accumulate),
            step.sum.job.gemv.eq(held.gemv),
            step.sum.job.odd.eq(self.tiles != 1),
        ]
        self._gather(m, step, dense)

    def _gather(self, m: Module, step: Record, dense: Value) -> None:
        """Put the words of pixels and taps: lane tap * mu + pixel."""
        shape, held, window = self.shape, self.held, self.held.window
        mu, ku = shape.chip.mu, shape.chip.ku
        wants, inside = Signal(shape.lanes), Signal(shape.lanes)
        rows = Signal(mu)  # pixels whose input row exists
        m.d.comb += rows.eq(Cat((p.iy + self.y)[:PLACE_BITS] < window.h for p in self.place))
        for tap in range(ku):
            ahead, word = Signal(PLACE_BITS, name=f"x{tap}"), Signal(shape.word, name=f"to{tap}")
            odd_word = Signal(shape.word, name=f"odd_to{tap}")
            m.d.comb += [
                ahead.eq(self.x + window.dx * tap),
                word.eq(self.offset + window.dx * tap),
                odd_word.eq(word + window.plane),
            ]
            with m.If(held.dw & (self.kx > tap) if tap else held.dw | dense):
                for i, pixel in enumerate(self.place):
                    lane = tap * mu + i
                    ix = (pixel.ix + ahead)[:PLACE_BITS]
                    m.d.comb += [
                        wants[lane].eq(self.pixels > i),
                        inside[lane].eq(rows[i] & (ix < window.w)),
                    ]
                    m.d.sync += step.words[lane].eq(pixel.word + word)
                    with m.If(held.dw):
                        m.d.sync += step.odd_words[lane].eq(pixel.word + odd_word)
        m.d.sync += [step.read.eq(wants & inside), step.outside.eq(wants & ~inside)]


def _all(value: Value | int, *targets: Value) -> list[Any]:
    return [target.eq(value) for target in targets]
