"""`jiriki cost`: area, energy and price of a tile, or of a product of the catalogue.

In: a chip of the tile catalogue or a product's id, or the path of a .toml of either. Out: tables or
JSON; every number is an estimate with low, base and high, and says what it was calibrated on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from jiriki.chip import ChipConfig, chip_names, load_chip
from jiriki.cli.errors import CliError
from jiriki.cli.screen import Screen
from jiriki.cost.area import AreaEstimate, die_area, tile_area
from jiriki.cost.assumptions import Assumptions, load_assumptions
from jiriki.cost.calibration import Calibration, load_calibration
from jiriki.cost.design import Design, load_design
from jiriki.cost.energy import event_energies
from jiriki.cost.errors import CostError
from jiriki.cost.power import design_power
from jiriki.cost.price import design_die, price, server_hour, tile_silicon
from jiriki.cost.process import DEFAULT_PROCESS, Process, Scaling, load_process
from jiriki.products.errors import FactError
from jiriki.products.figure import Figure
from jiriki.products.product import Product, load_product, product_ids
from jiriki.products.range import Range
from jiriki.products.table import load_table
from jiriki.report.payload import ends
from jiriki.report.tables import Sheet, energy_text, power_text, rich_table

HOUR_S = 3600.0


@dataclass(frozen=True)
class Request:
    """The arguments of the command."""

    name: str
    process: str | None = None
    scaling: str = Scaling.DEFAULT.value
    assumptions: Path | None = None
    calibration: Path | None = None


@dataclass(frozen=True)
class Basis:
    """What an estimate rests on."""

    assumptions: Assumptions
    factors: Calibration


def cost(request: Request, as_json: bool) -> None:
    """Print what a tile or a product takes and costs."""
    screen = Screen("cost", as_json)
    basis = Basis(load_assumptions(request.assumptions), load_calibration(request.calibration))
    if _names_product(request.name):
        payload, sheets = _product(load_product(request.name), request, basis)
    else:
        payload, sheets = _tile(_chip(request.name), _node(request), basis)
    screen.result(payload, lambda: _page(payload, sheets))


def _names_product(name: str) -> bool:
    """Tell whether this is a product's id, or a TOML that states a designer as products do."""
    if not name.endswith(".toml"):
        return name in product_ids()
    try:
        return load_table(Path(name), name).has("designer")
    except FactError:
        return False  # the reader of tiles says what is wrong


def _chip(name: str) -> ChipConfig:
    if name in chip_names() or name.endswith(".toml"):
        return load_chip(name)
    raise CliError(
        f"{name!r} is neither a tile ({', '.join(chip_names())}), a .toml, nor a product "
        f"({', '.join(product_ids())})"
    )


def _node(request: Request) -> Process:
    try:
        law = Scaling(request.scaling)
    except ValueError:
        names = ", ".join(scaling.value for scaling in Scaling)
        raise CliError(f"--scaling {request.scaling}: choose {names}") from None
    return load_process(request.process or DEFAULT_PROCESS, law)


def _tile(chip: ChipConfig, node: Process, basis: Basis) -> tuple[dict[str, Any], list[Sheet]]:
    area = tile_area(chip, node, basis.factors)
    events = event_energies(chip, node, basis.factors)
    silicon = tile_silicon(Range.of(area.total), node, basis.assumptions.yield_model)
    payload = {
        "name": chip.name,
        "kind": "tile",
        "process": node.id,
        "scaling": node.scaling.value,
        "price": f"the silicon of one {chip.name} costs {_dollars(silicon)}, as its share of a "
        "good wafer; masks, memory, package and test come with the chip that holds it",
        "price_usd": {"parts": {"silicon": _span(silicon)}, "total": _span(silicon)},
        "area_mm2": _area(area),
        "event_energy_j": {name: _span(energy) for name, energy in events.items()},
        "calibrated_on": list(area.calibrated_on),
    }
    return payload, [_area_sheet(area), _event_sheet(events, node, basis.factors)]


def _product(
    product: Product, request: Request, basis: Basis
) -> tuple[dict[str, Any], list[Sheet]]:
    if request.process or request.scaling != Scaling.DEFAULT.value:
        raise CliError(
            f"{product.id} is made at {product.process}; --process and --scaling are for tiles"
        )
    if request.calibration and not product.ours:
        raise CliError(
            f"{product.id} has a published die; --calibration is for tiles and chips of ours"
        )
    payload: dict[str, Any] = {
        "name": product.id, "kind": "product", "process": product.process, "why": product.why,
        "peak_ops": {name: ends(peak) for name, peak in product.peak.items()},
    }  # fmt: skip
    sheets = []
    if product.ours:
        more, sheets = _design(load_design(product.id), basis)
        payload |= more
    estimate = price(product, basis.assumptions, basis.factors)
    payload["price"] = _price_text(product, estimate.total)
    payload["price_usd"] = {"parts": _ends(estimate.parts), "total": ends(estimate.total)}
    payload["price_paid_usd"] = product.price and ends(product.price)
    payload["yield"] = ends(estimate.yield_share)
    title = f"cost of making one {product.id}"
    sheets.append(_price_sheet(title, estimate.parts, estimate.total))
    hour = _hour(product, basis)
    if isinstance(hour, str):
        payload["server_hour_usd"], payload["server_hour_unknown"] = None, hour
    else:
        payload["server_hour_usd"] = {name: ends(part) for name, part in hour.items()}
        title = f"hour of a server of {basis.assumptions.chips_per_server} {product.id}"
        parts = {name: part for name, part in hour.items() if name != "total"}
        sheets.append(_price_sheet(title, parts, hour["total"]))
    payload["calibrated_on"] = list(basis.factors.calibrated_on)
    return payload, sheets


