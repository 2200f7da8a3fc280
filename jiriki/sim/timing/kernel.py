"""The timing kernel: all units of one tile, cycle by cycle, in one compiled function.

In: the memory that `rows.py` fills (its map is `layout.py`). Out: the same, with the life of every
instruction, counters and traffic. The rules are docs/reference/timing.md; `naive.py` follows them
again, slowly, for the tests.

Every cycle in which something can happen is processed in a fixed order; `next_cycle` finds the
next such cycle from the state alone, and the quiet cycles between are only counted.
"""

import numpy as np

from jiriki.sim.timing import layout as at
from jiriki.sim.timing.access import compiled, inlined
from jiriki.sim.timing.dma import (
    arbitrate,
    begin_dma,
    begin_far,
    fetch_end,
    needs_index,
    only_loads,
    only_stores,
    read_chunk,
    read_index,
    read_size,
    st_room,
    stream_loads,
    stream_stores,
    wants_read,
    wants_write,
    write_chunk,
    write_time,
)
from jiriki.sim.timing.layout import Bits, Ints
from jiriki.sim.timing.matrix import begin, occupy
from jiriki.sim.timing.vector import begin_vector, step_vector, write_beat


@compiled
def simulate(m: Ints, b: Bits) -> None:
    """Run until HALT; CLOCK is then the number of cycles. Errors are left in ERROR."""
    t, wake = at.START, at.START
    while True:
        if t >= wake:
            control(m, b, t)
            if m[at.ERROR]:
                break
        arbitrate(m, t)
        access(m, b, t)
        classify(m, at.LD, t, at.ONCE)
        classify(m, at.ST, t, at.ONCE)
        if m[at.HALT_CYCLE] >= 0:
            break
        if m[at.DIRTY]:
            wake = settle(m, t)
        now = t
        if only_loads(m, t):
            now = stream_loads(m, t, wake)
            classify(m, at.ST, t + 1, now - t)
        elif only_stores(m, t):
            now = stream_stores(m, t, min(wake, write_time(m)))
            classify(m, at.LD, t + 1, now - t)
        if m[at.DIRTY]:
            wake = settle(m, now)
        t = now
        after = next_cycle(m, t, wake)
        if after == at.NEVER:
            m[at.ERROR] = at.E_DEADLOCK
            break
        if after > t + 1:
            classify(m, at.LD, t + 1, after - t - 1)
            classify(m, at.ST, t + 1, after - t - 1)
        t = after
    m[at.CLOCK] = t + 1
    for unit in (at.MX, at.VX):
        spare = max(0, t + 1 - free_at(m, unit))
        m[at.COUNTS + unit * at.COUNTERS + at.N_INSTRUCTION] += spare


@compiled
def settle(m: Ints, t: int) -> int:
    """Draw the consequences of what happened in cycle t; return the next control cycle."""
    m[at.DIRTY] = 0
    begin_far(m, at.LD)
    begin_far(m, at.ST)
    return next_control(m, t)


@compiled
def control(m: Ints, b: Bits, t: int) -> None:
    """Complete instructions, let the sequencer act, let free units take instructions."""
    m[at.DIRTY] = 1
    for unit in range(at.LD, at.UNITS):
        retire(m, unit, t)
    sequence(m, t)
    for unit in range(at.LD, at.UNITS):
        try_start(m, b, unit, t)
    begin_far(m, at.LD)
    begin_far(m, at.ST)


@inlined
def retire(m: Ints, unit: int, t: int) -> None:
    """Complete instructions whose end is past; their signals are visible from now on."""
    depth = m[at.CHIP_QUEUE_DEPTH]
    while m[at.COMPLETION_COUNT + unit] > 0:
        entry = m[at.AREA_COMPLETIONS] + 2 * (unit * depth + m[at.COMPLETION_HEAD + unit])
        end = max(m[entry + 1], m[at.COMPLETION_LAST + unit] + 1)
        if end >= t:
            return
        row = m[entry]
        m[row + at.R_END] = end
        m[at.COMPLETION_LAST + unit] = end
        semaphore = m[row + at.R_SIG]
        if semaphore >= 0:
            m[at.SEMAPHORES + semaphore] += m[row + at.R_SIGN]
            if m[at.SEMAPHORES + semaphore] > m[at.CHIP_SEMAPHORE_MAX]:
                m[at.ERROR], m[at.ERROR_ROW] = at.E_SEMAPHORE, row
        if m[at.COMPLETION_COUNT + unit] == depth:
            m[at.COMPLETION_SPACE + unit] = t
        if unit == at.VX and m[row + at.R_KIND] != at.ONE:
            if m[at.VX_WORKS] == m[at.CHIP_CONTEXTS]:
                m[at.VX_SPACE] = t
            m[at.VX_WORKS] -= 1
        m[at.COMPLETION_HEAD + unit] = (m[at.COMPLETION_HEAD + unit] + 1) % depth
        m[at.COMPLETION_COUNT + unit] -= 1


