"""VX in the kernel, one cycle at a time: fetching beats, and writing results vx_latency later."""

from jiriki.sim.timing import layout as at
from jiriki.sim.timing.access import (
    bank_span,
    compiled,
    grant,
    inlined,
    is_line,
    line_level,
    stream_levels,
    wrap,
)
from jiriki.sim.timing.dma import complete
from jiriki.sim.timing.layout import Bits, Ints

PARAMETER_WORDS = 8  # ku int32 and ku fp32

_COUNT = at.COUNTS + at.VX * at.COUNTERS


@inlined
def begin_vector(m: Ints, row: int) -> None:
    """Start a VRUN or LDT."""
    par = m[row + at.R_PAR]
    m[at.VX_ROW], m[at.VX_PARAMETERS], m[at.VX_KIND] = row, par, m[row + at.R_KIND]
    m[at.VX_GROUP] = m[at.VX_PIXEL] = m[at.VX_TAP] = m[at.VX_FETCHING] = m[at.VX_FOLD] = m[
        at.VX_TABLE_LINE
    ] = 0
    m[at.VX_READY] = 0
    if m[at.VX_KIND] == at.VRUN:
        m[at.VX_LINE_WANTED] = m[par + at.V_USES] >> 4 & 1
        m[at.VX_BANKS] = read_banks(m, par)
    else:
        base, words = m[par + at.T_BASE], 4 * m[at.CHIP_BEAT_PIXELS] * m[par + at.T_LINES]
        m[at.VX_BANKS] = bank_span(m, base, base + words - 1)


@inlined
def read_banks(m: Ints, par: int) -> int:
    """Return the set of banks that a VRUN may read (never too small)."""
    banks, groups = 0, m[par + at.V_GROUPS]
    for i in range(3):
        stream = par + at.V_STREAM + at.VS * i
        width, base, w = m[stream + at.VS_WIDTH], m[stream + at.VS_BASE], m[stream + at.VS_WIN]
        if width > 0:
            reach = (groups - 1) * m[w + at.W_PLANE] + (m[w + at.W_H] - 1) * m[w + at.W_PITCH]
            banks |= bank_span(m, base, base + (reach + m[w + at.W_W]) * width - 1)
    if m[par + at.V_USES] >> 4 & 1:
        base = m[par + at.V_PARAM]
        banks |= bank_span(m, base, base + groups * PARAMETER_WORDS - 1)
    return banks


@compiled
def step_vector(m: Ints, b: Bits, t: int) -> None:
    """Do what VX's front does in one cycle of an instruction, and count the cycle."""
    par, reason, ends = m[at.VX_PARAMETERS], at.N_BUSY, False
    if m[at.VX_KIND] == at.LDT:
        reason = load_table(m, b, t)
    elif m[at.VX_FOLD] > 0:
        if m[at.VX_FOLD] > 1 or may_go_on(m, t, par):
            m[at.VX_FOLD] -= 1
            ends = m[at.VX_FOLD] == 0
        else:
            reason = at.N_CHAIN
    elif m[at.VX_LINE_WANTED]:
        base = m[par + at.V_PARAM] + m[at.VX_GROUP] * PARAMETER_WORDS
        line_level(m, b, at.L_V0, base, PARAMETER_WORDS)
        if grant(m, b, at.L_V0, at.FIRST, at.BITS_READ):
            m[at.VX_LINE_WANTED] = 0
        else:
            reason = at.N_BANK
    elif m[at.VX_FETCHING] == 0 and m[at.VX_READY] == 0 and no_credit(m, par):
        reason = at.N_WRITE
    elif m[at.VX_READY] == 0 and not fetch_beat(m, b, par):
        reason = at.N_BANK
    elif not may_send(m, t, m[par + at.V_BEFORE], m[par + at.V_ROUNDS]):
        m[at.VX_READY], reason = 1, at.N_CHAIN
    else:
        m[at.VX_READY] = 0
        go_round(m, t, m[par + at.V_BEFORE] - m[at.CHIP_PASS_CYCLES])
        m[at.VX_FOLD] = m[par + at.V_FOLD] if gives_result(m, par) else m[par + at.V_STEP]
        ends = m[at.VX_FOLD] == 0
    if ends:
        end_beat(m, t, par)
    m[_COUNT + reason] += 1


@compiled
def may_send(m: Ints, t: int, before: int, rounds: int) -> bool:
    """Say whether the chain takes a beat: none goes round now, and it overtakes none."""
    if m[m[at.AREA_ROUNDS] + t % m[at.CHIP_PASS_CYCLES]] >= t:
        return False
    return t + before > m[at.VX_REACH] and t + rounds > m[at.VX_LEAVE]


