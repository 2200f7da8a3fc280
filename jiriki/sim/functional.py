"""The functional simulator: the exact values a Program computes, without time.

In: a Program and its inputs. Out: Runs with outputs and DRAM traffic. Instructions are executed
one after another, each queue in its order, when their semaphores allow (`program/order.py`). That
is the meaning of the program on real queues because the static checker (`program/check.py`) proves
that every two conflicting accesses are ordered by semaphores: whatever order timing gives, the
values are the same.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from jiriki.chip.config import ChipConfig
from jiriki.isa.assembly import format_instruction
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.errors import IsaError
from jiriki.isa.machine import Machine
from jiriki.isa.operations import execute
from jiriki.isa.resolve import Work
from jiriki.isa.words import DmaMode
from jiriki.program.host import Parameters
from jiriki.program.order import Order
from jiriki.program.program import Entry, Program
from jiriki.program.run import Run
from jiriki.program.session import Engine, Placement
from jiriki.program.stream import work_of
from jiriki.sim.errors import SimError

KEPT_STREAMS = 4  # of entries and parameters, by a program in memory


class FunctionalEngine(Engine):
    """Runs programs for one chip; bit-exact to the numerics contract.

    A run raises ProgramError for what `program/host.py` refuses and for a deadlock, SimError for a
    step that reaches outside a memory (it names the instruction).
    """

    name = "functional"

    def place(self, program: Program) -> Placement:
        """Lay the image into the memory of a new machine."""
        return _Machine(program, self.chip)


class _Machine(Placement):
    """A tile with the program's image in its DRAM."""

    def __init__(self, program: Program, chip: ChipConfig) -> None:
        super().__init__(program, chip)
        self.machine = Machine(chip, program.image())
        self.streams: dict[tuple[object, ...], list[Work]] = {}

    def write(self, address: int, data: NDArray[np.uint8]) -> None:
        """Write bytes of DRAM."""
        self.machine.dram[address : address + data.size] = data

    def read(self, address: int, size: int) -> NDArray[np.uint8]:
        """Return a copy of bytes of DRAM."""
        return self.machine.dram[address : address + size].copy()

    def start(self, entry: Entry, parameters: Parameters) -> Run:
        """Execute every step; count the DRAM bytes moved."""
        read, written = _execute_all(self._stream(entry, parameters), self.machine)
        return Run(
            FunctionalEngine.name, self.program.content_hash(), dram_read_bytes=read,
            dram_write_bytes=written,
        )  # fmt: skip

    def _stream(self, entry: Entry, parameters: Parameters) -> list[Work]:
        """Return the work of a run in the order in which it is done; the latest ones are kept."""
        key = (entry.name, *parameters.values())
        if key not in self.streams:
            works = work_of(self.program, self.chip, parameters, entry=entry.name)
            ordered = [placed.work for placed in Order(works, self.chip)]
            if len(self.streams) == KEPT_STREAMS:
                del self.streams[next(iter(self.streams))]
            self.streams[key] = ordered
        return self.streams[key]


def _execute_all(stream: Iterable[Work], machine: Machine) -> tuple[int, int]:
    """Execute every step; return DRAM bytes read and written.

    The matrix products are small: a second BLAS thread costs more than it gains.
    """
    read = written = 0
    with threadpool_limits(1, user_api="blas"):
        for work in stream:
            if work.op is None:
                continue
            _step(work, machine)
            if isinstance(work.op, DmaOp) and work.op.store:
                written += work.op.bytes
            elif isinstance(work.op, DmaOp) and work.op.mode is not DmaMode.FILL:
                read += work.op.bytes
    return read, written


def _step(work: Work, machine: Machine) -> None:
    assert work.op is not None, "only steps with work are executed"
    try:
        execute(work.op, machine)
    except IsaError as error:
        raise SimError(
            f"instruction {work.index} ({format_instruction(work.instruction)}): {error}"
        ) from None