@compiled
def idle(m: Ints) -> bool:
    """Say whether every queue is empty and every unit is idle."""
    for unit in range(at.LD, at.UNITS):
        if m[at.QUEUE_COUNT + unit] > 0 or m[at.COMPLETION_COUNT + unit] > 0:
            return False
    return True


@compiled
def sequence(m: Ints, t: int) -> None:
    """Let the sequencer execute or send one instruction."""
    if m[at.SEQUENCER_AT] >= m[at.TRACE_LENGTH]:
        m[at.ERROR] = at.E_END
        return
    row = m[at.AREA_TRACE] + m[at.SEQUENCER_AT] * at.ROW
    pc = m[row + at.R_PC]
    slot = pc % m[at.CHIP_FETCH_WORDS]
    if m[m[at.AREA_FETCH_TAGS] + slot] != pc:
        m[at.FETCH_NEXT] = pc
        return
    if m[m[at.AREA_FETCH_TIMES] + slot] >= t:
        return
    unit, kind = m[row + at.R_UNIT], m[row + at.R_KIND]
    if unit == at.CTL:
        if kind != at.ONE and not idle(m):
            return
        m[row + at.R_START] = m[row + at.R_END] = t
        if kind == at.HALT:
            m[at.HALT_CYCLE] = t
    else:
        depth = m[at.CHIP_QUEUE_DEPTH]
        if m[at.QUEUE_COUNT + unit] == depth:
            return
        tail = (m[at.QUEUE_HEAD + unit] + m[at.QUEUE_COUNT + unit]) % depth
        m[m[at.AREA_QUEUES] + unit * depth + tail] = row
        m[at.QUEUE_COUNT + unit] += 1
    m[row + at.R_ISSUE] = t
    m[at.SEQUENCER_AT] += 1


@inlined
def head(m: Ints, unit: int) -> int:
    """Return the record at the head of a queue that is not empty."""
    return m[m[at.AREA_QUEUES] + unit * m[at.CHIP_QUEUE_DEPTH] + m[at.QUEUE_HEAD + unit]]


@compiled
def free_at(m: Ints, unit: int) -> int:
    """Return the first cycle in which the unit's front can take an instruction, if known."""
    if unit == at.MX:
        return m[at.MX_LAST] + 1
    if unit == at.VX:
        return m[at.VX_FREE] if m[at.VX_ROW] < 0 else at.NEVER
    d = at.LD_DMA if unit == at.LD else at.ST_DMA
    return m[d + at.NEAR_FREE] if m[d + at.NEAR_ROW] < 0 else at.NEVER


@compiled
def is_tracked(m: Ints, row: int) -> bool:
    """Say whether the instruction takes a place in the completion queue."""
    return m[row + at.R_KIND] != at.ONE or m[row + at.R_SIG] >= 0


@compiled
def no_place(m: Ints, unit: int, row: int) -> bool:
    """Say whether the completion queue, or VX, has no place for the instruction."""
    if not is_tracked(m, row):
        return False
    if unit == at.VX and m[row + at.R_KIND] != at.ONE and m[at.VX_WORKS] == m[at.CHIP_CONTEXTS]:
        return True
    return m[at.COMPLETION_COUNT + unit] == m[at.CHIP_QUEUE_DEPTH]


@compiled
def can_start(m: Ints, unit: int) -> bool:
    """Say whether the head of the queue has its tokens and a place in the completion queue."""
    row = head(m, unit)
    if no_place(m, unit, row):
        return False
    semaphore = m[row + at.R_WAIT]
    return semaphore < 0 or m[at.SEMAPHORES + semaphore] >= m[row + at.R_WAITN]


