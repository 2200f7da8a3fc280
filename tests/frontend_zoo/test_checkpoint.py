"""The checkpoint readers rebuild tensors and refuse everything else."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from jiriki.frontend.zoo.checkpoint import read_pth, read_safetensors
from jiriki.frontend.zoo.errors import CheckpointError
from tests.frontend_zoo import pickles

SIX = np.arange(6, dtype="<f4")


class Hostile:
    """Pickles to a call of os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def test_zip_checkpoint_gives_back_its_tensor() -> None:
    state = pickles.state_dict(w=pickles.tensor((2, 3), (3, 1), numel=6))
    weights = read_pth(pickles.zip_checkpoint(state, SIX.tobytes()), "m")
    np.testing.assert_array_equal(weights["w"], [[0, 1, 2], [3, 4, 5]])


def test_legacy_checkpoint_gives_back_a_transposed_tensor() -> None:
    state = pickles.state_dict(w=pickles.tensor((3, 2), (1, 3), numel=6, is_legacy=True))
    weights = read_pth(pickles.legacy_checkpoint(state, SIX.tobytes(), 6), "m")
    np.testing.assert_array_equal(weights["w"], [[0, 3], [1, 4], [2, 5]])


def test_bfloat16_becomes_the_same_float32() -> None:
    state = pickles.state_dict(w=pickles.tensor((2,), (1,), numel=2, kind="BFloat16Storage"))
    weights = read_pth(pickles.zip_checkpoint(state, bytes.fromhex("803f 40c0")), "m")
    np.testing.assert_array_equal(weights["w"], np.array([1, -3], np.float32))


@pytest.mark.parametrize("is_zip", [True, False])
def test_hostile_pickle_runs_nothing(tmp_path: Path, is_zip: bool) -> None:
    target = tmp_path / "ran"
    hostile = pickle.dumps({"w": Hostile(f"touch {target}")}, 2)
    data = pickles.zip_checkpoint(hostile) if is_zip else hostile
    with pytest.raises(CheckpointError, match=r"asks for posix.system"):
        read_pth(data, "m")
    assert not target.exists()


@pytest.mark.parametrize("name", ["builtins\neval", "torch._utils\n_rebuild_sparse_tensor"])
def test_no_other_global_is_known(name: str) -> None:
    state = pickles.state_dict(w=f"c{name}\n".encode())
    with pytest.raises(CheckpointError, match="not tensor rebuilding"):
        read_pth(pickles.zip_checkpoint(state), "m")


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((7,), (1,), 0), ((2, 3), (4, 1), 0), ((2,), (-1,), 1), ((6,), (1,), 1), ((1,), (1,), -1)],
)
def test_tensor_outside_its_storage_is_refused(
    size: tuple[int, ...], stride: tuple[int, ...], offset: int
) -> None:
    state = pickles.state_dict(w=pickles.tensor(size, stride, numel=6, offset=offset))
    with pytest.raises(CheckpointError, match="refused"):
        read_pth(pickles.zip_checkpoint(state, SIX.tobytes()), "m")


@pytest.mark.parametrize("length", [0, 1, 40, 150, -1])
@pytest.mark.parametrize("is_zip", [True, False])
def test_truncated_checkpoint_is_refused(length: int, is_zip: bool) -> None:
    state = pickles.state_dict(w=pickles.tensor((6,), (1,), numel=6, is_legacy=not is_zip))
    whole = (
        pickles.zip_checkpoint(state, SIX.tobytes())
        if is_zip
        else pickles.legacy_checkpoint(state, SIX.tobytes(), 6)
    )
    with pytest.raises(CheckpointError, match="m: damaged or not a PyTorch checkpoint"):
        read_pth(whole[:length], "m")


def test_storage_larger_than_the_file_is_refused() -> None:
    state = pickles.state_dict(w=pickles.tensor((1,), (1,), numel=1 << 30, is_legacy=True))
    with pytest.raises(CheckpointError, match="more than the file holds"):
        read_pth(pickles.legacy_checkpoint(state, b"", 1 << 30), "m")


def test_checkpoint_that_is_no_state_dict_is_refused() -> None:
    with pytest.raises(CheckpointError, match="holds a list"):
        read_pth(pickles.zip_checkpoint(pickle.dumps([1], 2)), "m")


def safetensors(entry: dict[str, object], body: bytes) -> bytes:
    header = json.dumps({"__metadata__": {"a": "b"}, "w": entry}).encode()
    return struct.pack("<Q", len(header)) + header + body


def test_safetensors_gives_back_its_tensor() -> None:
    entry = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    weights = read_safetensors(safetensors(entry, SIX.tobytes()), "m")
    assert list(weights) == ["w"]
    np.testing.assert_array_equal(weights["w"], SIX.reshape(2, 3))


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [7], "data_offsets": [0, 28]},
        {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 20]},
        {"dtype": "F32", "shape": [6], "data_offsets": [-24, 0]},
        {"dtype": "X9", "shape": [6], "data_offsets": [0, 24]},
        {"shape": [6]},
    ],
)
def test_safetensors_that_does_not_fit_is_refused(entry: dict[str, object]) -> None:
    with pytest.raises(CheckpointError, match="m: damaged or not a safetensors file"):
        read_safetensors(safetensors(entry, SIX.tobytes()), "m")


@pytest.mark.parametrize("length", [0, 7, 30])
def test_truncated_safetensors_is_refused(length: int) -> None:
    entry = {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]}
    with pytest.raises(CheckpointError, match="damaged"):
        read_safetensors(safetensors(entry, SIX.tobytes())[:length], "m")
