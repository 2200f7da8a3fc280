"""Charts as SVG text: axes and the marks that every chart shares.

In: values, a width in pixels. Out: SVG. Colours are names of the page's own (`page.css`), so that
a chart follows light and dark; a mark's tip is its `<title>`. No chart has a script, an id or a
reference, so a page may hold it twice: once drawn wide, once drawn for a phone.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

TEXT_PX = 12
CHARACTER_PX = 6.5  # mean advance of a character of that size
TICK_ROOM_PX = 56


def element(name: str, attributes: Mapping[str, object], *content: str) -> str:
    """Return an element; numbers are written to a tenth."""
    pairs = "".join(f' {key}="{_written(value)}"' for key, value in attributes.items())
    return f"<{name}{pairs}>{''.join(content)}</{name}>" if content else f"<{name}{pairs}/>"


def _written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return escape(str(value), quote=True)


def colour(name: str) -> str:
    """Return a colour of the page's palette."""
    return f"var(--{name})"


def tip(text: str) -> str:
    """Return the text that shows when a mark is pointed at."""
    return f"<title>{escape(text)}</title>" if text else ""


def drawing(width: float, height: float, label: str, content: Iterable[str]) -> str:
    """Return the whole SVG. `label` is what a screen reader says."""
    attributes = {
        "viewBox": f"0 0 {width:g} {height:g}", "width": width, "height": height, "role": "img",
        "aria-label": label,
    }  # fmt: skip
    return element("svg", attributes, *content, "")


def text(
    x: float, y: float, content: str, *, anchor: str = "start", style: str = "", hint: str = ""
) -> str:
    """Return a line of text; `style` is a class of the page: `muted`, `strong`, `tiny`."""
    attributes: dict[str, object] = {"x": x, "y": y}
    if anchor != "start":
        attributes["text-anchor"] = anchor
    if style:
        attributes["class"] = style
    return element("text", attributes, escape(content), tip(hint))


def line(
    x1: float, y1: float, x2: float, y2: float, stroke: str, width: float = 1, dash: str = ""
) -> str:
    """Return a straight line."""
    attributes: dict[str, object] = {
        "x1": x1, "y1": y1, "x2": x2, "y2": y2, "stroke": colour(stroke), "stroke-width": width,
    }  # fmt: skip
    if dash:
        attributes["stroke-dasharray"] = dash
    return element("line", attributes)


def box(
    x: float, y: float, width: float, height: float, fill: str, hint: str = "", faded: bool = False
) -> str:
    """Return a filled rectangle, never thinner than half a pixel."""
    attributes: dict[str, object] = {
        "x": x, "y": y, "width": max(0.5, width), "height": max(0.5, height), "fill": colour(fill),
    }  # fmt: skip
    if faded:
        attributes["fill-opacity"] = "0.4"
    return element("rect", attributes, *([tip(hint)] if hint else []))


def path(
    points: Iterable[tuple[float, float]], stroke: str = "", fill: str = "", width: float = 1.5,
    dash: str = "", hint: str = "",
) -> str:  # fmt: skip
    """Return a line through points, or with `fill` the area inside them, paler."""
    d = "M" + "L".join(f"{_written(float(x))} {_written(float(y))}" for x, y in points)
    attributes: dict[str, object] = {"d": d + ("Z" if fill else "")}
    attributes |= {"fill": colour(fill) if fill else "none"}
    if stroke:
        attributes |= {"stroke": colour(stroke), "stroke-width": width}
    if dash:
        attributes["stroke-dasharray"] = dash
    return element("path", attributes, *([tip(hint)] if hint else []))


def dot(
    x: float, y: float, size: float, fill: str, hint: str = "", shape: str = "circle",
    hollow: bool = False,
) -> str:  # fmt: skip
    """Return a mark of about `size` pixels around a point: a circle or a diamond."""
    attributes: dict[str, object] = {
        "fill": colour("panel" if hollow else fill), "stroke": colour(fill if hollow else "panel"),
        "stroke-width": 2 if hollow else 1,
    }  # fmt: skip
    if shape == "circle":
        return element("circle", {"cx": x, "cy": y, "r": size / 2, **attributes}, tip(hint))
    r = size * 0.62
    d = f"M{x:.1f} {y - r:.1f}l{r:.1f} {r:.1f}l{-r:.1f} {r:.1f}l{-r:.1f} {-r:.1f}Z"
    return element("path", {"d": d, **attributes}, tip(hint))


def short(value: float) -> str:
    """Return a tick's label: 20000 -> `20k`."""
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) < 1e-4 else f"{value:g}"


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis measures, its ends, and whether it is logarithmic."""

    title: str
    low: float
    high: float
    log: bool = False
    label: Callable[[float], str] = short

    def share(self, value: float) -> float:
        """Return where a value lies between the ends, cut to 0 to 1."""
        if self.log:
            value = max(value, self.low)
            place = log10(value / self.low) / log10(self.high / self.low)
        else:
            place = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, place))

    def ticks(self, room_px: float, apart_px: float = TICK_ROOM_PX) -> list[float]:
        """Return round values for an axis of that length, at least so far apart."""
        most = max(2, int(room_px // apart_px))
        ticks = self._log_ticks(most) if self.log else []
        return ticks if len(ticks) > 1 else self._linear_ticks(most)

    def _linear_ticks(self, most: int) -> list[float]:
        span = self.high - self.low
        size = 10.0 ** floor(log10(span / most))
        step = next(size * k for k in (1, 2, 5, 10) if span / (size * k) <= most)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [round(i * step, 12) for i in range(first, last + 1)]

    def _log_ticks(self, most: int) -> list[float]:
        decades = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
        for digits, every in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 3)):
            ticks = [d * 10.0**e for e in decades if e % every == 0 for d in digits]
            ticks = [tick for tick in ticks if self.low * 0.999 <= tick <= self.high * 1.001]
            if len(ticks) <= most:
                return ticks
        return ticks


def log_axis(title: str, values: Iterable[float], room: float = 1.4) -> Axis:
    """Return a logarithmic axis that holds the positive values with some room."""
    positive = [value for value in values if value > 0] or [1.0]
    return Axis(title, min(positive) / room, max(positive) * room, log=True)


def linear_axis(title: str, values: Iterable[float]) -> Axis:
    """Return an axis from zero, or from below it, that holds the values with some room."""
    values = [0.0, *values]
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 1.0
    return Axis(title, low - room if low < 0 else 0.0, high + room)
