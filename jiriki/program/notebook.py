"""Tables for notebooks: what Run and Profile show when a notebook displays them.

In: text. Out: HTML that stands alone: no script, no network, no colours of its own (it reads on a
light and on a dark page), every text escaped.
"""

from collections.abc import Iterable, Sequence
from html import escape

_LINE = "border-bottom:1px solid;border-color:color-mix(in srgb,currentColor 20%,transparent)"
_SPACE = "padding:.15em .8em .15em 0"


def html_table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return one table; a head that starts with `>` is that of a column of numbers."""
    sides = ["right" if head.startswith(">") else "left" for head in heads]
    names = [head.removeprefix(">") for head in heads]
    top = _row("th", names, sides) if any(names) else ""
    body = "".join(_row("td", row, sides) for row in rows)
    return (
        '<table style="border-collapse:collapse;font-variant-numeric:tabular-nums;'
        f'margin:.5em 0"><caption style="text-align:left;font-weight:bold">{escape(title)}'
        f"</caption>{top}{body}</table>"
    )


def _row(tag: str, cells: Sequence[str], sides: Sequence[str]) -> str:
    inner = "".join(
        f'<{tag} style="text-align:{side};{_SPACE};{_LINE}">{escape(cell)}</{tag}>'
        for cell, side in zip(cells, sides, strict=True)
    )
    return f"<tr>{inner}</tr>"
