"""What the user can mend is refused in one line that says how, and nothing is half-written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.cli.harness import full_disk, small_network


def refused(done, *words: str) -> None:
    """Assert one clean line with these words, exit code 1, empty standard output."""
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1 and done.err.startswith("jiriki: ")
    for word in words:
        assert word in done.err


def test_unknown_model_names_the_zoo(jiriki) -> None:
    refused(jiriki("run", "resnet51"), "'resnet51'", "resnet50", "magika")


@pytest.mark.parametrize(
    "command", [("profile", "digits"), ("demo",), ("sweep", "digits", "--vary", "mu=4,8")]
)
def test_a_folder_is_not_named_like_a_page(jiriki, tmp_path: Path, command) -> None:
    done = jiriki(*command, "--out", tmp_path / "page.html")
    assert done.code == 2 and "name a folder" in " ".join(done.err.split())
    assert not (tmp_path / "page.html").exists()


def test_unknown_chip_names_the_catalogue(jiriki, folder: Path) -> None:
    refused(jiriki("profile", folder / "qdq.onnx", "--chip", "e25"), "'e25'", "e256")


def test_unknown_engine_names_the_engines(jiriki, folder: Path) -> None:
    done = jiriki("run", folder / "qdq.onnx", "--engine", "gpu", "--input", folder / "input.npz")
    refused(done, "'gpu'", "functional", "timing")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--engine", "board"), ("pass --port", "/dev/ttyUSB0")),
        (("--engine", "board", "--port", "/dev/nothing"), ("/dev/nothing", "cannot be opened")),
        (("--port", "/dev/nothing"), ("'functional' has no port", "--engine board")),
    ],
)
def test_a_board_that_is_not_there(jiriki, folder: Path, options, words) -> None:
    arguments = ("--chip", "nano", "--input", folder / "input.npz")
    refused(jiriki("run", folder / "qdq.onnx", *arguments, *options), *words)


def test_a_bitstream_does_not_overwrite(jiriki, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    refused(jiriki("board", "-o", tmp_path), str(tmp_path), "name a new one")


def test_a_file_that_is_not_onnx(jiriki, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("not a model\n" * 40)
    refused(jiriki("run", path), "model.onnx")


def test_a_truncated_model(jiriki, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.onnx"
    data = (folder / "qdq.onnx").read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(jiriki("run", path), "short.onnx")


def test_a_truncated_program(jiriki, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.jprog"
    jiriki("compile", folder / "qdq.onnx", "-o", path)
    path.write_bytes(path.read_bytes()[:-1])
    refused(jiriki("disasm", path), "small.jprog", "truncated")


def test_an_open_dimension_says_which_and_can_be_fixed(jiriki, folder: Path, tmp_path) -> None:
    path = tmp_path / "open.onnx"
    onnx.save(small_network(("batch", 3, 9, 11)), path)
    refused(jiriki("run", path), "batch")
    done = jiriki(
        "run", path, "--shape", "x=1,3,9,11", "--calibration", folder / "samples.npz",
        "--input", folder / "input.npz", "--json",
    )  # fmt: skip
    assert json.loads(done.out)["differing_elements"] == 0


def test_a_float_model_says_how_to_calibrate(jiriki, folder: Path) -> None:
    done = jiriki("run", folder / "floating.onnx", "--input", folder / "input.npz")
    refused(done, "first<b>conv</b>", "--calibration")


def test_an_unsupported_operator_is_named(jiriki, tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    node = helper.make_node("Det", ["x"], ["y"], "the_determinant")
    graph = helper.make_graph(
        [node], "det",
        [value("x", TensorProto.FLOAT, [1, 4, 4])], [value("y", TensorProto.FLOAT, [1])],
    )  # fmt: skip
    path = tmp_path / "det.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    refused(jiriki("compile", path, "-o", tmp_path / "x"), "the_determinant", "Det", "[1, 4, 4]")
    assert not (tmp_path / "x").exists()


def test_a_wrong_input_shape(jiriki, folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.zeros((1, 3, 9, 12), np.float32))
    refused(
        jiriki("run", folder / "qdq.onnx", "--input", tmp_path / "in.npz"), "x", "(1, 3, 9, 12)"
    )


def test_a_wrong_input_type(jiriki, folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.zeros((1, 3, 9, 11), np.int64))
    refused(jiriki("run", folder / "qdq.onnx", "--input", tmp_path / "in.npz"), "int64", "float32")


def test_a_wrong_input_name(jiriki, folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", z=np.zeros((1, 3, 9, 11), np.float32))
    refused(jiriki("run", folder / "qdq.onnx", "--input", tmp_path / "in.npz"), "'z'", "'x'")


def test_an_input_file_with_pickles_is_not_opened(jiriki, folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.array([{}], dtype=object))
    refused(jiriki("run", folder / "qdq.onnx", "--input", tmp_path / "in.npz"), "plain arrays")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"hello"])
def test_an_input_file_that_is_no_npz(jiriki, folder: Path, tmp_path: Path, content) -> None:
    (tmp_path / "in.npz").write_bytes(content)
    refused(jiriki("run", folder / "qdq.onnx", "--input", tmp_path / "in.npz"), "in.npz")


def test_photos_of_a_model_without_photos(jiriki, folder: Path) -> None:
    refused(jiriki("run", folder / "qdq.onnx", "--photos"), "--photos", "--input")


def test_a_program_for_another_chip(jiriki, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.jprog"
    jiriki("compile", folder / "qdq.onnx", "-o", path)
    refused(jiriki("profile", path, "--chip", "nano", "--out", tmp_path), "e256", "nano")


@pytest.fixture
def no_room() -> Iterator[None]:
    """No file may grow beyond 4 KiB."""
    with full_disk(4096):
        yield


def test_a_full_disk_leaves_no_page(jiriki, folder: Path, tmp_path: Path, no_room) -> None:
    done = jiriki("profile", folder / "qdq.onnx", "--out", tmp_path / "out")
    refused(done, "qdq.html", "too large")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_leaves_no_program(jiriki, folder: Path, tmp_path: Path, no_room) -> None:
    done = jiriki("compile", folder / "qdq.onnx", "-o", tmp_path / "small.jprog", "--chip", "nano")
    assert done.code in (0, 1)
    whole = [] if done.code else ["small.jprog"]
    assert [path.name for path in tmp_path.iterdir()] == whole


def test_a_folder_that_is_a_file(jiriki, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    done = jiriki("profile", folder / "qdq.onnx", "--out", tmp_path / "out")
    refused(done, "cannot write")


def test_wrong_usage_is_code_2(jiriki) -> None:
    assert jiriki("run").code == 2
    assert jiriki("runn", "x").code == 2
    assert jiriki("chips", "--chip").code == 2


def test_an_error_is_one_object_with_json(jiriki) -> None:
    done = jiriki("chips", "e25", "--json")
    error = json.loads(done.out)["error"]
    assert (done.code, error["kind"]) == (1, "ChipError")
    assert done.err == f"jiriki: {error['message']}\n"


def test_debug_shows_the_traceback(jiriki) -> None:
    assert "Traceback" in jiriki("--debug", "chips", "e25").err
