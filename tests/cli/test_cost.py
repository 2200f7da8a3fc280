"""`jiriki cost`, and the energy that `run` and `profile` report."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from jiriki.chip import load_chip
from jiriki.cost.process import load_process
from jiriki.cost.validate.synthesis import checks
from tests.cli.harness import Result

Command = Callable[..., Result]


def test_cost_of_a_tile_is_area_and_energy_by_unit(jiriki: Command) -> None:
    done = jiriki("cost", "e256", "--json")
    payload = json.loads(done.out)
    assert (done.code, payload["kind"], payload["process"]) == (0, "tile", "14nm")
    units = payload["area_mm2"]["units"]
    assert {"mx", "vx", "scratchpad", "tables", "dma", "sequencer"} <= units.keys()
    assert sum(unit["base"] for unit in units.values()) == pytest.approx(
        payload["area_mm2"]["total"]["base"]
    )
    assert all(event["low"] > 0 for event in payload["event_energy_j"].values())
    assert payload["calibrated_on"]


def test_cost_of_a_tile_depends_on_node_and_scaling(jiriki: Command) -> None:
    area = {}
    for node in ("28nm", "7nm"):
        area[node] = json.loads(jiriki("cost", "e256", "--process", node, "--json").out)
    assert area["28nm"]["area_mm2"]["total"]["base"] > area["7nm"]["area_mm2"]["total"]["base"]
    other = json.loads(jiriki("cost", "e256", "--scaling", "optimistic", "--json").out)
    default = json.loads(jiriki("cost", "e256", "--json").out)
    events = ("event_energy_j", "array_macs", "base")
    assert other[events[0]][events[1]][events[2]] < default[events[0]][events[1]][events[2]]


def test_cost_of_our_product_is_area_power_and_price(jiriki: Command) -> None:
    payload = json.loads(jiriki("cost", "jiriki-open-14", "--json").out)
    assert payload["kind"] == "product" and payload["why"]
    for key in ("die_area_mm2", "tile_area_mm2", "power_w", "price_usd"):
        total = payload[key]["total"]
        assert 0 < total["low"] < total["base"] < total["high"]
    assert 0 < payload["yield"]["base"] <= 1
    assert payload["server_hour_usd"]["total"]["base"] > 0


def test_a_price_is_told_first_with_its_range_and_unit(jiriki: Command) -> None:
    first = jiriki("cost", "h20").out.split("\n\n")[0]
    words = " ".join(first.split())
    assert re.search(r"one h20 costs [\d,]+ USD \([\d,]+ to [\d,]+ USD\) to make", words)
    assert words.endswith("buyers pay 12,000 USD (10,000 to 15,000 USD), as of 2025-05-25.")


def test_silicon_of_a_tile_is_its_share_of_a_good_wafer(jiriki: Command) -> None:
    payload = json.loads(jiriki("cost", "nano", "--json").out)
    area, node = payload["area_mm2"]["total"]["base"], load_process("14nm")
    share = area / (math.pi * 150**2)  # of a wafer of 300 mm; hardly any tile of 1 mm2 is lost
    usd = payload["price_usd"]["total"]
    assert usd["base"] == pytest.approx(share * node.wafer_price.base, rel=2e-3)
    assert usd["low"] < usd["base"] < usd["high"]
    assert f"{usd['base']:.3g} USD" in jiriki("cost", "nano").out


def test_synthesised_units_of_one_s_own_change_area_and_price(
    jiriki: Command, tmp_path: Path
) -> None:
    """The page on methods tells what `nano` is with the counts of synthesis: 1.15 mm2, not 0.93."""
    units = [check for check in checks(load_chip("nano")) if check.unit != "all"]
    lines = [
        f'{c.unit} = {{ value = {4 * (c.logic + c.memory)}, unit = "1", source = "own", '
        'date = "2026-11-30" }'
        for c in units
    ]
    path = tmp_path / "own.toml"
    path.write_text("[units]\n" + "\n".join(lines), "utf-8")
    usual = json.loads(jiriki("cost", "nano", "--json").out)
    own = json.loads(jiriki("cost", "nano", "--calibration", path, "--json").out)
    areas = [payload["area_mm2"]["total"]["base"] for payload in (usual, own)]
    assert areas == pytest.approx([0.93, 1.15], abs=0.01)
    assert own["price_usd"]["total"]["base"] > usual["price_usd"]["total"]["base"]
    assert own["calibrated_on"][-1] == f"units of {path}"


def test_calibration_reaches_the_price_of_our_own_chips_only(
    jiriki: Command, tmp_path: Path
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        '[units]\nmx = { value = 1e8, unit = "1", source = "own", date = "2026-11-30" }'
    )
    usual = json.loads(jiriki("cost", "jiriki-open-14", "--json").out)
    own = json.loads(jiriki("cost", "jiriki-open-14", "--calibration", path, "--json").out)
    for key in ("die_area_mm2", "power_w", "price_usd"):
        assert own[key]["total"]["base"] > usual[key]["total"]["base"], key
    done = jiriki("cost", "h100", "--calibration", path)
    assert done.code == 1 and "--calibration is for tiles and chips of ours" in done.err


def test_cost_in_words_names_ranges_and_calibration(jiriki: Command) -> None:
    done = jiriki("cost", "h100")
    assert done.code == 0
    for phrase in ("cost of making one h100", "low", "high", "silicon", "calibrated on"):
        assert phrase in done.out


def test_files_of_one_s_own_are_told_apart(jiriki: Command, tmp_path: Path) -> None:
    chips, products = resources.files("jiriki.chip.catalogue"), resources.files("jiriki.products")
    tile, product = tmp_path / "tile.toml", tmp_path / "my-chip.toml"
    tile.write_text((chips / "e256.toml").read_text("utf-8"))
    product.write_text((products / "catalogue" / "a100.toml").read_text("utf-8"))
    assert json.loads(jiriki("cost", tile, "--json").out)["kind"] == "tile"
    assert json.loads(jiriki("cost", product, "--json").out)["kind"] == "product"


def test_assumptions_of_one_s_own_change_the_price(jiriki: Command, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'test_per_die = { value = 1000, unit = "USD", source = "offer", date = "2026-11-25" }'
    )
    usual = json.loads(jiriki("cost", "h100", "--json").out)["price_usd"]
    own = json.loads(jiriki("cost", "h100", "--assumptions", path, "--json").out)["price_usd"]
    assert own["parts"]["test"]["base"] == 1000
    assert own["total"]["base"] > usual["total"]["base"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["zzz"], "'zzz' is neither a tile"),
        (["e256", "--process", "3nm"], "process '3nm' is not known"),
        (["e256", "--scaling", "linear"], "--scaling linear: choose default, optimistic"),
        (["e256", "--process", "5nm", "--scaling", "optimistic"], "outside 7 to 65 nm"),
        (["none.toml"], "is not in the catalogue"),
        (["tpu-v6e"], "its die area is not published"),
        (["h100", "--process", "7nm"], "--process and --scaling are for tiles"),
        (["h100", "--assumptions", "none.toml"], "name a readable file"),
    ],
)
def test_bad_input_gets_one_line(jiriki: Command, arguments: list[str], message: str) -> None:
    done = jiriki("cost", *arguments)
    assert done.code == 1 and done.out == ""
    assert done.err.startswith("jiriki: ") and done.err.count("\n") == 1 and message in done.err


def test_profile_reports_energy_whole_and_by_layer(
    jiriki: Command, folder: Path, tmp_path: Path
) -> None:
    done = jiriki("profile", folder / "qdq.onnx", "--chip", "nano", "--out", tmp_path, "--json")
    payload = json.loads(done.out)
    assert 0 < payload["energy_j"]["low"] < payload["energy_j"]["base"]
    assert payload["power_w"]["base"] == pytest.approx(
        payload["energy_j"]["base"] / payload["latency_s"]
    )
    assert all(row["energy_j"]["base"] > 0 for row in payload["layers"])


def test_run_reports_energy_at_the_node_asked_for(jiriki: Command, folder: Path) -> None:
    spent = {}
    for node in ("28nm", "7nm"):
        done = jiriki(
            "run", folder / "qdq.onnx", "--chip", "nano", "--input", folder / "input.npz",
            "--process", node, "--json",
        )  # fmt: skip
        payload = json.loads(done.out)
        assert payload["process"] == node
        spent[node] = payload["energy_j"]["base"]
    assert 0 < spent["7nm"] < spent["28nm"]


def test_an_unknown_node_is_refused_before_the_work(jiriki: Command, folder: Path) -> None:
    done = jiriki("profile", folder / "qdq.onnx", "--process", "3nm")
    assert done.code == 1 and "process '3nm' is not known" in done.err
