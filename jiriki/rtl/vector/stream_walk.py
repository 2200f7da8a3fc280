"""StreamWalk: the element groups of one stream's beats, by adding alone.

Concept: every pixel of a beat has a walker: its output column ox, its place (iy, ix) in the window
and its offset from the stream's base. From beat to beat a walker goes on by the pixels of a beat,
that is by whole output rows and a rest, and once more by a row when ox passes the end of a row. A
tap and a group add what they are away; the group's address is kept apart.
In: a place to walk, and steps. Out (combinational, of the present beat): the first word of every
pixel's element group, and which of them are inside the window.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from jiriki.rtl.vector.fp import named
from jiriki.rtl.vector.records import PLACE_BITS, Shape
from jiriki.rtl.vector.works import place_layout

COLUMN_BITS = 16


class StreamWalk(wiring.Component):
    """See the module. Steps take effect at the end of the cycle; `load` before all others."""

    def __init__(self, shape: Shape, name: str, *, taps: bool = False) -> None:
        self.shape, self.name, self.taps = shape, name, taps
        super().__init__(
            {
                "load": In(1),
                "place": In(place_layout(shape)),
                "pixel_on": In(1),
                "pixel_back": In(1),  # to the first pixels
                "group_on": In(1),
                "group_back": In(1),
                "tap_on": In(1),  # to the next tap of the kernel's row
                "tap_row_on": In(1),  # to the first tap of its next row
                "tap_back": In(1),
                "words": Out(data.ArrayLayout(shape.word, shape.pixels)),
                "inside": Out(shape.pixels),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        word = self.shape.word
        place, window = self.place, self.place.window
        height, width = Signal.like(window.h), Signal.like(window.w)
        group, first_group, group_step = (Signal(word, name=n) for n in ("group", "base", "plane"))
        with m.If(self.load):
            m.d.sync += [
                height.eq(window.h),
                width.eq(window.w),
                group.eq(place.base),
                first_group.eq(place.base),
                group_step.eq(window.plane << place.shift),
            ]
        with m.Elif(self.group_back):
            m.d.sync += group.eq(first_group)
        with m.Elif(self.group_on):
            m.d.sync += group.eq(group + group_step)
        tap_y, tap_x, tap_offset = self._taps(m)
        walkers = self._walkers(m)
        for j, (iy, ix, offset) in enumerate(walkers):
            y = named(m, f"y{j}", iy + tap_y, signed(PLACE_BITS))
            x = named(m, f"x{j}", ix + tap_x, signed(PLACE_BITS))
            m.d.comb += [
                self.words[j].eq(offset + tap_offset + group),
                self.inside[j].eq((y >= 0) & (y < height) & (x >= 0) & (x < width)),
            ]
        return m

    def _walkers(self, m: Module) -> list[tuple[Signal, Signal, Signal]]:
        """Build the walkers of all pixels; return (iy, ix, offset) of each."""
        pixels, word, place = self.shape.pixels, self.shape.word, self.place
        window, products = place.window, place.products
        rows, rest, starts = self._divided(m)
        by_row, by_rest = rows * window.sy, rest * window.sx
        step = {
            "ox": (COLUMN_BITS, rest, rest - window.ow),
            "iy": (signed(PLACE_BITS), by_row, by_row + window.sy),
            "ix": (signed(PLACE_BITS), by_rest, by_rest - products.line),
        }
        offset = rows * products.row + by_rest
        wrapped = offset + products.row - products.line
        step["offset"] = (
            word,
            Mux(place.rows, 1, offset << place.shift),
            Mux(place.rows, 1, wrapped << place.shift),
        )
        plain, wrap = {}, {}
        for name, (width, on, over) in step.items():
            plain[name], wrap[name] = (Signal(width, name=f"{k}_{name}") for k in ("on", "over"))
            with m.If(self.load):
                m.d.sync += [plain[name].eq(on), wrap[name].eq(over)]
        limit = Signal(COLUMN_BITS)  # from this column on, a step passes the end of the row
        with m.If(self.load):
            m.d.sync += limit.eq(window.ow - rest)
        walkers = []
        for j in range(pixels):
            start_row, start_rest = starts[j]
            y, x = start_row * window.sy, start_rest * window.sx
            begin = {
                "ox": start_rest,
                "iy": y - window.py,
                "ix": x - window.px,
                "offset": Mux(
                    place.rows,
                    0,
                    (start_row * products.row + x - products.corner) << place.shift,
                ),
            }
            walkers.append(self._walker(m, j, begin, plain, wrap, limit))
        return walkers

    def _walker(
        self,
        m: Module,
        j: int,
        begin: dict[str, Value],
        plain: dict[str, Signal],
        wrap: dict[str, Signal],
        limit: Signal,
    ) -> tuple[Signal, Signal, Signal]:
        now = {name: Signal.like(plain[name], name=f"{name}{j}") for name in begin}
        first = {name: Signal.like(plain[name], name=f"first_{name}{j}") for name in begin}
        over = named(m, f"over{j}", now["ox"] >= limit)
        for name, value in begin.items():
            with m.If(self.load):
                m.d.sync += [now[name].eq(value), first[name].eq(value)]
            with m.Elif(self.pixel_back):
                m.d.sync += now[name].eq(first[name])
            with m.Elif(self.pixel_on):
                m.d.sync += now[name].eq(now[name] + Mux(over, wrap[name], plain[name]))
        return now["iy"], now["ix"], now["offset"]

    def _divided(self, m: Module) -> tuple[Signal, Signal, list[tuple[Signal, Signal]]]:
        """Divide the pixels of a beat, and each one's number, by ow: (rows, rest)."""
        pixels, ow = self.shape.pixels, self.place.window.ow
        size = range(pixels + 1)
        rows, rest = Signal(size, name="rows"), Signal(size, name="rest", init=pixels)
        starts = [
            (Signal(size, name=f"row{j}"), Signal(size, name=f"rest{j}", init=j))
            for j in range(pixels)
        ]
        m.d.comb += rest.eq(pixels)
        m.d.comb += [start[1].eq(j) for j, start in enumerate(starts)]
        with m.Switch(ow):
            for n in range(1, pixels + 1):
                with m.Case(n):
                    m.d.comb += [rows.eq(pixels // n), rest.eq(pixels % n)]
                    m.d.comb += [
                        part.eq(value)
                        for j, start in enumerate(starts)
                        for part, value in zip(start, divmod(j, n), strict=True)
                    ]
        return rows, rest, starts

    def _taps(self, m: Module) -> tuple[Value, Value, Value]:
        """Walk over the kernel; return (iy, ix, offset) of the present tap."""
        if not self.taps:
            return Const(0, 1), Const(0, 1), Const(0, 1)
        place, window, word = self.place, self.place.window, self.shape.word
        y, x = Signal(14, name="tap_y"), Signal(14, name="tap_x")
        row, offset = Signal(word, name="tap_row"), Signal(word, name="tap_offset")
        dy, dx = Signal.like(window.dy), Signal.like(window.dx)
        by_row, by_tap = Signal(word, name="by_row"), Signal(word, name="by_tap")
        with m.If(self.load):
            m.d.sync += [
                dy.eq(window.dy),
                dx.eq(window.dx),
                by_row.eq(place.products.tap_row << place.shift),
                by_tap.eq(window.dx << place.shift),
            ]
        with m.If(self.load | self.tap_back):
            m.d.sync += [y.eq(0), x.eq(0), row.eq(0), offset.eq(0)]
        with m.Elif(self.tap_row_on):
            m.d.sync += [y.eq(y + dy), x.eq(0), row.eq(row + by_row), offset.eq(row + by_row)]
        with m.Elif(self.tap_on):
            m.d.sync += [x.eq(x + dx), offset.eq(offset + by_tap)]
        return y, x, offset
