"""FunctionLane: one lane of an F stage: EXP2, LOG2, RECIP, RSQRT, TBL and LUT, four cycles.

Concept: all six are a piecewise quadratic in integers (`numerics.segments`), those that are none
with coefficients 0. Cycle 1 makes the argument fixed point where the function wants it, and gives
the addresses of the tables. In cycle 2 the row is there: y = c1 + c2 t; in cycle 3 y = c0 + y t;
cycle 4 rounds y * 2^(scale - 30) to fp32, once, and puts in what is known beforehand (NaN,
infinities, zeros, the ends of a table).
In: v, what to do, the header of the table. Out: addresses, and the new v at the end of cycle 4.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from jiriki.isa.words import MicroOp, Stage
from jiriki.numerics.functions import EXP2_FRACTION_BITS, EXP2_T_BITS, T_BITS, VALUE_BITS
from jiriki.rtl.vector.fp import (
    BIAS,
    INF,
    MANTISSA,
    NAN,
    Parts,
    named,
    normalised,
    parts,
    register,
    shifted_right,
)
from jiriki.rtl.vector.function_rom import ROM_BITS, ROM_ROW, ROM_STARTS

FUNCTIONS = tuple(op for op in MicroOp if op.stage is Stage.FUNCTION)
FUNCTION_CONTROL = data.StructLayout({op.name.lower(): 1 for op in FUNCTIONS})

SEGMENT_BITS = 8  # of a segment's number
POSITION_BITS = 24  # t, as a fraction of the segment
SCALE_BITS = 11  # signed: exponents beyond are clipped, where every result is 0 or infinite
SEGMENT_EXPONENT_BITS = SCALE_BITS - 1  # as stored
_FIXED = 35  # integer bits of the argument: 8 whole ones and 27 of EXP2's fraction
_SHIFT = 36  # beyond it only the sticky bits are left
_VALUE = 39  # bits of y, signed


HEADER = data.StructLayout(  # row 0 of a segment table, prepared
    {
        "minus_lo": signed(33),
        "in_shift": signed(8),
        "t_shift": 5,  # 24 - t_bits
        "segments": 4,  # log2 of how many count
        "below": 32,
        "above": 32,
    }
)
SEGMENT = data.StructLayout(  # another row as kept: its exponent is clipped
    {
        "c0": signed(32),
        "c1": signed(32),
        "c2": signed(32),
        "exponent": signed(SEGMENT_EXPONENT_BITS),
    }
)


@dataclass(frozen=True)
class _Stage:
    """What travels beside the quadratic."""

    by: Signal
    value: Signal
    sign: Signal
    t: Signal
    scale: Signal


class FunctionLane(wiring.Component):
    """See the module."""

    module_name = "jiriki_function_lane"

    def __init__(self) -> None:
        super().__init__(
            {
                "v": In(32),
                "one": In(FUNCTION_CONTROL),  # cycle 1
                "header": In(HEADER),  # cycle 1
                "rom_address": Out(ROM_BITS),  # cycle 1
                "segment": Out(SEGMENT_BITS),
                "code": Out(8),
                "two": In(FUNCTION_CONTROL),  # cycle 2
                "rom_row": In(ROM_ROW),
                "segment_row": In(SEGMENT),
                "code_result": In(signed(8)),
                "late": In(1),  # cycle 2: the result is late_value
                "late_value": In(32),
                "o": Out(32),  # the result, in cycle 4
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        v = parts(m, "v", self.v)
        first = self._argument(m, v)
        second, c0, y1 = self._linear(m, first, v)
        third, y = _stage(3), register("y", signed(_VALUE))
        product = named(m, "product2", y1 * second.t.as_unsigned(), signed(33 + POSITION_BITS + 1))
        m.d.sync += y.eq((product >> POSITION_BITS) + c0)
        _pass(m, second, third)
        m.d.comb += self.o.eq(Mux(third.by, third.value, _assembled(m, y, third)))
        return m

    def _argument(self, m: Module, v: Parts) -> _Stage:
        op, header, first = self.one, self.header, _stage(1)
        fixed, huge = self._fixed(m, v)
        e = named(m, "unbiased", v.exponent - BIAS, signed(9))
        fraction = v.bits[:23]
        of_x = Cat(Const(0, POSITION_BITS - T_BITS), fraction[:T_BITS])
        of_exp2 = Cat(Const(0, POSITION_BITS - EXP2_T_BITS), fixed[:EXP2_T_BITS])
        near = fixed[: POSITION_BITS + SEGMENT_BITS]
        placed = named(m, "placed", near << header.t_shift)
        number = placed[POSITION_BITS : POSITION_BITS + SEGMENT_BITS]
        beyond = (placed[POSITION_BITS + SEGMENT_BITS :] != 0) | (number >> header.segments != 0)
        beyond = beyond | (fixed[len(near) : -1] != 0)
        is_below = named(m, "is_below", Mux(huge, v.sign, fixed[-1]))
        is_above = named(m, "is_above", Mux(huge, ~v.sign, ~fixed[-1] & beyond))
        index = Mux(op.exp2, fixed[EXP2_T_BITS:EXP2_FRACTION_BITS], fraction[T_BITS:])
        m.d.comb += [
            self.rom_address.eq(_rom_start(op, e[0]) | index),
            self.segment.eq(number),
            self.code.eq(_code(fixed, huge, v)),
        ]
        t = Mux(op.tbl, placed[:POSITION_BITS], Mux(op.exp2, of_exp2, of_x))
        scale = Mux(op.exp2, fixed[EXP2_FRACTION_BITS:].as_signed(), 0)
        scale = Mux(op.recip, -e, Mux(op.rsqrt, -(e >> 1), Mux(op.log2, e, scale)))
        by, value = _special(op, header, v, huge, is_below, is_above)
        m.d.sync += [
            first.by.eq(by),
            first.value.eq(value),
            first.sign.eq(v.sign & op.recip),
            first.t.eq(Mux(op.lut, 0, t)),
            first.scale.eq(scale),
        ]
        return first

    def _fixed(self, m: Module, v: Parts) -> tuple[Value, Value]:
        """Return the fixed-point argument (less a table's lo), and whether it is too large."""
        op, header = self.one, self.header
        move = Mux(op.exp2, EXP2_FRACTION_BITS, Mux(op.tbl, header.in_shift, 0))
        k = named(m, "k", v.exponent - (BIAS + MANTISSA - 1) + move, signed(10))
        above = _FIXED - MANTISSA
        amount = named(m, "amount", above - k, signed(11))
        clipped = Mux(amount < 0, 0, Mux(amount > _SHIFT, _SHIFT, amount[:6]))
        mantissa = Mux(v.zero | v.special, 0, v.mantissa)
        shifted, below = shifted_right(m, "fixed", mantissa, clipped, _FIXED + 1, _SHIFT)
        half, rest = shifted[0], below != 0
        nearest = half & (rest | shifted[1])
        carry = Mux(op.exp2, v.sign & ~(half | rest), v.sign ^ nearest)
        turned = Cat(shifted[1:] ^ v.sign.replicate(_FIXED), v.sign).as_signed()
        offset = Mux(op.tbl, header.minus_lo, 0)
        fixed = named(m, "fixed", turned + offset + carry, signed(37))
        limit = 8  # 24 bits moved up by 8 reach 2^31 (TBL); LUT is far beyond its range before
        return fixed, named(m, "huge", v.inf | ((k >= limit) & ~v.zero & ~v.nan))

    def _linear(self, m: Module, first: _Stage, v: Parts) -> tuple[_Stage, Signal, Signal]:
        """Cycle 2: the row is there."""
        op, second = self.two, _stage(2)
        rom, row = self.rom_row, self.segment_row
        c2 = named(m, "c2", Mux(op.tbl, row.c2, Mux(op.lut, 0, rom.c2)), signed(32))
        c1 = named(m, "c1", Mux(op.tbl, row.c1, Mux(op.lut, 0, rom.c1)), signed(32))
        c0 = Mux(op.tbl, row.c0, Mux(op.lut, self.code_result, rom.c0))
        c0_full, y1 = register("c0", signed(_VALUE)), register("y1", signed(33))
        whole = Mux(op.log2, first.scale, 0)
        product = named(m, "product1", c2 * first.t, signed(32 + POSITION_BITS + 1))
        m.d.sync += [
            c0_full.eq(c0 + (whole << VALUE_BITS)),
            y1.eq((product >> POSITION_BITS) + c1),
        ]
        _pass(m, first, second)
        table = Mux(op.tbl, row.exponent + VALUE_BITS, VALUE_BITS)
        scale = Mux(op.tbl | op.lut, table, Mux(op.log2, 0, first.scale))
        m.d.sync += [
            second.scale.eq(scale),
            second.by.eq(first.by | self.late),
            second.value.eq(Mux(self.late, self.late_value, first.value)),
        ]
        return second, c0_full, y1


def _stage(n: int) -> _Stage:
    return _Stage(
        by=register(f"by{n}"),
        value=register(f"value{n}", 32),
        sign=register(f"sign{n}"),
        t=register(f"t{n}", POSITION_BITS),
        scale=register(f"scale{n}", signed(SCALE_BITS)),
    )


def _pass(m: Module, source: _Stage, target: _Stage) -> None:
    for name in ("by", "value", "sign", "t", "scale"):
        m.d.sync += getattr(target, name).eq(getattr(source, name))


def _rom_start(op: Value, odd: Value) -> Value:
    start = Mux(op.rsqrt, Mux(odd, ROM_STARTS["RSQRT"] + 128, ROM_STARTS["RSQRT"]), 0)
    for name in ("EXP2", "LOG2", "RECIP"):
        start = start | Mux(op[name.lower()], ROM_STARTS[name], 0)
    return start


def _code(fixed: Value, huge: Value, v: Parts) -> Value:
    """Saturate to int8; a NaN counts as 0."""
    over = huge | (fixed[7:] != fixed[-1].replicate(len(fixed) - 7))
    negative = Mux(huge, v.sign, fixed[-1])
    return Mux(v.nan, 0, Mux(over, Mux(negative, 0x80, 0x7F), fixed[:8]))


def _special(
    op: Value, header: Value, v: Parts, huge: Value, is_below: Value, is_above: Value
) -> tuple[Value, Value]:
    """Return (known beforehand, the result); v itself when no function is asked for."""
    none = ~(op.exp2 | op.log2 | op.recip | op.rsqrt | op.tbl | op.lut)
    far = v.exponent >= BIAS + 8  # |v| >= 256
    root_or_log = op.log2 | op.rsqrt
    invalid = v.nan | (root_or_log & v.sign & ~v.zero)
    zero_in, inf_in = op.recip | root_or_log, op.recip | root_or_log
    by = none | (
        ~op.lut
        & (
            invalid
            | (op.exp2 & far)
            | (zero_in & v.zero)
            | (inf_in & v.inf)
            | (op.tbl & (is_below | is_above))
        )
    )
    infinite = Mux(op.exp2, ~v.sign, Mux(op.log2, 1, v.zero))
    sign = Mux(op.log2, v.zero, v.sign & ~op.exp2)
    value = Cat(Const(0, 31) | Mux(infinite, INF, 0), sign)
    value = Mux(op.tbl, Mux(is_below, header.below, header.above), value)
    return by, Mux(none, v.bits, Mux(invalid, NAN, value))


def _assembled(m: Module, y: Value, stage: _Stage) -> Value:
    """Round y * 2^(scale - 30) to 24 bits with the exponent unbounded; then flush or overflow."""
    size = named(m, "size", Mux(y < 0, -y, y), _VALUE)
    value, count = normalised(m, "y", size)
    low = _VALUE - MANTISSA
    mantissa, half, rest = value[low:], value[low - 1], value[: low - 1] != 0
    up = half & (rest | mantissa[0])
    significand = named(m, "significand", mantissa + up, MANTISSA + 1)
    top = BIAS + _VALUE - 1 - VALUE_BITS
    exponent = named(
        m, "exponent", top + stage.scale - count + significand[-1], signed(SCALE_BITS + 2)
    )
    packed = Cat(significand[:23], exponent[:8])
    none = (exponent < 1) | ~value[-1]
    size31 = Mux(none, 0, Mux(exponent > 254, INF, packed))
    return Cat(Const(0, 31) | size31, stage.sign | (y < 0))
