"""Area of a tile, and of a die of many tiles.

In: a `ChipConfig` and a `Process`, or a `Design`. Out: an `AreaEstimate`: mm2 a unit as low, base
and high, with what the model was calibrated on. Logic takes its transistors over the node's density
times the share that arrays reach; memory its bytes over the node's SRAM density times the share
that scratchpads reach, smaller macros more; a crossbar at least what its wires take.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from jiriki.chip import ChipConfig
from jiriki.cost.calibration import Calibration, load_calibration
from jiriki.cost.design import Design
from jiriki.cost.interfaces import load_link, load_memory
from jiriki.cost.inventory import Memory, inventory
from jiriki.cost.process import Process
from jiriki.products.figure import Figure
from jiriki.products.range import ZERO, Range

WIRE_LAYERS = 4  # metal layers a crossbar can use, half of them each way
METRES_TO_MM = 1e3


@dataclass(frozen=True, slots=True)
class AreaEstimate:
    """mm2 by unit; `total` is their sum."""

    subject: str
    process: str
    units: Mapping[str, Figure]
    counted: Mapping[str, str]  # unit -> what was counted
    total: Figure
    calibrated_on: tuple[str, ...]


def tile_area(
    chip: ChipConfig, process: Process, factors: Calibration | None = None
) -> AreaEstimate:
    """Estimate one tile. Calibrated as the result says; pre-layout synthesis, no tape-out."""
    factors = factors or load_calibration()
    units: dict[str, Range] = {}
    counted = {}
    for name, unit in inventory(chip, factors).items():
        area = logic_area(unit.transistors, process, factors)
        if unit.memory is not None:
            area = area + memory_area(unit.memory, process, factors)
        if name == "crossbar":
            area = _at_least(area, _wire_area(chip, process))
        units[name], counted[name] = area, unit.what
    return _estimate(chip.name, process, units, counted, factors)


def logic_area(transistors: Range, process: Process, factors: Calibration) -> Range:
    """Return mm2 of that many transistors of data path."""
    return transistors / (Range.of(process.logic_density) * factors["logic_fill"])


def memory_area(macros: Memory, process: Process, factors: Calibration) -> Range:
    """Return mm2 of macros. Relative to the reference size, small ones pay for their periphery."""
    reference_bits = 8 * factors.value("reference_macro")
    penalty = factors["macro_periphery_bits"].through(
        lambda k: (1 + k / math.sqrt(macros.macro_bits)) / (1 + k / math.sqrt(reference_bits))
    )
    density = Range.of(process.sram_density) * factors["sram_fill"]
    return macros.macros * (macros.macro_bits / 8) * penalty / density


def _wire_area(chip: ChipConfig, process: Process) -> float:
    """Return mm2 of a wire matrix of all columns by the widest port of each kind."""
    columns = chip.columns * chip.ku * 8
    ports = 8 * chip.ku * (2 * chip.mu + 2 * chip.nu + 16 * chip.beat_pixels)
    pitch_mm = process.wire_pitch.base * METRES_TO_MM
    return columns * ports * pitch_mm**2 / (WIRE_LAYERS / 2) ** 2


def _at_least(area: Range, floor: float) -> Range:
    return area.through(lambda value: max(value, floor))


def die_area(design: Design, factors: Calibration | None = None) -> AreaEstimate:
    """Estimate one die of a design: tiles with spares, memory, links, and what is no unit."""
    factors = factors or load_calibration()
    process = design.node
    tile = Range.of(tile_area(design.chip, process, factors).total)
    scale = Range.of(process.phy_scale)
    channel, host = load_memory(design.dram_kind), load_link(design.host_kind)
    units = {
        "tiles": tile * (design.tiles_per_die + design.spare_tiles_per_die),
        "memory": Range.of(channel.area) * design.dram_channels_per_die * scale,
        "host": Range.of(host.area) * design.host_lanes * scale,
        "links": Range.of(load_link("serial").area) * design.serial_lanes_per_die * scale
        if design.serial_lanes_per_die
        else ZERO,
        "die to die": Range.of(load_link("d2d").area) * design.d2d_modules_per_die * scale,
    }
    named = Range.total(units.values())
    units["rest"] = named.through(lambda area: area * (1 / factors["die_fill"].base - 1))
    counted = {
        "tiles": f"{design.tiles_per_die} and {design.spare_tiles_per_die} spare {design.tile}",
        "memory": f"{design.dram_channels_per_die} channels of {design.dram_kind}",
        "host": f"{design.host_lanes} lanes of {design.host_kind}",
        "links": f"{design.serial_lanes_per_die} serial lanes",
        "die to die": f"{design.d2d_modules_per_die} modules",
        "rest": "white space, clock, pads, management",
    }
    return _estimate(f"die of {design.id}", process, units, counted, factors)


def product_area(design: Design, factors: Calibration | None = None) -> Figure:
    """Return mm2 of all dies of the package."""
    die = die_area(design, factors).total
    return die.scaled(design.dies, "mm2", f"{design.dies} x {die.source}")


def _estimate(
    subject: str,
    process: Process,
    units: Mapping[str, Range],
    counted: Mapping[str, str],
    factors: Calibration,
) -> AreaEstimate:
    why = f"area model of {subject} at {process.id}"
    total = Range.total(units.values())
    return AreaEstimate(
        subject=subject,
        process=process.id,
        units={
            name: area.figure("mm2", f"{why}: {counted[name]}", factors.date, unverified=True)
            for name, area in units.items()
        },
        counted=counted,
        total=total.figure("mm2", why, factors.date, unverified=True),
        calibrated_on=factors.calibrated_on,
    )
