"""`Product`: a chip as bought or built, and the catalogue of them.

In: one TOML a chip in `catalogue/` (its file name is the id). Out: checked products whose figures
are in SI units and carry source and date. A figure that nobody published is absent, never guessed.

Vocabulary. A product is a package: its peak and its die area are sums over all logic dies in it.
Peaks are dense. Countries are ISO 3166 codes of two letters, `designer_country` being where the
designer has its seat and `made_in` where the logic dies pass the front end.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jiriki.chip import chip_names
from jiriki.products.errors import FactError
from jiriki.products.figure import Figure
from jiriki.products.table import Table, load_table, parse_table

# Number format -> bits of an operand. "fp16" stands for bfloat16 too: no chip here differs in them.
FORMAT_BITS = {"int4": 4, "fp4": 4, "int8": 8, "fp8": 8, "int16": 16, "fp16": 16, "fp32": 32}


@dataclass(frozen=True, slots=True)
class Product:
    """A chip as bought or built; see the module docstring for the vocabulary."""

    id: str
    name: str
    designer: str
    designer_country: str
    made_in: str
    foundry: str
    announced: str  # ISO date
    ours: bool
    why: str  # why it is in the catalogue; for ours: which constraint it answers
    process: str  # such as "tsmc-12"
    planar: bool  # planar transistors (28 nm and older), not FinFET or GAA
    peak: dict[str, Figure]  # op/s by format, dense
    sram: Figure | None  # byte on the logic dies
    dram: Figure | None  # byte
    dram_kind: str  # such as "hbm3", "lpddr5x", "none"
    dram_bandwidth: Figure | None  # byte/s
    io_bandwidth: Figure | None  # byte/s of every port but memory, both directions added
    tdp: Figure | None  # W
    die_area: Figure | None  # mm2, all logic dies of the package
    dies: int  # logic dies in the package
    clock: Figure | None  # Hz
    transistors: Figure | None  # all logic dies
    datacenter: bool  # designed or marketed for data centers
    price: Figure | None  # USD
    tile: str | None  # ours: chip of jiriki/chip/catalogue that every tile is
    tiles: int | None  # ours: tiles in the package


_FIGURES = {
    "sram": "byte", "dram": "byte", "dram_bandwidth": "byte/s", "io_bandwidth": "byte/s",
    "tdp": "W", "die_area": "mm2", "clock": "Hz", "transistors": "1", "price": "USD",
}  # fmt: skip
_COUNTRY = re.compile(r"[A-Z]{2}|unknown")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def product_ids() -> tuple[str, ...]:
    """Return the ids of the catalogue in alphabetical order."""
    folder = resources.files("jiriki.products") / "catalogue"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def load_product(id: str) -> Product:
    """Read a chip by its id in the catalogue or by the path of a TOML file.

    Raises FactError for an unknown id (naming near ones) or a broken file.
    """
    known = product_ids()
    path = Path(id)
    if id not in known and path.suffix == ".toml" and path.is_file():
        return _product(path.stem, load_table(path, f"product {path.stem}"))
    if id not in known:
        near = get_close_matches(id.lower(), known, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"choose {', '.join(known)}"
        raise FactError(f"chip {id!r} is not in the catalogue of products; {hint}")
    return _catalogued(id)


@cache
def _catalogued(id: str) -> Product:
    file = resources.files("jiriki.products") / "catalogue" / f"{id}.toml"
    return _product(id, load_table(file, f"product {id}"))


def load_products() -> tuple[Product, ...]:
    """Return every chip of the catalogue, by id."""
    return tuple(load_product(id) for id in product_ids())


def parse_product(id: str, content: str | bytes) -> Product:
    """Read the TOML of one product. Raises FactError that names the key and what to do."""
    return _product(id, parse_table(content, f"product {id}"))


def _product(id: str, table: Table) -> Product:
    if not _ID.fullmatch(id):
        raise FactError(f"{table.where}: an id is lower case words and digits joined by hyphens")
    figures: dict[str, Any] = {
        key: table.figure_or_none(key, unit, positive=True) for key, unit in _FIGURES.items()
    }
    product = Product(
        id=id,
        name=table.text("name"),
        designer=table.text("designer"),
        designer_country=_country(table, "designer_country"),
        made_in=_country(table, "made_in"),
        foundry=table.text("foundry"),
        announced=table.required_day("announced").isoformat(),
        ours=table.flag("ours"),
        why=table.text("why"),
        process=table.text("process"),
        planar=table.flag("planar"),
        peak=_peak(table),
        dram_kind=table.text("dram_kind"),
        dies=table.whole("dies", 1),
        datacenter=table.flag("datacenter"),
        tile=table.text("tile") if table.has("tile") else None,
        tiles=table.whole("tiles", 1) if table.has("tiles") else None,
        **figures,
    )
    table.close()
    _check(product, table.where)
    return product


def _country(table: Table, key: str) -> str:
    value = table.text(key)
    if not _COUNTRY.fullmatch(value):
        raise FactError(
            f"{table.where}: {key} = {value!r} is no ISO code of two letters "
            '(or "unknown"); correct it'
        )
    return value


def _peak(product: Table) -> dict[str, Figure]:
    if not product.has("peak"):
        raise FactError(f"{product.where}: peak is missing; add [peak]")
    table = product.inner("peak", f"{product.where}: peak")
    for key in table.table.keys() - FORMAT_BITS.keys():
        raise FactError(f"{table.where}.{key} is no number format; use {', '.join(FORMAT_BITS)}")
    return {key: table.figure(key, "op/s", positive=True) for key in table.table}


def _check(product: Product, where: str) -> None:
    """Refuse what does not fit together."""
    if (product.dram_kind == "none") != (product.dram is None):
        raise FactError(
            f'{where}: dram_kind = {product.dram_kind!r} does not fit: it is "none" exactly where '
            "there is no dram; give the capacity or drop the kind"
        )
    if product.ours != (product.tile is not None):
        raise FactError(f"{where}: tile is given exactly where ours = true; mend one of the two")
    if product.tile is not None and product.tile not in chip_names():
        raise FactError(
            f"{where}: tile = {product.tile!r} is no chip of the tile catalogue; "
            f"choose {', '.join(chip_names())}"
        )
    if (product.tiles is None) != (product.tile is None):
        raise FactError(f"{where}: tiles = {product.tiles} goes with tile; give both or none")
