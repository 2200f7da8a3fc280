"""Supplies meet the export rules day by day, and the models of cost."""

from __future__ import annotations

import math
from datetime import date

import pytest

from jiriki.cost.price import price
from jiriki.cost.process import load_process
from jiriki.plan.errors import DemandError
from jiriki.plan.fleet.demand import Demand, parse_demand
from jiriki.plan.fleet.market import Market, Offer, known_rules, open_market
from jiriki.products.product import load_product
from tests.plan.small_demand import SMALL

LICENCE = SMALL[SMALL.index("[[event]]") :]


def offer(market: Market, id: str) -> Offer:
    return next(candidate for candidate in market.offers if candidate.id == id)


def demand(*pairs: tuple[str, str], extra: str = "") -> Demand:
    text = SMALL
    for old, new in pairs:
        text = text.replace(old, new)
    return parse_demand(text + extra)


def supply(chip: str, extra: str = "", price: str = '{ value = 5000, unit = "USD" }') -> str:
    paid = f"price = {price}\n" if price else ""
    return f'[[supply]]\nid = "more"\nchip = "{chip}"\n{paid}{extra}\n'


def test_nothing_is_delivered_before_the_days_of_delivery() -> None:
    h20 = offer(open_market(demand()), "h20")
    assert h20.caps == (0.0, 60.0, 60.0)
    assert [span.why for span in h20.shut] == ["delivery takes 30 days"]


def test_a_stop_within_a_month_leaves_the_days_before_it() -> None:
    stop = '[[event]]\nname = "stopped"\nkind = "stop"\nof = ["huawei"]\nfrom = 2025-10-09\n'
    cap = '[[event]]\nname = "c"\nkind = "cap"\nof = ["huawei"]\nfrom = 2025-01-01\n'
    cap += 'per_month = { value = 310, unit = "chips/month" }\n'
    huawei = offer(open_market(demand(extra=stop + cap)), "huawei")
    assert huawei.caps == (310.0, pytest.approx(310 * 8 / 31), 0.0)
    assert [(s.first, s.last, s.why) for s in huawei.shut] == [
        (date(2025, 10, 9), date(2025, 11, 30), "stopped")
    ]


def test_a_chip_that_needs_a_licence_is_shut_unless_an_event_allows_it() -> None:
    h20 = offer(open_market(demand((LICENCE, ""))), "h20")
    assert h20.caps == (0.0, 0.0, 0.0)
    assert h20.shut[0].why.startswith("bandwidth-2025: a licence for CN is needed")


def test_elsewhere_no_licence_is_asked_for() -> None:
    h20 = offer(open_market(demand((LICENCE, ""), ('home = "CN"', 'home = "SG"'))), "h20")
    assert h20.caps == (0.0, 60.0, 60.0)


def test_the_gulf_needs_a_licence_for_what_is_controlled_though_it_is_likely_given() -> None:
    gulf = [(LICENCE, ""), ('home = "CN"', 'home = "AE"')]
    gulf += [('start = "2025-09"', 'start = "2024-06"'), ("2025-08-29", "2024-05-01")]
    market = open_market(demand(*gulf, extra=supply("h100")))
    assert offer(market, "more").shut[0].why == (
        "3A090.a.1 needs a licence for AE (presumption of approval)"
    )
    assert offer(market, "h20").caps == (0.0, 60.0, 60.0)


def test_domestic_chips_need_no_licence_but_may_be_excluded_for_their_risk() -> None:
    assert offer(open_market(demand()), "huawei").caps == (math.inf,) * 3
    excluded = demand(("months = 3", 'months = 3\nuser_risk = "exclude"'))
    huawei = offer(open_market(excluded), "huawei")
    assert huawei.caps == (0.0, 0.0, 0.0) and huawei.shut[0].why == "gp10-2025: risk to its users"


