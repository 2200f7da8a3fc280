"""The text form of a Program: everything in it, to read and to write by hand.

Directives come first, one a line, their values in JSON; then `.code` and one instruction a line as
`jiriki.isa.assembly` writes them. `;` starts a comment in code. Data of a segment follows its
directive in indented base64 lines. By hand `.chip` may give a name of the catalogue alone, and an
input or output leave out what has a default.
In: a Program or text. Out: the other; printing and parsing gives the same Program back.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jiriki.chip import load_chip
from jiriki.isa.assembly import format_instruction, parse_program
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Instruction
from jiriki.program.errors import ProgramError
from jiriki.program.file import binding_from
from jiriki.program.program import Binding, Note, Program, Segment

START = ".program "  # how a file of the text form begins
_CHUNK = 57  # bytes a base64 line holds


def format_program(program: Program, *, data: bool = True, notes: bool = True) -> str:
    """Return the text form; without `data` segments are only named, and it does not parse back."""
    return "".join(line + "\n" for line in _lines(program, data, notes))


def _lines(program: Program, data: bool, notes: bool) -> Iterator[str]:
    yield f".program {_json(program.name)}"
    yield f".chip {_json([program.chip, program.chip_hash])}"
    yield f".dram {program.dram_bytes}"
    for name in program.parameters:
        yield f".parameter {_json(name)}"
    for key, value in program.meta.items():
        yield f".meta {_json([key, value])}"
    for directive, bindings in ((".input", program.inputs), (".output", program.outputs)):
        for binding in bindings:
            yield f"{directive} {_json(asdict(binding))}"
    for note in program.notes:
        yield f".note {_json([note.layer, note.op, note.macs])}"
    for segment in program.segments:
        if data:
            yield f".segment {segment.address}"
            for at in range(0, len(segment.data), _CHUNK):
                yield "    " + base64.b64encode(segment.data[at : at + _CHUNK]).decode()
        else:
            yield f"; segment of {len(segment.data)} bytes at {segment.address}"
    yield ".code"
    last = None
    for instruction in program.instructions:
        if notes and program.notes and instruction.note != last:
            last = instruction.note
            yield f"; {program.notes[last].layer} ({program.notes[last].op})"
        yield format_instruction(instruction)


@dataclass(slots=True)
class _Draft:
    """What has been read so far."""

    name: str = ""
    chip: tuple[str, str] = ("", "")
    dram_bytes: int = 0
    parameters: list[str] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)
    inputs: list[Binding] = field(default_factory=list)
    outputs: list[Binding] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    segments: list[tuple[int, list[bytes]]] = field(default_factory=list)


def load_text(path: Path) -> Program:
    """Read a file of the text form. Raises ProgramError that names file and line."""
    try:
        return parse_text(path.read_text("utf-8"))
    except OSError as error:
        raise ProgramError(f"cannot read {path}: {error.strerror}") from None
    except (ProgramError, UnicodeDecodeError) as error:
        raise ProgramError(f"{path}: {error}") from None


def parse_text(text: str) -> Program:
    """Read the text form back. Raises ProgramError that names the line (and column in code)."""
    draft, lines = _Draft(), text.splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip() == ".code":
            try:
                code = parse_program("\n".join(lines[number:]), number + 1)
            except IsaError as error:
                raise ProgramError(str(error)) from None
            return _finish(draft, code)
        if line.strip() and not line.lstrip().startswith(";"):
            _read(draft, line, number)
    raise ProgramError(f"line {len(lines) + 1}: no .code; add it before the instructions")


def _read(draft: _Draft, line: str, number: int) -> None:
    """Take one line above `.code`."""
    try:
        if line[0].isspace():
            draft.segments[-1][1].append(base64.b64decode(line.strip(), validate=True))
            return
        name, _, value = line.partition(" ")
        handler = _DIRECTIVES.get(name)
        if handler is None:
            raise ProgramError(
                f"line {number}: {name!r} is no directive; known are {', '.join(_DIRECTIVES)}"
            )
        handler(draft, json.loads(value))
    except (ValueError, TypeError, KeyError, IndexError, binascii.Error) as error:
        what = str(error).replace("\n", " ")
        raise ProgramError(f"line {number}: cannot read {line.strip()[:40]!r} ({what})") from None


def _finish(draft: _Draft, code: list[Instruction]) -> Program:
    segments = tuple(Segment(address, b"".join(parts)) for address, parts in draft.segments)
    return Program(
        draft.name, *draft.chip, tuple(code), segments, draft.dram_bytes, tuple(draft.inputs),
        tuple(draft.outputs), tuple(draft.notes), tuple(draft.parameters), draft.meta,
    )  # fmt: skip


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _set_name(draft: _Draft, value: object) -> None:
    draft.name = str(value)


def _set_chip(draft: _Draft, value: str | Sequence[object]) -> None:
    if isinstance(value, str):  # by hand: the chip as the catalogue has it now
        value = value, load_chip(value).content_hash()
    name, content_hash = value
    draft.chip = (str(name), str(content_hash))


def _set_dram(draft: _Draft, value: str) -> None:
    draft.dram_bytes = int(value)


def _add_meta(draft: _Draft, value: Sequence[object]) -> None:
    key, text = value
    draft.meta[str(key)] = str(text)


def _binding(value: dict[str, Any]) -> Binding:
    return binding_from({"scale": None, "zero_point": 0, **value})


def _add_note(draft: _Draft, value: tuple[object, object, int]) -> None:
    layer, op, macs = value
    draft.notes.append(Note(str(layer), str(op), int(macs)))


_DIRECTIVES: dict[str, Callable[[_Draft, Any], None]] = {
    ".program": _set_name,
    ".chip": _set_chip,
    ".dram": _set_dram,
    ".parameter": lambda draft, value: draft.parameters.append(str(value)),
    ".meta": _add_meta,
    ".input": lambda draft, value: draft.inputs.append(_binding(value)),
    ".output": lambda draft, value: draft.outputs.append(_binding(value)),
    ".note": _add_note,
    ".segment": lambda draft, value: draft.segments.append((int(value), [])),
}
