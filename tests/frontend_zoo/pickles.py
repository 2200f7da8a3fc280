"""PyTorch checkpoints written opcode by opcode, so that tests can write hostile ones too.

The layouts are those that PyTorch documents: a zip with data.pkl and data/KEY, and the legacy
stream of five pickles followed by each storage's length and bytes.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def integers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(integer, values)) + b"t"


def tensor(
    size: tuple[int, ...],
    stride: tuple[int, ...],
    *,
    numel: int,
    offset: int = 0,
    kind: str = "FloatStorage",
    is_legacy: bool = False,
) -> bytes:
    """Pickle of one tensor over storage "0" of `numel` elements."""
    storage = text("storage") + f"ctorch\n{kind}\n".encode() + text("0") + text("cpu")
    storage = b"(" + storage + integer(numel) + (b"N" if is_legacy else b"") + b"tQ"
    arguments = storage + integer(offset) + integers(size) + integers(stride)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"\x89" + b"}" + b"tR"


def state_dict(**values: bytes) -> bytes:
    """Pickle of an OrderedDict whose values are pickled already."""
    items = b"".join(text(key) + value + b"s" for key, value in values.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R" + items + b"."


def zip_checkpoint(state: bytes, storage: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("model/data.pkl", state)
        archive.writestr("model/data/0", storage)
    return stream.getvalue()


def legacy_checkpoint(state: bytes, storage: bytes, numel: int) -> bytes:
    header = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    keys = pickle.dumps(["0"], 2)
    head = b"".join(pickle.dumps(item, 2) for item in header)
    return head + state + keys + struct.pack("<q", numel) + storage
