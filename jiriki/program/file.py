"""The file form of a Program: safe to read from anywhere, the same bytes for the same program.

Layout, little endian, each part at a multiple of 64 bytes: magic "JIRIKI\\r\\n" | version u32 |
header length u32 | SHA-256 of the header (32 bytes), which is the content hash | header
(`Program.header()`) | code (`Program.code_bytes()`) | data of each segment | first contents of each
state. A file is written part by part and read by mapping it into memory: the data of a segment are
read, and held against the header's SHA-256, when an engine lays them into its memory.

Version 1 (one entry, no states, one SHA-256 over everything) is still read.
In: a Program, bytes or a path. Out: the other. Nothing in a file is executed or trusted beyond its
bounds.
"""

import hashlib
import json
import mmap
import struct
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from jiriki.files import FileError, write_parts
from jiriki.isa.encoding import WORD_BYTES, decode_program
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Instruction
from jiriki.program.errors import ProgramError
from jiriki.program.program import Binding, Entry, Note, Parameter, Program, Segment, State

MAGIC = b"JIRIKI\r\n"
VERSION = 2
PREFIX = struct.Struct("<8sII32s")  # magic, version, bytes of the header, a SHA-256
ALIGNMENT = 64  # bytes, of every part
NOTE_BYTES = 4
BINDING_TYPES = {
    "name": str, "axis": (int, type(None)), "dtype": str, "external": str,
    "scale": (int, float, type(None)), "zero_point": int,
}  # fmt: skip


def to_bytes(program: Program) -> bytes:
    """Return the file form."""
    return b"".join(_parts(program))


def save(program: Program, path: str | Path) -> None:
    """Write the file form; on failure nothing is left at `path` that was not there before.

    Raises ProgramError when it cannot be written (full disk, no such folder).
    """
    target = Path(path)
    if not target.absolute().parent.is_dir():
        raise ProgramError(f"cannot write {target}: No such file or directory; make its folder")
    try:
        write_parts(target, _parts(program))
    except FileError as error:
        raise ProgramError(f"program {program.name}: {error}") from None


def _parts(program: Program) -> Iterator[bytes | memoryview]:
    header = program.header()
    digest = hashlib.sha256(header).digest()
    yield from _aligned(PREFIX.pack(MAGIC, VERSION, len(header), digest) + header)
    yield from _aligned(program.code_bytes())
    for segment in program.segments:
        yield from _aligned(segment.data)
    for state in program.states:
        yield from _aligned(state.initial)


def _aligned(data: bytes | memoryview) -> Iterator[bytes | memoryview]:
    yield data
    yield bytes(-len(data) % ALIGNMENT)


def load(path: str | Path) -> Program:
    """Map a program file. Raises ProgramError when it cannot be read or is none."""
    try:
        with Path(path).open("rb") as file:
            whole = file.seek(0, 2)
            data = memoryview(
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if whole else b""
            )
    except OSError as error:
        raise ProgramError(f"cannot read {path}: {error.strerror}") from None
    try:
        return from_bytes(data)
    except ProgramError as error:
        raise ProgramError(f"{path}: {error}") from None


def from_bytes(data: bytes | memoryview) -> Program:
    """Read the file form back.

    Raises ProgramError in one line for anything but a whole program with an unaltered header and
    code. Altered data are refused by `Program.image`.
    """
    if len(data) < PREFIX.size or bytes(data[: len(MAGIC)]) != MAGIC:
        raise ProgramError("program file: it does not start like one; pass a .jiriki file")
    _, version, length, digest = PREFIX.unpack_from(data)
    reader = _READERS.get(version)
    if reader is None:
        raise ProgramError(
            f"program file: version {version} is none of {', '.join(map(str, _READERS))}; compile "
            "it again"
        )
    try:
        return reader(memoryview(data), length, digest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}".replace("\n", " ")
        raise ProgramError(f"program file: malformed header ({what}); compile it again") from None
    except IsaError as error:
        raise ProgramError(f"program file: {error}") from None


def _read_version_2(data: memoryview, length: int, digest: bytes) -> Program:
    text = data[PREFIX.size : PREFIX.size + length]
    _need_whole(text, digest)
    header = json.loads(bytes(text).decode())
    parts = _Parts(data, PREFIX.size + length)
    code = parts.take(_count("instructions", header["instructions"]) * (WORD_BYTES + NOTE_BYTES))
    _need_whole(code, bytes.fromhex(header["code"]))
    segments = tuple(
        Segment(_count("address", address), parts.take(_count("length", size)), str(sha256))
        for address, size, sha256 in header["segments"]
    )
    states = []
    for binding, size, sha256 in header["states"]:
        initial = parts.take(_count("length", size))
        _need_whole(initial, bytes.fromhex(sha256))
        states.append(State(binding_from(binding), initial))
    parts.finish()
    entries = tuple(map(_entry_from, header["entries"]))
    return _assemble(header, code, segments, entries, tuple(states))


