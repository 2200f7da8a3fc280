"""The models against published chips: area and power predicted from their structure.

In: `published_dies.toml`, what each chip is built of. Out: predicted and published area and power
with the error, and whether the chip served to calibrate or was held out. The choice of the model's
form and of which chips to hold out was made knowing all of them, so a held-out error is optimistic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any

from jiriki.cost.calibration import Calibration, load_calibration
from jiriki.cost.interfaces import load_link, load_memory
from jiriki.cost.process import load_process
from jiriki.products.range import ZERO, Range
from jiriki.products.table import Table, load_table

MACRO_BYTES = 32 << 10  # of the local memories that feed the multipliers


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What one published chip is built of; see the head of the TOML."""

    id: str
    name: str
    process: str
    int8_macs: int
    half_macs: int  # fp16 or bf16, with fp32 sums
    enabled: float
    clock_hz: float
    sram_bytes: float
    vector_lanes: int  # fp32 multiply-adds
    cores: int  # that fetch and schedule for themselves
    memory_kind: str
    memory_channels: int
    memory_bytes_per_s: float
    host_kind: str
    host_lanes: int
    serial_lanes: int
    on_chip_bytes_per_mac: float
    area_mm2: float
    power_w: float  # 0 where none at full rate is published
    area_calibration: bool
    power_calibration: bool
    source: str
    date: str
    area_note: str  # why the error is what it is
    power_note: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One quantity of one chip, predicted and published."""

    chip: str
    quantity: str  # "area_mm2" or "power_w"
    predicted: Range
    published: float
    calibration: bool
    note: str

    @property
    def error(self) -> float:
        """Relative error of the base."""
        return self.predicted.base / self.published - 1

    @property
    def inside(self) -> bool:
        """Tell whether the published value lies in the predicted range."""
        return self.predicted.low <= self.published <= self.predicted.high


def predicted_area(chip: Anatomy, factors: Calibration | None = None) -> Range:
    """Return mm2 of the die."""
    factors, node = factors or load_calibration(), load_process(chip.process)
    element = factors["processing_element"] * factors.value("per_gate")
    half = element * factors["half_multiply_add_per_element"]
    lane = element * factors["fp32_multiply_add_per_element"]
    transistors = (
        element * chip.int8_macs
        + half * chip.half_macs
        + lane * chip.vector_lanes
        + factors["core_transistors"] * chip.cores
    )
    logic = transistors / (Range.of(node.logic_density) * factors["logic_fill"])
    sram = Range.exact(chip.sram_bytes) / (Range.of(node.sram_density) * factors["sram_fill"])
    ports = Range.of(load_link(chip.host_kind).area) * chip.host_lanes
    if chip.memory_channels:
        ports = ports + Range.of(load_memory(chip.memory_kind).area) * chip.memory_channels
    if chip.serial_lanes:
        ports = ports + Range.of(load_link("serial").area) * chip.serial_lanes
    return (logic + sram + ports * Range.of(node.phy_scale)) / factors["die_fill"]


def predicted_power(chip: Anatomy, factors: Calibration | None = None) -> Range:
    """Return W with every enabled multiplier at work and the memory at its bandwidth."""
    factors, node = factors or load_calibration(), load_process(chip.process)
    energy = {name: Range.of(node.energy(name)) for name in _OPERATIONS}
    rate = chip.clock_hz * chip.enabled
    macs = (chip.int8_macs + chip.half_macs) * rate
    multiply = (
        (energy["int8_mul"] + energy["int32_add"]) * chip.int8_macs
        + (energy["fp16_mul"] + energy["fp16_add"]) * chip.half_macs
    ) * rate
    local = Range.of(node.sram_energy(MACRO_BYTES)) * (macs * chip.on_chip_bytes_per_mac)
    control = energy["fp32_add"] * factors["core_additions"] * (chip.cores * rate)
    leakage = Range.of(node.leakage) * chip.area_mm2
    outside = ZERO
    if chip.memory_channels:
        outside = Range.of(load_memory(chip.memory_kind).energy) * (8 * chip.memory_bytes_per_s)
    return multiply * factors["activity"] + local + control + leakage + outside


_OPERATIONS = ("int8_mul", "int32_add", "fp16_mul", "fp16_add", "fp32_add")


def comparisons(factors: Calibration | None = None) -> tuple[Comparison, ...]:
    """Return area, then power, of every chip that publishes them."""
    chips = load_anatomies()
    areas = [_area(c, factors) for c in chips]
    powers = [_power(c, factors) for c in chips if c.power_w]
    return (*areas, *powers)


def _area(chip: Anatomy, factors: Calibration | None) -> Comparison:
    predicted = predicted_area(chip, factors)
    return Comparison(
        chip.name, "area_mm2", predicted, chip.area_mm2, chip.area_calibration, chip.area_note
    )


def _power(chip: Anatomy, factors: Calibration | None) -> Comparison:
    predicted = predicted_power(chip, factors)
    return Comparison(
        chip.name, "power_w", predicted, chip.power_w, chip.power_calibration, chip.power_note
    )


def median_error(rows: Sequence[Comparison]) -> float:
    """Return the median absolute error of rows."""
    ordered = sorted(abs(row.error) for row in rows)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else sum(ordered[middle - 1 : middle + 1]) / 2


@cache
def load_anatomies() -> tuple[Anatomy, ...]:
    """Return the chips of `published_dies.toml`."""
    file = resources.files("jiriki.cost.validate") / "published_dies.toml"
    chips = load_table(file, "published_dies.toml").parts("published chip")
    return tuple(_anatomy(id, table) for id, table in chips.items())


def _anatomy(id: str, table: Table) -> Anatomy:
    read: dict[object, Callable[[str], Any]] = {
        str: lambda key: table.text(key, ""),
        int: lambda key: table.whole(key, 0),
        float: table.number,
        bool: table.flag,
    }
    own = {"id": id, "source": table.source(), "date": table.required_day("date").isoformat()}
    rest = {f.name: read[f.type](f.name) for f in fields(Anatomy) if f.name not in own}
    table.close()
    return Anatomy(**own, **rest)
