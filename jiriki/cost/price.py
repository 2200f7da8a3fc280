"""What a good chip costs to make, and what an hour, a million tokens or images of it cost.

In: a `Product` of the catalogue (ours or anyone's with a known process and die area) and
`Assumptions`. Out: `PriceEstimate`: USD by part as low, base and high. It is a cost of making:
masks are spread over the units; engineering, margin and the choice of working parts of published
chips are left out. A buyer pays more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jiriki.cost.area import die_area
from jiriki.cost.assumptions import Assumptions, load_assumptions
from jiriki.cost.calibration import load_calibration
from jiriki.cost.design import Design, load_designs
from jiriki.cost.errors import CostError
from jiriki.cost.interfaces import load_memory
from jiriki.cost.process import Process, load_process
from jiriki.cost.yields import YieldModel, die_yield, dies_per_wafer, repaired_yield
from jiriki.products.errors import FactError
from jiriki.products.figure import Figure
from jiriki.products.product import Product
from jiriki.products.range import ZERO, Range, vary

MILLION = 1e6
DEFAULT_PACKAGE = {True: "interposer", False: "flip-chip"}  # by whether the memory is HBM


@dataclass(frozen=True, slots=True)
class DieCost:
    """One die: gross dies a wafer, the share that works, USD of a good one."""

    area: Range  # mm2
    per_wafer: Range
    good: Range  # share
    cost: Range  # USD


@dataclass(frozen=True, slots=True)
class PriceEstimate:
    """USD of one good chip by part; the parts add to `total`."""

    product: str
    parts: Mapping[str, Figure]
    total: Figure
    yield_share: Figure
    assumptions: Assumptions


def die_cost(
    area: Range,
    node: Process,
    model: YieldModel,
    tiles: int = 0,
    spare: int = 0,
    tile_share: float = 0.0,
) -> DieCost:
    """Return the cost of a good die of `area`, of which `tile_share` is tiles and spare ones."""

    def good(mm2: float, defects: float) -> float:
        if not tiles:
            return die_yield(mm2, defects, model)
        tile = mm2 * tile_share / (tiles + spare)
        rest = mm2 * (1 - tile_share)
        return repaired_yield(tile, tiles, spare, rest, defects, model)

    def cost(mm2: float, defects: float, wafer: float) -> float:
        return wafer / (dies_per_wafer(mm2) * good(mm2, defects))

    defects, wafer = Range.of(node.defect_density), Range.of(node.wafer_price)
    return DieCost(
        area=area,
        per_wafer=area.through(dies_per_wafer),
        good=_share(vary(good, area, defects)),
        cost=vary(cost, area, defects, wafer),
    )


def _share(value: Range) -> Range:
    return value.through(lambda share: min(1.0, share))


def product_die(made: Product, given: Assumptions) -> DieCost:
    """Return the cost of a die of a product; our own repair by spare tiles."""
    if made.ours:
        plan = _design(made)
        return design_die(plan, given)
    if made.die_area is None:
        raise CostError(f"{made.id}: its die area is not published, so no price follows from it")
    area = Range.of(made.die_area) / made.dies
    return die_cost(area, _node(made), given.yield_model)


def design_die(plan: Design, given: Assumptions) -> DieCost:
    """Return the cost of a die of our own, repaired by its spare tiles."""
    estimate = die_area(plan)
    share = estimate.units["tiles"].base / estimate.total.base
    return die_cost(
        Range.of(estimate.total), plan.node, given.yield_model,
        plan.tiles_per_die, plan.spare_tiles_per_die, share,
    )  # fmt: skip


def price(made: Product, given: Assumptions | None = None) -> PriceEstimate:
    """Estimate what one good chip costs. Raises CostError where its silicon is not known."""
    given = given or load_assumptions()
    die = product_die(made, given)
    kind = _design(made).package if made.ours else DEFAULT_PACKAGE["hbm" in made.dram_kind]
    area = die.area * made.dies
    parts = {
        "silicon": die.cost * made.dies,
        "package": given[f"package.{kind}.fixed"] + given[f"package.{kind}.per_area"] * area,
        "memory": _memory(made),
        "test": given["test_per_die"] * made.dies,
    }
    bought = Range.total(parts.values())
    parts["assembly loss"] = bought * given["assembly_yield"].through(_loss)
    parts["masks"] = Range.of(_node(made).mask_set) / given["units"]
    return _estimate(made, parts, die, given)


def _loss(good: float) -> float:
    """Return what each good package pays for the lost ones, as a share; never quite nothing."""
    return max(1 / good - 1, 1e-9)


def _memory(made: Product) -> Range:
    if made.dram is None:
        return ZERO
    try:
        kind = load_memory(made.dram_kind)
    except FactError as error:
        raise CostError(f"{made.id}: no price follows, for its memory has none ({error})") from None
    return Range.of(kind.price) * Range.of(made.dram)


def _node(made: Product) -> Process:
    try:
        return load_process(made.process)
    except FactError:
        raise CostError(
            f"{made.id}: its process {made.process!r} has no wafer price, so no price follows"
        ) from None


def _design(made: Product) -> Design:
    if made.id not in load_designs():
        raise CostError(f"{made.id} is ours but family.toml does not tell how it is built; add it")
    return load_designs()[made.id]


def _estimate(
    made: Product, parts: Mapping[str, Range], die: DieCost, given: Assumptions
) -> PriceEstimate:
    why, date = f"price model of {made.id}", load_calibration().date

    def dollars(value: Range) -> Figure:
        return value.figure("USD", why, date, unverified=True)

    return PriceEstimate(
        product=made.id,
        parts={name: dollars(value) for name, value in parts.items()},
        total=dollars(Range.total(parts.values())),
        yield_share=die.good.figure("1", why, date, unverified=True),
        assumptions=given,
    )


@dataclass(frozen=True, slots=True)
class ServerHour:
    """USD a second of a server, by part."""

    product: str
    chips: int
    parts: Mapping[str, Figure]
    total: Figure


def server_hour(
    made: Product, given: Assumptions | None = None, purchase: Figure | None = None
) -> ServerHour:
    """Estimate what a server of these chips costs a second, bought at `purchase` a chip.

    Without `purchase` a chip costs its published price, else what it costs to make. Raises
    CostError where neither is known, or the chip's power is not.
    """
    given = given or load_assumptions()
    if made.tdp is None:
        raise CostError(f"{made.id}: its power is not published, so no server follows from it")
    paid = purchase or made.price or price(made, given).total
    power = Range.of(made.tdp)
    board = given["board.fixed"] + given["board.per_watt"] * power
    chips = given.chips_per_server
    capital = (Range.of(paid) + board) * chips + given["server.host_price"]
    load, idle = given["server.utilisation"], given["server.idle_power"]
    share = vary(lambda busy, rest: busy + (1 - busy) * rest, load, idle)
    drawn = power * share * chips + given["server.host_power"]
    parts = {
        "capital": capital / given["server.life"],
        "upkeep": capital * given["server.upkeep"] / YEAR_S,
        "electricity": drawn * given["server.pue"] * given["server.electricity"],
    }
    why, date = f"server of {chips} {made.id}", load_calibration().date
    figures = {k: v.figure("USD/s", why, date, unverified=True) for k, v in parts.items()}
    total = Range.total(parts.values()).figure("USD/s", why, date, unverified=True)
    return ServerHour(made.id, chips, figures, total)


YEAR_S = 365.25 * 86400


def per_million(
    made: Product,
    rate_per_chip: Range,
    given: Assumptions | None = None,
    purchase: Figure | None = None,
) -> Figure:
    """Return USD of a million tokens or images at `rate_per_chip` a second while a chip works."""
    given = given or load_assumptions()
    hour = server_hour(made, given, purchase)
    rate = rate_per_chip * given["server.utilisation"] * hour.chips
    cost = Range.of(hour.total) / rate * MILLION
    why = f"a million at {rate_per_chip.base:g}/s a chip, {hour.total.source}"
    return cost.figure("USD", why, load_calibration().date, unverified=True)
