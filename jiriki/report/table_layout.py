"""How a table fits the width of a terminal without losing a character.

In: the heads and rows of a Sheet and a width in columns of the terminal. Out: blocks of the table's
columns with their widths. Numbers stay whole on one line; text wraps at spaces; a word longer than
its column breaks after a dot, a slash or a low line. What does not fit beside each other stands
below each other: the first columns, which tell the rows apart, begin every block. None means that
not even this fits: each row becomes a list of its fields.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

Rows = Sequence[Sequence[str]]

GAP = 3  # blank columns between two columns of the table
EDGES = 4  # blank columns at both sides of it
LEAST_TEXT = 16  # a column of sentences is no narrower, where it can be helped
LONGEST_WORD = 28  # longer words, such as hashes and paths, may break
_PART = re.compile(r"[^./_]+[./_]*|[./_]+")  # of a word: it may break after each


@dataclass(frozen=True, slots=True)
class Block:
    """Columns of the table that stand beside each other, and their widths."""

    columns: tuple[int, ...]
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column's width on one line, and the least that it can do with."""

    natural: int
    least: int


def layout(heads: Sequence[str], rows: Rows, width: int) -> tuple[Block, ...] | None:
    """Return the blocks; a head that starts with `>` is of numbers."""
    columns = [_column(head, [row[i] for row in rows]) for i, head in enumerate(heads)]
    everything = tuple(range(len(heads)))
    if _needed(columns, everything) <= width:
        return (_block(columns, everything, width),)
    keys = _keys(rows, len(heads))
    groups = _groups(columns, keys, width)
    if groups is None:
        return None
    return tuple(_block(columns, group, width) for group in groups)


def _column(head: str, cells: Sequence[str]) -> _Column:
    title = head.lstrip(">")
    words = _longest(title.split())
    natural = max(_longest(line for cell in cells for line in cell.splitlines()), cell_len(title))
    if head.startswith(">"):
        return _Column(natural, max(words, _longest(cells)))
    word = max((_least(word) for cell in cells for word in cell.split()), default=0)
    return _Column(natural, min(natural, max(words, LEAST_TEXT, word)))


def _least(word: str) -> int:
    """Return the columns that a word takes at least."""
    whole = cell_len(word)
    return whole if whole <= LONGEST_WORD else min(LONGEST_WORD, _longest(_PART.findall(word)))


def broken(cell: str, width: int) -> str:
    """Return the cell, each word that is longer than the width broken between its parts."""
    return re.sub(r"\S+", lambda word: "\n".join(_lines(word[0], width)), cell)


def _lines(word: str, width: int) -> list[str]:
    if cell_len(word) <= width:
        return [word]
    lines = [""]
    for part in _PART.findall(word):
        if lines[-1] and cell_len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return lines


def _longest(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _needed(columns: Sequence[_Column], chosen: Sequence[int]) -> int:
    return sum(columns[i].least for i in chosen) + GAP * (len(chosen) - 1) + EDGES


def _keys(rows: Rows, count: int) -> tuple[int, ...]:
    """Return the fewest first columns that tell all rows apart."""
    for number in range(1, count + 1):
        if len({tuple(row[:number]) for row in rows}) == len(rows):
            return tuple(range(number))
    return tuple(range(count))


def _groups(
    columns: Sequence[_Column], keys: tuple[int, ...], width: int
) -> list[tuple[int, ...]] | None:
    """Fill blocks from the left; None when a column does not fit beside the keys."""
    groups, group = [], keys
    for i in range(len(keys), len(columns)):
        if _needed(columns, (*keys, i)) > width:
            return None
        if _needed(columns, (*group, i)) > width:
            groups.append(group)
            group = keys
        group = (*group, i)
    return [*groups, group] if _needed(columns, group) <= width else None


def _block(columns: Sequence[_Column], chosen: tuple[int, ...], width: int) -> Block:
    """Give every column its natural width, then take from the widest what is too much."""
    widths = {i: columns[i].natural for i in chosen}
    too_much = _needed(columns, chosen) - sum(columns[i].least for i in chosen) - width
    too_much += sum(widths.values())
    for _ in range(max(0, too_much)):
        widest = max((i for i in chosen if widths[i] > columns[i].least), key=lambda i: widths[i])
        widths[widest] -= 1
    return Block(chosen, tuple(widths.values()))
