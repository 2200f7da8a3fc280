"""The demo classifies a photo exactly as ONNX Runtime does, and the README shows its output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.house.documents import GENERATE


@pytest.mark.full
def test_demo_is_right_and_exact(jiriki, tmp_path: Path) -> None:
    done = jiriki("demo", "--out", tmp_path, "--json")
    shown = json.loads(done.out)
    assert shown["label_in_top"] is True
    assert (shown["elements"], shown["differing_elements"]) == (1000, 0)
    assert shown["cycles"] <= 2_200_000
    assert all(Path(path).is_file() for path in shown["files"].values())


@pytest.mark.full
def test_readme_shows_what_the_demo_prints() -> None:
    readme = (GENERATE.ROOT / "README.md").read_text("utf-8")
    assert readme == GENERATE.readme_with(GENERATE.demo_block()), "run `make docs-demo`"
