"""Our chips of many tiles: one tile by the simulator, shared memory by arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.graph import DType, Graph, Node, Port, TensorType
from jiriki.plan.compare.own_chips import (
    LEFT_OUT,
    TileRun,
    expect,
    load_run,
    measure,
    predict_tiles,
    to_toml,
)
from jiriki.plan.errors import PlanError
from jiriki.predict import load_efficiencies, load_workload, predict
from jiriki.products.product import Product, load_product, load_products
from jiriki.sim.timing import TimingEngine

OURS = [chip for chip in load_products() if chip.ours]
RUN = TileRun("resnet50", "e1024", "hash", 1_000_000, 40_000_000, 10_000_000, 20_000_000)


def chip_of(tiles: int, bandwidth: float | None) -> Product:
    """A chip of that many tiles e1024 at 1 GHz with that memory bandwidth in byte/s."""
    like = next(chip for chip in OURS if chip.dram_bandwidth and chip.clock)
    assert like.dram_bandwidth and like.clock
    figure = like.dram_bandwidth
    return replace(
        like,
        tile="e1024",
        tiles=tiles,
        clock=replace(like.clock, low=1e9, base=1e9, high=1e9),
        dram_bandwidth=bandwidth and replace(figure, low=bandwidth, base=bandwidth, high=bandwidth),
    )


def test_tiles_with_memory_enough_work_side_by_side() -> None:
    prediction = predict_tiles(load_workload("resnet50"), chip_of(10, 1e13), RUN)
    assert prediction.per_s == pytest.approx((10_000 * (1 - LEFT_OUT), 10_000, 10_000))
    assert (prediction.latency_s, prediction.bound, prediction.batch) == (
        pytest.approx(1e-3),
        "compute",
        10,
    )


def test_shared_memory_stretches_a_sample_by_what_is_asked_of_it() -> None:
    """16 tiles ask 16e3 x (30 + 20 / sharing) MB a second of 0.9 x 400 GB/s."""
    prediction = predict_tiles(load_workload("resnet50"), chip_of(16, 400e9), RUN)
    asked = [16e3 * (30e6 + 20e6 / sharing) for sharing in (1, 4, 16)]
    slow = [bytes_per_s / (0.9 * 400e9) for bytes_per_s in asked]
    expected = [16e3 / factor for factor in slow]
    expected[0] *= 1 - LEFT_OUT
    assert prediction.per_s == pytest.approx(tuple(expected))
    assert prediction.bound == "memory"
    assert prediction.latency_s == pytest.approx(1e-3 * slow[1])


def test_one_sample_at_a_time_keeps_one_tile_busy() -> None:
    prediction = predict_tiles(load_workload("resnet50"), chip_of(16, 400e9), RUN, "single")
    assert (prediction.batch, prediction.per_s[1]) == (1, pytest.approx(1000))


def test_measuring_compiles_and_counts_one_tile() -> None:
    run = measure("small", gemm(64, 64, 64), load_chip("e1024"))
    assert run.cycles > 64**3 / 1024
    assert run.read_bytes >= 64 * 64 * 2 and run.written_bytes >= 64 * 64
    assert 64 * 64 <= run.weight_bytes <= run.read_bytes


def test_efficiency_of_tiles_is_that_of_a_gemm_on_each_of_our_tiles() -> None:
    stated = 1 / load_efficiencies().classes["tiles"].issue
    used = [gemm_share(name, *size) for name in tile_names() for size in SIZES]
    assert min(used) == pytest.approx(stated, abs=0.03)


SIZES = ((512, 1024, 1024), (1024, 1024, 512))


def tile_names() -> list[str]:
    return sorted({chip.tile for chip in OURS if chip.tile})


def gemm_share(tile: str, m: int, k: int, n: int) -> float:
    chip = load_chip(tile)
    cycles = TimingEngine(chip).run(compile_graph(gemm(m, k, n), chip)).cycles
    assert cycles
    return m * k * n / (cycles * chip.macs_per_cycle)


def gemm(m: int, k: int, n: int) -> Graph:
    """[m, k] int8 times a constant [k, n]."""
    constants = {
        "w": np.ones((k, n), np.int8),
        "b": np.zeros(n, np.int32),
        "s": np.full(n, 1e-3, np.float32),
    }
    tensors = {name: TensorType(a.shape, DType.of(a.dtype)) for name, a in constants.items()}
    tensors |= {"x": TensorType((m, k), DType.I8), "y": TensorType((m, n), DType.I8)}
    attrs = {"a_zp": 0, "b_zp": 0, "out_zp": 0, "lo": -128, "hi": 127, "out": "i8"}
    ports = [Port(name, "int8", tensors[name].shape, None, 0) for name in ("x", "y")]
    node = Node("matmul", "mm", ("x", "w", "b", "s"), ("y",), attrs, "mm")
    return Graph("gemm", (ports[0],), (ports[1],), tensors, constants, (node,))


def test_any_chip_can_be_asked_without_compiling() -> None:
    resnet, ours = load_workload("resnet50"), OURS[0]
    assert expect(resnet, load_product("h100")) == predict(resnet, load_product("h100"))
    assert ours.tile and expect(resnet, ours).calibrated_on.startswith(
        "timing simulator" if load_run("resnet50", load_chip(ours.tile)) else "estimate"
    )


def test_language_model_on_our_tiles_says_that_it_is_an_estimate() -> None:
    prediction = predict(load_workload("llama-3.1-8b"), OURS[0])
    assert prediction.calibrated_on.startswith("estimate: int8 GEMMs")


def test_stored_run_counts_only_for_the_very_tile() -> None:
    chip = load_chip("e1024")
    changed = replace(chip, dram_latency_cycles=chip.dram_latency_cycles + 1)
    assert load_run("resnet50", changed) is None
    assert load_run("no-such-network", chip) is None


def test_stored_runs_are_written_as_they_are_read() -> None:
    assert 'tile = "e1024"\nchip_hash = "hash"\ncycles = 1000000' in to_toml([RUN])


def test_run_on_another_tile_is_refused() -> None:
    with pytest.raises(PlanError, match="a run of resnet50 on nano says nothing"):
        predict_tiles(load_workload("resnet50"), chip_of(4, 1e12), replace(RUN, tile="nano"))


def test_chip_that_is_not_ours_is_refused() -> None:
    with pytest.raises(PlanError, match="h20 is not made of our tiles"):
        predict_tiles(load_workload("resnet50"), load_product("h20"), RUN)
