"""`jiriki compare`: rows beside published results, JSON, the page, bad input."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from jiriki.cli import main
from jiriki.plan.compare.compare import compare
from jiriki.plan.compare.page import compare_page
from jiriki.plan.compare.tables import (
    economy_sheet,
    missing_sheet,
    payload,
    result_sheet,
    sourcing_sheet,
)
from jiriki.plan.errors import PlanError
from jiriki.predict import load_results
from jiriki.products.errors import FactError
from jiriki.products.product import product_ids
from jiriki.report.origin import Origin
from tests.report.harness import faults

DAY = date(2025, 8, 25)
NAMED = ("resnet50", "bert-large", "llama-2-70b")


@pytest.fixture
def jiriki(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["jiriki", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


@pytest.mark.parametrize("workload", NAMED)
def test_every_chip_with_a_published_result_is_predicted_beside_it(workload: str) -> None:
    rows = {row.product.id: row for row in compare(workload, on=DAY).rows}
    published = {
        r.chip for r in load_results(workload) if r.mode == "offline" and r.round != "vendor"
    }
    assert set(product_ids()) | published == rows.keys()
    for id in published:
        row = rows[id]
        assert row.published and row.prediction and row.error is not None
        assert row.error == pytest.approx(row.prediction.per_s[1] / row.published.per_s - 1)
    assert all(rows[id].published is None for id in rows.keys() - published)


@pytest.mark.parametrize("workload", NAMED)
def test_median_error_of_what_was_held_out_is_at_most_20_percent(workload: str) -> None:
    error = compare(workload, on=DAY).held_out_error
    assert error is not None and error <= 0.20


def test_payload_is_one_plain_object() -> None:
    parsed = json.loads(json.dumps(payload(compare("llama-2-70b", on=DAY)), allow_nan=False))
    rows = {row["chip"]: row for row in parsed["rows"]}
    assert parsed["workload"] == "llama-2-70b"
    h200, h20, hanguang = rows["h200"], rows["h20"], rows["hanguang-800"]
    assert h200["error"] == pytest.approx(h200["predicted"] / h200["published"] - 1)
    assert "bert-large on h100" in h200["calibrated_on"]
    assert h20["published"] is None and h20["error"] is None and h20["export_class"] == "none"
    assert h20["sourcing"]["letters"] == "licence needed whatever the class"
    assert hanguang["predicted"] is None and "weights" in hanguang["why_not"]
    low, high = h20["cost_range"]
    assert 0 < low < h20["cost_per_million_usd"] < high and h20["cost_reason"] is None
    assert h20["chip_costed_at"] == "price paid"
    assert rows["h800"]["chip_costed_at"] == "cost to make"
    assert rows["tpu-v5e"]["cost_per_million_usd"] is None
    assert "power is not published" in rows["tpu-v5e"]["cost_reason"]


def test_sourcing_says_by_what_a_licence_is_needed() -> None:
    """In August 2025: H200 by class and letter, H20 by letter alone, L4 by class alone."""
    sheet = sourcing_sheet(compare("llama-3.1-8b", ["h200", "h20", "l4"], on=date(2025, 8, 29)))
    licence, letter = sheet.heads.index("licence by class"), sheet.heads.index("by letter")
    needed = {row[0]: (row[licence], row[letter]) for row in sheet.rows}
    assert needed == {"h200": ("needed",) * 2, "h20": ("no", "needed"), "l4": ("needed", "no")}


def test_export_class_is_that_of_the_day() -> None:
    early, late = (
        compare("resnet50", ["h20"], on=on).rows[0].export for on in (date(2024, 1, 1), DAY)
    )
    assert early.finding("letters") is None
    assert late.finding("letters") is not None


def test_named_chips_are_compared_and_no_others() -> None:
    comparison = compare("resnet50", ["h20", "t4"], on=DAY)
    assert {row.product.id for row in comparison.rows} == {"h20", "t4"}
    assert {check.result.chip for check in comparison.checks} == {"t4"}


def test_a_batch_of_ones_own_stands_beside_no_published_result() -> None:
    row = compare("llama-2-70b", ["h200"], on=DAY, batch=4).rows[0]
    assert row.published is None and row.prediction and row.prediction.batch == 4


def test_tables_have_every_chip_once() -> None:
    comparison = compare("llama-2-70b", on=DAY)
    missing = missing_sheet(comparison)
    assert missing is not None and "hanguang-800" in {row[0] for row in missing.rows}
    assert (
        len(sourcing_sheet(comparison).rows)
        == len(economy_sheet(comparison).rows)
        == len(comparison.rows)
    )
    assert len(result_sheet(comparison).rows) == sum(1 for row in comparison.rows if row.prediction)


@pytest.mark.parametrize("workload", NAMED)
def test_page_keeps_every_rule(workload: str) -> None:
    page = compare_page(compare(workload, on=DAY), Origin())
    assert faults(page) == []
    assert "hanguang-800" in page and "Median error" in page


def test_page_of_chips_without_results_keeps_every_rule() -> None:
    for chips in (["h20"], ["hanguang-800"]):
        assert faults(compare_page(compare("llama-2-70b", chips, on=DAY), Origin())) == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"chips": ["h21"]}, FactError, "chip 'h21' is not in the catalogue"),
        ({"chips": ["h20", "h20"]}, PlanError, "chip h20 is named twice"),
        ({"batch": -3}, PlanError, "batch = -3 must be at least 1"),
        ({"mode": "burst"}, PlanError, "mode 'burst' is not known"),
        ({"context": 500}, FactError, "context = 500 applies to decoders only"),
    ],
)
def test_bad_request_is_refused(arguments: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        compare("resnet50", on=DAY, **arguments)


def test_command_prints_one_object_and_writes_the_page(
    jiriki: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    code, out, _ = jiriki(
        "compare", "bert-large", "--chips", "h20,a100", "--on", DAY, "--json", "--out", path
    )
    printed = json.loads(out)
    assert (code, printed["workload"], printed["on"]) == (0, "bert-large", "2025-08-25")
    assert [row["chip"] for row in printed["rows"]] == ["a100", "h20"]
    assert printed["files"] == {"report": str(path)} and "<html" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet-50",), "workload 'resnet-50' is not known; did you mean"),
        (("resnet50", "--chips", "h20,,a100"), "--chips h20,,a100: write ids with commas"),
        (("resnet50", "--on", "yesterday"), "--on = yesterday is not a date"),
    ],
)
def test_command_refuses_in_one_line(
    jiriki: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = jiriki("compare", *arguments)
    assert (code, out) == (1, "")
    assert message in err and err.count("\n") == 1
