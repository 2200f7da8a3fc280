"""What the compiler asks of a chip and of a layer is said before anything is planned."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.chip import ChipConfig, chip_names, load_chip
from jiriki.compiler import compile_graph
from jiriki.graph.evaluate import evaluate
from jiriki.graph.graph import Graph
from jiriki.program.check import check
from jiriki.sim.functional import FunctionalEngine
from jiriki.tiling.errors import TileError
from jiriki.tiling.requirements import check_requirements, least_acc_rows
from tests.agree.networks import NetworkBuilder
from tests.chip.cases import chip_with


def small_conv(inputs: int = 4, kernel: tuple[int, int] = (3, 3)) -> Graph:
    b = NetworkBuilder(1, (1, inputs, 6, 6))
    return b.graph(b.conv("x", 5, kernel))


def runs_right(graph: Graph, chip: ChipConfig) -> None:
    program = compile_graph(graph, chip)
    check(program, chip)
    x = np.random.default_rng(2).normal(size=graph.inputs[0].shape).astype(np.float32) * 3
    outputs = FunctionalEngine(chip).run(program, {"x": x}).outputs
    assert outputs is not None
    for name, value in evaluate(graph, {"x": x}).items():
        np.testing.assert_array_equal(outputs[name], value)


@pytest.mark.parametrize("name", chip_names())
def test_the_chips_of_the_catalogue_have_what_it_takes(name: str) -> None:
    check_requirements(load_chip(name))


def test_a_scratchpad_that_holds_no_work_is_refused() -> None:
    small = chip_with(scratchpad_bytes=2048)
    with pytest.raises(TileError, match="chip nano: scratchpad_bytes = 2048 is less than 4096"):
        compile_graph(small_conv(), small)


def test_accumulators_of_less_than_four_register_tiles_are_refused() -> None:
    nano = chip_with()
    assert least_acc_rows(nano) == 16  # four tiles of 4 x 4 values, each 2 rows of 8, aligned to 4
    with pytest.raises(TileError, match="chip nano: acc_rows = 15 is less than 16"):
        compile_graph(small_conv(), chip_with(acc_rows=15))


def test_accumulators_of_four_register_tiles_are_enough() -> None:
    runs_right(small_conv(), chip_with(acc_rows=16))


def test_a_kernel_over_more_channels_than_one_conv_sums_is_refused_by_its_rule() -> None:
    """nano's words hold 4 channels: 1023 groups are 4092 channels."""
    with pytest.raises(TileError, match="3x3 over 4096 input channels exceeds 4092"):
        compile_graph(small_conv(4093), load_chip("nano"))


def test_a_depthwise_conv_that_fits_in_no_other_way_is_planned_as_a_grouped_one() -> None:
    """One output row of 40 pixels exceeds what half the accumulators hold at once."""
    b = NetworkBuilder(6, (1, 8, 5, 40))
    runs_right(b.graph(b.conv("x", 8, (3, 3), group=8)), chip_with(acc_rows=16))
