"""A small quantised network in files, and a way to call the command line.

Out: `jiriki(*arguments)` -> exit code, standard output, standard error; `qdq`, `floating`: paths.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from jiriki.cli import main
from jiriki.frontend import quantise_onnx

INPUT_SHAPE = (1, 3, 9, 11)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def jiriki(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["jiriki", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return Result(int(stop.value.code or 0), out, err)

    return call


def small_network(shape: tuple[int | str, ...] = INPUT_SHAPE) -> onnx.ModelProto:
    """Conv 3x3 with 8 channels, Relu."""
    random = np.random.default_rng(3)
    weights = random.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32)
    bias = random.normal(0, 0.1, 8).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "first<b>conv</b>", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"], "then_relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


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
