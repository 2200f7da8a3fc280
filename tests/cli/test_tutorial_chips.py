"""The tutorial of chips of one's own works in its order, and shows what its commands print."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_tutorial_is_fresh(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("docs_shown", DOCS / "shown.py")
    assert spec and spec.loader
    shown = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shown)
    page = (DOCS / "tutorial-chips.md").read_text("utf-8")
    fresh = shown.refreshed(page, tmp_path)
    assert fresh == page, "run `python docs/shown.py docs/tutorial-chips.md`"
    assert len(list((tmp_path / "sweep" / "rows").iterdir())) == 8  # of 12, 4 break a rule
