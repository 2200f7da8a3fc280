"""A demand is read with its units; what is wrong in it gets one clear line."""

from __future__ import annotations

from datetime import date

import pytest

from jiriki.errors import JirikiError
from jiriki.plan.fleet.demand import parse_demand
from tests.plan.small_demand import SMALL


def changed(*pairs: tuple[str, str]) -> str:
    text = SMALL
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_units_are_converted() -> None:
    demand = parse_demand(SMALL)
    service = demand.services[0]
    assert (service.rate.base, service.growth.base) == (100_000, pytest.approx(0.10))
    assert service.worth.base == pytest.approx(20e-6)
    assert demand.limits.power is not None and demand.limits.power.base == 200_000
    assert demand.months == (date(2025, 9, 1), date(2025, 10, 1), date(2025, 11, 1))


RATE = 'rate = { value = 100000, unit = "tokens/s" }'
BAD = {
    "missing unit": (RATE, "rate = { value = 100000 }", "unit is missing; write it in tokens/s"),
    "foreign unit": (
        RATE, 'rate = { value = 100000, unit = "images/s" }', "'images/s'; write it in tokens/s"
    ),
    "bare value": (RATE, "rate = 100000", "rate = 100000 is a bare value"),
    "negative price": ("value = 12000,", "value = -1,", "must be finite and not negative"),
    "price in watts": (
        'value = 12000, unit = "USD"', 'value = 12000, unit = "W"', "'W' is no measure of USD"
    ),
    "unknown chip": (
        'id = "huawei"\nchip = "ascend-910c"', 'id = "huawei"\nchip = "ascend-910x"',
        "did you mean ascend-910",
    ),
    "unknown workload": ('"llama-3.1-8b"', '"llama-9"', "llama-9"),
    "unknown mode": ('mode = "server"', 'mode = "fast"', "choose offline, server, single"),
    "unknown key": ("lead_days = 30", "lead_dayz = 30", "unknown key 'lead_dayz'"),
    "unknown supply of an event": ('of = ["h20"]', 'of = ["h30"]', "'h30' is not in this file"),
    "unknown kind": ('kind = "allow"', 'kind = "permit"', "choose stop, allow, cap, price, tariff"),
    "no month": ('start = "2025-09"', 'start = "2025-13"', "is not a month"),
    "before every rule": (
        'start = "2025-09"', 'start = "2019-09"', "before every export rule: the data begins on"
    ),
    "no end of the plan": ("months = 3", "months = 300", "exceeds 60"),
    "event backwards": (
        "from = 2025-07-15", "from = 2025-07-15\nuntil = 2025-07-01", "lies before from 2025-07-15"
    ),
    "pue below one": ('pue = { value = 1.25', 'pue = { value = 0.9', "below 1"),
    "share above one": ('spare = { value = 5', 'spare = { value = 500', "at most 100 %"),
    "no TOML": ("months = 3", "months = = 3", "not valid TOML"),
    "no source": ('source = "made up"\ndate = 2025-08-29\n', "", "source is missing"),
    "half a source": ('source = "made up"\n', "", "source and date go together"),
    "empty title": ('title = "Small"', 'title = ""', "title = '' is not a text"),
    "negative stock": ("count = 16", "count = -16", "whole number of at least 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_line(name: str) -> None:
    old, new, message = BAD[name]
    with pytest.raises(JirikiError) as error:
        parse_demand(changed((old, new)), "small.toml")
    assert message in str(error.value) and "\n" not in str(error.value)


OVERLAPS = {
    "stop while allowed": ("stop", "", "2025-10-01"),
    "two caps": ("cap", 'per_month = { value = 1, unit = "chips/month" }', "2025-10-01"),
    "two allowed": ("allow", "", "2025-10-01"),
}


@pytest.mark.parametrize("name", OVERLAPS)
def test_overlapping_events_of_one_supply_are_refused(name: str) -> None:
    kind, extra, day = OVERLAPS[name]
    event = f'[[event]]\nname = "again"\nkind = "{kind}"\nof = ["h20"]\nfrom = {day}\n{extra}\n'
    first = event.replace("again", "first").replace(day, "2025-09-10") if kind == "cap" else ""
    with pytest.raises(JirikiError, match=f"of supply h20 overlap on {day}; end the first with"):
        parse_demand(f"{SMALL}{first}{event}")


def test_events_that_follow_each_other_are_taken() -> None:
    text = changed(("from = 2025-07-15", "from = 2025-07-15\nuntil = 2025-09-30"))
    stop = '[[event]]\nname = "stop"\nkind = "stop"\nof = ["h20"]\nfrom = 2025-10-01\n'
    assert [event.name for event in parse_demand(text + stop).events] == ["licence", "stop"]


def test_a_policy_needs_one_bound() -> None:
    with pytest.raises(JirikiError, match="give at_most or at_least"):
        parse_demand(f'{SMALL}[[policy]]\nname = "p"\nkind = "vendor"\n')


def test_a_measured_rate_is_in_the_unit_of_its_service() -> None:
    text = changed((
        'measured = { value = 2000, unit = "tokens/s" }',
        'measured = { value = 2000, unit = "images/s" }',
    ))  # fmt: skip
    with pytest.raises(JirikiError, match="write it in tokens/s"):
        parse_demand(text)


@pytest.mark.parametrize(
    ("kind", "of", "reason"),
    [
        ("vendor", "Nvidea", "the vendor of no chip of the catalogue.*did you mean Nvidia"),
        ("made_in", "ZZ", "the made_in of no chip of the catalogue.*known: CN"),
        ("designer_country", "us", "the designer_country of no chip.*known: CN"),
    ],
)
def test_a_policy_of_nobody_is_refused(kind: str, of: str, reason: str) -> None:
    policy = f'[[policy]]\nname = "p"\nkind = "{kind}"\nof = "{of}"\nat_most = {{ value = 0, '
    with pytest.raises(JirikiError, match=f"policy 'p': of = '{of}' is {reason}"):
        parse_demand(f'{SMALL}{policy}unit = "%" }}\n')


def test_a_chip_s_file_is_told_from_its_id() -> None:
    with pytest.raises(JirikiError, match=r"chip = 'mine\.toml' is a file; a plan takes chips"):
        parse_demand(changed(('chip = "h20"\ncount', 'chip = "mine.toml"\ncount')))
