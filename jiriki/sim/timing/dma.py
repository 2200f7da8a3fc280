"""LD, ST and the DRAM port in the kernel, one cycle at a time.

Each DMA unit has a near side, which takes instructions from the queue, and a far side, which
follows in order: LD requests bursts (near) and writes chunks to the scratchpad (far); ST reads
chunks (near) and sends bursts (far). Both sides walk the same bytes in the same order.
"""

from jiriki.sim.timing import layout as at
from jiriki.sim.timing.access import (
    bank_span,
    compiled,
    gather_levels,
    grant,
    inlined,
    line_level,
    take,
    wrap,
)
from jiriki.sim.timing.layout import Bits, Ints

INDEX_BYTES = 4
FETCH_BYTES = 16


@compiled
def load_walker(m: Ints, walker: int, par: int, total: int) -> None:
    """Put a walker at the first byte of the 10 numbers at par."""
    for i in range(at.WALK_INDICES):
        m[walker + i] = m[par + i]
    for i in range(at.WALK_INDICES, at.WALK_LEFT):
        m[walker + i] = 0
    m[walker + at.WALK_LEFT] = total


@compiled
def advance(m: Ints, walker: int, n: int) -> None:
    """Move a walker n bytes, within its run or to the end of it."""
    m[walker + at.WALK_LEFT] -= n
    m[walker + at.WALK_OFFSET] += n
    if m[walker + at.WALK_OFFSET] < m[walker + at.WALK_RUN]:
        return
    m[walker + at.WALK_OFFSET] = 0
    for d in range(4):
        m[walker + at.WALK_INDICES + d] += 1
        m[walker + at.WALK_ADDRESS] += m[walker + at.WALK_STRIDES + d]
        count = m[walker + at.WALK_COUNTS + d]
        if m[walker + at.WALK_INDICES + d] < count:
            return
        m[walker + at.WALK_ADDRESS] -= count * m[walker + at.WALK_STRIDES + d]
        m[walker + at.WALK_INDICES + d] = 0


@inlined
def begin_dma(m: Ints, unit: int, row: int, t: int) -> None:
    """Start a data movement in the near side of LD or ST."""
    d = at.LD_DMA if unit == at.LD else at.ST_DMA
    par, bits = m[row + at.R_PAR], m[at.CHIP_KU_BITS]
    if unit == at.LD:
        load_walker(m, at.LD_NEAR, par + at.D_DRAM, m[par + at.D_TOTAL])
        m[at.LD_DMA + at.DMA_INDEXED] = 0
    else:
        load_walker(m, at.ST_NEAR, par + at.D_SP, m[par + at.D_TOTAL])
        m[d + at.NEAR_BANKS] = bank_span(m, m[par + at.D_LOW] >> bits, m[par + at.D_HIGH] >> bits)
    m[d + at.NEAR_ROW] = row
    if unit == at.LD and m[par + at.D_FILL]:
        m[d + at.NEAR_ROW], m[d + at.NEAR_FREE], m[at.DIRTY] = -1, t + 1, 1
    depth = m[at.CHIP_QUEUE_DEPTH] + 1
    slot = (m[d + at.PENDING_HEAD] + m[d + at.PENDING_COUNT]) % depth
    m[m[at.AREA_PENDING] + (unit - at.LD) * depth + slot] = row
    m[d + at.PENDING_COUNT] += 1


@compiled
def begin_far(m: Ints, unit: int) -> None:
    """Let an idle far side take the oldest instruction that the near side has started."""
    d = at.LD_DMA if unit == at.LD else at.ST_DMA
    if m[d + at.FAR_ROW] >= 0 or m[d + at.PENDING_COUNT] == 0:
        return
    depth = m[at.CHIP_QUEUE_DEPTH] + 1
    row = m[m[at.AREA_PENDING] + (unit - at.LD) * depth + m[d + at.PENDING_HEAD]]
    m[d + at.PENDING_HEAD] = (m[d + at.PENDING_HEAD] + 1) % depth
    m[d + at.PENDING_COUNT] -= 1
    m[d + at.FAR_ROW] = row
    par = m[row + at.R_PAR]
    if unit == at.LD:
        load_walker(m, at.LD_FAR, par + at.D_SP, m[par + at.D_TOTAL])
    else:
        load_walker(m, at.ST_FAR, par + at.D_DRAM, m[par + at.D_TOTAL])
        m[d + at.DMA_INDEXED] = 0


