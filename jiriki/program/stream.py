"""The sequencer of a Program: its dynamic stream, resolved, as both simulators read it.

In: a Program and the host's parameters. Out: `unroll` gives the steps (loops expanded, address
registers added, control instructions kept because each costs a cycle); `resolve` in
`jiriki.isa.resolve` joins them with the descriptors.
"""

from collections.abc import Sequence

from jiriki.isa.resolve import Work, resolve
from jiriki.isa.sequence import STEP_LIMIT, Step, unroll_instructions
from jiriki.program.program import Program

__all__ = ["Step", "Work", "unroll", "work_of"]


def unroll(program: Program, parameters: Sequence[int] = (), limit: int = STEP_LIMIT) -> list[Step]:
    """Return the steps up to HALT. Raises IsaError for a runaway loop or a missing parameter."""
    return unroll_instructions(program.instructions, parameters, limit=limit)


def work_of(program: Program, parameters: Sequence[int] = ()) -> list[Work]:
    """Return every step with the operation it asks for."""
    return resolve(unroll(program, parameters))
