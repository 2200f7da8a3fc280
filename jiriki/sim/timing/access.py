"""Scratchpad accesses: which (bank, column) memories a request needs, cycle by cycle.

In: word addresses. Out: *levels*. A request for several words takes its words in levels: level k
holds the (k+1)-th distinct word of every column, one level a cycle. So a request without
collisions is one level, and equal words are read once.
"""

import numpy as np
from numba import njit

from jiriki.sim.timing import layout as at
from jiriki.sim.timing.layout import Bits, Ints

# Only `compiled.py` calls from Python, so no function needs a wrapper for that.
_OPTIONS = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
compiled = njit(**_OPTIONS)
inlined = njit(inline="always", **_OPTIONS)  # small, for one caller: compiles sooner

_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_NONE = np.uint64(0)
_ONE = np.uint64(1)


@compiled
def rotate(mask: np.uint64, shift: int, columns: int) -> np.uint64:
    """Move a set of columns up by `shift`, around the end."""
    s = shift & (columns - 1)
    if s == 0:
        return mask
    up = (mask << np.uint64(s)) & (_ALL >> np.uint64(64 - columns))
    return up | (mask >> np.uint64(columns - s))


@compiled
def line_mask(word: int, n: int, columns: int) -> np.uint64:
    """Return the columns of 1 <= n <= columns consecutive words."""
    return rotate(_ALL >> np.uint64(64 - n), word, columns)


@inlined
def wrap(i: int, size: int) -> int:
    """Return i modulo size for 0 <= i < 2 * size."""
    return i - size if i >= size else i


@inlined
def level(m: Ints, s: int, k: int) -> int:
    """Return the number of level k of request s."""
    return s * m[at.LEVELS] + k


@inlined
def one_bank(m: Ints, b: Bits, number: int, bank: int, columns: np.uint64) -> None:
    """Make a level some columns of one bank."""
    m[m[at.AREA_LOW] + number] = m[m[at.AREA_HIGH] + number] = bank
    b[m[at.BITS_LEVELS] + number * m[at.CHIP_BANKS] + bank] = columns


@compiled
def add_columns(m: Ints, b: Bits, number: int, bank: int, columns: np.uint64) -> None:
    """Add columns of a bank to a level that has some."""
    low, high = m[at.AREA_LOW] + number, m[at.AREA_HIGH] + number
    place = m[at.BITS_LEVELS] + number * m[at.CHIP_BANKS]
    while m[low] > bank:
        m[low] -= 1
        b[place + m[low]] = _NONE
    while m[high] < bank:
        m[high] += 1
        b[place + m[high]] = _NONE
    b[place + bank] |= columns


@inlined
def bank_of(m: Ints, word: int) -> int:
    """Return the bank of a word (beyond the last bank: not wrapped)."""
    bits = m[at.CHIP_BANK_BITS]
    return word >> bits if bits >= 0 else word // m[at.CHIP_BANK_WORDS]


@compiled
def line_level(m: Ints, b: Bits, s: int, word: int, n: int) -> None:
    """Make request s one level: the n <= columns consecutive words at `word`."""
    banks, columns, size = m[at.CHIP_BANKS], m[at.CHIP_COLUMNS], m[at.CHIP_BANK_WORDS]
    bank, number = bank_of(m, word), s * m[at.LEVELS]
    room = (bank + 1) * size - word
    if n <= room:
        one_bank(m, b, number, bank & (banks - 1), line_mask(word, n, columns))
    else:
        one_bank(m, b, number, bank & (banks - 1), line_mask(word, room, columns))
        rest = line_mask(word + room, n - room, columns)
        add_columns(m, b, number, (bank + 1) & (banks - 1), rest)


@compiled
def window_words(
    m: Ints, w: int, origin: int, width: int, ky: int, kx: int, p0: int, n: int, words: int,
    count: int,
) -> int:  # fmt: skip
    """Append the first word of each element inside window w, pixels p0 .. p0 + n - 1.

    origin: the word of element 0 of the channel group; words: place of the list, which holds
    `count` already. Returns the new count.
    """
    ow = m[w + at.W_OW]
    oy, ox = p0 // ow, p0 % ow
    down = ky * m[w + at.W_DY] - m[w + at.W_PY]
    across = kx * m[w + at.W_DX] - m[w + at.W_PX]
    for _ in range(n):
        iy, ix = oy * m[w + at.W_SY] + down, ox * m[w + at.W_SX] + across
        if 0 <= iy < m[w + at.W_H] and 0 <= ix < m[w + at.W_W]:
            m[words + count] = origin + (iy * m[w + at.W_PITCH] + ix) * width
            count += 1
        ox += 1
        if ox == ow:
            ox, oy = 0, oy + 1
    return count


@compiled
def repeated(m: Ints, words: int, i: int) -> bool:
    """Say whether word i of a list occurs earlier in it."""
    for j in range(i):  # noqa: SIM110 (Numba compiles no generator)
        if m[words + j] == m[words + i]:
            return True
    return False


