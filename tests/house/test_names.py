"""A name says what its value is: no participle or pronoun that would fit any value is bound.

`made`, `found` or `one` tell a reader nothing; `program`, `conflicts` or `layer` do.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EMPTY = {"made", "given", "found", "one", "kept", "told", "said"}


@pytest.mark.parametrize("room", ["jiriki", "bench", "docs", "tests"])
def test_no_empty_name_is_bound(room: str) -> None:
    places = [
        f"{path.relative_to(ROOT).as_posix()}:{line}: {name}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, name in empty_names(path.read_text("utf-8"))
    ]
    assert not places, "call the value what it is: " + ", ".join(places)


@pytest.mark.parametrize(
    "text",
    [
        "made = 1",
        "made: int = 1",
        "a, *made = b",
        "made += 1",
        "for made in b: pass",
        "[made for made in b]",
        "if made := b: pass",
        "with b as made: pass",
        "def f(made): pass",
        "def f(*, made=1): pass",
        "def f(*made): pass",
        "lambda made: b",
        "def made(): pass",
        "async def made(): pass",
        "class made: pass",
        "import b as made",
        "from b import c as made",
        "try: pass\nexcept OSError as made: pass",
        "match b:\n    case [made]: pass",
        "match b:\n    case [*made]: pass",
        "match b:\n    case {**made}: pass",
    ],
)
def test_every_way_to_bind_is_seen(text: str) -> None:
    assert {name for _, name in empty_names(text)} == {"made"}


@pytest.mark.parametrize(
    "text", ["from hypothesis import given", "a.made = 1", "f(made=1)", "made"]
)
def test_a_name_of_somebody_else_is_no_matter(text: str) -> None:
    assert empty_names(text) == []


def empty_names(text: str) -> list[tuple[int, str]]:
    """Return line and name wherever a source binds a name that says nothing."""
    bindings = [_binding(node) for node in ast.walk(ast.parse(text))]
    return sorted(binding for binding in bindings if binding and binding[1] in EMPTY)


def _binding(node: ast.AST) -> tuple[int, str] | None:
    match node:
        case (
            ast.Name(id=str(name), ctx=ast.Store(), lineno=line)
            | ast.arg(arg=str(name), lineno=line)
            | ast.alias(asname=str(name), lineno=line)
            | ast.FunctionDef(name=str(name), lineno=line)
            | ast.AsyncFunctionDef(name=str(name), lineno=line)
            | ast.ClassDef(name=str(name), lineno=line)
            | ast.ExceptHandler(name=str(name), lineno=line)
            | ast.MatchAs(name=str(name), lineno=line)
            | ast.MatchStar(name=str(name), lineno=line)
            | ast.MatchMapping(rest=str(name), lineno=line)
        ):
            return line, name
    return None
