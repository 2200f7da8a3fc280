"""MX: the matrix unit. All modes accumulate exactly in int32 and write accumulator rows.

Addresses `a`, `b` are scratchpad *word* addresses (ku bytes). The result of pixel p (or row m) and
channel n lands in accumulator row  acc + (n // ku) * acc_stride + p // beat_pixels,
lane (p % beat_pixels) * ku + n % ku. Pixels beyond the last of a register tile of mu are computed
as zeros of the A operand. With `accumulate` the old contents are added.

Weights ("B tiles") are stored as [n tile of nu][k step][nu][ku] int8, one line of nu words a step,
or with w4 = 1 as int4 pairs (low nibble first) in half the words: every stride of B is then in
words of the packed form. Channel groups must not share accumulator rows.

Cycles: a register tile of mu x nu results takes one cycle a step, more where the words of one
operand collide in a column or two operands in a bank, and at least drain_cycles.
"""

from jiriki.isa.fields import Field, Instruction, Unit


class Gstr(Instruction):
    """Set the strides of GEMM: how A and B step along k and n."""

    OPCODE, UNITS = 15, (Unit.MX,)
    a_plane = Field(18, "A words from one k step (ku values of k) to the next")
    b_kstride = Field(18, "B words from one k step to the next (packed weights: nu)")
    b_nstride = Field(20, "B words from one n tile to the next (packed weights: steps*nu)")
    acc_stride = Field(12, "accumulator rows from one channel group to the next")


class Gemm(Instruction):
    """C[m, n] = sum over k of A[m, k] * B[k, n].

    A word of (row m, step s) is a + s*a_plane + m; B word of (n tile t, step s, column j < nu) is
    b + t*b_nstride + s*b_kstride + j.
    """

    OPCODE, UNITS, RELOCATES = 16, (Unit.MX,), "a"
    a = Field(20, "word address of A")
    m = Field(14, "rows of A")
    steps = Field(12, "k steps: k / ku rounded up")
    b = Field(20, "word address of B")
    n_tiles = Field(10, "tiles of nu columns")
    acc = Field(12, "first accumulator row")
    accumulate = Field(1, "1: add to the accumulators")
    w4 = Field(1, "1: B holds int4")


class Conv(Instruction):
    """Convolution by implicit im2col: A is read through window register win with base a.

    Steps run over (ky, kx, group), group innermost; B is packed with kh*kw*groups steps.
    """

    OPCODE, UNITS, RELOCATES = 17, (Unit.MX,), "a"
    a = Field(20, "word address of A's base")
    win = Field(2, "window register")
    p = Field(15, "output pixels")
    groups = Field(10, "input channel groups of ku")
    b = Field(20, "word address of the packed weights")
    n_tiles = Field(8, "tiles of nu output channels")
    acc = Field(10, "first accumulator row / 4")
    acc_stride = Field(9, "accumulator rows between channel groups")
    accumulate = Field(1, "1: add to the accumulators")
    w4 = Field(1, "1: B holds int4")


class Ldw(Instruction):
    """Read `lines` lines of nu words at b into the register file from line 0."""

    OPCODE, UNITS, RELOCATES = 18, (Unit.MX,), "b"
    b = Field(20, "word address")
    lines = Field(8, "lines of nu*ku bytes")


class Dw(Instruction):
    """Depthwise convolution of `tiles` tiles of nu channels, weights from the register file.

    Channel tile t covers groups t*nu/ku onward of window register win. A step is one kernel row
    and up to ku taps of it: taps kx = c*ku .. of chunk c < ceil(kw/ku); its weights are register
    file line t*steps + ky*chunks + c, as [nu channels][ku taps]. Each step reads, for every group
    of the tile, the distinct words of mu pixels x its taps.
    """

    OPCODE, UNITS, RELOCATES = 19, (Unit.MX,), "a"
    a = Field(20, "word address of A's base")
    win = Field(2, "window register")
    p = Field(15, "output pixels")
    tiles = Field(8, "tiles of nu channels")
    acc = Field(12, "first accumulator row")
    acc_stride = Field(12, "accumulator rows between channel groups")
    accumulate = Field(1, "1: add to the accumulators")
    line = Field(8, "first line of the register file")


class Gemv(Instruction):
    """One row times a matrix, both ports reading weights: 2*nu outputs, ku terms a cycle.

    The row x sits in the register file (k step s in line s // nu, word s % nu); n tile t is packed
    at b + t*steps*nu words as for GEMM. The other pixels of each accumulator row become 0 (with
    accumulate: stay).
    """

    OPCODE, UNITS, RELOCATES = 20, (Unit.MX,), "b"
    b = Field(20, "word address of the packed weights")
    steps = Field(12, "k steps")
    n_tiles = Field(10, "tiles of nu columns")
    acc = Field(12, "first accumulator row")
    acc_stride = Field(12, "accumulator rows between channel groups")
    accumulate = Field(1, "1: add to the accumulators")
    w4 = Field(1, "1: B holds int4")
