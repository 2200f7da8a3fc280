"""The catalogue of real chips: everyone of the issue is in it, and broken files are refused."""

from __future__ import annotations

from dataclasses import fields
from importlib import resources

import pytest

from jiriki.products.errors import FactError
from jiriki.products.figure import Figure
from jiriki.products.product import Product, load_product, load_products, parse_product, product_ids

NAMED = (
    "hanguang-800", "zhenwu-810e", "zhenwu-m890", "a100", "a800", "h20", "h100", "h200", "b200",
    "b300", "ascend-910b", "ascend-910c", "tpu-v4i", "tpu-v5e", "tpu-v6e", "tpu-ironwood",
    "groq-lpu", "inferentia2",
)  # fmt: skip
TEXT = (resources.files("jiriki.products") / "catalogue" / "hanguang-800.toml").read_text("utf-8")


def figures(chip: Product) -> list[Figure]:
    values = [getattr(chip, f.name) for f in fields(chip)] + list(chip.peak.values())
    return [value for value in values if isinstance(value, Figure)]


@pytest.mark.parametrize("id", NAMED)
def test_named_chip_is_in_the_catalogue(id: str) -> None:
    assert load_product(id).id == id and load_product(id).peak


@pytest.mark.parametrize("chip", load_products(), ids=lambda chip: chip.id)
def test_every_figure_has_source_and_date(chip: Product) -> None:
    assert figures(chip)
    for figure in figures(chip):
        assert "http" in figure.source or figure.unverified or figure.source.startswith("derived")
        assert len(figure.date) == 10


def test_figures_of_hanguang_800_are_those_of_hot_chips_2020() -> None:
    chip = load_product("hanguang-800")
    stated = (chip.peak["int8"], chip.sram, chip.tdp, chip.die_area, chip.clock, chip.transistors)
    assert [f and f.base for f in stated] == [825e12, 192e6, 280, 709, 700e6, 17e9]
    assert chip.dram is None and chip.dram_bandwidth is None and chip.made_in == "TW"


# (low, base, high) as the pages that `source` names have them, in the units that they use.
READ = {
    ("ascend-910c", "fp16"): (752, 752, 800),  # 6,688 / 4.45 TFLOPS are 1,503 in int8
    ("ascend-910c", "int8"): (1503, 1504, 1600),
    ("h20", "price"): (10_000, 12_000, 15_000),
    ("h200", "price"): (24_000, 27_000, 38_000),
    ("b300", "tdp"): (1000, 1400, 1400),
    ("b300", "fp8"): (4500, 4500, 7000),
    ("b300", "fp16"): (2250, 2250, 3500),
    ("tpu-v5e", "io_bandwidth"): (400, 400, 400),
    ("tpu-v5e", "dram_bandwidth"): (819, 819, 859),  # 800 GiB/s are 859
    ("tpu-v6e", "io_bandwidth"): (800, 800, 800),
    ("inferentia2", "dram_bandwidth"): (820, 820, 880.5),
    ("l40s", "sram"): (48, 96, 96),
    ("l40s", "tdp"): (300, 350, 350),
    ("l40s", "fp16"): (362, 362, 366.5),
}
SCALE = {"fp16": 1e12, "fp8": 1e12, "int8": 1e12, "sram": 1e6, "price": 1, "tdp": 1}


@pytest.mark.parametrize(("id", "key"), READ)
def test_figures_are_those_of_their_sources(id: str, key: str) -> None:
    chip = load_product(id)
    figure = chip.peak[key] if key in chip.peak else getattr(chip, key)
    scale = SCALE.get(key, 1e9)
    read = tuple(end / scale for end in (figure.low, figure.base, figure.high))
    assert read == pytest.approx(READ[id, key], rel=1e-3)


def test_sources_that_differ_are_ranges() -> None:
    chip = load_product("b200")
    assert (chip.peak["int8"].low, chip.peak["int8"].high) == (2500e12, 4500e12)
    assert chip.dram and chip.dram.low < chip.dram.high


@pytest.mark.parametrize(("asked", "near"), [("hanguang800", "hanguang-800"), ("H20", "h20")])
def test_unknown_chip_names_near_ones(asked: str, near: str) -> None:
    with pytest.raises(FactError, match=f"{asked}' is not in the catalogue.*did you mean .*{near}"):
        load_product(asked)


def test_unknown_chip_far_from_all_lists_all() -> None:
    with pytest.raises(FactError) as stop:
        load_product("zzzzzzzz")
    assert all(id in str(stop.value) for id in product_ids())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "Hanguang 800"\n', "", "product toy: name is missing"),
        ('"Hanguang 800"', "800", "product toy: name = 800 is not a text"),
        ("planar = false", 'planar = "no"', "planar = 'no' is not true or false"),
        ("dies = 1", "dies = 0", "dies = 0 is not a whole number of at least 1"),
        ('made_in = "TW"', 'made_in = "Taiwan"', "made_in = 'Taiwan' is no ISO code"),
        ("2019-09-25", '"soon"', "announced = soon is not a date"),
        ("tdp = {", "power = {", "unknown key 'power'"),
        ("int8 =", "int9 =", "peak.int9 is no number format"),
        ('280, unit = "W"', "280", "tdp: unit is missing"),
        ("value = 280", "value = -280", "tdp: value = -280 must be finite and not negative"),
        ('dram_kind = "none"', 'dram_kind = "hbm3"', "dram_kind = 'hbm3' does not fit"),
        ("ours = false", "ours = true", "tile is given exactly where ours = true"),
        ("[peak]", "[peak", "not valid TOML"),
    ],
)
def test_broken_product_gets_one_line(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(FactError) as stop:
        parse_product("toy", TEXT.replace(old, new, 1))
    assert message in str(stop.value) and "\n" not in str(stop.value)


def test_our_chip_needs_a_tile_of_the_tile_catalogue() -> None:
    ours = TEXT.replace("ours = false", "ours = true")
    with pytest.raises(FactError, match="tile = 'x9' is no chip of the tile catalogue"):
        parse_product("toy", f'tile = "x9"\ntiles = 4\n{ours}')
    with pytest.raises(FactError, match="tiles = None goes with tile"):
        parse_product("toy", f'tile = "e256"\n{ours}')
    assert parse_product("toy", f'tile = "e256"\ntiles = 4\n{ours}').tiles == 4


def test_path_of_a_toml_is_read(tmp_path) -> None:
    path = tmp_path / "my-chip.toml"
    path.write_text(TEXT)
    assert load_product(str(path)).id == "my-chip"
