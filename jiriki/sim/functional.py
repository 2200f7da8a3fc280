"""The functional simulator: the exact values a Program computes, without time.

In: a Program and its inputs. Out: a Run with outputs and DRAM traffic. Instructions are executed
one after another, each queue in its order, when their semaphores allow (`program/order.py`). That
is the meaning of the program on real queues because the static checker (`program/check.py`) proves
that every two conflicting accesses are ordered by semaphores: whatever order timing gives, the
values are the same.
"""

import time
from collections.abc import Iterable, Mapping

import numpy as np
from threadpoolctl import threadpool_limits

from jiriki.chip.config import ChipConfig
from jiriki.isa.assembly import format_instruction
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.errors import IsaError
from jiriki.isa.machine import Machine
from jiriki.isa.operations import execute
from jiriki.isa.resolve import Work
from jiriki.isa.words import DmaMode
from jiriki.program.binding import binding_bytes, pack, unpack
from jiriki.program.order import Order
from jiriki.program.program import Binding, Program
from jiriki.program.run import Run
from jiriki.program.stream import work_of
from jiriki.sim.errors import SimError


class FunctionalEngine:
    """Runs programs for one chip; bit-exact to the numerics contract."""

    name = "functional"

    def __init__(self, chip: ChipConfig) -> None:
        self.chip = chip

    def run(self, program: Program, inputs: Mapping[str, np.ndarray] | None = None) -> Run:
        """Return outputs by name and DRAM bytes moved.

        inputs: an array for every input binding, and an integer for every host parameter.
        Raises SimError for another chip's program, a missing input, or a step that reaches outside
        a memory (it names the instruction); ProgramError for an input of wrong shape or type, or
        a deadlock.
        """
        started = time.perf_counter()
        self._check_chip(program)
        given = dict(inputs or {})
        machine = Machine(self.chip, program.image())
        for binding in program.inputs:
            self._write_input(machine, binding, given)
        parameters = [_parameter(program, name, given) for name in program.parameters]
        order = Order(work_of(program, parameters), self.chip)
        read, written = _execute_all((placed.work for placed in order), machine)
        outputs = {b.name: self._read_output(machine, b) for b in program.outputs}
        return Run(
            self.name, program.content_hash(), outputs, None, read, written,
            wall_s=time.perf_counter() - started,
        )  # fmt: skip

    def _check_chip(self, program: Program) -> None:
        if program.chip_hash != self.chip.content_hash():
            raise SimError(
                f"program {program.name} was emitted for chip {program.chip} "
                f"({program.chip_hash[:12]}), not for {self.chip.name} "
                f"({self.chip.content_hash()[:12]}); compile it for this chip"
            )

    def _write_input(
        self, machine: Machine, binding: Binding, given: Mapping[str, np.ndarray]
    ) -> None:
        if binding.name not in given:
            raise SimError(f"input {binding.name} is missing; pass {sorted(given) or 'it'}")
        data = pack(binding, given[binding.name], self.chip.ku)
        self._extent(machine, binding)[...] = data

    def _read_output(self, machine: Machine, binding: Binding) -> np.ndarray:
        return unpack(binding, self._extent(machine, binding).copy(), self.chip.ku)

    def _extent(self, machine: Machine, binding: Binding) -> np.ndarray:
        end = binding.address + binding_bytes(binding, self.chip.ku)
        if end > machine.dram.size:
            raise SimError(
                f"binding {binding.name} ends at DRAM byte {end}, beyond the image's "
                f"{machine.dram.size}; enlarge dram_bytes"
            )
        return machine.dram[binding.address : end]


def _parameter(program: Program, name: str, given: Mapping[str, np.ndarray]) -> int:
    if name not in given:
        raise SimError(f"program {program.name}: host parameter {name} is missing; pass an integer")
    return int(given[name])


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
