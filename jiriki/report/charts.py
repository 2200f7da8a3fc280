"""The kinds of chart that pages draw: rows, planes, months.

In: rows, points or months with their values. Out: SVG of any width (`draw`). On a logarithmic axis
a value is a point with a whisker, never a bar: a bar's length would mean nothing there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from jiriki.report import svg
from jiriki.report.svg import CHARACTER_PX, Axis

LINE_BOX_PX = 8  # of the boxes that keep names off a line
EDGE_PX = 8  # that a label may stand beyond its axis
RULE_PX = 36  # between horizontal rules, at least
NARROW_PX = 500  # below it a chart puts names above their rows


class Chart(Protocol):
    """Anything that draws itself at a width."""

    def draw(self, width: int) -> str: ...


@dataclass(frozen=True, slots=True)
class Span:
    """A bar from one value to another."""

    start: float
    end: float
    colour: str
    tip: str = ""
    text: str = ""  # written inside where it fits
    faded: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """A point on a row."""

    at: float
    colour: str
    tip: str = ""
    shape: str = "circle"
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a chart of rows."""

    name: str
    spans: tuple[Span, ...] = ()
    dots: tuple[Dot, ...] = ()
    whisker: tuple[float, float] | None = None
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across a chart, numbered; the page names the number beside."""

    at: float
    number: int
    tip: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Named rows over one axis: bars on a linear one, points with whiskers on any."""

    label: str
    rows: tuple[Row, ...]
    axis: Axis
    marks: tuple[Mark, ...] = ()

    def draw(self, width: int) -> str:
        narrow = width < NARROW_PX
        longest = max((len(row.name) for row in self.rows), default=0)
        left = 8 if narrow else min(260, 18 + longest * 7)
        right, top, pitch = width - 16, 26 if self.marks else 10, 38 if narrow else 25
        bottom = top + pitch * len(self.rows)
        content = [*_grid(self.axis, left, right, top, bottom)]
        for place, row in enumerate(self.rows):
            y = top + pitch * (place + 0.5) + (7 if narrow else 0)
            content += self._row(row, y, left, right, narrow)
        content += [
            _mark(mark, left + self.axis.share(mark.at) * (right - left), top, bottom)
            for mark in self.marks
        ]
        if not self.axis.title:
            return svg.drawing(width, bottom + 24, self.label, content)
        content.append(svg.text(right, bottom + 38, self.axis.title, anchor="end", style="muted"))
        return svg.drawing(width, bottom + 46, self.label, content)

    def _row(self, row: Row, y: float, left: float, right: float, narrow: bool) -> Iterator[str]:
        def at(value: float) -> float:
            return left + self.axis.share(value) * (right - left)

        style = "strong" if row.strong else ""
        if narrow:
            name = cut(row.name, int((right - left) / CHARACTER_PX))
            yield svg.text(left, y - 12, name, style=style)
        else:
            room = int((left - 14) / CHARACTER_PX)
            yield svg.text(left - 8, y + 4, cut(row.name, room), anchor="end", style=style,
                           hint=row.name if len(row.name) > room else "")  # fmt: skip
        for span in row.spans:
            x, wide = at(span.start), at(span.end) - at(span.start)
            yield svg.box(x, y - 8, wide, 16, span.colour, span.tip, span.faded)
            if span.text and len(span.text) * CHARACTER_PX + 8 < wide:
                style = "on-idle" if span.colour == "idle" else "on"
                yield svg.text(x + 4, y + 4, span.text, style=style, hint=span.tip)
        if row.whisker:
            yield from _whisker(at(row.whisker[0]), at(row.whisker[1]), y)
        for dot in row.dots:
            yield svg.dot(at(dot.at), y, 11, dot.colour, dot.tip, dot.shape, dot.hollow)


