"""The functional simulator: the exact values a Program computes, without time.

In: a Program and its inputs. Out: a Run with outputs and DRAM traffic. Instructions are executed
one after another, each queue in its order, when their semaphores allow (`program/order.py`). That
is the meaning of the program on real queues because the static checker (`program/check.py`) proves
that every two conflicting accesses are ordered by semaphores: whatever order timing gives, the
values are the same.
"""

import time
from collections.abc import Iterable

from threadpoolctl import threadpool_limits

from jiriki.chip.config import ChipConfig
from jiriki.isa.assembly import format_instruction
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.errors import IsaError
from jiriki.isa.machine import Machine
from jiriki.isa.operations import execute
from jiriki.isa.resolve import Work
from jiriki.isa.words import DmaMode
from jiriki.program.host import Inputs, host_image, read_outputs
from jiriki.program.order import Order
from jiriki.program.program import Program
from jiriki.program.run import Run
from jiriki.program.stream import work_of
from jiriki.sim.errors import SimError


class FunctionalEngine:
    """Runs programs for one chip; bit-exact to the numerics contract."""

    name = "functional"

    def __init__(self, chip: ChipConfig) -> None:
        self.chip = chip

    def run(self, program: Program, inputs: Inputs | None = None) -> Run:
        """Return outputs by name and DRAM bytes moved.

        inputs: an array for every input binding, and an integer for every host parameter.
        Raises ProgramError for what `program/host.py` refuses (another chip, a name, shape, type or
        integer that is not the program's) and for a deadlock; SimError for a step that reaches
        outside a memory (it names the instruction).
        """
        started = time.perf_counter()
        image, parameters = host_image(program, self.chip, inputs)
        machine = Machine(self.chip, image)
        order = Order(work_of(program, self.chip, parameters), self.chip)
        read, written = _execute_all((placed.work for placed in order), machine)
        return Run(
            self.name, program.content_hash(), parameters,
            outputs=read_outputs(program, self.chip, machine.dram),
            dram_read_bytes=read, dram_write_bytes=written, wall_s=time.perf_counter() - started,
        )  # fmt: skip


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
