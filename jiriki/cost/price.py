"""What a good chip costs to make, and what an hour, a million tokens or images of it cost.

In: a `Product` of the catalogue (ours or anyone's with a known process and die area) and
`Assumptions`. Out: `PriceEstimate`: USD by part as low, base and high. It is a cost of making:
masks are spread over the units; engineering, margin and the choice of working parts of published
chips are left out. A buyer pays more.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from jiriki.cost.area import die_area
from jiriki.cost.assumptions import Assumptions, load_assumptions
from jiriki.cost.calibration import Calibration, load_calibration
from jiriki.cost.design import Design, load_designs
from jiriki.cost.errors import CostError
from jiriki.cost.interfaces import load_memory
from jiriki.cost.process import Process, load_process
from jiriki.cost.yields import WAFER_MM, YieldModel, die_yield, dies_per_wafer, repaired_yield
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


def tile_silicon(area: Range, node: Process, model: YieldModel) -> Range:
    """Return USD of a tile's silicon: its share of a wafer's area, over the share that is good.

    area: mm2. The wafer's edge, masks, package and test come with the die that holds the tile.
    """

    def cost(mm2: float, defects: float, wafer: float) -> float:
        return wafer * mm2 / (math.pi * (WAFER_MM / 2) ** 2) / die_yield(mm2, defects, model)

    return vary(cost, area, Range.of(node.defect_density), Range.of(node.wafer_price))


def product_die(
    product: Product, assumptions: Assumptions, factors: Calibration | None = None
) -> DieCost:
    """Return the cost of a die of a product; our own repair by spare tiles."""
    if product.ours:
        return design_die(_design(product), assumptions, factors)
    if product.die_area is None:
        raise CostError(f"{product.id}: its die area is not published, so no price follows from it")
    area = Range.of(product.die_area) / product.dies
    return die_cost(area, _node(product), assumptions.yield_model)


def design_die(
    design: Design, assumptions: Assumptions, factors: Calibration | None = None
) -> DieCost:
    """Return the cost of a die of our own, repaired by its spare tiles."""
    estimate = die_area(design, factors)
    share = estimate.units["tiles"].base / estimate.total.base
    return die_cost(
        Range.of(estimate.total), design.node, assumptions.yield_model,
        design.tiles_per_die, design.spare_tiles_per_die, share,
    )  # fmt: skip


def price(
    product: Product,
    assumptions: Assumptions | None = None,
    factors: Calibration | None = None,
) -> PriceEstimate:
    """Estimate what one good chip costs to make.

    Raises CostError where its silicon is not known. `factors` are for areas of our own.
    """
    assumptions = assumptions or load_assumptions()
    die = product_die(product, assumptions, factors)
    kind = _design(product).package if product.ours else DEFAULT_PACKAGE["hbm" in product.dram_kind]
    package = f"package.{kind}"
    area = die.area * product.dies
    parts = {
        "silicon": die.cost * product.dies,
        "package": assumptions[f"{package}.fixed"] + assumptions[f"{package}.per_area"] * area,
        "memory": _memory(product),
        "test": assumptions["test_per_die"] * product.dies,
    }
    assembled = Range.total(parts.values())
    parts["assembly loss"] = assembled * assumptions["assembly_yield"].through(_loss)
    parts["masks"] = Range.of(_node(product).mask_set) / assumptions["units"]
    return _estimate(product, parts, die, assumptions)


def _loss(good: float) -> float:
    """Return what each good package pays for the lost ones, as a share; never quite nothing."""
    return max(1 / good - 1, 1e-9)


def _memory(product: Product) -> Range:
    if product.dram is None:
        return ZERO
    try:
        kind = load_memory(product.dram_kind)
    except FactError as error:
        raise CostError(
            f"{product.id}: no price follows, for its memory has none ({error})"
        ) from None
    return Range.of(kind.price) * Range.of(product.dram)


def _node(product: Product) -> Process:
    try:
        return load_process(product.process)
    except FactError:
        raise CostError(
            f"{product.id}: its process {product.process!r} has no wafer price, so no price follows"
        ) from None


def _design(product: Product) -> Design:
    if product.id not in load_designs():
        raise CostError(
            f"{product.id} is ours but family.toml does not tell how it is built; add it"
        )
    return load_designs()[product.id]


def _estimate(
    product: Product, parts: Mapping[str, Range], die: DieCost, assumptions: Assumptions
) -> PriceEstimate:
    why, date = f"price model of {product.id}", load_calibration().date

    def dollars(value: Range) -> Figure:
        return value.figure("USD", why, date, unverified=True)

    return PriceEstimate(
        product=product.id,
        parts={name: dollars(value) for name, value in parts.items()},
        total=dollars(Range.total(parts.values())),
        yield_share=die.good.figure("1", why, date, unverified=True),
        assumptions=assumptions,
    )


@dataclass(frozen=True, slots=True)
class ServerHour:
    """USD a second of a server, by part."""

    product: str
    chips: int
    parts: Mapping[str, Figure]
    total: Figure


def server_hour(
    product: Product,
    assumptions: Assumptions | None = None,
    purchase: Figure | None = None,
    factors: Calibration | None = None,
) -> ServerHour:
    """Estimate what a server of these chips costs a second, bought at `purchase` a chip.

    Without `purchase` a chip costs its published price, else what it costs to make. Raises
    CostError where neither is known, or the chip's power is not.
    """
    assumptions = assumptions or load_assumptions()
    if product.tdp is None:
        raise CostError(f"{product.id}: its power is not published, so no server follows from it")
    paid = purchase or product.price or price(product, assumptions, factors).total
    power = Range.of(product.tdp)
    board = assumptions["board.fixed"] + assumptions["board.per_watt"] * power
    chips = assumptions.chips_per_server
    capital = (Range.of(paid) + board) * chips + assumptions["server.host_price"]
    load, idle = assumptions["server.utilisation"], assumptions["server.idle_power"]
    share = vary(lambda busy, rest: busy + (1 - busy) * rest, load, idle)
    drawn = power * share * chips + assumptions["server.host_power"]
    parts = {
        "capital": capital / assumptions["server.life"],
        "upkeep": capital * assumptions["server.upkeep"] / YEAR_S,
        "electricity": drawn * assumptions["server.pue"] * assumptions["server.electricity"],
    }
    why, date = f"server of {chips} {product.id}", load_calibration().date
    figures = {k: v.figure("USD/s", why, date, unverified=True) for k, v in parts.items()}
    total = Range.total(parts.values()).figure("USD/s", why, date, unverified=True)
    return ServerHour(product.id, chips, figures, total)


YEAR_S = 365.25 * 86400


def per_million(
    product: Product,
    rate_per_chip: Range,
    assumptions: Assumptions | None = None,
    purchase: Figure | None = None,
) -> Figure:
    """Return USD of a million tokens or images at `rate_per_chip` a second while a chip works."""
    assumptions = assumptions or load_assumptions()
    hour = server_hour(product, assumptions, purchase)
    rate = rate_per_chip * assumptions["server.utilisation"] * hour.chips
    cost = Range.of(hour.total) / rate * MILLION
    why = f"a million at {rate_per_chip.base:g}/s a chip, {hour.total.source}"
    return cost.figure("USD", why, load_calibration().date, unverified=True)
