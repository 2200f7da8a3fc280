"""The efficiencies are the fit they claim to be, and the errors on what they never saw."""

from __future__ import annotations

from dataclasses import fields

import pytest

from jiriki.predict import load_efficiencies, load_results, load_workload
from jiriki.predict.calibrate import PARAMETERS, checks, fit, median_error
from jiriki.predict.published import parse_results
from jiriki.products.errors import FactError

FOUND = checks()


def test_stored_efficiencies_are_the_fit() -> None:
    """With the stored hiding time; `bench.compare_validation --fit` tries the others too."""
    stored = load_efficiencies()
    fitted = fit((stored.hide_s * 1e6,))
    assert len(fitted) > len(PARAMETERS)
    assert {path: stored_value(path) for path in fitted} == pytest.approx(fitted, rel=0.02)


def stored_value(path: tuple[str, ...]) -> float:
    """Return what is stored, read through the same objects that the engine uses."""
    all_ = load_efficiencies()
    if path[0] == "sdxl":
        return load_workload("sdxl").phases[0].layers[0].activations
    if path[0] == "class":
        efficiency, name = all_.classes[path[1]], path[-1]
        if path[2] == "work":
            return {work.value: factor for work, factor in efficiency.work.items()}[name]
        if name == "launch_us":
            return efficiency.launch_s * 1e6
        if name == "energy_pj_per_op":
            return efficiency.energy_j_per_op * 1e12
        return getattr(efficiency, name)
    if path[1] in ("work", "server"):
        return {w.value: factor for w, factor in getattr(all_, path[1]).items()}[path[2]]
    scales = {"request_ms": ("request_s", 1e3), "hide_us": ("hide_s", 1e6)}
    name, scale = scales.get(path[1], (path[1], 1.0))
    return getattr(all_, name) * scale


def test_entries_far_outnumber_parameters() -> None:
    calibration = [result for result in load_results() if result.calibration]
    assert len(calibration) >= 2 * len(PARAMETERS)
    assert len(load_results()) >= 4 * len(calibration)


def test_median_error_on_held_out_entries_is_at_most_20_percent() -> None:
    assert median_error(FOUND, calibration=False) <= 0.20


@pytest.mark.parametrize("workload", ["resnet50", "bert-large", "llama-2-70b"])
def test_each_named_workload_keeps_it_too(workload: str) -> None:
    own = [check for check in FOUND if check.result.workload == workload]
    assert median_error(own, calibration=False) <= 0.20


def test_four_of_five_held_out_entries_lie_in_their_range() -> None:
    held = [check for check in FOUND if not check.result.calibration]
    assert sum(check.in_range for check in held) / len(held) >= 0.75


def test_no_chip_of_several_has_a_number_of_its_own() -> None:
    for efficiency in load_efficiencies().classes.values():
        named = [
            f.name for f in fields(efficiency) if isinstance(getattr(efficiency, f.name), dict)
        ]
        assert named == ["work"], "a class has numbers for kinds of work, none for chips"


@pytest.mark.parametrize(
    ("workload", "chip", "mode", "per_s"),
    [  # as the tables of the benchmark have them
        ("resnet50", "hanguang-800", "offline", 69306.6),
        ("resnet50", "h200", "offline", 96029),
        ("bert-large", "h100", "offline", 9110),
        ("llama-2-70b", "b200", "server", 12701.4),
        ("llama-3.1-405b", "b300", "offline", 223.7),
        ("whisper-large-v3", "l4", "offline", 349.25),
        ("sdxl", "tpu-v6e", "server", 1.1225),
    ],
)
def test_published_entry_is_as_published(workload: str, chip: str, mode: str, per_s: float) -> None:
    values = [r.per_s for r in load_results(workload) if (r.chip, r.mode) == (chip, mode)]
    assert per_s in values


ENTRY = """[sources]
"round" = "somewhere"
[[result]]
chip = "h100"
mode = "offline"
per_s = 1.0
unit = "images/s"
weights = "int8"
round = "round"
calibration = false
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("per_s = 1.0", "per_s = -1.0", "per_s = -1 must be finite and not negative"),
        ('unit = "images/s"', 'unit = "tokens/s"', "unit = 'tokens/s'; choose images/s"),
        ('unit = "images/s"\n', "", "entry 1: unit is missing"),
        ('mode = "offline"', 'mode = "burst"', "mode = 'burst'"),
        ('round = "round"\ncal', 'round = "other"\ncal', "round 'other' has no entry in"),
        ("per_s = 1.0", "per_s = 1.0\nwatts = 3", "unknown key 'watts'"),
        ("[sources]", "[sources", "not valid TOML"),
    ],
)
def test_broken_entry_says_what_is_wrong(old: str, new: str, message: str) -> None:
    assert len(parse_results("resnet50", ENTRY)) == 1
    with pytest.raises(FactError, match=message):
        parse_results("resnet50", ENTRY.replace(old, new))
