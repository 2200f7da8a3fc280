"""Descriptors join the instructions of their own queue; what was never set is refused."""

import pytest

from jiriki.isa.assembly import parse_program
from jiriki.isa.dma.operations import DmaDim, DmaOp
from jiriki.isa.errors import IsaError
from jiriki.isa.matrix.operations import ConvOp, GemmOp
from jiriki.isa.resolve import resolve
from jiriki.isa.sequence import unroll_instructions
from jiriki.isa.vector.operations import VrunOp
from jiriki.isa.words import Micro, MicroOp, Quantiser, Reduce, Src, Window


def operations(text: str):
    works = resolve(unroll_instructions(parse_program(text + "\nHALT")))
    return [w.op for w in works if w.op is not None]


def test_dimension_registers_belong_to_their_queue():
    ld, st = operations(
        "DIM.LD dim=0 count=3 dram_stride=5 sp_stride=7\n"
        "DIM.ST dim=0 count=4 dram_stride=-6 sp_stride=8\n"
        "LD.LD dram=1 sp=2 run=3 ndims=1\nST.ST run=1 ndims=1 mode=FILL fill=9"
    )

    assert isinstance(ld, DmaOp) and isinstance(st, DmaOp)
    assert (ld.dims, ld.store, ld.bytes) == ((DmaDim(3, 5, 7),), False, 9)
    assert (st.dims, st.store, st.fill) == ((DmaDim(4, -6, 8),), True, 9)


def test_windows_belong_to_their_queue_and_take_effect_in_order():
    first, second = operations(
        "WINA.MX idx=1 plane=4 pitch=5 h=6 w=7 ow=8 fill=-1\n"
        "WINB.MX idx=1 sy=1 sx=2 dy=3 dx=4 py=-5 px=6 kh=1 kw=3\n"
        "WINA.VX idx=1 ow=99\n"
        "CONV.MX win=1 p=1 groups=2 n_tiles=3 acc=4\n"
        "WINB.MX idx=1 kh=2 kw=2\nCONV.MX win=1 p=1 groups=2 n_tiles=3"
    )

    assert isinstance(first, ConvOp) and isinstance(second, ConvOp)
    assert first.window == Window(4, 5, 6, 7, 8, -1, 1, 2, 3, 4, -5, 6, 1, 3)
    assert (first.steps, first.acc) == (6, 16)
    assert (second.window.taps, second.window.ow) == (4, 8)


def test_gstr_gives_gemm_its_strides():
    (op,) = operations(
        "GSTR.MX a_plane=3 b_kstride=4 b_nstride=5 acc_stride=6\nGEMM.MX m=1 steps=2 n_tiles=1 w4=1"
    )

    assert isinstance(op, GemmOp)
    assert (op.a_plane, op.b_kstride, op.b_nstride, op.acc_stride, op.w4) == (3, 4, 5, 6, True)


VX = (
    "WINA.VX idx=0 ow=4\nWINB.VX idx=0 kh=2 kw=2\nSTRM.VX idx=0\nWINA.VX idx=3 ow=4\n"
    "WINB.VX idx=3 kh=1 kw=1\nSTRM.VX idx=3 quant=1\nQPAR.VX idx=1 zero_point=2 lo=-3 hi=4\n"
)


def test_a_chain_is_cut_at_red_only_when_it_reduces():
    text = VX + (
        "CHAIN.VX op0=NEG op1=RED op2=ABS\nVRUN.VX p=1 groups=1 uses=9\n"
        "RED.VX reduce=WINDOW redop=MAX\nVRUN.VX p=1 groups=1 uses=9"
    )

    plain, reduced = operations(text)

    assert isinstance(plain, VrunOp) and isinstance(reduced, VrunOp)
    assert plain.before == (Micro(MicroOp.NEG, 0), Micro(MicroOp.ABS, 0))
    assert plain.after == ()
    assert (reduced.before, reduced.after) == ((Micro(MicroOp.NEG, 0),), (Micro(MicroOp.ABS, 0),))
    assert (plain.taps, reduced.taps, reduced.reduce) == (1, 4, Reduce.WINDOW)
    assert reduced.out_quantiser == Quantiser(2, -3, 4)


