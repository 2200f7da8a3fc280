"""The charts of a Plan, month by month: fleet, purchases, supplies, demand, dependence, money.

In: a Plan, a Course of it, the days on which something changes. Out: charts. A chip has one colour
on the whole page, and so have its supplies and, of several chips, its vendor. Numbered lines are
the events that `event_marks` numbers.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta

from jiriki.plan.fleet.fleet import Course, Month, Plan, events_of
from jiriki.plan.fleet.market import Offer
from jiriki.plan.fleet.months import add_months, days_of, months_between, text
from jiriki.report.charts import Mark, Months, Row, Rows, Series, Span
from jiriki.report.html import Key
from jiriki.report.svg import Axis, linear_axis

IDENTITY = ("one", "two", "three", "four", "five", "six", "seven", "eight")
ABROAD = (("abroad", False), ("abroad", True), ("wait", False), ("wait", True))
DASHES = {"": "line", "7 4": "dash", "2 3": "dots"}  # as drawn -> as in the legend
SCENARIO_DASHES = {"low": "2 3", "base": "", "high": "7 4"}
MONEY_PARTS = (
    ("capital, amortised", "capital", "money", False), ("upkeep", "upkeep", "money", True),
    ("energy", "energy", "energy", False), ("worth not served", "unserved", "idle", False),
)  # fmt: skip
SHUT_KEY = Key("shut, and why", "idle")
UNSERVED_KEY = Key("not served", "idle")
DOMESTIC_KEY = Key("domestic: designed and made at home", "ink", "dash")


def event_marks(plan: Plan) -> list[tuple[Mark, str]]:
    """Number the days on which something changes; return each with its text."""
    by_day: dict[date, list[str]] = {}
    for day, name in events_of(plan.demand):
        by_day.setdefault(day, []).append(name)
    first = plan.demand.months[0]
    return [
        (Mark(_months_after(first, day), number, f"{day}: {'; '.join(names)}"),
         f"{day}: {'; '.join(names)}")
        for number, (day, names) in enumerate(sorted(by_day.items()), start=1)
    ]  # fmt: skip


def _months_after(first: date, day: date) -> float:
    month = day.replace(day=1)
    return months_between(first, month) + (day.day - 1) / days_of(month)


def chip_colours(plan: Plan) -> dict[str, tuple[str, bool]]:
    """Return each chip's colour, and whether it is the paler one."""
    return {
        chip: (IDENTITY[place % len(IDENTITY)], place >= len(IDENTITY))
        for place, chip in enumerate(plan.market.chips)
    }


def chip_keys(plan: Plan, course: Course) -> tuple[Key, ...]:
    """Return the legend of the chips that are ever owned."""
    colours = chip_colours(plan)
    used = [chip for chip in plan.market.chips if any(m.owned.get(chip) for m in course.months)]
    return tuple(Key(chip, colours[chip][0], _box(colours[chip][1])) for chip in used)


def _box(faded: bool) -> str:
    return "faded" if faded else "box"


def fleet(plan: Plan, course: Course, marks: Sequence[Mark]) -> Months:
    """Stack the chips owned."""
    bars = []
    for chip, (colour, faded) in chip_colours(plan).items():
        counts = tuple(float(month.owned.get(chip, 0)) for month in course.months)
        if any(counts):
            bars.append(Series(chip, counts, colour, faded))
    return _months("Chips owned by month", "chips owned", course, bars, marks=marks)


def power(course: Course, marks: Sequence[Mark]) -> Months:
    """Draw the power that the fleet may take."""
    kilowatts = tuple(month.power_w / 1e3 for month in course.months)
    bars = (Series("power, kW", kilowatts, "energy"),)
    return _months("Power by month", "kW at the inlet", course, bars, marks=marks, height=150)


def purchases(plan: Plan, course: Course, marks: Sequence[Mark]) -> Months:
    """Stack what is bought upwards and what is retired downwards."""
    colours, bars = chip_colours(plan), []
    for offer in plan.market.offers:
        counts = tuple(float(month.bought.get(offer.id, 0)) for month in course.months)
        if any(counts):
            bars.append(Series(offer.id, counts, colours[offer.chip][0]))
    for chip, (colour, _) in colours.items():
        counts = tuple(-float(month.retired.get(chip, 0)) for month in course.months)
        if any(counts):
            bars.append(Series(f"{chip} retired", counts, colour, faded=True))
    return _months("Chips bought and retired by month", "chips a month", course, bars, marks=marks)


