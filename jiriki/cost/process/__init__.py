"""`Process`: densities, energies, defects and prices of one node.

In: the TOML files of `process/`, each figure with unit, source and date. Out: a frozen `Process`;
its `energy` gives one operation's joules by the measured scaling or the optimistic one.

An energy is that of the bare arithmetic circuit. What registers, clock and wires add is a factor of
`calibration.toml`, because it belongs to a design, not to a node.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

from jiriki.cost import scaling
from jiriki.products.errors import CostError
from jiriki.products.figure import Figure, read_figure

DEFAULT_PROCESS = "14nm"
# Published energies of one operation at one node differ by about this factor either way.
ENERGY_SPREAD = 1.3
SRAM_SIZES = {"sram_8k": 8 << 10, "sram_32k": 32 << 10, "sram_1m": 1 << 20}
SRAM_ACCESS_BYTES = 8


class Scaling(Enum):
    """How energies are carried from the nodes where they were measured."""

    DEFAULT = "default"
    OPTIMISTIC = "optimistic"


@dataclass(frozen=True, slots=True)
class Process:
    """One node; figures in SI units (densities a mm2)."""

    id: str
    name: str
    summary: str
    node_nm: float
    planar: bool
    for_design: bool  # False: only to check the models against published chips
    aliases: tuple[str, ...]  # what the catalogue of products calls it
    voltage: Figure
    logic_density: Figure  # transistors a mm2, the foundry's own figure
    sram_density: Figure  # byte a mm2 of large single-port macros
    wire_pitch: Figure  # m
    wire_energy: Figure  # J a bit and mm
    leakage: Figure  # W a mm2, hot
    phy_scale: Figure  # area of an interface, as multiple of that at 14 nm
    defect_density: Figure  # a mm2
    wafer_price: Figure  # USD, 300 mm
    mask_set: Figure  # USD
    scaling: Scaling = Scaling.DEFAULT

    def energy(self, operation: str) -> Figure:
        """Return the joules of one operation, such as `int8_mul`. Raises CostError."""
        return _energy(operation, self.node_nm, self.voltage.base, self.scaling)

    def sram_energy(self, macro_bytes: float) -> Figure:
        """Return joules a byte of an access to a macro, by the logarithm of its size.

        Below 8 KiB as at 8 KiB, above 1 MiB as at 1 MiB: nothing was measured there.
        """
        sizes = list(SRAM_SIZES.items())
        wanted = min(max(macro_bytes, sizes[0][1]), sizes[-1][1])
        for (small, low), (large, high) in pairwise(sizes):
            if wanted <= high:
                share = math.log(wanted / low) / math.log(high / low)
                figure = _blend(self.energy(small), self.energy(large), share)
                why = f"SRAM of {macro_bytes:,.0f} bytes: {figure.source}"
                return figure.scaled(1 / SRAM_ACCESS_BYTES, "J/byte", why)
        raise AssertionError("the greatest size is covered by the clamp above")


def _blend(first: Figure, second: Figure, share: float) -> Figure:
    """Return the geometric mean of two figures, `share` of the second."""
    low, base, high = (
        getattr(first, end) ** (1 - share) * getattr(second, end) ** share
        for end in ("low", "base", "high")
    )
    unverified = first.unverified or second.unverified
    return Figure(low, base, high, first.unit, first.source, first.date, unverified)


@cache
def _energy(operation: str, node_nm: float, volt: float, law: Scaling) -> Figure:
    old, new = (energies(nm) for nm in ("nm45", "nm7"))
    if operation not in old:
        raise CostError(
            f"operation {operation!r} has no energy; known are {', '.join(sorted(old))}"
        )
    if law is Scaling.OPTIMISTIC:
        joules = scaling.optimistic(old[operation].base, node_nm, volt)
        how = "Stillmaker-Baas from 45 nm"
    else:
        joules = scaling.measured(old[operation].base, new[operation].base, node_nm)
        how = "log-log between 45 nm and 7 nm"
    return Figure(
        low=joules / ENERGY_SPREAD,
        base=joules,
        high=joules * ENERGY_SPREAD,
        unit="J",
        source=f"derived: {operation} at {node_nm:g} nm, {how}",
        date=new[operation].date,
        unverified=old[operation].unverified or new[operation].unverified,
    )


@cache
def energies(node: str) -> Mapping[str, Figure]:
    """Return operation -> joules as published, at `nm45` or `nm7`."""
    table = tomllib.loads(_text("energies"))[node]
    return {key: read_figure(table, key, "J", f"energies.{node}") for key in table}


_FIGURES = {
    "voltage": "V", "logic_density": "1/mm2", "sram_density": "byte/mm2", "wire_pitch": "m",
    "wire_energy": "J/(bit mm)", "leakage": "W/mm2", "phy_scale": "1", "defect_density": "1/mm2",
    "wafer_price": "USD", "mask_set": "USD",
}  # fmt: skip
_PLAIN: dict[str, type] = {
    "name": str, "summary": str, "node_nm": float, "planar": bool, "for_design": bool,
    "aliases": list,
}  # fmt: skip


def process_ids() -> tuple[str, ...]:
    """Return the ids of the nodes, oldest node first."""
    folder = resources.files("jiriki.cost.process")
    names = (f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml"))
    ids = (name for name in names if name != "energies")
    return tuple(sorted(ids, key=lambda id: (-_table(id)["node_nm"], id)))


@cache
def process(id: str, scaling: Scaling = Scaling.DEFAULT) -> Process:
    """Read a node by id, or by what the catalogue of products calls it. Raises CostError."""
    for known in process_ids():
        if id == known or id in _table(known)["aliases"]:
            return parse_process(known, _table(known), scaling)
    raise CostError(f"process {id!r} is not known; choose {', '.join(process_ids())}")


def parse_process(id: str, table: Mapping[str, Any], scaling: Scaling) -> Process:
    """Check one node's table. Raises CostError."""
    where = f"process {id}"
    for key in sorted(table.keys() - _FIGURES.keys() - _PLAIN.keys()):
        raise CostError(f"{where}: unknown key {key!r}; remove it")
    for key, kind in _PLAIN.items():
        if type(table.get(key)) is not kind:
            raise CostError(f"{where}: {key} = {table.get(key)!r} is not a {kind.__name__}")
    figures: dict[str, Any] = {
        key: read_figure(dict(table), key, unit, where) for key, unit in _FIGURES.items()
    }
    plain = {key: table[key] for key in _PLAIN if key != "aliases"}
    return Process(id=id, aliases=tuple(table["aliases"]), scaling=scaling, **plain, **figures)


@cache
def _table(id: str) -> dict[str, Any]:
    return tomllib.loads(_text(id))


def _text(name: str) -> str:
    return (resources.files("jiriki.cost.process") / f"{name}.toml").read_text("utf-8")
