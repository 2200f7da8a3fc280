"""Assembly: the text of an instruction, and the way back.

One line an instruction: `MNEMONIC.UNIT field=value ... wait=s:count signal=s:count areg=n note=n`,
zero fields left out, named values by name, fp32 bits in hexadecimal. `;` starts a comment.
In: instructions or text. Out: the other. Everything follows from the LAYOUT of the classes.
"""

import re
from collections.abc import Iterable
from functools import cache

from jiriki.isa.errors import IsaError
from jiriki.isa.fields import OPCODES, Field, Instruction, Sync, Unit
from jiriki.isa.words import MicroOp, Src

_TOKEN = re.compile(r"\S+")
_NUMBER = re.compile(r"[+-]?(?:0x[0-9a-fA-F]+|\d+)$")


def mnemonic(kind: type[Instruction]) -> str:
    """Return the name of a class in assembly."""
    return kind.__name__.upper()


def format_instruction(instruction: Instruction) -> str:
    """Return the line of one instruction."""
    words = [f"{mnemonic(type(instruction))}.{instruction.unit.name}"]
    layout, values = instruction.LAYOUT, instruction.values
    for name, value in values.items():
        if value:
            words.append(f"{name}={_value_text(instruction, name, layout[name], value)}")
    for label, sync in (("wait", instruction.wait), ("signal", instruction.signal)):
        if sync is not None:
            words.append(f"{label}={sync.semaphore}:{sync.count}")
    if instruction.areg is not None:
        words.append(f"areg={instruction.areg}")
    if instruction.note:
        words.append(f"note={instruction.note}")
    return " ".join(words)


def format_program(instructions: Iterable[Instruction]) -> str:
    """Return one line an instruction."""
    return "".join(format_instruction(i) + "\n" for i in instructions)


def parse_program(text: str, first_line: int = 1) -> list[Instruction]:
    """Parse lines; empty lines and comments are skipped.

    Raises IsaError with line and column.
    """
    out = []
    for number, line in enumerate(text.splitlines(), first_line):
        code = line.split(";", 1)[0]
        if code.strip():
            out.append(parse_instruction(code, number))
    return out


def parse_instruction(line: str, number: int = 1) -> Instruction:
    """Parse one line. Raises IsaError with line (as given) and column."""
    tokens = [(m.start() + 1, m.group()) for m in _TOKEN.finditer(line)]
    if not tokens:
        raise IsaError(f"line {number}, column 1: no instruction; write MNEMONIC.UNIT field=value")
    kind, unit = _head(tokens[0], number)
    fields: dict[str, tuple[int, str]] = {}
    for column, token in tokens[1:]:
        name, equals, value = token.partition("=")
        if not equals:
            raise _fail(number, column, f"{token!r} is not field=value; add the value")
        if name in fields:
            raise _fail(number, column, f"{name} is given twice; keep one")
        fields[name] = (column, value)
    return _build(kind, unit, fields, number, tokens[0][0])


def _head(token: tuple[int, str], number: int) -> tuple[type[Instruction], Unit]:
    column, text = token
    name, _, unit_name = text.partition(".")
    kind = _by_name().get(name)
    if kind is None:
        known = ", ".join(sorted(_by_name()))
        raise _fail(number, column, f"{name!r} is no instruction; known are {known}")
    allowed = {unit.name: unit for unit in kind.UNITS}
    if not unit_name and len(allowed) == 1:
        return kind, kind.UNITS[0]
    if unit_name not in allowed:
        raise _fail(
            number, column + len(name), f"{name} runs on {', '.join(allowed)}, not {unit_name!r}"
        )
    return kind, allowed[unit_name]


def _build(
    kind: type[Instruction],
    unit: Unit,
    fields: dict[str, tuple[int, str]],
    number: int,
    start: int,
) -> Instruction:
    texts = {name: text for name, (_, text) in fields.items()}
    header: dict[str, Sync | int | None] = {"wait": None, "signal": None, "areg": None, "note": 0}
    values: dict[str, int] = {}
    for name, (column, text) in fields.items():
        if name in ("wait", "signal"):
            header[name] = _sync(text, number, column)
        elif name in ("areg", "note"):
            header[name] = _number(text, number, column)
        elif name in kind.LAYOUT:
            values[name] = _field(kind, name, texts, number, column)
        else:
            known = ", ".join(kind.LAYOUT) or "none"
            raise _fail(
                number, column, f"{mnemonic(kind)} has no field {name!r}; known are {known}"
            )
    try:
        return kind.new(unit, **header, **values)  # type: ignore[arg-type]
    except IsaError as error:
        raise _fail(number, start, str(error)) from None


def _value_text(instruction: Instruction, name: str, spec: Field, value: int) -> str:
    if spec.is_float:
        return f"0x{value:08x}"
    if spec.enum is not None and value in spec.enum._value2member_map_:
        return spec.enum(value).name
    if name.startswith("src") and _has_named_operand(instruction.values.get("op" + name[3:], 0)):
        return Src(value).name if value in Src._value2member_map_ else str(value)
    return str(value)


def _has_named_operand(op: int) -> bool:
    return op not in MicroOp._value2member_map_ or not MicroOp(op).names_slot


def _field(
    kind: type[Instruction], name: str, texts: dict[str, str], number: int, column: int
) -> int:
    spec, text = kind.LAYOUT[name], texts[name]
    names = Src.__members__ if name.startswith("src") else None
    if spec.enum is not None:
        names = spec.enum.__members__
    if names is not None and text in names:
        return int(names[text])
    if names is not None and not _NUMBER.match(text):
        raise _fail(number, column, f"{name}={text} is not a number or one of {', '.join(names)}")
    return _number(text, number, column)


def _number(text: str, number: int, column: int) -> int:
    if not _NUMBER.match(text):
        raise _fail(number, column, f"{text!r} is not a number; write decimal or 0x hexadecimal")
    return int(text, 16 if "x" in text.lower() else 10)


def _sync(text: str, number: int, column: int) -> Sync:
    semaphore, colon, count = text.partition(":")
    if not colon:
        raise _fail(number, column, f"{text!r} is not semaphore:count")
    return Sync(_number(semaphore, number, column), _number(count, number, column))


def _fail(number: int, column: int, message: str) -> IsaError:
    return IsaError(f"line {number}, column {column}: {message}")


@cache
def _by_name() -> dict[str, type[Instruction]]:
    return {mnemonic(kind): kind for kind in OPCODES.values()}