@compiled
def try_start(m: Ints, b: Bits, unit: int, t: int) -> None:
    """Let the unit take the head of its queue if it is free and the head may start."""
    if m[at.QUEUE_COUNT + unit] == 0 or free_at(m, unit) > t:
        return
    row, depth = head(m, unit), m[at.CHIP_QUEUE_DEPTH]
    if m[row + at.R_ISSUE] + at.DISPATCH > t or not can_start(m, unit):
        return
    if unit >= at.MX:
        count_idle(m, unit, row, t)
    if m[at.AREA_MARKS] > 0:
        mark(m, unit, row)
    m[at.QUEUE_HEAD + unit] = (m[at.QUEUE_HEAD + unit] + 1) % depth
    m[at.QUEUE_COUNT + unit] -= 1
    m[row + at.R_START] = m[row + at.R_END] = t
    if m[row + at.R_WAIT] >= 0:
        m[at.SEMAPHORES + m[row + at.R_WAIT]] -= m[row + at.R_WAITN]
    if is_tracked(m, row):
        tail = (m[at.COMPLETION_HEAD + unit] + m[at.COMPLETION_COUNT + unit]) % depth
        entry = m[at.AREA_COMPLETIONS] + 2 * (unit * depth + tail)
        m[entry], m[entry + 1] = row, at.NEVER
        m[at.COMPLETION_COUNT + unit] += 1
        if m[row + at.R_KIND] == at.ONE:
            m[entry + 1] = t
        elif unit == at.MX:
            m[entry + 1] = begin(m, b, row, t)
        elif unit == at.VX:
            m[at.VX_WORKS] += 1
            begin_vector(m, row)
        else:
            begin_dma(m, unit, row, t)
    if m[row + at.R_KIND] == at.ONE:
        spend_one(m, unit, t)


@inlined
def spend_one(m: Ints, unit: int, t: int) -> None:
    """Occupy the unit's front for the one cycle of a descriptor, WAIT or SIG."""
    if unit == at.LD:
        m[at.LD_DMA + at.NEAR_FREE], m[at.LD_DMA + at.DMA_ACTED] = t + 1, 1
    elif unit == at.ST:
        m[at.ST_DMA + at.NEAR_FREE], m[at.ST_DMA + at.DMA_ACTED] = t + 1, 1
    elif unit == at.MX:
        m[at.MX_LAST], m[at.MX_BANKS] = t, 0
        m[at.COUNTS + at.MX * at.COUNTERS + at.N_BUSY] += 1
    else:
        m[at.VX_FREE] = t + 1
        m[at.COUNTS + at.VX * at.COUNTERS + at.N_BUSY] += 1


@inlined
def count_idle(m: Ints, unit: int, row: int, t: int) -> None:
    """Count MX's or VX's cycles between its last instruction and this one."""
    free, count = free_at(m, unit), at.COUNTS + unit * at.COUNTERS
    arrived = max(free, m[row + at.R_ISSUE] + at.DISPATCH)
    space = min(t, max(arrived, m[at.COMPLETION_SPACE + unit])) if is_tracked(m, row) else arrived
    if unit == at.VX and m[row + at.R_KIND] != at.ONE:
        space = min(t, max(space, m[at.VX_SPACE]))
    m[count + at.N_INSTRUCTION] += arrived - free
    m[count + at.N_COMPLETION] += space - arrived
    m[count + at.N_SEMAPHORE] += t - space


@compiled
def mark(m: Ints, unit: int, row: int) -> None:
    """Keep the unit's counters as they are when an instruction starts."""
    number = (row - m[at.AREA_TRACE]) // at.ROW
    copy, count = m[at.AREA_MARKS] + number * at.COUNTERS, at.COUNTS + unit * at.COUNTERS
    for i in range(at.COUNTERS):
        m[copy + i] = m[count + i]


@compiled
def access(m: Ints, b: Bits, t: int) -> None:
    """Grant scratchpad reads and writes of this cycle by fixed priority."""
    if m[at.SETS_TAKEN]:
        m[at.SETS_TAKEN] = 0
        for i in range(2 * m[at.CHIP_BANKS]):
            b[i] = np.uint64(0)
    index_ld, index_st = needs_index(m, at.LD), needs_index(m, at.ST)
    reads_st, reads_vx = m[at.ST_DMA + at.NEAR_ROW] >= 0, m[at.VX_ROW] >= 0
    m[at.OTHERS_READ] = 1 if reads_st or index_ld or index_st else 0
    if t <= m[at.MX_LAST] and m[at.MX_BANKS] != 0:
        banks = -1 if index_ld or index_st else 0
        if reads_st:
            banks |= m[at.ST_DMA + at.NEAR_BANKS]
        if reads_vx:
            banks |= m[at.VX_BANKS]
        if banks & m[at.MX_BANKS] != 0:
            occupy(m, b, t)
            m[at.OTHERS_READ] = 1
    m[at.ST_DMA + at.DMA_REFUSED] = 0
    if reads_st:
        read_chunk(m, b, t)
    if reads_vx:
        step_vector(m, b, t)
    if index_ld:
        read_index(m, b, at.LD)
    if index_st:
        read_index(m, b, at.ST)
    m[at.OTHERS_WRITE] = 1 if write_time(m) <= t else 0
    if m[at.OTHERS_WRITE]:
        write_chunk(m, b, t)
    if m[at.OUT_COUNT] > 0:
        write_beat(m, b, t)


