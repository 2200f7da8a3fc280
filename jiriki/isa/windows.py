"""Window descriptors: how MX and VX streams walk pixels, kernel taps and padding.

A stream position is (group g, tap (ky, kx), output pixel p). With oy = p // ow and ox = p % ow,
    iy = oy*sy + ky*dy - py        ix = ox*sx + kx*dx - px
    inside  when 0 <= iy < h and 0 <= ix < w, else the element is the constant `fill`
    word    = base + (g*plane + iy*pitch + ix) * width
where width is the element's bytes (1 int8, 2 int16, 4 int32 and fp32): an element group is ku
values, one word for int8. sx = sy = 0 repeats one element group over all pixels, plane = 0 repeats
it over all groups. MX has registers 0..3; in VX register i belongs to stream i (an ACC stream uses
only its plane, in rows). At an output stream, what falls outside is not written.
"""

from dataclasses import replace
from functools import cache

from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Field, Instruction, Unit, positive
from jiriki.isa.words import Window


class Wina(Instruction):
    """Set the extent of window register idx."""

    OPCODE, UNITS = 13, (Unit.MX, Unit.VX)
    idx = Field(3, "window register")
    plane = Field(18, "element groups from one channel group to the next")
    pitch = Field(15, "element groups from one input row to the next")
    h = Field(13, "input rows that exist below base")
    w = Field(15, "input columns that exist")
    ow = Field(15, "output pixels in a row, at least 1")
    fill = Field(8, "int8 value outside (VX fp32 streams: -128 means -infinity)", signed=True)


class Winb(Instruction):
    """Set the steps of window register idx."""

    OPCODE, UNITS = 14, (Unit.MX, Unit.VX)
    idx = Field(3, "window register")
    sy = Field(5, "input rows an output row advances")
    sx = Field(5, "input columns an output column advances")
    dy = Field(7, "input rows a kernel tap advances")
    dx = Field(7, "input columns a kernel tap advances")
    py = Field(12, "rows of padding above base (negative: rows skipped)", signed=True)
    px = Field(12, "columns of padding left of base", signed=True)
    kh = Field(7, "kernel rows, at least 1")
    kw = Field(7, "kernel columns, at least 1")


class WindowRegisters:
    """The window registers of one unit, joined from WINA and WINB when used."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._extent: dict[int, dict[str, int]] = {}
        self._steps: dict[int, dict[str, int]] = {}
        self._windows: dict[int, Window] = {}
        self._interned: dict[Window, Window] = {}  # equal windows are one object: caches stay small

    def wina(self, v: dict[str, int]) -> None:
        """Take the extent."""
        positive("ow", v["ow"])
        self._extent[self._index(v)] = v
        self._windows.pop(v["idx"], None)

    def winb(self, v: dict[str, int]) -> None:
        """Take the steps."""
        positive("kh", v["kh"])
        positive("kw", v["kw"])
        self._steps[self._index(v)] = v
        self._windows.pop(v["idx"], None)

    def _index(self, v: dict[str, int]) -> int:
        if v["idx"] > 3:
            raise IsaError(f"{self._unit.name} has no window register {v['idx']}; use 0..3")
        return v["idx"]

    def window(self, idx: int) -> Window:
        """Return a register. Raises IsaError when WINA or WINB never set it."""
        held = self._windows.get(idx)
        if held is not None:
            return held
        for part, name in ((self._extent, "WINA"), (self._steps, "WINB")):
            if idx not in part:
                raise IsaError(
                    f"window register {idx} of {self._unit.name} was never set by {name}"
                )
        joined = {**self._extent[idx], **self._steps[idx]}
        del joined["idx"]
        window = Window(**joined)
        window = self._interned.setdefault(window, window)
        self._windows[idx] = window
        return window

    def accumulator_window(self, idx: int) -> Window:
        """Return the window of a stream of accumulator rows: only its plane counts."""
        if idx not in self._extent:
            raise IsaError(f"ACC stream needs window register {idx} for its plane; add a WINA")
        return _rows_window(self._extent[idx]["plane"])


_NO_MOVE = Window(
    plane=0, pitch=0, h=1, w=1, ow=1, fill=0, sy=0, sx=0, dy=0, dx=0, py=0, px=0, kh=1, kw=1
)


@cache
def _rows_window(plane: int) -> Window:
    """Return the window of an accumulator stream: rows of a plane, one after another."""
    return replace(_NO_MOVE, plane=plane)
