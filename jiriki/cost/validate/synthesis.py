"""Gates of real synthesis beside the gates that the area model counts.

In: `synthesis.toml`, written by `docs/synthesis.py` from `jiriki synth --target osu018`. Out: a
`Check` a unit of a tile. It checks and does not replace: the share of a node's density that logic
reaches (`logic_fill`) was fitted with the model's counts of published chips, which leave the same
things out as its counts of our tiles do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jiriki.chip import ChipConfig
from jiriki.cost.calibration import Calibration, load_calibration
from jiriki.cost.inventory import inventory
from jiriki.products.range import Range
from jiriki.products.table import Table, load_table

# Unit of the model -> the parts of `jiriki synth` that it stands for; a name stands for itself and
# for what begins with it and a dot. Memories of the units in SRAM are macros in the model.
PARTS: Mapping[str, tuple[str, ...]] = {
    "mx": ("mx.element", "mx.array", "mx.operands", "mx.walk", "mx.issue", "mx.decode"),
    "accumulators": ("mx.drain",),
    "crossbar": ("scratchpad",),
    "vx": ("vx",),
    "dma": ("load", "store"),
    "sequencer": ("sequencer", "front", "vx_front", "semaphores", "counter"),
    "network": ("port", "mailbox"),
}
SRAM = ("mx.drain", "scratchpad", "vx.function_stage")


@dataclass(frozen=True, slots=True)
class Synthesised:
    """One part of a tile: its instances, NAND2 equivalents of all, bits of small memories."""

    instances: int
    gates: float  # of all instances, without memories
    memory_bits: float  # of all instances; none where they are SRAM or ROM in the model


@dataclass(frozen=True, slots=True)
class Check:
    """One unit in NAND2 equivalents: as the model counts it and as synthesised."""

    unit: str
    model: Range
    logic: float
    memory: float  # small memories as latches, which the model counts so

    @property
    def ratio(self) -> float:
        """Synthesised over modelled."""
        return (self.logic + self.memory) / self.model.base


@cache
def load_synthesis() -> Mapping[str, Mapping[str, Synthesised]]:
    """Return chip -> part -> what synthesis counted."""
    file = resources.files("jiriki.cost.validate") / "synthesis.toml"
    chips = load_table(file, "synthesis.toml").inner("chips").parts("synthesis of chip")
    return {
        chip: {name: _synthesised(part) for name, part in table.parts(f"{chip}: part").items()}
        for chip, table in chips.items()
    }


def _synthesised(table: Table) -> Synthesised:
    part = Synthesised(
        table.whole("instances", 1), table.number("gates"), table.number("memory_bits")
    )
    table.close()
    return part


def checks(chip: ChipConfig, factors: Calibration | None = None) -> list[Check]:
    """Compare unit by unit, then all. The chip must be in `load_synthesis()`."""
    factors = factors or load_calibration()
    parts, units = load_synthesis()[chip.name], inventory(chip, factors)
    gate, latch = factors.value("per_gate"), factors.value("latch_bit")
    compared = []
    for unit, names in PARTS.items():
        own = [part for name, part in parts.items() if stands_for(name, names)]
        memory = sum(part.memory_bits for part in own) * latch / gate
        model = units[unit].transistors * (1 / gate)
        compared.append(Check(unit, model, sum(part.gates for part in own), memory))
    return [*compared, _all(compared)]


def stands_for(part: str, names: tuple[str, ...]) -> bool:
    """Say whether a part is among the names of a unit in `PARTS`."""
    return part in names or part.split(".")[0] in names


def _all(compared: list[Check]) -> Check:
    model = Range.total(check.model for check in compared)
    return Check("all", model, sum(c.logic for c in compared), sum(c.memory for c in compared))
