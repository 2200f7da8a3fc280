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

_COUNT = at.COUNT + at.VX * at.COUNTERS


@inlined
def begin_vector(m: Ints, row: int) -> None:
    """Start a VRUN or LDT."""
    par = m[row + at.R_PAR]
    m[at.Y_ROW], m[at.Y_PAR], m[at.Y_KIND] = row, par, m[row + at.R_KIND]
    m[at.Y_G] = m[at.Y_P0] = m[at.Y_TAP] = m[at.Y_BEAT] = m[at.Y_FOLD] = m[at.Y_LINE] = 0
    m[at.Y_READY] = 0
    if m[at.Y_KIND] == at.VRUN:
        m[at.Y_PARAM] = m[par + at.V_USES] >> 4 & 1
        m[at.Y_BANKS] = read_banks(m, par)
    else:
        base, words = m[par + at.T_BASE], 4 * m[at.C_BEAT] * m[par + at.T_LINES]
        m[at.Y_BANKS] = bank_span(m, base, base + words - 1)


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
    par, reason, ends = m[at.Y_PAR], at.N_BUSY, False
    if m[at.Y_KIND] == at.LDT:
        reason = load_table(m, b, t)
    elif m[at.Y_FOLD] > 0:
        if m[at.Y_FOLD] > 1 or may_go_on(m, t, par):
            m[at.Y_FOLD] -= 1
            ends = m[at.Y_FOLD] == 0
        else:
            reason = at.N_CHAIN
    elif m[at.Y_PARAM]:
        base = m[par + at.V_PARAM] + m[at.Y_G] * PARAMETER_WORDS
        line_level(m, b, at.L_V0, base, PARAMETER_WORDS)
        if grant(m, b, at.L_V0, at.FIRST, at.RD):
            m[at.Y_PARAM] = 0
        else:
            reason = at.N_BANK
    elif m[at.Y_BEAT] == 0 and m[at.Y_READY] == 0 and no_credit(m, par):
        reason = at.N_WRITE
    elif m[at.Y_READY] == 0 and not fetch_beat(m, b, par):
        reason = at.N_BANK
    elif not may_send(m, t, m[par + at.V_BEFORE], m[par + at.V_ROUNDS]):
        m[at.Y_READY], reason = 1, at.N_CHAIN
    else:
        m[at.Y_READY] = 0
        go_round(m, t, m[par + at.V_BEFORE] - m[at.C_PASS])
        m[at.Y_FOLD] = m[par + at.V_FOLD] if gives_result(m, par) else m[par + at.V_STEP]
        ends = m[at.Y_FOLD] == 0
    if ends:
        end_beat(m, t, par)
    m[_COUNT + reason] += 1


@compiled
def may_send(m: Ints, t: int, before: int, rounds: int) -> bool:
    """Say whether the chain takes a beat: none goes round now, and it overtakes none."""
    if m[m[at.X_ROUND] + t % m[at.C_PASS]] >= t:
        return False
    return t + before > m[at.Y_REACH] and t + rounds > m[at.Y_LEAVE]


@inlined
def may_go_on(m: Ints, t: int, par: int) -> bool:
    """Say whether the last halving (or step) of a beat may end."""
    if m[par + at.V_AGAIN] == 0 or not gives_result(m, par):
        return True
    return m[m[at.X_ROUND] + t % m[at.C_PASS]] < t


@inlined
def go_round(m: Ints, t: int, cycles: int) -> None:
    """Note that what enters the chain now goes round until `cycles` later."""
    slot = m[at.X_ROUND] + t % m[at.C_PASS]
    m[slot] = max(m[slot], t + cycles)


@inlined
def load_table(m: Ints, b: Bits, t: int) -> int:
    """Try to read one line of a table and send it on; return what the cycle counts as."""
    par, n, one = m[at.Y_PAR], 4 * m[at.C_BEAT], m[at.C_PASS]
    if m[at.Y_READY] == 0:
        line_level(m, b, at.L_V0, m[par + at.T_BASE] + m[at.Y_LINE] * n, n)
        if not grant(m, b, at.L_V0, at.FIRST, at.RD):
            return at.N_BANK
    if not may_send(m, t, one, one):
        m[at.Y_READY] = 1
        return at.N_CHAIN
    m[at.Y_READY], m[at.Y_REACH], m[at.Y_LEAVE] = 0, t + one, t + one
    m[at.Y_LINE] += 1
    if m[at.Y_LINE] == m[par + at.T_LINES]:
        complete(m, at.VX, m[at.Y_ROW], t + m[at.C_VXLAT])
        m[at.Y_ROW], m[at.Y_FREE], m[at.S_DIRTY] = -1, t + 1, 1
    return at.N_BUSY


@compiled
def gives_result(m: Ints, par: int) -> bool:
    """Say whether a result comes out of the present beat."""
    every = m[par + at.V_EVERY]
    if every == at.EVERY_WINDOW:
        return m[at.Y_TAP] == m[par + at.V_TAPS] - 1
    if every == at.EVERY_GROUP:
        return m[at.Y_P0] + m[at.C_BEAT] >= m[par + at.V_P]
    if every == at.EVERY_PIXEL:
        return m[at.Y_G] == m[par + at.V_GROUPS] - 1
    return True


@inlined
def no_credit(m: Ints, par: int) -> bool:
    """Say whether a beat may not start because too many results wait to be written."""
    if m[at.Y_COUNT] < m[at.C_OUTBEATS] or m[par + at.V_USES] >> 3 & 1 == 0:
        return False
    return gives_result(m, par)


