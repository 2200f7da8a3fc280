"""What a tile is made of: transistors of logic and bits of memory, unit by unit.

In: a `ChipConfig` and a `Calibration`. Out: an `Inventory` a unit. Logic is counted bottom-up from
the operations that a unit does in one cycle, the registers they need, and the multiplexers that
bring the operands. A unit that `[units]` of the calibration lists has the count of its synthesis.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from jiriki.chip import ChipConfig
from jiriki.cost.calibration import Calibration
from jiriki.cost.errors import CostError
from jiriki.products.range import ZERO, Range

WORD_BITS = 8  # of one int8 value
SUM_BITS = 32
ADDRESS_BITS = 20
INSTRUCTION_BITS = 128
INSTRUCTION_BUFFER = 64  # words; docs/reference/timing.md
QUEUES = 4
SLOT_BYTES = 256 + 16 * 257  # of a slot of each of the two kinds of table
DMA_CHANNELS = 2
PORTS_READ = 6  # MX A and B, ST, three streams of VX
PORTS_WRITE = 2  # LD, VX


def table_bytes(chip: ChipConfig) -> int:
    """Return the bytes of one copy of the vector unit's tables."""
    return chip.table_slots * SLOT_BYTES


@dataclass(frozen=True, slots=True)
class Memory:
    """Equal SRAM macros."""

    macros: Range  # how many; a range where the gates may choose
    macro_bits: float


@dataclass(frozen=True, slots=True)
class Inventory:
    """One unit: transistors of logic, SRAM macros, and what was counted."""

    transistors: Range
    memory: Memory | None
    what: str


class _Counter:
    """Gate counts that the units share."""

    def __init__(self, chip: ChipConfig, factors: Calibration) -> None:
        self.chip, self.factors = chip, factors
        self.adder, self.flop, self.latch, self.mux = (
            factors.value(f"{cell}_bit") for cell in ("adder", "flop", "latch", "mux")
        )
        self.element = factors["processing_element"] * factors.value("per_gate")
        self.fma = self.element * factors["fp32_multiply_add_per_element"]

    @property
    def multiplier(self) -> Range:
        """Transistors of an int8 multiplier: the element less its adder and its 56 flip-flops."""
        rest = SUM_BITS * self.adder + 56 * self.flop
        return self.element.through(lambda count: max(count - rest, 1.0))


def inventory(chip: ChipConfig, factors: Calibration) -> dict[str, Inventory]:
    """Return unit -> what it is made of. Raises CostError for a calibrated unit unknown here."""
    counter = _Counter(chip, factors)
    units = {name: count(counter) for name, count in _UNITS.items()}
    for name, figure in factors.units.items():
        if name not in units:
            raise CostError(
                f"calibration: unit {name!r} is no unit of a tile; use one of {', '.join(units)}"
            )
        units[name] = replace(
            units[name], transistors=Range.of(figure), what=f"synthesis: {figure.source}"
        )
    return units


def _mx(count: _Counter) -> Inventory:
    chip = count.chip
    outputs, terms = chip.mu * chip.nu, chip.ku
    tree = (terms - 1) * 18 * count.adder + SUM_BITS * count.adder
    registers = (2 * SUM_BITS + terms * 16) * count.flop  # sum, its shadow, the products
    operands = (chip.mu + chip.nu) * terms * WORD_BITS * count.flop
    selects = outputs * terms * WORD_BITS * 2 * count.mux  # window, GEMV and padding paths
    weights = chip.weight_file_lines * chip.nu * terms * WORD_BITS * count.latch
    address = chip.mu * 8 * ADDRESS_BITS * (count.adder + count.flop)
    fixed = outputs * (tree + registers) + operands + selects + weights + address
    logic = count.multiplier * (outputs * terms) + Range.exact(fixed)
    return _logic(count, logic, f"{outputs * terms} int8 multipliers, {outputs} 32-bit sums")


def _accumulators(count: _Counter) -> Inventory:
    chip = count.chip
    adders = chip.vx_lanes * SUM_BITS * (count.adder + 2 * count.flop)
    memory = Memory(Range.exact(2), chip.acc_rows * chip.vx_lanes * SUM_BITS / 2)
    return _logic(count, Range.exact(adders), f"{chip.acc_rows} rows of {chip.vx_lanes}", memory)