def _price_text(product: Product, making: Figure) -> str:
    text = f"one {product.id} costs {_dollars(making)} to make, by estimate"
    if product.price is None:
        return f"{text}; what buyers pay is not published"
    return f"{text}; buyers pay {_dollars(product.price)}, as of {product.price.date}"


def _dollars(price: Figure | Range) -> str:
    low, base, high = _three(price)
    return f"{base} USD" if low == high else f"{base} USD ({low} to {high} USD)"


def _hour(product: Product, basis: Basis) -> dict[str, Figure] | str:
    """Return USD an hour by part, or why there is none."""
    try:
        server = server_hour(product, basis.assumptions, factors=basis.factors)
    except CostError as error:
        return str(error)
    parts = {**server.parts, "total": server.total}
    return {name: part.scaled(HOUR_S, "USD", "an hour") for name, part in parts.items()}


def _design(design: Design, basis: Basis) -> tuple[dict[str, Any], list[Sheet]]:
    die = die_area(design, basis.factors)
    tile = tile_area(design.chip, design.node, basis.factors)
    power = design_power(design, basis.factors)
    payload = {
        "die_area_mm2": _area(die),
        "dies": design.dies,
        "tile_area_mm2": _area(tile),
        "dies_per_wafer": _span(design_die(design, basis.assumptions, basis.factors).per_wafer),
        "power_w": {"parts": _ends(power.parts), "total": ends(power.total)},
    }
    rows = [(name, power_text(part)) for name, part in power.parts.items()]
    rows.append(("total", power_text(power.total)))
    sheet = Sheet(f"power of {design.id} at full rate", ("part", ">power"), tuple(rows))
    return payload, [_area_sheet(tile), _area_sheet(die), sheet]


def _span(value: Range) -> dict[str, float]:
    return {"low": value.low, "base": value.base, "high": value.high}


def _area(area: AreaEstimate) -> dict[str, Any]:
    return {"units": _ends(area.units), "total": ends(area.total)}


def _ends(parts: Mapping[str, Figure]) -> dict[str, dict[str, float]]:
    return {name: ends(part) for name, part in parts.items()}


def _area_sheet(area: AreaEstimate) -> Sheet:
    total = area.total.base
    rows = [
        (name, *_three(unit), f"{unit.base / total:.0%}", area.counted[name])
        for name, unit in area.units.items()
    ]
    rows.append(("total", *_three(area.total), "", ""))
    heads = ("unit", ">low, mm2", ">base, mm2", ">high, mm2", ">share", "what was counted")
    return Sheet(f"area of {area.subject} at {area.process}, estimate", heads, tuple(rows))


def _event_sheet(events: Mapping[str, Range], node: Process, factors: Calibration) -> Sheet:
    rows = tuple(
        (name.replace("_", " "), energy_text(energy.figure("J", name, factors.date)))
        for name, energy in events.items()
    )
    title = f"energy of one event at {node.id}, {node.scaling.value} scaling, estimate"
    return Sheet(title, ("event (bytes of memories)", ">energy"), rows)


def _price_sheet(title: str, parts: Mapping[str, Figure], total: Figure) -> Sheet:
    rows = [(name, *_three(part)) for name, part in parts.items()]
    rows.append(("total", *_three(total)))
    heads = ("part", ">low, USD", ">base, USD", ">high, USD")
    return Sheet(f"{title}, estimate", heads, tuple(rows))


def _three(value: Figure | Range) -> tuple[str, str, str]:
    numbers = (value.low, value.base, value.high)
    low, base, high = (f"{end:,.3g}" if end < 100 else f"{end:,.0f}" for end in numbers)
    return low, base, high


def _page(payload: Mapping[str, Any], sheets: Iterable[Sheet]) -> Iterable[RenderableType]:
    if "why" in payload:
        yield f"{payload['name']}: {payload['why']}"
    yield f"{payload['price']}.\n"
    for sheet in sheets:
        yield rich_table(sheet)
    if payload.get("server_hour_unknown"):
        yield f"no server-hour: {payload['server_hour_unknown']}"
    for line in payload["calibrated_on"]:
        yield f"calibrated on {line}"
