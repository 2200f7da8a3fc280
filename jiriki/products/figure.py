"""`Figure`: a published or derived number that keeps its range, its unit, its source and its date.

In: numbers in one of the units written in facts (`TOPS`, `GB/s`, `USD/kWh`). Out: figures in SI
units, or in one of the few units of the trade of `SI_UNITS`. `table.py` reads them from TOML.
"""

import math
from dataclasses import dataclass, replace
from datetime import date

from jiriki.products.errors import FactError

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
_BRIEF = 80  # characters of a value that a message shows
SI_UNITS = tuple(_UNITS)
_KIND = {written: kind for kind, spellings in _UNITS.items() for written in spellings}


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
            raise FactError(f"figure in {self.unit!r}: unit is none of {', '.join(SI_UNITS)}")
        for name in ("low", "base", "high"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise FactError(
                    f"figure {name} = {value} {self.unit}: must be finite and not negative; "
                    "correct it"
                )
        if not self.low <= self.base <= self.high:
            raise FactError(
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


def convert(value: object, written: object, unit: str, what: str) -> float:
    """Return `value`, as written in unit `written`, in `unit` (of SI_UNITS). Raises FactError."""
    return checked_number(value, what) * unit_factor(written, unit, what)


def unit_factor(written: object, unit: str, what: str) -> float:
    """Return the factor from the unit `written` to `unit` (of SI_UNITS). Raises FactError."""
    if unit not in _UNITS:
        raise FactError(f"{what}: kind {unit!r} is none of {', '.join(SI_UNITS)}")
    fitting = ", ".join(_UNITS[unit])
    if written is None:
        raise FactError(f"{what}: unit is missing; write one of {fitting}")
    if not isinstance(written, str) or written not in _KIND:
        raise FactError(f"{what}: unit {written!r} is unknown; write one of {fitting}")
    if _KIND[written] != unit:
        raise FactError(f"{what}: unit {written!r} is no measure of {unit}; use one of {fitting}")
    return _UNITS[unit][written]


def checked_number(value: object, what: str) -> float:
    """Return a finite number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FactError(f"{what} = {brief(value)} is not a number; correct it")
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits
        number = math.inf
    if not math.isfinite(number) or number < 0:
        raise FactError(f"{what} = {number:g} must be finite and not negative; correct it")
    return number


def read_date(written: object, what: str) -> date:
    """Read an ISO date, text or TOML's own. Raises FactError."""
    if type(written) is date:
        return written
    try:
        return date.fromisoformat(written)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        text = written if isinstance(written, str) and written.isprintable() else brief(written)
        raise FactError(f"{what} = {text} is not a date; write it as 2025-01-31") from None


def brief(value: object) -> str:
    """Return a value as written, cut to what a message of one line can hold."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}..."
