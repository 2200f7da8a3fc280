"""Our chips: every number of their files follows from the models, and keeps its promise."""

from __future__ import annotations

from datetime import date, timedelta
from importlib import resources

import pytest

from jiriki.chip import load_chip
from jiriki.cost.area import die_area
from jiriki.cost.design import Design, load_design, load_designs, parse_design
from jiriki.cost.family import derived_figures, product_text
from jiriki.cost.power import design_power, full_rate
from jiriki.export_control import export_check, load_rulebook
from jiriki.products.errors import FactError
from jiriki.products.product import load_product, load_products

IDS = list(load_designs())
UNRESTRICTED = ("jiriki-open-14", "jiriki-mature-28")
CHIPLETS = ("jiriki-versatile-14", "jiriki-versatile-n2")


def rule_days() -> list[date]:
    """Return the days on which a rule begins or ends, and those around them."""
    book = load_rulebook()
    days = {day for rule in book.rules for day in (rule.first, rule.last) if day}
    around = {day + timedelta(days=step) for day in days for step in (-1, 0, 1)}
    return sorted(day for day in around if day >= book.first_day())


def entry(**changes: object) -> dict[str, object]:
    fields = {name: getattr(load_design(IDS[0]), name) for name in Design.__slots__ if name != "id"}
    return fields | changes


def test_every_product_of_ours_has_a_design_and_the_other_way_round() -> None:
    assert sorted(product.id for product in load_products() if product.ours) == sorted(IDS)
    assert len(IDS) >= 3


@pytest.mark.parametrize("id", IDS)
def test_product_file_is_what_the_models_give(id: str) -> None:
    file = resources.files("jiriki.products") / "catalogue" / f"{id}.toml"
    assert file.read_text("utf-8") == product_text(load_design(id)), (
        "run `python -m bench.family --write`"
    )


@pytest.mark.parametrize("id", IDS)
def test_product_s_figures_are_derived_again(id: str) -> None:
    product, plan, derived = load_product(id), load_design(id), derived_figures(load_design(id))
    tile = load_chip(plan.tile)
    peak = 2 * plan.dies * plan.tiles_per_die * tile.mu * tile.nu * tile.ku * plan.clock_hz
    assert product.peak["int8"].base == pytest.approx(peak)
    assert product.tiles == plan.dies * plan.tiles_per_die
    for name in ("sram", "dram", "dram_bandwidth", "io_bandwidth", "clock", "die_area", "tdp"):
        stated = getattr(product, name)
        for end in ("low", "base", "high"):
            expected = getattr(derived[name], end)
            assert getattr(stated, end) == pytest.approx(expected, rel=1e-3), name


@pytest.mark.parametrize("id", UNRESTRICTED)
@pytest.mark.parametrize("day", rule_days(), ids=str)
def test_unrestricted_chips_have_no_class_on_any_day(id: str, day: date) -> None:
    assert export_check(load_product(id), day).cls == "none"


def test_the_unrestricted_chip_stays_below_the_lines_without_hbm() -> None:
    product = load_product("jiriki-open-14")
    assert "hbm" not in product.dram_kind
    assert product.dram_bandwidth and product.io_bandwidth
    memory, links = product.dram_bandwidth.high / 1e9, product.io_bandwidth.high / 1e9
    assert product.peak["int8"].high / 1e12 * 8 < 1600
    assert memory < 1400 and links < 1100 and memory + links < 1700


def test_the_mature_chip_is_planar() -> None:
    assert load_product("jiriki-mature-28").planar


@pytest.mark.parametrize("id", CHIPLETS)
def test_the_versatile_chips_are_chiplets_of_hanguang_s_peak_class_with_spares(id: str) -> None:
    plan, area = load_design(id), die_area(load_design(id)).total
    assert 150 <= area.base <= 250
    assert plan.spare_tiles_per_die >= 1
    assert plan.peak_int8 >= load_product("hanguang-800").peak["int8"].base


@pytest.mark.parametrize("id", IDS)
def test_parts_of_power_add(id: str) -> None:
    power = design_power(load_design(id))
    assert sum(p.base for p in power.parts.values()) == pytest.approx(power.total.base)


@pytest.mark.parametrize("id", IDS)
def test_full_rate_uses_every_multiplier(id: str) -> None:
    assert full_rate(load_design(id)).array_macs == load_design(id).chip.macs_per_cycle


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dies": 0}, "dies = 0 must be positive"),
        ({"spare_tiles_per_die": -1}, "is not a whole number of at least 0"),
        ({"dies": 1}, "d2d_modules_per_die = 4 goes with more than one die"),
        ({"process": "5nm"}, "is for validation only"),
        ({"dram_kind": "sdram"}, "memory 'sdram' is not known"),
        ({"host_kind": "isa"}, "link 'isa' is not known"),
        ({"clock_hz": float("inf")}, "clock_hz = inf must be finite"),
        ({"colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_broken_design_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(FactError, match=message):
        parse_design("x", entry(**changes))


def test_unknown_design_is_refused() -> None:
    with pytest.raises(FactError, match="'h100' is no design of ours; choose jiriki-open-14"):
        load_design("h100")
