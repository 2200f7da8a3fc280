"""What leaves a die: memory channels and links, with area, energy, bandwidth and price.

In: `interfaces.toml`. Out: `MemoryKind` and `LinkKind`. Areas are at 14 nm.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jiriki.products.errors import CostError
from jiriki.products.figure import Figure, read_figure


@dataclass(frozen=True, slots=True)
class LinkKind:
    """One lane of a link, or one module between dies."""

    kind: str
    bandwidth: Figure  # byte/s, both directions
    area: Figure  # mm2 at 14 nm, with its share of the controller
    energy: Figure  # J a bit


@dataclass(frozen=True, slots=True)
class MemoryKind:
    """One channel of memory (a stack, a device or a group of them)."""

    kind: str
    channel_bits: int
    bandwidth: Figure  # byte/s
    area: Figure  # mm2 at 14 nm, PHY and controller
    energy: Figure  # J a bit, PHY and device
    price: Figure  # USD a byte
    capacity: Figure  # byte


def memory_kinds() -> tuple[str, ...]:
    """Return the kinds of memory."""
    return tuple(_table()["memory"])


@cache
def memory(kind: str) -> MemoryKind:
    """Return a kind of memory. Raises CostError."""
    entry = _entry("memory", kind)
    units = {"price": "USD/byte", "capacity": "byte"} | _LINK
    figures: dict[str, Any] = {
        key: read_figure(entry, key, unit, f"memory {kind}") for key, unit in units.items()
    }
    return MemoryKind(kind=kind, channel_bits=entry["channel_bits"], **figures)


@cache
def link(kind: str) -> LinkKind:
    """Return a kind of link. Raises CostError."""
    entry = _entry("link", kind)
    figures: dict[str, Any] = {
        key: read_figure(entry, key, unit, f"link {kind}") for key, unit in _LINK.items()
    }
    return LinkKind(kind=kind, **figures)


_LINK = {"bandwidth": "byte/s", "area": "mm2", "energy": "J/bit"}


def _entry(group: str, kind: str) -> dict[str, Any]:
    known = _table()[group]
    if kind not in known:
        raise CostError(f"{group} {kind!r} is not known; choose {', '.join(known)}")
    return known[kind]


@cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads((resources.files("jiriki.cost") / "interfaces.toml").read_text("utf-8"))
