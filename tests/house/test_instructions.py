"""Every instruction has encoding, text, meaning, effects, ideal-cycle rule and manual entry.

One program holds every instruction once; what is missing shows by the instruction's name.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from jiriki.chip import load_chip
from jiriki.isa.assembly import format_instruction, mnemonic, parse_instruction, parse_program
from jiriki.isa.control import Addr, Fence, Halt, Loop, Nop, Parm, Setr, Sig, Wait
from jiriki.isa.encoding import decode, encode
from jiriki.isa.fields import OPCODES, Instruction, Unit
from jiriki.isa.operations import ASPECTS, Operation, by_operation, effects, ideal_cycles
from jiriki.isa.resolve import QueueState, Work, resolve
from jiriki.isa.sequence import unroll_instructions

MANUAL = Path(__file__).parents[2] / "docs" / "reference" / "isa.md"
CHIP = load_chip("nano")
CONTROL = {Nop, Halt, Fence, Loop, Setr, Addr, Parm, Wait, Sig}  # done by sequencer and queues
KINDS = [pytest.param(kind, id=kind.__name__) for kind in OPCODES.values()]

EVERY_INSTRUCTION = """
NOP.CTL
PARM.CTL reg=1 index=0
SETR.CTL reg=2 value=0
ADDR.CTL reg=2 step=0
LOOP.CTL count=1 body=1
FENCE.CTL
DIM.LD dim=0 count=2 dram_stride=64 sp_stride=64
LD.LD dram=0 sp=0 run=64 ndims=1 signal=0:1
GIDX.LD base=0
WAIT.MX wait=0:1
GSTR.MX a_plane=16 b_kstride=1 b_nstride=1 acc_stride=4
GEMM.MX a=0 m=4 steps=1 b=0 n_tiles=1 acc=0
WINA.MX idx=0 plane=64 pitch=4 h=4 w=4 ow=4
WINB.MX idx=0 sy=1 sx=1 dy=1 dx=1 kh=1 kw=1
CONV.MX a=0 win=0 p=4 groups=1 b=0 n_tiles=1 acc=0 acc_stride=4
LDW.MX b=0 lines=1
DW.MX a=0 win=0 p=4 tiles=1 acc=0 acc_stride=4
GEMV.MX b=0 steps=1 n_tiles=1 acc=0 acc_stride=1
SIG.MX signal=1:1
LDT.VX base=0 slot=0 kind=LUT8
WINA.VX idx=0 plane=4 pitch=4 h=1 w=4 ow=4
WINB.VX idx=0 sy=1 sx=1 dy=1 dx=1 kh=1 kw=1
WINA.VX idx=3 plane=4 pitch=4 h=1 w=4 ow=4
WINB.VX idx=3 sy=1 sx=1 dy=1 dx=1 kh=1 kw=1
STRM.VX idx=0 dtype=I8
STRM.VX idx=3 dtype=I8
KONST.VX k=0 bits=0x3f800000
QPAR.VX idx=0 lo=-128 hi=127
CHAIN.VX op0=I2F
RED.VX
VRUN.VX in0=0 out=16 p=4 groups=1 uses=9 wait=1:1
ST.ST dram=256 sp=64 run=16
HALT.CTL
"""


def program() -> list[Instruction]:
    return parse_program(EVERY_INSTRUCTION)


def work() -> list[Work]:
    return [w for w in resolve(unroll_instructions(program(), [0])) if w.op is not None]


def test_the_program_holds_every_instruction() -> None:
    assert {type(instruction) for instruction in program()} == set(OPCODES.values())


@pytest.mark.parametrize("kind", KINDS)
def test_encoding_and_text_lead_back(kind: type[Instruction]) -> None:
    for unit in kind.UNITS:
        extreme = {name: field.high for name, field in kind.LAYOUT.items() if field.enum is None}
        for values in ({}, extreme):
            instruction = kind.new(unit, **values)  # type: ignore[arg-type]
            assert decode(encode(instruction)) == instruction
            assert parse_instruction(format_instruction(instruction)) == instruction


@pytest.mark.parametrize("kind", KINDS)
def test_class_says_what_it_does_and_what_its_fields_are(kind: type[Instruction]) -> None:
    assert kind.__doc__
    assert [name for name, field in kind.LAYOUT.items() if not field.doc] == []


def test_every_operation_comes_from_an_instruction() -> None:
    assert {type(w.op) for w in work()} == set(get_args(Operation))


@pytest.mark.parametrize("executed", work(), ids=lambda w: type(w.instruction).__name__)
def test_work_has_meaning_effects_and_ideal_cycles(executed: Work) -> None:
    assert executed.op is not None
    assert type(executed.op) in ASPECTS
    assert effects(executed.op, CHIP).writes
    assert ideal_cycles(executed.op, CHIP) > 0


def test_a_room_s_table_of_operations_misses_none() -> None:
    rows = dict.fromkeys(ASPECTS, 0)
    assert by_operation(rows) is rows
    missing, *rest = ASPECTS
    with pytest.raises(AssertionError, match=missing.__name__):
        by_operation(dict.fromkeys(rest, 0))


def test_what_is_no_work_is_control_or_a_descriptor() -> None:
    """A descriptor acts through later work: it is the only instruction of its kind left."""
    working = {type(w.instruction) for w in work()}
    descriptors = set(OPCODES.values()) - working - CONTROL
    names = {mnemonic(kind) for kind in descriptors}
    assert names == {
        "DIM", "GIDX", "GSTR", "WINA", "WINB", "KONST", "QPAR", "STRM", "CHAIN", "RED",
    }  # fmt: skip


@pytest.mark.parametrize("unit", Unit)
def test_a_queue_takes_every_instruction_that_may_be_sent_to_it(unit: Unit) -> None:
    sent = {kind for kind in OPCODES.values() if unit in kind.UNITS} - CONTROL
    assert set(QueueState().handlers[unit]) == sent


@pytest.mark.parametrize("kind", KINDS)
def test_manual_has_the_instruction_and_its_fields(kind: type[Instruction]) -> None:
    manual = MANUAL.read_text("utf-8")
    assert mnemonic(kind) in manual
    assert [name for name in kind.LAYOUT if name not in manual] == []