@compiled
def needs_index(m: Ints, unit: int) -> bool:
    """Say whether the next request waits for its index to be read from the scratchpad."""
    if unit == at.LD:
        row, indexed, off = m[at.LD_DMA + at.NEAR_ROW], m[at.LD_DMA + at.DMA_INDEXED], at.LD_NEAR
    else:
        row, indexed, off = m[at.ST_DMA + at.FAR_ROW], m[at.ST_DMA + at.DMA_INDEXED], at.ST_FAR
    if row < 0 or m[m[row + at.R_PAR] + at.D_GATHER] == 0:
        return False
    return m[off + at.WALK_OFFSET] == 0 and indexed == 0


@compiled
def read_index(m: Ints, b: Bits, unit: int) -> None:
    """Try to read the index of the next run."""
    d = at.LD_DMA if unit == at.LD else at.ST_DMA
    row = m[d + at.NEAR_ROW] if unit == at.LD else m[d + at.FAR_ROW]
    walker = at.LD_NEAR if unit == at.LD else at.ST_FAR
    low = m[m[row + at.R_PAR] + at.D_INDEX] + INDEX_BYTES * m[walker + at.WALK_INDICES]
    first, last = low >> m[at.CHIP_KU_BITS], (low + INDEX_BYTES - 1) >> m[at.CHIP_KU_BITS]
    line_level(m, b, at.L_INDEX, first, last - first + 1)
    if grant(m, b, at.L_INDEX, at.FIRST, at.BITS_READ):
        m[d + at.DMA_INDEXED] = 1
        m[d + at.DMA_ACTED] = 1


@compiled
def burst_bytes(m: Ints, walker: int) -> int:
    """Return the bytes of the next burst: to the end of the run or of the aligned block."""
    address, burst = (
        m[walker + at.WALK_ADDRESS] + m[walker + at.WALK_OFFSET],
        m[at.CHIP_BURST_BYTES],
    )
    return min(
        m[walker + at.WALK_RUN] - m[walker + at.WALK_OFFSET], burst - (address & (burst - 1))
    )


@inlined
def beats(m: Ints, address: int, n: int) -> int:
    """Return the beats that n bytes at address touch."""
    return ((address & (m[at.CHIP_PORT_BYTES] - 1)) + n + m[at.CHIP_PORT_BYTES] - 1) >> m[
        at.CHIP_PORT_BITS
    ]


@compiled
def wants_read(m: Ints) -> bool:
    """Say whether LD has a burst to request and room for its data."""
    if (
        m[at.LD_DMA + at.NEAR_ROW] < 0
        or m[at.LD_DMA + at.FLIGHT_COUNT] == m[at.CHIP_BURSTS_IN_FLIGHT]
    ):
        return False
    return not needs_index(m, at.LD)


@compiled
def wants_write(m: Ints) -> bool:
    """Say whether ST has read all bytes of its next burst."""
    if m[at.ST_DMA + at.FAR_ROW] < 0 or needs_index(m, at.ST):
        return False
    held = m[at.ST_DMA + at.NEAR_BYTES] - m[at.ST_DMA + at.FAR_BYTES]
    return held >= burst_bytes(m, at.ST_FAR)


@compiled
def fetch_end(m: Ints) -> int:
    """Return the word after the next fetch burst, or -1 when nothing is to be fetched."""
    if m[at.FETCH_NEXT] >= m[at.PROGRAM_WORDS] or m[at.SEQUENCER_AT] >= m[at.TRACE_LENGTH]:
        return -1
    per = m[at.CHIP_BURST_BYTES] // FETCH_BYTES  # a power of two
    end = (m[at.FETCH_NEXT] | (per - 1)) + 1
    keep = m[m[at.AREA_TRACE] + m[at.SEQUENCER_AT] * at.ROW + at.R_KEEP]
    if end - keep > m[at.CHIP_FETCH_WORDS]:
        return -1
    return min(end, m[at.PROGRAM_WORDS])


