"""Tests stand alone: what several of them share lies in a module that holds no tests."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for room in ("tests", "bench", "docs") for path in (ROOT / room).rglob("*.py"))
TEST_MODULES = {p.stem for p in FILES if p.name.startswith("test_") or p.name == "conftest.py"}


def test_no_file_imports_a_test_module() -> None:
    imports = {
        str(path.relative_to(ROOT)): modules
        for path in FILES
        if (modules := imported_test_modules(path.read_text("utf-8")))
    }
    assert imports == {}, "move what is shared to cases.py or harness.py of its room"


@pytest.mark.parametrize(
    "text",
    [
        "from tests.cli.test_bad_input import refused",
        "from tests.cli import harness, test_bad_input",
        "import tests.cli.test_bad_input as bad",
        "from .test_bad_input import refused",
        "from . import test_bad_input",
        "def late():\n    import test_bad_input",
    ],
)
def test_every_form_of_import_is_seen(text: str) -> None:
    assert imported_test_modules(text) == ["test_bad_input"]


def test_a_part_that_only_sounds_like_a_test_is_none() -> None:
    assert imported_test_modules("from tests.cli.harness import test_bytes") == []


def imported_test_modules(text: str) -> list[str]:
    """Return the test modules that a source imports, anywhere in it."""
    names: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    parts = {part for name in names for part in name.split(".")}
    return sorted(parts & TEST_MODULES)
