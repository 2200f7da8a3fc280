"""Alu: one lane of an A stage: every micro-op but the functions, three cycles, one a cycle.

Concept: one datapath for all arithmetic. Cycle 1 takes the operands apart, decides what needs no
arithmetic (moves, comparisons, NaN, infinities, zeros: the *bypass*), orders the operands of an
addition and aligns the smaller one; an operand to be made whole is aligned to the integers in the
same shifter. Cycle 2 adds, multiplies or quantises. Cycle 3 normalises, rounds and packs.
In: v and x in cycle 1, what to do (`ALU_CONTROL`, the same for all lanes) in cycles 1 and 2. Out:
the new v at the end of cycle 3. Values follow `jiriki.numerics` bit by bit.
"""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from jiriki.isa.vector.instructions import Qpar
from jiriki.isa.words import MicroOp, Stage
from jiriki.rtl.vector.fp import (
    BIAS,
    EXPONENT_BITS,
    INF,
    MANTISSA,
    MINUS_INF,
    NAN,
    ONE,
    Parts,
    named,
    parts,
    register,
    rounded,
)

ARITHMETIC = (  # what needs cycles 2 and 3; the bypass alone does the others
    MicroOp.FADD, MicroOp.FSUB, MicroOp.FRSB, MicroOp.FMUL, MicroOp.I2F, MicroOp.FLOOR,
    MicroOp.RND, MicroOp.QNT, MicroOp.MASK,
)  # fmt: skip
SIMPLE = tuple(
    op
    for op in MicroOp
    if op.stage is Stage.ARITHMETIC and op not in ARITHMETIC and op is not MicroOp.SAVE
)  # SAVE leaves v alone
ALU_OPS = (*SIMPLE, *ARITHMETIC)

QUANTISED_BITS = Qpar.LAYOUT["zero_point"].bits  # 17, signed
_MARGIN_BITS = QUANTISED_BITS + 2
_WHOLE = 26  # aligned operand: 24 bits of integer, two of fraction (and a sticky one)
_MOST = 27  # a shift by so much leaves the sticky bit only
_SUM = _WHOLE + 2  # sticky below, carry above
_SIGNIFICAND = 32


# What a stage's lanes do in a cycle: at most one micro-op; with none v passes on.
FIELDS = {op: "equal" if op is MicroOp.EQ else op.name.lower() for op in ALU_OPS}
ALU_CONTROL = data.StructLayout(dict.fromkeys(FIELDS.values(), 1))


QUANTISER = data.StructLayout(  # QPAR with the differences that its comparisons need
    {
        "zero_point": signed(QUANTISED_BITS),
        "lo": signed(QUANTISED_BITS),
        "hi": signed(QUANTISED_BITS),
        "to_lo": signed(_MARGIN_BITS),  # zero_point - lo
        "to_hi": signed(_MARGIN_BITS),  # zero_point - hi - 1
    }
)


@dataclass(frozen=True)
class _First:
    """Registers between cycles 1 and 2."""

    by: Signal  # the bypass holds the result
    value: Signal
    sign: Signal
    exponent: Signal
    large: Signal  # the larger addend, a factor, or the upper bits of an integer
    small: Signal  # the other: aligned with two bits more and a sticky one
    subtract: Signal


