"""Export classes against the table and the formula of the facts, on every kind of day."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jiriki.export_control import export_check, known_text
from jiriki.export_control.cases import total_processing_performance
from jiriki.export_control.errors import ExportControlError
from jiriki.export_control.rules import TOPICS, load_rulebook, parse_rulebook
from jiriki.products.errors import FactError
from jiriki.products.figure import Figure
from jiriki.products.product import Product, load_product, load_products

TODAY = date(2026, 3, 1)
RULES = (resources.files("jiriki.export_control") / "rules.toml").read_text("utf-8")
TOY = load_product("h20")
FROM_US = "case by case when exported from the United States, else presumption of denial"
NOT_REVIEWED = "not covered: no 3A090.a for data centers, or no country of D:1, D:4, D:5"


def figure(value: float | tuple[float, float], unit: str) -> Figure:
    low, high = value if isinstance(value, tuple) else (value, value)
    return Figure(low, low, high, unit, "test", "2026-01-01")


def toy(tops: float | tuple[float, float], area: float | tuple[float, float] | None) -> Product:
    """An int8 chip with that peak (TOPS) and die area (mm2)."""
    low, high = tops if isinstance(tops, tuple) else (tops, tops)
    return replace(
        TOY,
        peak={"int8": figure((low * 1e12, high * 1e12), "op/s")},
        die_area=None if area is None else figure(area, "mm2"),
    )


def eccn(tpp: float, pd: float, datacenter: bool = True) -> str:
    """The formula as 15 CFR 774 supplement 1 is read since November 2023, written out."""
    if tpp >= 4800:
        return "3A090.a.1"
    if not datacenter:
        return "none"
    if tpp >= 1600 and pd >= 5.92:
        return "3A090.a.2"
    if 2400 <= tpp < 4800 and 1.6 <= pd < 5.92:
        return "3A090.b.1"
    if tpp >= 1600 and 3.2 <= pd < 5.92:
        return "3A090.b.2"
    return "none"


# Class, TPP (low, high) and PD at base of the table of computed classes; None: not known.
TABLE = {
    "hanguang-800": ("3A090.a.1", (6600, 6600), 9.31),
    "zhenwu-m890": ("3A090.a.1", (9600, 9600), None),
    "a100": ("3A090.a.1", (4992, 4992), 6.04),
    "a800": ("3A090.a.1", (4992, 4992), 6.04),
    "h20": ("none", (2368, 2368), 2.91),
    "h100": ("3A090.a.1", (15832, 15832), 19.45),
    "h200": ("3A090.a.1", (15832, 15832), 19.45),
    "b200": ("3A090.a.1", (36000, 36000), 22.11),
    "b300": ("3A090.a.1", (52000, 60000), 34.4),
    "ascend-910b": ("3A090.a.1", (5008, 6400), 9.04),
    "ascend-910c": ("3A090.a.1", (12032, 12800), 9.04),
    "tpu-v4i": ("3A090.a.2 or 3A090.b.2", (2208, 2208), 5.52),
    "tpu-v5e": ("3A090.a.2 or 3A090.b.1", (3152, 3152), None),
    "tpu-v6e": ("3A090.a.1", (14688, 14688), None),
    "tpu-ironwood": ("3A090.a.1", (36912, 36912), None),
    "groq-lpu": ("3A090.a.1", (6000, 6000), 8.28),
    "inferentia2": ("3A090.a.2 or 3A090.b.1", (3040, 3040), None),
}


@pytest.mark.parametrize("id", TABLE)
def test_class_of_catalogue_chip(id: str) -> None:
    cls, (low, high), pd = TABLE[id]
    result = export_check(load_product(id), TODAY)
    assert result.cls == cls
    assert (result.tpp.low, result.tpp.high) == pytest.approx((low, high), abs=1)
    density = result.performance_density
    assert (density and density.base) == (pd and pytest.approx(pd, abs=0.01))


@pytest.mark.parametrize(
    ("id", "words"),
    [
        (
            "zhenwu-810e",
            "at TPP 1,899: 3A090.a.2 if die area is up to 320.8 mm2, 3A090.b.2 up to 5",
        ),
        ("tpu-v4i", "3A090.a.2 if die area is up to 373 mm2, else 3A090.b.2"),
        ("tpu-v5e", "3A090.a.2 if die area is up to 532.4 mm2, else 3A090.b.1"),
        ("inferentia2", "3A090.a.2 if die area is up to 513.5 mm2, else 3A090.b.1"),
        ("h20", "TPP 2,368 is below 2,400; PD 2.909 is below 3.2"),
        ("hanguang-800", "TPP 6,600 is at least 4,800"),
    ],
)
def test_deciding_number_is_named(id: str, words: str) -> None:
    assert words in export_check(load_product(id), TODAY).decided_by


def test_zhenwu_810e_is_open_between_all_classes_its_sources_allow() -> None:
    result = export_check(load_product("zhenwu-810e"), TODAY)
    assert result.classes == ("3A090.a.2", "3A090.b.1", "3A090.b.2", "none")
    assert result.strictest == "3A090.a.2" and result.performance_density is None
    assert any("die area is not published" in note for note in result.notes)


@pytest.mark.parametrize(
    ("day", "classes"),
    [
        ("2022-08-26", {"a100": "none", "h100": "none"}),
        ("2022-10-21", {"a100": "3A090", "a800": "none", "h100": "3A090", "hanguang-800": "none"}),
        ("2023-11-16", {"h100": "3A090", "h800": "none", "a800": "none", "l40s": "none"}),
        ("2023-11-17", {"a800": "3A090.a.1", "h800": "3A090.a.1", "l40s": "3A090.a.1"}),
        ("2030-01-01", {"h20": "none", "l4": "3A090.a.2", "hanguang-800": "3A090.a.1"}),
    ],
)
def test_rules_of_the_day_decide(day: str, classes: dict[str, str]) -> None:
    on = date.fromisoformat(day)
    assert {id: export_check(load_product(id), on).cls for id in classes} == classes


def test_day_before_any_rule_is_refused() -> None:
    with pytest.raises(
        ExportControlError, match="2022-08-25 has no export rule: the data begins on 2022-08-26"
    ):
        export_check(TOY, date(2022, 8, 25))


@pytest.mark.parametrize(
    ("id", "day", "topic", "result"),
    [
        ("h20", "2025-04-08", "letters", None),
        ("h20", "2025-04-09", "letters", "licence needed whatever the class"),
        ("l40s", "2025-04-09", "letters", "below the line"),
        ("h200", "2026-01-14", "review", "presumption of denial"),
        ("h200", "2026-01-15", "review", FROM_US),
        ("mi325x", "2026-01-15", "review", FROM_US),
        ("b200", "2026-01-15", "review", "presumption of denial"),
        ("hanguang-800", "2026-01-15", "review", "presumption of denial"),
        ("ascend-910c", "2026-01-15", "review", "presumption of denial"),
        ("h20", "2026-01-15", "review", NOT_REVIEWED),
        ("h20", "2025-04-09", "licence", "no licence by class"),
        ("h100", "2025-04-09", "licence", "licence needed"),
        ("a100", "2022-08-26", "letters", "licence needed whatever the class"),
        ("h100", "2022-10-20", "letters", "licence needed whatever the class"),
        ("a800", "2022-09-15", "letters", "not named by the letters"),
        ("hanguang-800", "2022-09-15", "letters", "not named by the letters"),
        ("a100", "2022-10-21", "letters", None),
        ("h100", "2022-10-21", "licence", "licence needed"),
        ("a800", "2023-10-22", "letters", None),
        ("a800", "2023-10-24", "letters", "licence needed whatever the class"),
        ("h800", "2023-10-24", "letters", "licence needed whatever the class"),
        ("l40s", "2023-10-24", "letters", "licence needed whatever the class"),
        ("l4", "2023-10-24", "letters", "not named by the letter"),
        ("a800", "2023-11-17", "letters", None),
        ("jiriki-mature-28", "2024-12-02", "memory", "its memory is not 3A090.c"),
        ("h200", "2026-01-15", "tariff", "25 % tariff"),
        ("mi325x", "2026-01-15", "tariff", "25 % tariff"),
        ("h100", "2026-01-15", "tariff", "outside the bands"),
        ("h200", "2024-12-01", "memory", None),
        ("h200", "2024-12-02", "memory", "its memory alone is 3A090.c"),
        ("l40s", "2024-12-02", "memory", "its memory is not 3A090.c"),
        ("groq-lpu", "2024-12-02", "memory", "its memory is not 3A090.c"),
        ("hanguang-800", "2025-05-12", "user", None),
        ("hanguang-800", "2025-05-13", "user", "GP10 risk to its users"),
        ("ascend-910b", "2025-05-13", "user", "GP10 risk to its users"),
        ("h100", "2025-05-13", "user", "no such risk by this guidance"),
        ("h100", "2023-11-17", "exception", "no licence exception of this rule"),
    ],
)
def test_other_rules_of_the_day(id: str, day: str, topic: str, result: str | None) -> None:
    finding = export_check(load_product(id), date.fromisoformat(day)).finding(topic)
    assert (finding and finding.results) == (result and (result,))


# What the rules of June 2024 ask of a chip on its way to a country: licence, how it is judged,
# exception (CSMS 61882672, Nvidia's form 8-K of 17 October 2023: D:1, D:4 and D:5, not Israel).
JUNE_2024 = {
    ("h100", "CN"): ("licence needed", "presumption of denial", None),
    ("h100", "AE"): ("licence needed", "presumption of approval", None),
    ("h100", "SA"): ("licence needed", "presumption of approval", None),
    ("h100", "VN"): ("licence needed", "presumption of approval", None),
    ("h100", "IL"): ("no licence by class", None, None),
    ("h100", "SG"): ("no licence by class", None, None),
    ("h100", "CY"): ("no licence by class", None, None),
    ("h20", "AE"): ("no licence by class", None, None),
    ("tpu-v4i", "AE"): ("licence needed", None, "ACA eligible, without notification"),
    ("tpu-v4i", "MO"): ("licence needed", None, "NAC eligible, with notification"),
}


@pytest.mark.parametrize(("id", "to"), JUNE_2024)
def test_destination_decides_on_licence_review_and_exception(id: str, to: str) -> None:
    chip = load_product(id)
    if id == "tpu-v4i":  # its die area is open; where it is above 373 mm2 the class is .b.2
        chip = replace(chip, die_area=figure(390, "mm2"))
    result = export_check(chip, date(2024, 6, 1), to=to)
    licence, review, exception = JUNE_2024[id, to]
    findings = {finding.topic: finding.results for finding in result.findings}
    assert findings["licence"] == (licence,)
    assert findings["review"] == (review or NOT_REVIEWED,)
    assert findings["exception"] == (exception or "no licence exception of this rule",)


@pytest.mark.parametrize("to", ["china", "cn", "", "C1"])
def test_destination_is_an_iso_code(to: str) -> None:
    with pytest.raises(ExportControlError, match="is no ISO code of two letters"):
        export_check(TOY, TODAY, to=to)


# (rule, the day on which it was public, a day on which it holds): 88 FR 73458 was released on
# 17 October 2023 for 17 November; the letter that replaced it meanwhile was filed on 23 October.
@pytest.mark.parametrize(
    ("known_on", "day", "topic", "id"),
    [
        ("2023-10-16", "2023-12-01", "class", "3a090-2022"),
        ("2023-10-17", "2023-12-01", "class", "3a090-2023"),
        ("2023-10-17", "2023-11-16", "class", "3a090-2022"),
        ("2022-08-30", "2022-09-01", "letters", None),
        ("2022-09-01", "2023-09-01", "letters", "letters-2022"),
        ("2022-10-07", "2023-09-01", "letters", None),
        ("2026-01-12", "2026-06-01", "review", "review-2023"),
        ("2026-01-13", "2026-06-01", "review", "review-2026"),
        ("2025-01-16", "2029-06-01", "foundry", "foundry-2029"),
    ],
)
def test_rules_are_known_from_the_day_they_are_published(
    known_on: str, day: str, topic: str, id: str | None
) -> None:
    rule = load_rulebook().known_on(date.fromisoformat(known_on)).on(topic, date.fromisoformat(day))
    assert (rule and rule.id) == id


def test_rules_say_until_when_they_are_known() -> None:
    book = load_rulebook()
    assert max(rule.published for rule in book.rules) <= book.known_until
    assert known_text() == (
        f"Export rules known as of {book.known_until}; later changes are not in here"
    )


def foundry(area: float, day: str, kind: str = "lpddr5x", process: str = "smic-14") -> str:
    chip = replace(toy(100, area), process=process, dram_kind=kind)
    finding = export_check(chip, date.fromisoformat(day)).finding("foundry")
    assert finding and len(finding.results) == 1
    return finding.results[0].split(":")[0].split(" by ")[0]


def test_foundry_rule_counts_transistors_of_the_node() -> None:
    """30 billion are 1,000 mm2 at 30 MTr/mm2; without HBM 35 in 2027 and 40 from 2029."""
    assert foundry(999, "2025-02-01") == "presumption overcome"
    assert foundry(1000, "2025-02-01") == "presumed 3A090.a"
    assert foundry(1000, "2027-01-01") == "presumption overcome"
    assert foundry(1000, "2027-01-01", kind="hbm3") == "presumed 3A090.a"
    assert foundry(1200, "2028-12-31") == "presumed 3A090.a"
    assert foundry(1200, "2029-01-01") == "presumption overcome"
    assert foundry(400, "2025-02-01", process="smic-n+2") == "presumed 3A090.a"
    assert foundry(337, "2025-02-01", process="smic-n+2") == "presumption overcome"


def test_b_class_is_nac_eligible_and_so_is_a_consumer_chip() -> None:
    server, consumer = toy(240, 400), replace(toy(700, 600), datacenter=False)
    assert export_check(server, TODAY).cls == "3A090.b.2"
    for chip in (server, consumer):
        finding = export_check(chip, TODAY).finding("exception")
        assert finding and finding.results == ("NAC eligible, with notification",)
    assert export_check(replace(toy(599, 50), datacenter=False), TODAY).cls == "none"


def test_planar_chip_is_judged_by_tpp_alone_and_says_so() -> None:
    small, large = (replace(toy(tops, 400), planar=True) for tops in (599, 600))
    result = export_check(small, TODAY)
    assert (result.cls, result.performance_density, result.planar) == ("none", None, True)
    assert any(
        "were the whole die counted, the class would be 3A090.a.2" in n for n in result.notes
    )
    assert export_check(large, TODAY).cls == "3A090.a.1"
    foundry = result.finding("foundry")
    assert foundry and foundry.results == ("not covered: planar",)


def test_margins_are_distances_to_each_threshold() -> None:
    margins = {m.name: m for m in export_check(TOY, TODAY).margins}
    assert margins["3A090.a.1: tpp"].margin == 4800 - 2368
    assert margins["3A090.b.1: tpp"].margin == 2400 - 2368
    assert margins["3A090.b.2: pd"].margin == pytest.approx(3.2 - 2368 / 814)
    assert margins["licence needed whatever the class: dram_bandwidth"].margin == -2600e9


def test_margin_of_what_is_not_published_is_unknown() -> None:
    margins = {m.name: m for m in export_check(load_product("tpu-v5e"), TODAY).margins}
    assert margins["3A090.a.2: pd"].margin is None
    assert margins["3A090.a.1: tpp"].margin == 4800 - 3152


def test_range_has_margins_at_its_ends() -> None:
    margins = {m.name: m for m in export_check(load_product("ascend-910b"), TODAY).margins}
    tpp = margins["3A090.a.1: tpp"]
    assert (tpp.margin_low, tpp.margin, tpp.margin_high) == (4800 - 6400, 4800 - 6016, 4800 - 5008)


# ---------------------------------------------------------------- properties

TOPS = st.floats(1, 1000)
AREA = st.floats(20, 4000)
RANK = {"none": 0, "3A090.b.2": 1, "3A090.b.1": 1, "3A090.a.2": 2, "3A090.a.1": 2}


@given(macs=st.integers(1, 10**6), times=st.integers(1, 64))
def test_tpp_is_linear_in_macs(macs: int, times: int) -> None:
    """TPP = 2 x MacTOPS x bits: with `times` the multipliers it is `times` as large."""
    small, large = (toy(2 * n * 1e9 / 1e12, 400) for n in (macs, macs * times))
    tpp = [total_processing_performance(chip).base for chip in (small, large)]
    assert tpp[0] == pytest.approx(2 * macs * 1e9 / 1e12 * 8)
    assert tpp[1] == pytest.approx(times * tpp[0])


@given(TOPS, AREA, st.booleans())
def test_exact_figures_give_the_class_of_the_formula(
    tops: float, area: float, datacenter: bool
) -> None:
    chip = replace(toy(tops, area), datacenter=datacenter)
    tpp = total_processing_performance(chip).base
    assert export_check(chip, TODAY).classes == (eccn(tpp, tpp / area, datacenter),)


@given(TOPS, st.floats(1, 4), AREA)
def test_more_performance_never_loosens_the_class(tops: float, more: float, area: float) -> None:
    less, greater = (export_check(toy(t, area), TODAY).cls for t in (tops, tops * more))
    assert RANK[greater] >= RANK[less]


@given(TOPS, AREA, st.floats(1, 4))
def test_more_area_never_tightens_the_class(tops: float, area: float, more: float) -> None:
    small, large = (export_check(toy(tops, a), TODAY).cls for a in (area, area * more))
    assert RANK[large] <= RANK[small]


@settings(max_examples=60)
@given(TOPS, st.floats(1, 2), AREA, st.floats(1, 2))
def test_range_gives_the_classes_of_its_points_and_no_other(
    tops: float, wider: float, area: float, larger: float
) -> None:
    of_range = export_check(toy((tops, tops * wider), (area, area * larger)), TODAY).classes
    steps = [i / 12 for i in range(13)]
    classes = {
        eccn(8 * tops * (1 + (wider - 1) * i), 8 * tops * (1 + (wider - 1) * i) / a)
        for i in steps
        for a in (area * (1 + (larger - 1) * j) for j in steps)
    }
    assert classes <= set(of_range)
    assert max(RANK[c] for c in of_range) == max(RANK[c] for c in classes)
    assert min(RANK[c] for c in of_range) == min(RANK[c] for c in classes)


@given(st.dates(date(2022, 8, 26), date(2035, 1, 1)))
def test_every_day_from_the_first_has_one_class_rule(day: date) -> None:
    book = load_rulebook()
    for topic in TOPICS:
        assert sum(rule.topic == topic and rule.holds_on(day) for rule in book.rules) <= 1
    assert book.on("class", day) is not None


def test_every_chip_is_classed_on_every_day_a_rule_begins() -> None:
    days = {rule.first for rule in load_rulebook().rules}
    allowed = {*RANK, "3A090"}
    for chip in load_products():
        for day in days:
            assert set(export_check(chip, day).classes) <= allowed


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("until = 2023-11-16\n", "", "3a090-2022 and 3a090-2023 of topic class both hold on 2023-"),
        ("until = 2026-01-14", "until = 2026-01-15", "review-2023 and review-2026"),
        ("known_until = 2026-06-16", "", "known_until is missing"),
        (
            'to = ["China"]',
            'to = ["Chine"]',
            "to 'Chine' is no country group; choose D:5 and Macau",
        ),
        ('id = "D:5 and Macau"', 'id = "D:5"', "no [[group]] has id 'D:5 and Macau'"),
        ("from = 2023-11-17\n", 'from = "soon"\n', "3a090-2023: from = soon is not a date"),
        (
            "until = 2023-11-16",
            "until = 2022-01-01",
            "until 2022-01-01 lies before from 2022-10-21",
        ),
        ('at_least = 600, unit = "GB/s"', "at_least = 600", "unit is missing"),
        (
            'at_least = 600, unit = "GB/s"',
            'at_least = 600, unit = "W"',
            "'W' is no measure of byte",
        ),
        ("at_least = 600,", "at_least = -600,", "at_least = -600 must be finite and not negative"),
        ("at_least = 600,", "", "of io_bandwidth needs at_least, above or below"),
        ('of = "io_bandwidth"', 'of = "weight"', "of = 'weight'; choose tpp"),
        ('topic = "class"', 'topic = "mood"', "topic = 'mood'; choose class"),
        ('source = "S101, S102"\n', "", "3a090-2022: source is missing"),
        ('source = "S101, S102"', 'source = "S9999"', "S9999 is not in products/sources.toml"),
        ("datacenter = true", 'datacenter = "yes"', "datacenter = 'yes' is not true or false"),
        ("[[rule]]", "[[rule", "not valid TOML"),
    ],
)
def test_broken_rules_get_one_line(old: str, new: str, message: str) -> None:
    assert old in RULES
    with pytest.raises(FactError, match=re.escape(message)) as stop:
        parse_rulebook(RULES.replace(old, new, 1))
    assert "\n" not in str(stop.value)


def test_chip_without_a_peak_has_no_class() -> None:
    with pytest.raises(ExportControlError, match="no peak is given, so it has no TPP"):
        export_check(replace(TOY, peak={}), TODAY)
