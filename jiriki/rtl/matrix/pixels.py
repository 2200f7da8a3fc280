"""Pixels: where the mu pixels of a register tile lie in the input, tile after tile.

In: a window and its products. Out, for each pixel: its column ox in the output row, its input
coordinates iy and ix at tap (0, 0), and its word address without tap and group. The first tile
needs i // ow and i % ow for i < mu, which a small table on ow gives (any ow of mu or more is as
good as mu); the next tile is mu = q * ow + r pixels on: r columns and q rows, or one row more.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from jiriki.rtl.matrix.records import (
    PIXEL_BITS,
    PLACE_BITS,
    Record,
    Shape,
    products_record,
    window_record,
)


def pixel_record(shape: Shape) -> wiring.Signature:
    """Return the place of one pixel."""
    places = {"ox": PIXEL_BITS, "iy": PLACE_BITS, "ix": PLACE_BITS, "word": shape.word}
    return wiring.Signature({name: Out(bits) for name, bits in places.items()})


class FirstPixels(wiring.Component):
    """The first tile and the steps to the next ones (combinational)."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        mu = shape.chip.mu
        super().__init__(
            {
                "window": In(window_record()),
                "products": In(products_record(shape)),
                "origin": In(shape.word),  # a - corner
                "pixels": Out(pixel_record(shape)).array(mu),
                "advance": Out(advance_record(shape)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: the table, and small products with its numbers."""
        m = Module()
        mu, window, products = self.shape.chip.mu, self.window, self.products
        width = Signal(range(mu + 1))  # min(ow, mu)
        m.d.comb += width.eq(Mux(window.ow >= mu, mu, window.ow))
        for i in range(mu):
            oy = _table(m, width, f"oy{i}", [i // max(w, 1) for w in range(mu + 1)])
            ox = _table(m, width, f"ox{i}", [i % max(w, 1) for w in range(mu + 1)])
            pixel = self.pixels[i]
            m.d.comb += [
                pixel.ox.eq(ox),
                pixel.iy.eq(oy * window.sy - window.py),
                pixel.ix.eq(ox * window.sx - window.px),
                pixel.word.eq(self.origin + oy * products.row + ox * window.sx),
            ]
        # for ow of mu or more: no row, mu columns
        q = _table(m, width, "q", [mu // max(w, 1) if w < mu else 0 for w in range(mu + 1)])
        r = _table(m, width, "r", [mu % max(w, 1) if w < mu else mu for w in range(mu + 1)])
        columns = Signal(PLACE_BITS)
        m.d.comb += columns.eq(r * window.sx)
        advance = self.advance
        m.d.comb += [
            advance.columns.eq(r),
            advance.ow.eq(window.ow),
            advance.rows.eq(q * window.sy),
            advance.sy.eq(window.sy),
            advance.along.eq(columns),
            advance.back.eq(columns - products.line),
            advance.words.eq(q * products.row + columns),
            advance.wrapped.eq((q + 1) * products.row + columns - products.line),
        ]
        return m


def advance_record(shape: Shape) -> wiring.Signature:
    """Return what is added from one tile to the next."""
    return wiring.Signature(
        {
            "columns": Out(range(shape.chip.mu + 1)),
            "ow": Out(PIXEL_BITS),
            "rows": Out(PLACE_BITS),  # of iy without a wrap
            "sy": Out(5),  # more with one
            "along": Out(PLACE_BITS),  # of ix without a wrap
            "back": Out(PLACE_BITS),  # of ix with one
            "words": Out(shape.word),
            "wrapped": Out(shape.word),
        }
    )


def next_tile(pixel: Record, advance: Record) -> list[Any]:
    """Return the assignments that take a pixel to the next tile."""
    moved = pixel.ox + advance.columns
    wraps = moved >= advance.ow
    return [
        pixel.ox.eq(Mux(wraps, moved - advance.ow, moved)),
        pixel.iy.eq(pixel.iy + advance.rows + Mux(wraps, advance.sy, 0)),
        pixel.ix.eq(pixel.ix + Mux(wraps, advance.back, advance.along)),
        pixel.word.eq(pixel.word + Mux(wraps, advance.wrapped, advance.words)),
    ]


def _table(m: Module, index: Value, name: str, values: list[int]) -> Value:
    """Return values[index]."""
    out = Signal(range(max(values) + 1), name=name)
    with m.Switch(index):
        for i, value in enumerate(values):
            with m.Case(i):
                m.d.comb += out.eq(value)
    return out
