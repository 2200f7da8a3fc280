"""Program: the waist of the house. Instructions, the data image, and how tensors are bound to it.

Produced by emit/ (or by hand through the assembler), run by every engine. Everything an engine
needs is here; nothing in it refers to a model file.

`Program.content()` is all of it as bytes, the same bytes for the same program; its SHA-256 is the
content hash, and the file form (`program/file.py`) stores and reads these bytes. Layout, little
endian: magic "JIRIKI\\r\\n" | version u32 | header length u32 | SHA-256 of all that follows
(32 bytes) | header, JSON in UTF-8 with sorted keys | instruction words, 16 bytes each | note of
each instruction, u32 | segment data in order. The header holds every other field of the Program,
the counts and the segments' addresses and lengths.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from jiriki.isa.encoding import encode_program
from jiriki.isa.fields import Instruction
from jiriki.program.errors import ProgramError

MAGIC = b"JIRIKI\r\n"
VERSION = 1
PREFIX = struct.Struct("<8sII32s")  # magic, version, bytes of the header, SHA-256 of the rest


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a model input or output lies in DRAM, and how the host's array becomes those bytes.

    The DRAM form is blocked: with `axis` the channel axis of `shape` (None: one channel) it is
    [ceil(channels / ku)][all other axes in order][ku] elements of `dtype`, zero-filled beyond the
    last channel. `external` is the host's dtype. With a scale, the host converts by
    clamp(rne(x / scale) + zero_point) to int8 and back by (q - zero_point) * scale; without one,
    uint8 <-> int8 by subtracting `zero_point` (128), anything else unchanged.
    """

    name: str
    address: int  # byte address in DRAM
    shape: tuple[int, ...]
    axis: int | None
    dtype: str  # "int8" | "int16" | "int32" | "float32"
    external: str  # NumPy dtype name on the host's side
    scale: float | None = None
    zero_point: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """Constant bytes (weights, parameters, tables) that lie in DRAM before the start."""

    address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """What a range of instructions is for: the source layer, for profiles and messages."""

    layer: str  # name of the graph node
    op: str
    macs: int  # multiply-accumulates of the whole layer, each layer's on its first note only


@dataclass(frozen=True, slots=True)
class Program:
    """A verified list of instructions for one chip, with its data.

    `jiriki.compile` returns one; `jiriki.run`, `profile` and `verify` take it. It does not change.

    >>> import jiriki
    >>> jiriki.compile("digits", chip="nano")
    <Program digits for nano: ... instructions, ... bytes of DRAM, inputs image float32[1, 1, 8, 8],
    outputs logits float32[1, 10]>
    """

    name: str  # of the model
    chip: str  # catalogue name
    chip_hash: str  # ChipConfig.content_hash() it was emitted for
    instructions: tuple[Instruction, ...]
    segments: tuple[Segment, ...]  # constants: weights, parameters, tables
    dram_bytes: int  # extent of the image: segments, inputs, outputs, spilled tensors
    inputs: tuple[Binding, ...]  # name, shape and type of each input
    outputs: tuple[Binding, ...]  # name, shape and type of each output
    notes: tuple[Note, ...] = ()  # Instruction.note indexes this
    parameters: tuple[str, ...] = ()  # names of host parameters read by PARM
    meta: Mapping[str, str] = field(default_factory=dict)  # free text, kept in the file
    _hash: str = field(default="", init=False, repr=False, compare=False)  # "": not computed yet

    def __repr__(self) -> str:
        """Return one line without arrays."""
        return (
            f"<Program {self.name} for {self.chip}: {len(self.instructions):,} instructions, "
            f"{self.dram_bytes:,} bytes of DRAM, inputs {_names(self.inputs)}, outputs "
            f"{_names(self.outputs)}>"
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(note.macs for note in self.notes)

    def image(self) -> np.ndarray:
        """Build the initial DRAM contents, [dram_bytes] uint8. Raises ProgramError."""
        dram = np.zeros(self.dram_bytes, np.uint8)
        for segment in self.segments:
            end = segment.address + len(segment.data)
            if not 0 <= segment.address <= end <= self.dram_bytes:
                raise ProgramError(
                    f"program {self.name}: segment at DRAM bytes {segment.address}..{end - 1} lies "
                    f"outside the image of {self.dram_bytes} bytes; enlarge dram_bytes"
                )
            dram[segment.address : end] = np.frombuffer(segment.data, np.uint8)
        return dram

    def content_hash(self) -> str:
        """SHA-256 (hex) of `content()`, computed once: a Program does not change."""
        if not self._hash:
            object.__setattr__(self, "_hash", hashlib.sha256(self.content()).hexdigest())
        return self._hash

    def content(self) -> bytes:
        """Return everything in the program, in the layout that the head of this module states."""
        header = {
            "name": self.name, "chip": self.chip, "chip_hash": self.chip_hash,
            "dram_bytes": self.dram_bytes, "meta": dict(self.meta),
            "inputs": [asdict(b) for b in self.inputs],
            "outputs": [asdict(b) for b in self.outputs],
            "notes": [[n.layer, n.op, n.macs] for n in self.notes],
            "parameters": list(self.parameters),
            "instructions": len(self.instructions),
            "segments": [[s.address, len(s.data)] for s in self.segments],
        }  # fmt: skip
        text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        head = text.encode()
        notes = np.array([i.note for i in self.instructions], "<u4")
        words = encode_program(self.instructions).astype("<u8")
        data = (s.data for s in self.segments)
        body = b"".join((head, words.tobytes(), notes.tobytes(), *data))
        return PREFIX.pack(MAGIC, VERSION, len(head), hashlib.sha256(body).digest()) + body


def _names(bindings: tuple[Binding, ...]) -> str:
    return ", ".join(f"{b.name} {b.external}{list(b.shape)}" for b in bindings) or "none"
