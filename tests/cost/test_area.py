"""Area of tiles and dies: what it rests on, how it moves, and published chips beside it."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiriki.chip import chip_names, load_chip
from jiriki.cost.area import die_area, memory_area, tile_area
from jiriki.cost.calibration import load_calibration, parse_calibration
from jiriki.cost.design import load_designs
from jiriki.cost.errors import CostError
from jiriki.cost.inventory import Memory, inventory
from jiriki.cost.process import load_process, process_ids
from jiriki.cost.validate.published_dies import comparisons, median_error
from jiriki.products.errors import FactError
from jiriki.products.range import Range

E256 = load_chip("e256")
NODE = load_process("14nm")
OWN = load_calibration()
CALIBRATION_TEXT = (resources.files("jiriki.cost") / "calibration.toml").read_text("utf-8")


@pytest.mark.parametrize("name", chip_names())
@pytest.mark.parametrize("node", process_ids())
def test_units_add_to_the_total(name: str, node: str) -> None:
    area = tile_area(load_chip(name), load_process(node))
    for end in ("low", "base", "high"):
        parts = sum(getattr(unit, end) for unit in area.units.values())
        assert parts == pytest.approx(getattr(area.total, end))
    assert area.calibrated_on and area.total.low < area.total.base < area.total.high


def test_the_multiplier_array_is_counted_from_the_synthesised_element() -> None:
    """An element of a multiplier, a 32-bit adder and 56 flip-flops is 1,095 gates of 4."""
    mx = inventory(replace(E256, mu=4, nu=4, ku=4), OWN)["mx"].transistors.base
    double = inventory(replace(E256, mu=8, nu=4, ku=4), OWN)["mx"].transistors.base
    multipliers = 64 * (1095 * 4 - 32 * 28 - 56 * 24)
    assert double - mx > multipliers


def test_scratchpad_of_large_macros_has_the_density_of_the_node() -> None:
    macros = Memory(Range.exact(8), 8 * 32 * 1024)
    area = memory_area(macros, NODE, OWN)
    density = NODE.sram_density.base * OWN["sram_fill"].base
    assert area.base == pytest.approx(8 * 32 * 1024 / density)


def test_smaller_macros_are_less_dense() -> None:
    areas = [
        memory_area(Memory(Range.exact(n), 8 * (1 << 20) / n), NODE, OWN).base for n in (8, 64, 512)
    ]
    assert areas == sorted(areas) and areas[0] < areas[-1]


@given(st.sampled_from(["acc_rows", "weight_file_lines", "queue_depth", "dram_bursts_in_flight"]))
def test_a_larger_unit_takes_more_area(field: str) -> None:
    larger = replace(E256, **{field: 2 * getattr(E256, field)})
    before, after = tile_area(E256, NODE).total, tile_area(larger, NODE).total
    assert (after.low, after.base) > (before.low, before.base)


def test_older_nodes_take_more_area() -> None:
    areas = [tile_area(E256, load_process(id)).total.base for id in ("28nm", "14nm", "7nm")]
    assert areas == sorted(areas, reverse=True)


def test_synthesis_replaces_the_model_of_a_unit() -> None:
    entry = '\n[units.mx]\nvalue = 2\nunit = "million"\nsource = "jiriki synth"\n'
    factors = parse_calibration("own", CALIBRATION_TEXT + entry + 'date = "2026-12-01"\n')
    assert inventory(E256, factors)["mx"].transistors == Range.exact(2e6)
    assert tile_area(E256, NODE, factors).counted["mx"] == "synthesis: jiriki synth"


def test_synthesis_of_an_unknown_unit_is_refused() -> None:
    entry = '\n[units.npu]\nvalue = 2\nunit = "1"\nsource = "x"\ndate = "2026-12-01"\n'
    factors = parse_calibration("own", CALIBRATION_TEXT + entry)
    with pytest.raises(CostError, match="unit 'npu' is no unit of a tile; use one of mx"):
        inventory(E256, factors)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("low = 1003", "low = 9003", "do not ascend"),
        ("[fit]\n", '[fit]\nmood = { value = 1, unit = "1" }\n', "unknown key 'mood'"),
        ("[cells]", "[cell]", "unknown key 'cell'"),
        ('unit = "KiB"', 'unit = "mm2"', "no measure of byte"),
        ("date = 2026-11-25\ncal", "date = 5\ncal", "is not a date"),
        ("[cells]", "[cells", "not valid TOML"),
    ],
)
def test_broken_calibration_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in CALIBRATION_TEXT
    path = tmp_path / "own.toml"
    path.write_text(CALIBRATION_TEXT.replace(old, new, 1), "utf-8")
    with pytest.raises(FactError, match=message):
        load_calibration(path)


def test_missing_calibration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FactError, match="name a readable file"):
        load_calibration(tmp_path / "none.toml")


def test_a_die_is_its_tiles_and_more() -> None:
    for plan in load_designs().values():
        die, tile = die_area(plan), tile_area(plan.chip, plan.node).total.base
        built = plan.tiles_per_die + plan.spare_tiles_per_die
        assert die.units["tiles"].base == pytest.approx(built * tile)
        assert die.total.base > built * tile


def test_area_of_held_out_chips_is_within_the_goal_in_the_median() -> None:
    rows = [row for row in comparisons() if row.quantity == "area_mm2" and not row.calibration]
    assert len(rows) >= 4 and median_error(rows) <= 0.25


def test_power_of_held_out_chips_is_within_the_goal_in_the_median() -> None:
    rows = [row for row in comparisons() if row.quantity == "power_w" and not row.calibration]
    assert len(rows) >= 4 and median_error(rows) <= 0.30


def test_large_errors_are_explained() -> None:
    large = [row for row in comparisons() if abs(row.error) > 0.25]
    assert large and [row.chip for row in large if not row.note] == []


def test_published_values_lie_in_the_predicted_range_but_for_one() -> None:
    outside = [(row.chip, row.quantity) for row in comparisons() if not row.inside]
    assert outside == [("H100", "power_w")]