class Alu(wiring.Component):
    """See the module."""

    def __init__(self, channel_bits: int, place_bits: int) -> None:
        self.channel_bits = channel_bits
        super().__init__(
            {
                "v": In(32),
                "x": In(32),
                "t_exponent": In(8),  # of t, for SEL
                "one": In(ALU_CONTROL),  # cycle 1
                "two": In(ALU_CONTROL),  # cycle 2
                "quantiser": In(QUANTISER),  # cycle 2
                "negates": In(1),  # constant: ROT turns the neighbour's sign
                "channel": In(channel_bits),  # constant: of the lane in its group
                "place": In(place_bits),  # cycle 2: the channel group
                "late": In(1),  # cycle 2: the result is late_value
                "late_value": In(32),
                "o": Out(32),  # the result, in cycle 3
            }
        )

    @property
    def module_name(self) -> str:
        """The name of the shared module: it tells all that decides the gates."""
        return f"jiriki_alu_{self.channel_bits}"

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        v, x = parts(m, "v", self.v), parts(m, "x", self.x)
        first = self._first(m, v, x)
        self._rest(m, first)
        return m

    def _first(self, m: Module, v: Parts, x: Parts) -> _First:
        op = self.one
        first = _First(
            by=register("by"),
            value=register("value", 32),
            sign=register("sign"),
            exponent=register("exponent", signed(EXPONENT_BITS)),
            large=register("large", MANTISSA),
            small=register("small", _WHOLE + 1),
            subtract=register("subtract"),
        )
        less = named(m, "less", v.magnitude < x.magnitude)
        by = Const(1, 1)
        value = _simple(m, op, v, x, less, self.t_exponent, self.negates)
        v_sign = named(m, "v_sign", v.sign ^ op.frsb)
        x_sign = named(m, "x_sign", x.sign ^ op.fsub)
        adds = named(m, "adds", op.fadd | op.fsub | op.frsb)
        differ = named(m, "differ", v_sign ^ x_sign)
        add_by, add_value = _add_special(v, x, v_sign, x_sign, differ)
        mul_by, mul_value = _mul_special(v, x)
        whole = named(m, "whole", op.floor | op.rnd)
        beyond = named(m, "beyond", v.exponent >= BIAS + MANTISSA - 1)  # it is whole already
        whole_by = v.zero | beyond  # and NaN, infinity
        for when, is_by, what in (
            (adds, add_by, add_value),
            (op.fmul, mul_by, mul_value),
            (whole, whole_by, v.clean),
            (op.i2f, self.v == 0, Const(0, 32)),
            (op.qnt, Const(0, 1), Const(0, 32)),
            (op.mask, Const(1, 1), v.clean),
        ):
            by, value = Mux(when, is_by, by), Mux(when, what, value)
        m.d.sync += [first.by.eq(by), first.value.eq(value), first.subtract.eq(adds & differ)]
        sign = Mux(adds, Mux(less, x_sign, v_sign), v.sign ^ (op.fmul & x.sign))
        m.d.sync += first.sign.eq(sign & ~op.mask & ~(op.qnt & v.nan))
        self._align(m, first, v, x, adds, less)
        return first

    def _align(
        self, m: Module, first: _First, v: Parts, x: Parts, adds: Value, less: Value
    ) -> None:
        """Set exponent, large and small."""
        op = self.one
        large_e = named(m, "large_e", Mux(less, x.exponent, v.exponent))
        small_e = Mux(less, v.exponent, x.exponent)
        e = named(m, "whole_e", Mux(op.mask, x.exponent, v.exponent))
        none = Mux(op.mask, x.sign | x.nan | x.zero, v.nan | v.zero)
        limit = BIAS + MANTISSA - 1  # 150: the mantissa is the integer
        amount = named(
            m, "amount", Mux(adds, large_e, limit) - Mux(adds, small_e, e), signed(EXPONENT_BITS)
        )
        clipped = named(m, "clipped", Mux(amount > _MOST, _MOST, amount[:5]), 5)
        mantissa = Mux(Mux(adds, less, ~op.mask), v.mantissa, x.mantissa)
        mantissa = Mux(adds | ~none, mantissa, 0)
        frame = named(m, "frame", Cat(Const(0, _MOST), mantissa))
        moved = named(m, "moved", frame >> clipped, len(frame))
        whole, below = moved[-_WHOLE:], moved[:-_WHOLE]
        aligned = Cat(below != 0, whole)
        huge = ~adds & (amount < 0) & ~none  # beyond every quantiser and channel
        aligned = Mux(huge, Cat(Const(0, 3), Const(-1, MANTISSA)), aligned)
        size = named(m, "int_size", Mux(self.v[31], -self.v, self.v), 32)
        large = Mux(adds & less, x.mantissa, v.mantissa)
        m.d.sync += [
            first.large.eq(Mux(op.i2f, size[8:], large)),
            first.small.eq(
                Mux(
                    op.fmul,
                    Cat(Const(0, 3), x.mantissa),
                    Mux(op.i2f, Cat(Const(0, _WHOLE - 7), size[:8]), aligned),
                )
            ),
        ]
        product = named(m, "product_e", v.exponent + x.exponent - (BIAS - 1), signed(EXPONENT_BITS))
        exponent = Mux(adds, large_e + 1, BIAS + MANTISSA)
        exponent = Mux(op.fmul, product, exponent)
        exponent = Mux(op.i2f, BIAS + 31, Mux(op.qnt, BIAS + QUANTISED_BITS - 1, exponent))
        m.d.sync += first.exponent.eq(exponent)

    def _rest(self, m: Module, first: _First) -> None:
        op = self.two
        by, value, sign = register("by2"), register("value2", 32), register("sign2")
        exponent = register("exponent2", signed(EXPONENT_BITS))
        significand, keeps_sign = register("significand", _SIGNIFICAND), register("keeps_sign")
        small = first.small
        half, rest, low = small[2], small[:2] != 0, small[3]
        nearest = half & (rest | low)
        whole = named(m, "whole2", op.floor | op.rnd)
        up = Mux(op.floor, first.sign & (half | rest), nearest)
        a = Mux(whole, Cat(Const(0, 3), up), Cat(Const(0, 3), first.large))
        b = Mux(whole, Cat(Const(0, 3), small[3:]), small)
        b = Cat(b, Const(0, 1)) ^ first.subtract.replicate(_SUM)
        total = named(m, "total", a + b + first.subtract, _SUM)
        product = named(m, "product", first.large * small[3:])
        low_bits = len(product) - _SIGNIFICAND
        product = Cat(product[: low_bits + 1] != 0, product[low_bits + 1 :])
        result, out = self._quantise(m, first, nearest, half | rest)
        result_size = named(m, "result_size", Mux(result < 0, -result, result), QUANTISED_BITS)
        quantised = Cat(Const(0, _SIGNIFICAND - QUANTISED_BITS), result_size)
        integer = Cat(small[-8:], first.large)
        of_sum = Cat(Const(0, _SIGNIFICAND - _SUM), total)
        chosen = Mux(op.fmul, product, Mux(op.i2f, integer, Mux(op.qnt, quantised, of_sum)))
        m.d.sync += [
            by.eq(first.by | self.late),
            value.eq(Mux(self.late, self.late_value, Mux(op.mask & out, MINUS_INF, first.value))),
            sign.eq(Mux(op.qnt, result < 0, first.sign)),
            keeps_sign.eq(whole),
            exponent.eq(first.exponent),
            significand.eq(chosen),
        ]
        magnitude, zero = rounded(m, "r", significand, exponent)
        packed = Cat(magnitude, sign & ~(zero & ~keeps_sign))
        m.d.comb += self.o.eq(Mux(by, value, packed))

    def _quantise(
        self, m: Module, first: _First, nearest: Value, fraction: Value
    ) -> tuple[Value, Value]:
        """Return the clamped integer of QNT, and whether MASK's lane is outside."""
        op, q = self.two, self.quantiser
        negative = first.sign
        turned = Cat(first.small[3:] ^ negative.replicate(MANTISSA), negative).as_signed()
        carry = named(m, "carry", Mux(op.mask, fraction, negative ^ nearest))
        channel = Cat(self.channel, self.place, Const(0, 1))
        margin = Mux(op.mask, (~channel).as_signed(), q.to_lo)
        width = MANTISSA + 3
        value = named(m, "q_value", turned + q.zero_point + carry, signed(width))
        above_lo = named(m, "q_lo", turned + margin + carry, signed(width))
        above_hi = named(m, "q_hi", turned + q.to_hi + carry, signed(width))
        below, above = above_lo[-1], ~above_hi[-1]
        result = Mux(below, q.lo, Mux(above, q.hi, value[:QUANTISED_BITS].as_signed()))
        return named(m, "q_result", result, signed(QUANTISED_BITS)), below


