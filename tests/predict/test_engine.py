"""The analytic engine: what must hold for any chip, limits that a hand can check, bad input."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jiriki.predict import MODES, load_accelerator, load_workload, predict, workload_ids
from jiriki.predict.engine import choose_format
from jiriki.predict.errors import PredictError
from jiriki.products.errors import FactError
from jiriki.products.figure import Figure
from jiriki.products.product import Product, load_product, load_products

WORKLOADS = [load_workload(id) for id in workload_ids()]


def scaled(chip: Product, peak: float = 1, bandwidth: float = 1) -> Product:
    """The chip with its peaks and memory bandwidth multiplied."""
    return replace(
        chip,
        peak={name: times(figure, peak) for name, figure in chip.peak.items()},
        dram_bandwidth=chip.dram_bandwidth and times(chip.dram_bandwidth, bandwidth),
    )


def times(figure: Figure, factor: float) -> Figure:
    return figure.scaled(factor, figure.unit, "test")


@given(st.sampled_from(WORKLOADS), st.sampled_from(MODES), st.floats(1, 4))
@settings(max_examples=60, deadline=None)
def test_more_bandwidth_is_never_slower(workload, mode, factor) -> None:
    before = predict(workload, load_product("h200"), mode)
    after = predict(workload, scaled(load_product("h200"), bandwidth=factor), mode)
    assert after.per_s[1] >= before.per_s[1] * (1 - 1e-9)


@given(st.sampled_from(WORKLOADS), st.sampled_from(load_products()))
@settings(max_examples=80, deadline=None)
def test_no_chip_is_predicted_above_its_peak(workload, chip) -> None:
    try:
        prediction = predict(workload, chip)
    except PredictError:
        return
    low, base, high = prediction.per_s
    assert 0 < low <= base <= high
    assert 0 < prediction.utilisation < 1
    assert prediction.latency_s > 0 and prediction.batch >= 1


def test_larger_batch_serves_more_tokens_and_makes_each_wait_longer() -> None:
    llama = load_workload("llama-3.1-8b")
    few, many = (predict(llama, load_product("h200"), batch=n) for n in (8, 64))
    assert many.per_s[1] > few.per_s[1] and many.latency_s > few.latency_s


def test_one_answer_at_a_time_is_bound_by_reading_the_weights() -> None:
    prediction = predict(load_workload("llama-3.1-8b"), load_product("h200"), "single", chips=1)
    bandwidth_bound = 4.8e12 / 8.03e9  # bytes a second / bytes of 8-bit weights
    assert prediction.batch == 1
    assert 0.4 * bandwidth_bound < prediction.per_s[1] < bandwidth_bound


def test_longer_context_gives_fewer_tokens_a_second() -> None:
    rates = [
        predict(load_workload("llama-3.1-8b", context), load_product("h20")).per_s[1]
        for context in (500, 2000, 8000)
    ]
    assert rates == sorted(rates, reverse=True)


def test_server_serves_less_than_offline() -> None:
    for workload in WORKLOADS:
        offline, server = (
            predict(workload, load_product("h200"), m) for m in ("offline", "server")
        )
        assert server.per_s[1] <= offline.per_s[1]


def test_model_too_large_for_one_chip_takes_a_group() -> None:
    assert predict(load_workload("llama-2-70b"), load_product("h100")).chips == 2
    large = load_workload("llama-3.1-405b")
    assert predict(large, load_product("h200")).chips in (
        4,
        8,
    )  # 406 GB / (0.9 x 141 GB) is above 3
    assert predict(large, load_product("h100")).chips == 8  # and / (0.9 x 80 GB) above 5


def test_hanguang_cannot_hold_a_language_model() -> None:
    rule = r"takes 69 GB of weights, 400 chips' memory \(rule: 90% of 0.192 GB a chip"
    with pytest.raises(PredictError, match=rule):
        predict(load_workload("llama-2-70b"), load_product("hanguang-800"))


def test_too_few_chips_are_refused_with_the_number_that_hold_it() -> None:
    with pytest.raises(PredictError, match=r"2 chips do not hold it .* take 4"):
        predict(load_workload("llama-3.1-405b"), load_product("h200"), chips=2)


def test_batch_beyond_the_cache_says_how_many_fit() -> None:
    with pytest.raises(PredictError, match=r"batch = 5000 of llama-2-70b exceeds \d+"):
        predict(load_workload("llama-2-70b"), load_product("h200"), batch=5000, chips=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "burst"}, "mode 'burst' is not known"),
        ({"batch": -1}, "batch = -1 must be at least 1"),
        ({"chips": 0}, "chips = 0 must be at least 1"),
        ({"weights_format": "fp4"}, "no peak in fp4 is published; choose"),
    ],
)
def test_bad_argument_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(PredictError, match=message):
        predict(load_workload("resnet50"), load_product("h100"), **arguments)


def test_chip_without_a_fitting_format_is_refused() -> None:
    with pytest.raises(PredictError, match="keeps its accuracy in fp16"):
        choose_format(load_workload("whisper-large-v3"), load_product("hanguang-800"))


def test_unpublished_bandwidth_is_assumed_and_said() -> None:
    prediction = predict(load_workload("llama-2-70b"), load_product("zhenwu-810e"))
    assert "as 6 chips with hbm2e have it" in prediction.assumed[0]
    assert prediction.per_s[2] > prediction.per_s[1] > prediction.per_s[0]


def test_every_chip_of_the_catalogue_has_a_class() -> None:
    for chip in load_products():
        if chip.peak.keys() & {"int8", "fp8", "fp16"}:
            assert predict(load_workload("resnet50"), chip).calibrated_on


def test_chip_outside_all_classes_is_named() -> None:
    stranger = replace(load_product("h100"), id="stranger")
    with pytest.raises(PredictError, match="chip stranger: no architecture class names it"):
        predict(load_workload("resnet50"), stranger)


def test_accelerator_outside_the_catalogue_is_found() -> None:
    assert load_accelerator("t4").dram_kind == "gddr6"
    with pytest.raises(FactError, match="chip 't5' is not in the catalogue"):
        load_accelerator("t5")


def test_a_prediction_takes_far_less_than_50_ms() -> None:
    predict(load_workload("llama-2-70b"), load_product("h20"))
    began = perf_counter()
    for _ in range(20):
        predict(load_workload("llama-2-70b"), load_product("h20"))
    assert (perf_counter() - began) / 20 < 0.05
