"""Every engine takes and checks its inputs in one place: the same line whoever runs the program."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jiriki.chip import load_chip
from jiriki.isa.assembly import parse_program
from jiriki.isa.errors import IsaError
from jiriki.program import Binding, Entry, Parameter, Program, ProgramError, Segment
from jiriki.program.host import host_image
from jiriki.program.stream import collection_paused, unroll, work_of
from jiriki.rtl.board.engine import BoardEngine
from jiriki.rtl.engine import GatesEngine
from jiriki.sim.functional import FunctionalEngine
from jiriki.sim.timing import TimingEngine
from tests.small_program import with_entry

NANO = load_chip("nano")
ENGINES = {
    "functional": FunctionalEngine(NANO), "timing": TimingEngine(NANO), "rtl": GatesEngine(NANO),
    "board": BoardEngine(NANO),
}  # fmt: skip
X = np.zeros((1, 8, 8), np.float32)
LOOPS = "LOOP.CTL count=2 body={}\n"


def changed(program: Program, change: dict[str, Any]) -> Program:
    """Return the program with a field of it, or of its entry, changed."""
    whole = change.keys() <= {"chip_hash", "dram_bytes", "entries"}
    return replace(program, **change) if whole else with_entry(program, **change)


@pytest.fixture
def shifted(make_program, code) -> Program:
    """The example with a host parameter, `offset`, added to the address of its load."""
    moved = code.replace("LD.LD sp=0 dram=0", "PARM.CTL reg=1 index=0\nLD.LD sp=0 areg=1 dram=0")
    return with_entry(make_program(moved), parameters=(Parameter("offset"),))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("inputs", "line"),
    [
        ({"x": X}, "host parameter offset is missing; pass an integer"),
        ({"x": X, "offset": 0.0}, r"offset is float64 of shape \(\), not one integer; convert it"),
        ({"x": X, "offset": np.zeros(2, int)}, r"offset is int64 of shape \(2,\), not one integer"),
        ({"x": X, "offset": True}, "offset is bool"),
        ({"x": X, "offset": 1 << 32}, "offset = 4294967296 is outside -2147483648..4294967295"),
        ({"x": X, "offset": 0, "y": X}, "has no input y; its inputs are offset, x"),
        ({"x": X[0], "offset": 0}, r"input x: shape \(8, 8\) is not \(1, 8, 8\); reshape it"),
        ({"x": X.astype(int), "offset": 0}, "input x: type int64 is not float32; convert it"),
        ({"x": [[1, 2], [3]], "offset": 0}, "input x is no array"),
    ],
)
def test_what_is_not_the_program_s_is_refused_by_every_engine(shifted, engine, inputs, line):
    with pytest.raises(ProgramError, match=line) as caught:
        ENGINES[engine].run(shifted, inputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", ["functional", "rtl", "board"])
def test_engines_of_values_need_every_array(shifted, engine):
    with pytest.raises(ProgramError, match="input x is missing; pass its array"):
        ENGINES[engine].run(shifted, {"offset": 0})


def test_time_needs_the_parameters_only(shifted):
    run = ENGINES["timing"].run(shifted, {"offset": np.array([0], np.int8)})
    assert run.parameters == {"offset": 0}
    assert run.cycles == ENGINES["timing"].run(shifted, {"x": X, "offset": 0}).cycles


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"chip_hash": "0" * 64}, r"was emitted for nano \(000000000000\), not for nano \("),
        ({"dram_bytes": 1 << 33}, "image of 8589934592 bytes exceeds the DRAM of nano"),
        ({"dram_bytes": 250}, "output y at DRAM bytes 192..255 lies outside the image"),
        ({"parameters": ()}, "PARM reads host parameter 0, and it names 0"),
        ({"parameters": (Parameter("x"),)}, "x names two inputs"),
        (
            {"parameters": tuple(Parameter(str(n)) for n in range(257))},
            "257 host parameters exceed 256",
        ),
        ({"parameters": (Parameter("n", 5, 4),)}, r"n has the range 5\.\.4 in steps of 1; stay"),
        ({"entries": ()}, r"its entries begin at instructions \[\] of 16; begin at 0"),
        ({"first": 3}, r"its entries begin at instructions \[3\] of 16; begin at 0"),
    ],
)
def test_a_program_that_does_not_fit_is_refused_by_every_engine(shifted, engine, change, line):
    with pytest.raises(ProgramError, match=line):
        ENGINES[engine].run(changed(shifted, change), {"x": X, "offset": 0})


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"axis": 3}, "axis 3 is none of its 3"),
        ({"shape": (1, 8, -8)}, "has a negative size"),
        ({"dtype": "float32"}, "a scale needs integers, not float32"),
        ({"scale": float("nan")}, "scale nan is not positive and finite"),
        ({"external": "str"}, "type str is no number"),
    ],
)
def test_a_binding_without_meaning_is_refused(program, change, line):
    wrong = with_entry(program, inputs=(replace(program.inputs[0], **change),))
    with pytest.raises(ProgramError, match=f"binding x: .*{line}"):
        host_image(wrong, NANO, {"x": X})


def test_an_image_holds_constants_and_inputs_where_the_program_says():
    program = Program(
        "p", "nano", NANO.content_hash(), tuple(parse_program("HALT.CTL")),
        (Segment(1, b"\7\10"),), 16,
        (Entry((Binding("a", 4, (3,), None, "int8", "int8"),)),),
    )  # fmt: skip
    image, parameters = host_image(program, NANO, {"a": np.array([1, 2, 3], np.int8)})
    # Without a channel axis an element is channel 0 of a word of ku = 4.
    assert image.tolist() == [0, 7, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]
    assert parameters == {}


def test_loops_nest_as_deep_as_the_chip_allows(make_program):
    nested = make_program("".join(LOOPS.format(n) for n in (3, 2, 1)) + "NOP.CTL\nHALT.CTL")
    assert [step.index for step in unroll(nested, NANO)].count(3) == 8
    with pytest.raises(IsaError, match="LOOP nests 3 deep, beyond the chip's 2"):
        unroll(nested, replace(NANO, loop_depth=2))


@pytest.mark.parametrize("engine", [FunctionalEngine, TimingEngine])
def test_engines_honour_the_loop_depth_of_their_chip(make_program, engine):
    shallow = replace(NANO, loop_depth=2)
    nested = make_program("".join(LOOPS.format(n) for n in (3, 2, 1)) + "NOP.CTL\nHALT.CTL")
    nested = replace(nested, chip_hash=shallow.content_hash())
    with pytest.raises(IsaError, match="beyond the chip's 2"):
        engine(shallow).run(nested, {"x": X})


def test_a_content_hash_is_computed_once(program, monkeypatch):
    first = program.content_hash()
    monkeypatch.setattr(Program, "code_bytes", lambda self: pytest.fail("computed again"))
    assert program.content_hash() == first


@pytest.mark.parametrize("enabled", [True, False])
def test_a_stream_is_made_without_collecting_and_leaves_the_collector_as_it_was(program, enabled):
    was, seen = gc.isenabled(), []
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(IsaError), collection_paused():
            seen.append(gc.isenabled())
            raise IsaError("in the middle")
        work_of(program, NANO)
        seen.append(gc.isenabled())
    finally:
        (gc.enable if was else gc.disable)()
    assert seen == [False, enabled]