@compiled
def classify(m: Ints, unit: int, t: int, cycles: int) -> None:
    """Count cycles of LD or ST from t on, in which its state does not change."""
    d = at.LD_DMA if unit == at.LD else at.ST_DMA
    reason = at.N_INSTRUCTION
    if m[d + at.DMA_ACTED] or (unit == at.ST and t < m[at.PORT_STORE_END]):
        reason = at.N_BUSY
    elif m[d + at.DMA_REFUSED] or needs_index(m, unit):
        reason = at.N_BANK
    elif (unit == at.ST and (m[d + at.NEAR_ROW] >= 0 or m[d + at.FAR_ROW] >= 0)) or (
        unit == at.LD and wants_read(m)
    ):
        reason = at.N_DRAM
    elif unit == at.LD and m[d + at.FAR_ROW] >= 0:
        reason = at.N_DATA
    elif m[at.QUEUE_COUNT + unit] > 0:
        row = head(m, unit)
        early = min(cycles, max(0, m[row + at.R_ISSUE] + at.DISPATCH - t))
        m[at.COUNTS + unit * at.COUNTERS + at.N_INSTRUCTION] += early
        cycles -= early
        reason = at.N_COMPLETION if no_place(m, unit, row) else at.N_SEMAPHORE
    m[at.COUNTS + unit * at.COUNTERS + reason] += cycles
    m[d + at.DMA_ACTED] = 0


@compiled
def next_cycle(m: Ints, t: int, wake: int) -> int:
    """Return the first cycle after t in which anything can happen, NEVER if nothing can.

    wake: what `next_control` last returned.
    """
    soon = t + 1
    if m[at.VX_ROW] >= 0 or needs_index(m, at.LD) or needs_index(m, at.ST):
        return soon
    if m[at.ST_DMA + at.NEAR_ROW] >= 0 and st_room(m, soon, read_size(m)):
        return soon
    if wake <= soon:
        return soon
    best = wake
    port = max(soon, m[at.PORT_FREE])
    if port < best and (fetch_end(m) >= 0 or wants_read(m) or wants_write(m)):
        best = port
    best = min(best, max(soon, write_time(m)))
    if m[at.OUT_COUNT] > 0:
        best = min(best, max(soon, m[m[at.AREA_OUT] + m[at.OUT_HEAD] * at.OUT + at.O_READY]))
    if m[at.PORT_STORE_END] > t:
        best = min(best, m[at.PORT_STORE_END])
    return best


@compiled
def next_control(m: Ints, t: int) -> int:
    """Return the next cycle in which sequencer, fronts or completion queues can act."""
    best, soon, depth = at.NEVER, t + 1, m[at.CHIP_QUEUE_DEPTH]
    for unit in range(at.LD, at.UNITS):
        if m[at.COMPLETION_COUNT + unit] > 0:
            own = m[m[at.AREA_COMPLETIONS] + 2 * (unit * depth + m[at.COMPLETION_HEAD + unit]) + 1]
            if own != at.NEVER:
                best = min(best, max(soon, max(own, m[at.COMPLETION_LAST + unit] + 1) + 1))
        if m[at.QUEUE_COUNT + unit] > 0 and can_start(m, unit):
            early = m[head(m, unit) + at.R_ISSUE] + at.DISPATCH
            best = min(best, max(soon, max(early, free_at(m, unit))))
    if m[at.SEQUENCER_AT] >= m[at.TRACE_LENGTH]:
        return soon
    row = m[at.AREA_TRACE] + m[at.SEQUENCER_AT] * at.ROW
    pc, unit = m[row + at.R_PC], m[row + at.R_UNIT]
    slot = pc % m[at.CHIP_FETCH_WORDS]
    if m[m[at.AREA_FETCH_TAGS] + slot] != pc:
        return best if m[at.FETCH_NEXT] == pc else soon
    if unit == at.CTL:
        ready = m[row + at.R_KIND] == at.ONE or idle(m)
    else:
        ready = m[at.QUEUE_COUNT + unit] < depth
    if ready:
        best = min(best, max(soon, m[m[at.AREA_FETCH_TIMES] + slot] + 1))
    return best
