"""Weights files into NumPy arrays, running no code from them.

Concept: PyTorch checkpoints (zip layout and the legacy layout before 1.6) are pickles; this reader
unpickles with an allow-list that holds nothing but tensor rebuilding. safetensors is a JSON header
and raw bytes.
In: a file's bytes. Out: `{name: array}`, bfloat16 widened to float32, or `CheckpointError`.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jiriki.frontend.zoo.archive import Archive
from jiriki.frontend.zoo.errors import CheckpointError

Weights = dict[str, np.ndarray]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_BFLOAT16 = np.dtype([("bfloat16", "<u2")])  # NumPy has none; widened when the file is complete

_STORAGE_DTYPE = {
    "BFloat16Storage": _BFLOAT16,
    "BoolStorage": np.dtype(np.bool_),
    "ByteStorage": np.dtype(np.uint8),
    "CharStorage": np.dtype(np.int8),
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "IntStorage": np.dtype("<i4"),
    "LongStorage": np.dtype("<i8"),
    "ShortStorage": np.dtype("<i2"),
}

_SAFETENSORS_DTYPE = {
    "BF16": _BFLOAT16,
    "BOOL": np.dtype(np.bool_),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
}

# What a hostile or damaged stream makes the unpickler raise.
_DAMAGE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class _StorageType:
    dtype: np.dtype


def _rebuild_tensor(
    storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> np.ndarray:
    """Return a view of `storage`; bounds are checked, since strides could reach anywhere."""
    if len(size) != len(stride) or min((offset, *size, *stride), default=0) < 0:
        raise CheckpointError(f"tensor of size {size}, stride {stride}, offset {offset}: refused")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= storage.size:
        raise CheckpointError(
            f"tensor of size {size}, stride {stride}, offset {offset} reaches past its storage of "
            f"{storage.size} elements: refused"
        )
    strides_bytes = [step * storage.itemsize for step in stride]
    start = storage[min(offset, storage.size) :]
    return np.lib.stride_tricks.as_strided(start, size, strides_bytes, writeable=False)


def _rebuild_parameter(tensor: np.ndarray, *_: object) -> np.ndarray:
    return tensor


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    **{("torch", name): _StorageType(dtype) for name, dtype in _STORAGE_DTYPE.items()},
}


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler that knows the globals of `_ALLOWED` and no other."""

    def __init__(self, stream: io.BytesIO, storage_of: Callable[[Any], np.ndarray]) -> None:
        super().__init__(stream, encoding="latin1")
        self._storage_of = storage_of

    def find_class(self, module_name: str, global_name: str, /) -> Any:  # noqa: ANN401
        if (module_name, global_name) not in _ALLOWED:
            raise CheckpointError(
                f"checkpoint asks for {module_name}.{global_name}, which is not tensor "
                "rebuilding: refused; convert it to safetensors where you trust it"
            )
        return _ALLOWED[module_name, global_name]

    def persistent_load(self, pid: Any, /) -> np.ndarray:  # noqa: ANN401
        return self._storage_of(pid)


def _no_storage(pid: object) -> np.ndarray:
    raise CheckpointError(f"checkpoint header names a storage ({pid!r}): refused")


def read_pth(data: bytes, name: str) -> Weights:
    """Read a PyTorch state dict of either layout; `name` is for messages."""
    try:
        state = (
            _read_zip(data, name) if zipfile.is_zipfile(io.BytesIO(data)) else _read_legacy(data)
        )
    except _DAMAGE as error:
        raise CheckpointError(f"{name}: damaged or not a PyTorch checkpoint ({error})") from error
    if not isinstance(state, Mapping):
        raise CheckpointError(
            f"{name}: holds a {type(state).__name__}, not a state dict of tensors"
        )
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, np.ndarray):
            raise CheckpointError(f"{name}: entry {key!r} is not a named tensor; save a state dict")
    return {key: _widen(value) for key, value in state.items()}


