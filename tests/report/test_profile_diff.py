"""Two profiles compared: the expected changes are taken from numbers written here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jiriki.report.errors import ReportError
from jiriki.report.origin import Origin
from jiriki.report.profile_diff import (
    change_text,
    changes_sheet,
    diff_profiles,
    read_profile,
    totals_sheet,
)
from jiriki.report.profile_diff_page import diff_page
from tests.report.harness import Element, faults, read_page


def layer(name: str, cycles: int, dram_bytes: int = 0, energy_j: float = 1e-6) -> dict[str, Any]:
    return {
        "name": name, "cycles": cycles, "dram_bytes": dram_bytes, "energy_j": {"base": energy_j},
    }  # fmt: skip


def profile(chip: str, cycles: int, *layers: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": "net", "chip": chip, "cycles": cycles, "dram_bytes": 4000,
        "energy_j": {"base": 2e-6}, "layers": list(layers),
    }  # fmt: skip


BEFORE = profile("nano", 1000, layer("a", 400), layer("b", 500), layer("gone", 70, 64))
AFTER = profile("e256", 750, layer("b", 100), layer("a", 400, 2500, 3e-6), layer("new", 80))


def test_layers_stand_by_how_much_their_cycles_changed() -> None:
    diff = diff_profiles(BEFORE, AFTER)
    assert [(change.name, change.cycles) for change in diff.layers] == [
        ("b", -400), ("new", 80), ("gone", -70), ("a", 0),
    ]  # fmt: skip


def test_tables_show_signs_and_shares() -> None:
    diff = diff_profiles(BEFORE, AFTER)
    assert totals_sheet(diff).rows == (
        ("cycles", "1,000", "750", "-25.0 %"),
        ("DRAM traffic", "4 kB", "4 kB", "equal"),
        ("energy, estimate", "2 µJ", "2 µJ", "equal"),
    )
    assert changes_sheet(diff, 9).rows == (
        ("b", "500", "100", "-400", "-80.0 %", "0 B", "0 J"),
        ("new", "-", "80", "+80", "new", "+0 B", "+1 µJ"),
        ("gone", "70", "-", "-70", "gone", "-64 B", "-1 µJ"),
        ("a", "400", "400", "+0", "equal", "+2.5 kB", "+2 µJ"),
    )


def test_equal_profiles_have_no_change() -> None:
    sheet = changes_sheet(diff_profiles(BEFORE, BEFORE), 9)
    assert (sheet.rows, sheet.title) == ((), "layers that changed: 0; equal: 3")


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [(100, 75, "-25.0 %"), (100, 999, "+899.0 %"), (100, 1000, "10 times"),
     (1, 12345, "12,345 times"), (0, 5, "new"), (5, 0, "-100.0 %")],
)  # fmt: skip
def test_a_large_growth_is_told_in_times(before: int, after: int, text: str) -> None:
    assert change_text(before, after) == text


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "7", "{}", '{"profiles": [{}, {}]}', json.dumps(BEFORE | {"cycles": "many"}),
     json.dumps(BEFORE | {"latency_s": "long"}), json.dumps(BEFORE | {"layers": [{"name": "x"}]}),
     json.dumps(BEFORE | {"layers": 3})],
)  # fmt: skip
def test_what_is_no_profile_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(ReportError, match="jiriki profile MODEL --chip CHIP --json"):
        read_profile(path)


def test_runs_that_say_their_latency_are_compared_by_it() -> None:
    diff = diff_profiles(BEFORE | {"latency_s": 2e-6}, AFTER | {"latency_s": 3e-6})
    assert totals_sheet(diff).rows[1] == ("latency", "2 µs", "3 µs", "+50.0 %")
    half = diff_profiles(BEFORE | {"latency_s": 2e-6}, AFTER)
    assert [row[0] for row in totals_sheet(half).rows] == [
        "cycles", "DRAM traffic", "energy, estimate",
    ]  # fmt: skip


def texts(root: Element, tag: str) -> list[str]:
    return [element.whole_text() for element in root.all(tag)]


def test_the_page_shows_what_changed_before_and_after() -> None:
    page = diff_page(diff_profiles(BEFORE, AFTER), Origin("jiriki diff a b"))
    assert faults(page) == []
    assert page == diff_page(diff_profiles(BEFORE, AFTER), Origin("jiriki diff a b"))
    root, _ = read_page(page)
    assert "net on nano takes 1,000 cycles, net on e256 750: -25.0 %." in texts(root, "p")[0]
    cards = [card for card in root.all("div") if card.attributes.get("class") == "card"]
    assert [texts(card, "b") for card in cards] == [["750"], ["4 kB"], ["2 µJ"]]
    rows = [[cell.whole_text() for cell in row.all("td")] for row in root.all("tr")][1:]
    assert [row[:4] for row in rows] == [
        ["b", "500", "100", "-400"], ["new", "-", "80", "+80"], ["gone", "70", "-", "-70"],
        ["a", "400", "400", "+0"],
    ]  # fmt: skip
    captions = texts(root, "figcaption")
    assert "2 take fewer cycles, 1 take more. b changed most, by -400 cycles" in captions[0]
    assert "1 take fewer bytes, 1 take more. a changed most, by 2.5 kB more." in captions[1]


def test_a_point_stands_for_every_value_of_a_layer() -> None:
    page = diff_page(diff_profiles(BEFORE, AFTER), Origin())
    root, _ = read_page(page)
    wide = root.all("svg")[0]  # the same is drawn once more for a phone
    assert sorted(circle.whole_text() for circle in wide.all("circle")) == [
        "b after: 100 cycles", "b before: 500 cycles", "gone before: 70 cycles",
        "new after: 80 cycles",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BEFORE, BEFORE),
        (profile("nano", 9), profile("nano", 9)),
        (BEFORE, profile("nano", 1000, *(layer("n" * k, 0, k) for k in range(1, 99)))),
        (profile("n", 1, layer("a", 1)), profile("n", 1, layer("a", 1, 0, 2e-6))),
        (profile("n", 1, layer("<b>", 0)), profile("n", 0, layer("<b>", 10**12, 10**12))),
    ],
)
def test_pages_of_odd_profiles_keep_every_rule(before: Any, after: Any) -> None:
    assert faults(diff_page(diff_profiles(before, after), Origin())) == []
