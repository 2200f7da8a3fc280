"""`Product`: a chip as bought or built, and the catalogue of them.

In: one TOML a chip in `catalogue/` (its file name is the id). Out: checked products whose figures
are in SI units and carry source and date. A figure that nobody published is absent, never guessed.

Vocabulary. A product is a package: its peak and its die area are sums over all logic dies in it.
Peaks are dense. Countries are ISO 3166 codes of two letters, `designer_country` being where the
designer has its seat and `made_in` where the logic dies pass the front end.
"""

import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jiriki.chip import chip_names
from jiriki.products.errors import CostError
from jiriki.products.figure import Figure, read_date, read_figure

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


_TEXTS = (
    "name", "designer", "designer_country", "made_in", "foundry", "why", "process", "dram_kind",
)  # fmt: skip
_SWITCHES = ("ours", "planar", "datacenter")
_FIGURES = {
    "sram": "byte", "dram": "byte", "dram_bandwidth": "byte/s", "io_bandwidth": "byte/s",
    "tdp": "W", "die_area": "mm2", "clock": "Hz", "transistors": "1", "price": "USD",
}  # fmt: skip
_KEYS = {*_TEXTS, *_SWITCHES, *_FIGURES, "announced", "dies", "peak", "tile", "tiles"}
_COUNTRY = re.compile(r"[A-Z]{2}|unknown")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def product_ids() -> tuple[str, ...]:
    """Return the ids of the catalogue in alphabetical order."""
    folder = resources.files("jiriki.products") / "catalogue"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


@cache
def product(id: str) -> Product:
    """Read a chip by its id in the catalogue or by the path of a TOML file.

    Raises CostError for an unknown id (naming near ones) or a broken file.
    """
    known = product_ids()
    path = Path(id)
    if id not in known and path.suffix == ".toml" and path.is_file():
        return parse_product(path.stem, path.read_text("utf-8"))
    if id not in known:
        near = get_close_matches(id.lower(), known, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"choose {', '.join(known)}"
        raise CostError(f"chip {id!r} is not in the catalogue of products; {hint}")
    file = resources.files("jiriki.products") / "catalogue" / f"{id}.toml"
    return parse_product(id, file.read_text("utf-8"))


def products() -> tuple[Product, ...]:
    """Return every chip of the catalogue, by id."""
    return tuple(product(id) for id in product_ids())


def parse_product(id: str, text: str) -> Product:
    """Read the TOML of one product. Raises CostError that names the key and what to do."""
    where = f"product {id}"
    if not _ID.fullmatch(id):
        raise CostError(f"{where}: an id is lower case words and digits joined by hyphens")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CostError(f"{where}: not valid TOML ({error}); mend the file") from None
    for key in sorted(table.keys() - _KEYS):
        raise CostError(f"{where}: unknown key {key!r}; known are {', '.join(sorted(_KEYS))}")
    figures: dict[str, Any] = {
        key: read_figure(table, key, unit, where) if key in table else None
        for key, unit in _FIGURES.items()
    }
    texts = {key: _typed(table, key, str, where) for key in _TEXTS}
    switches = {key: _typed(table, key, bool, where) for key in _SWITCHES}
    made = Product(
        id=id,
        announced=_announced(table, where),
        dies=_typed(table, "dies", int, where),
        peak=_peak(table, where),
        tile=table.get("tile"),
        tiles=table.get("tiles"),
        **texts,
        **switches,
        **figures,
    )
    _check(made, where)
    return made


def _typed(table: dict[str, Any], key: str, kind: type, where: str) -> Any:  # noqa: ANN401
    if key not in table:
        raise CostError(f"{where}: {key} is missing; add it")
    value = table[key]
    if type(value) is not kind or value == "":
        raise CostError(f"{where}: {key} = {value!r} is not a {kind.__name__}; correct it")
    return value


def _announced(table: dict[str, Any], where: str) -> str:
    if "announced" not in table:
        raise CostError(f"{where}: announced is missing; add the date")
    return read_date(table["announced"], f"{where}: announced").isoformat()


def _peak(table: dict[str, Any], where: str) -> dict[str, Figure]:
    written = _typed(table, "peak", dict, where)
    for key in written.keys() - FORMAT_BITS.keys():
        raise CostError(f"{where}: peak.{key} is no number format; use {', '.join(FORMAT_BITS)}")
    return {key: read_figure(written, key, "op/s", f"{where}: peak") for key in written}


def _check(made: Product, where: str) -> None:
    for key in ("designer_country", "made_in"):
        if not _COUNTRY.fullmatch(getattr(made, key)):
            raise CostError(
                f"{where}: {key} = {getattr(made, key)!r} is no ISO code of two letters "
                '(or "unknown"); correct it'
            )
    if made.dies < 1:
        raise CostError(f"{where}: dies = {made.dies} must be at least 1; correct it")
    if (made.dram_kind == "none") != (made.dram is None):
        raise CostError(
            f'{where}: dram_kind = {made.dram_kind!r} does not fit: it is "none" exactly where '
            "there is no dram; give the capacity or drop the kind"
        )
    if made.ours != (made.tile is not None):
        raise CostError(f"{where}: tile is given exactly where ours = true; mend one of the two")
    if made.tile is not None and made.tile not in chip_names():
        raise CostError(
            f"{where}: tile = {made.tile!r} is no chip of the tile catalogue; "
            f"choose {', '.join(chip_names())}"
        )
    if (made.tiles is None) != (made.tile is None) or (made.tiles is not None and made.tiles < 1):
        raise CostError(f"{where}: tiles = {made.tiles} must be at least 1 and go with tile")
