"""Any TOML of facts is read, or refused in one line that names the object and the key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiriki.errors import JirikiError
from jiriki.products.errors import FactError
from jiriki.products.figure import Figure
from jiriki.products.product import parse_product
from jiriki.products.table import Table, load_table, parse_table


class RoomError(JirikiError):
    """The error of a room that reads."""


def table(text: str) -> Table:
    return parse_table(text, "thing")


def test_values_are_read_as_their_kinds() -> None:
    facts = table(
        'name = "x"\nsize = 3\nshare = 0.5\non = true\nday = 2025-01-31\nof = ["a", "b"]\n'
        'rows = [["r", 1, 2.5]]\n'
    )
    assert (facts.text("name"), facts.whole("size", 1), facts.flag("on")) == ("x", 3, True)
    assert facts.number("share", most=1) == 0.5 and facts.texts("of") == ("a", "b")
    assert facts.required_day("day").isoformat() == "2025-01-31"
    assert facts.rows("rows", 2) == [("r", (1.0, 2.5))]
    facts.close()


def test_a_mark_of_byte_order_is_no_fault() -> None:
    assert parse_table(b"\xef\xbb\xbfsize = 3\n", "thing").whole("size", 1) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "thing: is no text in UTF-8; name a TOML file"),
        (b"a = ", "thing: not valid TOML (Invalid value"),
        (b"a = 1\na = 2", "thing: not valid TOML (Cannot overwrite a value"),
        (b"a = " + b"[" * 100_000, "thing: not valid TOML (nested too deeply)"),
        (b"a = " + b"1" * 5000, "thing: not valid TOML ("),
    ],
)
def test_what_is_no_toml_is_one_line(content: bytes, message: str) -> None:
    with pytest.raises(RoomError) as error:
        parse_table(content, "thing", RoomError)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FactError, match="thing: No such file or directory; name a readable file"):
        load_table(tmp_path / "none.toml", "thing")
    with pytest.raises(FactError, match="thing: Is a directory; name a readable file"):
        load_table(tmp_path, "thing")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "size is missing; add it"),
        ("size = 0", "size = 0 is not a whole number of at least 1"),
        ("size = true", "size = True is not a whole number"),
        ("size = 2.0", "size = 2.0 is not a whole number"),
        ("size = 10000000000000", "and at most 1,000,000,000,000"),
        (f"size = 0x{'f' * 9000}", "size = a number of thousands of digits is not"),
    ],
)
def test_counts_are_whole_and_of_a_size_that_counts(text: str, message: str) -> None:
    with pytest.raises(FactError) as error:
        table(text).whole("size", 1)
    assert message in str(error.value) and str(error.value).startswith("thing: ")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("inf", "must be finite"),
        ("-inf", "must be finite"),
        ("nan", "must be finite"),
        ("1e400", "must be finite"),
        (f"1{'0' * 400}", "must be finite"),
        ("-1", "not negative"),
        ("0", "must be above 0"),
        ("2", "exceeds 1"),
        ("true", "is not a number"),
        ('"3"', "is not a number"),
    ],
)
def test_numbers_are_finite_and_in_their_bounds(value: str, message: str) -> None:
    with pytest.raises(FactError, match=f"thing: share = .*{message}"):
        table(f"share = {value}").number("share", positive=True, most=1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('{ value = 0, unit = "W", source = "x", date = 2025-01-31 }', "must be above 0"),
        ('{ value = inf, unit = "W", source = "x", date = 2025-01-31 }', "must be finite"),
        ('{ value = 1e308, unit = "kW", source = "x", date = 2025-01-31 }', "beyond every number"),
        ("825", "is a bare value; write it with its unit, source and date"),
        ('"825 W"', "is a bare value"),
    ],
)
def test_figures_are_positive_where_zero_cannot_be(value: str, message: str) -> None:
    with pytest.raises(FactError, match=f"thing: power.*{message}"):
        table(f"power = {value}").figure("power", "W", positive=True)


def test_a_figure_of_a_trade_s_own_unit_is_scaled() -> None:
    rate = table(
        'rate = { value = 3, unit = "wafers/month", source = "x", date = 2025-01-31 }'
    ).figure("rate", "1", "wafers/month", 2.0)
    assert rate == Figure(6.0, 6.0, 6.0, "1", "x", "2025-01-31")


def test_unknown_keys_and_wrong_tables_are_refused() -> None:
    with pytest.raises(FactError, match="thing: unknown key 'colour'; known are size"):
        facts = table("size = 1\ncolour = 2")
        facts.whole("size", 1)
        facts.close()
    with pytest.raises(FactError, match="thing: part = 3 is not a table; write \\[part\\]"):
        table("part = 3").inner("part")
    with pytest.raises(FactError, match="thing: part is not a list of tables"):
        table("part = 3").tables("part", "part")


def test_a_name_that_breaks_the_line_is_refused() -> None:
    with pytest.raises(FactError) as error:
        table('id = "a\\nb"').name("id", "service")
    assert "\n" not in str(error.value) and "is not one line of print" in str(error.value)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_one_line(content: bytes) -> None:
    try:
        parse_product("toy", content)
    except FactError as error:
        assert "\n" not in str(error)