def openings(plan: Plan, marks: Sequence[Mark]) -> Rows:
    """Draw for every supply the days on which it delivers, and why it does not on the others."""
    first, months = plan.demand.months[0], len(plan.demand.months)
    colours = chip_colours(plan)
    axis = Axis("", 0, months, label=lambda tick: text(add_months(first, round(tick))))
    rows = tuple(
        Row(offer.id, tuple(_spans(offer, first, months, *colours[offer.chip])))
        for offer in plan.market.offers
    )
    return Rows("Days of delivery by supply", rows, axis, tuple(marks))


def _spans(offer: Offer, first: date, months: int, colour: str, faded: bool) -> Iterable[Span]:
    yield Span(0, months, colour, f"{offer.id}: open", faded=faded)
    for shut in offer.shut:
        start = max(0.0, _months_after(first, shut.first))
        end = min(float(months), _months_after(first, shut.last + timedelta(days=1)))
        if start < end:
            label = f"{offer.id}: {shut.first} to {shut.last}: {shut.why}"
            yield Span(start, end, "panel", "")
            yield Span(start, end, "idle", label, text=shut.why)


def served(course: Course, marks: Sequence[Mark]) -> Months:
    """Plot the share of each service's demand that is served."""
    lines = [
        Series(service, tuple(100 * month.served[service] for month in course.months), *style)
        for service, style in _service_styles(course).items()
    ]
    axis = Axis("% of the service's demand", 0, 105)
    return _over_months("Share of demand served by service", axis, course, (), lines, marks)


