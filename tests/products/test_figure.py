"""Figures are read with unit, source and date, or refused with one line that says why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiriki.products.errors import FactError
from jiriki.products.figure import Figure, read_date
from jiriki.products.table import Table, load_sources

GOOD = {"value": 825, "unit": "TOPS", "source": "S1", "date": "2020-08-18"}


def read(entry: object, unit: str = "op/s") -> Figure:
    return Table({"peak": entry}, "product toy").figure("peak", unit)


@pytest.mark.parametrize(
    ("written", "unit", "kind", "si"),
    [
        (825, "TOPS", "op/s", 825e12),
        (2.25, "PFLOPS", "op/s", 2.25e15),
        (4.0, "TB/s", "byte/s", 4e12),
        (900, "GB/s", "byte/s", 900e9),
        (192, "GiB", "byte", 192 * 1024**3),
        (192, "MB", "byte", 192e6),
        (700, "MHz", "Hz", 700e6),
        (32.5, "nm", "m", 32.5e-9),
        (709, "mm2", "mm2", 709),
        (17, "billion", "1", 17e9),
        (0.2, "1/cm2", "1/mm2", 0.002),
        (91.2, "MTr/mm2", "1/mm2", 91.2e6),
        (4, "pJ/bit", "J/bit", 4e-12),
        (3.6, "USD/kWh", "USD/J", 1e-6),
    ],
)
def test_units_become_si(written: float, unit: str, kind: str, si: float) -> None:
    figure = read({**GOOD, "value": written, "unit": unit}, kind)
    assert figure.base == pytest.approx(si, rel=1e-12)
    assert figure.unit == kind


def test_range_keeps_its_three_numbers_and_its_doubt() -> None:
    entry = {"low": 1, "base": 2, "high": 4, "unit": "TOPS", "source": "x", "date": "2025-01-31"}
    figure = read({**entry, "unverified": True})
    assert (figure.low, figure.base, figure.high) == (1e12, 2e12, 4e12)
    assert figure.unverified and figure.is_range


def test_source_keys_are_spelled_out_alone_and_in_a_sentence() -> None:
    assert (
        read({**GOOD, "source": "S1, S2"}).source
        == f"{load_sources()['S1']} ; {load_sources()['S2']}"
    )
    assert read({**GOOD, "source": "half of [S2]"}).source == f"half of [{load_sources()['S2']}]"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": None}, "unit is missing; write one of op/s"),
        ({"unit": "GB/s"}, "unit 'GB/s' is no measure of op/s"),
        ({"unit": "furlong"}, "unit 'furlong' is unknown"),
        ({"value": -1}, "= -1 must be finite and not negative"),
        ({"value": float("nan")}, "must be finite"),
        ({"value": True}, "= True is not a number"),
        ({"value": "825"}, "= '825' is not a number"),
        ({"value": None}, "has no number; give value, or low, base and high"),
        ({"low": 1}, "has value, low; give value, or low, base and high"),
        ({"source": None}, "source is missing"),
        ({"source": "S9999"}, "source S9999 is not in products/sources.toml"),
        ({"date": None}, "date is missing"),
        ({"date": "last year"}, "last year is not a date"),
        ({"unverified": "yes"}, "unverified = 'yes' is not true or false"),
        ({"comment": "x"}, "unknown key 'comment'"),
    ],
)
def test_bad_figure_gets_one_line(change: dict[str, object], message: str) -> None:
    entry = {k: v for k, v in {**GOOD, **change}.items() if v is not None}
    with pytest.raises(FactError) as stop:
        read(entry)
    assert message in str(stop.value) and str(stop.value).startswith("product toy: peak")
    assert "\n" not in str(stop.value)


def test_bare_number_and_missing_key_are_refused() -> None:
    with pytest.raises(FactError, match="is a bare value; write it with its unit, source and date"):
        read(825)
    with pytest.raises(FactError, match="product toy: peak is missing"):
        Table({}, "product toy").figure("peak", "op/s")


def test_descending_range_is_refused() -> None:
    entry = {"low": 3, "base": 2, "high": 4, "unit": "W", "source": "x", "date": "2025-01-31"}
    with pytest.raises(FactError, match="do not ascend"):
        read(entry, "W")
    with pytest.raises(FactError, match="must ascend"):
        Figure(3, 2, 4, "W", "x", "2025-01-31")


@given(st.floats(max_value=-1e-300, allow_infinity=False))
def test_no_figure_is_negative(value: float) -> None:
    with pytest.raises(FactError, match="not negative"):
        Figure(value, 0, 0, "W", "x", "2025-01-31")


@given(st.dates())
def test_dates_read_back(day) -> None:
    assert read_date(day.isoformat(), "on") == read_date(day, "on") == day
