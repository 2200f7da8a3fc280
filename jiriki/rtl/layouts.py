"""Bit fields of instructions as slices of a 128-bit signal, taken from the ISA's own layouts.

In: an instruction class (or none, for the header) and a signal. Out: its fields as Amaranth values,
signed where the field is signed.
"""

from types import SimpleNamespace

from amaranth.hdl import Value

from jiriki.isa.encoding import HEADER, WORD_BYTES, field_bits
from jiriki.isa.fields import Instruction

WORD_BITS = 8 * WORD_BYTES


def header(word: Value) -> SimpleNamespace:
    """Return the header of an instruction word [128]: op, unit, wait_en, ..., areg."""
    return SimpleNamespace(**{name: word[low : low + n] for name, (low, n) in HEADER.items()})


def payload(kind: type[Instruction], word: Value) -> SimpleNamespace:
    """Return the payload fields of `kind` in an instruction word [128]."""
    fields = {}
    for name, (low, bits) in field_bits(kind).items():
        raw = word[low : low + bits]
        fields[name] = raw.as_signed() if kind.LAYOUT[name].signed else raw
    return SimpleNamespace(**fields)


def is_kind(kind: type[Instruction], word: Value) -> Value:
    """Return 1 when the word holds an instruction of `kind`."""
    return header(word).op == kind.OPCODE
