"""Every rule of a chip's sizes: the least and greatest accepted value of each field, each refusal.

The bounds are those of docs/reference/isa.md: the bits of the instructions' fields.
"""

from __future__ import annotations

import re
from dataclasses import asdict, fields

import pytest

from jiriki.chip import ChipConfig, ChipError, chip_names, load_chip
from tests.chip.cases import NANO, chip_with

# field: (least, greatest, what else must change for the least, for the greatest)
BOUNDS: dict[str, tuple[int, int, dict[str, object], dict[str, object]]] = {
    "mu": (1, 256, {"vx_lanes": 4}, {"columns": 256}),
    "nu": (1, 256, {"ku": 1, "vx_lanes": 4}, {"columns": 256}),
    "ku": (1, 256, {"vx_lanes": 4}, {"nu": 256, "vx_lanes": 256, "columns": 256,
                                     "scratchpad_bytes": 1 << 18}),
    "vx_lanes": (1, 1024, {"ku": 1, "mu": 1, "nu": 1}, {"ku": 256, "nu": 256, "columns": 256,
                                                      "scratchpad_bytes": 1 << 18}),
    "scratchpad_bytes": (8, 1 << 28, {"banks": 1, "columns": 8, "ku": 1, "mu": 1, "nu": 1,
                                      "vx_lanes": 1, "dram_bytes_per_cycle": 8},
                         {"ku": 256, "nu": 256, "vx_lanes": 256, "columns": 256}),
    "banks": (1, 64, {}, {}),
    "columns": (8, 256, {}, {}),
    "acc_rows": (1, 4096, {}, {}),
    "weight_file_lines": (1, 256, {}, {}),
    "semaphores": (2, 16, {}, {}),
    "semaphore_max": (1, 65_535, {}, {}),
    "queue_depth": (1, 1024, {}, {}),
    "address_registers": (1, 32, {}, {}),
    "loop_depth": (1, 16, {}, {}),
    "clock_hz": (1, 10**12, {}, {}),
    "dram_bytes": (1, 1 << 32, {}, {}),
    "dram_bytes_per_cycle": (1, 1024, {}, {"dram_burst_bytes": 1024, "columns": 256}),
    "dram_burst_bytes": (16, 1024, {}, {}),
    "dram_latency_cycles": (1, 1 << 20, {}, {}),
    "dram_bursts_in_flight": (1, 1024, {}, {}),
    "mx_latency_cycles": (1, 1024, {}, {}),
    "vx_latency_cycles": (15, 4096, {"vx_stages": "AF"}, {}),
    "vx_contexts": (1, 64, {}, {}),
    "table_slots": (1, 16, {}, {}),
}  # fmt: skip
POWERS_OF_TWO = ["mu", "nu", "ku", "vx_lanes", "banks", "columns", "dram_burst_bytes"]
NUMBERS = [f.name for f in fields(ChipConfig) if f.type is not str]
WHOLE = [name for name in NUMBERS if name != "clock_hz"]


def refuses(match: str, **changes: object) -> None:
    """Assert one line that names the chip, what is wrong and what to change."""
    with pytest.raises(ChipError, match=match) as refusal:
        chip_with(**changes)
    message = str(refusal.value)
    assert message.startswith("chip") and message.endswith("; change the chip's TOML"), message
    assert "\n" not in message and len(message) < 300


def test_every_number_has_bounds_here() -> None:
    assert set(BOUNDS) == set(NUMBERS)


@pytest.mark.parametrize("field", BOUNDS)
def test_the_least_value_is_accepted_and_less_is_refused(field: str) -> None:
    least, _, others, _ = BOUNDS[field]
    assert getattr(chip_with(**{**others, field: least}), field) == least
    refuses(f"{field} = {least - 1} ", **{**others, field: least - 1})


@pytest.mark.parametrize("field", BOUNDS)
def test_the_greatest_value_is_accepted_and_more_is_refused(field: str) -> None:
    _, greatest, _, others = BOUNDS[field]
    assert getattr(chip_with(**{**others, field: greatest}), field) == greatest
    refuses(f"{field} = {greatest + 1} ", **{**others, field: greatest + 1})


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize("value", [0, -1, -(1 << 40), 1 << 62, 1 << 5000])
def test_a_number_far_outside_is_refused(field: str, value: int) -> None:
    refuses(rf"chip nano: {field} = .* is outside \d+\.\.\d+, ", **{field: value})


@pytest.mark.parametrize("field", POWERS_OF_TWO)
def test_a_size_that_is_no_power_of_two_is_refused(field: str) -> None:
    refuses(f"{field} = 24 must be a power of two", **{field: 24})


@pytest.mark.parametrize("field", WHOLE)
@pytest.mark.parametrize("value", [True, 8.0, "8", None, float("nan")])
def test_what_is_no_whole_number_is_refused(field: str, value: object) -> None:
    refuses(f"{field} = {re.escape(repr(value))} must be a whole number", **{field: value})


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 0.0, -1.0, 0.5])
def test_a_clock_that_is_no_frequency_is_refused(value: float) -> None:
    refuses("clock_hz = .* is outside 1..1000000000000, a finite number of hertz", clock_hz=value)


