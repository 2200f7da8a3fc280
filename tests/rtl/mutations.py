"""The bugs that the tests must catch: for every unit of the tile, what a designer might get wrong.

Each is off by one, a lost carry, token or enable, a wrong priority or bound, a stale value: the
kind of thing that random programs are there for. `planting.py` says what the columns mean. A bug
that no program can show (of two waiters of one semaphore, which the checker refuses) is not here.
"""

from tests.rtl.planting import Mutation

SEEDS = 200  # programs within which each is caught

MUTATIONS = (
    # Sequencer and fetch
    Mutation(
        "sequencer", "the last pass of a loop is left out", "control.sequencer:Sequencer._follow",
        "left[i] != 1", "left[i] > 2",
    ),
    Mutation(
        "sequencer", "a loop whose count is in a register runs by its field",
        "control.sequencer:Sequencer._follow",
        "Mux(loop.from_reg, registers[loop.reg], loop.count)", "loop.count",
    ),
    Mutation(
        "sequencer", "a loop of no pass is entered", "control.sequencer:Sequencer._follow",
        "is_loop & (count == 0)", "hdl.Const(0)",
    ),
    Mutation(
        "sequencer", "ADDR loses the carry between its halves",
        "control.sequencer:Sequencer._registers",
        "registers[addr.reg] + addr.step",
        "hdl.Cat((registers[addr.reg][:16] + addr.step[:16])[:16],"
        " registers[addr.reg][16:] + addr.step[16:])",
    ),
    Mutation(
        "sequencer", "the upper half of an address register is not added",
        "control.sequencer:Sequencer._send", "word[low : low + bits] + base",
        "word[low : low + bits] + base[:16]",
    ),
    Mutation(
        "sequencer", "FENCE does not wait", "control.sequencer:Sequencer._send",
        "is_kind(Halt, word) | is_kind(Fence, word)", "is_kind(Halt, word)",
    ),
    Mutation(
        "fetch", "a burst is asked for that takes the slots of words still needed",
        "control.fetch:Fetch.elaborate",
        "self.keep + FETCH_WORDS", "self.keep + FETCH_WORDS + self.per",
    ),
    Mutation(
        "fetch", "a word is kept whose slot has been claimed again", "control.fetch:Fetch._arrive",
        "valid & (tags[slot] == index)", "valid",
    ),
    Mutation(
        "fetch", "after a jump fetching goes on where it was", "control.fetch:Fetch.elaborate",
        "Mux(missing, self.at, next_)", "next_",
    ),
    # Fronts and semaphores
    Mutation(
        "front", "an instruction may start a cycle early", "control.front:Front._queue",
        "old != 0", "(old != 0) | delay[-1]",
    ),
    Mutation(
        "front", "the queue takes one when it is full", "control.front:Front._queue",
        "count != depth", "hdl.Const(1)",
    ),
    Mutation(
        "front", "work is complete before it is done", "control.front:Front._ring",
        "~oldest[0] | (done != 0) | unit.done", "hdl.Const(1)",
    ),
    Mutation(
        "front", "a signal gives one token, whatever its count", "control.front:Front._ring",
        "Mux(through, self.head.sig_count, oldest[2 + sem :])", "hdl.Const(1, 2)",
    ),
    Mutation(
        "front", "SIG does not wait for the work before it", "control.front:Front._ring",
        "unit.go & ~unit.work & self.head.sig_en & (count == 0)",
        "unit.go & ~unit.work & self.head.sig_en",
    ),
    Mutation(
        "front", "VX takes on more work than it has contexts for", "control.front:Front._ring",
        "works == self.works", "works == self.works + 2",
    ),
    Mutation(
        "semaphores", "tokens given while others are taken are lost",
        "control.semaphores:Semaphores.elaborate", "now[i] + signalled - taken",
        "Mux(taken == 0, now[i] + signalled, now[i] - taken)",
    ),
    Mutation(
        "semaphores", "one token is enough for any wait", "control.semaphores:_enough",
        "held >= tokens", "held > 0",
    ),
    Mutation(
        "semaphores", "a unit that cannot start yet takes its tokens",
        "control.semaphores:Semaphores.elaborate", "unit.wait & unit.want & unit.there",
        "unit.wait & unit.there",
    ),
    # Scratchpad
    Mutation(
        "scratchpad", "two requests that meet in the last column are both granted",
        "memory.scratchpad:Scratchpad._grant", "(cells[b] & taken[b]).any()",
        "(cells[b] & taken[b])[:-1].any()",
    ),
    Mutation(
        "scratchpad", "a refused request is served all the same",
        "memory.scratchpad:Scratchpad._grant",
        "Mux(meets, 0, cells[b])", "cells[b]",
    ),
    Mutation(
        "scratchpad", "the first byte of a word is always written",
        "memory.scratchpad:Scratchpad._bank",
        "port.bytes[c]", "port.bytes[c] | 1",
    ),
    # DMA
    Mutation(
        "LD", "a dimension of count 1 ends the folding", "dma.decode:_side",
        "held.top[d] == 0", "hdl.Const(0)",
    ),
    Mutation(
        "LD", "an outer dimension goes on from the innermost run", "dma.walk:Walk.elaborate",
        "Mux(full[d], from_base, base[d])", "base[d]",
    ),
    Mutation(
        "LD", "the index list is not begun again in the next row", "dma.bursts:Bursts._gather",
        "Mux(walk.inner_wraps, base, at + INDEX_BYTES)", "at + INDEX_BYTES",
    ),
    Mutation(
        "LD", "a chunk of two beats is written when the first is there",
        "dma.load:LoadUnit._write", "Mux(two, have > 1, have != 0)", "have != 0",
    ),
    Mutation(
        "LD", "a run does not go on in the next line", "dma.chunks:Chunks._access",
        "line + (Const(c) < column)", "line",
    ),
    Mutation(
        "LD", "SCATTER_BYTES goes on by eight bytes where its burst had fewer",
        "dma.chunks:Chunks._scatter", "Array(place)[self.bytes]", "place[lanes]",
    ),
    Mutation(
        "ST", "the buffer takes a beat more than it holds", "dma.store:StoreUnit._read",
        "self.used + chunks.bytes <= self.room",
        "self.used + chunks.bytes <= self.room + sizes.beat",
    ),
    Mutation(
        "ST", "bytes beyond the end of a buffer row are lost", "dma.store:StoreUnit._keep",
        "lowest(length, sizes.beat) << tail[: sizes.beat_bits]",
        "(lowest(length, sizes.beat) << tail[: sizes.beat_bits])[: sizes.beat]",
    ),
    Mutation(
        "ST", "bytes read in an earlier level are lost", "dma.store:StoreUnit._scattered",
        "Mux(served[j], read, got.word_select(j, 8))", "Mux(served[j], read, 0)",
    ),
    Mutation(
        "ST", "FILL forgets its outer dimensions", "dma.decode:_dense_fill",
        "left * right", "left",
    ),
    Mutation(
        "port", "LD goes before ST, always", "dma.port:DramPort._arbitrate",
        "~store.valid | store_last", "hdl.Const(1)",
    ),
    Mutation(
        "port", "byte enables are lost", "dma.port:DramPort._write_beats",
        "store.strobe", "hdl.Const(-1, len(store.strobe))",
    ),
    Mutation(
        "port", "a burst that begins inside a beat asks for a beat too few",
        "dma.bursts:Bursts.elaborate",
        "(self.place + self.bytes + sizes.beat - 1) >> sizes.beat_bits",
        "(self.bytes + sizes.beat - 1) >> sizes.beat_bits",
    ),
    Mutation(
        "port", "a read overtakes the writes before it", "dma.port:DramPort._issue",
        "ar_free & quiet", "ar_free",
    ),
    # MX
    Mutation(
        "MX decode", "WINB leaves the window's products as they were",
        "matrix.decode:Decode._products", "is_kind(Wina, word) | is_kind(Winb, word)",
        "is_kind(Wina, word)",
    ),
    Mutation(
        "MX walk", "a kernel row begins where the last tap of the one before was",
        "matrix.walk:Walk._offsets", "row + self.tap_row", "tap + self.tap_row",
    ),
    Mutation(
        "MX walk", "the odd tile of GEMV lies as far off for int4 as for int8",
        "matrix.walk:Walk._lines", "Mux(new.w4, new.inner << narrow, new.inner << wide)",
        "new.inner << wide",
    ),
    Mutation(
        "MX walk", "the next register tile is one accumulator row on", "matrix.walk:Walk._rows",
        "self.row + shape.beats", "self.row + 1",
    ),
    Mutation(
        "MX pixels", "the row below the last counts as inside", "matrix.walk:Walk._gather",
        "(p.iy + self.y)[:PLACE_BITS] < window.h", "(p.iy + self.y)[:PLACE_BITS] <= window.h",
    ),
    Mutation(
        "MX pixels", "an output row ends one pixel late", "matrix.pixels:next_tile",
        "moved >= advance.ow", "moved > advance.ow",
    ),
    Mutation(
        "MX gather", "words of one column are all taken for the first",
        "matrix.gather:Gather.elaborate",
        "self.pending & same", "self.pending",
    ),
    Mutation(
        "MX issue", "a line of B that passes the last column stays in its line",
        "matrix.issue:_line", "Mux(first > c, after, line)", "line",
    ),
    Mutation(
        "MX operands", "padding is zero, not the window's fill",
        "matrix.operands:Operands._gathers",
        "Mux(now.outside[lane], fill, 0)", "hdl.Const(0)",
    ),
    Mutation(
        "MX operands", "int4 is unsigned", "matrix.operands:_unpack",
        "line[4 * n + 3].replicate(4)", "hdl.Const(0, 4)",
    ),
    Mutation(
        "MX element", "16 bits of a step's sum are kept", "matrix.element:element",
        "Mux(control.clear, 0, accumulator) + total",
        "Mux(control.clear, 0, accumulator) + total[:16].as_signed()",
    ),
    Mutation(
        "MX drain", "the next tile does not wait for the shadow", "matrix.issue:Issue.elaborate",
        "step.work & step.sum.last & ~inside & (draining != 0)",
        "step.work & step.sum.last & ~inside & (draining > 1)",
    ),
    Mutation(
        "MX drain", "the groups of GEMV go to neighbouring rows", "matrix.drain:Drain._walk",
        "job.gemv | place[:beats].all()", "place[:beats].all()",
    ),
    # VX
    Mutation(
        "VX walk", "parameters are read for the first group only", "vector.walk:Walk._advance",
        "moves & self.has_parameters", "hdl.Const(0)",
    ),
    Mutation(
        "VX walk", "an output row ends one beat late", "vector.stream_walk:StreamWalk._walker",
        'now["ox"] >= limit', 'now["ox"] > limit',
    ),
    Mutation(
        "VX walk", "the column right of the last counts as inside",
        "vector.stream_walk:StreamWalk.elaborate", "x < width", "x <= width",
    ),
    Mutation(
        "VX operands", "a stream to be splat is not", "vector.operands:Operands._values",
        "Mux(kind.splat, shared, own)", "own",
    ),
    Mutation(
        "VX operands", "elements outside the window are 0", "vector.operands:Operands._values",
        "Mux(outside, kind.fill, value)", "Mux(outside, 0, value)",
    ),
    Mutation(
        "VX alu", "half is rounded up, not to even", "vector.fp:rounded",
        "half & ((rest != 0) | mantissa[0])", "half",
    ),
    Mutation(
        "VX alu", "a NaN equals itself", "vector.alu:_simple",
        "number & (both_zero | (same & ~(v.sign ^ x.sign)))",
        "both_zero | (same & ~(v.sign ^ x.sign))",
    ),
    Mutation(
        "VX alu", "infinity less infinity is no NaN", "vector.alu:_add_special",
        "v.nan | x.nan | (v.inf & x.inf & differ)", "v.nan | x.nan",
    ),
    Mutation(
        "VX alu", "QNT does not look at the upper bound", "vector.alu:Alu._quantise",
        "~above_hi[-1]", "hdl.Const(0)",
    ),
    Mutation(
        "VX function", "EXP2 of a large number is 0, as of a small one",
        "vector.function_lane:_special", "Mux(op.exp2, ~v.sign, Mux(op.log2, 1, v.zero))",
        "Mux(op.log2, 1, v.zero)",
    ),
    Mutation(
        "VX function", "RSQRT takes odd exponents for even ones",
        "vector.function_lane:FunctionLane._argument", "e[0]", "hdl.Const(0, 1)",
    ),
    Mutation(
        "VX function", "LUT wraps where it saturates", "vector.function_lane:_code",
        "Mux(over, Mux(negative, 0x80, 0x7F), fixed[:8])", "fixed[:8]",
    ),
    Mutation(
        "VX function", "TBL goes on above its last segment", "vector.function_lane:_special",
        "is_below | is_above", "is_below",
    ),
    Mutation(
        "VX reduce", "of equal channels ARGMAX finds the last", "vector.reduce:_join",
        "b_index < a_index", "b_index > a_index",
    ),
    Mutation(
        "VX reduce", "pixels beyond the last take part", "vector.reduce:VectorReduce._lanes",
        "over_pixels & ~beat.pixels[pixel]", "hdl.Const(0)",
    ),
    Mutation(
        "VX reduce", "one channel too many takes part", "vector.reduce:VectorReduce._lanes",
        "own_index >= beat.channels", "own_index > beat.channels",
    ),
    Mutation(
        "VX output", "integers are rounded half up", "vector.output:VectorOutput._element",
        "moved[0] & ((below != 0) | moved[1])", "moved[0]",
    ),
    Mutation(
        "VX output", "bf16 is rounded half up", "vector.output:_bf16",
        "clean + 0x7FFF + clean[16]", "clean + 0x8000",
    ),
    Mutation(
        "VX output", "one result fewer may wait to be written", "vector.issue:Issue.elaborate",
        "credit == self.shape.results", "credit >= self.shape.results - 1",
    ),
    Mutation(
        "VX steering", "a short beat overtakes a long one", "vector.issue:Issue._order",
        "(step.reach > self.reach) & (step.leave > self.leave)", "step.reach > self.reach",
    ),
    Mutation(
        "VX steering", "the chain's clock stops before the last beat is out",
        "vector.steering:Steering.elaborate", "Cat(inside).any()", "Cat(inside[:-1]).any()",
    ),
    Mutation(
        "VX steering", "no place is kept for the passes before the reduction",
        "vector.issue:Issue._note", "job.before + job.after", "job.after",
    ),
    Mutation(
        "VX steering", "what follows RED begins again at the chain's first micro-op",
        "vector.steering:Steering._enter",
        "Mux(self.sent.carrier, context.resume, context.start)", "context.start",
    ),
    # Counters and mailbox
    Mutation(
        "counters", "a one-cycle instruction counts as a wait for tokens",
        "control.front:Front.elaborate",
        "unit.go & ~unit.work", "hdl.Const(0)",
    ),
    Mutation(
        "counters", "the carry out of the lowest byte is lost",
        "control.counters:UnitCounter.elaborate",
        "count + step", "hdl.Cat((count[:8] + step)[:8], count[8:])",
    ),
    Mutation(
        "mailbox", "two parameters share a place", "control.mailbox:Mailbox._write",
        "address[2:]", "address[3:]",
    ),
    Mutation(
        "mailbox", "the cycle of HALT is not counted", "control.mailbox:Mailbox.elaborate",
        "self.running", "self.running & ~self.halts",
    ),
)  # fmt: skip
