"""What is pinned is what pyproject.toml allows."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

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
