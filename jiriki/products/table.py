"""`Table`: the one reader of TOML facts, key by key, each key checked.

In: a TOML file, its name for messages, the error class of the room that reads. Out: texts, counts,
dates, figures. Whatever is wrong with a file (not UTF-8, not TOML, a key twice, missing, unknown,
of a wrong type, infinite, zero where that cannot be) is one line that names the object and the key.

A figure is `{ value = 825, unit = "TOPS", source = "S1", date = "2020-08-18" }`, or of three
numbers `{ low = 280, base = 376, high = 400, ... }` where sources differ, with `unverified = true`
where nobody has checked it. Source keys (`S1, S17`, or `[S1]` in a sentence) are spelled out in
`sources.toml`. A figure of a unit that `figure.py` does not know (`tokens/s`, `chips/month`) is
checked to be written in exactly that unit.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from jiriki.errors import JirikiError
from jiriki.products.errors import FactError
from jiriki.products.figure import Figure, brief, checked_number, read_date, unit_factor

_SOURCE_KEYS = re.compile(r"S\d+(, *S\d+)*")
_BRACKETED = re.compile(r"\[(S\d+)\]")
_MOST = 10**12  # of what is counted
_FIGURE_KEYS = {"value", "low", "base", "high", "unit", "source", "date", "unverified"}


def load_table(
    file: Path | Traversable, where: str, error: type[JirikiError] = FactError
) -> "Table":
    """Read a TOML file, named `where` in messages. Raises `error` where it cannot be read."""
    try:
        content = file.read_bytes()
    except OSError as problem:
        raise error(f"{where}: {problem.strerror}; name a readable file") from None
    return parse_table(content, where, error)


def parse_table(content: str | bytes, where: str, error: type[JirikiError] = FactError) -> "Table":
    """Read TOML. Raises `error` for what is not UTF-8 or not TOML, such as a key given twice."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise error(f"{where}: is no text in UTF-8; name a TOML file") from None
    try:
        return Table(tomllib.loads(text), where, error=error)
    except ValueError as problem:  # TOMLDecodeError, and numbers of thousands of digits
        raise error(f"{where}: not valid TOML ({problem}); mend the file") from None
    except RecursionError:
        raise error(f"{where}: not valid TOML (nested too deeply); mend the file") from None