@compiled
def gather_levels(m: Ints, b: Bits, s: int, words: int, count: int, width: int, shift: int) -> int:
    """Make the levels of request s: elements of `width` words at words[:count] + shift."""
    banks, columns = m[at.CHIP_BANKS], m[at.CHIP_COLUMNS]
    first, levels = s * m[at.LEVELS], 0
    for i in range(count):
        for j in range(width):
            word = m[words + i] + shift + j
            bank = bank_of(m, word) & (banks - 1)
            bit = _ONE << np.uint64(word & (columns - 1))
            k = 0
            while k < levels and holds(m, b, first + k, bit):
                k += 1
            if k > 0 and j == 0 and repeated(m, words, i):
                break
            if k == levels:
                one_bank(m, b, first + k, bank, bit)
                levels += 1
            else:
                add_columns(m, b, first + k, bank, bit)
    return levels


@inlined
def holds(m: Ints, b: Bits, number: int, bit: np.uint64) -> bool:
    """Say whether a level needs a column, of whatever bank."""
    place, columns = m[at.BITS_LEVELS] + number * m[at.CHIP_BANKS], _NONE
    for bank in range(m[m[at.AREA_LOW] + number], m[m[at.AREA_HIGH] + number] + 1):
        columns |= b[place + bank]
    return columns & bit != _NONE


@inlined
def flat_levels(m: Ints, b: Bits, words: int, count: int) -> int:
    """Make the flat levels: those of words[:count] as if all lay in one bank."""
    columns, flat, levels = m[at.CHIP_COLUMNS], m[at.BITS_FLAT], 0
    for i in range(count):
        bit = _ONE << np.uint64(m[words + i] & (columns - 1))
        k = 0
        while k < levels and b[flat + k] & bit != _NONE:
            k += 1
        if k > 0 and repeated(m, words, i):
            continue
        if k == levels:
            b[flat + k] = _NONE
            levels += 1
        b[flat + k] |= bit
    return levels


@compiled
def is_line(m: Ints, stream: int, p0: int, n: int) -> bool:
    """Say whether a stream's beat is one run of one row: one level, or none in the padding."""
    w = m[stream + at.VS_WIN]
    ow = m[w + at.W_OW]
    ox = p0 - p0 // ow * ow if p0 >= ow else p0
    return m[w + at.W_SX] == 1 and ox + n <= ow


@compiled
def stream_levels(
    m: Ints, b: Bits, s: int, stream: int, g: int, ky: int, kx: int, p0: int, n: int
) -> int:
    """Make the levels of one vector stream's beat; return their number."""
    w, width = m[stream + at.VS_WIN], m[stream + at.VS_WIDTH]
    origin = m[stream + at.VS_BASE] + g * m[w + at.W_PLANE] * width
    ow = m[w + at.W_OW]
    oy = p0 // ow if p0 >= ow else 0
    ox = p0 - oy * ow
    if m[w + at.W_SX] == 1 and ox + n <= ow:  # one run of one row: a line
        iy = oy * m[w + at.W_SY] + ky * m[w + at.W_DY] - m[w + at.W_PY]
        first = ox + kx * m[w + at.W_DX] - m[w + at.W_PX]
        low, high = max(first, 0), min(first + n, m[w + at.W_W])
        if low >= high or not 0 <= iy < m[w + at.W_H]:
            return 0
        word = origin + (iy * m[w + at.W_PITCH] + low) * width
        line_level(m, b, s, word, (high - low) * width)
        return 1
    words = m[at.AREA_SCRATCH]
    count = window_words(m, w, origin, width, ky, kx, p0, n, words, at.FIRST)
    return gather_levels(m, b, s, words, count, width, at.FIRST)


@compiled
def take(m: Ints, b: Bits, s: int, k: int, taken: int) -> None:
    """Mark level k of request s in the set at place `taken`."""
    number = level(m, s, k)
    place = m[at.BITS_LEVELS] + number * m[at.CHIP_BANKS]
    m[at.SETS_TAKEN] = 1
    for bank in range(m[m[at.AREA_LOW] + number], m[m[at.AREA_HIGH] + number] + 1):
        b[taken + bank] |= b[place + bank]


@compiled
def grant(m: Ints, b: Bits, s: int, k: int, taken: int) -> bool:
    """Take level k of request s if nothing it needs is taken; say whether it was."""
    number = level(m, s, k)
    place = m[at.BITS_LEVELS] + number * m[at.CHIP_BANKS]
    for bank in range(m[m[at.AREA_LOW] + number], m[m[at.AREA_HIGH] + number] + 1):
        if b[place + bank] & b[taken + bank] != _NONE:
            return False
    take(m, b, s, k, taken)
    return True


@compiled
def bank_span(m: Ints, low: int, high: int) -> int:
    """Return the set (bit i: bank i) of banks that words low .. high lie in."""
    size, banks = m[at.CHIP_BANK_WORDS], m[at.CHIP_BANKS]
    if high < low:
        return 0
    if (high - low) // size >= banks:
        return (1 << banks) - 1
    span = 0
    for bank in range(low // size, high // size + 1):
        span |= 1 << (bank & (banks - 1))
    return span
