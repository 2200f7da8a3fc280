"""Tables on terminals of any width: nothing is cut, numbers stay on one line."""

from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from jiriki.report.table_layout import Block, layout
from jiriki.report.tables import Sheet, rich_table

NAMES = st.text("abcdefghij/._-", min_size=1, max_size=50)
SENTENCES = st.lists(st.text("abcdefghij", min_size=1, max_size=12), max_size=12).map(" ".join)
NUMBERS = st.from_regex(r"[0-9]{1,3}(,[0-9]{3}){0,3}( (kB|GB/s|%))?", fullmatch=True)
LABELS = st.lists(st.text("abcdefgh", min_size=1, max_size=11), min_size=1, max_size=3)
HEADS = LABELS.map(" ".join)


@st.composite
def sheets(draw: st.DrawFn) -> Sheet:
    """A column of unlike names, then columns of numbers and of text."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    kinds = draw(st.lists(st.booleans(), max_size=9))
    heads = (draw(HEADS), *(draw(HEADS.map(lambda h: f">{h}") if n else HEADS) for n in kinds))
    rows = tuple((name, *(draw(NUMBERS if n else SENTENCES) for n in kinds)) for name in names)
    return Sheet("title", heads, rows)


def printed(sheet: Sheet, width: int) -> str:
    out = StringIO()
    Console(file=out, width=width, highlight=False).print(rich_table(sheet))
    return out.getvalue()


@given(sheets(), st.integers(60, 200))
def test_nothing_is_cut_and_numbers_stay_on_a_line(sheet: Sheet, width: int) -> None:
    text = printed(sheet, width)
    assert "…" not in text
    assert [line for line in text.splitlines() if cell_len(line) > width] == []
    numbers = [i for i, head in enumerate(sheet.heads) if head.startswith(">")]
    assert [row[i] for row in sheet.rows for i in numbers if row[i] not in text] == []
    shown = "".join(sorted("".join(text.split())))
    for letter in set("".join(cell for row in sheet.rows for cell in row)) - {" "}:
        expected = sum(cell.count(letter) for row in sheet.rows for cell in row)
        assert shown.count(letter) >= expected


@given(sheets(), st.integers(60, 200))
def test_every_column_stands_in_a_block_whose_widths_fit(sheet: Sheet, width: int) -> None:
    blocks = layout(sheet.heads, sheet.rows, width)
    if blocks is None:
        return
    assert {i for block in blocks for i in block.columns} == set(range(len(sheet.heads)))
    assert all(sum(b.widths) + 3 * len(b.widths) + 1 <= width for b in blocks)
    assert all(block.columns[0] == 0 for block in blocks)


def test_a_table_that_fits_is_one_block_of_natural_widths() -> None:
    rows = (("conv", "1,234"), ("a pool", "5"))
    assert layout(("name", ">cycles"), rows, 80) == (Block((0, 1), (6, 6)),)


def test_sentences_give_way_before_numbers_do() -> None:
    blocks = layout(("name", ">cycles", "why"), (("conv", "1,234", "word " * 20),), 60)
    assert blocks == (Block((0, 1, 2), (4, 6, 60 - 4 - 4 - 6 - 2 * 3)),)


def test_blocks_begin_with_what_tells_the_rows_apart() -> None:
    rows = tuple((chip, mode, *["123,456,789"] * 5) for chip in "ab" for mode in "xy")
    blocks = layout(("chip", "mode", *[">number"] * 5), rows, 60)
    assert blocks is not None and len(blocks) == 2
    assert [block.columns[:2] for block in blocks] == [(0, 1), (0, 1)]


def test_rows_become_lists_of_fields_where_no_two_columns_fit() -> None:
    energy = "12345 " * 5 + "1"
    sheet = Sheet("t", ("name", ">energy"), (("n" * 28, energy),))
    assert layout(sheet.heads, sheet.rows, 60) is None
    assert [line.split() for line in printed(sheet, 60).splitlines() if line.strip()] == [
        ["t"], ["name", "n" * 28], ["energy", *["12345"] * 5, "1"],
    ]  # fmt: skip


@pytest.mark.parametrize("cell", ["[red]", "[/]", "a\\[b]"])
def test_markup_is_text(cell: str) -> None:
    assert cell in printed(Sheet("t", ("a",), ((cell,),)), 60)


def test_a_word_longer_than_its_column_breaks_between_its_parts() -> None:
    name, text = "com.microsoft.QLinearGlobalAveragePool", "word " * 20
    shown = printed(Sheet("title", ("operator", "how"), ((name, text), ("Abs", text))), 60)
    lines = [line.split()[0] for line in shown.splitlines() if line.strip()]
    assert lines[3:5] == ["com.microsoft.", "QLinearGlobalAveragePool"]
