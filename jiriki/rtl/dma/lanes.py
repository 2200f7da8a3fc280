"""Lanes: bytes side by side, as wide as a beat; the few ways in which LD and ST move them.

In and out: Amaranth values, byte 0 in the lowest bits. Combinational.
"""

from amaranth.hdl import Cat, Const, Mux, Value


def across_rows(first: Value, second: Value, place: Value, lanes: int) -> Value:
    """Return the bytes that begin at lane `place` of `first` and go on in `second`.

    Each stays in its lane: byte i is in lane (place + i) modulo lanes.
    """
    mixed = [
        Mux(place > lane, second.word_select(lane, 8), first.word_select(lane, 8))
        for lane in range(lanes)
    ]
    return Value.cast(Cat(mixed))


def turned(value: Value, by: Value, lanes: int) -> Value:
    """Return the lanes turned down by `by` < lanes: lane l is lane (l + by) modulo lanes."""
    return Value.cast(Cat(value, value).bit_select(8 * by, 8 * lanes))


def lowest(count: Value, lanes: int) -> Value:
    """Return a bit a lane: 1 for the lowest `count` <= lanes."""
    return Const((1 << lanes) - 1, lanes) >> (lanes - count).as_unsigned()
