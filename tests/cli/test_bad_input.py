"""Bad models and full disks, each through the command line: one line, code 1, nothing left.

Every case writes one file into a folder of its own and asks for an output beside it; afterwards
standard error is one line that names what is wrong, and the folder holds only what the case wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.harness import Command, full_disk, refused, small_network

FEED_SHAPE = (1, 3, 9, 11)


def model(
    nodes: list[onnx.NodeProto],
    shape: tuple[int | str, ...],
    constants: dict[str, np.ndarray] | None = None,
    out: int = TensorProto.FLOAT,
    into: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """Return a model from x to y."""
    initializers = [
        numpy_helper.from_array(array, name) for name, array in (constants or {}).items()
    ]
    graph = helper.make_graph(
        nodes,
        "bad",
        [helper.make_tensor_value_info("x", into, shape)],
        [helper.make_tensor_value_info("y", out, None)],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def truncated(path: Path) -> None:
    data = small_network().SerializeToString()
    path.write_bytes(data[: len(data) * 2 // 3])


def not_onnx(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def open_shape(path: Path) -> None:
    onnx.save(small_network(("batch", 3, "height", 11)), path)


def unsupported(path: Path) -> None:
    node = helper.make_node("Det", ["x"], ["y"], "determinant")
    onnx.save(model([node], (1, 4, 4)), path)


def unknown_domain(path: Path) -> None:
    net = model([helper.make_node("Flash", ["x"], ["y"], "flashing", domain="my.own")], (1, 4))
    net.opset_import.append(helper.make_opsetid("my.own", 1))
    onnx.save(net, path)


def too_long_sum(path: Path) -> None:
    """140,000 products of bytes with 127 can exceed int32."""
    weights = np.full((140_000, 1), 127, np.int8)
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"], "long_sum")
    into = TensorProto.INT8
    onnx.save(model([node], (1, 140_000), {"w": weights}, TensorProto.INT32, into), path)


def too_large_tensor(path: Path) -> None:
    """A tensor of 4 GiB, more than is computed."""
    node = helper.make_node("Relu", ["x"], ["y"], "huge")
    onnx.save(model([node], (1, 16, 8192, 8192)), path)


def too_many_tensors(path: Path) -> None:
    """Ten tensors of 512 MiB each, more than the DRAM of the chip."""
    shape = (1, 16, 2048, 4096)
    nodes = [helper.make_node("Relu", ["x"], [f"y{i}"], f"large{i}") for i in range(8)]
    net = model([*nodes, helper.make_node("Sigmoid", ["x"], ["y"], "last")], shape)
    outputs = (helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, shape) for i in range(8))
    net.graph.output.extend(outputs)
    onnx.save(net, path)


def wrong_channels(path: Path) -> None:
    """A convolution of 3 channels on 4."""
    net = small_network((1, 4, 9, 11))
    onnx.save(net, path)


def float_model(path: Path) -> None:
    onnx.save(small_network(), path)


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (truncated, "model.onnx"),
    "not onnx": (not_onnx, "model.onnx"),
    "empty": (empty, "model.onnx"),
    "open shape": (open_shape, "batch"),
    "unsupported operator": (unsupported, "determinant"),
    "unknown domain": (unknown_domain, "Flash"),
    "k too large for int32": (too_long_sum, "int32"),
    "tensor larger than is computed": (too_large_tensor, "1,073,741,824 elements, more than"),
    "tensors larger than DRAM": (too_many_tensors, "DRAM"),
    "shapes that do not fit": (wrong_channels, "[1, 4, 9, 11]"),
    "float without calibration": (float_model, "--calibration"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_model_is_refused_in_one_line_and_leaves_nothing(
    jiriki: Command, case: str, tmp_path: Path
) -> None:
    make, word = BAD[case]
    make(tmp_path / "model.onnx")
    done = jiriki("compile", tmp_path / "model.onnx", "-o", tmp_path / "out.jprog")
    refused(done, word)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.fixture
def program(jiriki: Command, folder: Path) -> Path:
    path = folder / "good.jprog"
    if not path.exists():
        assert jiriki("compile", folder / "qdq.onnx", "-o", path).code == 0
    return path


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((1, 3, 9, 12), np.float32), "(1, 3, 9, 12)"),
        (np.zeros((3, 9, 11), np.float32), "(3, 9, 11)"),
        (np.zeros(FEED_SHAPE, np.float64), "float64"),
    ],
)
def test_wrong_input_is_refused(
    jiriki: Command, folder: Path, tmp_path: Path, array, word: str
) -> None:
    np.savez(tmp_path / "in.npz", x=array)
    answer = tmp_path / "answer.npz"
    refused(
        jiriki("run", folder / "qdq.onnx", "--input", tmp_path / "in.npz", "--output", answer), word
    )
    assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]


def test_unknown_chip_is_refused(jiriki: Command, folder: Path, tmp_path: Path) -> None:
    refused(
        jiriki("compile", folder / "qdq.onnx", "--chip", "e257", "-o", tmp_path / "o"),
        "e257",
        "e256",
    )
    assert list(tmp_path.iterdir()) == []


def test_missing_engine_is_refused(jiriki: Command, folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.zeros(FEED_SHAPE, np.float32))
    done = jiriki("run", folder / "qdq.onnx", "--engine", "fpga", "--input", tmp_path / "in.npz")
    refused(done, "fpga", "not installed", "functional")


def test_full_disk_leaves_no_program(jiriki: Command, folder: Path, tmp_path: Path) -> None:
    with full_disk(512):
        done = jiriki("compile", folder / "qdq.onnx", "-o", tmp_path / "out.jprog")
    refused(done)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_no_report(jiriki: Command, program: Path, tmp_path: Path) -> None:
    with full_disk(4096):
        done = jiriki("profile", program, "--out", tmp_path / "pages")
    refused(done, "html")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_full_disk_leaves_no_answer(jiriki: Command, program: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.zeros(FEED_SHAPE, np.float32))
    answer = tmp_path / "answer.npz"
    with full_disk(1024):
        done = jiriki("run", program, "--input", tmp_path / "in.npz", "--output", answer)
    refused(done, "answer.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]