@pytest.mark.parametrize("value", [True, "fast", None])
def test_a_clock_that_is_no_number_is_refused(value: object) -> None:
    refuses("clock_hz = .* must be a number", clock_hz=value)


@pytest.mark.parametrize("name", ["", "two words", "a\nb", "../up", "-x", "ä", "n" * 65, 7, None])
def test_a_name_that_no_file_can_carry_is_refused(name: object) -> None:
    refuses("^chip: name = .* must be 1 to 64 letters", name=name)


def test_a_summary_that_is_no_text_is_refused() -> None:
    refuses("summary = 7 must be text", summary=7)


@pytest.mark.parametrize(
    ("match", "changes"),
    [
        ("nu = 4 must be a multiple of ku = 8", {"ku": 8}),
        ("vx_lanes = 8 must be a multiple of ku = 16", {"ku": 16, "nu": 16}),
        ("mu = 4 must be a multiple of vx_lanes / ku = 8", {"vx_lanes": 32, "columns": 64}),
        ("columns = 16 must hold one access of each port: at least 32", {"mu": 32}),
        ("columns = 16 must hold one access of each port: at least 32", {"nu": 32}),
        ("columns = 8 must hold .*: at least 16", {"vx_lanes": 16, "columns": 8}),
        ("scratchpad_bytes = 65600 must be a multiple of .* = 256", {"scratchpad_bytes": 65_600}),
        ("scratchpad_bytes = 4194560 exceeds the 20-bit word", {"scratchpad_bytes": 4_194_560}),
        ("dram_burst_bytes = 64 must be whole beats of 48", {"dram_bytes_per_cycle": 48}),
        ("dram_burst_bytes = 64 must be whole beats of 128", {"dram_bytes_per_cycle": 128}),
        ("dram_bytes_per_cycle = 64 exceeds columns . ku = 32", {"dram_bytes_per_cycle": 64,
                                                                 "columns": 8}),
        ("vx_latency_cycles = 17 is less than 18: one pass of 10", {"vx_latency_cycles": 17}),
        ("vx_stages = 'AAA' must be a row of", {"vx_stages": "AAA"}),
        ("vx_stages = 'F' must be a row of", {"vx_stages": "F"}),
        ("vx_stages = '' must be a row of", {"vx_stages": ""}),
        ("vx_stages = 'AFX' must be a row of", {"vx_stages": "AFX"}),
        ("vx_stages = 'af' must be a row of", {"vx_stages": "af"}),
        ("vx_stages = 'AFA.* must be a row of at most 64", {"vx_stages": "AF" + "A" * 63}),
        ("vx_stages = 3 must be text", {"vx_stages": 3}),
    ],
)  # fmt: skip
def test_a_rule_between_fields_is_kept(match: str, changes: dict[str, object]) -> None:
    refuses(match, **changes)


def test_bounds_of_rules_between_fields_are_accepted() -> None:
    assert chip_with(scratchpad_bytes=4 << 20).scratchpad_words == 1 << 20
    assert chip_with(vx_latency_cycles=18).vx_pass_cycles == 10
    assert chip_with(vx_stages="AF" + "A" * 62, vx_latency_cycles=4096).vx_pass_cycles == 193


def test_derived_sizes_are_those_of_the_definitions() -> None:
    e256 = load_chip("e256")
    assert (e256.macs_per_cycle, e256.beat_pixels, e256.drain_cycles) == (256, 4, 4)
    assert (e256.scratchpad_words, e256.bank_words) == (65_536, 8_192)
    assert e256.vx_pass_cycles == 4 * 3 + 4 + 3  # AAAAFA
    assert chip_with(mu=1, nu=4, vx_lanes=4).drain_cycles == 1


def test_the_hash_covers_every_field_but_the_prose() -> None:
    changes = {
        "name": "other", "mu": 8, "nu": 8, "ku": 2, "vx_lanes": 4, "scratchpad_bytes": 32_768,
        "banks": 8, "columns": 32, "vx_stages": "AF",
        **{name: getattr(NANO, name) // 2 for name in NUMBERS if name not in POWERS_OF_TWO
           and name not in ("scratchpad_bytes", "vx_latency_cycles")},
        "vx_latency_cycles": 33, "dram_burst_bytes": 128,
    }  # fmt: skip
    hashes = {chip_with(**{name: value}).content_hash() for name, value in changes.items()}
    assert set(changes) == {f.name for f in fields(ChipConfig)} - {"summary"}
    assert len(hashes | {NANO.content_hash()}) == len(changes) + 1
    assert chip_with(summary="another text").content_hash() == NANO.content_hash()


def test_equal_sizes_have_one_hash() -> None:
    assert chip_with(clock_hz=10**9).content_hash() == chip_with(clock_hz=1e9).content_hash()
    assert ChipConfig(**asdict(NANO)).content_hash() == NANO.content_hash()


def test_the_chips_of_the_catalogue_have_a_hash_each() -> None:
    assert len({load_chip(name).content_hash() for name in chip_names()}) == len(chip_names())
