"""`Figure`: a published or derived number that keeps its range, its unit, its source and its date.

In: tables of TOML such as `{ value = 825, unit = "TOPS", source = "S1", date = "2020-08-18" }` or
`{ low = 280, base = 376, high = 400, ... }` where sources differ. Out: figures in SI units, or in
one of the few units of the trade of `SI_UNITS`. Source keys (`S1, S17`, or `[S1]` in a sentence)
are spelled out in `sources.toml`.
"""

import math
import re
import tomllib
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

from jiriki.products.errors import CostError

# As written in TOML -> (unit at load, factor). Where mm2 and USD have no SI counterpart that anyone
# uses, they stay.
_UNITS: dict[str, dict[str, float]] = {
    "op/s": {
        "op/s": 1, "GOPS": 1e9, "TOPS": 1e12, "POPS": 1e15,
        "GFLOPS": 1e9, "TFLOPS": 1e12, "PFLOPS": 1e15,
    },
    "byte/s": {"byte/s": 1, "MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12, "Gbit/s": 0.125e9},
    "byte": {
        "byte": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
        "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
    },
    "W": {"mW": 1e-3, "W": 1, "kW": 1e3},
    "J": {"fJ": 1e-15, "pJ": 1e-12, "nJ": 1e-9, "J": 1, "Wh": 3.6e3, "kWh": 3.6e6},
    "J/bit": {"fJ/bit": 1e-15, "pJ/bit": 1e-12, "J/bit": 1},
    "J/byte": {"pJ/byte": 1e-12, "J/byte": 1},
    "J/(bit mm)": {"pJ/(bit mm)": 1e-12, "J/(bit mm)": 1},
    "W/mm2": {"mW/mm2": 1e-3, "W/mm2": 1},
    "W/byte": {"uW/KB": 1e-9, "mW/MB": 1e-9, "W/byte": 1},
    "mm2": {"um2": 1e-6, "mm2": 1, "cm2": 1e2},
    "m": {"nm": 1e-9, "um": 1e-6, "mm": 1e-3, "m": 1},
    "V": {"mV": 1e-3, "V": 1},
    "Hz": {"kHz": 1e3, "MHz": 1e6, "GHz": 1e9, "Hz": 1},
    "1/s": {"1/s": 1},
    "s": {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "h": 3600, "year": 365.25 * 86400},
    "1": {"1": 1, "%": 1e-2, "million": 1e6, "billion": 1e9},
    "1/mm2": {"1/mm2": 1, "1/cm2": 1e-2, "MTr/mm2": 1e6},
    "byte/mm2": {"byte/mm2": 1, "KB/mm2": 1e3, "MB/mm2": 1e6, "Mbit/mm2": 0.125e6},
    "TPP": {"TPP": 1},  # TOPS x bit length, as export rules count
    "TPP/mm2": {"TPP/mm2": 1},
    "byte/(s mm2)": {"GB/(s mm2)": 1e9, "byte/(s mm2)": 1},
    "USD": {"USD": 1, "kUSD": 1e3, "MUSD": 1e6},
    "USD/byte": {"USD/GB": 1e-9, "USD/byte": 1},
    "USD/J": {"USD/kWh": 1 / 3.6e6, "USD/J": 1},
    "USD/mm2": {"USD/mm2": 1},
    "USD/s": {"USD/h": 1 / 3600, "USD/s": 1},
    "USD/W": {"USD/W": 1},
}  # fmt: skip
SI_UNITS = tuple(_UNITS)
_KIND = {written: kind for kind, spellings in _UNITS.items() for written in spellings}
_SOURCE_KEYS = re.compile(r"S\d+(, *S\d+)*")
_BRACKETED = re.compile(r"\[(S\d+)\]")
_KEYS = {"value", "low", "base", "high", "unit", "source", "date", "unverified"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One published or derived number: its range in `unit`, where it is from and of which day."""

    low: float
    base: float
    high: float
    unit: str  # one of SI_UNITS
    source: str  # what a reader can open, or "derived: ..."
    date: str  # ISO; published, or read where no date is given
    unverified: bool = False

    def __post_init__(self) -> None:
        if self.unit not in _UNITS:
            raise CostError(f"figure in {self.unit!r}: unit is none of {', '.join(SI_UNITS)}")
        for name in ("low", "base", "high"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise CostError(
                    f"figure {name} = {value} {self.unit}: must be finite and not negative; "
                    "correct it"
                )
        if not self.low <= self.base <= self.high:
            raise CostError(
                f"figure {self.low} / {self.base} / {self.high} {self.unit}: low, base and high "
                "must ascend; order them"
            )

    @property
    def is_range(self) -> bool:
        return self.low != self.high

    def scaled(self, factor: float, unit: str, why: str) -> "Figure":
        """Return this figure times `factor` (not negative), in another unit, derived so."""
        return replace(
            self,
            low=self.low * factor,
            base=self.base * factor,
            high=self.high * factor,
            unit=unit,
            source=f"derived: {why}",
        )


def read_figure(table: dict[str, Any], key: str, unit: str, where: str) -> Figure:
    """Read `table[key]` as a figure whose kind is `unit` (one of SI_UNITS), converted to it.

    `where` names the object in messages. Raises CostError for a missing key, a missing or foreign
    unit, a negative value, a range that does not ascend, or a missing source or date.
    """
    what = f"{where}: {key}"
    if key not in table:
        raise CostError(f"{what} is missing; add it")
    entry = table[key]
    if not isinstance(entry, dict):
        raise CostError(
            f"{what} = {entry!r} is a bare value; write it with unit, source and date, as "
            '{ value = 825, unit = "TOPS", source = "S1", date = "2020-08-18" }'
        )
    for name in entry.keys() - _KEYS:
        raise CostError(f"{what}: unknown key {name!r}; known are {', '.join(sorted(_KEYS))}")
    factor = _factor(entry.get("unit"), unit, what)
    low, base, high = (value * factor for value in _range(entry, what))
    unverified = entry.get("unverified", False)
    if not isinstance(unverified, bool):
        raise CostError(f"{what}: unverified = {unverified!r} is not true or false; correct it")
    return Figure(low, base, high, unit, _source(entry, what), _date(entry, what), unverified)


def convert(value: object, written: object, unit: str, what: str) -> float:
    """Return `value`, as written in unit `written`, in `unit` (of SI_UNITS). Raises CostError."""
    return _number(value, what) * _factor(written, unit, what)


def _factor(written: object, unit: str, what: str) -> float:
    if unit not in _UNITS:
        raise CostError(f"{what}: kind {unit!r} is none of {', '.join(SI_UNITS)}")
    fitting = ", ".join(_UNITS[unit])
    if written is None:
        raise CostError(f"{what}: unit is missing; write one of {fitting}")
    if not isinstance(written, str) or written not in _KIND:
        raise CostError(f"{what}: unit {written!r} is unknown; write one of {fitting}")
    if _KIND[written] != unit:
        raise CostError(f"{what}: unit {written!r} is no measure of {unit}; use one of {fitting}")
    return _UNITS[unit][written]


def _range(entry: dict[str, Any], what: str) -> tuple[float, float, float]:
    names = [name for name in ("value", "low", "base", "high") if name in entry]
    if names not in (["value"], ["low", "base", "high"]):
        raise CostError(
            f"{what} has {', '.join(names) or 'no number'}; give value, or low, base and high"
        )
    values = [_number(entry[name], f"{what}: {name}") for name in names]
    low, base, high = values * 3 if len(values) == 1 else values
    if not low <= base <= high:
        raise CostError(f"{what}: low {low}, base {base}, high {high} do not ascend; order them")
    return low, base, high


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CostError(f"{what} = {value!r} is not a number; correct it")
    if not math.isfinite(value) or value < 0:
        raise CostError(f"{what} = {value} must be finite and not negative; correct it")
    return float(value)


def _source(entry: dict[str, Any], what: str) -> str:
    written = entry.get("source")
    if not isinstance(written, str) or not written.strip():
        raise CostError(f"{what}: source is missing; say where the number is from")
    return spell_out(written, what)


def spell_out(written: str, what: str) -> str:
    """Replace source keys, `S1, S17` alone or `[S1]` in a sentence, by what `sources.toml` says."""
    if _SOURCE_KEYS.fullmatch(written):
        return " ; ".join(_citation(key.strip(), what) for key in written.split(","))
    return _BRACKETED.sub(lambda found: f"[{_citation(found[1], what)}]", written)


def _citation(key: str, what: str) -> str:
    if key not in sources():
        raise CostError(f"{what}: source {key} is not in products/sources.toml; add it there")
    return sources()[key]


@cache
def sources() -> dict[str, str]:
    """Return source key -> citation that a reader can open."""
    return tomllib.loads((resources.files("jiriki.products") / "sources.toml").read_text("utf-8"))


def _date(entry: dict[str, Any], what: str) -> str:
    if "date" not in entry:
        raise CostError(f"{what}: date is missing; say when the number was published or read")
    return read_date(entry["date"], f"{what}: date").isoformat()


def read_date(written: object, what: str) -> date:
    """Read an ISO date, text or TOML's own. Raises CostError."""
    if type(written) is date:
        return written
    try:
        return date.fromisoformat(written)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise CostError(f"{what} = {written} is not a date; write it as 2025-01-31") from None
