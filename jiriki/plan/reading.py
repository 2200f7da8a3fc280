"""`Table`: one table of a demand's TOML, read key by key with checks.

In: a table, its name for messages, a source and date for figures that give none. Out: texts,
counts, dates, figures. A figure of units that only fleets have (`tokens/s`, `chips/month`,
`%/month`) is checked to be written in exactly that unit.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from jiriki.cost.figures import Figure, read_date, read_figure
from jiriki.plan.errors import DemandError
from jiriki.plan.months import read_month


@dataclass(slots=True)
class Table:
    """A table and the keys of it that were asked for."""

    table: dict[str, Any]
    where: str
    given: dict[str, Any]  # source and date of figures that name none
    asked: set[str] = field(default_factory=set)

    def close(self) -> None:
        """Refuse keys that nothing asked for."""
        for key in sorted(self.table.keys() - self.asked):
            known = ", ".join(sorted(self.asked))
            raise DemandError(f"{self.where}: unknown key {key!r}; known are {known}")

    def has(self, key: str) -> bool:
        self.asked.add(key)
        return key in self.table

    def text(self, key: str, default: str | None = None) -> str:
        """Read a text. Without a default it must be there and not empty."""
        value = self._value(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise DemandError(f"{self.where}: {key} = {value!r} is not a text; correct it")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in choices:
            raise DemandError(f"{self.where}: {key} = {value!r}; choose {', '.join(choices)}")
        return value

    def whole(self, key: str, least: int, default: int | None = None) -> int:
        value = self._value(key, default)
        if type(value) is not int or value < least:
            raise DemandError(
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

    def month(self, key: str) -> date:
        return read_month(self._value(key, None), f"{self.where}: {key}")

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of texts that is not empty."""
        value = self._value(key, None)
        fits = isinstance(value, list) and value and all(isinstance(one, str) for one in value)
        if not fits:
            raise DemandError(f"{self.where}: {key} = {value!r} is not a list of names; correct it")
        return tuple(value)

    def figure(self, key: str, unit: str, written: str | None = None, scale: float = 1.0) -> Figure:
        """Read a figure of kind `unit`, as of `cost.figures`, or written in exactly `written`.

        `scale` turns what is `written` into `unit`. Raises DemandError or CostError.
        """
        entry = self._value(key, None)
        if not isinstance(entry, dict):
            shown = written or unit
            raise DemandError(
                f"{self.where}: {key} = {entry!r} is a bare value; write it with its unit, as "
                f'{{ value = 1, unit = "{shown}" }}'
            )
        entry = {**self.given, **entry}
        if written is None:
            return read_figure({key: entry}, key, unit, self.where)
        if entry.get("unit") != written:
            said = f"unit {entry['unit']!r}" if "unit" in entry else "unit is missing"
            raise DemandError(f"{self.where}: {key}: {said}; write it in {written}")
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
            raise DemandError(f"{self.where}: {key} = {value:g} is a share; at most 100 %")
        return value

    def share_or_none(self, key: str) -> float | None:
        return self.share(key) if self.has(key) else None

    def tables(self, key: str, what: str) -> list["Table"]:
        """Read an array of tables; each is named by `what` and its place until it names itself."""
        entries = self.table.get(key, []) if self.has(key) else []
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise DemandError(f"{self.where}: {key} is not a list of tables; write [[{key}]]")
        return [Table(one, f"{what} {place}", self.given) for place, one in enumerate(entries, 1)]

    def inner(self, key: str) -> "Table":
        """Read a table within this one; empty where there is none."""
        entry = self.table.get(key, {}) if self.has(key) else {}
        if not isinstance(entry, dict):
            raise DemandError(f"{self.where}: {key} = {entry!r} is not a table; write [{key}]")
        return Table(entry, f"{self.where}: {key}", self.given)

    def _value(self, key: str, default: Any) -> Any:  # noqa: ANN401
        self.asked.add(key)
        value = self.table.get(key, default)
        if value is None:
            raise DemandError(f"{self.where}: {key} is missing; add it")
        return value