@compiled
def arbitrate(m: Ints, t: int) -> None:
    """Give a free port to instruction fetch, else in turn to LD and ST."""
    if m[at.PORT_FREE] > t:
        return
    end = fetch_end(m)
    if end >= 0:
        fetch_burst(m, t, end)
        return
    read, write = wants_read(m), wants_write(m)
    if read and (not write or m[at.PORT_LAST_UNIT] == at.ST):
        read_burst(m, t)
    elif write:
        write_burst(m, t)


@inlined
def fetch_burst(m: Ints, t: int, end: int) -> None:
    """Send a fetch of words FETCH_NEXT .. end - 1."""
    bpc, slots, first = m[at.CHIP_PORT_BYTES], m[at.CHIP_FETCH_WORDS], m[at.FETCH_NEXT]
    for pc in range(first, end):
        beat = (pc * FETCH_BYTES + FETCH_BYTES - 1) // bpc - first * FETCH_BYTES // bpc
        m[m[at.AREA_FETCH_TAGS] + pc % slots] = pc
        m[m[at.AREA_FETCH_TIMES] + pc % slots] = t + m[at.CHIP_DRAM_LATENCY] + beat
    m[at.FETCH_NEXT] = end
    n = beats(m, first * FETCH_BYTES, (end - first) * FETCH_BYTES)
    m[at.PORT_FREE] = t + n
    m[at.FETCH_BEATS] += n
    m[at.DIRTY] = 1


@compiled
def read_burst(m: Ints, t: int) -> None:
    """Send LD's next read burst."""
    d, walker = at.LD_DMA, at.LD_NEAR
    n, address = burst_bytes(m, walker), m[walker + at.WALK_ADDRESS] + m[walker + at.WALK_OFFSET]
    slot = wrap(m[d + at.FLIGHT_HEAD] + m[d + at.FLIGHT_COUNT], m[at.CHIP_BURSTS_IN_FLIGHT])
    entry = m[at.AREA_FLIGHTS] + slot * at.FLIGHT
    m[entry], m[entry + 1], m[entry + 2], m[entry + 3] = (
        t,
        address & (m[at.CHIP_PORT_BYTES] - 1),
        n,
        0,
    )
    m[d + at.FLIGHT_COUNT] += 1
    taken = beats(m, address, n)
    m[at.PORT_FREE], m[at.PORT_LAST_UNIT] = t + taken, at.LD
    m[at.LOAD_BEATS] += taken
    m[d + at.DMA_ACTED] = 1
    advance(m, walker, n)
    if m[walker + at.WALK_OFFSET] == 0:
        m[d + at.DMA_INDEXED] = 0
    if m[walker + at.WALK_LEFT] == 0:
        m[d + at.NEAR_ROW], m[d + at.NEAR_FREE], m[at.DIRTY] = -1, t + 1, 1


@compiled
def write_burst(m: Ints, t: int) -> None:
    """Send ST's next write burst; the last one completes its instruction."""
    d, walker = at.ST_DMA, at.ST_FAR
    n, address = burst_bytes(m, walker), m[walker + at.WALK_ADDRESS] + m[walker + at.WALK_OFFSET]
    taken = beats(m, address, n)
    m[at.PORT_FREE], m[at.PORT_LAST_UNIT] = t + taken, at.ST
    m[at.PORT_STORE_END], m[at.PORT_STORE_BYTES] = t + taken, n
    m[at.STORE_BEATS] += taken
    m[d + at.FAR_BYTES] += n
    advance(m, walker, n)
    if m[walker + at.WALK_OFFSET] == 0:
        m[d + at.DMA_INDEXED] = 0
    if m[walker + at.WALK_LEFT] == 0:
        complete(m, at.ST, m[d + at.FAR_ROW], t + taken - 1)
        m[d + at.FAR_ROW] = -1