@inlined
def may_go_on(m: Ints, t: int, par: int) -> bool:
    """Say whether the last halving (or step) of a beat may end."""
    if m[par + at.V_AGAIN] == 0 or not gives_result(m, par):
        return True
    return m[m[at.AREA_ROUNDS] + t % m[at.CHIP_PASS_CYCLES]] < t


@inlined
def go_round(m: Ints, t: int, cycles: int) -> None:
    """Note that what enters the chain now goes round until `cycles` later."""
    slot = m[at.AREA_ROUNDS] + t % m[at.CHIP_PASS_CYCLES]
    m[slot] = max(m[slot], t + cycles)


@inlined
def load_table(m: Ints, b: Bits, t: int) -> int:
    """Try to read one line of a table and send it on; return what the cycle counts as."""
    par, n, pass_cycles = m[at.VX_PARAMETERS], 4 * m[at.CHIP_BEAT_PIXELS], m[at.CHIP_PASS_CYCLES]
    if m[at.VX_READY] == 0:
        line_level(m, b, at.L_V0, m[par + at.T_BASE] + m[at.VX_TABLE_LINE] * n, n)
        if not grant(m, b, at.L_V0, at.FIRST, at.BITS_READ):
            return at.N_BANK
    if not may_send(m, t, pass_cycles, pass_cycles):
        m[at.VX_READY] = 1
        return at.N_CHAIN
    m[at.VX_READY], m[at.VX_REACH], m[at.VX_LEAVE] = 0, t + pass_cycles, t + pass_cycles
    m[at.VX_TABLE_LINE] += 1
    if m[at.VX_TABLE_LINE] == m[par + at.T_LINES]:
        complete(m, at.VX, m[at.VX_ROW], t + m[at.CHIP_VX_LATENCY])
        m[at.VX_ROW], m[at.VX_FREE], m[at.DIRTY] = -1, t + 1, 1
    return at.N_BUSY


@compiled
def gives_result(m: Ints, par: int) -> bool:
    """Say whether a result comes out of the present beat."""
    every = m[par + at.V_EVERY]
    if every == at.EVERY_WINDOW:
        return m[at.VX_TAP] == m[par + at.V_TAPS] - 1
    if every == at.EVERY_GROUP:
        return m[at.VX_PIXEL] + m[at.CHIP_BEAT_PIXELS] >= m[par + at.V_P]
    if every == at.EVERY_PIXEL:
        return m[at.VX_GROUP] == m[par + at.V_GROUPS] - 1
    return True


@inlined
def no_credit(m: Ints, par: int) -> bool:
    """Say whether a beat may not start because too many results wait to be written."""
    if m[at.OUT_COUNT] < m[at.CHIP_OUT_BEATS] or m[par + at.V_USES] >> 3 & 1 == 0:
        return False
    return gives_result(m, par)


@inlined
def fetch_beat(m: Ints, b: Bits, par: int) -> bool:
    """Ask for the next words of each stream; say whether the beat is complete."""
    if m[at.VX_FETCHING] == 0:
        if m[at.OTHERS_READ] == 0 and is_free(m, par):
            return True
        set_beat(m, b, par)
    missing = 0
    for i in range(3):
        if m[at.STREAM_DONE + i] < m[at.STREAM_LEVELS + i]:
            if grant(m, b, at.L_V0 + i, m[at.STREAM_DONE + i], at.BITS_READ):
                m[at.STREAM_DONE + i] += 1
            missing += m[at.STREAM_LEVELS + i] - m[at.STREAM_DONE + i]
    if missing == 0:
        m[at.VX_FETCHING] = 0
    return missing == 0


@inlined
def is_free(m: Ints, par: int) -> bool:
    """Say whether a beat takes one cycle when nobody else reads: at most one stream, a line."""
    stream, used = 0, 0
    for i in range(3):
        if m[par + at.V_STREAM + at.VS * i + at.VS_WIDTH] > 0:
            stream, used = par + at.V_STREAM + at.VS * i, used + 1
    if used != 1:
        return used == 0
    n = min(m[at.CHIP_BEAT_PIXELS], m[par + at.V_P] - m[at.VX_PIXEL])
    return is_line(m, stream, m[at.VX_PIXEL], n)


@inlined
def set_beat(m: Ints, b: Bits, par: int) -> None:
    """Find the words of each stream of the present beat."""
    m[at.VX_FETCHING] = 1
    p0, kw, ky, kx = m[at.VX_PIXEL], m[par + at.V_KW], 0, 0
    n = min(m[at.CHIP_BEAT_PIXELS], m[par + at.V_P] - p0)
    if m[at.VX_TAP] > 0:
        ky = m[at.VX_TAP] // kw
        kx = m[at.VX_TAP] - ky * kw
    for i in range(3):
        stream = par + at.V_STREAM + at.VS * i
        m[at.STREAM_LEVELS + i], m[at.STREAM_DONE + i] = 0, 0
        if m[stream + at.VS_WIDTH] > 0:
            m[at.STREAM_LEVELS + i] = stream_levels(
                m, b, at.L_V0 + i, stream, m[at.VX_GROUP], ky, kx, p0, n
            )
        ky = kx = 0  # only stream 0 walks over the taps


