"""`jiriki compile` and `jiriki disasm`: program files.

In: a model, or a program file. Out: a program file, or its instructions as text.
"""

from collections.abc import Iterable
from pathlib import Path

from jiriki.cli.screen import Screen
from jiriki.isa.assembly import format_instruction
from jiriki.models import Reading, build, open_model
from jiriki.program import Binding, Entry, Program
from jiriki.program.file import load, save
from jiriki.program.layer_names import with_layer_names
from jiriki.report.quantities import data


def compile_model(
    name: str, reading: Reading, chip: str | None, effort: int, output: Path, as_json: bool
) -> None:
    """Compile a model and write the program file."""
    screen = Screen("compile", as_json)
    built = build(open_model(name, reading, screen), chip, effort, screen)
    program = built.program
    save(program, output)
    payload = {
        "model": name,
        "chip": built.chip.name,
        "file": str(output),
        "file_bytes": output.stat().st_size,
        "instructions": len(program.instructions),
        "dram_bytes": program.dram_bytes,
        "macs": program.macs,
        "program_hash": program.content_hash(),
        "wall_s": dict(built.wall_s),
    }
    line = (
        f"{output}: {len(program.instructions):,} instructions for {built.chip.name}, "
        f"{data(payload['file_bytes'])} ({data(program.dram_bytes)} of DRAM)"
    )
    screen.result(payload, lambda: [line])


def disassemble(path: Path, as_json: bool) -> None:
    """Print a program file's instructions, one a line, with the layer each is for."""
    screen = Screen("disasm", as_json)
    program = load(path)
    payload = {
        "name": program.name,
        "chip": program.chip,
        "program_hash": program.content_hash(),
        "instructions": [format_instruction(i) for i in program.instructions],
    }
    if as_json:
        screen.result(payload, list)
    else:
        print("\n".join(_lines(with_layer_names(program))))


def _lines(program: Program) -> Iterable[str]:
    yield f"; program {program.name} for chip {program.chip}"
    yield f"; {len(program.instructions)} instructions, {program.dram_bytes} bytes of DRAM"
    yield from _bindings("state", [state.binding for state in program.states])
    for entry in program.entries:
        if len(program.entries) > 1:
            yield f"; entry {entry.name}"
        yield from _bindings("input", entry.inputs)
        yield from _bindings("output", entry.outputs)
        for parameter in entry.parameters:
            yield f"; parameter {parameter.name}: {parameter.described()}"
        yield from _code(program, entry)


def _bindings(kind: str, bindings: Iterable[Binding]) -> Iterable[str]:
    for binding in bindings:
        shape = "x".join(map(str, binding.shape))
        yield f"; {kind} {binding.name}: {binding.dtype} {shape} at DRAM byte {binding.address}"


def _code(program: Program, entry: Entry) -> Iterable[str]:
    layer = None
    for place in program.code(entry):
        instruction = program.instructions[place]
        if instruction.note != layer and instruction.note < len(program.notes):
            layer = instruction.note
            yield f"; {program.notes[layer].layer} ({program.notes[layer].op})"
        yield format_instruction(instruction)
