"""The tutorial's commands and code work, in its order, in an empty folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```$", TUTORIAL.read_text("utf-8"), re.M | re.S)


def test_tutorial(jiriki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = []
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, str(TUTORIAL), "exec"), {})
            continue
        for line in block.splitlines():
            name, *arguments = shlex.split(line)
            done = jiriki(*arguments)
            assert (name, done.code, done.err) == ("jiriki", 0, ""), line
            ran.append(arguments[0])
    assert {"run", "profile", "compile", "disasm", "chips", "models", "coverage"} == set(ran)
    assert np.load("features.npz")["features"].shape == (1, 16, 1, 1)
    assert {p.name for p in Path("reports").iterdir()} == {
        "small.html", "small-e256.trace.json", "small-vta256.trace.json",
    }  # fmt: skip