@inlined
def fetch_beat(m: Ints, b: Bits, par: int) -> bool:
    """Ask for the next words of each stream; say whether the beat is complete."""
    if m[at.Y_BEAT] == 0:
        if m[at.S_READS] == 0 and is_free(m, par):
            return True
        set_beat(m, b, par)
    missing = 0
    for i in range(3):
        if m[at.Y_L + i] < m[at.Y_N + i]:
            if grant(m, b, at.L_V0 + i, m[at.Y_L + i], at.RD):
                m[at.Y_L + i] += 1
            missing += m[at.Y_N + i] - m[at.Y_L + i]
    if missing == 0:
        m[at.Y_BEAT] = 0
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
    n = min(m[at.C_BEAT], m[par + at.V_P] - m[at.Y_P0])
    return is_line(m, stream, m[at.Y_P0], n)


@inlined
def set_beat(m: Ints, b: Bits, par: int) -> None:
    """Find the words of each stream of the present beat."""
    m[at.Y_BEAT] = 1
    p0, kw, ky, kx = m[at.Y_P0], m[par + at.V_KW], 0, 0
    n = min(m[at.C_BEAT], m[par + at.V_P] - p0)
    if m[at.Y_TAP] > 0:
        ky = m[at.Y_TAP] // kw
        kx = m[at.Y_TAP] - ky * kw
    for i in range(3):
        stream = par + at.V_STREAM + at.VS * i
        m[at.Y_N + i], m[at.Y_L + i] = 0, 0
        if m[stream + at.VS_WIDTH] > 0:
            m[at.Y_N + i] = stream_levels(m, b, at.L_V0 + i, stream, m[at.Y_G], ky, kx, p0, n)
        ky = kx = 0  # only stream 0 walks over the taps


@inlined
def end_beat(m: Ints, t: int, par: int) -> None:
    """Send the beat's result, if any, into the pipeline; go to the next beat, or to the end."""
    row, group, p0 = m[at.Y_ROW], m[at.Y_G], m[at.Y_P0]
    result = gives_result(m, par)
    sends = result and m[par + at.V_USES] >> 3 & 1 == 1
    if result and m[par + at.V_AGAIN]:
        go_round(m, t, m[par + at.V_AGAIN])
    m[at.Y_REACH], m[at.Y_LEAVE] = t + m[par + at.V_BEFORE], t + m[par + at.V_ROUNDS]
    ready = t + m[at.C_VXLAT] + m[par + at.V_ROUNDS] - m[at.C_PASS]
    done = next_beat(m, par)
    if sends:
        slot = wrap(m[at.Y_HEAD] + m[at.Y_COUNT], m[at.C_OUTBEATS])
        m[at.Y_COUNT] += 1
        entry, every = m[at.X_OUT] + slot * at.OUT, m[par + at.V_EVERY]
        m[entry + at.O_READY] = ready
        m[entry + at.O_ROW] = row
        m[entry + at.O_G] = 0 if every == at.EVERY_PIXEL else group
        m[entry + at.O_P0] = 0 if every == at.EVERY_GROUP else p0
        m[entry + at.O_LAST] = 1 if done else 0
    if done:
        m[at.Y_ROW], m[at.Y_FREE], m[at.S_DIRTY] = -1, t + 1, 1
        if not sends:
            complete(m, at.VX, row, ready)


@inlined
def next_beat(m: Ints, par: int) -> bool:
    """Move to the next beat; say whether there is none."""
    m[at.Y_TAP] += 1
    if m[at.Y_TAP] < m[par + at.V_TAPS]:
        return False
    m[at.Y_TAP] = 0
    group, groups, p = m[at.Y_G], m[par + at.V_GROUPS], m[par + at.V_P]
    if m[par + at.V_BYPIXEL]:  # groups innermost
        m[at.Y_G] += 1
        if m[at.Y_G] == groups:
            m[at.Y_G] = 0
            m[at.Y_P0] += m[at.C_BEAT]
        done = m[at.Y_P0] >= p
    else:
        m[at.Y_P0] += m[at.C_BEAT]
        if m[at.Y_P0] >= p:
            m[at.Y_P0] = 0
            m[at.Y_G] += 1
        done = m[at.Y_G] == groups
    if m[at.Y_G] != group:
        m[at.Y_PARAM] = m[par + at.V_USES] >> 4 & 1
    return done


@compiled
def write_beat(m: Ints, b: Bits, t: int) -> None:
    """Try to write the oldest result; there is one."""
    entry = m[at.X_OUT] + m[at.Y_HEAD] * at.OUT
    if m[entry + at.O_READY] > t:
        return
    if m[at.Y_LEVELS] < 0:
        par, p0 = m[m[entry + at.O_ROW] + at.R_PAR], m[entry + at.O_P0]
        n = 1 if m[par + at.V_EVERY] == at.EVERY_GROUP else m[at.C_BEAT]
        n, stream = min(n, m[par + at.V_P] - p0), par + at.V_STREAM + 3 * at.VS
        m[at.Y_LEVEL], m[at.Y_LEVELS] = 0, 0
        if m[at.S_WRITES] or not is_line(m, stream, p0, n):
            group = m[entry + at.O_G]
            m[at.Y_LEVELS] = stream_levels(m, b, at.L_OUT, stream, group, at.FIRST, at.FIRST, p0, n)
    if m[at.Y_LEVELS] > 0:
        if not grant(m, b, at.L_OUT, m[at.Y_LEVEL], m[at.X_WR]):
            return
        m[at.Y_LEVEL] += 1
    if m[at.Y_LEVEL] < m[at.Y_LEVELS]:
        return
    m[at.Y_LEVELS] = -1
    m[at.Y_HEAD] = wrap(m[at.Y_HEAD] + 1, m[at.C_OUTBEATS])
    m[at.Y_COUNT] -= 1
    if m[entry + at.O_LAST]:
        complete(m, at.VX, m[entry + at.O_ROW], t)