def _read_zip(data: bytes, name: str) -> object:
    archive = Archive(data, name)
    roots = [n.removesuffix("data.pkl") for n in archive.names() if n.endswith("/data.pkl")]
    if len(roots) != 1:
        raise CheckpointError(f"{name}: has {len(roots)} data.pkl members, expected 1")
    storages: dict[str, np.ndarray] = {}

    def storage_of(pid: Any) -> np.ndarray:  # noqa: ANN401
        _, storage_type, key, _, numel = pid
        if key not in storages:
            raw = archive.read(f"{roots[0]}data/{key}")
            storages[key] = np.frombuffer(raw, storage_type.dtype, numel)
        return storages[key]

    return _TensorUnpickler(io.BytesIO(archive.read(f"{roots[0]}data.pkl")), storage_of).load()


def _read_legacy(data: bytes) -> object:
    """Read magic, protocol, system, object, storage keys, then each storage's length and bytes.

    The object comes before its bytes, so tensors are views of empty storages filled afterwards.
    """
    stream = io.BytesIO(data)
    magic, protocol, system = (_TensorUnpickler(stream, _no_storage).load() for _ in range(3))
    if magic != _LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL:
        raise CheckpointError(f"magic {magic!r}, protocol {protocol!r}: not a PyTorch checkpoint")
    if not system["little_endian"]:
        raise CheckpointError("checkpoint was written big-endian; save it again as safetensors")
    storages: dict[str, np.ndarray] = {}

    def storage_of(pid: Any) -> np.ndarray:  # noqa: ANN401
        _, storage_type, key, _, numel, view = pid
        if view is not None:
            raise CheckpointError(f"storage {key} is a view of another; save a plain state dict")
        if not 0 <= numel * storage_type.dtype.itemsize <= len(data):
            raise CheckpointError(
                f"storage {key} claims {numel} elements, more than the file holds"
            )
        return storages.setdefault(key, np.zeros(numel, storage_type.dtype))

    state = _TensorUnpickler(stream, storage_of).load()
    for key in _TensorUnpickler(stream, _no_storage).load():
        storage = storages[key]
        (numel,) = struct.unpack("<q", stream.read(8))
        if numel != storage.size:
            raise CheckpointError(
                f"storage {key}: {numel} elements, its tensors say {storage.size}"
            )
        storage[:] = np.frombuffer(stream.read(storage.nbytes), storage.dtype, numel)
    return state


def read_safetensors(data: bytes, name: str) -> Weights:
    """Read a safetensors file; `name` is for messages."""
    try:
        (header_bytes,) = struct.unpack_from("<Q", data)
        if header_bytes > len(data) - 8:
            raise ValueError(f"header of {header_bytes} bytes in a file of {len(data)}")
        header = json.loads(data[8 : 8 + header_bytes])
        body = memoryview(data)[8 + header_bytes :]
        return {
            key: _widen(_safetensor(body, entry))
            for key, entry in header.items()
            if key != "__metadata__"
        }
    except (*_DAMAGE, RecursionError) as error:
        raise CheckpointError(f"{name}: damaged or not a safetensors file ({error})") from error


def _safetensor(body: memoryview, entry: dict[str, Any]) -> np.ndarray:
    dtype, shape = _SAFETENSORS_DTYPE[entry["dtype"]], entry["shape"]
    begin, end = entry["data_offsets"]
    if not 0 <= begin <= end <= len(body) or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"shape {shape} does not fit bytes {begin} to {end} of {len(body)}")
    return np.frombuffer(body[begin:end], dtype).reshape(shape)


def _widen(array: np.ndarray) -> np.ndarray:
    """Copy out of the storage; bfloat16 becomes the float32 with the same upper half."""
    if array.dtype != _BFLOAT16:
        return np.array(array)
    return (array["bfloat16"].astype(np.uint32) << 16).view(np.float32)
