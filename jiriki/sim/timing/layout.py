"""The kernel's memory: which number sits where.

In: nothing. Out: index constants. The kernel works on two flat arrays, so that its functions stay
cheap to compile and to call:

- `m`, int64: registers at fixed places (the names below), then areas whose places are registers
  (`X_...`): queues, completion queues, windows, the trace and its parameters;
- `b`, uint64: sets of columns, one bit a column, one number a bank: what is read (`rd`) and
  written (`wr`) this cycle, and the levels of each request (see `access.py`).

The trace holds the instructions in the order the sequencer executes them, one record an
instruction (`R_...`), with the place of its unit-specific parameters (`D_`, `M_`, `V_`, `T_...`).
"""

from typing import Protocol

import numpy as np


class Ints(Protocol):
    """`m`: a one-dimensional int64 array, as the kernel sees it."""

    def __getitem__(self, place: int, /) -> int: ...
    def __setitem__(self, place: int, value: int, /) -> None: ...


class Bits(Protocol):
    """`b`: a one-dimensional uint64 array."""

    def __getitem__(self, place: int, /) -> np.uint64: ...
    def __setitem__(self, place: int, value: np.uint64, /) -> None: ...


NEVER = 1 << 62

# units, as in isa.fields.Unit
CTL, LD, ST, MX, VX = range(5)
UNITS = 5

# kinds of instruction; ONE is any that takes one cycle (descriptors, WAIT, SIG, plain control)
ONE, FENCE, HALT, DMA, DENSE, DW, LDW, GEMV, VRUN, LDT = range(10)

# Trace records -------------------------------------------------------------------------------

(
    R_UNIT, R_KIND, R_PC, R_KEEP, R_WAIT, R_WAITN, R_SIG, R_SIGN, R_PAR, R_ISSUE, R_START, R_END,
) = range(12)  # fmt: skip
ROW = 12

# a window descriptor
W_PLANE, W_PITCH, W_H, W_W, W_OW, W_SY, W_SX, W_DY, W_DX, W_PY, W_PX, W_KH, W_KW = range(13)
WINDOW = 13

# DMA: bytes; 10 numbers of a walker (address, run, 4 counts, 4 strides) for each side; stride of
# the bytes of a run in the scratchpad, bytes of a chunk, flags, index list, first and last byte
D_TOTAL, D_DRAM, D_SP, D_STRIDE, D_CHUNK, D_FILL, D_GATHER, D_INDEX, D_LOW, D_HIGH = (
    0, 1, 11, 21, 22, 23, 24, 25, 26, 27,
)  # fmt: skip

# DENSE, DW, GEMV, LDW: window, addresses, strides of B's lines and tiles, sizes of the nest
M_WIN, M_A, M_P, M_GROUPS, M_B, M_BSTEP, M_BTILE, M_BWORDS, M_OUTER, M_TAPS, M_CHUNKS = range(11)

# VRUN: sizes, then base, width (0: not fetched) and window of streams 0, 1, 2, 3
# (V_STEP, V_FOLD: cycles after the first of a beat, of one with a result; V_BEFORE, V_ROUNDS:
# cycles in the chain up to the reduction, in all; V_AGAIN: cycles a result goes round for)
(
    V_P, V_GROUPS, V_TAPS, V_KW, V_PARAM, V_BYPIXEL, V_STEP, V_FOLD, V_BEFORE, V_ROUNDS, V_AGAIN,
    V_EVERY, V_USES, V_STREAM,
) = range(14)  # fmt: skip
VS_BASE, VS_WIDTH, VS_WIN = range(3)
VS = 3
EVERY_BEAT, EVERY_WINDOW, EVERY_GROUP, EVERY_PIXEL = range(4)  # V_EVERY: when a result comes out

# LDT
T_BASE, T_LINES = range(2)

# Registers -----------------------------------------------------------------------------------

# sizes of the chip
(
    C_MU, C_NU, C_KU, C_BEAT, C_BANKS, C_COLUMNS, C_BANKWORDS, C_DRAIN, C_MXLAT, C_VXLAT, C_BPC,
    C_BURST, C_DRAMLAT, C_INFLIGHT, C_QUEUE, C_SEMMAX, C_FETCHWORDS, C_STBUFFER, C_OUTBEATS,
    C_KUBITS, C_BPCBITS,
) = range(21)  # fmt: skip

# places of the areas in m
(
    X_ROWS, X_COUNT, X_TAG, X_AVAIL, X_QUEUE, X_RING, X_FLIGHT, X_PEND, X_PRE, X_LAST, X_WORDS,
    X_SCRATCH, X_OUT,
) = range(21, 34)  # fmt: skip
# places in b, and levels of a request
RD = 0
X_WR, X_FLAT, X_LEV, X_LEVELS = range(34, 38)
X_LOW, X_HIGH = 38, 39  # in m: first and last bank of each level

