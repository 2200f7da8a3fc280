"""Published results: what accelerators were measured to do, and where it says so.

In: one TOML a workload in `published_results/`, and the accelerators there that the catalogue does
not hold. Out: `Result`s; products by id.

`calibration = true` marks the entries that the efficiencies were fitted to; all others are held
out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jiriki.predict.workload import MODES, load_workload, workload_ids
from jiriki.products.errors import FactError
from jiriki.products.product import Product, load_product, parse_product, product_ids
from jiriki.products.table import Table, parse_table


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


def load_results(workload: str | None = None) -> tuple[Result, ...]:
    """Return the published results, of one workload or of all."""
    names = workload_ids() if workload is None else (workload,)
    return tuple(result for name in names for result in _results(name))


def load_accelerator(id: str) -> Product:
    """Return a product of the catalogue, or an accelerator that only the results know."""
    if id in accelerator_ids() and id not in product_ids():
        return _accelerator(id)
    return load_product(id)


@cache
def accelerator_ids() -> tuple[str, ...]:
    """Return the ids outside the catalogue, in alphabetical order."""
    folder = resources.files("jiriki.predict.published_results") / "accelerators"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


@cache
def _accelerator(id: str) -> Product:
    file = resources.files("jiriki.predict.published_results") / "accelerators" / f"{id}.toml"
    return parse_product(id, file.read_bytes())


@cache
def _results(workload: str) -> tuple[Result, ...]:
    file = resources.files("jiriki.predict.published_results") / f"{workload}.toml"
    return parse_results(workload, file.read_bytes()) if file.is_file() else ()


def parse_results(workload: str, content: str | bytes) -> tuple[Result, ...]:
    """Read the results of one workload. Raises FactError that names the entry and key."""
    table = parse_table(content, f"published results of {workload}")
    rounds = table.inner("sources")
    sources = {key: rounds.text(key) for key in rounds.table}
    entries = table.tables("result", f"{table.where}: entry")
    table.close()
    return tuple(_result(workload, entry, sources) for entry in entries)


def _result(workload: str, entry: Table, sources: Mapping[str, str]) -> Result:
    unit = load_workload(workload).unit
    round_ = entry.text("round")
    if round_ not in sources:
        raise FactError(f"{entry.where}: round {round_!r} has no entry in [sources]; add it")
    result = Result(
        workload=workload,
        chip=entry.text("chip"),
        mode=entry.choice("mode", MODES),
        per_s=entry.number("per_s", positive=True),
        unit=entry.choice("unit", (f"{unit}/s",)),
        chips=entry.whole("chips", 1) if entry.has("chips") else None,
        weights_format=entry.text("weights"),
        round=round_,
        source=sources[round_],
        calibration=entry.flag("calibration"),
        note=entry.text("note", ""),
    )
    entry.close()
    return result
