"""The parts that all pages share: design, origin, charts."""

from __future__ import annotations

import re
from importlib.resources import files

import numpy as np
import pytest

from jiriki.report import ReportError
from jiriki.report.charts import Dot, Line, Mark, Months, Plane, Point, Row, Rows, Series, Span
from jiriki.report.html import Key, document, figure, section, table
from jiriki.report.origin import Origin, origin_of
from jiriki.report.svg import Axis, linear_axis, log_axis
from jiriki.report.tables import Sheet
from tests.report.harness import cut_off, faults, read_page

CSS = files("jiriki.report").joinpath("page.css").read_text("utf-8")
LIGHT, DARK = (dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in CSS.split("@media", 2)[:2])
TEXTS = ("ink", "muted")
NO_MARKS = {"ground", "panel", "ink", "muted", "line", "grid", "idle"}  # idle: nothing happens
ROWS = Rows("rows", (Row("a", (Span(0, 5, "compute"),), whisker=(3, 7)),), linear_axis("x", [7]))


def luminance(colour: str) -> float:
    """As https://www.w3.org/TR/WCAG22/#dfn-relative-luminance has it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("palette", [LIGHT, LIGHT | DARK], ids=["light", "dark"])
def test_texts_and_marks_stand_out_from_their_ground(palette: dict[str, str]) -> None:
    for name in TEXTS:
        for ground in ("ground", "panel"):
            assert contrast(palette[name], palette[ground]) >= 4.5, (name, ground)
    for name in palette.keys() - NO_MARKS:
        assert contrast(palette[name], palette["panel"]) >= 3, name


@pytest.mark.parametrize("palette", [LIGHT, LIGHT | DARK], ids=["light", "dark"])
def test_no_colour_has_two_meanings(palette: dict[str, str]) -> None:
    marks = {name: palette[name] for name in palette.keys() - NO_MARKS - {"published"}}
    assert len(set(marks.values())) == len(marks)


def page(title: str = "A page", remark: str = "It grows.") -> str:
    parts = [
        section("One", figure("Growth", ROWS, remark, (Key("work", "compute"),))),
        section("Two", table(Sheet("sizes", ("name", ">bytes"), (("<b>a</b>", "7"),)))),
    ]
    return document(title, "Lead.", parts, Origin())


def test_a_page_keeps_every_rule() -> None:
    assert faults(page()) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("It grows.", "", "figure ['Growth'] has no caption"),
        ("<body>", '<body><script src="https://cdn.example/p.js"></script>', "<script src="),
        ("<body>", '<body><img src="a.png">', "img"),
        ('id="two"', 'id="one"', "id one is there 2 times"),
        ('role="img"', "", "a drawing without a label"),
        ("</h3>", "</h4>", "</h4> closes <h3>"),
        ("made by", "by", "the foot does not say made by"),
    ],
)
def test_the_rules_see_what_breaks_them(before: str, after: str, fault: str) -> None:
    assert any(complaint.startswith(fault) for complaint in faults(page().replace(before, after)))


def test_names_are_text() -> None:
    text = page(title="<script>x</script> $style")
    assert "<script>x" not in text and "<b>a</b>" not in text
    root, _ = read_page(text)
    assert root.all("h1")[0].whole_text() == "<script>x</script> $style"


def test_the_date_is_that_of_the_environment_or_none() -> None:
    assert origin_of(["jiriki", "plan", "a b.toml"], {}) == Origin("jiriki plan 'a b.toml'")
    # date -u -d @1767225600 gives Thu Jan  1 00:00:00 UTC 2026
    assert origin_of(["jiriki"], {"SOURCE_DATE_EPOCH": "1767225600"}).date == "2026-01-01"


@pytest.mark.parametrize("stamp", ["yesterday", "1e9", "9" * 30])
def test_a_date_that_is_none_is_refused(stamp: str) -> None:
    with pytest.raises(ReportError, match="is no number of seconds since 1970"):
        origin_of(["jiriki"], {"SOURCE_DATE_EPOCH": stamp})


@pytest.mark.parametrize(
    ("axis", "room", "ticks"),
    [
        (Axis("", 0, 100), 600, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
        (Axis("", 0, 100), 150, [0, 50, 100]),
        (Axis("", -30, 70), 300, [-20, 0, 20, 40, 60]),
        (Axis("", 1, 1000, log=True), 250, [1, 10, 100, 1000]),
        (Axis("", 1, 100, log=True), 600, [1, 2, 5, 10, 20, 50, 100]),
        (Axis("", 2.1, 4.1, log=True), 250, [2.5, 3.0, 3.5, 4.0]),
    ],
)
def test_ticks_are_round(axis: Axis, room: float, ticks: list[float]) -> None:
    assert axis.ticks(room) == pytest.approx(ticks)


def test_equal_factors_are_equally_far_apart_on_a_logarithmic_axis() -> None:
    axis = Axis("", 1, 1000, log=True)
    assert [axis.share(v) for v in (0, 1, 10, 100, 1000, 5000)] == pytest.approx(
        [0, 0, 1 / 3, 2 / 3, 1, 1]
    )


def boxes(drawing: str) -> list[dict[str, str]]:
    return [rect.attributes for rect in read_page(drawing)[0].all("rect")]


def test_a_bar_is_as_long_as_its_value() -> None:
    rows = Rows("", (Row("a", (Span(0, 50, "compute"), Span(50, 75, "dram"))),), Axis("", 0, 100))
    long, short = boxes(rows.draw(1000))
    assert float(long["width"]) == pytest.approx(2 * float(short["width"]), abs=0.2)
    assert float(short["x"]) == pytest.approx(float(long["x"]) + float(long["width"]), abs=0.2)


def test_months_stack_upwards_and_downwards_from_zero() -> None:
    bars = (Series("in", (3,), "one"), Series("more", (1,), "two"), Series("out", (-2,), "three"))
    months = Months("", ("2025-09",), linear_axis("", [4, -2]), bars)
    first, second, below = boxes(months.draw(600))
    tops, heights = [float(b["y"]) for b in (first, second, below)], [
        float(b["height"]) for b in (first, second, below)
    ]  # fmt: skip
    assert tops[0] + heights[0] == pytest.approx(tops[2], abs=0.2)  # the zero line
    assert tops[1] + heights[1] == pytest.approx(tops[0], abs=0.2)
    assert [h / heights[1] for h in heights] == pytest.approx([3, 1, 2], rel=0.02)


def test_names_of_near_points_do_not_cover_each_other() -> None:
    points = tuple(Point(x, x, "compute", name=f"layer {x}") for x in range(10, 22))
    plane = Plane("", log_axis("", [1, 100]), log_axis("", [1, 100]), points)
    root, _ = read_page(plane.draw(1000))
    named = [text for text in root.all("text") if "layer" in text.text]
    spots = [(float(t.attributes["x"]), float(t.attributes["y"])) for t in named]
    wide = 6.5 * len("layer 10")
    assert len(named) >= 6
    for place, (x, y) in enumerate(spots):
        for other_x, other_y in spots[:place]:
            assert abs(x - other_x) >= wide - 1 or abs(y - other_y) >= 12


@pytest.mark.parametrize("turn", [1, -1])
def test_names_of_points_on_a_line_do_not_lie_on_it(turn: int) -> None:
    ends = tuple((x, 50 + turn * (x - 50)) for x in (10, 40, 90))
    points = tuple(Point(x, y, "compute", name=f"chip {x}") for x, y in ends)
    axis = linear_axis("", [1, 100])
    plane = Plane("", axis, axis, points, (Line(ends, "ink"),))
    root, _ = read_page(plane.draw(1000))
    named = [text for text in root.all("text") if "chip" in text.text]
    assert len(named) == 3
    left, right, top, bottom = 46, 1000 - 16, 28, 28 + 430
    for text in named:
        middle, base = float(text.attributes["x"]), float(text.attributes["y"])
        for across in np.linspace(-20, 20, 9):  # the name is about 40 px wide, 9 px high
            x = axis_value(axis, (middle + across - left) / (right - left))
            y = bottom - axis.share(50 + turn * (x - 50)) * (bottom - top)
            inside = ends[0][0] <= x <= ends[-1][0]
            assert not (inside and base - 8 < y < base + 1), f"the line crosses {text.text}"


def axis_value(axis: Axis, share: float) -> float:
    """Return the value at a share of a linear axis."""
    zero, hundred = axis.share(0), axis.share(100)
    return 100 * (share - zero) / (hundred - zero)


def test_charts_fit_the_width_they_are_drawn_for() -> None:
    point = Point(3, 3, "dram", name="x" * 60)
    charts = (
        ROWS,
        Plane("", log_axis("", [1, 9]), log_axis("", [1, 9]), (point,)),
        Months("", ("2025-09", "2025-10"), linear_axis("", [1]), (Series("a", (1, 1), "one"),),
               marks=(Mark(0.5, 1, "an event"),)),
        Rows("", (Row("n" * 90, dots=(Dot(2, "money"),)),), log_axis("", [1, 3])),
    )  # fmt: skip
    for chart in charts:
        for width in (340, 1000):
            root, wrong = read_page(chart.draw(width))
            assert not wrong
            assert not cut_off(root.all("svg")[0])
