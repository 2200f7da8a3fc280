"""`Process`: densities, energies, defects and prices of one node.

In: the TOML files of `process/`, each figure with unit, source and date. Out: a frozen `Process`;
its `energy` gives one operation's joules by the measured scaling or the optimistic one.

An energy is that of the bare arithmetic circuit. What registers, clock and wires add is a factor of
`calibration.toml`, because it belongs to a design, not to a node.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

from jiriki.cost import scaling
from jiriki.products.errors import FactError
from jiriki.products.figure import Figure
from jiriki.products.table import Table, load_table, parse_table

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
        """Return the joules of one operation, such as `int8_mul`. Raises FactError."""
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
    old, new = (load_energies(nm) for nm in ("nm45", "nm7"))
    if operation not in old:
        raise FactError(
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
def load_energies(node: str) -> Mapping[str, Figure]:
    """Return operation -> joules as published, at `nm45` or `nm7`."""
    table = _table("energies").inner(node, f"energies.{node}")
    return table.figures(dict.fromkeys(table.table, "J"))


_FIGURES = {
    "voltage": "V", "logic_density": "1/mm2", "sram_density": "byte/mm2", "wire_pitch": "m",
    "wire_energy": "J/(bit mm)", "leakage": "W/mm2", "phy_scale": "1", "defect_density": "1/mm2",
    "wafer_price": "USD", "mask_set": "USD",
}  # fmt: skip


def process_ids() -> tuple[str, ...]:
    """Return the ids of the nodes, oldest node first."""
    return tuple(_processes(Scaling.DEFAULT))


@cache
def _processes(scaling: Scaling) -> Mapping[str, Process]:
    names = (file.name for file in resources.files("jiriki.cost.process").iterdir())
    ids = [name[:-5] for name in names if name.endswith(".toml") and name != "energies.toml"]
    nodes = [_process(id, _table(id), scaling) for id in ids]
    return {node.id: node for node in sorted(nodes, key=lambda node: (-node.node_nm, node.id))}


def load_process(id: str, scaling: Scaling = Scaling.DEFAULT) -> Process:
    """Read a node by id, or by what the catalogue of products calls it. Raises FactError."""
    nodes = _processes(scaling)
    for node in nodes.values():
        if id == node.id or id in node.aliases:
            return node
    raise FactError(f"process {id!r} is not known; choose {', '.join(nodes)}")


def parse_process(id: str, content: str | bytes, scaling: Scaling = Scaling.DEFAULT) -> Process:
    """Read the TOML of a node. Raises FactError."""
    return _process(id, parse_table(content, f"process {id}"), scaling)


def _process(id: str, table: Table, scaling: Scaling) -> Process:
    figures: dict[str, Any] = table.figures(_FIGURES)
    node = Process(
        id=id,
        name=table.text("name"),
        summary=table.text("summary"),
        node_nm=table.number("node_nm", positive=True),
        planar=table.flag("planar"),
        for_design=table.flag("for_design"),
        aliases=table.texts_or_none("aliases"),
        scaling=scaling,
        **figures,
    )
    table.close()
    return node


def _table(name: str) -> Table:
    file = resources.files("jiriki.cost.process") / f"{name}.toml"
    return load_table(file, f"process {name}")
