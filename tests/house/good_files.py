"""Files that every command takes as they are: what the mutants of `mutants.py` are made from.

In: a folder. Out: a `GoodFiles` with the path of each kind; all are small, so that a command on one
takes a fraction of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.frontend import import_onnx, quantise_onnx
from jiriki.program.file import save

ROOT = Path(__file__).parents[2]
SHAPE = (1, 3, 9, 11)
CHIP = "nano"


@dataclass(frozen=True)
class GoodFiles:
    """Paths of good files, by kind."""

    models: tuple[Path, ...]  # quantised
    floats: tuple[Path, ...]  # with one input x, to be calibrated
    input: Path
    matrices: Path  # inputs of the program's text
    calibration: Path
    program: Path
    text: Path
    chip: Path
    product: Path
    assumptions: Path
    demand: Path


def write_good_files(folder: Path) -> GoodFiles:
    """Write one file or more of every kind into the folder."""
    samples = np.random.default_rng(5).normal(0, 1, (3, *SHAPE)).astype(np.float32)
    np.savez(folder / "input.npz", x=samples[0])
    np.savez(folder / "calibration.npz", x=samples)
    ones = np.ones((8, 16), np.int8)
    np.savez(folder / "matrices.npz", a=ones, b=ones.T)
    models, floats = [], []
    for network in (vision(), attention(), moves()):
        floats.append(folder / f"{network.graph.name}-float.onnx")
        models.append(folder / f"{network.graph.name}.onnx")
        onnx.save(network, floats[-1])
        onnx.save(quantise_onnx(network, [{"x": sample} for sample in samples]), models[-1])
    save(compile_graph(import_onnx(models[0]), load_chip(CHIP)), folder / "vision.jprog")
    copies = {
        "nano.toml": "jiriki/chip/catalogue/nano.toml",
        "h100.toml": "jiriki/products/catalogue/h100.toml",
        "assumptions.toml": "jiriki/cost/assumptions.toml",
        "matmul.jk": "examples/matmul.jk",
    }
    for name, source in copies.items():
        (folder / name).write_bytes((ROOT / source).read_bytes())
    demand = next((ROOT / "examples").glob("*.toml")).read_text("utf-8")
    (folder / "demand.toml").write_text(demand.replace("months = 16", "months = 3"), "utf-8")
    return GoodFiles(
        tuple(models), tuple(floats), folder / "input.npz", folder / "matrices.npz",
        folder / "calibration.npz",
        folder / "vision.jprog", folder / "matmul.jk", folder / "nano.toml",
        folder / "h100.toml", folder / "assumptions.toml", folder / "demand.toml",
    )  # fmt: skip


def vision() -> onnx.ModelProto:
    """Convolutions, one of them depthwise, poolings, a residual, a classifier."""
    rng = np.random.default_rng(1)
    return _model(
        "vision",
        [
            _node("Conv", "x w0 b0", "c0", pads=[1, 1, 1, 1], strides=[2, 1]),
            _node("Relu", "c0", "r0"),
            _node("Conv", "r0 w1 b1", "c1", pads=[1, 1, 1, 1], group=8),
            _node("Add", "c1 r0", "a"),
            _node("MaxPool", "a", "m", kernel_shape=[2, 2], strides=[2, 2]),
            _node("AveragePool", "m", "v", kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
            _node("GlobalAveragePool", "v", "g"),
            _node("Flatten", "g", "f"),
            _node("Gemm", "f w2 b2", "z", transB=1),
            _node("Softmax", "z", "y", axis=1),
        ],
        {
            "w0": rng.normal(0, 0.3, (8, 3, 3, 3)), "b0": rng.normal(0, 0.1, 8),
            "w1": rng.normal(0, 0.3, (8, 1, 3, 3)), "b1": rng.normal(0, 0.1, 8),
            "w2": rng.normal(0, 0.3, (5, 8)), "b2": rng.normal(0, 0.1, 5),
        },
    )  # fmt: skip


def attention() -> onnx.ModelProto:
    """A head of attention over the rows of a picture, a norm, a gate."""
    rng = np.random.default_rng(2)
    return _model(
        "attention",
        [
            _node("Reshape", "x rows", "t"),
            _node("LayerNormalization", "t scale shift", "n", axis=-1),
            _node("MatMul", "n wq", "q"),
            _node("MatMul", "n wk", "k"),
            _node("Transpose", "k", "kt", perm=[0, 2, 1]),
            _node("MatMul", "q kt", "s"),
            _node("Mul", "s tenth", "d"),
            _node("Softmax", "d", "p", axis=-1),
            _node("MatMul", "p n", "o"),
            _node("Sigmoid", "o", "gate"),
            _node("Mul", "o gate", "u"),
            _node("Add", "u t", "y"),
        ],
        {
            "rows": np.array([1, 27, 11]), "scale": rng.normal(1, 0.1, 11),
            "shift": rng.normal(0, 0.1, 11), "wq": rng.normal(0, 0.3, (11, 8)),
            "wk": rng.normal(0, 0.3, (11, 8)), "tenth": np.array(0.35),
        },
    )  # fmt: skip


def moves() -> onnx.ModelProto:
    """Operators that move, select and resize."""
    return _model(
        "moves",
        [
            _node("Pad", "x pads", "p", mode="constant"),
            _node("Slice", "p starts ends axes", "s"),
            _node("Resize", "s none scales", "r", mode="linear"),
            _node("Concat", "r r", "c", axis=1),
            _node("Gather", "c picks", "g", axis=1),
            _node("Transpose", "g", "t", perm=[0, 2, 3, 1]),
            _node("Split", "t sizes", "left right", axis=3),
            _node("Max", "left right", "m"),
            _node("Expand", "m wide", "e"),
            _node("ReduceMean", "e", "mean", axes=[1], keepdims=1),
            _node("Clip", "mean low high", "y"),
        ],
        {
            "pads": np.array([0, 0, 1, 0, 0, 0, 1, 2]), "starts": np.array([1, 2]),
            "ends": np.array([9, 12]), "axes": np.array([2, 3]), "none": np.zeros(0),
            "scales": np.array([1, 1, 2, 1.5]), "picks": np.array([0, 3, 5, 2]),
            "sizes": np.array([2, 2]), "wide": np.array([2, 16, 15, 2]),
            "low": np.array(-1.0), "high": np.array(2.0),
        },
    )  # fmt: skip


def _node(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), f"the_{op}", **attributes)


def _model(
    name: str, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]
) -> onnx.ModelProto:
    arrays = {k: a if a.dtype.kind == "i" else a.astype(np.float32) for k, a in constants.items()}
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, key) for key, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
