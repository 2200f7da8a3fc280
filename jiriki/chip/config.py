"""`ChipConfig`: every size of one tile, checked at birth.

In: the numbers of a TOML file in `catalogue/`. Out: a frozen value that the instruction set, the
compiler, the simulators and the gates all read; nothing else says how large a unit is.

Vocabulary. The matrix unit multiplies `mu x ku` by `ku x nu` each cycle. A *word* is `ku` int8
values: the unit in which activations are stored (`[channels/ku][pixels][ku]`) and addressed. The
scratchpad is cut into `banks` regions of consecutive addresses; each region is `columns` word-wide
memories side by side (word address modulo `columns`), each with one read and one write port.
"""

import hashlib
import re
from dataclasses import asdict, dataclass, fields

from jiriki.chip.errors import ChipError

STAGE_CYCLES = {"A": 3, "F": 4}  # of a stage of the vector unit's chain
CHAIN_OVERHEAD_CYCLES = 8  # read and convert the operands, quantise and write the result

MOST_STAGES = 64
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
FETCH_BUFFER_BYTES = 1024  # 64 instructions of 16 bytes
POWERS_OF_TWO = ("mu", "nu", "ku", "vx_lanes", "banks", "columns", "dram_burst_bytes")
_SPOKEN = {str: "text", int: "a whole number", (int, float): "a number"}

_ARRAY = "the sizes for which ports and addresses are planned"
_DEPTH = "the depths for which counters are planned"
LIMITS = {  # field: least, greatest, why
    "mu": (1, 256, _ARRAY),
    "nu": (1, 256, _ARRAY),
    "ku": (1, 256, _ARRAY),
    "vx_lanes": (1, 1024, _ARRAY),
    "scratchpad_bytes": (1, 1 << 28, "the 20-bit word address of the instructions"),
    "banks": (1, 64, _ARRAY),
    "columns": (8, 256, "from the 8 words of a line of channel parameters"),
    "acc_rows": (1, 1 << 12, "the 12-bit row address of the instructions"),
    "weight_file_lines": (1, 256, "the 8-bit line number of the instructions"),
    "semaphores": (2, 16, "the 4-bit semaphore number of the instructions"),
    "semaphore_max": (1, (1 << 16) - 1, "16 bits a counter"),
    "queue_depth": (1, 1024, _DEPTH),
    "address_registers": (1, 32, "the 5-bit register number of the instructions"),
    "loop_depth": (1, 16, _DEPTH),
    "clock_hz": (1, 10**12, "a finite number of hertz"),
    "dram_bytes": (1, 1 << 32, "the 32-bit address of the instructions (4 GiB)"),
    "dram_bytes_per_cycle": (1, FETCH_BUFFER_BYTES, "a burst is at least one beat"),
    "dram_burst_bytes": (16, FETCH_BUFFER_BYTES, "one instruction to the whole fetch buffer"),
    "dram_latency_cycles": (1, 1 << 20, _DEPTH),
    "dram_bursts_in_flight": (1, 1024, _DEPTH),
    "mx_latency_cycles": (1, 1024, _DEPTH),
    "vx_latency_cycles": (1, 4096, _DEPTH),
    "vx_contexts": (1, 64, _DEPTH),
    "table_slots": (1, 16, "the 4-bit slot number of the instructions"),
}


