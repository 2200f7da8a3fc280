"""The kernel's memory: which number sits where.

In: nothing. Out: index constants. The kernel works on two flat arrays, so that its functions stay
cheap to compile and to call:

- `m`, int64: registers at fixed places, allotted below, then areas whose places are registers
  (`AREA_...`): queues, completion queues, windows, the trace and its parameters;
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


class Allotment:
    """Places in one array, handed out in order: no two names overlap."""

    def __init__(self) -> None:
        self.size = 0

    def take(self, places: int = 1) -> int:
        """Return the first of the next places."""
        first, self.size = self.size, self.size + places
        return first


_register = Allotment()  # of m

# Sizes of the chip.
CHIP_MU = _register.take()
CHIP_NU = _register.take()
CHIP_KU = _register.take()
CHIP_KU_BITS = _register.take()  # log2 of it
CHIP_BEAT_PIXELS = _register.take()  # of a beat of VX
CHIP_BANKS = _register.take()
CHIP_COLUMNS = _register.take()  # of a bank
CHIP_BANK_WORDS = _register.take()
CHIP_BANK_BITS = _register.take()  # log2 of them, -1 if they are no power of two
CHIP_DRAIN_CYCLES = _register.take()  # of a register tile
CHIP_MX_LATENCY = _register.take()
CHIP_VX_LATENCY = _register.take()
CHIP_PASS_CYCLES = _register.take()  # of a pass of VX's chain
CHIP_CONTEXTS = _register.take()  # VRUNs and LDTs tracked at most
CHIP_OUT_BEATS = _register.take()  # results that VX holds at most
CHIP_PORT_BYTES = _register.take()  # of a beat of the DRAM port
CHIP_PORT_BITS = _register.take()  # log2 of them
CHIP_BURST_BYTES = _register.take()
CHIP_DRAM_LATENCY = _register.take()
CHIP_BURSTS_IN_FLIGHT = _register.take()
CHIP_QUEUE_DEPTH = _register.take()  # of a unit's queue and of its completion queue
CHIP_SEMAPHORE_MAX = _register.take()
CHIP_FETCH_WORDS = _register.take()  # instructions that the fetch buffer holds
CHIP_ST_BUFFER_BYTES = _register.take()

# Places of the areas in m.
AREA_TRACE = _register.take()  # the records
AREA_FETCH_TAGS = _register.take()  # instruction in each slot of the fetch buffer, -1: none
AREA_FETCH_TIMES = _register.take()  # cycle it arrived
AREA_QUEUES = _register.take()  # records in each unit's queue
AREA_COMPLETIONS = _register.take()  # record and end, of each unit's completion queue
AREA_FLIGHTS = _register.take()  # LD's bursts in flight
AREA_PENDING = _register.take()  # records between the sides of LD and of ST
AREA_TILE_BEFORE = _register.take()  # cycles of a pixel tile before its last step
AREA_TILE_LAST = _register.take()  # cycles of its last step
AREA_WORDS = _register.take()  # words of MX's gather
AREA_SCRATCH = _register.take()  # words of another request
AREA_OUT = _register.take()  # VX's beats to be written
AREA_ROUNDS = _register.take()  # last cycle in which each slot (cycle modulo pass) goes round
AREA_LOW = _register.take()  # first bank of each level
AREA_HIGH = _register.take()  # last bank of it
AREA_MARKS = _register.take()  # each record's copy of its unit's counters as it started; 0: none

# Places in b, and levels of a request.
BITS_READ = 0  # set of columns that are read in this cycle, one number a bank
BITS_WRITTEN = _register.take()  # the same of those written
BITS_FLAT = _register.take()  # levels of a gather without its banks
BITS_LEVELS = _register.take()  # levels of the requests
LEVELS = _register.take()  # a request has at most

# Sequencer and instruction fetch.
TRACE_LENGTH = _register.take()  # records
SEQUENCER_AT = _register.take()  # record to be sent next
FETCH_NEXT = _register.take()  # instruction that the fetch loads next
PROGRAM_WORDS = _register.take()  # instructions of the program
HALT_CYCLE = _register.take()  # -1: not halted
CLOCK = _register.take()  # cycles of the run, at its end
ERROR = _register.take()  # E_...
ERROR_ROW = _register.take()  # record that the error is of
DIRTY = _register.take()  # 1: something may let sequencer, fronts or completions act

# Accesses to the scratchpad.
SETS_TAKEN = _register.take()  # 1: the sets of this cycle are not empty
OTHERS_READ = _register.take()  # 1: in this cycle others than VX may read
OTHERS_WRITE = _register.take()  # 1: in this cycle others than VX may write

# DRAM port.
PORT_FREE = _register.take()  # first free cycle
PORT_LAST_UNIT = _register.take()  # of the last burst, LD or ST
PORT_STORE_END = _register.take()  # of ST's burst on its way
PORT_STORE_BYTES = _register.take()  # of it
LOAD_BEATS = _register.take()  # traffic of LD
STORE_BEATS = _register.take()  # of ST
FETCH_BEATS = _register.take()  # of the instruction fetch

# One a unit.
QUEUE_HEAD = _register.take(UNITS)
QUEUE_COUNT = _register.take(UNITS)
COMPLETION_HEAD = _register.take(UNITS)
COMPLETION_COUNT = _register.take(UNITS)
COMPLETION_LAST = _register.take(UNITS)  # end of the last completion
COMPLETION_SPACE = _register.take(UNITS)  # cycle in which the queue last got space

SEMAPHORES = _register.take(16)

# Counters: COUNTS + unit * COUNTERS + reason.
(
    N_BUSY, N_INSTRUCTION, N_SEMAPHORE, N_DATA, N_BANK, N_DRAIN, N_DRAM, N_WRITE, N_COMPLETION,
    N_CHAIN,
) = range(10)  # fmt: skip
COUNTERS = 10
COUNTS = _register.take(UNITS * COUNTERS)

# LD and ST: LD_DMA or ST_DMA plus these. Near side: LD's requests, ST's reads of the scratchpad;
# far side: LD's writes to the scratchpad, ST's requests.
_dma = Allotment()
NEAR_ROW = _dma.take()  # record in the near side, -1: none
NEAR_FREE = _dma.take()  # first cycle in which it can take one
NEAR_BYTES = _dma.take()  # that passed it
NEAR_BANKS = _dma.take()  # set of banks that the near side of ST may read
FAR_ROW = _dma.take()  # record in the far side, -1: none
FAR_BYTES = _dma.take()  # that passed it
DMA_ACTED = _dma.take()  # 1: did some of its own work in this cycle
DMA_REFUSED = _dma.take()  # 1: was refused a bank in this cycle
DMA_INDEXED = _dma.take()  # 1: the index of the next run has been read
CHUNK_LEVEL = _dma.take()  # levels of the chunk that are done
CHUNK_LEVELS = _dma.take()  # levels that it has
FLIGHT_HEAD = _dma.take()  # bursts in flight
FLIGHT_COUNT = _dma.take()
PENDING_HEAD = _dma.take()  # records between the sides
PENDING_COUNT = _dma.take()
LD_DMA = _register.take(_dma.size)
ST_DMA = _register.take(_dma.size)

# Walkers over the bytes of a movement: the 10 numbers of `D_DRAM` and `D_SP`, then where it is.
_walk = Allotment()
WALK_ADDRESS = _walk.take()  # of the run
WALK_RUN = _walk.take()  # its bytes
WALK_COUNTS = _walk.take(4)
WALK_STRIDES = _walk.take(4)
WALK_INDICES = _walk.take(4)
WALK_OFFSET = _walk.take()  # in the run
WALK_LEFT = _walk.take()  # bytes left in all
LD_NEAR = _register.take(_walk.size)
LD_FAR = _register.take(_walk.size)
ST_NEAR = _register.take(_walk.size)
ST_FAR = _register.take(_walk.size)

# MX: the running instruction.
MX_PARAMETERS = _register.take()
MX_KIND = _register.take()
MX_START = _register.take()
MX_LAST = _register.take()  # its last cycle
MX_DRAIN_FREE = _register.take()  # first cycle in which the next register tile may drain
MX_DRAIN = _register.take()  # cycles of a drain
MX_TILES = _register.take()  # pixel tiles
MX_STEPS = _register.take()  # of a pixel tile
MX_MIXED = _register.take()  # 1: A and B may lie in the same banks
MX_BANKS = _register.take()  # set of banks that it may read
# The walker that finds what MX reads in a cycle.
MX_OUTER = _register.take()  # outer tile
MX_TILE = _register.take()  # pixel tile
MX_TILE_BEGIN = _register.take()  # its first cycle
MX_STEP_NATURAL = _register.take()  # cycle in which its last step could begin
MX_STEP_LAST = _register.take()  # cycle in which it does
MX_TILE_LAST = _register.take()  # its last cycle
MX_TAP = _register.take()
MX_GROUP = _register.take()  # step of the tap
MX_STEP_BEGIN = _register.take()  # first cycle of the step
MX_WALK_FREE = _register.take()  # as MX_DRAIN_FREE, at the walker's place
# The gather of one pixel tile and tap.
GATHER_TILE = _register.take()  # -1: none yet
GATHER_TAP = _register.take()
GATHER_COUNT = _register.take()  # words
GATHER_LOW = _register.take()
GATHER_HIGH = _register.take()
GATHER_LEVELS = _register.take()

# VX: the running instruction.
VX_ROW = _register.take()  # record, -1: none
VX_PARAMETERS = _register.take()
VX_KIND = _register.take()
VX_FREE = _register.take()  # first cycle in which its front can take an instruction
VX_BANKS = _register.take()  # set of banks that it may read
VX_GROUP = _register.take()  # channel group
VX_PIXEL = _register.take()  # first pixel of the beat
VX_TAP = _register.take()
VX_LINE_WANTED = _register.take()  # 1: the group's line of parameters is to be read
VX_TABLE_LINE = _register.take()  # lines of a table that were sent
VX_FETCHING = _register.take()  # 1: some of the beat has been asked for
VX_FOLD = _register.take()  # cycles until the next beat
STREAM_LEVELS = _register.take(3)  # of the beat, one a stream
STREAM_DONE = _register.take(3)  # of these
VX_READY = _register.take()  # 1: a beat is fetched and not sent
VX_REACH = _register.take()  # last cycle at the reduction of the beats sent
VX_LEAVE = _register.take()  # last cycle in the chain of the beats sent
VX_WORKS = _register.take()  # VRUNs and LDTs tracked
VX_SPACE = _register.take()  # cycle since when there is a context
# VX: the results on their way to the scratchpad.
OUT_HEAD = _register.take()
OUT_COUNT = _register.take()
OUT_LEVEL = _register.take()  # levels of the oldest that are written
OUT_LEVELS = _register.take()  # levels that it has, -1: not known yet

REGISTERS = _register.size

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
