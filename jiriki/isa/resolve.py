"""Resolve: join each instruction with the queue-local descriptors in force when it runs.

In: the instructions of a stream, in order. Out: an `Operation` for each that does work, None for
descriptors, waits, signals and control. Descriptors (DIM, GIDX, WINA, WINB, GSTR, KONST, QPAR,
STRM, CHAIN, RED) belong to one queue and take effect in queue order, so program order suffices.
Using a descriptor the program never set is an error, as is a count of zero. Each unit's
`resolve.py` holds its registers and the table of what every instruction does with them.
"""

from collections.abc import Iterable
from typing import NamedTuple

from jiriki.isa.dma.resolve import DmaRegisters
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Handlers, Instruction, Unit
from jiriki.isa.matrix.resolve import MatrixRegisters
from jiriki.isa.operations import Operation
from jiriki.isa.sequence import Step
from jiriki.isa.vector.resolve import VectorRegisters


class Work(NamedTuple):
    """A step and the operation it asks for, if any."""

    index: int
    instruction: Instruction
    op: Operation | None


def resolve(steps: Iterable[Step]) -> list[Work]:
    """Resolve a whole stream. Raises IsaError that names the instruction's place and kind."""
    state = QueueState()
    out: list[Work] = []
    for index, instruction in steps:
        try:
            out.append(Work(index, instruction, state.apply(instruction)))
        except IsaError as error:
            kind = type(instruction).__name__.upper()
            raise IsaError(f"instruction {index} ({kind}): {error}") from None
    return out


class QueueState:
    """The descriptor registers of all queues, updated instruction by instruction."""

    def __init__(self) -> None:
        self.handlers: dict[Unit, Handlers] = {
            Unit.CTL: {},
            Unit.LD: DmaRegisters(Unit.LD).handlers,
            Unit.ST: DmaRegisters(Unit.ST).handlers,
            Unit.MX: MatrixRegisters().handlers,
            Unit.VX: VectorRegisters().handlers,
        }

    def apply(self, instruction: Instruction) -> Operation | None:
        """Take one instruction in queue order and return what it does, if it does work.

        Raises IsaError for a descriptor never set, a zero count or a chain that cannot run.
        """
        handler = self.handlers[instruction.unit].get(type(instruction))
        return None if handler is None else handler(instruction.values)
