"""Lines of text on a narrow terminal: they break at spaces, and a path stays one word."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from jiriki.cli.screen import Screen

PATH = f"/home/{'a-long-name/' * 8}digits.html"


def shown(text: str, width: int = 60) -> list[str]:
    screen, out = Screen("profile", False), StringIO()
    screen.out = Console(file=out, width=width, highlight=False)
    screen.result({}, lambda: [text])
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a short line", ["a short line"]),
        (f"report           {PATH}", ["report", PATH]),
        (f"timeline nano    {PATH}  (open at x)", ["timeline nano", PATH, "(open at x)"]),
        ("a\n  b", ["a", "  b"]),
        ("1,234 " * 11, ["1,234 " * 9 + "1,234", "1,234"]),
        ("数" * 20 + " " + "数" * 20, ["数" * 20, "数" * 20]),
        ("x" * 60 + " y", ["x" * 60, "y"]),
    ],
)
def test_lines_break_at_spaces_only(text: str, lines: list[str]) -> None:
    assert [line.rstrip() for line in shown(text)] == lines
