"""The text form of a Program: everything in it, to read and to write by hand.

Directives come first, one a line, their values in JSON; then `.code` and one instruction a line as
`jiriki.isa.assembly` writes them. `;` starts a comment in code. Data of a segment, and the first
contents of a state, follow their directive in indented base64 lines. A further entry begins with
`.entry` and its name, behind the code of the one before; its parameters, inputs, outputs and code
follow. By hand `.chip` may give a name of the catalogue alone, a binding leave out what has a
default, and `.parameter` give a name alone or an object with `name`, `low`, `high`, `step`.
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
from jiriki.program.file import binding_from, parameter_from
from jiriki.program.program import (
    MAIN,
    Binding,
    Data,
    Entry,
    Note,
    Parameter,
    Program,
    Segment,
    State,
)

START = ".program "  # how a file of the text form begins
_CHUNK = 57  # bytes a base64 line holds


def format_program(program: Program, *, data: bool = True, notes: bool = True) -> str:
    """Return the text form; without `data` segments are only named, and it does not parse back."""
    return "".join(line + "\n" for line in _lines(program, data, notes))


def _lines(program: Program, data: bool, notes: bool) -> Iterator[str]:
    first, *others = program.entries
    yield f".program {_json(program.name)}"
    yield f".chip {_json([program.chip, program.chip_hash])}"
    yield f".dram {program.dram_bytes}"
    if first.name != MAIN:
        yield f".entry {_json(first.name)}"
    yield from _parameter_lines(first)
    for key, value in program.meta.items():
        yield f".meta {_json([key, value])}"
    yield from _binding_lines(first)
    for state in program.states:
        yield f".state {_json(asdict(state.binding))}"
        yield from _data_lines(state.initial, f"first contents of state {state.name}", data)
    for note in program.notes:
        yield f".note {_json([note.layer, note.op, note.macs])}"
    for segment in program.segments:
        if data:
            yield f".segment {segment.address}"
        yield from _data_lines(segment.data, f"segment at {segment.address}", data)
    yield from _code_lines(program, first, notes)
    for entry in others:
        yield f".entry {_json(entry.name)}"
        yield from _parameter_lines(entry)
        yield from _binding_lines(entry)
        yield from _code_lines(program, entry, notes)


def _parameter_lines(entry: Entry) -> Iterator[str]:
    for parameter in entry.parameters:
        free = parameter == Parameter(parameter.name)
        yield f".parameter {_json(parameter.name if free else asdict(parameter))}"


def _binding_lines(entry: Entry) -> Iterator[str]:
    for directive, bindings in ((".input", entry.inputs), (".output", entry.outputs)):
        for binding in bindings:
            yield f"{directive} {_json(asdict(binding))}"


def _data_lines(data: Data, what: str, shown: bool) -> Iterator[str]:
    if not shown:
        yield f"; {what}, {len(data)} bytes"
        return
    for at in range(0, len(data), _CHUNK):
        yield "    " + base64.b64encode(data[at : at + _CHUNK]).decode()


def _code_lines(program: Program, entry: Entry, notes: bool) -> Iterator[str]:
    yield ".code"
    last = None
    for place in program.code(entry):
        instruction = program.instructions[place]
        if notes and program.notes and instruction.note != last:
            last = instruction.note
            yield f"; {program.notes[last].layer} ({program.notes[last].op})"
        yield format_instruction(instruction)


@dataclass(slots=True)
class _EntryDraft:
    """What has been read of an entry."""

    name: str = MAIN
    parameters: list[Parameter] = field(default_factory=list)
    inputs: list[Binding] = field(default_factory=list)
    outputs: list[Binding] = field(default_factory=list)
    code: list[Instruction] | None = None


@dataclass(slots=True)
class _Draft:
    """What has been read so far."""

    name: str = ""
    chip: tuple[str, str] = ("", "")
    dram_bytes: int = 0
    meta: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    segments: list[tuple[int, list[bytes]]] = field(default_factory=list)
    states: list[tuple[Binding, list[bytes]]] = field(default_factory=list)
    data: list[bytes] | None = None  # of the directive read last, where it has some
    entries: list[_EntryDraft] = field(default_factory=lambda: [_EntryDraft()])

    @property
    def entry(self) -> _EntryDraft:
        """The one being read."""
        return self.entries[-1]


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
    at = 0
    while at < len(lines):
        line, at = lines[at], at + 1
        if line.strip() == ".code":
            end = next((n for n in range(at, len(lines)) if lines[n].startswith(".entry ")), None)
            try:
                draft.entry.code = parse_program("\n".join(lines[at:end]), at + 1)
            except IsaError as error:
                raise ProgramError(str(error)) from None
            at = len(lines) if end is None else end
        elif line.strip() and not line.lstrip().startswith(";"):
            _read(draft, line, at)
    return _finish(draft, len(lines) + 1)


def _read(draft: _Draft, line: str, number: int) -> None:
    """Take one line outside of code."""
    try:
        if line[0].isspace():
            if draft.data is None:
                raise ProgramError(f"line {number}: data without .segment or .state above")
            draft.data.append(base64.b64decode(line.strip(), validate=True))
            return
        name, _, value = line.partition(" ")
        handler = _DIRECTIVES.get(name)
        if handler is None:
            raise ProgramError(
                f"line {number}: {name!r} is no directive; known are {', '.join(_DIRECTIVES)}"
            )
        draft.data = handler(draft, json.loads(value))
    except (ValueError, TypeError, KeyError, IndexError, binascii.Error) as error:
        what = str(error).replace("\n", " ")
        raise ProgramError(f"line {number}: cannot read {line.strip()[:40]!r} ({what})") from None


def _finish(draft: _Draft, number: int) -> Program:
    entries: list[Entry] = []
    code: list[Instruction] = []
    for entry in draft.entries:
        if entry.code is None:
            raise ProgramError(f"line {number}: no .code; add it before the instructions")
        entries.append(
            Entry(
                tuple(entry.inputs), tuple(entry.outputs), tuple(entry.parameters), entry.name,
                len(code),
            )
        )  # fmt: skip
        code += entry.code
    return Program(
        draft.name, *draft.chip, tuple(code),
        tuple(Segment(address, b"".join(parts)) for address, parts in draft.segments),
        draft.dram_bytes, tuple(entries),
        tuple(State(binding, b"".join(parts)) for binding, parts in draft.states),
        tuple(draft.notes), draft.meta,
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


def _add_segment(draft: _Draft, value: str) -> list[bytes]:
    draft.segments.append((int(value), []))
    return draft.segments[-1][1]


def _add_state(draft: _Draft, value: dict[str, Any]) -> list[bytes]:
    draft.states.append((_binding(value), []))
    return draft.states[-1][1]


def _begin_entry(draft: _Draft, value: object) -> None:
    if draft.entry == _EntryDraft():  # the first one is named
        draft.entry.name = str(value)
    else:
        draft.entries.append(_EntryDraft(str(value)))


def _add_parameter(draft: _Draft, value: str | dict[str, Any]) -> None:
    raw = {"name": value} if isinstance(value, str) else value
    draft.entry.parameters.append(parameter_from(raw))


# Each takes its value and returns where the data lines below it go, if it has some.
_DIRECTIVES: dict[str, Callable[[_Draft, Any], list[bytes] | None]] = {
    ".program": _set_name,
    ".chip": _set_chip,
    ".dram": _set_dram,
    ".entry": _begin_entry,
    ".parameter": _add_parameter,
    ".meta": _add_meta,
    ".input": lambda draft, value: draft.entry.inputs.append(_binding(value)),
    ".output": lambda draft, value: draft.entry.outputs.append(_binding(value)),
    ".state": _add_state,
    ".note": _add_note,
    ".segment": _add_segment,
}