@dataclass(slots=True)
class Table:
    """A table of TOML and the keys of it that were asked for."""

    table: dict[str, Any]
    where: str
    defaults: dict[str, Any] = field(default_factory=dict)  # source and date of figures without
    asked: set[str] = field(default_factory=set)
    error: type[JirikiError] = FactError

    def close(self) -> None:
        """Refuse keys that nothing asked for."""
        for key in sorted(self.table.keys() - self.asked):
            known = ", ".join(sorted(self.asked))
            raise self.error(f"{self.where}: unknown key {key!r}; known are {known}")

    def over(self, base: "Table") -> "Table":
        """Return this table; what it leaves out, key by key of inner tables, is as in `base`."""
        return self._part(_merged(base.table, self.table), self.where)

    def has(self, key: str) -> bool:
        """Say whether a key is given; it counts as known then."""
        self.asked.add(key)
        return key in self.table

    # -- plain values

    def text(self, key: str, default: str | None = None) -> str:
        """Read a text. Without a default it must be there and not empty."""
        value = self._value(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.error(f"{self.where}: {key} = {brief(value)} is not a text; correct it")
        return value

    def name(self, key: str, kind: str) -> str:
        """Read the text that names this table, in messages too: `KIND NAME`."""
        value = self.text(key)
        if not value.isprintable():
            raise self.error(
                f"{self.where}: {key} = {brief(value)} is not one line of print; correct it"
            )
        self.where = f"{kind} {value}"
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """Read a text that is one of a few."""
        value = self.text(key, default)
        if value not in choices:
            raise self.error(f"{self.where}: {key} = {brief(value)}; choose {', '.join(choices)}")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        """Read true or false."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise self.error(
                f"{self.where}: {key} = {brief(value)} is not true or false; correct it"
            )
        return value

    def whole(self, key: str, least: int, default: int | None = None) -> int:
        """Read a whole number of at least `least`."""
        value = self._value(key, default)
        if type(value) is not int or not least <= value <= _MOST:
            raise self.error(
                f"{self.where}: {key} = {brief(value)} is not a whole number of at least {least}"
                f"{f' and at most {_MOST:,}' if type(value) is int and value > _MOST else ''}; "
                "correct it"
            )
        return value

    def number(
        self, key: str, *, positive: bool = False, most: float = math.inf,
        default: float | None = None,
    ) -> float:  # fmt: skip
        """Read a plain number: finite, not negative, at most `most`, above 0 where `positive`."""
        value = checked_number(self._value(key, default), f"{self.where}: {key}")
        if positive and not value:
            raise self.error(f"{self.where}: {key} = {value:g} must be above 0; correct it")
        if value > most:
            raise self.error(f"{self.where}: {key} = {value:g} exceeds {most:g}; correct it")
        return value

    def day(self, key: str) -> date | None:
        """Read a day, None where there is none."""
        if not self.has(key):
            return None
        value = self.table[key]
        if isinstance(value, datetime):
            value = value.isoformat()
        return read_date(value, f"{self.where}: {key}")

    def required_day(self, key: str) -> date:
        """Read a date that must be there."""
        value = self.day(key)
        if value is None:
            raise self.error(f"{self.where}: {key} is missing; add the date")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of texts that is not empty."""
        value = self._value(key, None)
        fits = isinstance(value, list) and value and all(isinstance(text, str) for text in value)
        if not fits:
            raise self.error(
                f"{self.where}: {key} = {brief(value)} is not a list of names; correct it"
            )
        return tuple(value)

    def texts_or_none(self, key: str) -> tuple[str, ...]:
        """Read a list of texts, empty where there is none."""
        return self.texts(key) if self.has(key) else ()

    def rows(self, key: str, numbers: int) -> list[tuple[str, tuple[float, ...]]]:
        """Read a list of rows, each a name and so many numbers, finite and not negative."""
        rows = self._value(key, None)
        if not isinstance(rows, list) or not rows:
            raise self.error(f"{self.where}: {key} = {brief(rows)} is not a list of rows")
        return [
            self._row(row, numbers, f"{self.where}: {key}: row {place}")
            for place, row in enumerate(rows, 1)
        ]

    def _row(self, row: object, numbers: int, what: str) -> tuple[str, tuple[float, ...]]:
        if not isinstance(row, list) or len(row) != numbers + 1 or not isinstance(row[0], str):
            raise self.error(f"{what} = {brief(row)} is not a name and {numbers} numbers; mend it")
        return row[0], tuple(checked_number(value, what) for value in row[1:])

    def source(self, key: str = "source") -> str:
        """Read where something is from, its source keys spelled out."""
        if not self.has(key):
            raise self.error(f"{self.where}: {key} is missing; say where it is from")
        return spell_out(self.text(key), f"{self.where}: {key}")

    # -- figures

    def figure(
        self, key: str, unit: str, written: str | None = None, scale: float = 1.0,
        *, positive: bool = False,
    ) -> Figure:  # fmt: skip
        """Read a figure of kind `unit`, of SI_UNITS, or written in exactly `written`.

        `scale` turns what is `written` into `unit`. Raises `error` or FactError.
        """
        if not self.has(key):
            raise self.error(f"{self.where}: {key} is missing; add it")
        entry, what = self._figure_entry(key, written or unit), f"{self.where}: {key}"
        if written is None:
            figure = _figure(entry, unit, what)
        else:
            self._check_unit(key, entry, written)
            plain = _figure({**entry, "unit": "1"}, "1", what)
            ends = (plain.low * scale, plain.base * scale, plain.high * scale)
            figure = Figure(*ends, unit, plain.source, plain.date, plain.unverified)
        if positive and figure.low <= 0:
            raise self.error(f"{what} = {figure.low:g} must be above 0; correct it")
        return figure

    def _figure_entry(self, key: str, unit: str) -> dict[str, Any]:
        entry = self.table[key]
        if isinstance(entry, dict):
            return {**self.defaults, **entry}
        more = "" if self.defaults else ', source = "S1", date = "2020-08-18"'
        raise self.error(
            f"{self.where}: {key} = {brief(entry)} is a bare value; write it with its unit"
            f"{', source and date' if more else ''}, as "
            f'{{ value = 1, unit = "{unit}"{more} }}'
        )

    def _check_unit(self, key: str, entry: dict[str, Any], written: str) -> None:
        if entry.get("unit") != written:
            unit = f"unit {entry['unit']!r}" if "unit" in entry else "unit is missing"
            raise self.error(f"{self.where}: {key}: {unit}; write it in {written}")

    def figure_or_none(
        self, key: str, unit: str, written: str | None = None, scale: float = 1.0,
        *, positive: bool = False,
    ) -> Figure | None:  # fmt: skip
        """Read a figure, None where there is none."""
        return self.figure(key, unit, written, scale, positive=positive) if self.has(key) else None

    def figures(self, units: Mapping[str, str]) -> dict[str, Figure]:
        """Read a positive figure of each key, of the unit beside it."""
        return {key: self.figure(key, unit, positive=True) for key, unit in units.items()}

    def share(self, key: str, default: float | None = None) -> float:
        """Read a share of one, written in % or as a number of unit 1."""
        if default is not None and not self.has(key):
            return default
        value = self.figure(key, "1").base
        if value > 1:
            raise self.error(f"{self.where}: {key} = {value:g} is a share; at most 100 %")
        return value

    def share_or_none(self, key: str) -> float | None:
        """Read a share, None where there is none."""
        return self.share(key) if self.has(key) else None

    # -- tables within

    def tables(self, key: str, what: str) -> list["Table"]:
        """Read an array of tables; each is named by `what` and its place until it names itself."""
        entries = self.table.get(key, []) if self.has(key) else []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self.error(f"{self.where}: {key} is not a list of tables; write [[{key}]]")
        return [self._part(entry, f"{what} {place}") for place, entry in enumerate(entries, 1)]

    def inner(self, key: str, where: str | None = None) -> "Table":
        """Read a table within this one; empty where there is none."""
        entry = self.table.get(key, {}) if self.has(key) else {}
        if not isinstance(entry, dict):
            raise self.error(f"{self.where}: {key} = {brief(entry)} is not a table; write [{key}]")
        return self._part(entry, where or f"{self.where}: [{key}]")

    def parts(self, kind: str) -> dict[str, "Table"]:
        """Read every key as a table, named `KIND KEY` in messages."""
        return {key: self.inner(key, f"{kind} {key}") for key in self.table}

    def _part(self, table: dict[str, Any], where: str) -> "Table":
        return Table(table, where, self.defaults, error=self.error)

    def value(self, key: str) -> Any:  # noqa: ANN401
        """Return what stands under a key that must be there, as TOML has it."""
        return self._value(key, None)

    def _value(self, key: str, default: Any) -> Any:  # noqa: ANN401
        self.asked.add(key)
        value = self.table.get(key, default)
        if value is None:
            raise self.error(f"{self.where}: {key} is missing; add it")
        return value


# -- figures and sources -------------------------------------------------------------------------


def _figure(entry: Mapping[str, Any], unit: str, what: str) -> Figure:
    for name in entry.keys() - _FIGURE_KEYS:
        known = ", ".join(sorted(_FIGURE_KEYS))
        raise FactError(f"{what}: unknown key {name!r}; known are {known}")
    factor = unit_factor(entry.get("unit"), unit, what)
    low, base, high = (value * factor for value in _ends(entry, what))
    if not math.isfinite(high):
        raise FactError(f"{what}: in {unit} it is beyond every number; correct it")
    unverified = entry.get("unverified", False)
    if not isinstance(unverified, bool):
        raise FactError(f"{what}: unverified = {unverified!r} is not true or false; correct it")
    return Figure(low, base, high, unit, _source(entry, what), _date(entry, what), unverified)


def _ends(entry: Mapping[str, Any], what: str) -> tuple[float, float, float]:
    names = [name for name in ("value", "low", "base", "high") if name in entry]
    if names not in (["value"], ["low", "base", "high"]):
        raise FactError(
            f"{what} has {', '.join(names) or 'no number'}; give value, or low, base and high"
        )
    values = [checked_number(entry[name], f"{what}: {name}") for name in names]
    low, base, high = values * 3 if len(values) == 1 else values
    if not low <= base <= high:
        raise FactError(f"{what}: low {low}, base {base}, high {high} do not ascend; order them")
    return low, base, high


def _source(entry: Mapping[str, Any], what: str) -> str:
    written = entry.get("source")
    if not isinstance(written, str) or not written.strip():
        raise FactError(f"{what}: source is missing; say where the number is from")
    return spell_out(written, what)


def _date(entry: Mapping[str, Any], what: str) -> str:
    if "date" not in entry:
        raise FactError(f"{what}: date is missing; say when the number was published or read")
    return read_date(entry["date"], f"{what}: date").isoformat()


def spell_out(written: str, what: str) -> str:
    """Replace source keys, `S1, S17` alone or `[S1]` in a sentence, by what `sources.toml` says."""
    if _SOURCE_KEYS.fullmatch(written):
        return " ; ".join(_citation(key.strip(), what) for key in written.split(","))
    return _BRACKETED.sub(lambda match: f"[{_citation(match[1], what)}]", written)


def _citation(key: str, what: str) -> str:
    if key not in load_sources():
        raise FactError(f"{what}: source {key} is not in products/sources.toml; add it there")
    return load_sources()[key]


@cache
def load_sources() -> dict[str, str]:
    """Return source key -> citation that a reader can open."""
    table = load_table(resources.files("jiriki.products") / "sources.toml", "sources.toml")
    return {key: table.text(key) for key in table.table}


_OF_A_FIGURE = {"value", "low", "base", "high", "unit", "source", "date", "unverified"}


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        inherited = merged.get(key)
        is_table = isinstance(value, dict) and not value.keys() & _OF_A_FIGURE
        merged[key] = (
            _merged(inherited, value) if is_table and isinstance(inherited, dict) else value
        )
    return merged
