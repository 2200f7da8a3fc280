"""The file form of a Program: safe to read from anywhere, the same bytes for the same program.

Its layout is that of `Program.content()` (`program/program.py`).
In: a Program or bytes. Out: the other. Nothing in a file is executed or trusted beyond its bounds.
"""

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from jiriki.files import FileError, write_bytes
from jiriki.isa.encoding import WORD_BYTES, decode_program
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Instruction
from jiriki.program.errors import ProgramError
from jiriki.program.program import MAGIC, PREFIX, VERSION, Binding, Note, Program, Segment

BINDING_TYPES = {
    "name": str, "axis": (int, type(None)), "dtype": str, "external": str,
    "scale": (int, float, type(None)), "zero_point": int,
}  # fmt: skip


def to_bytes(program: Program) -> bytes:
    """Return the file form."""
    return program.content()


def from_bytes(data: bytes) -> Program:
    """Read the file form back.

    Raises ProgramError in one line for anything but a whole, unaltered program.
    """
    if len(data) < PREFIX.size or data[: len(MAGIC)] != MAGIC:
        raise ProgramError("program file: it does not start like one; pass a .jiriki file")
    _, version, length, digest = PREFIX.unpack_from(data)
    if version != VERSION:
        raise ProgramError(f"program file: version {version} is not {VERSION}; compile it again")
    body = memoryview(data)[PREFIX.size :]
    if hashlib.sha256(body).digest() != digest:
        raise ProgramError("program file: truncated or altered (SHA-256 differs); copy it again")
    try:
        header = json.loads(bytes(body[:length]).decode())
        return _assemble(header, body[length:])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}".replace("\n", " ")
        raise ProgramError(f"program file: malformed header ({what}); compile it again") from None
    except IsaError as error:
        raise ProgramError(f"program file: {error}") from None


def save(program: Program, path: str | Path) -> None:
    """Write the file form; on failure nothing is left at `path` that was not there before.

    Raises ProgramError when it cannot be written (full disk, no such folder).
    """
    target = Path(path)
    if not target.absolute().parent.is_dir():
        raise ProgramError(f"cannot write {target}: No such file or directory; make its folder")
    try:
        write_bytes(target, to_bytes(program))
    except FileError as error:
        raise ProgramError(f"program {program.name}: {error}") from None


def load(path: str | Path) -> Program:
    """Read a program file. Raises ProgramError when it cannot be read or is none."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ProgramError(f"cannot read {path}: {error.strerror}") from None
    try:
        return from_bytes(data)
    except ProgramError as error:
        raise ProgramError(f"{path}: {error}") from None


def _assemble(header: dict[str, Any], body: memoryview) -> Program:
    count = _count("instructions", header["instructions"])
    spans = [(_count("address", a), _count("length", n)) for a, n in header["segments"]]
    expected = count * (WORD_BYTES + 4) + sum(length for _, length in spans)
    if expected != len(body):
        raise ValueError(f"{len(body)} bytes of data where {expected} were announced")
    words = np.frombuffer(body, "<u8", 2 * count).reshape(-1, 2).astype(np.uint64)
    notes = np.frombuffer(body, "<u4", count, offset=count * WORD_BYTES)
    instructions = _annotate(decode_program(words), notes.tolist(), len(header["notes"]))
    at = count * (WORD_BYTES + 4)
    segments = []
    dram_bytes = _count("dram_bytes", header["dram_bytes"])
    for address, length in spans:
        if address + length > dram_bytes:
            raise ValueError(f"segment at {address} passes the image of {dram_bytes} bytes")
        segments.append(Segment(address, bytes(body[at : at + length])))
        at += length
    return Program(
        str(header["name"]), str(header["chip"]), str(header["chip_hash"]), tuple(instructions),
        tuple(segments), dram_bytes, tuple(map(binding_from, header["inputs"])),
        tuple(map(binding_from, header["outputs"])),
        tuple(Note(str(layer), str(op), _count("macs", n)) for layer, op, n in header["notes"]),
        tuple(map(str, header["parameters"])),
        {str(k): str(v) for k, v in header["meta"].items()},
    )  # fmt: skip


def _annotate(instructions: list[Instruction], notes: list[int], known: int) -> list[Instruction]:
    for index, (instruction, note) in enumerate(zip(instructions, notes, strict=True)):
        if note and note >= known:
            raise ValueError(f"instruction {index} has note {note} of {known}")
        instruction.note = note
    return instructions


def binding_from(raw: dict[str, Any]) -> Binding:
    """Build a Binding from its JSON object. Raises ValueError or TypeError when it is none."""
    if raw.keys() != {f.name for f in fields(Binding)}:
        raise ValueError(f"binding with keys {sorted(raw)}")
    raw = dict(raw)
    raw["shape"] = tuple(_count("shape", n) for n in raw["shape"])
    raw["address"] = _count("address", raw["address"])
    for name, kinds in BINDING_TYPES.items():
        if not isinstance(raw[name], kinds) or isinstance(raw[name], bool):
            raise ValueError(f"{name} = {raw[name]!r} is of another type")
    for name in ("dtype", "external"):
        np.dtype(raw[name])
    return Binding(**raw)


def _count(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} = {value!r} is not a count")
    return value
