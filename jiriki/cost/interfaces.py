"""What leaves a die: memory channels and links, with area, energy, bandwidth and price.

In: `interfaces.toml`. Out: `MemoryKind` and `LinkKind`. Areas are at 14 nm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, TypeVar

from jiriki.products.errors import FactError
from jiriki.products.figure import Figure
from jiriki.products.table import Table, load_table


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


_LINK = {"bandwidth": "byte/s", "area": "mm2", "energy": "J/bit"}
_MEMORY = {"price": "USD/byte", "capacity": "byte", **_LINK}


def load_memory(kind: str) -> MemoryKind:
    """Return a kind of memory. Raises FactError."""
    return _known(_memories(), "memory", kind)


def load_link(kind: str) -> LinkKind:
    """Return a kind of link. Raises FactError."""
    return _known(_links(), "link", kind)


_Kind = TypeVar("_Kind", MemoryKind, LinkKind)


def _known(kinds: Mapping[str, _Kind], what: str, kind: str) -> _Kind:
    if kind not in kinds:
        raise FactError(f"{what} {kind!r} is not known; choose {', '.join(kinds)}")
    return kinds[kind]


@cache
def _memories() -> Mapping[str, MemoryKind]:
    return {kind: _memory(kind, table) for kind, table in _parts("memory").items()}


@cache
def _links() -> Mapping[str, LinkKind]:
    return {kind: _link(kind, table) for kind, table in _parts("link").items()}


def _parts(group: str) -> dict[str, Table]:
    file = resources.files("jiriki.cost") / "interfaces.toml"
    return load_table(file, "interfaces.toml").inner(group).parts(group)


def _memory(kind: str, table: Table) -> MemoryKind:
    figures: dict[str, Any] = table.figures(_MEMORY)
    memory = MemoryKind(kind=kind, channel_bits=table.whole("channel_bits", 1), **figures)
    table.close()
    return memory


def _link(kind: str, table: Table) -> LinkKind:
    figures: dict[str, Any] = table.figures(_LINK)
    link = LinkKind(kind=kind, **figures)
    table.close()
    return link
