"""Energy of a Run on one tile, whole and by layer.

In: a Program, the Run of an engine that counts cycles and DRAM bytes, the chip, a process. Out: an
`EnergyEstimate` in joules, by what spends it. Every counter is multiplied by the energy of one
event (`event_energies`); what is left is time: leakage of the tile's area and clocks of idle units.
The bare energies of arithmetic are raised by the calibrated `activity` factor, memories are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from jiriki.chip import ChipConfig
from jiriki.cost.activity import Activity, ProgramActivity, activity
from jiriki.cost.area import tile_area
from jiriki.cost.calibration import Calibration, load_calibration
from jiriki.cost.errors import CostError
from jiriki.cost.interfaces import load_memory
from jiriki.cost.inventory import INSTRUCTION_BITS, table_bytes
from jiriki.cost.process import Process
from jiriki.products.figure import Figure
from jiriki.products.range import ZERO, Range
from jiriki.program import Program, Run

DEFAULT_DRAM = "lpddr5x"
# Counter of Activity -> what spends the energy.
PARTS = {
    "array_macs": "matrix", "sum_updates": "matrix", "weight_file_read": "matrix",
    "scratchpad_read": "scratchpad", "scratchpad_write": "scratchpad",
    "accumulator_read": "accumulators", "accumulator_write": "accumulators",
    "vector_adds": "vector", "vector_multiplies": "vector", "vector_functions": "vector",
    "vector_moves": "vector", "table_read": "vector", "instructions": "control",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class EnergyEstimate:
    """Joules of one run. Layers share out `idle` and the DRAM's overhead by their spans."""

    process: str
    dram_kind: str
    parts: Mapping[str, Figure]  # J by what spends it
    total: Figure  # J
    power: Figure  # W, averaged over the run
    layers: Mapping[str, Figure]  # J
    calibrated_on: tuple[str, ...]


def event_energies(chip: ChipConfig, process: Process, factors: Calibration) -> dict[str, Range]:
    """Return joules of one event of each counter of `Activity` that costs any."""
    busy = factors["activity"]
    op = {name: Range.of(process.energy(name)) * busy for name in _OPERATIONS}
    macro = chip.scratchpad_bytes / (chip.banks * chip.columns)
    span_mm = Range.of(tile_area(chip, process, factors).total).through(lambda area: area**0.5)
    wire = Range.of(process.wire_energy) * span_mm * 8  # a byte across the tile
    accumulators = chip.acc_rows * chip.vx_lanes * 2  # byte of one of two banks
    scratchpad = Range.of(process.sram_energy(macro)) + wire
    accumulator = Range.of(process.sram_energy(accumulators))
    byte_register = op["int8_add"]
    return {
        "array_macs": op["int8_mul"] + op["int32_add"] * (1 / chip.ku) + op["int8_add"] * 2,
        "sum_updates": op["int32_add"] * (1 - 1 / chip.ku),
        "weight_file_read": byte_register,
        "scratchpad_read": scratchpad,
        "scratchpad_write": scratchpad,
        "accumulator_read": accumulator,
        "accumulator_write": accumulator,
        "vector_adds": op["fp32_add"],
        "vector_multiplies": op["fp32_mul"],
        "vector_functions": op["fp32_mul"] * 2,
        "vector_moves": byte_register * 4,
        "table_read": Range.of(process.sram_energy(table_bytes(chip) / 2)),
        "instructions": byte_register * (4 * INSTRUCTION_BITS / 8),
    }


_OPERATIONS = ("int8_add", "int32_add", "int8_mul", "fp32_add", "fp32_mul")


def run_energy(
    program: Program,
    run: Run,
    chip: ChipConfig,
    process: Process,
    *,
    dram_kind: str = DEFAULT_DRAM,
    factors: Calibration | None = None,
    counts: ProgramActivity | None = None,
) -> EnergyEstimate:
    """Estimate the energy of a run. Raises CostError when it counted no cycles or no traffic."""
    if not run.cycles or run.dram_read_bytes is None or run.dram_write_bytes is None:
        raise CostError(
            f"run of {program.name} on engine {run.engine} counted no cycles or no DRAM bytes; "
            "take the Run of an engine that counts them, such as timing"
        )
    factors = factors or load_calibration()
    counts = counts or activity(program, chip, run.parameters, run.entry)
    costs = event_energies(chip, process, factors)
    bit = Range.of(load_memory(dram_kind).energy)
    port_bytes = run.dram_read_bytes + run.dram_write_bytes
    parts = dynamic_energy(counts.total, costs)
    parts["dram"] = bit * (8 * port_bytes)
    parts["idle"] = _idle(run, run.cycles, chip, process, factors, costs)
    overhead = bit * (8 * max(0, port_bytes - counts.total.dma_bytes)) + parts["idle"]
    layers = _layers(run, counts, costs, bit, overhead)
    return _estimate(parts, layers, run.cycles / chip.clock_hz, process, dram_kind, factors)


def dynamic_energy(events: Activity, costs: Mapping[str, Range]) -> dict[str, Range]:
    """Return joules by what spends them: linear in every counter."""
    parts = dict.fromkeys(PARTS.values(), ZERO)
    for field in fields(events):
        if field.name in PARTS:
            part = PARTS[field.name]
            parts[part] = parts[part] + costs[field.name] * getattr(events, field.name)
    return parts


def _idle(
    run: Run,
    cycles: int,
    chip: ChipConfig,
    process: Process,
    factors: Calibration,
    costs: Mapping[str, Range],
) -> Range:
    """Return joules of leakage over the run, and of clocks while the matrix unit does not work."""
    area = Range.of(tile_area(chip, process, factors).total)
    leakage = area * Range.of(process.leakage) * (cycles / chip.clock_hz)
    resting = cycles - (run.units["MX"].busy if "MX" in run.units else 0)
    full = costs["array_macs"] * chip.macs_per_cycle + costs["scratchpad_read"] * (
        (chip.mu + chip.nu) * chip.ku
    )
    return leakage + full * factors["idle_share"] * resting


def _layers(
    run: Run,
    counts: ProgramActivity,
    costs: Mapping[str, Range],
    bit: Range,
    overhead: Range,
) -> dict[str, Range]:
    """Return joules a layer; the overhead goes by the share of its span in all spans."""
    spans = sum(run.layer_cycles.values()) or 1
    layers = {}
    for name, events in counts.layers.items():
        own = Range.total(dynamic_energy(events, costs).values())
        share = overhead * (run.layer_cycles.get(name, 0) / spans)
        layers[name] = own + bit * (8 * events.dma_bytes) + share
    return layers


def _estimate(
    parts: Mapping[str, Range],
    layers: Mapping[str, Range],
    run_s: float,
    process: Process,
    dram_kind: str,
    factors: Calibration,
) -> EnergyEstimate:
    why = f"energy model at {process.id}, {dram_kind}"
    total = Range.total(parts.values())

    def joules(energy: Range) -> Figure:
        return energy.figure("J", why, factors.date, unverified=True)

    return EnergyEstimate(
        process=process.id,
        dram_kind=dram_kind,
        parts={name: joules(energy) for name, energy in parts.items()},
        total=joules(total),
        power=(total / run_s).figure("W", why, factors.date, unverified=True),
        layers={name: joules(energy) for name, energy in layers.items()},
        calibrated_on=factors.calibrated_on,
    )