@compiled
def complete(m: Ints, unit: int, row: int, end: int) -> None:
    """Note in the completion queue when an instruction is done."""
    depth = m[at.CHIP_QUEUE_DEPTH]
    for i in range(m[at.COMPLETION_COUNT + unit]):
        entry = m[at.AREA_COMPLETIONS] + 2 * (
            unit * depth + (m[at.COMPLETION_HEAD + unit] + i) % depth
        )
        if m[entry] == row:
            m[entry + 1] = end
            break
    m[at.DIRTY] = 1


@compiled
def chunk_levels(m: Ints, b: Bits, s: int, walker: int, par: int, n: int) -> int:
    """Make the levels of n bytes of a run in the scratchpad; return their number."""
    bits, stride = m[at.CHIP_KU_BITS], m[par + at.D_STRIDE]
    low = m[walker + at.WALK_ADDRESS] + m[walker + at.WALK_OFFSET] * stride
    if stride == 1:
        line_level(m, b, s, low >> bits, (low + n - 1 >> bits) - (low >> bits) + 1)
        return 1
    words = m[at.AREA_SCRATCH]
    for j in range(n):
        m[words + j] = low + j * stride >> bits
    return gather_levels(m, b, s, words, n, at.ONCE, at.FIRST)


@compiled
def st_room(m: Ints, t: int, n: int) -> bool:
    """Say whether ST's buffer has room for n more bytes."""
    held = m[at.ST_DMA + at.NEAR_BYTES] - m[at.ST_DMA + at.FAR_BYTES]
    if t < m[at.PORT_STORE_END]:
        held += m[at.PORT_STORE_BYTES]
    return held + n <= m[at.CHIP_ST_BUFFER_BYTES]


@compiled
def read_size(m: Ints) -> int:
    """Return the bytes of the chunk that ST reads next."""
    par = m[m[at.ST_DMA + at.NEAR_ROW] + at.R_PAR]
    return min(m[par + at.D_CHUNK], m[at.ST_NEAR + at.WALK_RUN] - m[at.ST_NEAR + at.WALK_OFFSET])


@compiled
def read_chunk(m: Ints, b: Bits, t: int) -> None:
    """Let ST read a level of its next chunk; note in DMA_REFUSED if another reader forbids it."""
    d, walker = at.ST_DMA, at.ST_NEAR
    par, n = m[m[d + at.NEAR_ROW] + at.R_PAR], read_size(m)
    if not st_room(m, t, n):
        return
    if m[par + at.D_FILL] == 0:
        if m[d + at.CHUNK_LEVELS] == 0:
            m[d + at.CHUNK_LEVELS] = chunk_levels(m, b, at.L_ST, walker, par, n)
        if not grant(m, b, at.L_ST, m[d + at.CHUNK_LEVEL], at.BITS_READ):
            m[d + at.DMA_REFUSED] = 1
            return
        m[d + at.CHUNK_LEVEL] += 1
    m[d + at.DMA_ACTED] = 1
    if m[d + at.CHUNK_LEVEL] < m[d + at.CHUNK_LEVELS]:
        return
    m[d + at.CHUNK_LEVEL], m[d + at.CHUNK_LEVELS] = 0, 0
    end_read(m, t, n)


@compiled
def end_read(m: Ints, t: int, n: int) -> None:
    """Count n bytes as read; the last ones free ST's near side."""
    d = at.ST_DMA
    m[d + at.NEAR_BYTES] += n
    advance(m, at.ST_NEAR, n)
    if m[at.ST_NEAR + at.WALK_LEFT] == 0:
        m[d + at.NEAR_ROW], m[d + at.NEAR_FREE], m[at.DIRTY] = -1, t + 1, 1


@compiled
def write_size(m: Ints, par: int) -> int:
    """Return the bytes of the chunk that LD writes next, 0 if its burst is not requested yet."""
    n = min(m[par + at.D_CHUNK], m[at.LD_FAR + at.WALK_RUN] - m[at.LD_FAR + at.WALK_OFFSET])
    if m[par + at.D_FILL]:
        return n
    if m[at.LD_DMA + at.FLIGHT_COUNT] == 0:
        return 0
    entry = m[at.AREA_FLIGHTS] + m[at.LD_DMA + at.FLIGHT_HEAD] * at.FLIGHT
    return min(n, m[entry + 2] - m[entry + 3])


