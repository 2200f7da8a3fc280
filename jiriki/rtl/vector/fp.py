"""fp32 in gates: the pieces of arithmetic that the lanes are made of (all combinational).

Concept: fp32 as `jiriki.numerics.fp32` has it: subnormals are zero of their sign, one NaN, rounding
to nearest even. Operands are taken apart (`Parts`), a result comes as a significand of some width
with the exponent of its top bit, and `rounded` normalises, rounds, flushes and packs it.
In and out: 32-bit values, plain Amaranth signals in the caller's module.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

NAN = 0x7FC00000
INF = 0x7F800000
MINUS_INF = 0xFF800000
MINUS_ZERO = 0x80000000
ONE = 0x3F800000
BIAS = 127
FRACTION = 23
MANTISSA = 24
EXPONENT_BITS = 10  # of intermediate exponents, signed: sums of two and their neighbours


def named(m: Module, name: str, value: Value, shape: object = None) -> Signal:
    """Give a value a name of its own, so that it is computed once."""
    signal = Signal(value.shape() if shape is None else shape, name=name)
    m.d.comb += signal.eq(value)
    return signal


def register(name: str, shape: object = 1) -> Signal:
    """Return a register of a lane; what it holds means something only behind a valid beat."""
    return Signal(shape, name=name, reset_less=True)


@dataclass(frozen=True)
class Parts:
    """An fp32 operand taken apart; what a subnormal or a NaN counts as is decided here."""

    bits: Value
    sign: Value
    exponent: Value  # biased, 8 bits
    zero: Value  # zero or subnormal
    special: Value  # NaN or infinity
    nan: Value
    inf: Value
    mantissa: Value  # 24 bits with the hidden one; meaningless for zero and special
    magnitude: Value  # 31 bits, 0 for zero: orders |x|

    @property
    def clean(self) -> Value:
        """The operand with subnormals flushed and NaN canonical."""
        return Mux(self.nan, NAN, Cat(self.magnitude, self.sign))


def parts(m: Module, name: str, bits: Value) -> Parts:
    """Take an operand of 32 bits apart."""
    exponent, fraction = bits[FRACTION:31], bits[:FRACTION]
    zero = named(m, f"{name}_zero", exponent == 0)
    special = named(m, f"{name}_special", exponent == 0xFF)
    nan = named(m, f"{name}_nan", special & (fraction != 0))
    return Parts(
        bits,
        bits[31],
        exponent,
        zero,
        special,
        nan,
        special & ~nan,
        Cat(fraction, Const(1, 1)),
        named(m, f"{name}_magnitude", Mux(zero, 0, bits[:31])),
    )


def shifted_right(
    m: Module, name: str, mantissa: Value, amount: Value, whole: int, most: int
) -> tuple[Value, Value]:
    """Shift a mantissa right from the top of `whole` bits; return (those bits, all below).

    `amount` is at most `most`; below the whole part there is room for every bit shifted out.
    """
    room = max(0, most - whole + len(mantissa)) + 1
    frame = Cat(Const(0, room + whole - len(mantissa)), mantissa)
    moved = named(m, f"{name}_moved", frame >> amount, len(frame))
    return moved[room:], moved[:room]


def normalised(m: Module, name: str, value: Value) -> tuple[Value, Value]:
    """Shift left until the top bit is set; return (shifted, by how much). Zero stays zero."""
    width = len(value)
    count: list[Value] = []
    k = 1 << ((width - 1).bit_length() - 1)
    while k:
        empty = named(m, f"{name}_empty{k}", value[width - k :] == 0)
        moved = Signal(width, name=f"{name}_left{k}")
        m.d.comb += moved.eq(Mux(empty, value << k, value))
        value = moved
        count.insert(0, empty)
        k >>= 1
    return value, Cat(count)


def rounded(m: Module, name: str, significand: Value, exponent: Value) -> tuple[Value, Value]:
    """Return (31 bits of the rounded magnitude, is the significand 0).

    `exponent` is biased and belongs to the top bit of the significand, unnormalised, at least 26
    bits wide, whose lowest bit may stand for everything below it.
    """
    value, count = normalised(m, name, significand)
    e = named(m, f"{name}_e", exponent - count, signed(EXPONENT_BITS))
    low = len(value) - MANTISSA
    mantissa, half, rest = value[low:], value[low - 1], value[: low - 1]
    # Below 2^-126 rounding happens at subnormal precision: only all ones round up to 2^-126.
    least = named(m, f"{name}_least", (e == 0) & mantissa.all())
    up = (half & ((rest != 0) | mantissa[0])) | least
    packed = named(m, f"{name}_packed", Cat(mantissa[:FRACTION], e[:8]) + up, 31)
    empty = named(m, f"{name}_zero", ~value[-1])
    none = empty | ((e <= 0) & ~least)
    return Mux(none, 0, Mux(e >= 255, INF, packed)), empty


def small_int_to_fp32(m: Module, name: str, value: Value) -> Value:
    """Convert a signed integer of at most 24 bits, exactly; 0 gives +0."""
    width = len(value)
    sign = value[-1] if value.shape().signed else Const(0, 1)
    size = named(m, f"{name}_size", Mux(sign, -value, value), width)
    top, count = normalised(m, name, size)
    exponent = named(m, f"{name}_exponent", BIAS + width - 1 - count, 8)
    fraction = Cat(Const(0, max(0, MANTISSA - width)), top)[-MANTISSA:][:FRACTION]
    return Mux(top[-1], Cat(fraction, exponent, sign), 0)


def sort_key(m: Module, name: str, x: Parts, *, zeros_equal: Value | int = 0) -> Value:
    """Return 33 bits that order as signed integers: NaN above all, -0 below +0 unless equal."""
    sign = x.sign & ~(zeros_equal & x.zero)
    size = Cat(x.magnitude, Const(0, 2))
    key = Mux(x.nan, 0xFFFFFFFF, Mux(sign, ~size, size))
    return named(m, name, key, 33).as_signed()
