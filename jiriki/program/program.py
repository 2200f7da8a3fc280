"""Program: the waist of the house. Instructions, the data image, and how tensors are bound to it.

Produced by emit/ (or by hand through the assembler), run by every engine. Everything an engine
needs is here; nothing in it refers to a model file.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from jiriki.isa.fields import Instruction


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
    """A verified list of instructions for one chip, with its data."""

    name: str
    chip: str  # catalogue name
    chip_hash: str  # ChipConfig.content_hash() it was emitted for
    instructions: tuple[Instruction, ...]
    segments: tuple[Segment, ...]
    dram_bytes: int  # extent of the image: segments, inputs, outputs, spilled tensors
    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    notes: tuple[Note, ...] = ()  # Instruction.note indexes this
    parameters: tuple[str, ...] = ()  # names of host parameters read by PARM
    meta: Mapping[str, str] = field(default_factory=dict)

    @property
    def macs(self) -> int:
        return sum(note.macs for note in self.notes)

    def image(self) -> np.ndarray:
        """Build the initial DRAM contents, [dram_bytes] uint8."""
        dram = np.zeros(self.dram_bytes, np.uint8)
        for segment in self.segments:
            end = segment.address + len(segment.data)
            dram[segment.address : end] = np.frombuffer(segment.data, np.uint8)
        return dram

    def content_hash(self) -> str:
        """SHA-256 (hex) of everything that changes a result."""
        from jiriki.program.file import to_bytes

        return hashlib.sha256(to_bytes(self)).hexdigest()
