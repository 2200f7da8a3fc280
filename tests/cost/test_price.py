"""Price of a chip, an hour of a server, a million tokens: parts, directions, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiriki.cost.assumptions import load_assumptions
from jiriki.cost.design import load_design
from jiriki.cost.errors import CostError
from jiriki.cost.price import design_die, per_million, price, server_hour
from jiriki.products.errors import FactError
from jiriki.products.figure import Figure
from jiriki.products.product import load_product, load_products
from jiriki.products.range import Range

OURS = [product.id for product in load_products() if product.ours]
KNOWN = [*OURS, "h100", "hanguang-800", "a100", "ascend-910b"]
OPEN = load_product("jiriki-open-14")


def dollars(value: float) -> Figure:
    return Figure(value, value, value, "USD", "offer", "2026-11-25")


def written(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("id", KNOWN)
def test_parts_add_to_the_price_which_has_a_range(id: str) -> None:
    estimate = price(load_product(id))
    for end in ("low", "base", "high"):
        parts = sum(getattr(part, end) for part in estimate.parts.values())
        assert parts == pytest.approx(getattr(estimate.total, end))
    assert 0 < estimate.total.low < estimate.total.base < estimate.total.high
    assert 0 < estimate.yield_share.low <= estimate.yield_share.high <= 1


def test_silicon_of_hanguang_800_is_near_the_facts() -> None:
    """709 mm2 on a wafer of 4,000 USD at about one half good: around 100 USD."""
    assert price(load_product("hanguang-800")).parts["silicon"].base == pytest.approx(100, rel=0.2)


def test_memory_is_capacity_times_its_price() -> None:
    assert price(OPEN).parts["memory"].base == pytest.approx(256 * 8)
    assert price(load_product("hanguang-800")).parts["memory"].base == 0


def test_spare_tiles_raise_the_yield_of_equal_tiles() -> None:
    plan = load_design("jiriki-versatile-n2")
    spare = design_die(plan, load_assumptions())
    without = design_die(replace(plan, spare_tiles_per_die=0), load_assumptions())
    assert spare.good.base > without.good.base


@given(st.floats(10, 800), st.floats(10, 800))
def test_price_never_falls_when_a_die_grows(first: float, second: float) -> None:
    small, large = sorted((first, second))
    h100 = load_product("h100")
    assert h100.die_area
    prices = [
        price(replace(h100, die_area=replace(h100.die_area, low=a, base=a, high=a))).total
        for a in (small, large)
    ]
    for end in ("low", "base", "high"):
        assert getattr(prices[1], end) >= getattr(prices[0], end) * (1 - 1e-9)


def test_more_units_share_the_masks(tmp_path: Path) -> None:
    text = 'units = { value = 1, unit = "million", source = "plan", date = "2026-11-25" }'
    many = load_assumptions(written(tmp_path, text))
    assert price(OPEN, many).parts["masks"].base == pytest.approx(5.0)  # 5 MUSD at 14 nm
    assert price(OPEN, many).total.base < price(OPEN).total.base


def test_parts_of_a_server_hour_add() -> None:
    hour = server_hour(OPEN)
    assert sum(p.base for p in hour.parts.values()) == pytest.approx(hour.total.base)
    assert hour.chips == 8


def test_a_server_of_h100_at_its_price_costs_what_clouds_ask_at_least() -> None:
    """8 x 28,000 USD over four years is 6.4 USD an hour before power and upkeep."""
    hour = server_hour(load_product("h100"), purchase=dollars(28_000))
    assert hour.parts["capital"].base * 3600 > 8 * 28_000 / (4 * 8766)
    assert 6 < hour.total.base * 3600 < 20


def test_electricity_is_power_times_pue_times_price(tmp_path: Path) -> None:
    entry = '{ value = 0.16, unit = "USD/kWh", source = "x", date = "2026-01-01" }'
    text = f"[server]\nelectricity = {entry}"
    dear = load_assumptions(written(tmp_path, text))
    ratio = server_hour(OPEN, dear).parts["electricity"].base / 2
    assert ratio == pytest.approx(server_hour(OPEN).parts["electricity"].base)


@given(st.floats(1, 1e6), st.floats(1.01, 100))
def test_a_million_costs_less_the_faster(rate: float, faster: float) -> None:
    slow = per_million(OPEN, Range.exact(rate))
    fast = per_million(OPEN, Range.exact(rate * faster))
    assert fast.base == pytest.approx(slow.base / faster)
    assert slow.low < slow.base < slow.high


def test_a_million_tokens_by_hand() -> None:
    hour = server_hour(OPEN).total.base
    seconds = 1e6 / (1000 * 8 * 0.5)  # half of the time eight chips make 1,000 a second
    assert per_million(OPEN, Range.exact(1000.0)).base == pytest.approx(hour * seconds)


def test_a_chip_without_a_published_die_has_no_price() -> None:
    with pytest.raises(CostError, match="tpu-v6e: its die area is not published"):
        price(load_product("tpu-v6e"))


def test_a_chip_of_an_unknown_process_has_no_price() -> None:
    chip = replace(load_product("h100"), process="unknown")
    with pytest.raises(CostError, match="h100: its process 'unknown' has no wafer price"):
        price(chip)


def test_a_chip_without_published_power_has_no_server() -> None:
    with pytest.raises(CostError, match="its power is not published"):
        server_hour(replace(load_product("h100"), tdp=None))


FIGURE = 'unit = "{}", source = "x", date = "2026-01-01"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("units = 5", "bare value"),
        ("units = { value = 0, " + FIGURE.format("1") + " }", "must be above 0"),
        ("units = { value = -5, " + FIGURE.format("1") + " }", "not negative"),
        ("units = { value = 5, " + FIGURE.format("USD") + " }", "no measure of 1"),
        ("[server]\nutilisation = { value = 2, " + FIGURE.format("1") + " }", "at most 1"),
        ("[server]\npue = { value = 0.9, " + FIGURE.format("1") + " }", "below 1"),
        ("[server]\nchips = 0", "whole number of at least 1"),
        ("[server]\ncolour = 1", "\\[server\\]: unknown key 'colour'"),
        ('yield_model = "seeds"', "choose poisson, murphy"),
        ("[server", "not valid TOML"),
    ],
)
def test_bad_assumptions_get_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FactError, match=message) as caught:
        load_assumptions(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_missing_assumptions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FactError, match="name a readable file"):
        load_assumptions(tmp_path / "none.toml")


def test_unknown_assumption_is_refused() -> None:
    with pytest.raises(FactError, match=r"assumption 'server\.colour' is not known"):
        load_assumptions()["server.colour"]
