"""Two profiles compared: the expected changes are taken from numbers written here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jiriki.report.errors import ReportError
from jiriki.report.profile_diff import changes_sheet, diff_profiles, read_profile, totals_sheet


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
        ("new", "-", "80", "+80", "new", "+0 B", ""),
        ("gone", "70", "-", "-70", "gone", "-64 B", ""),
        ("a", "400", "400", "+0", "equal", "+2.5 kB", "+2 µJ"),
    )


def test_equal_profiles_have_no_change() -> None:
    sheet = changes_sheet(diff_profiles(BEFORE, BEFORE), 9)
    assert (sheet.rows, sheet.title) == ((), "layers that changed: 0; equal: 3")


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "7", "{}", '{"profiles": [{}, {}]}', json.dumps(BEFORE | {"cycles": "many"}),
     json.dumps(BEFORE | {"layers": [{"name": "x"}]}), json.dumps(BEFORE | {"layers": 3})],
)  # fmt: skip
def test_what_is_no_profile_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(ReportError, match="jiriki profile MODEL --chip CHIP --json"):
        read_profile(path)