class _Parts:
    """The parts of a file, one after another."""

    def __init__(self, data: memoryview, at: int) -> None:
        self.data, self.at = data, _up(at)

    def take(self, size: int) -> memoryview:
        part = self.data[self.at : self.at + size]
        if len(part) != size:
            raise ProgramError("program file: truncated; copy it again")
        self.at = _up(self.at + size)
        return part

    def finish(self) -> None:
        if self.at != len(self.data):
            raise ProgramError(
                f"program file: {len(self.data)} bytes where {self.at} were announced; copy it "
                "again"
            )


def _up(at: int) -> int:
    return -(-at // ALIGNMENT) * ALIGNMENT


def _read_version_1(data: memoryview, length: int, digest: bytes) -> Program:
    """Read header | code | data of each segment, without alignment."""
    body = data[PREFIX.size :]
    _need_whole(body, digest)
    header = json.loads(bytes(body[:length]).decode())
    spans = [(_count("address", a), _count("length", n)) for a, n in header["segments"]]
    code = length + _count("instructions", header["instructions"]) * (WORD_BYTES + NOTE_BYTES)
    expected = code + sum(size for _, size in spans)
    if expected != len(body):
        raise ValueError(f"{len(body)} bytes of data where {expected} were announced")
    segments, at = [], code
    for address, size in spans:
        segments.append(Segment(address, body[at : at + size]))
        at += size
    entry = Entry(
        tuple(map(binding_from, header["inputs"])), tuple(map(binding_from, header["outputs"])),
        tuple(Parameter(str(name)) for name in header["parameters"]),
    )  # fmt: skip
    return _assemble(header, body[length:code], tuple(segments), (entry,), ())


_READERS = {1: _read_version_1, VERSION: _read_version_2}


def _need_whole(data: memoryview, digest: bytes) -> None:
    if hashlib.sha256(data).digest() != digest:
        raise ProgramError("program file: truncated or altered (SHA-256 differs); copy it again")


def _assemble(
    header: dict[str, Any],
    code: memoryview,
    segments: tuple[Segment, ...],
    entries: tuple[Entry, ...],
    states: tuple[State, ...],
) -> Program:
    count = len(code) // (WORD_BYTES + NOTE_BYTES)
    words = np.frombuffer(code, "<u8", 2 * count).reshape(-1, 2).astype(np.uint64)
    notes = np.frombuffer(code, "<u4", count, offset=count * WORD_BYTES)
    dram_bytes = _count("dram_bytes", header["dram_bytes"])
    for segment in segments:
        if segment.address + len(segment.data) > dram_bytes:
            raise ValueError(f"segment at {segment.address} passes the image of {dram_bytes} bytes")
    return Program(
        str(header["name"]), str(header["chip"]), str(header["chip_hash"]),
        tuple(_annotate(decode_program(words), notes.tolist(), len(header["notes"]))),
        segments, dram_bytes, entries, states,
        tuple(Note(str(layer), str(op), _count("macs", n)) for layer, op, n in header["notes"]),
        {str(k): str(v) for k, v in header["meta"].items()},
    )  # fmt: skip


def _annotate(instructions: list[Instruction], notes: list[int], known: int) -> list[Instruction]:
    for index, (instruction, note) in enumerate(zip(instructions, notes, strict=True)):
        if note and note >= known:
            raise ValueError(f"instruction {index} has note {note} of {known}")
        instruction.note = note
    return instructions


def _entry_from(raw: dict[str, Any]) -> Entry:
    return Entry(
        tuple(map(binding_from, raw["inputs"])), tuple(map(binding_from, raw["outputs"])),
        tuple(map(parameter_from, raw["parameters"])), str(raw["name"]),
        _count("first", raw["first"]),
    )  # fmt: skip


def parameter_from(raw: dict[str, Any]) -> Parameter:
    """Build a Parameter from its JSON object. Raises ValueError or TypeError when it is none."""
    limits = {key: raw[key] for key in raw.keys() - {"name"}}
    if any(not isinstance(n, int) or isinstance(n, bool) for n in limits.values()):
        raise ValueError(f"parameter with limits {limits}")
    return Parameter(str(raw["name"]), **limits)


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