def test_half_0_ends_a_chain_at_five_and_half_1_goes_on():
    full = "".join(f" op{i}=NEG" for i in range(5))
    text = VX + (
        f"CHAIN.VX slot=2{full}\nCHAIN.VX slot=2 half=1 op0=FADD src0=K7\nKONST.VX k=7 bits=0x1\n"
        "VRUN.VX p=1 groups=1 uses=9 slot=2\nCHAIN.VX slot=2 op0=ABS\n"
        "VRUN.VX p=1 groups=1 uses=9 slot=2"
    )

    long, short = operations(text)

    assert isinstance(long, VrunOp) and isinstance(short, VrunOp)
    assert (len(long.before), long.before[5]) == (6, Micro(MicroOp.FADD, Src.K7))
    assert len(short.before) == 1
    assert long.konst[7] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("LD.LD run=1 ndims=1", "dimension register 0 of LD was never set"),
        ("DIM.LD\n", r"instruction 0 \(DIM\): count = 0 must be at least 1"),
        ("LD.LD run=1 ndims=5", "ndims = 5 exceeds 4"),
        ("LD.LD run=1 mode=5", "mode = 5 is no DmaMode; known are COPY"),
        ("DIM.LD count=1\nLD.LD run=1 ndims=1 mode=GATHER", "GATHER before any GIDX"),
        ("GIDX.LD base=2", "not a multiple of 4"),
        ("LD.LD", "run = 0 must be at least 1"),
        ("CONV.MX p=1 groups=1 n_tiles=1", "window register 0 of MX was never set by WINA"),
        ("WINA.MX ow=1\nCONV.MX p=1 groups=1 n_tiles=1", "never set by WINB"),
        ("WINA.MX idx=5 ow=1", "MX has no window register 5"),
        ("GEMM.MX m=1 steps=1 n_tiles=1", "add a GSTR"),
        ("STRM.VX idx=6", "VX has no stream 6"),
        ("STRM.VX idx=1 dtype=ACC", "only stream 0 reads accumulators"),
        ("CHAIN.VX half=1", "half 1 of chain 0 comes before half 0"),
        ("RED.VX reduce=PIXELS redop=ARGMAX", "ARGMAX needs reduce CHANNELS"),
        ("RED.VX reduce=CHANNELS", "channels = 0 must be at least 1"),
        ("VRUN.VX p=1 groups=1", "chain register 0 was never set"),
        (VX + "CHAIN.VX\nVRUN.VX p=1 groups=1 uses=2", "stream 1 is used but its type"),
        (VX + "CHAIN.VX\nSTRM.VX idx=3 quant=2\nVRUN.VX p=1 groups=1 uses=8", "quantiser 2 of"),
        (VX + "CHAIN.VX op0=FADD src0=IN1\nVRUN.VX p=1 groups=1 uses=9", "reads IN1, which"),
        (VX + "CHAIN.VX op0=FADD src0=K2\nVRUN.VX p=1 groups=1 uses=9", "reads K2, never set"),
        (VX + "CHAIN.VX op0=FADD src0=6\nVRUN.VX p=1 groups=1 uses=9", "operand = 6 is no Src"),
        (VX + "CHAIN.VX op0=FADD src0=T\nVRUN.VX p=1 groups=1 uses=9", "reads t before SAVE"),
        (VX + "CHAIN.VX op0=QNT src0=2\nVRUN.VX p=1 groups=1 uses=9", "quantiser 2, never set"),
        (
            VX + "STRM.VX idx=4\nRED.VX reduce=CHANNELS channels=1\n"
            "CHAIN.VX op0=RED op1=FMUL src1=PS\nVRUN.VX p=1 groups=1 uses=25",
            "reads PS after a reduction over CHANNELS",
        ),
        (
            "WINA.VX idx=0 ow=1\nSTRM.VX dtype=ACC\nCHAIN.VX\nRED.VX reduce=WINDOW\n"
            "VRUN.VX p=1 groups=1 uses=1",
            "WINDOW reduction needs stream 0 from the scratchpad",
        ),
    ],
)
def test_what_was_never_set_or_cannot_be_is_refused(text, message):
    with pytest.raises(IsaError, match=message):
        operations(text)


def test_address_registers_are_added_modulo_the_field():
    (op,) = operations("SETR reg=3 value=-16\nLD.LD dram=4 run=1 areg=3")
    assert isinstance(op, DmaOp)
    assert op.dram == 2**32 - 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NOP.CTL areg=1", "NOP names address register|Nop names address register"),
        ("LOOP count=2 body=9", "LOOP body of 9"),
        (
            "LOOP count=2 body=2\nLOOP count=2 body=3\nNOP\nNOP\nNOP",
            "must be at least 1 and end by",
        ),
        ("LOOP count=2 body=5\n" * 5 + "NOP\n" * 9, "must be|nests 5 deep"),
    ],
)
def test_loops_and_registers_that_cannot_be_are_refused(text, message):
    with pytest.raises(IsaError, match=message):
        operations(text)


def test_a_runaway_loop_is_stopped():
    code = parse_program("SETR reg=1 value=-1\nLOOP from_reg=1 reg=1 body=1\nNOP\nHALT")
    with pytest.raises(IsaError, match="instruction 2: the stream passes 500 steps"):
        unroll_instructions(code, limit=500)


def test_loops_nest_four_deep():
    text = "".join(f"LOOP count=2 body={5 - i}\n" for i in range(4)) + "NOP\nNOP"
    steps = unroll_instructions(parse_program(text + "\nHALT"))
    assert sum(s.index >= 4 for s in steps) == 2 * 16 + 1

    deeper = "".join(f"LOOP count=2 body={6 - i}\n" for i in range(5)) + "NOP\nNOP"
    with pytest.raises(IsaError, match="nests 5 deep"):
        unroll_instructions(parse_program(deeper + "\nHALT"))
