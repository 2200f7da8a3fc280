"""The parts of a page, and the page: one design for all, in one file that needs no network.

In: sheets, charts and text. Out: HTML. `page.css` has the colours: each has one meaning on every
page; `page.js` sorts tables. Every figure has a title and a caption that says what it shows; every
table a title. Text given here is text: what would be markup is escaped.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

from jiriki.report.charts import Chart
from jiriki.report.origin import Origin
from jiriki.report.tables import Sheet

DESK_PX, PHONE_PX = 1000, 340  # widths at which every chart is drawn
LISTED_SECTIONS = 3  # a page with fewer has no contents
LONG_TEXT = 24  # characters from which a cell asks for room


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a legend: `shape` is box, faded, dot, hollow, diamond, hollow-diamond, line,
    dash or dots."""

    name: str
    colour: str
    shape: str = "box"


@dataclass(frozen=True, slots=True)
class Section:
    """Parts, as HTML, under a heading that the page's contents lead to."""

    title: str
    body: str

    @property
    def slug(self) -> str:
        """Return the name by which a link reaches it."""
        return "-".join(re.findall(r"\w+", self.title.lower()))


def document(title: str, lead: str, parts: Sequence[str | Section], origin: Origin) -> str:
    """Return a whole page: title and lead are text, parts outside sections are HTML."""
    return Template(_resource("page.html")).substitute(
        title=escape(title),
        lead=escape(lead),
        contents=_contents([part for part in parts if isinstance(part, Section)]),
        body="\n".join(_section(part) if isinstance(part, Section) else part for part in parts),
        version=escape(origin.version),
        origin="\n".join(_line(name, value) for name, value in origin.lines()),
        style=_resource("page.css"),
        script=_resource("page.js"),
    )


def _resource(name: str) -> str:
    return files("jiriki.report").joinpath(name).read_text("utf-8")


def _line(name: str, value: str) -> str:
    return f"<dt>{escape(name)}</dt><dd><code>{escape(value)}</code></dd>"


def section(title: str, *parts: str) -> Section:
    """Put parts under a heading."""
    return Section(title, "\n".join(parts))


def _section(part: Section) -> str:
    heading = f'<h2 id="{part.slug}">{escape(part.title)}</h2>'
    return f'<section aria-labelledby="{part.slug}">{heading}\n{part.body}</section>'


def _contents(sections: Sequence[Section]) -> str:
    if len(sections) < LISTED_SECTIONS:
        return ""
    links = "".join(f'<li><a href="#{s.slug}">{escape(s.title)}</a></li>' for s in sections)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def cards(entries: Iterable[tuple[str, str, str]]) -> str:
    """Return the few numbers that matter: (what, value, remark) each."""
    boxes = (
        f'<div class="card"><span>{escape(what)}</span><b>{escape(value)}</b>'
        f"<small>{escape(remark).replace(' %', '&nbsp;%')}</small></div>"
        for what, value, remark in entries
    )
    return f'<div class="cards">{"".join(boxes)}</div>'


def figure(title: str, chart: Chart, caption: str, keys: Sequence[Key] = ()) -> str:
    """Return a chart with its title, legend and caption, drawn wide and for a phone."""
    return (
        f"<figure><h3>{escape(title)}</h3>{_legend(keys)}"
        f'<div class="desk">{chart.draw(DESK_PX)}</div>'
        f'<div class="phone">{chart.draw(PHONE_PX)}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _legend(keys: Sequence[Key]) -> str:
    entries = (
        f'<li><i class="{key.shape}" style="--c:var(--{key.colour})"></i>{escape(key.name)}</li>'
        for key in keys
    )
    return f'<ul class="keys">{"".join(entries)}</ul>' if keys else ""


def note(text: str) -> str:
    """Return a paragraph of remarks."""
    return f'<p class="note">{escape(text)}</p>'


def details(title: str, *parts: str) -> str:
    """Return parts that open when asked for."""
    return f"<details><summary>{escape(title)}</summary>{''.join(parts)}</details>"


def folded(sheet: Sheet) -> str:
    """Return a table that opens when asked for."""
    return details(capital(sheet.title), _grid(sheet, {}))


Decor = Mapping[int, Sequence[tuple[str, str]]]  # column -> HTML before and after each row's text


def table(sheet: Sheet, remark: str = "", decor: Decor | None = None) -> str:
    """Return a sheet under its title, every column sortable; `remark` stands below."""
    caption = f"<figcaption>{escape(remark)}</figcaption>" if remark else ""
    title = f"<h3>{escape(capital(sheet.title))}</h3>"
    return f'<figure class="table">{title}{_grid(sheet, decor or {})}{caption}</figure>'


def capital(title: str) -> str:
    """Return a title with its first letter large."""
    return title[:1].upper() + title[1:]


def bar(share: float, colour: str) -> str:
    """Return a bar below the text of a cell; its length is the share of the cell."""
    return f'<i class="bar" style="--c:var(--{colour});--w:{100 * min(1.0, share):.1f}%"></i>'


def tag(colour: str) -> str:
    """Return a small square before the text of a cell."""
    return f'<i class="tag" style="--c:var(--{colour})"></i>'


def _grid(sheet: Sheet, decor: Decor) -> str:
    right = [head.startswith(">") for head in sheet.heads]
    heads = "".join(
        f'<th{_style(at_right, "")} scope="col">{_head(head.lstrip(">"))}</th>'
        for at_right, head in zip(right, sheet.heads, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(_cells(row, right, decor, place))}</tr>\n"
        for place, row in enumerate(sheet.rows)
    )
    label = escape(capital(sheet.title), quote=True)
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">'
        f'<table aria-label="{label}"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _head(text: str) -> str:
    return f'<button type="button">{escape(text)}</button>' if text else ""


def _cells(row: Sequence[str], right: Sequence[bool], decor: Decor, place: int) -> Iterator[str]:
    for column, cell in enumerate(row):
        before, after = decor[column][place] if column in decor else ("", "")
        text = _breakable(cell) if column == 0 else escape(cell)
        yield f"<td{_style(right[column], cell)}>{before}{text}{after}</td>"


def _breakable(name: str) -> str:
    """Let a name break after its dots and slashes, where a column is narrow."""
    return re.sub(r"(?<=[./])(?=.)", "<wbr>", escape(name))


def _style(at_right: bool, cell: str) -> str:
    if at_right:
        return ' class="n"'
    return ' class="w"' if len(cell) > LONG_TEXT else ""