def test_an_open_class_counts_as_the_strictest() -> None:
    excluded = demand(
        ("months = 3", 'months = 3\nuser_risk = "exclude"'), extra=supply("zhenwu-810e")
    )
    assert "its class is open" in offer(open_market(excluded), "more").shut[0].why


UNRESTRICTED = {"jiriki-open-14": True, "jiriki-mature-28": True, "jiriki-versatile-14": False}


@pytest.mark.parametrize(("chip", "open_"), UNRESTRICTED.items())
def test_our_unrestricted_chips_stay_open_where_risk_is_excluded(chip: str, open_: bool) -> None:
    excluded = demand(("months = 3", 'months = 3\nuser_risk = "exclude"'), extra=supply(chip))
    assert (offer(open_market(excluded), "more").caps[0] > 0) is open_


def test_licences_are_judged_case_by_case_only_for_who_knows_the_rule() -> None:
    assert [r.id for r in known_rules(date(2025, 8, 29)).rules if r.topic == "review"] == [
        "review-2023"
    ]
    assert known_rules(date(2023, 10, 17)).on("class", date(2024, 1, 1)).id == "3a090-2023"  # type: ignore[union-attr]
    assert known_rules(date(2025, 8, 29)).on("review", date(2026, 6, 1)).id == "review-2023"  # type: ignore[union-attr]
    assert known_rules(None).on("review", date(2026, 6, 1)).id == "review-2026"  # type: ignore[union-attr]


def test_tariffs_and_factors_change_the_price_of_their_days() -> None:
    events = (
        '[[event]]\nname = "t"\nkind = "tariff"\nof = ["huawei"]\nfrom = 2025-10-01\n'
        'until = 2025-10-31\nrate = { value = 15, unit = "%" }\n'
        '[[event]]\nname = "f"\nkind = "price"\nof = ["huawei"]\nfrom = 2025-10-01\n'
        'factor = { value = 2, unit = "1" }\n'
    )
    huawei = offer(open_market(demand(extra=events)), "huawei")
    assert huawei.prices == pytest.approx((40_000, 92_000, 80_000))


def test_our_own_chip_costs_what_it_takes_to_make_and_its_masks_once() -> None:
    market = open_market(demand(extra=supply("jiriki-open-14", price="")))
    product = load_product("jiriki-open-14")
    parts = price(product).parts
    each = price(product).total.base - parts["masks"].base
    assert offer(market, "more").prices[0] == pytest.approx(each)
    assert market.chips["jiriki-open-14"].entry == load_process("14nm").mask_set.base


def test_wafers_bound_chips_by_the_yield_model() -> None:
    foundry = '[[foundry]]\nid = "f"\nwafers = { value = 10, unit = "wafers/month" }\n'
    market = open_market(demand(extra=foundry + supply("ascend-910c", 'foundry = "f"')))
    # 80 dies of 665.6 mm2 a wafer, four in ten good, two a package; some packages are lost
    assert 14 < offer(market, "more").per_wafer < 16
    assert market.wafers["f"] == (10.0, 10.0, 10.0)


def test_a_foundry_needs_a_known_die_or_chips_a_wafer() -> None:
    foundry = '[[foundry]]\nid = "f"\nwafers = { value = 10, unit = "wafers/month" }\n'
    with pytest.raises(DemandError, match="give per_wafer"):
        open_market(demand(extra=foundry + supply("zhenwu-810e", 'foundry = "f"')))


def test_a_chip_without_a_price_needs_one() -> None:
    with pytest.raises(DemandError, match="catalogue has no price of zhenwu-810e; give price"):
        open_market(demand(extra=supply("zhenwu-810e", price="")))


def test_a_chip_without_a_power_cannot_be_planned() -> None:
    with pytest.raises(DemandError, match="its power is not published"):
        open_market(demand(extra=supply("tpu-v6e")))


def test_what_a_chip_cannot_run_is_said() -> None:
    chip = open_market(demand(extra=supply("groq-lpu"))).chips["groq-lpu"]
    assert not chip.rates and "chips' memory" in chip.why_not["chat"]
