"""Words of the instruction set: a row says all of a micro-op, and no list misses one."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import pytest

from jiriki.isa.vector import lanes
from jiriki.isa.vector.lanes import BINARY, UNARY
from jiriki.isa.words import Energy, MicroOp, Operand, Stage, TableKind
from jiriki.rtl.vector.alu import ALU_OPS
from jiriki.rtl.vector.function_lane import FUNCTIONS

CODES = [  # programs in the field hold them
    "END", "MOV", "IADD", "I2F", "FADD", "FSUB", "FRSB", "FMUL", "FMAX", "FMIN", "NEG", "ABS",
    "GT", "GE", "EQ", "SEL", "EXP2", "LOG2", "RECIP", "RSQRT", "FLOOR", "RND", "TBL", "LUT",
    "QNT", "SAVE", "RED", "ROT", "MASK",
]  # fmt: skip
WITH_X = {
    "MOV", "IADD", "FADD", "FSUB", "FRSB", "FMUL", "FMAX", "FMIN", "GT", "GE", "EQ", "SEL", "MASK",
}  # fmt: skip
ROW = (1, Stage.ARITHMETIC, Operand.NONE, Energy.MOVE, "v = v")


def test_codes_are_those_of_released_programs() -> None:
    assert [(op.value, op.name) for op in MicroOp] == list(enumerate(CODES))


@pytest.mark.parametrize("left_out", range(len(ROW)))
def test_a_row_that_lacks_something_does_not_load(left_out: int) -> None:
    new = vars(MicroOp)["__new_member__"]
    assert IntEnum("Rows", {"__new__": new, "NEW": ROW}) is not None
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        IntEnum("Rows", {"__new__": new, "NEW": ROW[:left_out] + ROW[left_out + 1 :]})


def test_x_is_named_by_those_that_read_it() -> None:
    assert {op.name for op in MicroOp if op.operand is Operand.VALUE} == WITH_X
    assert {op.name for op in BINARY} <= WITH_X
    assert not {op.name for op in UNARY} & WITH_X


@pytest.mark.parametrize("op", [op for op in BINARY if op.exchanged is not None])
def test_exchanged_computes_the_same_with_v_and_x_exchanged(op: MicroOp) -> None:
    v, x = (lanes.measured(np.array(n, np.float32)) for n in ([1, 2.5, -3, 0], [4, -2.5, -3, -7]))
    assert op.exchanged is not None
    same = BINARY[op](v, x).array == BINARY[op.exchanged](x, v).array
    assert same.all()


def test_comparisons_without_a_mirror_are_not_exchanged() -> None:
    assert [op.name for op in BINARY if op.exchanged is None] == ["GT", "GE"]


def test_every_row_has_gates_in_the_stage_it_names() -> None:
    assert {op.name for op in FUNCTIONS} == {"EXP2", "LOG2", "RECIP", "RSQRT", "TBL", "LUT"}
    assert set(MicroOp) - set(ALU_OPS) - set(FUNCTIONS) == {
        MicroOp.SAVE, *(op for op in MicroOp if op.is_mark),
    }  # fmt: skip


def test_tables_have_the_sizes_of_their_images() -> None:
    assert {op.table: op.name for op in MicroOp if op.table is not None} == {
        TableKind.LUT8: "LUT", TableKind.SEGMENT: "TBL",
    }  # fmt: skip
    assert (TableKind.LUT8.image_bytes, TableKind.SEGMENT.image_bytes) == (256, 4112)