def _simple(
    m: Module,
    op: Value,
    v: Parts,
    x: Parts,
    less: Value,
    t_exponent: Value,
    negates: Value,
) -> Value:
    """Return the result of the micro-ops without arithmetic; v itself for none."""
    same = named(m, "same", v.magnitude == x.magnitude)
    both_zero = v.zero & x.zero
    number = ~(v.nan | x.nan)
    after = ~less & ~same  # |v| > |x|
    above = Mux(v.sign ^ x.sign, ~v.sign, Mux(v.sign, less, after))  # with -0 below +0
    greater = number & ~both_zero & above
    equal = number & (both_zero | (same & ~(v.sign ^ x.sign)))
    holds = (op.gt & greater) | (op.ge & (greater | equal)) | (op.equal & equal)
    takes_v = named(m, "takes_v", above ^ op.fmin)
    v_clean, x_clean = named(m, "v_clean", v.clean), named(m, "x_clean", x.clean)
    extreme = Mux(number, Mux(takes_v, v_clean, x_clean), NAN)
    turned = Cat(v_clean[:31], ~v.sign & ~op.abs & ~v.nan)
    value = Mux(op.neg | op.abs, turned, v.bits)
    value = Mux(op.gt | op.ge | op.equal, Mux(holds, ONE, 0), value)
    value = Mux(op.fmax | op.fmin, extreme, value)
    value = Mux(op.sel, Mux(t_exponent != 0, v_clean, x_clean), value)
    partner = Cat(x_clean[:31], Mux(negates, ~x.sign & ~x.nan, x_clean[31]))
    value = Mux(op.rot, partner, value)
    value = Mux(op.mov, x.bits, value)
    return Mux(op.iadd, (v.bits + x.bits)[:32], value)


def _add_special(
    v: Parts, x: Parts, v_sign: Value, x_sign: Value, differ: Value
) -> tuple[Value, Value]:
    """Return (needs no adding, the sum) for zeros, infinities and NaN."""
    by = v.zero | x.zero | v.special | x.special
    value = Mux(v.zero, Cat(x.magnitude, x_sign), Cat(v.magnitude, v_sign))
    value = Mux(v.zero & x.zero, Cat(Const(0, 31), v_sign & x_sign), value)
    value = Mux(x.inf, Cat(Const(INF, 31), x_sign), Mux(v.inf, Cat(Const(INF, 31), v_sign), value))
    nan = v.nan | x.nan | (v.inf & x.inf & differ)
    return by, Mux(nan, NAN, value)


def _mul_special(v: Parts, x: Parts) -> tuple[Value, Value]:
    """Return (needs no multiplying, the product) for zeros, infinities and NaN."""
    by = v.zero | x.zero | v.special | x.special
    zero = v.zero | x.zero
    size = Mux(v.inf | x.inf, INF, 0)
    nan = v.nan | x.nan | (zero & (v.inf | x.inf))
    return by, Mux(nan, NAN, Cat(Const(0, 31) | size, v.sign ^ x.sign))
