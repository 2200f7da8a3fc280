"""Power of a design at full rate: what its cooling must take.

In: a `Design`. Out: watts by what spends them, when every multiplier works in every cycle, the
scratchpads feed it, the vector lanes keep up, and memory and links carry all they can.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jiriki.cost.activity import Activity
from jiriki.cost.area import product_area
from jiriki.cost.calibration import Calibration, load_calibration
from jiriki.cost.design import Design
from jiriki.cost.energy import dynamic_energy, event_energies
from jiriki.cost.interfaces import load_link, load_memory
from jiriki.products.figure import Figure
from jiriki.products.range import ZERO, Range

DEPTH = 512  # k of the matrix product that the full rate stands for
VECTOR_STEPS = 3  # micro-ops of an epilogue: scale, shift, clamp


@dataclass(frozen=True, slots=True)
class PowerEstimate:
    """W by what spends them, and their sum."""

    parts: Mapping[str, Figure]
    total: Figure
    calibrated_on: tuple[str, ...]


def full_rate(design: Design) -> Activity:
    """Return what one tile does in a step of the matrix unit, epilogue and refill included."""
    chip = design.chip
    outputs = chip.mu * chip.nu * chip.ku / DEPTH  # finished a step
    refill = outputs * 2 + chip.dram_bytes_per_cycle / 4
    return Activity(
        array_macs=chip.macs_per_cycle,
        sum_updates=chip.mu * chip.nu,
        scratchpad_read=(chip.mu + chip.nu) * chip.ku,
        scratchpad_write=round(refill),
        accumulator_read=round(4 * outputs),
        accumulator_write=round(4 * outputs),
        vector_adds=round(VECTOR_STEPS * outputs),
        vector_multiplies=round(outputs),
    )


def design_power(design: Design, factors: Calibration | None = None) -> PowerEstimate:
    """Estimate the power of a package at full rate."""
    factors = factors or load_calibration()
    process = design.node
    costs = event_energies(design.chip, process, factors)
    rate = design.tiles * design.clock_hz
    parts = {
        name: energy * rate
        for name, energy in dynamic_energy(full_rate(design), costs).items()
        if energy.base
    }
    kind = load_memory(design.dram_kind)
    parts["dram"] = Range.of(kind.energy) * (8 * design.dram_bandwidth)
    host = load_link(design.host_kind)
    parts["host"] = Range.of(host.energy) * (8 * design.host_lanes * host.bandwidth.base)
    serial = load_link("serial")
    lanes = design.dies * design.serial_lanes_per_die
    parts["links"] = Range.of(serial.energy) * (8 * lanes * serial.bandwidth.base)
    d2d = load_link("d2d")
    modules = design.dies * design.d2d_modules_per_die / 2  # the two ends share the energy
    parts["die to die"] = Range.of(d2d.energy) * (8 * modules * d2d.bandwidth.base)
    parts["leakage"] = Range.of(product_area(design, factors)) * Range.of(process.leakage)
    why = f"power model of {design.id} at full rate, {process.id}"
    figures = {
        name: watts.figure("W", why, factors.date, unverified=True)
        for name, watts in parts.items()
        if watts is not ZERO and watts.base
    }
    total = Range.total(parts.values()).figure("W", why, factors.date, unverified=True)
    return PowerEstimate(figures, total, factors.calibrated_on)
