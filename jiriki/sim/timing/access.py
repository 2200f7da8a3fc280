"""Scratchpad accesses: which (bank, column) memories a request needs, cycle by cycle.

In: word addresses. Out: *levels*. A request for several words takes its words in levels: level k
holds the (k+1)-th distinct word of every (bank, column), one level a cycle. So a request without
collisions is one level, and equal words are read once.
"""

import numpy as np
from numba import njit

from jiriki.sim.timing import layout as at
from jiriki.sim.timing.layout import Bits, Ints

compiled = njit(error_model="numpy")
inlined = njit(error_model="numpy", inline="always")  # small, for one caller: compiles sooner

_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_NONE = np.uint64(0)
_ONE = np.uint64(1)


@compiled
def rotate(mask: int, shift: int, columns: int) -> int:
    """Move a set of columns up by `shift`, around the end."""
    s = shift & (columns - 1)
    if s == 0:
        return mask
    up = (mask << np.uint64(s)) & (_ALL >> np.uint64(64 - columns))
    return up | (mask >> np.uint64(columns - s))


@compiled
def line_mask(word: int, n: int, columns: int) -> int:
    """Return the columns of 1 <= n <= columns consecutive words."""
    return rotate(_ALL >> np.uint64(64 - n), word, columns)


@inlined
def wrap(i: int, size: int) -> int:
    """Return i modulo size for 0 <= i < 2 * size."""
    return i - size if i >= size else i


@inlined
def level(m: Ints, s: int, k: int) -> int:
    """Return the place of level k of request s."""
    return m[at.X_LEV] + (s * m[at.X_LEVELS] + k) * m[at.C_BANKS]


@compiled
def clear_level(m: Ints, b: Bits, s: int, k: int) -> int:
    """Empty level k of request s; return its place."""
    place = level(m, s, k)
    for bank in range(m[at.C_BANKS]):
        b[place + bank] = _NONE
    return place


@compiled
def line_level(m: Ints, b: Bits, s: int, word: int, n: int) -> None:
    """Make request s one level: the n <= columns consecutive words at `word`."""
    banks, columns, size = m[at.C_BANKS], m[at.C_COLUMNS], m[at.C_BANKWORDS]
    place = clear_level(m, b, s, at.FIRST)
    room = size - word % size
    bank = (word // size) & (banks - 1)
    if n <= room:
        b[place + bank] = line_mask(word, n, columns)
    else:
        b[place + bank] |= line_mask(word, room, columns)
        b[place + ((bank + 1) & (banks - 1))] |= line_mask(word + room, n - room, columns)


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
    for j in range(i):
        if m[words + j] == m[words + i]:
            return True
    return False


@compiled
def gather_levels(m: Ints, b: Bits, s: int, words: int, count: int, width: int, shift: int) -> int:
    """Make the levels of request s: elements of `width` words at words[:count] + shift."""
    banks, columns, size = m[at.C_BANKS], m[at.C_COLUMNS], m[at.C_BANKWORDS]
    base, levels = level(m, s, at.FIRST), 0
    for i in range(count):
        for j in range(width):
            word = m[words + i] + shift + j
            bank = (word // size) & (banks - 1)
            bit = _ONE << np.uint64(word & (columns - 1))
            k = 0
            while k < levels and b[base + k * banks + bank] & bit != _NONE:
                k += 1
            if k > 0 and j == 0 and repeated(m, words, i):
                break
            if k == levels:
                clear_level(m, b, s, k)
                levels += 1
            b[base + k * banks + bank] |= bit
    return levels


@inlined
def flat_levels(m: Ints, b: Bits, words: int, count: int) -> int:
    """Make the flat levels: those of words[:count] as if all lay in one bank."""
    columns, flat, levels = m[at.C_COLUMNS], m[at.X_FLAT], 0
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
def stream_levels(
    m: Ints, b: Bits, s: int, stream: int, g: int, ky: int, kx: int, p0: int, n: int
) -> int:
    """Make the levels of one vector stream's beat; return their number."""
    w, width = m[stream + at.VS_WIN], m[stream + at.VS_WIDTH]
    origin = m[stream + at.VS_BASE] + g * m[w + at.W_PLANE] * width
    ow = m[w + at.W_OW]
    ox = p0 % ow
    if m[w + at.W_SX] == 1 and ox + n <= ow:  # one run of one row: a line
        iy = (p0 // ow) * m[w + at.W_SY] + ky * m[w + at.W_DY] - m[w + at.W_PY]
        first = ox + kx * m[w + at.W_DX] - m[w + at.W_PX]
        low, high = max(first, 0), min(first + n, m[w + at.W_W])
        if low >= high or not 0 <= iy < m[w + at.W_H]:
            return 0
        word = origin + (iy * m[w + at.W_PITCH] + low) * width
        line_level(m, b, s, word, (high - low) * width)
        return 1
    words = m[at.X_SCRATCH]
    count = window_words(m, w, origin, width, ky, kx, p0, n, words, at.FIRST)
    return gather_levels(m, b, s, words, count, width, at.FIRST)


@compiled
def take(m: Ints, b: Bits, s: int, k: int, taken: int) -> None:
    """Mark level k of request s in the set at place `taken`."""
    place = level(m, s, k)
    for bank in range(m[at.C_BANKS]):
        b[taken + bank] |= b[place + bank]


@compiled
def grant(m: Ints, b: Bits, s: int, k: int, taken: int) -> bool:
    """Take level k of request s if nothing it needs is taken; say whether it was."""
    place = level(m, s, k)
    for bank in range(m[at.C_BANKS]):
        if b[place + bank] & b[taken + bank] != _NONE:
            return False
    for bank in range(m[at.C_BANKS]):
        b[taken + bank] |= b[place + bank]
    return True


@compiled
def bank_span(m: Ints, low: int, high: int) -> int:
    """Return the set (bit i: bank i) of banks that words low .. high lie in."""
    size, banks = m[at.C_BANKWORDS], m[at.C_BANKS]
    if high < low:
        return 0
    if (high - low) // size >= banks:
        return (1 << banks) - 1
    span = 0
    for bank in range(low // size, high // size + 1):
        span |= 1 << (bank & (banks - 1))
    return span