@inlined
def end_beat(m: Ints, t: int, par: int) -> None:
    """Send the beat's result, if any, into the pipeline; go to the next beat, or to the end."""
    row, group, p0 = m[at.VX_ROW], m[at.VX_GROUP], m[at.VX_PIXEL]
    result = gives_result(m, par)
    sends = result and m[par + at.V_USES] >> 3 & 1 == 1
    if result and m[par + at.V_AGAIN]:
        go_round(m, t, m[par + at.V_AGAIN])
    m[at.VX_REACH], m[at.VX_LEAVE] = t + m[par + at.V_BEFORE], t + m[par + at.V_ROUNDS]
    ready = t + m[at.CHIP_VX_LATENCY] + m[par + at.V_ROUNDS] - m[at.CHIP_PASS_CYCLES]
    done = next_beat(m, par)
    if sends:
        slot = wrap(m[at.OUT_HEAD] + m[at.OUT_COUNT], m[at.CHIP_OUT_BEATS])
        m[at.OUT_COUNT] += 1
        entry, every = m[at.AREA_OUT] + slot * at.OUT, m[par + at.V_EVERY]
        m[entry + at.O_READY] = ready
        m[entry + at.O_ROW] = row
        m[entry + at.O_G] = 0 if every == at.EVERY_PIXEL else group
        m[entry + at.O_P0] = 0 if every == at.EVERY_GROUP else p0
        m[entry + at.O_LAST] = 1 if done else 0
    if done:
        m[at.VX_ROW], m[at.VX_FREE], m[at.DIRTY] = -1, t + 1, 1
        if not sends:
            complete(m, at.VX, row, ready)


@inlined
def next_beat(m: Ints, par: int) -> bool:
    """Move to the next beat; say whether there is none."""
    m[at.VX_TAP] += 1
    if m[at.VX_TAP] < m[par + at.V_TAPS]:
        return False
    m[at.VX_TAP] = 0
    group, groups, p = m[at.VX_GROUP], m[par + at.V_GROUPS], m[par + at.V_P]
    if m[par + at.V_BYPIXEL]:  # groups innermost
        m[at.VX_GROUP] += 1
        if m[at.VX_GROUP] == groups:
            m[at.VX_GROUP] = 0
            m[at.VX_PIXEL] += m[at.CHIP_BEAT_PIXELS]
        done = m[at.VX_PIXEL] >= p
    else:
        m[at.VX_PIXEL] += m[at.CHIP_BEAT_PIXELS]
        if m[at.VX_PIXEL] >= p:
            m[at.VX_PIXEL] = 0
            m[at.VX_GROUP] += 1
        done = m[at.VX_GROUP] == groups
    if m[at.VX_GROUP] != group:
        m[at.VX_LINE_WANTED] = m[par + at.V_USES] >> 4 & 1
    return done


@compiled
def write_beat(m: Ints, b: Bits, t: int) -> None:
    """Try to write the oldest result; there is one."""
    entry = m[at.AREA_OUT] + m[at.OUT_HEAD] * at.OUT
    if m[entry + at.O_READY] > t:
        return
    if m[at.OUT_LEVELS] < 0:
        par, p0 = m[m[entry + at.O_ROW] + at.R_PAR], m[entry + at.O_P0]
        n = 1 if m[par + at.V_EVERY] == at.EVERY_GROUP else m[at.CHIP_BEAT_PIXELS]
        n, stream = min(n, m[par + at.V_P] - p0), par + at.V_STREAM + 3 * at.VS
        m[at.OUT_LEVEL], m[at.OUT_LEVELS] = 0, 0
        if m[at.OTHERS_WRITE] or not is_line(m, stream, p0, n):
            group = m[entry + at.O_G]
            m[at.OUT_LEVELS] = stream_levels(
                m, b, at.L_OUT, stream, group, at.FIRST, at.FIRST, p0, n
            )
    if m[at.OUT_LEVELS] > 0:
        if not grant(m, b, at.L_OUT, m[at.OUT_LEVEL], m[at.BITS_WRITTEN]):
            return
        m[at.OUT_LEVEL] += 1
    if m[at.OUT_LEVEL] < m[at.OUT_LEVELS]:
        return
    m[at.OUT_LEVELS] = -1
    m[at.OUT_HEAD] = wrap(m[at.OUT_HEAD] + 1, m[at.CHIP_OUT_BEATS])
    m[at.OUT_COUNT] -= 1
    if m[entry + at.O_LAST]:
        complete(m, at.VX, m[entry + at.O_ROW], t)
