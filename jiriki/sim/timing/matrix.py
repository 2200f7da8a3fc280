"""MX in the kernel: an instruction's cycles at once, and what it reads in one given cycle.

MX has the highest priority at the scratchpad's read ports, so that nothing delays it once it has
started: `begin` finds its last cycle without stepping. A unit that wants to read a bank that MX
uses asks `occupy(t)`, which walks forward to cycle t. Both rest on the same meaning of a step.

An instruction is a nest: outer tiles `o`, pixel tiles `t`, taps, steps `g` of a tap. In a step
port A reads one gather or line and port B another; A goes first, B as soon as it collides with
nothing of A.
"""

import numpy as np

from jiriki.sim.timing import layout as at
from jiriki.sim.timing.access import (
    bank_of,
    bank_span,
    compiled,
    flat_levels,
    gather_levels,
    inlined,
    level,
    line_level,
    line_mask,
    one_bank,
    rotate,
    take,
    window_words,
)
from jiriki.sim.timing.layout import Bits, Ints

_COUNT = at.COUNTS + at.MX * at.COUNTERS
_NONE = np.uint64(0)


@compiled
def begin(m: Ints, b: Bits, row: int, t: int) -> int:
    """Start the MX instruction of a trace record at cycle t; return the cycle it completes."""
    set_up(m, row, t)
    free, now, waited, work = m[at.MX_DRAIN_FREE], t, 0, 0
    drain, outers = m[at.MX_DRAIN], m[m[at.MX_PARAMETERS] + at.M_OUTER]
    for o in range(outers):
        for tile in range(m[at.MX_TILES]):
            before, last = tile_cycles(m, b, o, tile)
            natural = now + before
            step = max(natural, free) if drain else natural
            waited += step - natural
            work += before + last
            now = step + last
            if drain:
                free = now - 1 + drain
    m[at.MX_LAST], m[at.MX_DRAIN_FREE] = now - 1, free
    steps = outers * m[at.MX_TILES] * m[at.MX_STEPS]
    m[_COUNT + at.N_BUSY] += steps
    m[_COUNT + at.N_BANK] += work - steps
    m[_COUNT + at.N_DRAIN] += waited
    m[at.MX_OUTER], m[at.MX_TILE], m[at.MX_TILE_BEGIN], m[at.MX_TILE_LAST] = (
        0,
        0,
        t,
        -1,
    )  # walker outside
    return now - 1 + m[at.CHIP_MX_LATENCY] + drain


@inlined
def set_up(m: Ints, row: int, t: int) -> None:
    """Note the instruction's sizes and the banks it may read."""
    par, kind = m[row + at.R_PAR], m[row + at.R_KIND]
    m[at.MX_PARAMETERS], m[at.MX_KIND], m[at.MX_START] = par, kind, t
    m[at.MX_WALK_FREE] = m[at.MX_DRAIN_FREE]
    m[at.GATHER_TILE] = -1
    by_pixel = kind == at.DENSE or kind == at.DW
    m[at.MX_TILES] = (m[par + at.M_P] + m[at.CHIP_MU] - 1) // m[at.CHIP_MU] if by_pixel else 1
    m[at.MX_STEPS] = m[par + at.M_TAPS] * m[par + at.M_GROUPS]
    m[at.MX_DRAIN] = m[at.CHIP_DRAIN_CYCLES]
    if kind == at.GEMV:
        m[at.MX_DRAIN] = 2 * m[at.CHIP_NU] // m[at.CHIP_KU]
    elif kind == at.LDW:
        m[at.MX_DRAIN] = 0
    a_banks, b_banks = operand_banks(m, par, kind)
    m[at.MX_BANKS] = a_banks | b_banks
    m[at.MX_MIXED] = 1 if kind != at.DENSE or (a_banks & b_banks) != 0 else 0


@compiled
def operand_banks(m: Ints, par: int, kind: int) -> tuple[int, int]:
    """Return the sets of banks that A and B may lie in (never too small)."""
    a_banks, b_banks = 0, 0
    if kind == at.DENSE or kind == at.DW:
        w, a, groups = m[par + at.M_WIN], m[par + at.M_A], m[par + at.M_GROUPS]
        if kind == at.DW:
            groups = m[par + at.M_OUTER] * (m[at.CHIP_NU] >> m[at.CHIP_KU_BITS])
        reach = (groups - 1) * m[w + at.W_PLANE] + (m[w + at.W_H] - 1) * m[w + at.W_PITCH]
        a_banks = bank_span(m, a, a + reach + m[w + at.W_W] - 1)
    if kind != at.DW:
        tiles = m[par + at.M_P] if kind == at.GEMV else m[par + at.M_OUTER]
        reach = (tiles - 1) * m[par + at.M_BTILE] + (m[at.MX_STEPS] - 1) * m[par + at.M_BSTEP]
        start = m[par + at.M_B]
        b_banks = bank_span(m, start, start + reach + m[par + at.M_BWORDS] - 1)
    return a_banks, b_banks