def _whisker(low: float, high: float, y: float) -> Iterator[str]:
    """Yield a range's line and ends, with a rim that sets it off from a bar behind it."""
    for colour, width in (("panel", 4.0), ("whisker", 1.5)):
        rim = 1 if colour == "panel" else 0
        yield svg.line(low - rim, y, high + rim, y, colour, width)
        for end in (low, high):
            yield svg.line(end, y - 4 - rim, end, y + 4 + rim, colour, width)


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a plane; its name is written beside it where there is room."""

    x: float
    y: float
    colour: str
    tip: str = ""
    name: str = ""
    size: float = 10
    hollow: bool = False
    shape: str = "circle"


@dataclass(frozen=True, slots=True)
class Line:
    """A line through a plane or over months, or with `fill` an area."""

    points: tuple[tuple[float, float], ...]
    colour: str
    dash: str = ""
    fill: bool = False
    width: float = 1.5


@dataclass(frozen=True, slots=True)
class Plane:
    """Points over two axes, over lines and areas."""

    label: str
    x: Axis
    y: Axis
    points: tuple[Point, ...]  # the first ones are named first
    lines: tuple[Line, ...] = ()
    named: int = 60  # points with a name, at most

    def draw(self, width: int) -> str:
        narrow = width < NARROW_PX
        left, right, top = 46, width - 16, 28
        bottom = top + (300 if narrow else 430)
        content = [
            *_grid(self.x, left, right, top, bottom),
            *_rules(self.y, left, right, top, bottom),
            svg.text(0, 14, self.y.title, style="muted"),
            svg.text(right, bottom + 38, self.x.title, anchor="end", style="muted"),
        ]

        def at(x: float, y: float) -> tuple[float, float]:
            return (
                left + self.x.share(x) * (right - left),
                bottom - self.y.share(y) * (bottom - top),
            )

        crossed: list[Box] = []
        for line in self.lines:
            points = [at(x, y) for x, y in line.points]
            crossed += [] if line.fill else _along(points)
            fill = line.colour if line.fill else ""
            stroke = "" if line.fill else line.colour
            content.append(svg.path(points, stroke, fill, line.width, line.dash))
        placed = [(point, *at(point.x, point.y)) for point in self.points]
        by_size = sorted(placed, key=lambda item: -item[0].size)
        names = self.named // 4 if narrow else self.named
        content += _names(placed[:names], placed, crossed, (left, top, right, bottom))
        content += [
            svg.dot(x, y, point.size, point.colour, point.tip, point.shape, point.hollow)
            for point, x, y in by_size
        ]
        return svg.drawing(width, bottom + 46, self.label, content)


Box = tuple[float, float, float, float]  # left, top, right, bottom
_AROUND = ((1, 0), (-1, 0), (1, -1), (1, 1), (-1, -1), (-1, 1), (0, -1), (0, 1))


def _names(
    wanted: Sequence[tuple[Point, float, float]],
    placed: Sequence[tuple[Point, float, float]],
    crossed: Sequence[Box],
    frame: Box,
) -> Iterator[str]:
    """Yield the names that fit, without covering a point, line or name, with leaders if far."""
    taken = [(x - p.size / 2, y - p.size / 2, x + p.size / 2, y + p.size / 2) for p, x, y in placed]
    taken += crossed
    for point, x, y in wanted:
        if not point.name:
            continue
        name = cut(point.name, 26)
        wide = len(name) * CHARACTER_PX
        for far in (4, 14, 26, 40):
            spot = _free_spot(x, y, point.size / 2 + far, wide, taken, frame)
            if spot:
                taken.append(spot)
                middle, base = (spot[0] + spot[2]) / 2, spot[3] - 3
                if far > 4:
                    edge = min(max(x, spot[0]), spot[2])
                    yield svg.line(x, y, edge, spot[1] if spot[1] > y else spot[3], "whisker", 0.7)
                yield svg.text(middle, base, name, anchor="middle", style="tiny")
                break


def _along(points: Sequence[tuple[float, float]]) -> list[Box]:
    """Return small boxes that cover a line, so that no name is written on it."""
    boxes = []
    for (x0, y0), (x1, y1) in pairwise(points):
        parts = max(1, round(max(abs(x1 - x0), abs(y1 - y0)) / LINE_BOX_PX))
        for i in range(parts):
            x, y = x0 + (x1 - x0) * (i + 0.5) / parts, y0 + (y1 - y0) * (i + 0.5) / parts
            half_x, half_y = abs(x1 - x0) / parts / 2, abs(y1 - y0) / parts / 2
            boxes.append((x - half_x, y - half_y - 1, x + half_x, y + half_y + 1))
    return boxes


def _free_spot(
    x: float, y: float, far: float, wide: float, taken: Sequence[Box], frame: Box
) -> Box | None:
    for across, down in _AROUND:
        left = x + across * far if across > 0 else x - far - wide if across < 0 else x - wide / 2
        top = y + down * far - 7 + (5 * down)
        spot = (left, top, left + wide, top + 13)
        inside = spot[0] >= frame[0] and spot[2] <= frame[2]
        inside = inside and spot[1] >= frame[1] and spot[3] <= frame[3]
        if inside and not any(_meet(spot, other) for other in taken):
            return spot
    return None


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@dataclass(frozen=True, slots=True)
class Series:
    """Values of every month: a part of the bars, or a line."""

    name: str
    values: tuple[float, ...]
    colour: str
    faded: bool = False
    dash: str = ""


@dataclass(frozen=True, slots=True)
class Months:
    """Stacked bars and lines over months; values below zero stack downwards."""

    label: str
    months: tuple[str, ...]
    axis: Axis
    bars: tuple[Series, ...] = ()
    lines: tuple[Series, ...] = ()
    marks: tuple[Mark, ...] = ()  # `at` in months from the first
    height: int = 260

    def draw(self, width: int) -> str:
        left, right, top = 46, width - 8, 44 if self.marks else 28
        bottom = top + self.height
        step = (right - left) / len(self.months)
        content = [
            *_rules(self.axis, left, right, top, bottom),
            svg.text(0, 14, self.axis.title, style="muted"),
            *self._bars(left, step, top, bottom),
        ]
        every = -(-len(self.months) // max(1, int((right - left) // 52)))
        for place, month in enumerate(self.months):
            if place % every == 0:
                x = left + step * (place + 0.5)
                content.append(svg.text(x, bottom + 17, month, anchor="middle", style="muted"))
        for series in self.lines:
            points = [
                (left + step * (i + 0.5), self._at(value, top, bottom))
                for i, value in enumerate(series.values)
            ]
            content.append(svg.path(points, series.colour, "", 2, series.dash))
            content += [
                svg.dot(x, y, 6, series.colour, f"{series.name}, {month}: {_number(value)}")
                for (x, y), month, value in zip(points, self.months, series.values, strict=True)
            ]
        content += [_mark(mark, left + step * mark.at, top, bottom) for mark in self.marks]
        return svg.drawing(width, bottom + 26, self.label, content)

    def _at(self, value: float, top: float, bottom: float) -> float:
        return bottom - self.axis.share(value) * (bottom - top)

    def _bars(self, left: float, step: float, top: float, bottom: float) -> Iterator[str]:
        for place, month in enumerate(self.months):
            above = below = 0.0
            for series in self.bars:
                value = series.values[place]
                if not value:
                    continue
                base = above if value > 0 else below
                y1, y2 = (self._at(v, top, bottom) for v in (base, base + value))
                hint = f"{series.name}, {month}: {_number(abs(value))}"
                yield svg.box(left + step * (place + 0.14), min(y1, y2), step * 0.72,
                              abs(y2 - y1), series.colour, hint, series.faded)  # fmt: skip
                above, below = (above + value, below) if value > 0 else (above, below + value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _grid(axis: Axis, left: float, right: float, top: float, bottom: float) -> Iterator[str]:
    """Yield the vertical lines and labels of an axis below."""
    yield svg.line(left, bottom, right, bottom, "line")
    for tick in axis.ticks(right - left):
        x = left + axis.share(tick) * (right - left)
        yield svg.line(x, top, x, bottom, "grid")
        label = axis.label(tick)
        half = len(label) * CHARACTER_PX / 2
        middle = max(half, min(x, right + EDGE_PX - half))
        yield svg.text(middle, bottom + 17, label, anchor="middle", style="muted")


def _rules(axis: Axis, left: float, right: float, top: float, bottom: float) -> Iterator[str]:
    """Yield the horizontal lines and labels of an axis on the left."""
    for tick in axis.ticks(bottom - top, RULE_PX):
        y = bottom - axis.share(tick) * (bottom - top)
        yield svg.line(left, y, right, y, "line" if tick == 0 else "grid")
        yield svg.text(left - 6, y + 4, axis.label(tick), anchor="end", style="muted")


def _mark(mark: Mark, x: float, top: float, bottom: float) -> str:
    return (
        svg.line(x, top - 4, x, bottom, "event", 1.2, "3 3")
        + svg.dot(x, top - 11, 14, "event", mark.tip)
        + svg.text(x, top - 7.5, str(mark.number), anchor="middle", style="in-mark", hint=mark.tip)
    )


def cut(name: str, most: int) -> str:
    """Shorten a name in its middle: its beginning and its end tell it from others."""
    if len(name) <= most:
        return name
    head = (most - 1) // 2
    return f"{name[:head]}…{name[len(name) - (most - 1 - head) :]}"
