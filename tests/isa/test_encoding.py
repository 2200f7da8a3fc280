"""Every instruction survives encode -> decode -> text -> parse -> encode."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jiriki.isa.assembly import format_instruction, format_program, parse_instruction, parse_program
from jiriki.isa.control import Halt, Nop
from jiriki.isa.dma.instructions import Ld
from jiriki.isa.encoding import HEADER, decode, decode_program, encode, encode_program, field_bits
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import OPCODES, Sync, Unit
from jiriki.isa.matrix.instructions import Conv
from jiriki.isa.vector.instructions import Chain, Konst
from jiriki.isa.words import MicroOp, Src


@st.composite
def instructions(draw):
    kind = draw(st.sampled_from(list(OPCODES.values())))
    values = {
        name: draw(st.sampled_from([0, spec.low, spec.high]) | st.integers(spec.low, spec.high))
        for name, spec in kind.LAYOUT.items()
    }
    sync = [
        draw(st.none() | st.builds(Sync, st.integers(0, 15), st.integers(1, most)))
        for most in (63, 3)
    ]
    areg = draw(st.none() | st.integers(0, 31))
    unit = draw(st.sampled_from(kind.UNITS))
    return kind.new(unit, wait=sync[0], signal=sync[1], areg=areg, **values)


def round_trip(stream):
    words = encode_program(stream)
    decoded = decode_program(words)
    text = format_program(decoded)
    parsed = parse_program(text)
    assert decoded == stream
    assert parsed == stream
    assert np.array_equal(encode_program(parsed), words)


@settings(max_examples=200)
@given(st.lists(instructions(), min_size=1, max_size=8))
def test_random_streams_survive_the_round_trip(stream):
    round_trip(stream)


@pytest.mark.full
@settings(max_examples=2000)
@given(st.lists(instructions(), min_size=1, max_size=16))
def test_two_thousand_random_streams_survive_the_round_trip(stream):
    round_trip(stream)


@given(st.integers(0, 2**128 - 1))
def test_any_word_decodes_to_what_encodes_to_it_or_is_refused(word):
    try:
        instruction = decode(word)
    except IsaError:
        return
    assert encode(instruction) == word


def test_the_header_lies_where_the_manual_says():
    word = encode(Halt.new(wait=Sync(5, 33), signal=Sync(9, 2), areg=17))

    fields = {name: word >> low & ((1 << bits) - 1) for name, (low, bits) in HEADER.items()}
    assert fields == {
        "op": 1, "unit": 0, "wait_en": 1, "wait_sem": 5, "wait_count": 33, "sig_en": 1,
        "sig_sem": 9, "sig_count": 2, "areg_en": 1, "areg": 17,
    }  # fmt: skip
    assert sum(bits for _, bits in HEADER.values()) == 32


def test_the_payload_follows_from_bit_32_in_layout_order():
    word = encode(Ld.new(dram=0x12345678, sp=0xABCDEF, run=0x4321))

    assert word >> 32 & 0xFFFFFFFF == 0x12345678
    assert word >> 64 & 0xFFFFFF == 0xABCDEF
    assert word >> 88 & 0xFFFF == 0x4321
    assert field_bits(Ld)["mode"] == (107, 3)


def test_no_payload_is_longer_than_96_bits():
    assert max(sum(s.bits for s in kind.LAYOUT.values()) for kind in OPCODES.values()) <= 96


def test_text_names_values_and_leaves_zeros_out():
    chain = Chain.new(op0=MicroOp.IADD, src0=Src.PB, op1=MicroOp.QNT, src1=2)
    konst = Konst.new(k=3, bits=0x3F800000)

    assert format_instruction(chain) == "CHAIN.VX op0=IADD src0=PB op1=QNT src1=2"
    assert format_instruction(konst) == "KONST.VX k=3 bits=0x3f800000"
    assert format_instruction(Nop.new()) == "NOP.CTL"


def test_a_note_travels_in_text():
    line = "CONV.MX p=4 note=12"
    assert parse_instruction(line).note == 12
    assert format_instruction(parse_instruction(line)) == line


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("CONF.MX p=4", r"line 7, column 1: 'CONF' is no instruction; known are ADDR, CHAIN"),
        ("  CONV.VX p=4", r"line 7, column 7: CONV runs on MX, not 'VX'"),
        ("CONV.MX p=4 q=5", r"line 7, column 13: CONV has no field 'q'; known are a, win"),
        ("CONV.MX p=4 p=5", r"line 7, column 13: p is given twice"),
        ("CONV.MX p", r"line 7, column 9: 'p' is not field=value"),
        ("CONV.MX p=four", r"line 7, column 9: 'four' is not a number"),
        ("CONV.MX p=40000", r"line 7, column 1: Conv.p = 40000 is outside 0..32767"),
        ("CONV.MX wait=3", r"line 7, column 9: '3' is not semaphore:count"),
        ("CONV.MX wait=16:1", r"line 7, column 1: Conv: wait of 1 on semaphore 16"),
        ("LD.LD mode=GRAB", r"line 7, column 7: mode=GRAB is not a number or one of COPY, FILL"),
        ("", r"line 7, column 1: no instruction"),
    ],
)
def test_mistakes_are_named_with_line_and_column(line, message):
    with pytest.raises(IsaError, match=message):
        parse_instruction(line, 7)


def test_comments_and_empty_lines_are_skipped():
    assert parse_program("; all\n\n  NOP.CTL ; nothing\nHALT") == [Nop.new(), Halt.new()]


def test_a_field_out_of_range_or_unknown_is_refused():
    with pytest.raises(IsaError, match=r"Conv\.n_tiles = 256 is outside 0\.\.255, its 8 bits"):
        Conv.new(n_tiles=256)
    with pytest.raises(IsaError, match="Conv has no field 'tiles'"):
        Conv.new(tiles=1)
    with pytest.raises(IsaError, match="Conv cannot run on unit VX"):
        Conv.new(Unit.VX)
