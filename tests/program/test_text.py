"""The text form of a Program prints, parses back, and says where it is wrong."""

import pytest

from jiriki.program import ProgramError
from jiriki.program.text import format_program, parse_text
from tests.small_program import two_entries


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

    assert "; segment at 64, 64 bytes\n" in text
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


def test_entries_states_and_ranges_come_back(program):
    whole = two_entries(program)
    text = format_program(whole)
    assert parse_text(text) == whole
    assert '\n.entry "token"\n.parameter {"name": "position", "low": 0' in text


def test_by_hand_a_range_may_leave_limits_out(program):
    text = format_program(program).replace(
        ".dram 256\n", '.dram 256\n.parameter {"name": "length", "high": 512}\n.parameter "free"\n'
    )
    limits = [(p.name, p.low, p.high) for p in parse_text(text).parameters]
    assert limits == [("length", -(1 << 31), 512), ("free", -(1 << 31), (1 << 32) - 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('.program "x"\n    AAAA\n.code\n', "line 2: data without .segment or .state above"),
        ('.program "x"\n.parameter {"name": "n", "most": 3}\n', "line 2: cannot read"),
        ('.program "x"\n.code\nHALT.CTL\n.entry "more"\n', r"line 5: no \.code"),
    ],
)
def test_what_stands_in_the_wrong_place_is_refused(text, message):
    with pytest.raises(ProgramError, match=message):
        parse_text(text)
