"""The dynamic stream of a Program, resolved: what every engine and the checker execute.

In: a Program, its chip (how deep loops may nest), an entry and the host's parameters by name. Out:
`unroll` gives the steps (loops expanded, address registers added, control instructions kept because
each costs a cycle); `work_of` joins them with their descriptors (`jiriki.isa.resolve`).
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from jiriki.chip.config import ChipConfig
from jiriki.isa.resolve import Work, resolve
from jiriki.isa.sequence import STEP_LIMIT, Step, unroll_instructions
from jiriki.program.errors import ProgramError
from jiriki.program.program import Program

__all__ = ["Step", "Work", "unroll", "work_of"]


def unroll(
    program: Program,
    chip: ChipConfig,
    parameters: Mapping[str, int] | None = None,
    limit: int = STEP_LIMIT,
    *,
    entry: str | None = None,
) -> list[Step]:
    """Return the steps of an entry up to HALT, each with its place in `program.instructions`.

    Raises ProgramError for an entry that is none or a parameter that is missing, IsaError for a
    loop that runs away or nests deeper than the chip's `loop_depth`.
    """
    begun, values = program.entry(entry), parameters or {}
    names = [parameter.name for parameter in begun.parameters]
    if missing := [name for name in names if name not in values]:
        raise ProgramError(
            f"program {program.name}: host parameter {missing[0]} is missing; pass an integer"
        )
    return unroll_instructions(
        program.instructions, [values[name] for name in names], code=program.code(begun),
        loop_depth=chip.loop_depth, limit=limit,
    )  # fmt: skip


def work_of(
    program: Program,
    chip: ChipConfig,
    parameters: Mapping[str, int] | None = None,
    *,
    entry: str | None = None,
) -> list[Work]:
    """Return every step with the operation it asks for. Raises as `unroll` and `resolve` do."""
    with collection_paused():
        return resolve(unroll(program, chip, parameters, entry=entry))


@contextmanager
def collection_paused() -> Iterator[None]:
    """Make many small values that stay without Python looking for rubbish among them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
