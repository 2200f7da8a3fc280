"""`jiriki products`: the catalogue of real chips and of our chips built of tiles.

In: at most one id. Out: a table or JSON; of one chip every figure with source and date.
"""

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

from rich.console import RenderableType

from jiriki.cli.screen import Screen
from jiriki.products.figure import Figure
from jiriki.products.product import Product, load_product, load_products
from jiriki.report.tables import Sheet, rich_table

_UNVERIFIED = "?"
# Unit at load -> (factor, unit) as shown.
_SHOWN = {
    "op/s": (1e-12, "TOPS"),
    "byte/s": (1e-12, "TB/s"),
    "byte": (1e-9, "GB"),
    "Hz": (1e-9, "GHz"),
    "1": (1e-9, "billion"),
    "USD": (1e-3, "kUSD"),
}


def products(id: str | None, as_json: bool) -> None:
    """List the products, or every figure of one."""
    listed = [load_product(id)] if id else list(load_products())
    payload = {"products": [asdict(product) for product in listed]}
    legend = f"{_UNVERIFIED} unverified; a-b: sources differ; empty: not published"
    parts = _figures(listed[0]) if id else [rich_table(products_sheet(listed))]
    Screen("products", as_json).result(payload, lambda: [*parts, legend])


def products_sheet(listed: Iterable[Product]) -> Sheet:
    """Return one row a product."""
    heads = (
        "chip", "made in", ">int8", ">fp16", ">memory", ">TB/s", ">W", ">mm2", ">kUSD",
    )  # fmt: skip
    rows = tuple(
        (
            product.id, product.made_in, number(product.peak.get("int8")),
            number(product.peak.get("fp16")), f"{number(product.dram)} {product.dram_kind}",
            number(product.dram_bandwidth), number(product.tdp), number(product.die_area),
            number(product.price),
        )
        for product in listed
    )  # fmt: skip
    return Sheet("products (dense peaks in TOPS or TFLOPS, memory in GB)", heads, rows)


def number(figure: Figure | None) -> str:
    """Return a figure without its unit: its range where it is one, `?` where unverified."""
    if figure is None:
        return ""
    factor, _ = _SHOWN.get(figure.unit, (1.0, figure.unit))
    ends = dict.fromkeys((figure.low * factor, figure.high * factor))
    text = "-".join(f"{end:,.0f}" if end >= 1000 else f"{end:.4g}" for end in ends)
    return text + (_UNVERIFIED if figure.unverified else "")


def _figures(product: Product) -> list[RenderableType]:
    """Return every field of a product, its sources numbered and spelled out below."""
    rows: list[tuple[str, ...]] = []
    sources: dict[str, int] = {}
    for field in fields(product):
        value: Any = getattr(product, field.name)
        named = value.items() if field.name == "peak" else [("", value)]
        for format_name, item in named:
            name = f"{field.name} {format_name}".strip()
            if isinstance(item, Figure):
                unit = _SHOWN.get(item.unit, (1.0, item.unit))[1]
                mark = sources.setdefault(item.source, len(sources) + 1)
                rows.append((name, f"{number(item)} {unit}", item.date, f"[{mark}]"))
            elif item is not None:
                rows.append((name, f"{item}", "", ""))
    sheet = Sheet(product.name, ("field", "value", "date", "source"), tuple(rows))
    return [rich_table(sheet), *(f"[{mark}] {source}" for source, mark in sources.items())]