@dataclass(frozen=True, slots=True)
class ChipConfig:
    """Sizes and latencies of one tile; see the module docstring for the vocabulary."""

    name: str  # of the catalogue, or of a TOML of your own
    summary: str  # one line for people
    mu: int  # rows of the dot-product array (pixels or tokens)
    nu: int  # columns of the dot-product array (output channels)
    ku: int  # terms of each dot product; bytes of a word
    vx_lanes: int  # fp32 lanes of the vector unit; int32 values in an accumulator row
    scratchpad_bytes: int  # on-chip memory of activations and weights
    banks: int  # regions of consecutive addresses in it
    columns: int  # word-wide memories in a bank
    acc_rows: int  # accumulator rows of vx_lanes int32
    weight_file_lines: int  # lines of nu*ku bytes in the matrix unit's register file
    semaphores: int  # counters by which the units wait for one another
    semaphore_max: int  # greatest count of one
    queue_depth: int  # instructions waiting in each unit's queue
    address_registers: int  # of the sequencer
    loop_depth: int  # LOOPs inside one another
    clock_hz: float  # of the whole tile
    dram_bytes: int  # its size
    dram_bytes_per_cycle: int  # a beat of its port
    dram_burst_bytes: int  # largest request
    dram_latency_cycles: int  # from a request's grant to its first byte
    dram_bursts_in_flight: int  # requests that may wait for their bytes
    mx_latency_cycles: int  # last operand fetched -> result readable in the accumulators
    vx_latency_cycles: int  # operands of a beat fetched -> its result written, one pass
    vx_stages: str  # the vector unit's chain: A an ALU a lane, F a function unit a lane
    vx_contexts: int  # vector instructions that may be in work at once
    table_slots: int  # of each kind of table; every lane's function unit reads its own copy

    def __repr__(self) -> str:
        """Return one line with what sets a chip's speed."""
        return (
            f"<ChipConfig {self.name}: {self.macs_per_cycle:,} MAC/cycle at "
            f"{self.clock_hz / 1e9:g} GHz, {self.scratchpad_bytes / 1024:,g} KiB of scratchpad>"
        )

    def __post_init__(self) -> None:
        self._check_types()
        for name, (least, greatest, why) in LIMITS.items():
            value = getattr(self, name)
            rule = f"is outside {least}..{greatest}, {why}"
            self._require(least <= value <= greatest, name, value, rule)
        for name in POWERS_OF_TWO:
            value = getattr(self, name)
            self._require(value & (value - 1) == 0, name, value, "must be a power of two")
        self._check_array()
        self._check_chain()
        self._check_memory()

    def _check_types(self) -> None:
        """Refuse what Python would take for a number, such as True or 8.0, and unusable names."""
        if not (isinstance(self.name, str) and re.fullmatch(NAME, self.name)):
            raise ChipError(
                f"chip: name = {_shown(self.name)} must be 1 to 64 letters, digits, dots, hyphens "
                "or underscores and start with a letter or digit, as program texts and file names "
                "hold it; change the chip's TOML"
            )
        for field in fields(self):
            value = getattr(self, field.name)
            accepted = {str: str, int: int, float: (int, float)}[field.type]  # type: ignore[index]
            good = isinstance(value, accepted) and not isinstance(value, bool)
            self._require(good, field.name, value, f"must be {_SPOKEN[accepted]}")

    def _check_array(self) -> None:
        self._require(
            self.nu % self.ku == 0,
            "nu",
            self.nu,
            f"must be a multiple of ku = {self.ku}, so that an output tile fills whole words",
        )
        self._require(
            self.vx_lanes % self.ku == 0,
            "vx_lanes",
            self.vx_lanes,
            f"must be a multiple of ku = {self.ku}, so that a beat holds whole words",
        )
        self._require(
            self.mu % self.beat_pixels == 0,
            "mu",
            self.mu,
            "must be a multiple of vx_lanes / ku = "
            f"{self.beat_pixels}, so that a register tile drains in whole accumulator rows",
        )
        self._require(
            self.columns >= max(self.mu, self.nu, 4 * self.beat_pixels),
            "columns",
            self.columns,
            "must hold one access of each port: at least "
            f"{max(self.mu, self.nu, 4 * self.beat_pixels)}",
        )

    def _check_chain(self) -> None:
        self._require(
            {*self.vx_stages} == {"A", "F"} and len(self.vx_stages) <= MOST_STAGES,
            "vx_stages",
            self.vx_stages,
            f"must be a row of at most {MOST_STAGES} A and F with at least one of each, such as "
            "AAAAFA",
        )
        least = self.vx_pass_cycles + CHAIN_OVERHEAD_CYCLES
        self._require(
            self.vx_latency_cycles >= least,
            "vx_latency_cycles",
            self.vx_latency_cycles,
            f"is less than {least}: one pass of {self.vx_pass_cycles} cycles, reading, converting "
            "and writing",
        )

    def _check_memory(self) -> None:
        row = self.banks * self.columns * self.ku
        self._require(
            self.scratchpad_bytes % row == 0,
            "scratchpad_bytes",
            self.scratchpad_bytes,
            f"must be a multiple of banks * columns * ku = {row}",
        )
        self._require(
            self.scratchpad_words <= 1 << 20,
            "scratchpad_bytes",
            self.scratchpad_bytes,
            f"exceeds the 20-bit word address of the instructions ({self.ku << 20} bytes)",
        )
        self._require(
            self.dram_burst_bytes % self.dram_bytes_per_cycle == 0,
            "dram_burst_bytes",
            self.dram_burst_bytes,
            f"must be whole beats of {self.dram_bytes_per_cycle} bytes",
        )
        row = self.columns * self.ku
        self._require(
            self.dram_bytes_per_cycle <= row,
            "dram_bytes_per_cycle",
            self.dram_bytes_per_cycle,
            f"exceeds columns * ku = {row}, the bytes that a cycle writes into the scratchpad",
        )

    def _require(self, holds: bool, field: str, value: object, rule: str) -> None:
        if not holds:
            raise ChipError(
                f"chip {self.name}: {field} = {_shown(value)} {rule}; change the chip's TOML"
            )

    @property
    def macs_per_cycle(self) -> int:
        """int8 multiply-accumulates of the dense modes in one cycle."""
        return self.mu * self.nu * self.ku

    @property
    def beat_pixels(self) -> int:
        """Pixels in one beat of the vector unit: vx_lanes = beat_pixels * ku."""
        return self.vx_lanes // self.ku

    @property
    def vx_pass_cycles(self) -> int:
        """Cycles of one pass through the vector unit's chain."""
        return sum(STAGE_CYCLES[stage] for stage in self.vx_stages)

    @property
    def scratchpad_words(self) -> int:
        """Words of ku bytes in the scratchpad."""
        return self.scratchpad_bytes // self.ku

    @property
    def bank_words(self) -> int:
        """Words of ku bytes in a bank."""
        return self.scratchpad_words // self.banks

    @property
    def drain_cycles(self) -> int:
        """Cycles in which a register tile of mu x nu int32 moves to the accumulators."""
        return max(1, self.mu * self.nu // self.vx_lanes)

    def content_hash(self) -> str:
        """SHA-256 (hex) over every field but the prose; 1e9 and 1000000000 hertz are the same."""
        table = asdict(self) | {"clock_hz": float(self.clock_hz)}
        hashed = {k: v for k, v in sorted(table.items()) if k != "summary"}
        return hashlib.sha256(repr(hashed).encode()).hexdigest()


def _shown(value: object) -> str:
    """Return a value as an error shows it, on one line and at most 60 characters."""
    if isinstance(value, int) and abs(value) >= 1 << 128:
        return f"a number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
