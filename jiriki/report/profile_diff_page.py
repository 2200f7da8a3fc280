"""The page of two profiles compared: `jiriki diff --out`.

In: a ProfileDiff, the page's origin. Out: the page's text: the whole runs as cards, the layers that
changed as points before and after on one axis, and as a table, largest change first.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from jiriki.report.charts import Dot, Row, Rows
from jiriki.report.html import Key, Section, cards, document, figure, note, section, table
from jiriki.report.origin import Origin
from jiriki.report.profile_diff import (
    Cost,
    LayerChange,
    ProfileDiff,
    change_text,
    changes_sheet,
    totals_sheet,
)
from jiriki.report.quantities import data
from jiriki.report.svg import log_axis

DRAWN_LAYERS = 30  # in a figure, the largest changes; the table holds all
KEYS = (Key("before", "muted", "hollow"), Key("after", "ink", "dot"))

Quantity = Callable[[Cost], int]


def diff_page(diff: ProfileDiff, origin: Origin) -> str:
    """Return the page."""
    before, after = diff.names
    parts: list[str | Section] = [cards(_cards(diff)), section("Layers", *_layers(diff))]
    return document(f"{before} and {after}", _lead(diff), parts, origin)


def _lead(diff: ProfileDiff) -> str:
    a, b = diff.before.cycles, diff.after.cycles
    before, after = diff.names
    cycles = f"{before} takes {a:,} cycles, {after} {b:,}: {change_text(a, b)}."
    if diff.changed:
        return f"{cycles} {len(diff.changed)} of {len(diff.layers)} layers changed."
    return f"{cycles} No layer changed."


def _cards(diff: ProfileDiff) -> Iterator[tuple[str, str, str]]:
    for name, before, after, change in totals_sheet(diff).rows:
        yield name, after, f"{change}, before {before}"


def _layers(diff: ProfileDiff) -> Iterator[str]:
    if not diff.changed:
        yield note("Every layer takes the same cycles, DRAM traffic and energy in both profiles.")
        return
    if any(change.cycles for change in diff.layers):
        yield _cycles_figure(diff)
    if any(_change(layer, _dram_bytes) for layer in diff.layers):
        yield _traffic_figure(diff)
    remark = (
        "Press a head to sort. Cycles are spans and neighbours overlap, so their changes need not "
        "add up to that of the run."
    )
    yield table(changes_sheet(diff, len(diff.layers)), remark)


def _cycles_figure(diff: ProfileDiff) -> str:
    most = max(diff.layers, key=lambda layer: abs(layer.cycles))
    caption = (
        f"{_count(diff, _cycles, 'fewer cycles', 'more')} {most.name} changed most, by "
        f"{most.cycles:+,} cycles; the run changed by {diff.after.cycles - diff.before.cycles:+,}."
    )
    chart = _points("Cycles of layers before and after", diff, _cycles, _cycles_text)
    chart = replace(chart, axis=replace(chart.axis, title="cycles"))
    return figure("Cycles before and after", chart, caption, KEYS)


def _traffic_figure(diff: ProfileDiff) -> str:
    most = max(diff.layers, key=lambda layer: abs(_change(layer, _dram_bytes)))
    change = _change(most, _dram_bytes)
    caption = (
        f"{_count(diff, _dram_bytes, 'fewer bytes', 'more')} {most.name} changed most, by "
        f"{data(abs(change))} {'more' if change > 0 else 'less'}."
    )
    chart = _points("DRAM traffic of layers before and after", diff, _dram_bytes, data)
    axis = replace(chart.axis, title="over the DRAM port", label=data)
    return figure("DRAM traffic before and after", replace(chart, axis=axis), caption, KEYS)


def _points(
    label: str, diff: ProfileDiff, quantity: Quantity, written: Callable[[float], str]
) -> Rows:
    """Put the layers whose quantity changed most on one axis, a point before and one after."""
    ranked = sorted(_moved(diff, quantity), key=lambda layer: -abs(_change(layer, quantity)))
    rows = tuple(Row(layer.name, dots=tuple(_dots(layer, quantity, written)))
                 for layer in ranked[:DRAWN_LAYERS])  # fmt: skip
    return Rows(label, rows, log_axis("", [dot.at for row in rows for dot in row.dots]))


def _dots(layer: LayerChange, quantity: Quantity, written: Callable[[float], str]) -> Iterator[Dot]:
    for key, cost in zip(KEYS, (layer.before, layer.after), strict=True):
        if cost is not None:
            value = quantity(cost)
            tip = f"{layer.name} {key.name}: {written(value)}"
            yield Dot(value, key.colour, tip, hollow=key.shape == "hollow")


def _count(diff: ProfileDiff, quantity: Quantity, fewer: str, more: str) -> str:
    """Say how the figure is read, and how many layers take less and more."""
    moved: Sequence[LayerChange] = _moved(diff, quantity)
    less = sum(_change(layer, quantity) < 0 for layer in moved)
    shown = min(DRAWN_LAYERS, len(moved))
    return (
        f"The {shown} largest of {len(moved)} changes, logarithmic: a filled point left of its "
        f"hollow one is a gain. {less} take {fewer}, {len(moved) - less} take {more}."
    )


def _moved(diff: ProfileDiff, quantity: Quantity) -> list[LayerChange]:
    return [layer for layer in diff.layers if _change(layer, quantity)]


def _change(layer: LayerChange, quantity: Quantity) -> int:
    before, after = (quantity(cost) if cost else 0 for cost in (layer.before, layer.after))
    return after - before


def _cycles(cost: Cost) -> int:
    return cost.cycles


def _dram_bytes(cost: Cost) -> int:
    return cost.dram_bytes


def _cycles_text(cycles: float) -> str:
    return f"{cycles:,.0f} cycles"
