"""How an instruction states its bit fields: the layout every other aspect follows.

A class lists its payload as `Field` attributes, in order from bit 0. From that list come the
encoder, decoder, assembler, disassembler, the gates' layout and the manual's page.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from typing import Any, ClassVar, Self, TypeVar

from jiriki.isa.errors import IsaError

_Named = TypeVar("_Named", bound=IntEnum | bool)

HEADER_BITS = 32
PAYLOAD_BITS = 96


class Unit(IntEnum):
    """The queues an instruction can be sent to; CTL is the sequencer itself."""

    CTL = 0
    LD = 1
    ST = 2
    MX = 3
    VX = 4


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the payload: two's complement if `signed`, with named values if `enum`."""

    bits: int
    doc: str
    signed: bool = False
    enum: type[IntEnum] | None = None
    is_float: bool = False  # raw bits of an fp32, printed in hexadecimal

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.bits - self.signed)) - 1


@dataclass(frozen=True, slots=True)
class Sync:
    """A semaphore and how many tokens are taken (wait) or given (signal)."""

    semaphore: int
    count: int


WAIT_COUNT_MAX = 63
SIGNAL_COUNT_MAX = 3


@dataclass(slots=True)
class Instruction:
    """Base of every instruction: values of the payload fields, and the header's synchronisation.

    `wait`: before starting, wait until the semaphore holds `count` tokens and subtract them.
    `signal`: on completion add `count` tokens; every queue completes its instructions in order.
    `areg`: the address register whose value is added, modulo 2**bits of the field, to the field
    named by RELOCATES when the sequencer sends the instruction to its queue.
    """

    OPCODE: ClassVar[int] = -1
    UNITS: ClassVar[tuple[Unit, ...]] = ()
    LAYOUT: ClassVar[dict[str, Field]] = {}
    RELOCATES: ClassVar[str | None] = None

    unit: Unit
    values: dict[str, int] = field(default_factory=dict)
    wait: Sync | None = None
    signal: Sync | None = None
    areg: int | None = None
    note: int = 0  # index into the program's notes (source layer); not encoded

    def __init_subclass__(cls) -> None:
        layout = {k: v for k, v in vars(cls).items() if isinstance(v, Field)}
        for name in layout:
            delattr(cls, name)
        cls.LAYOUT = layout
        used = sum(f.bits for f in layout.values())
        assert used <= PAYLOAD_BITS, f"{cls.__name__} needs {used} payload bits of {PAYLOAD_BITS}"
        if cls.OPCODE >= 0:
            assert cls.OPCODE not in OPCODES, f"opcode {cls.OPCODE} of {cls.__name__} is taken"
            OPCODES[cls.OPCODE] = cls

    @classmethod
    def new(
        cls,
        unit: Unit | None = None,
        *,
        wait: Sync | None = None,
        signal: Sync | None = None,
        areg: int | None = None,
        note: int = 0,
        **values: int,
    ) -> Self:
        """Build with every field checked; fields not given are zero.

        Raises IsaError naming the field, its range and the value.
        """
        chosen = cls.UNITS[0] if unit is None else unit
        if chosen not in cls.UNITS:
            raise IsaError(f"{cls.__name__} cannot run on unit {chosen.name}; choose {cls.UNITS}")
        for name in values.keys() - cls.LAYOUT.keys():
            raise IsaError(f"{cls.__name__} has no field {name!r}; known are {list(cls.LAYOUT)}")
        full = {name: int(values.get(name, 0)) for name in cls.LAYOUT}
        for name, spec in cls.LAYOUT.items():
            if not spec.low <= full[name] <= spec.high:
                raise IsaError(
                    f"{cls.__name__}.{name} = {full[name]} is outside {spec.low}..{spec.high}, "
                    f"its {spec.bits} bits; split the work"
                )
        _check_header(cls.__name__, wait, signal, areg)
        return cls(chosen, full, wait, signal, areg, note)

    @classmethod
    def typed(cls, values: dict[str, int], *omitted: str) -> dict[str, Any]:
        """Return field values as an operation holds them: names of an enumeration, flags as bool.

        Operations are filled with them by name. Raises IsaError for a value that has no name.
        """
        out: dict[str, Any] = dict(values)
        for name in omitted:
            del out[name]
        for name, kind in _typed_fields(cls):
            if name in out:
                out[name] = known(kind, name, out[name])
        return out

    def __getattr__(self, name: str) -> int:
        if name.startswith("__") or name == "values":  # copying asks before fields exist
            raise AttributeError(name)
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no field {name}") from None


OPCODES: dict[int, type[Instruction]] = {}

# What a queue does with the values of each kind: returns the operation, None for a descriptor.
Handlers = dict[type[Instruction], Callable[[dict[str, int]], Any]]


def _check_header(name: str, wait: Sync | None, signal: Sync | None, areg: int | None) -> None:
    for label, sync, most in (("wait", wait, WAIT_COUNT_MAX), ("signal", signal, SIGNAL_COUNT_MAX)):
        if sync is not None and not (0 <= sync.semaphore < 16 and 1 <= sync.count <= most):
            raise IsaError(
                f"{name}: {label} of {sync.count} on semaphore {sync.semaphore} is outside "
                f"1..{most} on 0..15; use further WAIT or SIG instructions"
            )
    if areg is not None and not 0 <= areg < 32:
        raise IsaError(f"{name}: address register {areg} is outside 0..31; choose one that exists")


def positive(name: str, value: int) -> None:
    """Refuse a count of zero."""
    if value < 1:
        raise IsaError(f"{name} = {value} must be at least 1; leave the instruction out instead")


def known(kind: type[_Named], name: str, value: int) -> _Named:
    """Return the named value (or flag) of a field. Raises IsaError when it has no name."""
    try:
        return kind(value)
    except ValueError:
        names = ", ".join(kind.__members__) if issubclass(kind, IntEnum) else ""
        raise IsaError(f"{name} = {value} is no {kind.__name__}; known are {names}") from None


@cache
def _typed_fields(kind: type[Instruction]) -> tuple[tuple[str, type[IntEnum] | type[bool]], ...]:
    """Return the fields that are no numbers: enumerations, and flags of one bit."""
    enums = {name: spec.enum or bool for name, spec in kind.LAYOUT.items()}
    bits = {name: spec.bits for name, spec in kind.LAYOUT.items()}
    return tuple((name, of) for name, of in enums.items() if of is not bool or bits[name] == 1)
