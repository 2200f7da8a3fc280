"""Control instructions: the sequencer's own, and the waits, signals and descriptors of any unit.

The sequencer reads instructions in order, one a cycle, adds address registers, and sends each to
the queue of its unit; it stops while that queue is full. Control instructions it executes itself.
"""

from jiriki.isa.fields import Field, Instruction, Unit

QUEUED = (Unit.LD, Unit.ST, Unit.MX, Unit.VX)


class Nop(Instruction):
    """Do nothing for one cycle."""

    OPCODE, UNITS = 0, (Unit.CTL,)


class Halt(Instruction):
    """Stop after every queue is empty and every unit is idle; the program is finished."""

    OPCODE, UNITS = 1, (Unit.CTL,)


class Fence(Instruction):
    """Send nothing further until every queue is empty and every unit is idle."""

    OPCODE, UNITS = 2, (Unit.CTL,)


class Loop(Instruction):
    """Run the next `body` instructions `count` times (0: skip them); up to loop_depth nested."""

    OPCODE, UNITS = 3, (Unit.CTL,)
    count = Field(24, "times the body runs, when from_reg is 0")
    body = Field(16, "instructions in the body")
    from_reg = Field(1, "1: the count is the value of address register reg")
    reg = Field(5, "address register that holds the count")


class Setr(Instruction):
    """Address register reg = value."""

    OPCODE, UNITS = 4, (Unit.CTL,)
    reg = Field(5, "address register")
    value = Field(32, "new value", signed=True)


class Addr(Instruction):
    """Address register reg += step (modulo 2**32)."""

    OPCODE, UNITS = 5, (Unit.CTL,)
    reg = Field(5, "address register")
    step = Field(32, "added value", signed=True)


class Parm(Instruction):
    """Address register reg = host parameter `index` (written by the host before the start)."""

    OPCODE, UNITS = 6, (Unit.CTL,)
    reg = Field(5, "address register")
    index = Field(8, "host parameter")


class Wait(Instruction):
    """Hold the unit's queue until the header's wait is satisfied (a second wait for the next)."""

    OPCODE, UNITS = 7, QUEUED


class Sig(Instruction):
    """Signal the header's semaphore when everything earlier in this queue has completed."""

    OPCODE, UNITS = 8, QUEUED
