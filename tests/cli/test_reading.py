"""Models as people have them, on the command line: open sizes, fixed inputs, samples as inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.frontend.nets import f32, model, node

Command = Callable[..., Any]


@pytest.fixture
def scaled(tmp_path: Path) -> Path:
    """Return the file of y = gain * x, x of shape [batch, 3]; two samples lie beside it."""
    net = model([node("Mul", ["x", "gain"])], {"x": (1, 3), "gain": (1,)})
    net.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(net, tmp_path / "scaled.onnx")
    x = np.arange(12, dtype=f32).reshape(2, 2, 3)
    np.savez(tmp_path / "samples.npz", x=x)
    np.savez(tmp_path / "input.npz", x=x[1])
    return tmp_path / "scaled.onnx"


def outputs(path: Path) -> list:
    return np.load(path)["y"].tolist()


def test_input_is_fixed_and_sizes_are_those_of_the_arrays(jiriki: Command, scaled: Path) -> None:
    out = scaled.parent / "out.npz"
    done = jiriki(
        "run", scaled, "--chip", "nano", "--set", "gain=0.5",
        "--input", scaled.parent / "input.npz", "--output", out,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert outputs(out) == [[3, 3.5, 4], [4.5, 5, 5.5]]


def test_first_sample_is_the_input_when_none_is_passed(jiriki: Command, scaled: Path) -> None:
    out = scaled.parent / "out.npz"
    done = jiriki(
        "run", scaled, "--chip", "nano", "--set", "gain=1", "--output", out,
        "--calibration", scaled.parent / "samples.npz",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "the first calibration sample" in jiriki(
        "run", scaled, "--chip", "nano", "--set", "gain=1", "--json",
        "--calibration", scaled.parent / "samples.npz",
    ).out  # fmt: skip
    assert np.allclose(outputs(out), [[0, 1, 2], [3, 4, 5]], atol=0.05)  # a step is 11 / 255


def test_dimension_is_fixed_by_its_name(jiriki: Command, scaled: Path) -> None:
    done = jiriki(
        "run", scaled, "--chip", "nano", "--set", "gain=1", "--shape", "batch=3",
        "--input", scaled.parent / "input.npz",
    )  # fmt: skip
    assert done.code == 1
    assert "(3, 3)" in done.err and "(2, 3)" in done.err


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--set", "gain=loud"), "'loud' is no number; write NAME=16000"),
        (("--set", "=1"), "write NAME=VALUE"),
        (("--set", "volume=1"), "--set names volume, but the inputs are: x, gain"),
        (("--shape", "rows=1"), "--shape names rows, but the inputs are: gain, x; the open"),
        (("--set", "gain=1"), "pass --shape x=1,3 with the sizes you want"),
    ],
)
def test_reading_mistake_is_refused_in_the_shell_s_words(
    jiriki: Command, scaled: Path, option: tuple[str, str], words: str
) -> None:
    done = jiriki("compile", scaled, "--chip", "nano", "-o", scaled.parent / "p", *option)
    assert done.code == 1
    assert words in done.err and done.err.count("\n") == 1
