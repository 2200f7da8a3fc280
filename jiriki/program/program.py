"""Program: the waist of the house. Instructions, the data image, and how tensors are bound to it.

Produced by emit/ (or by hand through the assembler), run by every engine. Everything an engine
needs is here; nothing in it refers to a model file. One data image serves several *entries* (a
prompt of 32 tokens, one token more), each with code, inputs, outputs and host parameters of its
own; *states* are parts of the image that keep their contents from run to run of a session.

`Program.header()` is all of it as JSON, the code and the data by their SHA-256; the SHA-256 of the
header is the content hash. `program/file.py` stores the header with the bytes it names.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from jiriki.isa.encoding import encode_program
from jiriki.isa.fields import Instruction
from jiriki.program.errors import ProgramError

Data: TypeAlias = bytes | memoryview  # a memoryview where a file is mapped
LOWEST, HIGHEST = -(1 << 31), (1 << 32) - 1  # of a host parameter: a 32-bit register of either sign
MAIN = "main"  # the name of the entry of a program that has one


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
    """Constant bytes (weights, channel parameters, tables) that lie in DRAM before the start.

    No program writes over them: every session on a device shares one copy.
    """

    address: int
    data: Data
    sha256: str = field(default="", compare=False)  # hex, that a file claims; "": made here


@dataclass(frozen=True, slots=True)
class State:
    """Bytes of DRAM that keep their contents from run to run: a KV cache, a recurrent state.

    `binding` says where they lie and which array the host reads and writes there. A new session
    holds `initial`, zeros when it is empty.
    """

    binding: Binding
    initial: Data = b""  # in DRAM form, all of it or nothing

    @property
    def name(self) -> str:
        """The name of the binding."""
        return self.binding.name


@dataclass(frozen=True, slots=True)
class Parameter:
    """An integer that the host gives at each start and PARM reads: a length, a position.

    It is low + n * step for a whole n, and at most `high`.
    """

    name: str
    low: int = LOWEST
    high: int = HIGHEST
    step: int = 1

    def holds(self, value: int) -> bool:
        """Tell whether the value is one that the program was made for."""
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def described(self) -> str:
        """Return the range in words."""
        return f"{self.low}..{self.high}" + (f" in steps of {self.step}" if self.step > 1 else "")


@dataclass(frozen=True, slots=True)
class Entry:
    """Code that a run starts at: from instruction `first` up to the next entry's, or the end."""

    inputs: tuple[Binding, ...] = ()
    outputs: tuple[Binding, ...] = ()
    parameters: tuple[Parameter, ...] = ()  # in the order of PARM's `index`
    name: str = MAIN
    first: int = 0


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
    instructions: tuple[Instruction, ...]  # of all entries, one after another
    segments: tuple[Segment, ...]  # constants: weights, channel parameters, tables
    dram_bytes: int  # extent of the image: segments, states, inputs, outputs, spilled tensors
    entries: tuple[Entry, ...]  # by their first instruction; the first one is the default
    states: tuple[State, ...] = ()
    notes: tuple[Note, ...] = ()  # Instruction.note indexes this
    meta: Mapping[str, str] = field(default_factory=dict)  # free text, kept in the file
    _header: bytes = field(default=b"", init=False, repr=False, compare=False)  # made when asked

    def __repr__(self) -> str:
        """Return one line without arrays."""
        parts = [f"{len(self.instructions):,} instructions", f"{self.dram_bytes:,} bytes of DRAM"]
        if len(self.entries) > 1:
            parts.append(f"entries {', '.join(e.name for e in self.entries)}")
        if self.states:
            parts.append(f"states {', '.join(s.name for s in self.states)}")
        parts += [f"inputs {_names(self.inputs)}", f"outputs {_names(self.outputs)}"]
        return f"<Program {self.name} for {self.chip}: {', '.join(parts)}>"

    @property
    def inputs(self) -> tuple[Binding, ...]:
        """Name, shape and type of each input of the default entry."""
        return self.entry().inputs

    @property
    def outputs(self) -> tuple[Binding, ...]:
        """Name, shape and type of each output of the default entry."""
        return self.entry().outputs

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The host parameters of the default entry."""
        return self.entry().parameters

    def entry(self, name: str | None = None) -> Entry:
        """Return an entry by name, the default one without. Raises ProgramError."""
        for entry in self.entries:
            if name in (None, entry.name):
                return entry
        raise ProgramError(
            f"program {self.name} has no entry{'' if name is None else f' {name}'}; its entries "
            f"are {', '.join(entry.name for entry in self.entries) or 'none'}"
        )

    def state(self, name: str) -> State:
        """Return a state by name. Raises ProgramError."""
        for state in self.states:
            if state.name == name:
                return state
        raise ProgramError(
            f"program {self.name} has no state {name}; its states are "
            f"{', '.join(state.name for state in self.states) or 'none'}"
        )

    def code(self, entry: Entry) -> range:
        """Return the places of an entry's instructions."""
        ends = {e.first: n.first for e, n in pairwise(self.entries)}
        return range(entry.first, ends.get(entry.first, len(self.instructions)))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run of the default entry."""
        return self.macs_of(None)

    def macs_of(self, entry: str | None) -> int:
        """Return the multiply-accumulates of one run of an entry. Raises ProgramError."""
        begun = self.entry(entry)
        if len(self.entries) == 1:
            return sum(note.macs for note in self.notes)
        used = {self.instructions[place].note for place in self.code(begun)}
        return sum(note.macs for i, note in enumerate(self.notes) if i in used)

    def image(self) -> np.ndarray:
        """Build the initial DRAM contents, [dram_bytes] uint8.

        Raises ProgramError for data outside the image, or that is not what its file claims.
        """
        dram = np.zeros(self.dram_bytes, np.uint8)
        for segment in self.segments:
            if segment.sha256 and hashlib.sha256(segment.data).hexdigest() != segment.sha256:
                raise ProgramError(
                    f"program {self.name}: its data for DRAM byte {segment.address} are altered "
                    "(SHA-256 differs); copy the file again"
                )
            self._lay(dram, segment.address, segment.data, "segment")
        for state in self.states:
            self._lay(dram, state.binding.address, state.initial, f"state {state.name}")
        return dram

    def _lay(self, dram: np.ndarray, address: int, data: Data, what: str) -> None:
        end = address + len(data)
        if not 0 <= address <= end <= self.dram_bytes:
            raise ProgramError(
                f"program {self.name}: {what} at DRAM bytes {address}..{end - 1} lies outside the "
                f"image of {self.dram_bytes} bytes; enlarge dram_bytes"
            )
        dram[address:end] = np.frombuffer(data, np.uint8)

    def content_hash(self) -> str:
        """SHA-256 (hex) of `header()`."""
        return hashlib.sha256(self.header()).hexdigest()

    def code_bytes(self) -> bytes:
        """Return the instruction words, 16 bytes each, then each one's note as u32."""
        words = encode_program(self.instructions).astype("<u8")
        notes = np.array([i.note for i in self.instructions], "<u4")
        return words.tobytes() + notes.tobytes()

    def header(self) -> bytes:
        """Return everything in the program as JSON in UTF-8, code and data by their SHA-256.

        Equal programs have equal headers. Made once: a Program does not change.
        """
        if not self._header:
            object.__setattr__(self, "_header", self._make_header())
        return self._header

    def _make_header(self) -> bytes:
        header = {
            "name": self.name, "chip": self.chip, "chip_hash": self.chip_hash,
            "dram_bytes": self.dram_bytes, "meta": dict(self.meta),
            "entries": [asdict(entry) for entry in self.entries],
            "states": [
                [asdict(s.binding), len(s.initial), _sha256(s.initial)] for s in self.states
            ],
            "notes": [[n.layer, n.op, n.macs] for n in self.notes],
            "instructions": len(self.instructions), "code": _sha256(self.code_bytes()),
            "segments": [
                [s.address, len(s.data), s.sha256 or _sha256(s.data)] for s in self.segments
            ],
        }  # fmt: skip
        text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode()


def _sha256(data: Data) -> str:
    return hashlib.sha256(data).hexdigest()


def _names(bindings: tuple[Binding, ...]) -> str:
    return ", ".join(f"{b.name} {b.external}{list(b.shape)}" for b in bindings) or "none"
