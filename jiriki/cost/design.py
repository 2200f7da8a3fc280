"""`Design`: how a chip of our own is put together from tiles, dies and interfaces.

In: `family.toml`, one table a product id. Out: checked designs, from which `family.py` derives
every number that the product's own TOML states.
"""

from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any

from jiriki.chip import ChipConfig, load_chip
from jiriki.cost.interfaces import load_link, load_memory
from jiriki.cost.process import Process, load_process
from jiriki.products.errors import FactError
from jiriki.products.table import Table, load_table


@dataclass(frozen=True, slots=True)
class Design:
    """A package of equal dies, each of equal tiles and some spare ones."""

    id: str
    name: str
    why: str  # which constraint it answers
    foundry: str
    made_in: str  # ISO code
    tile: str  # chip of jiriki/chip/catalogue
    process: str
    dies: int
    tiles_per_die: int  # that must work
    spare_tiles_per_die: int
    clock_hz: float
    dram_kind: str
    dram_channels_per_die: int
    host_kind: str
    host_lanes: int  # on every die, since all dies are equal; used on one
    serial_lanes_per_die: int  # to other packages
    d2d_modules_per_die: int
    package: str  # kind of package, a key of assumptions.toml

    def __post_init__(self) -> None:
        for name in ("dies", "tiles_per_die", "clock_hz", "dram_channels_per_die", "host_lanes"):
            self._require(getattr(self, name) > 0, name, "must be positive")
        for name in ("spare_tiles_per_die", "serial_lanes_per_die", "d2d_modules_per_die"):
            self._require(getattr(self, name) >= 0, name, "must not be negative")
        self._require(
            (self.dies > 1) == (self.d2d_modules_per_die > 0),
            "d2d_modules_per_die",
            "goes with more than one die",
        )
        self._require(self.node.for_design, "process", "is for validation only")
        for look_up, kind in ((load_memory, self.dram_kind), (load_link, self.host_kind)):
            look_up(kind)
        load_chip(self.tile)

    def _require(self, holds: bool, field: str, rule: str) -> None:
        if not holds:
            value = getattr(self, field)
            raise FactError(f"design {self.id}: {field} = {value!r} {rule}; change family.toml")

    @property
    def chip(self) -> ChipConfig:
        return load_chip(self.tile)

    @property
    def node(self) -> Process:
        return load_process(self.process)

    @property
    def tiles(self) -> int:
        """Tiles that work, in the package."""
        return self.dies * self.tiles_per_die

    @property
    def peak_int8(self) -> float:
        """op/s, dense: two a multiply-accumulate."""
        return 2 * self.tiles * self.chip.macs_per_cycle * self.clock_hz

    @property
    def sram_bytes(self) -> float:
        """Scratchpads and accumulators of the working tiles."""
        chip = self.chip
        return self.tiles * (chip.scratchpad_bytes + 4 * chip.acc_rows * chip.vx_lanes)

    @property
    def dram_channels(self) -> int:
        return self.dies * self.dram_channels_per_die

    @property
    def dram_bandwidth(self) -> float:
        """byte/s."""
        return self.dram_channels * load_memory(self.dram_kind).bandwidth.base

    @property
    def dram_bytes(self) -> float:
        return self.dram_channels * load_memory(self.dram_kind).capacity.base

    @property
    def io_bandwidth(self) -> float:
        """byte/s of host and package links, both directions; die to die stays inside."""
        serial = self.dies * self.serial_lanes_per_die * load_link("serial").bandwidth.base
        return self.host_lanes * load_link(self.host_kind).bandwidth.base + serial


@cache
def load_designs() -> dict[str, Design]:
    """Return product id -> design."""
    table = load_table(resources.files("jiriki.cost") / "family.toml", "family.toml")
    return {id: _design(id, entry) for id, entry in table.parts("design").items()}


def load_design(id: str) -> Design:
    """Return the design of a product. Raises FactError."""
    designs = load_designs()
    if id not in designs:
        raise FactError(f"{id!r} is no design of ours; choose {', '.join(designs)}")
    return designs[id]


def parse_design(id: str, entry: dict[str, Any]) -> Design:
    """Check a table of `family.toml`. Raises FactError."""
    return _design(id, Table(entry, f"design {id}"))


def _design(id: str, table: Table) -> Design:
    read = {str: table.text, int: lambda key: table.whole(key, 0), float: table.number}
    values: dict[str, Any] = {
        field.name: read[field.type](field.name)  # type: ignore[index]
        for field in fields(Design)
        if field.name != "id"
    }
    table.close()
    return Design(id=id, **values)
