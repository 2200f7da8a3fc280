"""`jiriki export-check` and `jiriki products` print what the library says, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest


def test_json_has_the_promised_keys(jiriki: Callable) -> None:
    result = jiriki("export-check", "h20", "--on", "2025-08-29", "--json")
    answer = json.loads(result.out)
    wanted = {"chip", "on", "class", "tpp", "performance_density", "margins", "sources"}
    assert wanted <= answer.keys()
    assert (answer["chip"], answer["on"], answer["class"]) == ("h20", "2025-08-29", "none")
    assert answer["tpp"] == 2368 and answer["performance_density"] == pytest.approx(2.909, abs=1e-3)
    assert all("http" in source for source in answer["sources"])


def test_page_says_class_reason_and_that_it_is_no_advice(jiriki: Callable) -> None:
    result = jiriki("export-check", "hanguang-800", "--on", "2026-03-01")
    assert "hanguang-800 on 2026-03-01, bound for CN: 3A090.a.1" in result.out
    assert "TPP 6,600 is at least 4,800" in result.out and "not legal advice" in result.out
    assert "..." not in result.out.split("rules and their sources")[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export-check", "h21"), "did you mean h20"),
        (("export-check", "h20", "--on", "2020-01-01"), "the data begins on 2022-08-26"),
        (("export-check", "h20", "--on", "31.8.2025"), "is not a date; write it as 2025-01-31"),
        (("export-check", "h20", "--to", "Dubai"), "'Dubai' is no ISO code of two letters"),
        (("products", "hanguang"), "did you mean hanguang-800"),
    ],
)
def test_mistake_is_one_line(jiriki: Callable, arguments: tuple[str, ...], message: str) -> None:
    result = jiriki(*arguments)
    assert (result.code, result.out) == (1, "")
    assert message in result.err and result.err.count("\n") == 1


@pytest.mark.parametrize("command", ["export-check", "cost", "products"])
def test_a_die_of_nothing_is_refused_in_one_line(
    jiriki: Callable, tmp_path: Path, command: str
) -> None:
    text = (resources.files("jiriki.products") / "catalogue" / "h20.toml").read_text("utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace("value = 814", "value = 0"), "utf-8")
    result = jiriki(command, path)
    assert result.code == 1 and result.err.count("\n") == 1
    assert "product mine: die_area = 0 must be above 0" in result.err


def test_a_product_s_toml_is_read_again_when_it_has_changed(
    jiriki: Callable, tmp_path: Path
) -> None:
    text = (resources.files("jiriki.products") / "catalogue" / "h20.toml").read_text("utf-8")
    path = tmp_path / "mine.toml"
    tpp = []
    for peak in (296, 400):  # int8 and fp8; TPP is 8 bits times the peak, fp16 stays at 2,368
        path.write_text(text.replace("value = 296", f"value = {peak}"), "utf-8")
        tpp.append(json.loads(jiriki("export-check", path, "--json").out)["tpp"])
    assert tpp == [2368, 3200]


def test_products_lists_ranges_and_doubts(jiriki: Callable) -> None:
    result = jiriki("products")
    assert "hanguang-800" in result.out and "626-800?" in result.out
    listed = json.loads(jiriki("products", "--json").out)["products"]
    assert {"h20", "b200"} <= {product["id"] for product in listed}


def test_one_product_spells_out_its_sources(jiriki: Callable) -> None:
    assert "[1] https://anandtech.com/show/16009" in jiriki("products", "hanguang-800").out
