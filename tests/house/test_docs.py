"""The documents tell the whole: every command, error and chip; links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from jiriki.chip import chip_names
from jiriki.cli.app import app
from jiriki.errors import JirikiError
from jiriki.frontend.zoo import list_models
from tests.house.documents import DOCS, GENERATE, ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(DOCS.rglob("*.md")),
]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", GENERATE.PAGES)
def test_generated_page_is_fresh(name: str) -> None:
    expected = GENERATE.PAGES[name]()
    assert (DOCS / name).read_text("utf-8") == expected, "run `make docs`"


@pytest.mark.parametrize("name", COMMANDS)
def test_command_and_its_options_are_documented(name: str) -> None:
    page = (DOCS / "reference" / "cli.md").read_text("utf-8")
    section = page.split(f"## jiriki {name}\n")[1].split("\n## ")[0]
    options = [o for p in COMMANDS[name].params for o in p.opts if o.startswith("--")]
    assert [o for o in options if o != "--help" and f"`{o}`" not in section] == []


def test_every_error_class_is_documented() -> None:
    page = (DOCS / "reference" / "errors.md").read_text("utf-8")
    loaded = {JirikiError}
    while more := {sub for cls in loaded for sub in cls.__subclasses__()} - loaded:
        loaded |= more
    ours = {cls.__name__ for cls in loaded if cls.__module__.startswith("jiriki.")}
    assert ours and [name for name in sorted(ours) if f"**{name}**" not in page] == []


@pytest.mark.parametrize("name", chip_names())
def test_chip_is_documented(name: str) -> None:
    assert f"**{name}**" in (DOCS / "reference" / "chips.md").read_text("utf-8")


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_in_pages_exist(path: Path) -> None:
    """Commands that a page shows at the start of a line name commands and models there are."""
    shown = re.findall(r"^(?:\$ |    )?\.venv/bin/jiriki (\S+)(.*)$", path.read_text(), re.M)
    assert [name for name, _ in shown if not name.startswith("-") and name not in COMMANDS] == []


def test_every_zoo_model_is_in_the_tutorial_or_index() -> None:
    text = (DOCS / "index.md").read_text() + (DOCS / "tutorial.md").read_text()
    assert [card.name for card in list_models() if f"`{card.name}`" not in text] == []
