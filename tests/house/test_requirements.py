"""What is pinned is what pyproject.toml allows."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from jiriki.extras import MODULES, how_to_install, packages

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith(("#", "-r")))


def unmet(requirements: list[str], pinned: dict[str, str]) -> list[str]:
    parsed = [Requirement(text) for text in requirements]
    return [str(r) for r in parsed if not r.specifier.contains(pinned.get(r.name, "0"))]


def test_base_pins_meet_the_stated_ranges() -> None:
    assert unmet(PROJECT["dependencies"], pins("requirements.txt")) == []


def test_dev_pins_meet_the_stated_ranges() -> None:
    assert unmet(PROJECT["optional-dependencies"]["dev"], pins("requirements-dev.txt")) == []


def test_base_stays_light() -> None:
    heavy = {"torch", "ray", "fastapi", "sqlalchemy", "amaranth", "optuna"}
    assert heavy.isdisjoint(pins("requirements.txt"))


@pytest.mark.parametrize("extra", MODULES)
def test_the_command_that_is_advised_names_the_packages_of_an_extra(extra: str) -> None:
    stated = {Requirement(text) for text in PROJECT["optional-dependencies"][extra]}
    assert {Requirement(text) for text in packages(extra)} == stated
    assert shlex.split(how_to_install(extra))[:4] == ["python", "-m", "pip", "install"]


def test_every_extra_has_code() -> None:
    assert set(PROJECT["optional-dependencies"]) - {"dev"} == set(MODULES)


def test_nobody_is_told_to_install_a_name_that_is_not_ours() -> None:
    """Until the name belongs to the project, an index of packages may give somebody else's."""
    advice = re.compile(r"pip3? install [^\n]*\bjiriki\b(?!/)")
    texts = [
        path
        for folder in ("jiriki", "docs", "examples", "bench")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".toml", ".cpp", ".txt"}
    ]
    texts += [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile")]
    assert len(texts) > 100
    assert [path.name for path in texts if advice.search(path.read_text("utf-8"))] == []
