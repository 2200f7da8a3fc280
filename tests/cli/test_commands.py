"""Every command does its work, and with --json prints exactly one object."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from jiriki.chip import chip_names
from jiriki.frontend import reference_outputs, supported_operators
from jiriki.frontend.zoo import list_models
from jiriki.isa.assembly import format_program, parse_program
from jiriki.program.file import load
from tests.report.harness import faults


def test_the_installed_command_answers() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("jiriki"), "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "jiriki 0.1.0\n")


def test_run_gives_what_onnx_runtime_gives(jiriki, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "y.npz"
    done = jiriki(
        "run", folder / "qdq.onnx", "--input", folder / "input.npz", "--output", output, "--json"
    )
    result = json.loads(done.out)
    expected = reference_outputs(onnx.load(folder / "qdq.onnx"), np.load(folder / "input.npz"))
    np.testing.assert_array_equal(np.load(output)["y"], expected["y"])
    assert (result["elements"], result["differing_elements"]) == (8 * 9 * 11, 0)
    assert result["cycles"] > 8 * 9 * 11 * 27 / 256


def test_run_quantises_a_float_model(jiriki, folder: Path) -> None:
    done = jiriki(
        "run", folder / "floating.onnx", "--calibration", folder / "samples.npz",
        "--input", folder / "input.npz", "--json",
    )  # fmt: skip
    assert json.loads(done.out)["differing_elements"] == 0


def test_timing_engine_gives_cycles_without_outputs(jiriki, folder: Path) -> None:
    done = jiriki(
        "run", folder / "qdq.onnx", "--engine", "timing", "--input", folder / "input.npz", "--json"
    )
    result = json.loads(done.out)
    assert (result["elements"], result["differing_elements"]) == (0, None)
    assert result["cycles"] > 0


@pytest.mark.parametrize("arguments", [("--chip", "nano"), ("--chip", "nano", "--chip", "e256")])
def test_profile_explains_every_cycle(jiriki, folder: Path, tmp_path: Path, arguments) -> None:
    done = jiriki("profile", folder / "qdq.onnx", *arguments, "--out", tmp_path, "--json")
    result = json.loads(done.out)
    for profile in result.get("profiles", [result]):
        assert profile["macs"] == 8 * 9 * 11 * 27
        for unit in profile["units"].values():
            assert unit["busy"] + unit["starved"] + unit["blocked"] == profile["cycles"]
        peak = {"nano": 64, "e256": 256}[profile["chip"]]
        assert profile["utilisation"] == profile["macs"] / (profile["cycles"] * peak)
    assert all(Path(path).is_file() for path in result["files"].values())


def test_compiled_file_runs_and_disassembles(jiriki, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.jprog"
    compiled = json.loads(jiriki("compile", folder / "qdq.onnx", "-o", file, "--json").out)
    ran = json.loads(jiriki("run", file, "--input", folder / "input.npz", "--json").out)
    text = jiriki("disasm", file).out
    program = load(file)
    assert compiled["program_hash"] == program.content_hash()
    assert ran["outputs"]["y"]["shape"] == [1, 8, 9, 11]
    assert format_program(parse_program(text)) == format_program(program.instructions)


def test_chips_lists_the_catalogue(jiriki) -> None:
    listed = json.loads(jiriki("chips", "--json").out)["chips"]
    assert [chip["name"] for chip in listed] == list(chip_names())
    assert "8x8x4" in jiriki("chips").out


def test_one_chip_shows_every_size(jiriki) -> None:
    assert "dram_burst_bytes" in jiriki("chips", "e256").out


def test_models_lists_the_zoo(jiriki) -> None:
    listed = json.loads(jiriki("models", "--json").out)["models"]
    assert [model["name"] for model in listed] == [card.name for card in list_models()]
    assert "resnet50" in jiriki("models").out


def test_coverage_lists_every_operator_with_its_way(jiriki) -> None:
    listed = json.loads(jiriki("coverage", "--json").out)["operators"]
    assert [row["operator"] for row in listed] == supported_operators()
    assert [row["operator"] for row in listed if not row["taken"]] == []


def test_text_output_has_no_json(jiriki, folder: Path) -> None:
    done = jiriki("run", folder / "qdq.onnx", "--input", folder / "input.npz")
    assert "0 of 792" in done.out
    assert done.err == ""


def test_layer_names_are_not_markup(jiriki, folder: Path, tmp_path: Path) -> None:
    done = jiriki("profile", folder / "qdq.onnx", "--out", tmp_path)
    assert done.code == 0
    assert "<b>conv</b>" not in (tmp_path / "qdq.html").read_text()


def test_examples_are_written_and_never_replace_what_is_there(jiriki, tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    first = json.loads(jiriki("examples", "--out", folder, "--json").out)
    assert first["files"] == sorted(map(str, folder.iterdir()))
    assert jiriki("examples", "--out", folder).code == 0
    (folder / "matmul.jk").write_text("mine")
    done = jiriki("examples", "--out", folder)
    assert (done.code, (folder / "matmul.jk").read_text()) == (1, "mine")
    assert "matmul.jk is there already" in done.err


def test_a_chip_s_toml_is_a_chip_of_one_s_own(jiriki, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(jiriki("chips", "nano", "--toml").out)
    both = [json.loads(jiriki("chips", chip, "--json").out)["chips"] for chip in ("nano", own)]
    assert both[0] == both[1]


@pytest.mark.parametrize(
    ("words", "message"), [((), "name it"), (("nano", "--json"), "leave one of them out")]
)
def test_toml_is_of_one_chip_in_one_form(jiriki, words: tuple[str, ...], message: str) -> None:
    done = jiriki("chips", "--toml", *words)
    assert done.code == 1 and message in done.err


def test_diff_of_a_profile_s_file_and_another_chip(jiriki, folder: Path, tmp_path: Path) -> None:
    saved = tmp_path / "nano.json"
    words = ("profile", folder / "qdq.onnx", "--chip", "nano", "--out", tmp_path, "--json")
    saved.write_text(jiriki(*words).out)
    page = tmp_path / "diff.html"
    done = jiriki("diff", saved, folder / "qdq.onnx", "--chip", "e256", "--out", page, "--json")
    shown, before = json.loads(done.out), json.loads(saved.read_text())
    assert shown["names"] == ["qdq on nano", "qdq on e256"]
    assert shown["before"]["cycles"] == before["cycles"] > shown["after"]["cycles"]
    assert [layer["name"] for layer in before["layers"]] == [x["name"] for x in shown["layers"]]
    assert shown["latency_s"][0] == before["latency_s"]
    assert shown["files"] == {"report": str(page)} and faults(page.read_text("utf-8")) == []
    same = jiriki("diff", saved, saved)
    assert "layers that changed: 0" in same.out


@pytest.mark.parametrize(
    ("workers", "message"),
    [("dask", "name one of processes, ray"), ("ray", "python -m pip install ray")],
)
def test_workers_that_are_not_there_are_refused_before_the_work(
    jiriki,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: str,
    message: str,
) -> None:
    monkeypatch.setattr("jiriki.plan.sweep.workers.find_spec", lambda name: None)
    words = ("--vary", "mu=4", "--out", tmp_path / "out", "--workers", workers)
    done = jiriki("sweep", folder / "qdq.onnx", *words)
    assert done.code == 1 and message in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
