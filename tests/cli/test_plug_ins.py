"""Engines of installed packages are found by name; a faulty one is a fault, not a refusal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jiriki.chip import load_chip
from jiriki.engines import EngineError, engine_names, load_engine

MODULE = """
from jiriki.program import Engine

class Faulty(Engine):
    name = "faulty"
    def place(self, program):
        raise ZeroDivisionError("a fault inside")
"""


ENDS = MODULE.replace('ZeroDivisionError("a fault inside")', 'EOFError("marshal data too short")')


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package on the path that offers two engines, one of which does not exist."""
    folder = tmp_path / "faulty-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[jiriki.engines]\nfaulty = faulty_engine:Faulty\nabsent = no_such_module:Engine\n"
    )
    (tmp_path / "faulty_engine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("faulty_engine", None)


def test_ours_are_there() -> None:
    assert engine_names()[:2] == ("functional", "timing")
    assert load_engine("timing", load_chip("nano")).name == "timing"


def test_unknown_engine_names_those_there_are() -> None:
    with pytest.raises(EngineError, match="'gpu' is not installed; choose functional, timing"):
        load_engine("gpu", load_chip("nano"))


@pytest.mark.usefixtures("installed")
def test_a_plug_in_is_found_by_name() -> None:
    assert {"faulty", "absent"} <= set(engine_names())
    assert load_engine("faulty", load_chip("nano")).name == "faulty"


@pytest.mark.usefixtures("installed")
def test_a_plug_in_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(EngineError, match="'absent': no_such_module:Engine"):
        load_engine("absent", load_chip("nano"))


@pytest.mark.usefixtures("installed")
def test_a_fault_is_code_3_and_one_line(jiriki, folder: Path) -> None:
    done = jiriki("run", folder / "qdq.onnx", "--engine", "faulty", "--input", folder / "input.npz")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert "ZeroDivisionError: a fault inside" in done.err


@pytest.mark.usefixtures("installed")
def test_a_file_that_ends_too_soon_is_a_fault_too(jiriki, folder: Path, tmp_path: Path) -> None:
    """Typer takes an EOFError for an interruption, and says no more."""
    (tmp_path / "faulty_engine.py").write_text(ENDS)
    done = jiriki("run", folder / "qdq.onnx", "--engine", "faulty", "--input", folder / "input.npz")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert "EOFError: marshal data too short" in done.err
