"""The architecture page names files that exist: a stranger who follows a walk finds each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PATHS = sorted(set(re.findall(r"`((?:jiriki|tests|bench|docs)/[\w/.]+)`", PAGE)))
PLACES = {"UNIT": ("dma", "matrix", "vector"), "FORMAT": ("onnx",), "NAME": ("e256",)}


def spelled_out(path: str) -> list[str]:
    """Return the paths that a path with a word in capitals stands for."""
    for word, names in PLACES.items():
        if word in path:
            return [path.replace(word, name) for name in names]
    return [path]


@pytest.mark.parametrize("path", [real for path in PATHS for real in spelled_out(path)])
def test_a_file_that_the_page_names_exists(path: str) -> None:
    if path == "tests/frontend/onnx/":  # ONNX came first: its tests are the room's own
        path = "tests/frontend/"
    assert (ROOT / path).exists()


def test_every_walk_names_at_most_five_places() -> None:
    walks = re.split(r"^### ", PAGE.split("## Where a change goes")[1], flags=re.MULTILINE)[1:6]
    assert len(walks) == 5
    for walk in walks:
        assert len(re.findall(r"^\d\. ", walk, flags=re.MULTILINE)) <= 5
