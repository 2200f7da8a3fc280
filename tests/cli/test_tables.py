"""The tables of every command on narrow and wide terminals: no digit is cut, no two names alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from jiriki.cli.screen import Screen
from jiriki.report.tables import Sheet, TerminalTable

COMMANDS = (
    ("chips",), ("chips", "nano"), ("models",), ("models", "ppocr-rec"), ("coverage",),
    ("examples",), ("products",), ("products", "h20"), ("export-check", "h20"),
    ("cost", "nano"), ("cost", "h20"), ("compare", "bert-large"),
    ("run", "QDQ", "--chip", "nano", "--input", "INPUT"),
    ("profile", "QDQ", "--chip", "nano", "--chip", "e256", "--out", "OUT"),
    ("diff", "QDQ", "QDQ", "--chip", "nano", "--chip", "e256"),
    ("sweep", "QDQ", "--chip", "nano", "--vary", "mu=4,8,5", "--out", "OUT", "--jobs", "1"),
)  # fmt: skip


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[RenderableType]]:
    """What the command shows, before a width is chosen."""
    shown: list[RenderableType] = []

    def keep(
        self: Screen,
        payload: Mapping[str, Any],
        render: Callable[[], Iterable[RenderableType]],
    ) -> None:
        del self, payload
        shown.extend(render())

    monkeypatch.setattr(Screen, "result", keep)
    yield shown


def printed(sheet: Sheet, width: int) -> str:
    out = StringIO()
    Console(file=out, width=width, highlight=False).print(TerminalTable(sheet))
    return out.getvalue()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_table_cuts_a_digit_or_makes_two_names_alike(
    jiriki, parts: list[RenderableType], words: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    places = {"QDQ": folder / "qdq.onnx", "INPUT": folder / "input.npz", "OUT": tmp_path}
    assert jiriki(*(places.get(word, word) for word in words)).code == 0
    tables = [part.sheet for part in parts if isinstance(part, TerminalTable)]
    assert tables
    for sheet in tables:
        for width in (60, 80, 200):
            assert faults(sheet, printed(sheet, width), width) == []


def faults(sheet: Sheet, text: str, width: int) -> list[str]:
    """Return what the text loses of the sheet."""
    bare = "".join(text.split())
    numbers = [i for i, head in enumerate(sheet.heads) if head.startswith(">")]
    names = [row[0] for row in sheet.rows if len(row[0]) <= 28 and " " not in row[0]]
    return [
        *(f"too wide: {line}" for line in text.splitlines() if cell_len(line) > width),
        *(f"cut: {cell}" for row in sheet.rows for cell in row if "…" in bare and "…" not in cell),
        *(f"broken: {row[i]}" for row in sheet.rows for i in numbers if row[i] not in text),
        *(f"broken name: {name}" for name in names if name not in text),
    ]
