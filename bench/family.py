"""Make the product files of our own chips from the models, and print what they say.

`python -m bench.family` prints; with `--write` it also writes the catalogue's jiriki-*.toml.
"""

import sys
from pathlib import Path

from rich.console import Console

import jiriki.products
from jiriki.cost.area import die_area
from jiriki.cost.design import load_designs
from jiriki.cost.family import product_text
from jiriki.cost.power import design_power
from jiriki.cost.price import price
from jiriki.products.figure import Figure
from jiriki.products.product import parse_product
from jiriki.report.tables import Sheet, rich_table

CATALOGUE = Path(jiriki.products.__path__[0]) / "catalogue"


def main(write: bool) -> None:
    """Print one row a chip: low, base and high of what follows from its design."""
    rows = []
    for id, plan in load_designs().items():
        text = product_text(plan)
        if write:
            (CATALOGUE / f"{id}.toml").write_text(text, "utf-8")
        die, power = die_area(plan).total, design_power(plan).total
        cost = price(parse_product(id, text))
        rows.append(
            (
                id, f"{plan.peak_int8 / 1e12:.0f}", f"{plan.dies} x {_range(die)}", _range(power),
                f"{plan.dram_bandwidth / 1e9:.0f}", f"{plan.dram_bytes / 1e9:.0f}",
                _range(cost.yield_share, 100), _range(cost.parts["silicon"]), _range(cost.total),
            )
        )  # fmt: skip
    heads = (
        "chip", ">INT8 TOPS", ">die mm2", ">W", ">GB/s", ">GB", ">yield %", ">silicon USD",
        ">chip USD",
    )  # fmt: skip
    Console(width=150).print(rich_table(Sheet("our chips, low / base / high", heads, tuple(rows))))


def _range(figure: Figure, scale: float = 1) -> str:
    return " / ".join(f"{scale * end:.0f}" for end in (figure.low, figure.base, figure.high))


if __name__ == "__main__":
    main("--write" in sys.argv[1:])
