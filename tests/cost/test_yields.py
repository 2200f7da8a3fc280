"""Ranges, yield and dies a wafer: published anchors, and properties that must hold everywhere."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiriki.cost.errors import CostError
from jiriki.cost.price import die_cost
from jiriki.cost.process import load_process
from jiriki.cost.yields import YieldModel, die_yield, dies_per_wafer, repaired_yield
from jiriki.products.errors import FactError
from jiriki.products.range import Range, vary

MODELS = st.sampled_from(YieldModel)
AREAS = st.floats(1, 1500)
DEFECTS = st.floats(0, 0.02)  # a mm2
ORDERED = st.lists(st.floats(1e-3, 1e6), min_size=3, max_size=3).map(lambda x: Range(*sorted(x)))


@pytest.mark.parametrize(
    ("area", "percent"), [(100, 82), (200, 68), (300, 57), (400, 47), (666, 31)]
)
def test_murphy_at_one_defect_in_five_square_centimetres(area: float, percent: int) -> None:
    assert round(100 * die_yield(area, 0.002, YieldModel.MURPHY)) in (percent, percent - 1)


@pytest.mark.parametrize(
    ("model", "defects_per_cm2"),
    [
        (YieldModel.POISSON, 0.24),
        (YieldModel.MURPHY, 0.29),
        (YieldModel.NEGATIVE_BINOMIAL, 0.32),
    ],
)
def test_densities_that_explain_a_yield_of_20_percent(
    model: YieldModel, defects_per_cm2: float
) -> None:
    assert die_yield(665.6, defects_per_cm2 / 100, model) == pytest.approx(0.20, abs=0.011)


def test_dies_of_the_ascend_910b_on_a_wafer() -> None:
    assert dies_per_wafer(665.6) == pytest.approx(80, abs=1)  # 78 are reported


def test_cost_of_published_examples() -> None:
    """666 mm2 at 30 % on a wafer of 13,500 USD costs 563 USD."""
    assert 13500 / (dies_per_wafer(665.6) * 0.30) == pytest.approx(563, rel=0.01)


@given(AREAS, AREAS, DEFECTS, MODELS)
def test_yield_is_a_share_and_falls_with_area(
    first: float, second: float, defects: float, model: YieldModel
) -> None:
    small, large = sorted((first, second))
    assert 0 < die_yield(large, defects, model) <= die_yield(small, defects, model) <= 1


@given(AREAS, DEFECTS, DEFECTS, MODELS)
def test_yield_falls_with_defects(
    area: float, first: float, second: float, model: YieldModel
) -> None:
    few, many = sorted((first, second))
    assert die_yield(area, many, model) <= die_yield(area, few, model)


@given(st.floats(0.1, 40), st.integers(1, 64), st.integers(0, 6), DEFECTS, MODELS)
def test_a_spare_tile_never_lowers_the_share_with_enough_tiles(
    tile: float, tiles: int, spare: int, defects: float, model: YieldModel
) -> None:
    without = repaired_yield(tile, tiles, spare, 0.0, defects, model)
    assert without - 1e-9 <= repaired_yield(tile, tiles, spare + 1, 0.0, defects, model) <= 1


@given(
    st.floats(0.1, 40), st.integers(1, 104), st.integers(0, 6), st.floats(0, 300), DEFECTS, MODELS
)
def test_repair_never_yields_less_than_the_same_silicon_without(
    tile: float, tiles: int, spare: int, rest: float, defects: float, model: YieldModel
) -> None:
    whole = die_yield(tile * (tiles + spare) + rest, defects, model)
    repaired = repaired_yield(tile, tiles, spare, rest, defects, model)
    assert repaired >= whole - 1e-9


@given(st.floats(0.1, 40), st.integers(1, 104), st.floats(0, 300), DEFECTS, MODELS)
def test_without_spares_repair_is_the_yield_of_the_whole_die(
    tile: float, tiles: int, rest: float, defects: float, model: YieldModel
) -> None:
    whole = die_yield(tile * tiles + rest, defects, model)
    assert repaired_yield(tile, tiles, 0, rest, defects, model) == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("model", YieldModel)
def test_one_spare_of_two_tiles_by_hand(model: YieldModel) -> None:
    """At least one of two good: Y(t) + Y(t) - Y(2 t), each with the rest; true of every law."""
    tile, rest, defects = 100.0, 50.0, 0.01
    by_hand = 2 * die_yield(tile + rest, defects, model) - die_yield(
        2 * tile + rest, defects, model
    )
    assert repaired_yield(tile, 1, 1, rest, defects, model) == pytest.approx(by_hand, abs=1e-9)


def test_clustered_defects_spare_less_than_independent_ones() -> None:
    """Tiles of one die fail together: less is repaired than if each failed by itself."""
    tile = die_yield(100, 0.01, YieldModel.NEGATIVE_BINOMIAL)
    apart = 1 - (1 - tile) ** 2
    assert repaired_yield(100, 1, 1, 0, 0.01, YieldModel.NEGATIVE_BINOMIAL) < apart


def test_repair_by_hand() -> None:
    """Two tiles of which one must work, at 100 mm2 and 0.01 defects a mm2: 1 - (1 - 1/e)^2."""
    share = repaired_yield(100, 1, 1, 0, 0.01, YieldModel.POISSON)
    assert share == pytest.approx(1 - (1 - math.exp(-1)) ** 2)


@given(AREAS, AREAS, MODELS, st.sampled_from(["28nm", "14nm", "7nm", "smic-n2"]))
def test_cost_never_falls_when_area_grows(
    first: float, second: float, model: YieldModel, node: str
) -> None:
    small, large = (Range.exact(area) for area in sorted((first, second)))
    cheap = die_cost(small, load_process(node), model).cost
    dear = die_cost(large, load_process(node), model).cost
    for end in ("low", "base", "high"):
        assert getattr(dear, end) >= getattr(cheap, end) * (1 - 1e-9)


@given(ORDERED, ORDERED)
def test_ranges_stay_in_order_and_combine_their_bases(first: Range, second: Range) -> None:
    total, product, quotient = first + second, first * second, first / second
    assert total.base == first.base + second.base
    assert product.base == pytest.approx(first.base * second.base)
    assert quotient.base == pytest.approx(first.base / second.base)
    assert product.low >= first.low * second.low * (1 - 1e-9)
    assert product.high <= first.high * second.high * (1 + 1e-9)


@given(ORDERED, ORDERED)
def test_varying_a_product_is_multiplying_ranges(first: Range, second: Range) -> None:
    varied, product = vary(lambda a, b: a * b, first, second), first * second
    for end in ("low", "base", "high"):
        assert getattr(varied, end) == pytest.approx(getattr(product, end))


@pytest.mark.parametrize("ends", [(2, 1, 3), (-1, 0, 1), (0, 1, 2), (1, 2, math.inf)])
def test_bad_range_is_refused(ends: tuple[float, float, float]) -> None:
    with pytest.raises(FactError, match="range"):
        Range(*ends)


def test_impossible_dies_are_refused() -> None:
    with pytest.raises(CostError, match="must be positive"):
        dies_per_wafer(0)
    with pytest.raises(CostError, match="does not fit a wafer"):
        dies_per_wafer(60_000)
    with pytest.raises(CostError, match="neither may be negative"):
        die_yield(-1, 0.1, YieldModel.MURPHY)
    with pytest.raises(CostError, match="at least one tile"):
        repaired_yield(1, 0, 0, 1, 0.1, YieldModel.MURPHY)