@compiled
def tile_cycles(m: Ints, b: Bits, o: int, tile: int) -> tuple[int, int]:
    """Return the cycles of a register tile before its last step, and of the last step."""
    apart = m[at.MX_MIXED] == 0  # A and B never meet: the same for every outer tile
    if apart and o > 0:
        return m[m[at.AREA_TILE_BEFORE] + tile], m[m[at.AREA_TILE_LAST] + tile]
    par = m[at.MX_PARAMETERS]
    groups, total, last = m[par + at.M_GROUPS], 0, 0
    for tap in range(m[par + at.M_TAPS]):
        set_gather(m, b, tile, tap)
        if apart:
            last = max(1, m[at.GATHER_LEVELS])
            total += groups * last
        else:
            for g in range(groups):
                last = step_cycles(m, b, o, tap, g)
                total += last
    if apart:
        m[m[at.AREA_TILE_BEFORE] + tile], m[m[at.AREA_TILE_LAST] + tile] = total - last, last
    return total - last, last


@compiled
def set_gather(m: Ints, b: Bits, tile: int, tap: int) -> None:
    """Find the words of port A's gather of one (pixel tile, tap) at channel group 0."""
    if m[at.GATHER_TILE] == tile and m[at.GATHER_TAP] == tap:
        return
    m[at.GATHER_TILE], m[at.GATHER_TAP] = tile, tap
    kind, mu, par = m[at.MX_KIND], m[at.CHIP_MU], m[at.MX_PARAMETERS]
    if kind == at.GEMV or kind == at.LDW:
        return
    w, a, first, words = m[par + at.M_WIN], m[par + at.M_A], tile * mu, m[at.AREA_WORDS]
    kw, n, count = m[w + at.W_KW], min(mu, m[par + at.M_P] - first), 0
    if kind == at.DENSE:
        count = window_words(m, w, a, at.ONCE, tap // kw, tap % kw, first, n, words, at.FIRST)
    else:
        ku, chunks = m[at.CHIP_KU], m[par + at.M_CHUNKS]
        ky, c = tap // chunks, tap % chunks
        for kx in range(c * ku, min(kw, c * ku + ku)):
            count = window_words(m, w, a, at.ONCE, ky, kx, first, n, words, count)
    low, high = at.NEVER, -1
    for i in range(count):
        low, high = min(low, m[words + i]), max(high, m[words + i])
    m[at.GATHER_COUNT], m[at.GATHER_LOW], m[at.GATHER_HIGH] = count, low, high
    m[at.GATHER_LEVELS] = flat_levels(m, b, words, count)


@compiled
def gather_at(m: Ints, b: Bits, s: int, group: int) -> int:
    """Make the levels of the gather at a channel group, as request s; return their number."""
    if m[at.GATHER_COUNT] == 0:
        return 0
    banks = m[at.CHIP_BANKS]
    shift = group * m[m[m[at.MX_PARAMETERS] + at.M_WIN] + at.W_PLANE]
    bank = bank_of(m, m[at.GATHER_LOW] + shift)
    if bank != bank_of(m, m[at.GATHER_HIGH] + shift):
        return gather_levels(m, b, s, m[at.AREA_WORDS], m[at.GATHER_COUNT], at.ONCE, shift)
    for k in range(m[at.GATHER_LEVELS]):
        columns = rotate(b[m[at.BITS_FLAT] + k], shift, m[at.CHIP_COLUMNS])
        one_bank(m, b, level(m, s, k), bank & (banks - 1), columns)
    return m[at.GATHER_LEVELS]


@compiled
def set_step(m: Ints, b: Bits, o: int, tap: int, g: int) -> tuple[int, int]:
    """Make the levels of ports A and B in one step; return their numbers."""
    kind, par = m[at.MX_KIND], m[at.MX_PARAMETERS]
    if kind == at.DW:
        groups = m[at.CHIP_NU] >> m[at.CHIP_KU_BITS]
        first = o * groups + 2 * g
        second = gather_at(m, b, at.L_B, first + 1) if 2 * g + 1 < groups else 0
        return gather_at(m, b, at.L_A, first), second
    line = m[par + at.M_B] + (tap * m[par + at.M_GROUPS] + g) * m[par + at.M_BSTEP]
    n, tile = m[par + at.M_BWORDS], m[par + at.M_BTILE]
    if kind == at.GEMV:
        line_level(m, b, at.L_A, line + 2 * o * tile, n)
        if 2 * o + 1 == m[par + at.M_P]:
            return 1, 0
        line_level(m, b, at.L_B, line + (2 * o + 1) * tile, n)
        return 1, 1
    line_level(m, b, at.L_B, line + o * tile, n)
    return (gather_at(m, b, at.L_A, g) if kind == at.DENSE else 0), 1


@compiled
def step_cycles(m: Ints, b: Bits, o: int, tap: int, g: int) -> int:
    """Return the cycles of one step."""
    quick = dense_step(m, b, o, tap, g)
    if quick > 0:
        return quick
    na, nb = set_step(m, b, o, tap, g)
    return run_step(m, b, na, nb, at.NO_MARK)


@compiled
def dense_step(m: Ints, b: Bits, o: int, tap: int, g: int) -> int:
    """Return the cycles of a dense step whose gather is one level in one bank, else 0."""
    if m[at.MX_KIND] != at.DENSE or m[at.GATHER_LEVELS] > 1:
        return 0
    if m[at.GATHER_LEVELS] == 0:
        return 1
    par, size, columns = m[at.MX_PARAMETERS], m[at.CHIP_BANK_WORDS], m[at.CHIP_COLUMNS]
    shift = g * m[m[par + at.M_WIN] + at.W_PLANE]
    bank = bank_of(m, m[at.GATHER_LOW] + shift)
    line = m[par + at.M_B] + (tap * m[par + at.M_GROUPS] + g) * m[par + at.M_BSTEP]
    line += o * m[par + at.M_BTILE]
    n = m[par + at.M_BWORDS]
    b_bank = bank_of(m, line)
    if bank != bank_of(m, m[at.GATHER_HIGH] + shift) or line + n > (b_bank + 1) * size:
        return 0
    if bank != b_bank:
        return 1
    meet = rotate(b[m[at.BITS_FLAT]], shift, columns) & line_mask(line, n, columns)
    return 2 if meet != _NONE else 1


@compiled
def run_step(m: Ints, b: Bits, na: int, nb: int, mark: int) -> int:
    """Play a step of na levels at port A and nb at port B; return its cycles.

    With mark >= 0, add to `rd` what is read in that cycle of the step.
    """
    i, j, cycle = 0, 0, 0
    while i < na or j < nb:
        b_goes = j < nb and not (i < na and meets(m, b, i, j))
        if cycle == mark:
            if i < na:
                take(m, b, at.L_A, i, at.BITS_READ)
            if b_goes:
                take(m, b, at.L_B, j, at.BITS_READ)
        i += 1 if i < na else 0
        j += 1 if b_goes else 0
        cycle += 1
    return max(cycle, 1)


@inlined
def meets(m: Ints, b: Bits, i: int, j: int) -> bool:
    """Say whether level i of port A and level j of port B need one column."""
    at_a, at_b, banks = level(m, at.L_A, i), level(m, at.L_B, j), m[at.CHIP_BANKS]
    low = max(m[m[at.AREA_LOW] + at_a], m[m[at.AREA_LOW] + at_b])
    high = min(m[m[at.AREA_HIGH] + at_a], m[m[at.AREA_HIGH] + at_b])
    at_a, at_b = m[at.BITS_LEVELS] + at_a * banks, m[at.BITS_LEVELS] + at_b * banks
    for bank in range(low, high + 1):  # noqa: SIM110 (Numba compiles no generator)
        if b[at_a + bank] & b[at_b + bank] != _NONE:
            return True
    return False


@compiled
def enter_tile(m: Ints, b: Bits) -> None:
    """Find the cycles of the walker's tile."""
    before, last = tile_cycles(m, b, m[at.MX_OUTER], m[at.MX_TILE])
    m[at.MX_STEP_NATURAL] = m[at.MX_TILE_BEGIN] + before
    m[at.MX_STEP_LAST] = m[at.MX_STEP_NATURAL]
    if m[at.MX_DRAIN]:
        m[at.MX_STEP_LAST] = max(m[at.MX_STEP_NATURAL], m[at.MX_WALK_FREE])
    m[at.MX_TILE_LAST] = m[at.MX_STEP_LAST] + last - 1
    m[at.MX_WALK_FREE] = m[at.MX_TILE_LAST] + m[at.MX_DRAIN]
    m[at.MX_TAP], m[at.MX_GROUP], m[at.MX_STEP_BEGIN] = 0, 0, m[at.MX_TILE_BEGIN]


@compiled
def occupy(m: Ints, b: Bits, t: int) -> None:
    """Add to `rd` what MX reads in cycle t; t never goes back within an instruction."""
    if m[at.MX_TILE_LAST] < 0:
        enter_tile(m, b)
    while t > m[at.MX_TILE_LAST]:
        m[at.MX_TILE_BEGIN] = m[at.MX_TILE_LAST] + 1
        m[at.MX_TILE] += 1
        if m[at.MX_TILE] == m[at.MX_TILES]:
            m[at.MX_TILE] = 0
            m[at.MX_OUTER] += 1
        enter_tile(m, b)
    if m[at.MX_STEP_NATURAL] <= t < m[at.MX_STEP_LAST]:
        return  # held back by the drain
    if t >= m[at.MX_STEP_LAST]:
        m[at.MX_TAP] = m[m[at.MX_PARAMETERS] + at.M_TAPS] - 1
        m[at.MX_GROUP] = m[m[at.MX_PARAMETERS] + at.M_GROUPS] - 1
        m[at.MX_STEP_BEGIN] = m[at.MX_STEP_LAST]
        set_gather(m, b, m[at.MX_TILE], m[at.MX_TAP])
    else:
        walk_to(m, b, t)
    if mark_dense(m, b, t - m[at.MX_STEP_BEGIN]):
        return
    na, nb = set_step(m, b, m[at.MX_OUTER], m[at.MX_TAP], m[at.MX_GROUP])
    run_step(m, b, na, nb, t - m[at.MX_STEP_BEGIN])


@inlined
def mark_dense(m: Ints, b: Bits, cycle: int) -> bool:
    """Add to `rd` what a dense step reads in one of its cycles, if that is simple; say if it was.

    Simple: one level, neither operand beyond the end of its bank. B is read in the last cycle.
    """
    cost = dense_step(m, b, m[at.MX_OUTER], m[at.MX_TAP], m[at.MX_GROUP])
    if cost == 0 or m[at.GATHER_LEVELS] == 0:
        return False
    par, columns, last = m[at.MX_PARAMETERS], m[at.CHIP_COLUMNS], m[at.CHIP_BANKS] - 1
    m[at.SETS_TAKEN] = 1
    if cycle == 0:
        shift = m[at.MX_GROUP] * m[m[par + at.M_WIN] + at.W_PLANE]
        bank = bank_of(m, m[at.GATHER_LOW] + shift) & last
        b[at.BITS_READ + bank] |= rotate(b[m[at.BITS_FLAT]], shift, columns)
    if cycle == cost - 1:
        step = m[at.MX_TAP] * m[par + at.M_GROUPS] + m[at.MX_GROUP]
        line = m[par + at.M_B] + m[at.MX_OUTER] * m[par + at.M_BTILE] + step * m[par + at.M_BSTEP]
        bank = bank_of(m, line) & last
        b[at.BITS_READ + bank] |= line_mask(line, m[par + at.M_BWORDS], columns)
    return True


@compiled
def walk_to(m: Ints, b: Bits, t: int) -> None:
    """Move the walker to the step of its tile that holds cycle t, before the last step."""
    groups = m[m[at.MX_PARAMETERS] + at.M_GROUPS]
    while True:
        set_gather(m, b, m[at.MX_TILE], m[at.MX_TAP])
        if m[at.MX_MIXED] == 0:
            cost = max(1, m[at.GATHER_LEVELS])
            skip = min((t - m[at.MX_STEP_BEGIN]) // cost, groups - m[at.MX_GROUP])
            m[at.MX_GROUP] += skip
            m[at.MX_STEP_BEGIN] += skip * cost
        else:
            while m[at.MX_GROUP] < groups:
                cost = step_cycles(m, b, m[at.MX_OUTER], m[at.MX_TAP], m[at.MX_GROUP])
                if t < m[at.MX_STEP_BEGIN] + cost:
                    break
                m[at.MX_STEP_BEGIN] += cost
                m[at.MX_GROUP] += 1
        if m[at.MX_GROUP] < groups:
            return
        m[at.MX_GROUP] = 0
        m[at.MX_TAP] += 1
