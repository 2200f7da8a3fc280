"""VX: the vector unit. Streams in, a chain of micro-ops on vx_lanes fp32 lanes, a stream out.

A beat is beat_pixels pixels x ku channels of one channel group. VRUN visits
    for g < groups: for p in steps of beat_pixels: [for each tap, if it reduces over the window]
and, for each beat, sets v = element of stream 0 and runs the chain. Lanes of pixels >= p are
neither read nor written. Streams: 0 in, 1 in, 2 in, 3 out, 4 channel parameters. Integer streams
I8 and I16 arrive as their value in fp32; I32 (and the accumulators) arrive as raw int32 for IADD
and I2F; F32 and BF16 with subnormals flushed and NaN canonical. v is 32 bits: a micro-op reads
them as fp32 (cleaned the same way) or, for IADD and I2F, as int32. Without stream 0, v starts as
+0. Channel parameters: per group ku int32 (operand PB) then ku fp32 (operand PS), fetched once a
group. Streams 1 and 2 are read at tap (0, 0). Elements of stream 3 outside its window are dropped.
Results that overlap an input are exact only when both have the same place, window and width.

Reductions (`reduce`): the chain up to RED runs on each beat, the results are combined by `redop`,
the rest of the chain runs on what comes out:
    WINDOW    over the taps of window 0 (ky, then kx); one result a pixel and channel
    PIXELS    over the pixels: beats in order lane by lane, then halving across beat_pixels;
              one result (pixel 0) a group
    CHANNELS  over the groups: lane by lane in order, then halving across the ku lanes of each
              pixel; group 0 of the output gets the result in every lane; channels at or beyond
              `channels` take no part
Sums start from the first element. Halving: x[i] = x[i] op x[i + n/2], n = lanes, lanes/2, ... 1.
Pixels beyond p in the last beat take no part (identity: -0 for SUM, -inf MAX, +inf MIN).
Without RED in the chain all of it runs before the reduction; with reduce NONE a RED does nothing.
Beyond RED an operand must have one value: after PIXELS no IN1 and IN2, after CHANNELS no PB and PS
either, and t only when saved again.
"""

from jiriki.isa.fields import Field, Instruction, Unit
from jiriki.isa.words import DType, MicroOp, RedOp, Reduce, TableKind


class Konst(Instruction):
    """Set scalar register k of VX to fp32 bits (operand Kk)."""

    OPCODE, UNITS = 21, (Unit.VX,)
    k = Field(3, "scalar register")
    bits = Field(32, "fp32 bits", is_float=True)


class Qpar(Instruction):
    """Set quantiser idx of VX: zero point and clamp bounds of QNT and of integer output."""

    OPCODE, UNITS = 22, (Unit.VX,)
    idx = Field(2, "quantiser")
    zero_point = Field(17, "added after rounding", signed=True)
    lo = Field(17, "least result", signed=True)
    hi = Field(17, "greatest result", signed=True)


class Strm(Instruction):
    """Set the type of VX stream idx; for streams 2 and 4 also the base."""

    OPCODE, UNITS = 23, (Unit.VX,)
    idx = Field(3, "stream: 0, 1, 2 in, 3 out, 4 channel parameters")
    base = Field(20, "word address (streams 2 and 4)")
    dtype = Field(3, "element type", enum=DType)
    splat = Field(1, "1: lane 0 of the element group is used in all ku lanes")
    quant = Field(2, "stream 3, I8 and I16: the quantiser applied")


class Chain(Instruction):
    """Set micro-ops 5*half .. 5*half + 4 of chain register slot (half 0 also ends it at 5)."""

    OPCODE, UNITS = 24, (Unit.VX,)
    slot = Field(2, "chain register")
    half = Field(1, "0: micro-ops 0..4, 1: micro-ops 5..9")
    op0 = Field(6, "micro-op", enum=MicroOp)
    src0 = Field(5, "operand or slot")
    op1 = Field(6, "micro-op", enum=MicroOp)
    src1 = Field(5, "operand or slot")
    op2 = Field(6, "micro-op", enum=MicroOp)
    src2 = Field(5, "operand or slot")
    op3 = Field(6, "micro-op", enum=MicroOp)
    src3 = Field(5, "operand or slot")
    op4 = Field(6, "micro-op", enum=MicroOp)
    src4 = Field(5, "operand or slot")


class Red(Instruction):
    """Set how the VRUNs that follow reduce."""

    OPCODE, UNITS = 25, (Unit.VX,)
    reduce = Field(2, "over what", enum=Reduce)
    redop = Field(2, "how", enum=RedOp)
    channels = Field(16, "channels that exist, for CHANNELS")


class Vrun(Instruction):
    """Run chain register slot over `groups` channel groups of `p` pixels."""

    OPCODE, UNITS, RELOCATES = 26, (Unit.VX,), "in0"
    in0 = Field(20, "word address of stream 0 (ACC: row)")
    in1 = Field(20, "word address of stream 1")
    out = Field(20, "word address of stream 3")
    p = Field(15, "output pixels")
    groups = Field(14, "channel groups")
    slot = Field(2, "chain register")
    uses = Field(5, "bit i: stream i is fetched (0, 1, 2, 4) ; bit 3: stream 3 is written")


class Ldt(Instruction):
    """Load table `slot` of kind from the scratchpad (its image as numerics lays it out).

    Each kind has its own slots, `table_slots` of the chip. VRUNs later in the queue see the new
    table.
    """

    OPCODE, UNITS = 27, (Unit.VX,)
    base = Field(20, "word address")
    slot = Field(4, "table slot")
    kind = Field(1, "which of the two kinds of table", enum=TableKind)