def _scratchpad(count: _Counter) -> Inventory:
    chip = count.chip
    macros = chip.banks * chip.columns
    memory = Memory(Range.exact(macros), chip.scratchpad_bytes * 8 / macros)
    return Inventory(ZERO, memory, f"{macros} memories, one word wide")


def _crossbar(count: _Counter) -> Inventory:
    """Count the multiplexers and wires from banks and columns to the ports."""
    chip = count.chip
    column_bits = chip.columns * chip.ku * WORD_BITS
    steps = (chip.columns - 1).bit_length()
    read = PORTS_READ * column_bits * (chip.banks - 1 + steps)
    write = PORTS_WRITE * column_bits * steps + column_bits * chip.banks
    pipeline = (PORTS_READ + PORTS_WRITE) * column_bits * count.flop
    logic = Range.exact((read + write) * count.mux + pipeline)
    return _logic(count, logic, f"{PORTS_READ} read and {PORTS_WRITE} write ports")


def _vx(count: _Counter) -> Inventory:
    chip, factors = count.chip, count.factors
    alus, functions = (chip.vx_stages.count(kind) for kind in "AF")
    alu = count.fma * factors["vx_stage_per_fma"] * alus
    function = count.fma * factors["function_per_fma"] * functions
    carried = 3 * SUM_BITS * chip.vx_pass_cycles * count.flop  # operands that go along
    streams = 5 * chip.beat_pixels * 8 * ADDRESS_BITS * (count.adder + count.flop)
    contexts = chip.vx_contexts * 16 * INSTRUCTION_BITS * count.latch  # descriptors in force
    logic = (alu + function + Range.exact(carried)) * chip.vx_lanes
    fixed = Range.exact(streams + contexts)
    return _logic(count, logic + fixed, f"{chip.vx_lanes} fp32 lanes, stages {chip.vx_stages}")


def _tables(count: _Counter) -> Inventory:
    chip = count.chip
    each = count.factors["table_copies_per_lane"] * chip.vx_stages.count("F")
    copies = each * chip.vx_lanes
    memory = Memory(copies, table_bytes(chip) * 8)
    note = f"{copies.base:g} copies of {table_bytes(chip):,} bytes of tables"
    return Inventory(ZERO, memory, note)


def _dma(count: _Counter) -> Inventory:
    chip = count.chip
    buffer_bits = (chip.dram_bursts_in_flight + 4) * chip.dram_burst_bytes * 8
    logic = count.factors["dma_channel"] * DMA_CHANNELS + Range.exact(buffer_bits * count.latch)
    return _logic(count, logic, f"load and store, {chip.dram_bursts_in_flight} bursts in flight")


def _sequencer(count: _Counter) -> Inventory:
    chip = count.chip
    queued = QUEUES * chip.queue_depth * INSTRUCTION_BITS + INSTRUCTION_BUFFER * INSTRUCTION_BITS
    registers = chip.address_registers * SUM_BITS + chip.semaphores * 8 + chip.loop_depth * 96
    bits = queued * count.latch + registers * count.flop
    logic = count.factors["decoder"] + Range.exact(bits)
    return _logic(count, logic, f"{QUEUES} queues of {chip.queue_depth}")


def _network(count: _Counter) -> Inventory:
    wide = max(1.0, count.chip.dram_bytes_per_cycle / 32)
    return _logic(count, count.factors["router"] * wide, "router and DRAM port")


def _logic(count: _Counter, logic: Range, what: str, memory: Memory | None = None) -> Inventory:
    return Inventory(logic * count.factors["unlisted_logic"], memory, what)


_UNITS: Mapping[str, Callable[[_Counter], Inventory]] = {
    "mx": _mx, "accumulators": _accumulators, "scratchpad": _scratchpad, "crossbar": _crossbar,
    "vx": _vx, "tables": _tables, "dma": _dma, "sequencer": _sequencer, "network": _network,
}  # fmt: skip
