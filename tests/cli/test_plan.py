"""`jiriki plan`: tables, one JSON object, a page; one line for what cannot be planned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.plan.small_demand import SMALL
from tests.report.harness import faults, read_page


@pytest.fixture
def demand(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    return file


def test_json_is_one_object(jiriki, demand: Path) -> None:
    done = jiriki("plan", demand, "--json")
    assert (done.code, done.err) == (0, "")
    plan = json.loads(done.out)
    base = plan["scenarios"]["base"]
    assert plan["months"] == ["2025-09", "2025-10", "2025-11"]
    assert set(plan["scenarios"]) == {"low", "base", "high"}
    assert [month["month"] for month in base["months"]] == plan["months"]
    assert base["bought"]["huawei"] == sum(m["bought"].get("huawei", 0) for m in base["months"])
    assert plan["disclaimer"] == "not legal advice" and plan["files"] == {}


def test_the_page_stands_alone_and_shows_events(jiriki, demand: Path, tmp_path: Path) -> None:
    demand.write_text(SMALL.replace("from = 2025-07-15", "from = 2025-10-15"))
    page = tmp_path / "pages" / "plan.html"
    done = jiriki("plan", demand, "--out", page)
    assert done.code == 0 and f"report           {page}" in done.out
    text = page.read_text("utf-8")
    assert faults(text) == []
    figures = [figure for figure in read_page(text)[0].all("figure") if figure.all("svg")]
    assert len(figures) == 10
    assert "2025-10-15: " in text and "licence" in text
    assert "not legal advice" in text


def test_equal_plans_give_equal_pages(jiriki, demand: Path, tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    texts = []
    for _ in range(2):
        assert jiriki("plan", demand, "--out", page).code == 0
        texts.append(page.read_bytes())
    assert texts[0] == texts[1]


def test_the_terminal_tells_the_decision(jiriki, demand: Path) -> None:
    out = jiriki("plan", demand).out
    for phrase in (
        "base demand: buy",
        "constraints that bind",
        "share of demand by vendor",
        "2025-11",
    ):
        assert phrase in out


def test_small_amounts_keep_their_digits(jiriki, demand: Path) -> None:
    """Three scenarios of this size cost less than 0.2 million USD each, and not the same."""
    costs = next(
        line.split()[-3:] for line in jiriki("plan", demand).out.splitlines()
        if "cost of the plan, million USD" in line
    )  # fmt: skip
    scenarios = json.loads(jiriki("plan", demand, "--json").out)["scenarios"]
    exact = [scenarios[scenario]["cost_musd"] for scenario in ("low", "base", "high")]
    assert len(set(costs)) == 3
    assert [float(cost) for cost in costs] == pytest.approx(exact, rel=5e-3)


def test_rules_are_those_of_the_day_on_which_the_plan_knows_them(jiriki, demand: Path) -> None:
    known = json.loads(jiriki("plan", demand, "--json").out)["rules"]
    assert known.startswith("Export rules known as of 2026-")
    demand.write_text(SMALL.replace("months = 3", "months = 3\nknown_on = 2025-08-29"))
    plan = json.loads(jiriki("plan", demand, "--json").out)
    assert plan["rules"] == (
        "Export rules as published by 2025-08-29 (known_on); later ones are left out"
    )
    assert plan["story"][-1] == f"{plan['rules']}; not legal advice."


def test_names_are_text_not_markup(jiriki, demand: Path, tmp_path: Path) -> None:
    demand.write_text(SMALL.replace('"Small"', '"<b>[red]Small"'))
    page = tmp_path / "plan.html"
    done = jiriki("plan", demand, "--out", page)
    assert "<b>[red]Small" in done.out
    assert "&lt;b&gt;[red]Small" in page.read_text() and "<b>[red]" not in page.read_text()


def test_what_cannot_be_planned_is_one_line(jiriki, demand: Path) -> None:
    text = SMALL.replace(
        'mode = "server"', 'mode = "server"\nmust_serve = { value = 1, unit = "1" }'
    )
    demand.write_text(text.replace("value = 200, unit", "value = 3, unit"))
    done = jiriki("plan", demand, "--json")
    error = json.loads(done.out)["error"]
    assert (done.code, error["kind"]) == (1, "InfeasibleError")
    assert "power limit of 3 kW" in error["message"] and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), (b"\xff\xfe\x00", "no text in UTF-8"), (b"a = ", "not valid TOML"),
     (b"", "title is missing"), (b'title = 5', "title = 5 is not a text")],
)  # fmt: skip
def test_bad_files_are_one_line(
    jiriki, tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "bad.toml"
    if content is not None:
        file.write_bytes(content)
    done = jiriki("plan", file)
    assert done.code == 1 and message in done.err and done.err.count("\n") == 1
