"""Nodes: their figures, both scalings of energy against published ratios, refusals."""

from __future__ import annotations

import pytest

from jiriki.cost import scaling
from jiriki.cost.process import Process, Scaling, energies, parse_process, process, process_ids
from jiriki.products.errors import CostError

NODES = [process(id) for id in process_ids()]


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


@pytest.mark.parametrize("operation", energies("nm45"))
def test_measured_scaling_meets_both_measurements(operation: str) -> None:
    old, new = energies("nm45")[operation].base, energies("nm7")[operation].base
    assert scaling.measured(old, new, 45) == pytest.approx(old)
    assert scaling.measured(old, new, 7) == pytest.approx(new)


def test_optimistic_energy_is_below_the_default() -> None:
    default, optimistic = process("14nm"), process("14nm", Scaling.OPTIMISTIC)
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
    old, middle, new = (process(id) for id in ("28nm", "14nm", "7nm"))
    for name in ("logic_density", "sram_density", "wafer_price", "mask_set"):
        values = [getattr(node, name).base for node in (old, middle, new)]
        assert values == sorted(values)


def test_only_28_nm_is_planar() -> None:
    assert [node.id for node in NODES if node.planar] == ["28nm"]


def test_sram_energy_is_that_of_the_published_sizes() -> None:
    node = process("7nm")
    for size, picojoule in ((8 << 10, 7.5), (32 << 10, 8.5), (1 << 20, 14)):
        assert node.sram_energy(size).base * 8e12 == pytest.approx(picojoule)
    assert node.sram_energy(1).base == node.sram_energy(8 << 10).base


def test_a_product_s_name_of_a_node_finds_it() -> None:
    assert process("tsmc-12").id == "12nm"
    assert process("smic-n+2").id == "smic-n2"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"wafer_price": {"value": 1, "unit": "mm2", "source": "x", "date": "2020-01-01"}}, "USD"),
        ({"planar": "yes"}, "planar = 'yes' is not a bool"),
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"voltage": {"value": -1, "unit": "V", "source": "x", "date": "2020-01-01"}}, "negative"),
        ({"voltage": {"value": 1, "source": "x", "date": "2020-01-01"}}, "unit is missing"),
    ],
)
def test_broken_node_is_refused(change: dict[str, object], said: str) -> None:
    from jiriki.cost.process import _table

    with pytest.raises(CostError, match=f"process 14nm.*{said}"):
        parse_process("14nm", {**_table("14nm"), **change}, Scaling.DEFAULT)


def test_unknown_node_lists_the_known() -> None:
    with pytest.raises(CostError, match="process '3nm' is not known; choose 28nm, 14nm"):
        process("3nm")


def test_unknown_operation_lists_the_known() -> None:
    with pytest.raises(CostError, match="operation 'fp64_mul' has no energy; known are fp16_add"):
        process("7nm").energy("fp64_mul")
