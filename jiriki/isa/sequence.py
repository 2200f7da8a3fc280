"""The sequencer: from the stored program to the dynamic stream of instructions.

In: instructions and the host's parameters. Out: the steps in the order the sequencer meets them,
loops expanded and address registers added. Control instructions stay in the stream because each
costs the sequencer a cycle; a LOOP appears once each time it is entered, its back edge is free.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jiriki.isa.control import Addr, Halt, Loop, Parm, Setr
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Instruction, Unit

STEP_LIMIT = 4_000_000
ADDRESS_REGISTERS = 32
_MASK = (1 << 32) - 1


class Step(NamedTuple):
    """One instruction as it is sent: `index` is its place in the program."""

    index: int
    instruction: Instruction


class _Frame:
    """A loop being run: its body is start..end (end not inside), `left` passes remain."""

    __slots__ = ("end", "left", "start")

    def __init__(self, start: int, end: int, left: int) -> None:
        self.start, self.end, self.left = start, end, left


def unroll_instructions(
    instructions: Sequence[Instruction],
    parameters: Sequence[int] = (),
    *,
    code: range | None = None,
    loop_depth: int = 4,
    limit: int = STEP_LIMIT,
) -> list[Step]:
    """Return the dynamic stream of `code`, the places of the instructions, up to its HALT.

    Relocated copies have areg None and the sum, modulo 2**bits of the field, in their values.
    Raises IsaError for a runaway loop (more than `limit` steps), a loop that leaves its body or
    nests too deep, a parameter the host did not give, or a stream without HALT.
    """
    registers = [0] * ADDRESS_REGISTERS
    steps: list[Step] = []
    frames: list[_Frame] = []
    code = range(len(instructions)) if code is None else code
    at = code.start
    while True:
        while frames and at == frames[-1].end:
            frames[-1].left -= 1
            if frames[-1].left > 0:
                at = frames[-1].start
                break
            frames.pop()
        if at >= code.stop:
            raise IsaError(
                f"program of {len(code)} instructions runs past its end; end it with HALT"
            )
        if len(steps) >= limit:
            raise IsaError(
                f"instruction {at}: the stream passes {limit} steps, so a loop runs away; check "
                "the counts of LOOP"
            )
        instruction = instructions[at]
        if instruction.areg is not None:
            instruction = relocate(instruction, registers[instruction.areg])
        steps.append(Step(at, instruction))
        at += 1
        if instruction.unit is Unit.CTL:
            if isinstance(instruction, Halt):
                return steps
            if isinstance(instruction, Loop):
                at = _enter(frames, instruction, at, registers, code.stop, loop_depth)
            else:
                _update(registers, instruction, parameters, at - 1)


def relocate(instruction: Instruction, offset: int) -> Instruction:
    """Return a copy whose RELOCATES field has `offset` added, modulo 2**bits of the field.

    Raises IsaError when the instruction has no such field.
    """
    name = instruction.RELOCATES
    if name is None:
        raise IsaError(
            f"{type(instruction).__name__} names address register {instruction.areg} but has no "
            "field to add it to; remove areg"
        )
    mask = (1 << instruction.LAYOUT[name].bits) - 1
    values = dict(instruction.values)
    values[name] = (values[name] + offset) & mask
    return type(instruction)(
        instruction.unit, values, instruction.wait, instruction.signal, None, instruction.note
    )


def _update(
    registers: list[int], instruction: Instruction, parameters: Sequence[int], at: int
) -> None:
    values = instruction.values
    if isinstance(instruction, Setr):
        registers[values["reg"]] = values["value"] & _MASK
    elif isinstance(instruction, Addr):
        registers[values["reg"]] = (registers[values["reg"]] + values["step"]) & _MASK
    elif isinstance(instruction, Parm):
        if values["index"] >= len(parameters):
            raise IsaError(
                f"instruction {at}: PARM reads host parameter {values['index']} of "
                f"{len(parameters)} given; pass its value"
            )
        registers[values["reg"]] = int(parameters[values["index"]]) & _MASK


def _enter(
    frames: list[_Frame], loop: Instruction, start: int, registers: list[int], size: int, depth: int
) -> int:
    """Enter a loop whose body starts at `start`; return where to go on."""
    values = loop.values
    count = registers[values["reg"]] if values["from_reg"] else values["count"]
    end = start + values["body"]
    outer = frames[-1].end if frames else size
    if values["body"] == 0 or end > outer:
        raise IsaError(
            f"instruction {start - 1}: LOOP body of {values['body']} instructions must be at "
            f"least 1 and end by instruction {outer}; correct body"
        )
    if len(frames) >= depth:
        raise IsaError(
            f"instruction {start - 1}: LOOP nests {len(frames) + 1} deep, beyond the chip's "
            f"{depth}; unroll one loop"
        )
    if count == 0:
        return end
    frames.append(_Frame(start, end, count))
    return start
