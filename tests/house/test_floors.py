"""The house keeps its rules: imports point down, files say what they are, sizes stay readable."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jiriki"
FILES = sorted(PACKAGE.rglob("*.py"))

FILE_LINES = 600
LARGE_FILE_LINES = 900  # data tables and isa/
LARGE_FILES = ("isa/", "graph/ops.py", "cost/tables")
FUNCTION_LINES = 60

NAMES = [path.relative_to(PACKAGE).as_posix() for path in FILES]


def test_imports_point_down(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(ROOT)
    code = lint_imports(no_cache=True)
    assert code == 0, capsys.readouterr().out


def test_every_room_stands_on_a_floor() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c["layers"] for c in linter["contracts"] if c["id"] == "floors")
    floors = {room.strip("() ") for layer in layers for room in layer.split("|")}
    rooms = {path.parent.name if path.stem == "__init__" else path.stem for path in _rooms()}
    assert rooms - floors == set()


def _rooms() -> list[Path]:
    modules = [path for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")]
    return [*modules, *PACKAGE.glob("*/__init__.py")]


def test_every_folder_with_python_is_a_package() -> None:
    folders = {path.parent for path in FILES}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_file_says_what_it_holds(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{path}: no module docstring"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_file_and_functions_are_short_enough(path: Path) -> None:
    text = path.read_text("utf-8")
    name = path.relative_to(PACKAGE).as_posix()
    limit = LARGE_FILE_LINES if name.startswith(LARGE_FILES) else FILE_LINES
    assert len(text.splitlines()) <= limit
    long = {node.name: _lines(node) for node in _functions(text) if _lines(node) > FUNCTION_LINES}
    assert long == {}


def _functions(text: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(ast.parse(text))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno, "parsed from text"
    return node.end_lineno - node.lineno + 1
