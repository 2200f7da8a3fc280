"""Published results: what accelerators were measured to do, and where it says so.

In: one TOML a workload in `published_results/`, and the accelerators there that the catalogue does
not hold. Out: `Result`s; products by id.

`calibration = true` marks the entries that the efficiencies were fitted to; all others are held
out.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jiriki.predict.workload import MODES, load_workload, workload_ids
from jiriki.products.errors import CostError
from jiriki.products.product import Product, parse_product, product, product_ids


@dataclass(frozen=True, slots=True)
class Result:
    """One published throughput of one accelerator (a system's, divided by its accelerators)."""

    workload: str
    chip: str  # id of a product
    mode: str  # "offline", "server" or "single"
    per_s: float  # of `unit`
    unit: str
    chips: int | None  # of the group that one copy of the model spans, where it is known
    weights_format: str
    round: str  # such as "MLPerf v4.1"
    source: str
    calibration: bool
    note: str


def results(workload: str | None = None) -> tuple[Result, ...]:
    """Return the published results, of one workload or of all."""
    names = workload_ids() if workload is None else (workload,)
    return tuple(one for name in names for one in _read(name))


def accelerator(id: str) -> Product:
    """Return a product of the catalogue, or an accelerator that only the results know."""
    if id in accelerator_ids() and id not in product_ids():
        file = resources.files("jiriki.predict.published_results") / "accelerators" / f"{id}.toml"
        return _parsed(id, file.read_text("utf-8"))
    return product(id)


@cache
def accelerator_ids() -> tuple[str, ...]:
    """Return the ids outside the catalogue, in alphabetical order."""
    folder = resources.files("jiriki.predict.published_results") / "accelerators"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


@cache
def _parsed(id: str, text: str) -> Product:
    return parse_product(id, text)


@cache
def _read(workload: str) -> tuple[Result, ...]:
    file = resources.files("jiriki.predict.published_results") / f"{workload}.toml"
    if not file.is_file():
        return ()
    return parse_results(workload, file.read_text("utf-8"))


def parse_results(workload: str, text: str) -> tuple[Result, ...]:
    """Read the results of one workload. Raises CostError that names the entry and key."""
    where = f"published results of {workload}"
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CostError(f"{where}: not valid TOML ({error}); mend the file") from None
    sources = table.get("sources", {})
    return tuple(
        _result(workload, entry, sources, f"{where}: entry {number}")
        for number, entry in enumerate(table.get("result", ()), 1)
    )


def _result(
    workload: str, entry: Mapping[str, Any], sources: Mapping[str, str], where: str
) -> Result:
    needed = {"chip", "mode", "per_s", "unit", "weights", "round", "calibration"}
    for key in sorted(needed - entry.keys()):
        raise CostError(f"{where}: {key} is missing; add it")
    for key in sorted(entry.keys() - needed - {"chips", "note"}):
        raise CostError(f"{where}: unknown key {key!r}; known are {', '.join(sorted(needed))}")
    if entry["mode"] not in MODES:
        raise CostError(f"{where}: mode {entry['mode']!r}; choose {', '.join(MODES)}")
    if not entry["per_s"] > 0:
        raise CostError(f"{where}: per_s = {entry['per_s']} must be positive; correct it")
    unit = load_workload(workload).unit
    if entry["unit"] != f"{unit}/s":
        raise CostError(f"{where}: unit {entry['unit']!r} must be {unit}/s; convert it")
    if entry["round"] not in sources:
        raise CostError(f"{where}: round {entry['round']!r} has no entry in [sources]; add it")
    return Result(
        workload=workload,
        chip=entry["chip"],
        mode=entry["mode"],
        per_s=float(entry["per_s"]),
        unit=entry["unit"],
        chips=entry.get("chips"),
        weights_format=entry["weights"],
        round=entry["round"],
        source=sources[entry["round"]],
        calibration=entry["calibration"],
        note=entry.get("note", ""),
    )
