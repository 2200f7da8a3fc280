"""A small quantised network in files, and a way to call the command line.

Out: `jiriki(*arguments)` -> exit code, standard output, standard error; `qdq`, `floating`: paths.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from jiriki.cli import main
from jiriki.frontend import quantise_onnx
from tests.cli.harness import INPUT_SHAPE, Command, Result, small_network


@pytest.fixture
def jiriki(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["jiriki", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return Result(int(stop.value.code or 0), out, err)

    return call


def samples(count: int) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 1, (count, *INPUT_SHAPE)).astype(np.float32)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the network as float and quantised files, an input and calibration samples."""
    folder = tmp_path_factory.mktemp("models")
    floating = small_network()
    onnx.save(floating, folder / "floating.onnx")
    onnx.save(quantise_onnx(floating, [{"x": x} for x in samples(4)]), folder / "qdq.onnx")
    np.savez(folder / "input.npz", x=samples(1)[0])
    np.savez(folder / "samples.npz", x=samples(4))
    return folder
