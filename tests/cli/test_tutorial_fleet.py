"""The tutorial of fleets works in its order, and shows what its commands print."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tests.report.harness import faults

DOCS = Path(__file__).parents[2] / "docs"


def test_tutorial_is_fresh(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("docs_shown", DOCS / "shown.py")
    assert spec and spec.loader
    shown = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shown)
    page = (DOCS / "tutorial-fleet.md").read_text("utf-8")
    fresh = shown.refreshed(page, tmp_path)
    assert fresh == page, "run `python docs/shown.py docs/tutorial-fleet.md`"
    assert faults((tmp_path / "plan.html").read_text("utf-8")) == []