# sequencer and instruction fetch
S_AT, S_NEXT, S_WORDS, S_HALT, S_CLOCK, S_ERROR, S_WHO = range(40, 47)
S_DIRTY = 47  # 1: something happened that may let sequencer, fronts or completions act

# DRAM port: first free cycle, unit of the last burst (LD or ST), ST's burst on its way
P_FREE, P_LAST, P_STEND, P_STLEN = range(48, 52)

# traffic
T_LDBEATS, T_STBEATS, T_FETCHBEATS = range(52, 55)

C_BANKBITS = 57  # log2 of the words of a bank, -1 if they are no power of two

S_TAKEN = 56  # 1: the sets of this cycle are not empty
S_READS, S_WRITES = 58, 59  # 1: in this cycle others than VX may read, write

# one a unit: queue, completion queue (end of the last completion, cycle it last got space)
QHEAD, QCOUNT, RHEAD, RCOUNT, RLAST, RSPACE = range(60, 90, 5)

C_PASS, C_CONTEXTS = 90, 91  # cycles of a pass of the chain; VRUNs and LDTs tracked at most
X_ROUND = 92  # place of the last cycle in which each slot (cycle modulo C_PASS) goes round
X_MARKS = 93  # place of each record's copy of its unit's counters as it started; 0: not kept

SEM = 96  # 16 semaphores

# counters: COUNT + unit * COUNTERS + reason
(
    N_BUSY, N_INSTRUCTION, N_SEMAPHORE, N_DATA, N_BANK, N_DRAIN, N_DRAM, N_WRITE, N_COMPLETION,
    N_CHAIN,
) = range(10)  # fmt: skip
COUNTERS = 10
COUNT = 320

# DMA units: base LD_DMA or ST_DMA plus these. Near side (LD: requests, ST: scratchpad reads), far
# side (LD: scratchpad writes, ST: requests); B: the chunk's levels; E: bursts in flight
(
    F_ROW, F_FREE, F_BYTES, F_BANKS, F_ACT, F_REFUSED, G_ROW, G_BYTES, Q_INDEXED, B_LEVEL, B_LEVELS,
    E_HEAD, E_COUNT, PHEAD, PCOUNT,
) = range(15)  # fmt: skip
LD_DMA, ST_DMA = 160, 176

# byte walkers: address of the run, its bytes, 4 counts, 4 strides | 4 indices, offset, bytes left
K_ADDR, K_RUN, K_COUNT, K_STRIDE, K_AT, K_OFF, K_LEFT = 0, 1, 2, 6, 10, 14, 15
LD_NEAR, LD_FAR, ST_NEAR, ST_FAR = 192, 208, 224, 240

# MX: the running instruction and the walker that finds what it reads in a given cycle: outer tile,
# pixel tile, its first cycle, where its last step could and does begin, its last cycle; tap, step
# and the step's first cycle; then the gather of one (pixel tile, tap)
(
    A_PAR, A_KIND, A_START, A_LAST, A_FREE, A_DRAIN, A_TILES, A_STEPS, A_MIXED, A_BANKS, A_O, A_T,
    A_BEGIN, A_NATURAL, A_LASTSTEP, A_TILELAST, A_TAP, A_G, A_STEP, A_WFREE, A_GTILE, A_GTAP,
    A_GCOUNT, A_GLOW, A_GHIGH, A_GLEVELS,
) = range(260, 286)  # fmt: skip

# VX: running instruction, position, beat in progress (Y_N, Y_L: levels and levels done, three
# streams each), output side
(
    Y_ROW, Y_PAR, Y_KIND, Y_FREE, Y_G, Y_P0, Y_TAP, Y_PARAM, Y_BEAT, Y_FOLD, Y_LINE, Y_BANKS,
    Y_HEAD, Y_COUNT, Y_LEVEL, Y_LEVELS,
) = range(290, 306)  # fmt: skip
Y_N, Y_L = 306, 309
# a beat is fetched and not sent; last cycles of the beats sent, at the reduction and in all; VRUNs
# and LDTs tracked, and since when there is a context
Y_READY, Y_REACH, Y_LEAVE, Y_WORKS, Y_SPACE = range(312, 317)

REGISTERS = 372

# an output beat in flight: when ready, row (place), group, first pixel, 1 if the last of its VRUN
O_READY, O_ROW, O_G, O_P0, O_LAST = range(5)
OUT = 5

# a burst in flight: grant, address in the beat, bytes, bytes written
FLIGHT = 4

# requests, each with its own levels in b
L_A, L_B, L_V0, L_LD, L_ST, L_OUT, L_INDEX = 0, 1, 2, 5, 6, 7, 8
LEVEL_SETS = 9

# named so that Numba takes them as plain integers: a literal argument would compile a function anew
START, FIRST, ONCE, NO_MARK = 0, 0, 1, -1

DISPATCH = 4  # cycles from the sending of an instruction to its first chance to start

# errors
E_NONE, E_DEADLOCK, E_SEMAPHORE, E_END = range(4)
