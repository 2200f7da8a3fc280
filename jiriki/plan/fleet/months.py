"""Months as dates of their first day.

In: dates, texts such as `2025-09`. Out: months and their days.
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta

from jiriki.plan.errors import DemandError

_MONTH = re.compile(r"(\d{4})-(\d{2})")


def read_month(written: object, what: str) -> date:
    """Read `2025-09` as its first day. Raises DemandError."""
    match = _MONTH.fullmatch(written) if isinstance(written, str) else None
    if match is None or not 1 <= int(match[2]) <= 12 or int(match[1]) < 1:
        raise DemandError(f'{what} = {written} is not a month; write it as "2025-09"')
    return date(int(match[1]), int(match[2]), 1)


def months_from(first: date, count: int) -> tuple[date, ...]:
    """Return the first days of `count` months."""
    return tuple(add_months(first, n) for n in range(count))


def add_months(month: date, count: int) -> date:
    """Return the first day of the month that lies `count` months later."""
    year, place = divmod(month.year * 12 + month.month - 1 + count, 12)
    return date(year, place + 1, 1)


def months_between(first: date, last: date) -> int:
    """Return how many months `two` lies after `one`."""
    return (last.year - first.year) * 12 + last.month - first.month


def days_of(month: date) -> int:
    """Return the days of a month."""
    return monthrange(month.year, month.month)[1]


def pieces(month: date, borders: set[date]) -> Iterator[tuple[date, int]]:
    """Cut a month where something changes: yield the first day and the days of each piece."""
    end = add_months(month, 1)
    starts = sorted({month, *(day for day in borders if month < day < end)})
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        yield start, (stop - start).days


def span_text(months: list[date]) -> str:
    """Name months briefly: `2025-09 to 2025-12, 2026-03`."""
    runs: list[tuple[date, date]] = []
    for month in sorted(months):
        if runs and add_months(runs[-1][1], 1) == month:
            runs[-1] = (runs[-1][0], month)
        else:
            runs.append((month, month))
    return ", ".join(
        text(first) if first == last else f"{text(first)} to {text(last)}" for first, last in runs
    )


def text(month: date) -> str:
    """Write a month as 2025-09."""
    return month.isoformat()[:7]


def day_before(day: date, days: int) -> date:
    """Return the day that lies so many days before."""
    return day - timedelta(days=days)
