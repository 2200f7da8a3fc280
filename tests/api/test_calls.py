"""`import jiriki`: what its functions take, and the one line for what they do not take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jiriki
from jiriki.chip import load_chip
from jiriki.frontend import reference_session, run_reference
from jiriki.models import Model
from jiriki.program.file import save
from jiriki.sim.timing import TimingEngine
from tests.frontend import nets

CHIPS = Path(load_chip.__code__.co_filename).parent
MATMUL = Path(__file__).parents[2] / "examples" / "matmul.jk"
FACE: Any = jiriki  # for calls that a type checker refuses
COPY = """.program "copy"
.chip "nano"
.dram 128
.parameter "from"
.input {"name": "x", "address": 0, "shape": [16], "axis": 0, "dtype": "int8", "external": "int8"}
.output {"name": "y", "address": 64, "shape": [4], "axis": 0, "dtype": "int8", "external": "int8"}
.code
PARM.CTL reg=2 index=0
LD.LD sp=0 dram=0 run=4 areg=2 signal=0:1
ST.ST sp=0 dram=64 run=4 wait=0:1
HALT.CTL
"""


def test_a_model_is_taken_in_every_form(digits: Model, program: jiriki.Program, tmp_path: Path):
    assert digits.onnx
    path = tmp_path / "digits.onnx"
    path.write_bytes(digits.onnx.SerializeToString())
    forms = (path, str(path), path.read_bytes(), digits.onnx, digits.graph(), "digits")
    hashes = {jiriki.compile(form, chip=load_chip("nano")).content_hash() for form in forms}
    assert hashes == {program.content_hash()}


def test_samples_are_taken_in_every_form(digits: Model, program: jiriki.Program, tmp_path: Path):
    assert digits.zoo
    samples = digits.zoo.calibration()
    stacked = np.stack([sample["image"] for sample in samples])
    np.savez(tmp_path / "samples.npz", image=stacked)
    forms = (list(samples), {"image": stacked}, stacked, tmp_path / "samples.npz")
    assert digits.original
    compiled = [jiriki.compile(digits.original, "nano", calibration=form) for form in forms]
    assert {p.content_hash() for p in compiled} == {program.content_hash()}


def test_inputs_are_taken_in_every_form(
    digits: Model, program: jiriki.Program, image: np.ndarray, tmp_path: Path
):
    assert digits.onnx
    expected = run_reference(reference_session(digits.onnx), {"image": image})["logits"]
    np.savez(tmp_path / "in.npz", image=image)
    for form in ({"image": image}, image, [image], (image,), tmp_path / "in.npz"):
        outputs = jiriki.run(program, form).outputs
        assert outputs and np.array_equal(outputs["logits"], expected)


def test_program_files_and_texts_run_by_their_path(program: jiriki.Program, tmp_path: Path):
    save(program, tmp_path / "digits.jiriki")
    by_path = jiriki.profile(tmp_path / "digits.jiriki")
    assert by_path.cycles == jiriki.run(program, engine="timing").cycles
    a, b = np.eye(8, 16, dtype=np.int8), np.arange(128, dtype=np.int8).reshape(16, 8)
    outputs = jiriki.run(MATMUL, {"a": a, "b": b}).outputs
    assert outputs and np.array_equal(outputs["c"], b[:8])


def test_host_parameters_are_passed_by_name(tmp_path: Path):
    path = tmp_path / "copy.jk"
    path.write_text(COPY)
    x = np.arange(16, dtype=np.int8)
    outputs = jiriki.run(path, x, parameters={"from": 8}).outputs
    assert outputs and outputs["y"].tolist() == [8, 9, 10, 11]
    assert jiriki.profile(path, parameters={"from": 8}).macs == 0
    with pytest.raises(jiriki.JirikiError, match="from is in inputs and in parameters"):
        jiriki.run(path, {"x": x, "from": 8}, parameters={"from": 8})
    with pytest.raises(jiriki.JirikiError, match="host parameter from is missing"):
        jiriki.run(path, x)


def test_an_engine_is_taken_by_name_or_as_it_is(program: jiriki.Program):
    named = jiriki.run(program, engine="timing")
    assert named.cycles == jiriki.run(program, engine=TimingEngine(load_chip("nano"))).cycles


def test_a_chip_of_one_s_own_is_passed_along(program: jiriki.Program, tmp_path: Path):
    toml = tmp_path / "mine.toml"
    text = (CHIPS / "nano.toml").read_text("utf-8")
    toml.write_text(text.replace('"nano"', '"mine"').replace("banks = 4", "banks = 8"))
    mine = jiriki.compile("digits", chip=toml)
    assert jiriki.profile(mine, chip=toml).chip.name == "mine"
    with pytest.raises(jiriki.JirikiError, match="mine, which is no chip of the catalogue; pass"):
        jiriki.profile(mine)
    with pytest.raises(jiriki.JirikiError, match=r"was emitted for mine .* not for nano"):
        jiriki.run(mine, chip="nano")


def test_more_effort_is_never_slower(program: jiriki.Program):
    messages: list[str] = []
    best = jiriki.compile("digits", "nano", effort=2, progress=messages.append)
    assert len(messages) >= 2
    assert jiriki.profile(best).cycles <= jiriki.profile(program).cycles


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda p: FACE.compile(5), "model is int; pass a path"),
        (lambda p: FACE.compile("nothing"), "neither a file nor a model of the zoo"),
        (lambda p: FACE.compile(b"\x00"), "is not a complete ONNX file"),
        (lambda p: FACE.compile("digits", "e7"), "chip 'e7' is not in the catalogue"),
        (lambda p: FACE.compile("digits", 7), "chip is int; pass"),
        (lambda p: FACE.compile("digits", "nano", effort=0), "effort = 0 is below 1"),
        (lambda p: FACE.compile("digits", "nano", {"a": [1]}), "has its own calibration"),
        (lambda p: FACE.compile(FACE.load_model("digits"), shapes={"x": (1,)}), "loaded alr"),
        (lambda p: FACE.compile(MATMUL, "nano"), "matmul is a program already"),
        (lambda p: FACE.run("digits"), "neither a file nor a model"),
        (lambda p: FACE.run(p), "input image is missing; pass its array"),
        (lambda p: FACE.run(p, [1, 2]), r"has 1 inputs \(image\), not 2"),
        (lambda p: FACE.run(p, {"y": 1}), "has no input y"),
        (lambda p: FACE.run(p, "absent.npz"), "absent.npz does not exist"),
        (lambda p: FACE.run(p, engine="abacus"), "'abacus' is not installed"),
        (lambda p: FACE.run(7), "program is int; pass what jiriki.compile returned"),
        (lambda p: FACE.profile(p, process="3 yards"), "3 yards"),
    ],
)
def test_what_is_not_taken_is_refused_in_one_line(program: jiriki.Program, call, line: str):
    with pytest.raises(jiriki.JirikiError, match=line) as caught:
        call(program)
    assert "\n" not in str(caught.value)


def test_samples_that_do_not_fit_are_refused(digits: Model):
    for samples, line in (
        ([{"x": np.zeros(3)}], "sample 0 holds .'x'."),
        (3.5, "calibration is float; pass"),
        ({"image": np.float32(1)}, "samples are {'image': 0}"),
    ):
        with pytest.raises(jiriki.JirikiError, match=line):
            FACE.compile(digits.original, "nano", calibration=samples)


def test_an_open_dimension_is_fixed_by_a_sample_and_an_input_by_a_value():
    net = nets.model([nets.node("Mul", ["x", "gain"])], {"x": (1, 3), "gain": (1,)})
    net.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    program = jiriki.compile(net, chip="nano", shapes={"batch": 2}, values={"gain": 0.5})
    (y,) = (jiriki.run(program, x).outputs or {}).values()
    assert y.tolist() == [[0, 0.5, 1], [1.5, 2, 2.5]]
    model = jiriki.load_model(net, calibration=x[None], values={"gain": 0.5})
    assert [port.shape for port in model.graph().inputs] == [(2, 3)]
