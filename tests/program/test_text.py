"""The text form of a Program prints, parses back, and says where it is wrong."""

import pytest

from jiriki.program import ProgramError
from jiriki.program.text import format_program, parse_text


def test_text_comes_back_the_same(program):
    assert parse_text(format_program(program)) == program


def test_text_reads_as_assembly(program):
    text = format_program(program)

    assert '.program "example"\n' in text
    assert ".segment 64\n    " in text
    assert "\nCONV.MX p=8 groups=2 b=16 n_tiles=2 acc_stride=4 wait=0:1 signal=1:1\n" in text
    assert "\n; conv (Conv)\n" in text


def test_without_data_segments_are_named(program):
    text = format_program(program, data=False, notes=False)

    assert "; segment of 64 bytes at 64\n" in text
    assert "conv (Conv)" not in text


def test_text_without_code_is_refused():
    with pytest.raises(ProgramError, match=r"line 2: no \.code"):
        parse_text('.program "empty"')


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (".dram 256", ".dram many", "line 3: cannot read '.dram many'"),
        (".dram 256", ".ram 256", "line 3: '.ram' is no directive; known are .program"),
        (".code", "; code", "'WINA.MX' is no directive"),
        ("p=8 groups=2 b=16", "p=8 grups=2 b=16", "column 13: CONV has no field 'grups'"),
        (".segment 64\n    ", ".segment 64\n    !", "cannot read"),
    ],
)
def test_mistakes_are_named_with_their_line(program, old, new, message):
    text = format_program(program)
    assert old in text

    with pytest.raises(ProgramError, match=message):
        parse_text(text.replace(old, new))
