"""The manual of the instruction set, made from the classes: docs/reference/isa.md.

In: docstrings, layouts and enumerations of this room. Out: one Markdown text. What the manual says
is what the code reads, so neither can be stale.
"""

import inspect
import re
from enum import IntEnum
from types import ModuleType

from jiriki.isa import control, windows, words
from jiriki.isa.assembly import mnemonic
from jiriki.isa.dma import instructions as dma
from jiriki.isa.encoding import HEADER, field_bits
from jiriki.isa.fields import OPCODES, Field, Instruction
from jiriki.isa.matrix import instructions as matrix
from jiriki.isa.operations import cycle_rule
from jiriki.isa.vector import instructions as vector

_CHAPTERS: tuple[tuple[str, ModuleType], ...] = (
    ("Control and synchronisation", control),
    ("DMA: LD and ST", dma),
    ("Window descriptors", windows),
    ("Matrix unit: MX", matrix),
    ("Vector unit: VX", vector),
)
_HEADER_DOCS = {
    "op": "opcode",
    "unit": "queue: 0 CTL, 1 LD, 2 ST, 3 MX, 4 VX",
    "wait_en": "1: wait before starting",
    "wait_sem": "semaphore waited for",
    "wait_count": "tokens needed and taken",
    "sig_en": "1: signal on completion",
    "sig_sem": "semaphore signalled",
    "sig_count": "tokens given",
    "areg_en": "1: add an address register",
    "areg": "address register",
}
_MEMBER = re.compile(r"^    ([A-Z0-9_]+) = (\d+)(?:  # (.*))?$", re.MULTILINE)


def manual() -> str:
    """Return the whole page."""
    parts = ["# Instruction set\n", _prose(Instruction), _words(), _index()]
    for title, module in _CHAPTERS:
        parts.append(f"## {title}\n\n{_prose(module)}")
        parts += [_entry(kind) for kind in _defined(module, Instruction)]
        parts += [_enumeration(kind) for kind in _words_of(module)]
    return "\n".join(parts)


def _words_of(module: ModuleType) -> list[type[IntEnum]]:
    """Return the enumerations that a chapter's fields name, with the operands of its micro-ops."""
    kinds = [field.enum for kind in _defined(module, Instruction) for field in kind.LAYOUT.values()]
    used = {kind for kind in kinds if kind is not None}
    if words.MicroOp in used:
        used.add(words.Src)
    return [kind for kind in _defined(words, IntEnum) if kind in used]


def _words() -> str:
    rows = "".join(
        f"| {_span(low, bits)} | `{name}` | {_HEADER_DOCS[name]} |\n"
        for name, (low, bits) in HEADER.items()
    )
    return (
        "Every instruction is a word of 128 bits, 16 bytes in memory, little endian. Bits 0..31 "
        "are the header; the fields of each instruction follow from bit 32; bits that no field "
        "uses are zero.\n\n| bits | header | meaning |\n|--:|---|---|\n" + rows
    )


def _index() -> str:
    rows = "".join(
        f"| {opcode} | [{mnemonic(kind)}](#{mnemonic(kind).lower()}) | "
        f"{', '.join(unit.name for unit in kind.UNITS)} | {_first_line(kind)} |\n"
        for opcode, kind in sorted(OPCODES.items())
    )
    return (
        "In assembly an instruction is one line, `MNEMONIC.UNIT field=value ... wait=s:count "
        "signal=s:count areg=n`; fields that are zero are left out, and `;` starts a comment.\n\n"
        "| opcode | instruction | units | meaning |\n|--:|---|---|---|\n" + rows
    )


def _entry(kind: type[Instruction]) -> str:
    units = ", ".join(unit.name for unit in kind.UNITS)
    text = f"### {mnemonic(kind)}\n\nOpcode {kind.OPCODE}, on {units}. {_prose(kind)}"
    if kind.RELOCATES:
        text += f"\nAn address register is added to `{kind.RELOCATES}`.\n"
    rule = cycle_rule(kind)
    if rule:
        text += f"\nCycles, with nothing in its way: {rule}\n"
    if kind.LAYOUT:
        text += "\n| bits | field | values | meaning |\n|--:|---|---|---|\n"
        for name, (low, bits) in field_bits(kind).items():
            spec = kind.LAYOUT[name]
            text += f"| {_span(low, bits)} | `{name}` | {_values(spec)} | {spec.doc} |\n"
    return text


def _values(spec: Field) -> str:
    if spec.enum is not None:
        return f"[{spec.enum.__name__}](#{spec.enum.__name__.lower()})"
    if spec.is_float:
        return "fp32 bits"
    if spec.bits == 1:
        return "0, 1"
    return f"{spec.low}..{spec.high}"


def _enumeration(kind: type[IntEnum]) -> str:
    if kind is words.MicroOp:
        return _micro_ops()
    comments = {name: comment or "" for name, _, comment in _MEMBER.findall(_source(kind))}
    rows = "".join(
        f"| {m.value} | `{m.name}` | {getattr(m, 'meaning', comments.get(m.name, ''))} |\n"
        for m in kind
    )
    return (
        f"### {kind.__name__}\n\n{_prose(kind)}\n| value | name | meaning |\n|--:|---|---|\n{rows}"
    )


def _cell(text: str) -> str:
    """Return text that stays in one cell of a Markdown table."""
    return text.replace("|", "\\|").replace("**", "\\*\\*")


def _micro_ops() -> str:
    kind = words.MicroOp
    rows = "".join(
        f"| {op.value} | `{op.name}` | {_cell(op.meaning)} "
        f"| {op.operand.value} | {op.stage.value} |\n"
        for op in kind
    )
    return (
        f"### {kind.__name__}\n\n{_prose(kind)}\n"
        "| value | name | meaning | `src` names | stage |\n|--:|---|---|---|---|\n" + rows
    )


def _source(kind: type) -> str:
    return inspect.getsource(kind)


def _defined(module: ModuleType, base: type) -> list[type]:
    """Return the subclasses of `base` that a module itself defines, in its order."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base)
        and value.__module__ == module.__name__
    ]


def _span(low: int, bits: int) -> str:
    return str(low) if bits == 1 else f"{low + bits - 1}..{low}"


def _first_line(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ").strip()


def _prose(thing: ModuleType | type) -> str:
    """Return a docstring as Markdown: indented lines become blocks of code."""
    out: list[str] = []
    fenced = False
    for line in inspect.cleandoc(thing.__doc__ or "").splitlines():
        indented = line.startswith("    ")
        if indented != fenced:
            out.append("```text" if indented else "```")
            fenced = indented
        out.append(line[4:] if indented else line)
    if fenced:
        out.append("```")
    return "\n".join(out) + "\n"
