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
from jiriki.cost.calibration import load_calibration
from jiriki.cost.design import Design, load_design
from jiriki.cost.energy import event_energies
from jiriki.cost.errors import CostError
from jiriki.cost.power import design_power
from jiriki.cost.price import design_die, price, server_hour
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


def cost(request: Request, as_json: bool) -> None:
    """Print what a tile or a product takes and costs."""
    screen = Screen("cost", as_json)
    given = load_assumptions(request.assumptions)
    if _names_product(request.name):
        payload, sheets = _product(load_product(request.name), request, given)
    else:
        payload, sheets = _tile(_chip(request.name), _node(request))
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
        names = ", ".join(one.value for one in Scaling)
        raise CliError(f"--scaling {request.scaling}: choose {names}") from None
    return load_process(request.process or DEFAULT_PROCESS, law)


def _tile(chip: ChipConfig, node: Process) -> tuple[dict[str, Any], list[Sheet]]:
    area = tile_area(chip, node)
    events = event_energies(chip, node, load_calibration())
    payload = {
        "name": chip.name,
        "kind": "tile",
        "process": node.id,
        "scaling": node.scaling.value,
        "area_mm2": _area(area),
        "event_energy_j": {
            name: {"low": one.low, "base": one.base, "high": one.high}
            for name, one in events.items()
        },
        "calibrated_on": list(area.calibrated_on),
    }
    return payload, [_area_sheet(area), _event_sheet(events, node)]


def _product(
    made: Product, request: Request, given: Assumptions
) -> tuple[dict[str, Any], list[Sheet]]:
    if request.process or request.scaling != Scaling.DEFAULT.value:
        raise CliError(
            f"{made.id} is made at {made.process}; --process and --scaling are for tiles"
        )
    payload: dict[str, Any] = {
        "name": made.id, "kind": "product", "process": made.process, "why": made.why,
        "peak_ops": {name: ends(peak) for name, peak in made.peak.items()},
    }  # fmt: skip
    sheets = []
    if made.ours:
        more, sheets = _design(load_design(made.id), given)
        payload |= more
    estimate = price(made, given)
    payload["price_usd"] = {"parts": _ends(estimate.parts), "total": ends(estimate.total)}
    payload["yield"] = ends(estimate.yield_share)
    sheets.append(_price_sheet(f"price of making one {made.id}", estimate.parts, estimate.total))
    hour = _hour(made, given)
    if isinstance(hour, str):
        payload["server_hour_usd"], payload["server_hour_unknown"] = None, hour
    else:
        payload["server_hour_usd"] = {name: ends(one) for name, one in hour.items()}
        title = f"hour of a server of {given.chips_per_server} {made.id}"
        parts = {name: one for name, one in hour.items() if name != "total"}
        sheets.append(_price_sheet(title, parts, hour["total"]))
    payload["calibrated_on"] = list(load_calibration().calibrated_on)
    return payload, sheets


def _hour(made: Product, given: Assumptions) -> dict[str, Figure] | str:
    """Return USD an hour by part, or why there is none."""
    try:
        server = server_hour(made, given)
    except CostError as error:
        return str(error)
    parts = {**server.parts, "total": server.total}
    return {k: one.scaled(HOUR_S, "USD", "an hour") for k, one in parts.items()}


def _design(plan: Design, given: Assumptions) -> tuple[dict[str, Any], list[Sheet]]:
    die, tile, power = die_area(plan), tile_area(plan.chip, plan.node), design_power(plan)
    made = design_die(plan, given)
    payload = {
        "die_area_mm2": _area(die),
        "dies": plan.dies,
        "tile_area_mm2": _area(tile),
        "dies_per_wafer": {"low": made.per_wafer.low, "base": made.per_wafer.base,
                           "high": made.per_wafer.high},
        "power_w": {"parts": _ends(power.parts), "total": ends(power.total)},
    }  # fmt: skip
    rows = [(name, power_text(one)) for name, one in power.parts.items()]
    rows.append(("total", power_text(power.total)))
    sheet = Sheet(f"power of {plan.id} at full rate", ("part", ">power"), tuple(rows))
    return payload, [_area_sheet(tile), _area_sheet(die), sheet]


def _area(area: AreaEstimate) -> dict[str, Any]:
    return {"units": _ends(area.units), "total": ends(area.total)}


def _ends(parts: Mapping[str, Figure]) -> dict[str, dict[str, float]]:
    return {name: ends(one) for name, one in parts.items()}


def _area_sheet(area: AreaEstimate) -> Sheet:
    total = area.total.base
    rows = [
        (name, *_three(one), f"{one.base / total:.0%}", area.counted[name])
        for name, one in area.units.items()
    ]
    rows.append(("total", *_three(area.total), "", ""))
    heads = ("unit", ">low", ">base mm2", ">high", ">share", "what was counted")
    return Sheet(f"area of {area.subject} at {area.process}, estimate", heads, tuple(rows))


def _event_sheet(events: Mapping[str, Range], node: Process) -> Sheet:
    rows = tuple(
        (name.replace("_", " "), energy_text(one.figure("J", name, load_calibration().date)))
        for name, one in events.items()
    )
    title = f"energy of one event at {node.id}, {node.scaling.value} scaling, estimate"
    return Sheet(title, ("event (bytes of memories)", ">energy"), rows)


def _price_sheet(title: str, parts: Mapping[str, Figure], total: Figure) -> Sheet:
    rows = [(name, *_three(one)) for name, one in parts.items()]
    rows.append(("total", *_three(total)))
    return Sheet(f"{title}, estimate", ("part", ">low", ">base USD", ">high"), tuple(rows))


def _three(figure: Figure) -> tuple[str, str, str]:
    low, base, high = (f"{end:,.3g}" if end < 100 else f"{end:,.0f}" for end in _values(figure))
    return low, base, high


def _values(figure: Figure) -> tuple[float, float, float]:
    return figure.low, figure.base, figure.high


def _page(payload: Mapping[str, Any], sheets: Iterable[Sheet]) -> Iterable[RenderableType]:
    if "why" in payload:
        yield f"{payload['name']}: {payload['why']}\n"
    for sheet in sheets:
        yield rich_table(sheet)
    if payload.get("server_hour_unknown"):
        yield f"no server-hour: {payload['server_hour_unknown']}"
    for line in payload["calibrated_on"]:
        yield f"calibrated on {line}"