def _service_styles(course: Course) -> dict[str, tuple[str, bool, str]]:
    """Return each service's colour, paleness and dash: services differ by dash, then by colour."""
    dashes, colours = list(DASHES), ("ink", "wait")
    return {
        service: (colours[place // len(dashes) % len(colours)], False, dashes[place % len(dashes)])
        for place, service in enumerate(course.months[0].served)
    }


def service_keys(course: Course) -> tuple[Key, ...]:
    """Return the legend of the services."""
    return tuple(
        Key(service, colour, DASHES[dash])
        for service, (colour, _, dash) in _service_styles(course).items()
    )


def by_vendor(plan: Plan, course: Course, marks: Sequence[Mark]) -> Months:
    """Stack the shares of demand by vendor, unserved last."""
    return _dependence(course, "vendor", _vendor_colours(plan, course), marks)


def _vendor_colours(plan: Plan, course: Course) -> dict[str, tuple[str, bool]]:
    """Return each vendor's colour: that of its chip of which most are owned."""
    most = {
        chip: max(month.owned.get(chip, 0) for month in course.months) for chip in plan.market.chips
    }
    colours: dict[str, tuple[str, bool]] = {}
    for chip in sorted(most, key=lambda chip: -most[chip]):
        colours.setdefault(plan.market.chips[chip].vendor, chip_colours(plan)[chip])
    return colours


def by_country(plan: Plan, course: Course, marks: Sequence[Mark]) -> Months:
    """Stack the shares of demand by country of manufacture, with what is wholly domestic."""
    domestic = Series("domestic", tuple(100 * m.domestic for m in course.months), "ink", dash="7 4")
    return _dependence(course, "made_in", _country_colours(plan), marks, (domestic,))


def _country_colours(plan: Plan) -> dict[str, tuple[str, bool]]:
    home = plan.demand.home
    countries = dict.fromkeys(chip.made_in for chip in plan.market.chips.values())
    abroad = [country for country in countries if country != home]
    return {home: ("home", False)} | {
        country: ABROAD[place % len(ABROAD)] for place, country in enumerate(abroad)
    }


def dependence_keys(plan: Plan, course: Course, kind: str) -> tuple[Key, ...]:
    """Return the legend of the vendors or countries that serve something."""
    colours = _vendor_colours(plan, course) if kind == "vendor" else _country_colours(plan)
    names = _dependences(course, kind)
    keys = tuple(Key(name, colours[name][0], _box(colours[name][1])) for name in names)
    return (*keys, UNSERVED_KEY, *((DOMESTIC_KEY,) if kind == "made_in" else ()))


def _dependences(course: Course, kind: str) -> list[str]:
    return list(dict.fromkeys(
        name for month in course.months for name, share in month.depends[kind].items() if share
    ))  # fmt: skip


def _dependence(
    course: Course, kind: str, colours: dict[str, tuple[str, bool]], marks: Sequence[Mark],
    lines: Sequence[Series] = (),
) -> Months:  # fmt: skip
    bars = [
        Series(name, tuple(100 * month.depends[kind].get(name, 0.0) for month in course.months),
               *colours[name])
        for name in _dependences(course, kind)
    ]  # fmt: skip
    missing = tuple(100 * max(0.0, 1 - month.served_share) for month in course.months)
    bars.append(Series("not served", missing, "idle"))
    label = {"vendor": "by vendor", "made_in": "by country of manufacture"}[kind]
    axis = Axis("% of demand", 0, 105)
    return _over_months(f"Share of demand {label}", axis, course, bars, lines, marks)


def money(course: Course, marks: Sequence[Mark]) -> Months:
    """Stack what a month costs; what is paid as a line."""
    bars = [
        Series(name, _of_months(course, lambda month, part=part: getattr(month.money, part)),
               colour, faded)
        for name, part, colour, faded in MONEY_PARTS
    ]  # fmt: skip
    paid = Series("paid for chips", _of_months(course, lambda m: m.money.spent), "ink")
    return _months("Cost by month", "million USD a month", course, bars, (paid,), marks)


def money_keys() -> tuple[Key, ...]:
    """Return the legend of what a month costs."""
    parts = (Key(name, colour, _box(faded)) for name, _, colour, faded in MONEY_PARTS)
    return (*parts, Key("paid for chips, hosts and entries", "ink", "line"))


def scenario_keys(plan: Plan, colour: str) -> tuple[Key, ...]:
    """Return the legend of the scenarios."""
    return tuple(Key(f"{name} demand", colour, DASHES[SCENARIO_DASHES[name]])
                 for name in plan.courses)  # fmt: skip


def scenario_costs(plan: Plan) -> Months:
    """Plot what a month costs with all that is not served, by scenario."""
    return _scenarios(
        plan,
        "Cost by scenario",
        "million USD a month",
        lambda m: m.money.running + m.money.unserved,
    )


def scenario_chips(plan: Plan) -> Months:
    """Plot the chips owned, by scenario."""
    return _scenarios(
        plan, "Chips by scenario", "chips owned", lambda m: float(sum(m.owned.values()))
    )


def _scenarios(plan: Plan, label: str, title: str, of: Callable[[Month], float]) -> Months:
    colour = "money" if "USD" in title else "ink"
    lines = [
        Series(name, _of_months(course, of), colour, dash=SCENARIO_DASHES[name])
        for name, course in plan.courses.items()
    ]
    return _months(label, title, plan.base, (), lines, height=200)


def _of_months(course: Course, of: Callable[[Month], float]) -> tuple[float, ...]:
    return tuple(of(month) for month in course.months)


def _months(
    label: str, title: str, course: Course, bars: Sequence[Series],
    lines: Sequence[Series] = (), marks: Sequence[Mark] = (), height: int = 260,
) -> Months:  # fmt: skip
    places = range(len(course.months))
    ends = [sum(max(0.0, s.values[i]) for s in bars) for i in places]
    ends += [sum(min(0.0, s.values[i]) for s in bars) for i in places]
    axis = linear_axis(title, [*ends, *(value for line in lines for value in line.values)])
    return _over_months(label, axis, course, bars, lines, marks, height)


def _over_months(
    label: str, axis: Axis, course: Course, bars: Sequence[Series], lines: Sequence[Series],
    marks: Sequence[Mark], height: int = 260,
) -> Months:  # fmt: skip
    names = tuple(text(month.month) for month in course.months)
    return Months(label, names, axis, tuple(bars), tuple(lines), tuple(marks), height)
