"""A profile joins what a run counted with what its program is for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from jiriki.chip import load_chip
from jiriki.cost.process import load_process
from jiriki.program import Run, UnitCounters
from jiriki.report import Profile, ReportError, make_profile
from jiriki.report.origin import Origin
from jiriki.report.payload import profile_payload
from jiriki.report.profile_page import profile_page
from jiriki.report.tables import (
    energy_sheet,
    layers_sheet,
    markdown,
    rich_table,
    summary_sheet,
    units_sheet,
)
from jiriki.sim.timing import TimingEngine
from tests.report.harness import faults, read_page
from tests.report.programs import loads_and_stores

NANO = load_chip("nano")
PROGRAM = loads_and_stores()
LAYERS = {"first </script><b>": 50, "second|[red]": 25}


@pytest.fixture(scope="module")
def run() -> Run:
    """The timing simulator's run; the layers' spans are given, since copies are no layer's work."""
    timed = TimingEngine(NANO).run(PROGRAM, events=True)
    return replace(timed, layer_cycles=LAYERS)


@pytest.fixture(scope="module")
def profile(run: Run) -> Profile:
    return make_profile("copies", PROGRAM, run, NANO, {"compile": 1.5})


def test_layers_carry_their_own_traffic(profile: Profile) -> None:
    moved = {row.name: row.dram_bytes for row in profile.layers}
    assert moved == {"first </script><b>": 2048, "second|[red]": 1024}


def test_utilisation_is_work_over_peak(profile: Profile) -> None:
    assert profile.utilisation == 1000 / (profile.cycles * 64)
    assert profile.layers[0].utilisation == 1000 / (50 * 64)


def test_latency_follows_the_stated_clock(profile: Profile) -> None:
    assert profile.latency_s == profile.cycles / 1e9


def test_slowest_come_first(profile: Profile) -> None:
    assert [row.cycles for row in profile.slowest(2)] == [50, 25]


def test_a_run_without_cycles_is_refused() -> None:
    with pytest.raises(ReportError, match="engine functional has no cycles"):
        make_profile("copies", PROGRAM, Run("functional", ""), NANO)


def test_payload_is_plain_json(profile: Profile) -> None:
    payload = json.loads(json.dumps(profile_payload(profile)))
    assert (payload["macs"], payload["cycles"]) == (1000, profile.cycles)
    assert payload["dram_bytes"] == payload["dram_read_bytes"] + payload["dram_write_bytes"]
    for unit in payload["units"].values():
        assert unit["busy"] + unit["starved"] + unit["blocked"] == profile.cycles
        assert sum(unit["reasons"].values()) == unit["starved"] + unit["blocked"]


def test_energy_is_in_the_payload_whole_and_by_layer(run: Run) -> None:
    profile = make_profile("copies", PROGRAM, run, NANO, process=load_process("14nm"))
    payload = json.loads(json.dumps(profile_payload(profile)))
    whole, layers = payload["energy_j"], [row["energy_j"] for row in payload["layers"]]
    assert payload["process"] == "14nm"
    for end in ("low", "base", "high"):
        assert sum(part[end] for part in payload["energy_parts_j"].values()) == pytest.approx(
            whole[end]
        )
        assert sum(layer[end] for layer in layers) == pytest.approx(whole[end])
    assert payload["power_w"]["base"] == pytest.approx(whole["base"] / payload["latency_s"])


def test_energy_is_in_the_tables_only_with_a_process(run: Run, profile: Profile) -> None:
    priced = make_profile("copies", PROGRAM, run, NANO, process=load_process("14nm"))
    assert priced.energy
    assert "energy, estimate (14nm, lpddr5x)" in markdown(summary_sheet([priced]))
    assert "energy" not in markdown(summary_sheet([profile]))
    assert "energy_j" not in profile_payload(profile)
    assert "| dram |" in markdown(energy_sheet(priced.energy))
    assert "energy of one inference" in profile_page([priced], Origin())


def test_page_keeps_every_rule_and_trusts_no_name(run: Run, profile: Profile) -> None:
    with_energy = make_profile("<copies>", PROGRAM, run, NANO, process=load_process("14nm"))
    for shown in (profile, with_energy):
        text = profile_page([shown], Origin(), {"nano": "a b.trace.json"})
        assert faults(text) == []
        assert "first </script>" not in text and "<copies>" not in text
        assert 'href="a b.trace.json"' in text


def test_page_says_where_it_comes_from(profile: Profile) -> None:
    root, _ = read_page(profile_page([profile], Origin("jiriki profile x", "2026-01-01")))
    terms = [term.whole_text() for term in root.all("dt")]
    values = [value.whole_text() for value in root.all("dd")]
    foot = dict(zip(terms, values, strict=True))
    assert foot["command"] == "jiriki profile x" and foot["date"] == "2026-01-01"
    assert foot["program for nano"] == PROGRAM.content_hash()


def test_equal_runs_give_equal_pages(run: Run, profile: Profile) -> None:
    again = make_profile("copies", PROGRAM, run, NANO, {"compile": 99.0})
    assert profile_page([again], Origin()) == profile_page([profile], Origin())


def test_page_of_two_chips_has_charts_of_both(profile: Profile) -> None:
    other = replace(profile, chip=replace(NANO, name="other"))
    text = profile_page([profile, other], Origin())
    assert faults(text) == []
    titles = [title.whole_text() for title in read_page(text)[0].all("h2")]
    assert titles[0] == "Chips side by side"
    assert {"Layers on nano", "Layers on other"} <= set(titles)


def test_markdown_keeps_bars_inside_cells(profile: Profile) -> None:
    lines = markdown(layers_sheet("layers", profile.layers, profile.cycles)).splitlines()
    assert lines[1] == "|---|---|--:|--:|--:|--:|--:|"
    assert lines[3].startswith("| second\\|[red] | add | 0 | 25 |")


def test_units_say_what_they_wait_for(profile: Profile) -> None:
    counters = UnitCounters(10, 60, 30, {"data": 60, "bank": 30})
    sheet = units_sheet(replace(profile, cycles=100, units={"MX": counters}))
    assert sheet.rows == (("MX", "10.0 %", "60.0 %", "30.0 %", "data 60.0 %, bank 30.0 %"),)


def test_terminal_tables_print_names_as_text(
    profile: Profile, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    for sheet in (summary_sheet([profile]), layers_sheet("layers", profile.layers, 100)):
        Console(width=120).print(rich_table(sheet))
    out = capsys.readouterr().out
    assert "second|[red]" in out and "MAC/cycle" in out
