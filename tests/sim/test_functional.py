"""The functional engine on a hand-written program, against the network in int64 NumPy."""

import numpy as np
import pytest

from jiriki.chip.catalogue import load_chip
from jiriki.program import Parameter, ProgramError
from jiriki.program.stream import unroll
from jiriki.sim.errors import SimError
from jiriki.sim.functional import FunctionalEngine
from tests.small_program import with_entry

ENGINE = FunctionalEngine(load_chip("nano"))
X = np.random.default_rng(5).normal(0, 20, (1, 8, 8)).astype(np.float32)


def expected(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    q = np.clip(np.rint(x / np.float32(0.5)) - 3, -128, 127).astype(np.int64)
    acc = np.einsum("oi,nip->nop", weights.astype(np.int64), q)
    channel = np.arange(8)[None, :, None]
    scale = channel.astype(np.float32) * np.float32(0.001) + np.float32(0.002)
    y = (acc + channel * 100 - 300).astype(np.float32) * scale
    code = np.clip(np.rint(y) + 3, -128, 127)
    return ((code - 3) * 0.25).astype(np.float32)


def test_a_convolution_gives_numpy_s_values(program, weights):
    run = ENGINE.run(program, {"x": X})

    assert run.outputs is not None
    assert np.array_equal(run.outputs["y"], expected(X, weights))
    assert len(np.unique(run.outputs["y"])) > 20
    assert (run.engine, run.cycles) == ("functional", None)
    assert (run.dram_read_bytes, run.dram_write_bytes) == (192, 64)
    assert run.program_hash == program.content_hash()


def test_instructions_run_when_their_semaphores_allow(make_program, code, weights):
    lines = [line for line in code.splitlines() if line]
    store = next(line for line in lines if line.startswith("ST."))
    early = [store, *(line for line in lines if line != store)]

    run = ENGINE.run(make_program("\n".join(early)), {"x": X})

    assert run.outputs is not None
    assert np.array_equal(run.outputs["y"], expected(X, weights))


def test_a_loop_over_an_address_register_loads_every_part(make_program, code, weights):
    load = "LD.LD sp=0 dram=0 run=192 signal=0:1"
    assert load in code
    looped = (
        "DIM.LD dim=0 count=1\nSETR.CTL reg=4 value=-64\nLOOP.CTL count=3 body=2\n"
        "ADDR.CTL reg=4 step=64\nLD.LD sp=0 dram=0 run=64 areg=4\nLD.LD sp=64 dram=64 run=128\n"
        "LD.LD sp=0 dram=0 run=64 signal=0:1"
    )

    run = ENGINE.run(make_program(code.replace(load, looped)), {"x": X})

    assert run.outputs is not None
    assert np.array_equal(run.outputs["y"], expected(X, weights))
    assert run.dram_read_bytes == 3 * 64 + 192


def test_a_host_parameter_is_given_by_name(make_program, code, weights):
    shifted = code.replace("LD.LD sp=0 dram=0", "PARM.CTL reg=1 index=0\nLD.LD sp=0 areg=1 dram=0")
    program = with_entry(make_program(shifted), parameters=(Parameter("offset"),))

    same = ENGINE.run(program, {"x": X, "offset": np.array(0)})
    other = ENGINE.run(program, {"x": X, "offset": np.array(32)})

    assert same.outputs is not None and other.outputs is not None
    assert np.array_equal(same.outputs["y"], expected(X, weights))
    assert not np.array_equal(other.outputs["y"], same.outputs["y"])
    with pytest.raises(ProgramError, match="host parameter offset is missing"):
        ENGINE.run(program, {"x": X})


def test_inputs_are_asked_for_by_name_shape_and_type(program):
    with pytest.raises(ProgramError, match="input x is missing"):
        ENGINE.run(program)
    with pytest.raises(ProgramError, match=r"input x: shape \(8, 8\) is not \(1, 8, 8\)"):
        ENGINE.run(program, {"x": X[0]})
    with pytest.raises(ProgramError, match="input x: type float64 is not float32"):
        ENGINE.run(program, {"x": X.astype(float)})


def test_a_reach_outside_memory_names_the_instruction(make_program, code):
    wrong = make_program(code.replace("dram=192 run=64", "dram=193 run=64"))

    with pytest.raises(SimError) as caught:
        ENGINE.run(wrong, {"x": X})

    assert str(caught.value) == (
        "instruction 13 (ST.ST dram=193 sp=192 run=64 wait=2:1): DRAM bytes 193..256 lie outside "
        "its 256 bytes; correct the address or the sizes"
    )


def test_a_deadlock_is_reported(make_program, code):
    with pytest.raises(ProgramError, match="deadlock"):
        ENGINE.run(make_program(code.replace("signal=2:1", "")), {"x": X})


def test_another_chip_s_program_is_refused(program):
    with pytest.raises(ProgramError, match="was emitted for nano"):
        FunctionalEngine(load_chip("e256")).run(program, {"x": X})


def test_unroll_keeps_control_instructions_and_places(make_program):
    program = make_program(
        "SETR.CTL reg=1 value=8\nLOOP.CTL count=2 body=3\nLOOP.CTL count=2 body=1\n"
        "LD.LD dram=4 run=1 areg=1\nADDR.CTL reg=1 step=-8\nLOOP.CTL body=1\nNOP.CTL\nHALT.CTL"
    )

    steps = unroll(program, load_chip("nano"))

    assert [s.index for s in steps] == [0, 1, 2, 3, 3, 4, 2, 3, 3, 4, 5, 7]
    loads = [s.instruction.values["dram"] for s in steps if s.index == 3]
    assert loads == [12, 12, 4, 4]
    assert program.instructions[3].values["dram"] == 4
