"""No command replaces a file that it reads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from jiriki.chip import chip_names, load_chip
from tests.cli.harness import refused

ROOT = Path(__file__).parents[2]
CASES = {
    "compile over the model": ("compile", "qdq.onnx", "-o", "qdq.onnx"),
    "compile over a link to the model": ("compile", "qdq.onnx", "-o", "link.onnx"),
    "compile over the samples":
        ("compile", "floating.onnx", "--calibration", "samples.npz", "-o", "samples.npz"),
    "compile over the chip": ("compile", "qdq.onnx", "--chip", "own.toml", "-o", "own.toml"),
    "compile over the weights": ("compile", "large.onnx", "-o", "large.data"),
    "run over its input": ("run", "qdq.onnx", "--input", "input.npz", "--output", "input.npz"),
    "run over its input by another path":
        ("run", "qdq.onnx", "--input", "input.npz", "--output", "../here/input.npz"),
    "verify over its input": ("verify", "qdq.onnx", "--input", "input.npz", "--vcd", "input.npz"),
    "profile over the model": ("profile", "qdq.html", "--out", "."),
    "diff over a profile": ("diff", "profile.json", "qdq.onnx", "--out", "profile.json"),
    "diff over the chip":
        ("diff", "qdq.onnx", "qdq.onnx", "--chip", "own.toml", "--out", "own.toml"),
    "plan over the demand": ("plan", "demand.toml", "--out", "demand.toml"),
    "compare over a product":
        ("compare", "resnet50", "--chips", "h20,own.toml", "--out", "own.toml"),
}  # fmt: skip


@pytest.fixture
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of inputs of its own, which is where commands run."""
    here = tmp_path / "here"
    shutil.copytree(folder, here)
    (here / "link.onnx").symlink_to("qdq.onnx")
    shutil.copy(here / "qdq.onnx", here / "qdq.html")
    shutil.copy(ROOT / "jiriki/chip/catalogue/nano.toml", here / "own.toml")
    shutil.copy(ROOT / "jiriki/examples/2025-08-inference-cloud.toml", here / "demand.toml")
    (here / "profile.json").write_text("{}")
    large = onnx.load(here / "qdq.onnx")
    onnx.save(
        large, here / "large.onnx", save_as_external_data=True, location="large.data",
        size_threshold=16,
    )  # fmt: skip
    monkeypatch.chdir(here)
    return here


@pytest.mark.parametrize("case", CASES)
def test_an_output_never_replaces_an_input(jiriki: Callable, here: Path, case: str) -> None:
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    refused(jiriki(*CASES[case]), CASES[case][-1].rsplit("/")[-1], "would replace input")
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


def test_an_old_output_is_replaced(jiriki: Callable, here: Path) -> None:
    for _ in range(2):
        assert jiriki("compile", "qdq.onnx", "-o", "program.jprog").code == 0


def test_two_chips_of_one_name_are_refused(jiriki: Callable, here: Path) -> None:
    assert load_chip("own.toml").name in chip_names()
    done = jiriki("profile", "qdq.onnx", "--chip", "nano", "--chip", "own.toml", "--out", "pages")
    refused(done, "nano", "a name of its own")
