"""Encoding: instructions as 128-bit words.

Bits 0..31 are the header, fields of the payload follow from bit 32 in LAYOUT order; bits not used
are zero. In memory a word is 16 bytes, little endian.
In: instructions. Out: words, and back. `field_bits` gives the layout to the gates and the manual.
"""

from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from jiriki.isa.errors import IsaError
from jiriki.isa.fields import HEADER_BITS, OPCODES, Instruction, Sync, Unit

WORD_BYTES = 16
HEADER = {  # name -> (lowest bit, bits)
    "op": (0, 5), "unit": (5, 3), "wait_en": (8, 1), "wait_sem": (9, 4), "wait_count": (13, 6),
    "sig_en": (19, 1), "sig_sem": (20, 4), "sig_count": (24, 2), "areg_en": (26, 1),
    "areg": (27, 5),
}  # fmt: skip
_HEADER_USED = 0xFFFFFF00  # everything but op and unit


@cache
def field_bits(kind: type[Instruction]) -> dict[str, tuple[int, int]]:
    """Return the payload of a class: field name -> (lowest bit of the word, bits)."""
    out, low = {}, HEADER_BITS
    for name, spec in kind.LAYOUT.items():
        out[name] = (low, spec.bits)
        low += spec.bits
    return out


def encode(instruction: Instruction) -> int:
    """Return the 128-bit word."""
    word = instruction.OPCODE | instruction.unit << 5
    if instruction.wait is not None:
        word |= 1 << 8 | instruction.wait.semaphore << 9 | instruction.wait.count << 13
    if instruction.signal is not None:
        word |= 1 << 19 | instruction.signal.semaphore << 20 | instruction.signal.count << 24
    if instruction.areg is not None:
        word |= 1 << 26 | instruction.areg << 27
    values = instruction.values
    for name, (low, bits) in field_bits(type(instruction)).items():
        value = values[name]
        if value:
            word |= (value & ((1 << bits) - 1)) << low
    return word


def decode(word: int) -> Instruction:
    """Return the instruction of a word.

    Raises IsaError for an unknown opcode, a unit it does not run on, or a bit that must be zero.
    """
    kind = OPCODES.get(word & 31)
    if kind is None:
        raise IsaError(f"word {word:#034x}: opcode {word & 31} is unknown; not a program?")
    unit = word >> 5 & 7
    if unit not in kind.UNITS:
        raise IsaError(f"word {word:#034x}: {kind.__name__} cannot run on unit {unit}")
    values = {}
    for name, low, mask, half in _cuts(kind):
        value = word >> low & mask
        values[name] = value - 2 * half if half and value >= half else value
    wait = signal = areg = None
    if word & _HEADER_USED:
        wait = _sync(word, "wait_en", "wait_sem", "wait_count")
        signal = _sync(word, "sig_en", "sig_sem", "sig_count")
        areg = word >> 27 & 31 if word >> 26 & 1 else None
    if word >> _top(kind) or (areg is None and word >> 27 & 31):
        raise IsaError(f"word {word:#034x}: {kind.__name__} has bits set that must be zero")
    return kind(Unit(unit), values, wait, signal, areg)


@cache
def _cuts(kind: type[Instruction]) -> tuple[tuple[str, int, int, int], ...]:
    """Return (field, lowest bit, mask, value of the sign bit or 0) of each field."""
    return tuple(
        (name, low, (1 << bits) - 1, 1 << (bits - 1) if kind.LAYOUT[name].signed else 0)
        for name, (low, bits) in field_bits(kind).items()
    )


@cache
def _top(kind: type[Instruction]) -> int:
    """Return the number of bits of the word that the class uses."""
    return HEADER_BITS + sum(spec.bits for spec in kind.LAYOUT.values())


def _sync(word: int, enable: str, semaphore: str, count: str) -> Sync | None:
    part = [word >> HEADER[n][0] & ((1 << HEADER[n][1]) - 1) for n in (enable, semaphore, count)]
    if part[0] != (part[2] > 0) or (not part[0] and part[1]):
        raise IsaError(f"word {word:#034x}: {enable} = {part[0]} but {count} = {part[2]}")
    return Sync(part[1], part[2]) if part[0] else None


def encode_program(instructions: Iterable[Instruction]) -> NDArray[np.uint64]:
    """Return [n, 2] uint64: the low and the high half of each word."""
    data = b"".join([encode(i).to_bytes(WORD_BYTES, "little") for i in instructions])
    return np.frombuffer(data, "<u8").reshape(-1, 2).astype(np.uint64)


def decode_program(words: NDArray[np.uint64]) -> list[Instruction]:
    """Return the instructions of [n, 2] uint64. Raises IsaError naming the place."""
    out = []
    for index, (low, high) in enumerate(words.tolist()):
        try:
            out.append(decode(low | high << 64))
        except IsaError as error:
            raise IsaError(f"instruction {index}: {error}") from None
    return out