@compiled
def write_time(m: Ints) -> int:
    """Return the first cycle in which LD can write its next chunk, or NEVER if not yet known."""
    row = m[at.LD_DMA + at.FAR_ROW]
    if row < 0:
        return at.NEVER
    par = m[row + at.R_PAR]
    if m[at.LD_DMA + at.CHUNK_LEVELS] > 0 or m[par + at.D_FILL]:
        return 0
    n = write_size(m, par)
    if n == 0:
        return at.NEVER
    entry = m[at.AREA_FLIGHTS] + m[at.LD_DMA + at.FLIGHT_HEAD] * at.FLIGHT
    beat = (m[entry + 1] + m[entry + 3] + n - 1) >> m[at.CHIP_PORT_BITS]
    return m[entry] + m[at.CHIP_DRAM_LATENCY] + beat + 1


@compiled
def write_chunk(m: Ints, b: Bits, t: int) -> None:
    """Let LD write a level of its next chunk, whose data are there."""
    d = at.LD_DMA
    par = m[m[d + at.FAR_ROW] + at.R_PAR]
    n = write_size(m, par)
    if m[d + at.CHUNK_LEVELS] == 0:
        m[d + at.CHUNK_LEVEL] = 0
        m[d + at.CHUNK_LEVELS] = chunk_levels(m, b, at.L_LD, at.LD_FAR, par, n)
    take(m, b, at.L_LD, m[d + at.CHUNK_LEVEL], m[at.BITS_WRITTEN])
    m[d + at.CHUNK_LEVEL] += 1
    m[d + at.DMA_ACTED] = 1
    if m[d + at.CHUNK_LEVEL] == m[d + at.CHUNK_LEVELS]:
        m[d + at.CHUNK_LEVELS] = 0
        end_chunk(m, t, par, n)


@compiled
def end_chunk(m: Ints, t: int, par: int, n: int) -> None:
    """Count n bytes as written; the last ones complete their instruction."""
    d = at.LD_DMA
    if m[par + at.D_FILL] == 0:
        entry = m[at.AREA_FLIGHTS] + m[d + at.FLIGHT_HEAD] * at.FLIGHT
        m[entry + 3] += n
        if m[entry + 3] == m[entry + 2]:
            m[d + at.FLIGHT_HEAD] = wrap(m[d + at.FLIGHT_HEAD] + 1, m[at.CHIP_BURSTS_IN_FLIGHT])
            m[d + at.FLIGHT_COUNT] -= 1
    advance(m, at.LD_FAR, n)
    if m[at.LD_FAR + at.WALK_LEFT] == 0:
        row = m[d + at.FAR_ROW]
        complete(m, at.LD, row, max(t, m[row + at.R_START] + 1))
        m[d + at.FAR_ROW] = -1


