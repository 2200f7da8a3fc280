"""Nodes: their figures, both scalings of energy against published ratios, refusals."""

from __future__ import annotations

from importlib import resources

import pytest

from jiriki.cost import scaling
from jiriki.cost.errors import CostError
from jiriki.cost.process import (
    Process,
    Scaling,
    load_energies,
    load_process,
    parse_process,
    process_ids,
)
from jiriki.cost.yields import YieldModel, die_yield
from jiriki.products.errors import FactError

NODES = [load_process(id) for id in process_ids()]


@pytest.mark.parametrize(
    ("node_nm", "volt", "ratio"),
    [(7, 0.7, 14.6), (14, 0.8, 7.3)],  # from 45 nm at 0.9 V, as the scaling paper's users quote
)
def test_optimistic_scaling_gives_the_known_ratios(
    node_nm: float, volt: float, ratio: float
) -> None:
    assert 1 / scaling.optimistic(1.0, node_nm, volt) == pytest.approx(ratio, rel=0.01)


def test_optimistic_polynomials_at_one_volt_are_sums_of_coefficients() -> None:
    assert scaling.energy_factor(32, 1.0) == pytest.approx(0.8367 - 0.4341 + 0.1701)
    assert scaling.delay_factor(45, 1.0) == pytest.approx(-501.6 + 1567 - 1619 + 566.1)


def test_28_nm_lies_between_its_neighbours() -> None:
    old, new = scaling.energy_factor(32, 0.9), scaling.energy_factor(20, 0.9)
    assert new < scaling.energy_factor(28, 0.9) < old


@pytest.mark.parametrize(("node_nm", "picojoule"), [(28, 0.15), (14, 0.10), (7, 0.07)])
def test_measured_scaling_of_an_int8_multiply(node_nm: float, picojoule: float) -> None:
    assert scaling.measured(0.2, 0.07, node_nm) == pytest.approx(picojoule, rel=0.04)


@pytest.mark.parametrize("operation", load_energies("nm45"))
def test_measured_scaling_meets_both_measurements(operation: str) -> None:
    old, new = load_energies("nm45")[operation].base, load_energies("nm7")[operation].base
    assert scaling.measured(old, new, 45) == pytest.approx(old)
    assert scaling.measured(old, new, 7) == pytest.approx(new)


def test_optimistic_energy_is_below_the_default() -> None:
    default, optimistic = load_process("14nm"), load_process("14nm", Scaling.OPTIMISTIC)
    assert optimistic.energy("int8_mul").high < default.energy("int8_mul").low


@pytest.mark.parametrize("node_nm", [5, 90])
def test_optimistic_scaling_refuses_nodes_it_was_not_fitted_to(node_nm: float) -> None:
    with pytest.raises(CostError, match=f"node {node_nm} nm is outside 7 to 65 nm"):
        scaling.energy_factor(node_nm, 0.8)


def test_optimistic_scaling_refuses_a_supply_it_was_not_fitted_to() -> None:
    with pytest.raises(CostError, match=r"supply of 2 V is outside 0.45 to 1.2 V"):
        scaling.energy_factor(14, 2.0)


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.id)
def test_every_figure_of_a_node_has_source_and_date(node: Process) -> None:
    for name in ("logic_density", "sram_density", "defect_density", "wafer_price", "mask_set"):
        figure = getattr(node, name)
        assert figure.source and figure.date and figure.low > 0


def test_newer_nodes_are_denser_and_dearer() -> None:
    old, middle, new = (load_process(id) for id in ("28nm", "14nm", "7nm"))
    for name in ("logic_density", "sram_density", "wafer_price", "mask_set"):
        values = [getattr(node, name).base for node in (old, middle, new)]
        assert values == sorted(values)


def test_only_28_nm_is_planar() -> None:
    assert [node.id for node in NODES if node.planar] == ["28nm"]


def test_sram_energy_is_that_of_the_published_sizes() -> None:
    node = load_process("7nm")
    for size, picojoule in ((8 << 10, 7.5), (32 << 10, 8.5), (1 << 20, 14)):
        assert node.sram_energy(size).base * 8e12 == pytest.approx(picojoule)
    assert node.sram_energy(1).base == node.sram_energy(8 << 10).base


def test_a_product_s_name_of_a_node_finds_it() -> None:
    assert load_process("tsmc-12").id == "12nm"
    assert load_process("smic-n+2").id == "smic-n2"


def test_domestic_7_nm_has_the_yields_that_are_reported() -> None:
    """Of dies of 665.6 mm2 not above 50 %, about 40 %, 30 % a year before."""
    density = load_process("smic-n2").defect_density
    yields = [
        die_yield(665.6, defects, YieldModel.MURPHY)
        for defects in (density.low, density.base, density.high)
    ]
    assert yields == pytest.approx([0.50, 0.40, 0.30], abs=0.01)


NODE_TEXT = (resources.files("jiriki.cost.process") / "14nm.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('base = 4200, high = 5500, unit = "USD"', 'base = 4200, high = 5500, unit = "mm2"', "USD"),
        ("planar = false", 'planar = "yes"', "planar = 'yes' is not true or false"),
        ("planar = false", "planar = false\ncolour = 1", "unknown key 'colour'"),
        ("node_nm = 14.0", "node_nm = inf", "node_nm = inf must be finite"),
        ("node_nm = 14.0", "node_nm = 0", "node_nm = 0 must be above 0"),
        ("planar = false", "planar = false\nplanar = false", "not valid TOML"),
    ],
)
def test_broken_node_is_refused(old: str, new: str, message: str) -> None:
    assert old in NODE_TEXT
    with pytest.raises(FactError, match=f"process 14nm.*{message}"):
        parse_process("14nm", NODE_TEXT.replace(old, new, 1))


def test_unknown_node_lists_the_known() -> None:
    with pytest.raises(FactError, match="process '3nm' is not known; choose 28nm, 14nm"):
        load_process("3nm")


def test_unknown_operation_lists_the_known() -> None:
    with pytest.raises(FactError, match="operation 'fp64_mul' has no energy; known are fp16_add"):
        load_process("7nm").energy("fp64_mul")
