"""Energy of a run: what instructions count by hand, and properties of the sum."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiriki.chip import load_chip
from jiriki.cost.activity import Activity, activity, of_operation
from jiriki.cost.calibration import load_calibration
from jiriki.cost.energy import PARTS, EnergyEstimate, dynamic_energy, event_energies, run_energy
from jiriki.cost.errors import CostError
from jiriki.cost.process import Scaling, load_process
from jiriki.isa.matrix.operations import GemmOp, GemvOp, LdwOp
from jiriki.products.errors import FactError
from jiriki.products.range import Range
from jiriki.program import Program, Run
from jiriki.sim.timing import TimingEngine
from tests.report.programs import loads_and_stores

NANO, E256 = load_chip("nano"), load_chip("e256")
PROGRAM = loads_and_stores()
NODE = load_process("14nm")
COSTS = event_energies(E256, NODE, load_calibration())
NAMES = [field.name for field in fields(Activity)]
COUNTS = st.builds(Activity, **{name: st.integers(0, 10**9) for name in NAMES})
GEMM = GemmOp(0, 20, 6, 0, 3, 0, False, False, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def run() -> Run:
    return TimingEngine(NANO).run(PROGRAM)


@pytest.fixture(scope="module")
def estimate(run: Run) -> EnergyEstimate:
    return run_energy(PROGRAM, run, NANO, NODE)


def test_a_matrix_product_by_hand() -> None:
    """20 rows are 3 tiles of 8, times 3 tiles of n, times 6 steps of 8x8x4: 54 steps."""
    events = of_operation(GEMM, E256)
    assert events.array_macs == 54 * 256
    assert events.sum_updates == 54 * 64
    assert events.scratchpad_read == 54 * (8 * 4 + 8 * 4)
    assert (events.accumulator_read, events.accumulator_write) == (0, 9 * 64 * 4)


def test_four_bit_weights_halve_their_reads_and_accumulating_reads_back() -> None:
    events = of_operation(replace(GEMM, w4=True, accumulate=True), E256)
    assert events.scratchpad_read == 54 * (8 * 4 + 8 * 2)
    assert events.accumulator_read == events.accumulator_write


def test_a_matrix_vector_product_uses_two_lines_a_step() -> None:
    events = of_operation(GemvOp(0, 10, 4, 0, 0, False, False), E256)
    assert events.array_macs == 2 * 10 * 2 * 32
    assert events.scratchpad_read == 2 * 10 * 2 * 32


def test_loading_weights_reads_lines() -> None:
    assert of_operation(LdwOp(0, 5), E256).scratchpad_read == 5 * 32


def test_copies_move_their_bytes() -> None:
    counts = activity(PROGRAM, NANO)
    total = counts.total
    assert (total.scratchpad_write, total.scratchpad_read, total.dma_bytes) == (1536, 1536, 3072)
    assert (total.macs, total.instructions) == (1000, 5)
    assert [layer.dma_bytes for layer in counts.layers.values()] == [2048, 1024]


def test_parts_add_to_the_total(estimate: EnergyEstimate) -> None:
    for end in ("low", "base", "high"):
        parts = sum(getattr(part, end) for part in estimate.parts.values())
        assert parts == pytest.approx(getattr(estimate.total, end))
    assert estimate.calibrated_on


def test_power_is_energy_over_time(run: Run, estimate: EnergyEstimate) -> None:
    assert run.cycles
    assert estimate.power.base == pytest.approx(estimate.total.base * 1e9 / run.cycles)


def test_dram_energy_is_bytes_on_the_port(run: Run, estimate: EnergyEstimate) -> None:
    assert run.dram_read_bytes and run.dram_write_bytes
    bits = 8 * (run.dram_read_bytes + run.dram_write_bytes)
    assert estimate.parts["dram"].base == pytest.approx(bits * 5e-12)  # LPDDR5X, 5 pJ a bit


def test_layers_with_spans_add_to_the_total(run: Run) -> None:
    spans = dict.fromkeys(activity(PROGRAM, NANO).layers, 10)
    energy = run_energy(PROGRAM, replace(run, layer_cycles=spans), NANO, NODE)
    assert sum(layer.base for layer in energy.layers.values()) == pytest.approx(energy.total.base)


@given(COUNTS, st.integers(1, 1000))
def test_energy_is_linear_in_the_counters(counts: Activity, times: int) -> None:
    once = Range.total(dynamic_energy(counts, COSTS).values())
    often = Range.total(dynamic_energy(counts.times(times), COSTS).values())
    assert often.base == pytest.approx(times * once.base)


@given(COUNTS, COUNTS)
def test_energy_of_a_sum_is_the_sum(first: Activity, second: Activity) -> None:
    total = sum(Range.total(dynamic_energy(x, COSTS).values()).base for x in (first, second))
    joint = Range.total(dynamic_energy(first + second, COSTS).values()).base
    assert joint == pytest.approx(total)


@pytest.mark.parametrize("name", PARTS)
def test_every_counter_costs_something(name: str) -> None:
    events = replace(Activity(), **{name: 1})
    assert Range.total(dynamic_energy(events, COSTS).values()).low > 0


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_time_and_traffic_never_lower_the_energy(cycles: int, more: int) -> None:
    run = Run("timing", "", cycles=cycles, dram_read_bytes=64, dram_write_bytes=0)
    longer = replace(run, cycles=cycles + more, dram_read_bytes=64 + more)
    first = run_energy(PROGRAM, run, NANO, NODE, counts=activity(PROGRAM, NANO))
    second = run_energy(PROGRAM, longer, NANO, NODE, counts=activity(PROGRAM, NANO))
    assert 0 < first.total.base <= second.total.base


def test_optimistic_scaling_spends_less(run: Run, estimate: EnergyEstimate) -> None:
    node = load_process("14nm", Scaling.OPTIMISTIC)
    assert run_energy(PROGRAM, run, NANO, node).total.base < estimate.total.base


def test_a_run_without_counts_is_refused() -> None:
    with pytest.raises(CostError, match="engine functional counted no cycles or no DRAM bytes"):
        run_energy(PROGRAM, Run("functional", ""), NANO, NODE)


def test_a_program_without_notes_has_no_layers(run: Run) -> None:
    bare = replace(PROGRAM, notes=())
    assert isinstance(bare, Program)
    assert run_energy(bare, run, NANO, NODE).layers == {}


def test_an_unknown_memory_is_refused(run: Run) -> None:
    with pytest.raises(FactError, match="memory 'sdram' is not known; choose ddr3"):
        run_energy(PROGRAM, run, NANO, NODE, dram_kind="sdram")
