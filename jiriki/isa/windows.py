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

from jiriki.isa.fields import Field, Instruction, Unit


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
