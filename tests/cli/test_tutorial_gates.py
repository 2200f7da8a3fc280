"""The tutorial of gates works in its order; its outputs and pictures are those of its commands."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.cli.harness import Command

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "tutorial-gates.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```$", TEXT, re.M | re.S)
VERIFIED = re.findall(r"^    ((?:elements|cycles|instructions|counters) .*)$", TEXT, re.M)


def test_the_commands_work(
    jiriki: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but `rtl`, which test_rtl.py runs."""
    monkeypatch.syspath_prepend(DOCS)
    shutil.copytree(DOCS.parent / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    ran = []
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, str(PAGE), "exec"), {})
        elif not block.startswith("jiriki rtl"):
            done = jiriki(*shlex.split(block)[1:])
            assert (done.code, done.err) == (0, ""), block
            ran.append(done.out)
    assert (len(ran), len(VERIFIED)) == (5, 5)
    for line in VERIFIED:  # column widths follow the seconds that it took
        assert re.search(r"\s+".join(map(re.escape, line.split())), ran[1]), line
    assert re.search(r"cycles of one inference +309\b", ran[3])
    for name, drawn in importlib.import_module("waves").pictures(tmp_path / "wave.vcd").items():
        assert (DOCS / "images" / name).read_text("utf-8") == drawn, "run `make docs-gates`"


@pytest.mark.full
def test_the_page_is_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS)
    refreshed = importlib.import_module("shown").refreshed
    assert refreshed(TEXT, tmp_path) == TEXT, "run `make docs-gates`"
