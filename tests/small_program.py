"""A small, correct program on `nano`: a 1x1 convolution of 8 channels over 8 pixels."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jiriki.chip.catalogue import load_chip
from jiriki.isa.assembly import parse_program
from jiriki.program import Binding, Entry, Note, Parameter, Program, Segment, State

DESCRIPTORS = """
WINA.MX idx=0 plane=8 pitch=8 h=1 w=8 ow=8
WINB.MX idx=0 sy=1 sx=1 dy=1 dx=1 kh=1 kw=1
WINA.VX idx=0 plane=4 pitch=0 h=1 w=1 ow=1
STRM.VX idx=0 dtype=ACC
WINA.VX idx=3 plane=8 pitch=8 h=1 w=8 ow=8
WINB.VX idx=3 sx=1 kh=1 kw=1
STRM.VX idx=3 dtype=I8
STRM.VX idx=4 base=32
QPAR.VX zero_point=3 lo=-128 hi=127
CHAIN.VX op0=IADD src0=PB op1=I2F op2=FMUL src2=PS
"""
WORK = """
LD.LD sp=0 dram=0 run=192 signal=0:1
CONV.MX p=8 groups=2 b=16 n_tiles=2 acc_stride=4 wait=0:1 signal=1:1
VRUN.VX in0=0 out=48 p=8 groups=2 uses=25 wait=1:1 signal=2:1
ST.ST sp=192 dram=192 run=64 wait=2:1
HALT.CTL
"""
TOKEN = """
PARM.CTL reg=0 index=0
LD.LD sp=0 dram=256 run=8 signal=0:1
ST.ST sp=0 dram=264 run=8 wait=0:1 signal=3:1
LD.LD sp=64 dram=192 run=8 wait=3:1 signal=4:1
ST.ST sp=64 dram=256 run=8 wait=4:1
HALT.CTL
"""


def with_entry(program: Program, **changes: Any) -> Program:
    """Return a program of one entry with that entry changed."""
    (entry,) = program.entries
    return replace(program, entries=(replace(entry, **changes),))


def two_entries(program: Program) -> Program:
    """Return the example as entry `prompt`, with a state and an entry that moves it on."""
    chip = load_chip("nano")
    cache = Binding("kept", 256, (2, 4), 1, "int8", "int8")
    token = Entry(
        outputs=(replace(cache, name="before", address=264),),
        parameters=(Parameter("position", 0, 512, 64),), name="token",
        first=len(program.instructions),
    )  # fmt: skip
    code = parse_program(TOKEN)
    return replace(
        program, chip_hash=chip.content_hash(), instructions=(*program.instructions, *code),
        entries=(replace(program.entries[0], name="prompt"), token),
        states=(State(cache, b"contents"),), dram_bytes=272,
    )  # fmt: skip


@pytest.fixture
def weights() -> np.ndarray:
    """[out 8, in 8] int8."""
    return np.random.default_rng(3).integers(-128, 128, (8, 8)).astype(np.int8)


@pytest.fixture
def make_program(weights: np.ndarray) -> Callable[[str], Program]:
    """Return a maker of programs: the code is given, everything else is the convolution's."""
    chip = load_chip("nano")
    packed = weights.reshape(2, 4, 2, 4).transpose(0, 2, 1, 3)  # [tile, step, nu, ku]
    params = np.zeros((2, 2, 4), np.int32)
    params[:, 0] = np.arange(8).reshape(2, 4) * 100 - 300
    params[:, 1] = (np.arange(8, dtype=np.float32).reshape(2, 4) * 0.001 + 0.002).view(np.int32)

    def make(code: str) -> Program:
        return Program(
            "example", "nano", chip.content_hash(), tuple(parse_program(code)),
            (Segment(64, packed.tobytes()), Segment(128, params.tobytes())), 256,
            (Entry((Binding("x", 0, (1, 8, 8), 1, "int8", "float32", 0.5, -3),),
                   (Binding("y", 192, (1, 8, 8), 1, "int8", "float32", 0.25, 3),)),),
            notes=(Note("conv", "Conv", 512),), meta={"made by": "hand"},
        )  # fmt: skip

    return make


@pytest.fixture
def code() -> str:
    """The code of the example."""
    return DESCRIPTORS + WORK


@pytest.fixture
def program(make_program: Callable[[str], Program], code: str) -> Program:
    """The example."""
    return make_program(code)
