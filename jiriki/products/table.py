"""`Table`: one table of a TOML of facts, read key by key with checks.

In: a table, its name for messages, the error class of the room that reads, a source and date for
figures that give none. Out: texts, counts, dates, figures. A figure of a unit that `figure.py` does
not know (`tokens/s`, `chips/month`) is checked to be written in exactly that unit.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from jiriki.errors import JirikiError
from jiriki.products.errors import CostError
from jiriki.products.figure import Figure, read_date, read_figure


@dataclass(slots=True)
class Table:
    """A table and the keys of it that were asked for."""

    table: dict[str, Any]
    where: str
    given: dict[str, Any]  # source and date of figures that name none
    asked: set[str] = field(default_factory=set)
    error: type[JirikiError] = CostError

    def close(self) -> None:
        """Refuse keys that nothing asked for."""
        for key in sorted(self.table.keys() - self.asked):
            known = ", ".join(sorted(self.asked))
            raise self.error(f"{self.where}: unknown key {key!r}; known are {known}")

    def has(self, key: str) -> bool:
        self.asked.add(key)
        return key in self.table

    def text(self, key: str, default: str | None = None) -> str:
        """Read a text. Without a default it must be there and not empty."""
        value = self._value(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.error(f"{self.where}: {key} = {value!r} is not a text; correct it")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in choices:
            raise self.error(f"{self.where}: {key} = {value!r}; choose {', '.join(choices)}")
        return value

    def whole(self, key: str, least: int, default: int | None = None) -> int:
        value = self._value(key, default)
        if type(value) is not int or value < least:
            raise self.error(
                f"{self.where}: {key} = {value!r} is not a whole number of at least {least}; "
                "correct it"
            )
        return value

    def day(self, key: str) -> date | None:
        """Read a day, None where there is none."""
        if not self.has(key):
            return None
        value = self.table[key]
        if isinstance(value, datetime):
            value = value.isoformat()
        return read_date(value, f"{self.where}: {key}")

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of texts that is not empty."""
        value = self._value(key, None)
        fits = isinstance(value, list) and value and all(isinstance(one, str) for one in value)
        if not fits:
            raise self.error(f"{self.where}: {key} = {value!r} is not a list of names; correct it")
        return tuple(value)

    def figure(self, key: str, unit: str, written: str | None = None, scale: float = 1.0) -> Figure:
        """Read a figure of kind `unit`, as of `products.figure`, or written in exactly `written`.

        `scale` turns what is `written` into `unit`. Raises `error` or CostError.
        """
        entry = self._value(key, None)
        if not isinstance(entry, dict):
            shown = written or unit
            raise self.error(
                f"{self.where}: {key} = {entry!r} is a bare value; write it with its unit, as "
                f'{{ value = 1, unit = "{shown}" }}'
            )
        entry = {**self.given, **entry}
        if written is None:
            return read_figure({key: entry}, key, unit, self.where)
        if entry.get("unit") != written:
            said = f"unit {entry['unit']!r}" if "unit" in entry else "unit is missing"
            raise self.error(f"{self.where}: {key}: {said}; write it in {written}")
        read = read_figure({key: {**entry, "unit": "1"}}, key, "1", self.where)
        ends = (read.low * scale, read.base * scale, read.high * scale)
        return Figure(*ends, unit, read.source, read.date, read.unverified)

    def figure_or_none(
        self, key: str, unit: str, written: str | None = None, scale: float = 1.0
    ) -> Figure | None:
        return self.figure(key, unit, written, scale) if self.has(key) else None

    def share(self, key: str, default: float | None = None) -> float:
        """Read a share of one, written in % or as a number of unit 1."""
        if default is not None and not self.has(key):
            return default
        value = self.figure(key, "1").base
        if value > 1:
            raise self.error(f"{self.where}: {key} = {value:g} is a share; at most 100 %")
        return value

    def share_or_none(self, key: str) -> float | None:
        return self.share(key) if self.has(key) else None

    def tables(self, key: str, what: str) -> list["Table"]:
        """Read an array of tables; each is named by `what` and its place until it names itself."""
        entries = self.table.get(key, []) if self.has(key) else []
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise self.error(f"{self.where}: {key} is not a list of tables; write [[{key}]]")
        return [self._part(one, f"{what} {place}") for place, one in enumerate(entries, 1)]

    def inner(self, key: str) -> "Table":
        """Read a table within this one; empty where there is none."""
        entry = self.table.get(key, {}) if self.has(key) else {}
        if not isinstance(entry, dict):
            raise self.error(f"{self.where}: {key} = {entry!r} is not a table; write [{key}]")
        return self._part(entry, f"{self.where}: {key}")

    def _part(self, table: dict[str, Any], where: str) -> "Table":
        return Table(table, where, self.given, error=self.error)

    def value(self, key: str) -> Any:  # noqa: ANN401
        """Return what stands under a key that must be there, as TOML has it."""
        return self._value(key, None)

    def _value(self, key: str, default: Any) -> Any:  # noqa: ANN401
        self.asked.add(key)
        value = self.table.get(key, default)
        if value is None:
            raise self.error(f"{self.where}: {key} is missing; add it")
        return value