@inlined
def several_chunks(m: Ints, par: int, n: int, t: int, until: int) -> tuple[int, int]:
    """Join full chunks written from cycle t to before `until`; return bytes and last cycle.

    Chunks of one burst and one run follow each other a cycle apart, as their beats arrived.
    """
    size = m[par + at.D_CHUNK]
    room = m[at.LD_FAR + at.WALK_RUN] - m[at.LD_FAR + at.WALK_OFFSET]
    if m[par + at.D_FILL] == 0:
        entry = m[at.AREA_FLIGHTS] + m[at.LD_DMA + at.FLIGHT_HEAD] * at.FLIGHT
        room = min(room, m[entry + 2] - m[entry + 3])
    chunks = min(room // size, until - t)
    return (n, t) if chunks < 2 else (chunks * size, t + chunks - 1)


@inlined
def only_loads(m: Ints, t: int) -> bool:
    """Say whether only LD can act until the next control cycle, each write one level."""
    d, s = at.LD_DMA, at.ST_DMA
    if (
        m[at.VX_ROW] >= 0
        or m[at.OUT_COUNT] > 0
        or m[d + at.FAR_ROW] < 0
        or m[d + at.CHUNK_LEVELS] > 0
    ):
        return False
    if m[s + at.NEAR_ROW] >= 0 or m[s + at.FAR_ROW] >= 0 or m[at.PORT_STORE_END] > t + 1:
        return False
    if m[m[m[d + at.FAR_ROW] + at.R_PAR] + at.D_STRIDE] != 1 or fetch_end(m) >= 0:
        return False
    return m[d + at.NEAR_ROW] < 0 or m[m[m[d + at.NEAR_ROW] + at.R_PAR] + at.D_GATHER] == 0


@compiled
def stream_loads(m: Ints, t: int, wake: int) -> int:
    """Let LD alone act after cycle t, before `wake`; return the last cycle in which it did.

    The same rules as in the general loop, without the parts that cannot matter.
    """
    now, count = t, at.COUNTS + at.LD * at.COUNTERS
    while m[at.DIRTY] == 0:
        reads = wants_read(m)
        read_at = max(now + 1, m[at.PORT_FREE]) if reads else at.NEVER
        write_at = max(now + 1, write_time(m))
        then = min(read_at, write_at)
        if then >= wake or then == at.NEVER:
            break
        m[count + (at.N_DRAM if reads else at.N_DATA)] += then - now - 1
        now = then
        if read_at == then:
            read_burst(m, then)
        if write_at == then:
            par = m[m[at.LD_DMA + at.FAR_ROW] + at.R_PAR]
            n = write_size(m, par)
            if read_at > then + 1:
                n, now = several_chunks(m, par, n, then, min(read_at, wake))
            end_chunk(m, now, par, n)
        m[count + at.N_BUSY] += now - then + 1
    m[at.LD_DMA + at.DMA_ACTED] = 0
    return now


@inlined
def only_stores(m: Ints, t: int) -> bool:
    """Say whether only ST can act for a while, each read one level that MX cannot refuse."""
    d, g = at.ST_DMA, at.LD_DMA
    if m[at.VX_ROW] >= 0 or m[at.OUT_COUNT] > 0 or m[d + at.CHUNK_LEVELS] > 0:
        return False
    if m[d + at.NEAR_ROW] < 0 and m[d + at.FAR_ROW] < 0:
        return False
    if m[d + at.NEAR_ROW] >= 0:
        if m[m[m[d + at.NEAR_ROW] + at.R_PAR] + at.D_STRIDE] != 1:
            return False
        if t < m[at.MX_LAST] and m[d + at.NEAR_BANKS] & m[at.MX_BANKS] != 0:
            return False
    if m[d + at.FAR_ROW] >= 0 and m[m[m[d + at.FAR_ROW] + at.R_PAR] + at.D_GATHER] != 0:
        return False
    return m[g + at.NEAR_ROW] < 0 and fetch_end(m) < 0


@compiled
def stream_stores(m: Ints, t: int, wake: int) -> int:
    """Let ST alone act after cycle t, before `wake`; return the last cycle in which it did."""
    d, now, count = at.ST_DMA, t, at.COUNTS + at.ST * at.COUNTERS
    while m[at.DIRTY] == 0:
        then = at.NEVER
        if wants_write(m):
            then = max(now + 1, m[at.PORT_FREE])
        if m[at.PORT_STORE_END] > now:
            then = min(then, m[at.PORT_STORE_END])
        if m[d + at.NEAR_ROW] >= 0 and st_room(m, now + 1, read_size(m)):
            then = now + 1
        if then >= wake or then == at.NEVER:
            break
        m[count + (at.N_BUSY if now + 1 < m[at.PORT_STORE_END] else at.N_DRAM)] += then - now - 1
        acts = False
        if m[at.PORT_FREE] <= then and wants_write(m):
            write_burst(m, then)
        if m[d + at.NEAR_ROW] >= 0:
            n = read_size(m)
            if st_room(m, then, n):
                acts = True
                end_read(m, then, n)
        m[count + (at.N_BUSY if acts or then < m[at.PORT_STORE_END] else at.N_DRAM)] += 1
        now = then
    return now
